"""Headless notebooks run in this interpreter, whatever a user's configuration says."""

import json
import sys
import tempfile
from pathlib import Path

import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes

from aelib.course.kernel import kernels

CELL = """
import sys
import matplotlib.pyplot as plt
from aelib.support.progress import live
plt.subplots()
print(sys.executable, live())
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Kernels of a removed environment, start files that end the kernel, a display that is gone."""
    spec = {"argv": ["/opt/gone/bin/python"], "display_name": "Python 3", "language": "python"}
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    (tmp_path / "kernels" / "python3").mkdir(parents=True)
    startup.mkdir(parents=True)
    (tmp_path / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    for file in (startup / "00.py", tmp_path / "start.py"):
        file.write_text("import os; os._exit(1)")
    (startup.parent / "ipython_config.py").write_text("c.InteractiveShellApp.exec_lines = ['1/0']")
    places = {"JUPYTER_PATH": tmp_path, "IPYTHONDIR": tmp_path / "ipython"}
    for name, value in (places | {"PYTHONSTARTUP": tmp_path / "start.py"}).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "tkagg")
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook that runs the command")


def test_a_notebook_runs_in_this_interpreter_whatever_lies_about(hostile, tmp_path):
    notebook = tmp_path / "a.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(CELL)]
    notebook.write_text(writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})))
    with kernels(tmp_path) as manager:
        more = {"kernel_manager_class": manager, "progress_bar": False}
        done = papermill.execute_notebook(notebook, None, kernel_name="python3", **more)
    printed = [output.text for output in done.cells[-1].outputs if output.get("name") == "stdout"]
    assert "".join(printed) == f"{sys.executable} False\n"


def test_what_a_kill_leaves_the_next_run_removes(tmp_path):
    def folders():
        return set(Path(tempfile.gettempdir()).glob("aelib-*"))

    before = folders()
    killed = kernels(tmp_path)
    killed.__enter__()
    left = folders() - before
    assert len(left) == 1
    with kernels(tmp_path):
        assert not left & folders()
    assert not (folders() - before)
