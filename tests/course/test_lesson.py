"""What the course ships: committed outputs, and the packed run behind them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from aelib.course import lesson
from aelib.course.lesson import LARGEST, PACKED, cleaned, pack
from aelib.pipeline import directory
from aelib.pipeline.run import NOTEBOOKS, Run, RunError
from aelib.pipeline.settings import make
from aelib.pipeline.verify import verify
from aelib.support.files import ROOT

COMMITTED = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def executed(tmp_path, *outputs):
    """A notebook as papermill leaves it: its cell, its metadata, a count that includes its cell."""
    tags = {"tags": ["parameters"], "papermill": {"duration": 3}}
    cells = [
        new_markdown_cell("# 1"),
        new_code_cell("seed = None", execution_count=1, metadata=tags),
    ]
    cells += [
        new_code_cell("seed = 7", execution_count=2, metadata={"tags": ["injected-parameters"]})
    ]
    cells += [new_code_cell("seed", execution_count=3, outputs=list(outputs))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        new_notebook(cells=cells, metadata={"kernelspec": kernel, "papermill": {"duration": 9}}),
        tmp_path / "a.ipynb",
    )
    return tmp_path / "a.ipynb"


def test_cleaned_keeps_source_and_outputs_and_drops_what_differs_between_runs(tmp_path):
    outputs = [
        new_output("stream", name="stderr", text="warning"),
        new_output("execute_result", {"text/plain": "7"}, execution_count=3),
    ]
    node = nbformat.reads(cleaned(executed(tmp_path, *outputs)), as_version=4)
    assert [cell.source for cell in node.cells] == ["# 1", "seed = None", "seed"]
    assert [cell.execution_count for cell in node.cells[1:]] == [1, 2]
    assert [dict(cell.metadata) for cell in node.cells] == [{}, {"tags": ["parameters"]}, {}]
    assert [(o.output_type, o.execution_count) for o in node.cells[2].outputs] == [
        ("execute_result", 2)
    ]
    assert set(node.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (new_output("error", ename="ValueError", evalue="", traceback=[]), "ended in ValueError"),
        (
            new_output("stream", name="stdout", text=f"see {ROOT}/x"),
            "names a folder of this machine",
        ),
        (new_output("stream", name="stdout", text="x" * LARGEST), "at most 1,500,000"),
    ],
)
def test_cleaned_refuses_what_must_not_be_committed(tmp_path, output, message):
    with pytest.raises(RunError, match=message):
        cleaned(executed(tmp_path, output))


def test_a_packed_run_unpacks_to_the_same_finished_stages(tmp_path, monkeypatch):
    run = Run(tmp_path / "a", "smoke")
    with run.making("numbers") as folder:
        (folder / "x.json").write_text("[1]")
    (run.directory / "network.partial").mkdir()  # half-made: not shipped
    (run.directory / "network.partial" / "x").write_text("")
    packed = pack(run.directory)
    assert pack(run.directory) == packed
    ship(monkeypatch, tmp_path, packed)
    there = Run(lesson.unpack(), "smoke")
    assert there.directory == tmp_path / "runs" / "lesson"
    assert there.settings == run.settings and there.json("numbers", "x.json") == [1]
    assert not (there.directory / "network.partial").exists()
    shutil.rmtree(there.directory)
    lesson.PACKED.write_bytes(packed[:-1])
    with pytest.raises(RunError, match="not what was shipped"):
        lesson.unpack()
    assert list(there.directory.parent.iterdir()) == []


def ship(monkeypatch, folder, packed):
    """Make `folder` a project that ships this run."""
    monkeypatch.delenv("AELIB_RUNS", raising=False)
    monkeypatch.setattr(lesson, "PACKED", folder / "lesson.tar.xz")
    monkeypatch.setattr(lesson, "ROOT", folder)
    monkeypatch.setattr(directory, "ROOT", folder)
    lesson.PACKED.write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    (folder / "lesson.json").write_text(json.dumps({"sha256": digest}))


@pytest.mark.parametrize("links", [True, False])
def test_a_class_shares_the_projects_run_and_each_has_a_folder_of_his_own(
    tiny_run, tmp_path, monkeypatch, links
):
    ship(monkeypatch, tmp_path, b"not looked at")
    shared = tmp_path / "runs" / "lesson"
    shutil.copytree(tiny_run.directory, shared)
    if not links:  # another disk

        def refused(*_):
            raise OSError("no links")

        monkeypatch.setattr(os, "link", refused)
    for name in ("ann", "bob"):
        monkeypatch.setenv("AELIB_RUNS", str(tmp_path / name / "runs"))
        own = Run(lesson.unpack(), "smoke")
        assert own.directory == tmp_path / name / "runs" / "lesson"
        assert own.finished("network-AE+PSL++") and verify(own.directory) == []
        weights = [run / "classifier-1" / "weights.safetensors" for run in (own.directory, shared)]
        assert os.path.samefile(*weights) == links
        with own.making("mine") as made:  # his own stages go into his own folder
            (made / "x.json").write_text("[1]")
        assert not (shared / "mine").exists() and not (shared / "results.json.tmp").exists()
    assert verify(shared) == []


def test_a_folder_that_cannot_be_written_names_the_cure(tmp_path, monkeypatch):
    run = Run(tmp_path / "a", "smoke")
    (run.directory / "timings.jsonl").write_text("")
    ship(monkeypatch, tmp_path, pack(run.directory))
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(RunError, match="set AELIB_RUNS to a folder of your own"):
        lesson.unpack()


def test_the_shipped_run_was_made_with_this_versions_classroom_settings():
    about = json.loads(PACKED.with_name("lesson.json").read_text())
    assert make(**about["settings"]).numbers() == make("classroom").numbers()
    assert about["sha256"] == hashlib.sha256(PACKED.read_bytes()).hexdigest()


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_committed_notebooks_hold_their_outputs_in_order_and_nothing_of_a_machine(file):
    node = nbformat.read(file, as_version=4)
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any("text/html" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert not any(
        output.output_type == "error" or output.get("name") == "stderr"
        for cell in code
        for output in cell.outputs
    )
    assert "widgets" not in node.metadata and not any(
        "application/vnd.jupyter.widget" in str(cell.outputs) for cell in code
    )
    assert file.stat().st_size < LARGEST
    assert not any(
        path in file.read_text() for path in ("/home/", "/root/", "/tmp/", "/Users/", "C:\\\\")
    )


def test_committed_outputs_come_again_from_the_shipped_run(tmp_path):
    """nbval over copies that name the shipped run.

    Cells not tagged otherwise must print and draw what is committed.
    """
    directory = lesson.unpack()
    for file in COMMITTED:
        text = file.read_text()
        assert r"run_dir = \"\"" in text
        (tmp_path / file.name).write_text(
            text.replace(r"run_dir = \"\"", rf"run_dir = \"{directory.as_posix()}\"")
        )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-cell-timeout=120",
        f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval.cfg'}",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
    ]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=NOTEBOOKS)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
