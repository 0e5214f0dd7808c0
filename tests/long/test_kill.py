"""`python -m aelib run`, killed thirty times in seven ways: itself, its process group, its kernel, everything at once.

The notebooks are replaced by one that makes all stages, so that a kill costs seconds and not a minute; processes, kernel, workers, locks
and files are the real ones.
"""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from killing import WAYS, attempt, survive
from nbformat.v4 import new_code_cell, new_notebook
from tiny import TINY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
TESTS = Path(__file__).parent.parent
SETTINGS = TINY | {"train_images": 24, "classifier_epochs": 8, "network_epochs": 8, "workers": 2}
DRIVER = """
import sys
from pathlib import Path
from aelib import pipeline
from aelib.__main__ import main
pipeline.course = lambda: [Path(sys.argv[1])]
sys.exit(main(["run", *sys.argv[2:]]))
"""
SLOW = """
import time
from aelib import stages

write, report = stages.write_json, stages.epoch_report
stages.write_json = lambda *both: time.sleep(0.6) or write(*both)
stages.epoch_report = lambda name: lambda *all: report(name)(*all) or time.sleep(0.6)
"""  # a left-over kernel has a second to live: it is not to finish the whole run in it
CELLS = [
    "from aelib.notebook import start\n\nrun = start(globals())",
    SLOW,
    f"import sys\n\nsys.path.insert(0, {str(TESTS)!r})\nfrom tiny import make_everything\n\nmake_everything(run)",
    "from aelib import results\n\nnumbers = results.write_results(run)",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    parameters = new_code_cell('profile = "smoke"\nrun_dir = ""', metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    file = tmp_path_factory.mktemp("notebooks") / "00_everything.ipynb"
    nbformat.write(new_notebook(cells=[parameters, *map(new_code_cell, CELLS)], metadata={"kernelspec": kernel}), file)
    return file


def test_thirty_kills_cost_no_finished_stage_no_epoch_and_no_bit(notebook, tmp_path, count):
    def command(run):
        settings = [word for name, value in SETTINGS.items() for word in ("-p", name, str(value))]
        return [sys.executable, "-c", DRIVER, str(notebook), "--profile", "smoke", "--out", str(run), *settings]

    whole, run = tmp_path / "whole", tmp_path / "kïlled run"
    output, status = attempt(command(whole), "whole", tmp_path / "log")
    assert status == 0, "\n".join(output[-30:])
    killed = survive(command(run), run, whole, WAYS, count=30, seed=20)
    assert killed >= 25  # a kill that comes too late for the kernel kills nothing
    assert json.loads((run / "results.json").read_text()) == json.loads((whole / "results.json").read_text())
    count["kills survived"] += killed
