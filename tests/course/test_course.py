"""The whole course at smoke scale: the notebooks through papermill, then each under nbval."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

from aelib.course import headless
from aelib.pipeline.results import results
from aelib.pipeline.run import Run
from aelib.pipeline.verify import verify
from aelib.support.files import ROOT


@pytest.fixture(scope="session")
def course(tmp_path_factory):
    """The run directory of one smoke run, made by the command that users type."""
    directory = tmp_path_factory.mktemp("runs") / "smoke run"  # a path with a space
    command = [sys.executable, "-m", "aelib", "run", "--profile", "smoke", "--out", str(directory)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path_factory.getbasetemp()
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return directory


def test_results_hold_every_row_of_the_paper_with_its_conditions(course):
    content = json.loads((course / "results.json").read_text())
    got = {(row["method"], row["crf"]) for row in content["rows"]}
    networks = [
        "AE-step1",
        "AE-step2",
        "AE-step3",
        "AE-step4",
        "AE",
        "AE+PSL",
        "AE+PSL++",
        "full supervision",
    ]
    assert got == {("CAM", False)} | {(name, crf) for name in networks for crf in (False, True)}
    for row in content["rows"]:
        assert {"split", "images", "threshold", "init", "seed", "kind"} <= set(row)
        values = [x for x in row["per_class"].values() if x is not None]
        assert row["miou"] == pytest.approx(sum(values) / len(values))


def test_the_report_has_a_page_for_every_notebook_and_needs_no_network(course):
    index = (course / "report" / "index.html").read_text()
    for notebook in headless.course():
        assert f"{notebook.stem}.html" in index
        assert (course / "report" / f"{notebook.stem}.html").stat().st_size > 10_000


def test_every_notebook_gives_the_same_outputs_again(course):
    """nbval on the executed notebooks of the finished run.

    Every cell not tagged otherwise must print and draw what it did.
    """
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
    done = subprocess.run(
        [*command, str(course / "notebooks")],
        capture_output=True,
        text=True,
        cwd=ROOT / "notebooks",
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_a_second_run_skips_every_stage_and_changes_nothing(course):
    before = {
        f: f.read_bytes()
        for f in course.rglob("*")
        if f.is_file() and "report" not in f.parts and "notebooks" not in f.parts
    }
    contents = results(Run(course, "smoke"))
    assert contents == json.loads((course / "results.json").read_text())
    assert before == {f: f.read_bytes() for f in before}


@pytest.mark.skipif("AELIB_LONG" not in os.environ, reason="make test-long: minutes")
def test_the_whole_course_runs_from_another_run_and_trains_nothing_for_a_threshold_at_test(course):
    command = [sys.executable, "-m", "aelib", "run", "--from", str(course)]
    done = subprocess.run(
        [*command, "-p", "prohibit_threshold", "0.3"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "prohibit_threshold = 0.3 (smoke run: 0.1)" in done.stdout
    assert ": epoch 1/" not in done.stdout
    derived = course.with_name("smoke run,prohibit_threshold=0.3")
    numbers = json.loads((derived / "results.json").read_text())
    before = json.loads((course / "results.json").read_text())
    assert numbers["settings"] == before["settings"] | {"prohibit_threshold": 0.3}
    assert len(numbers["rows"]) == len(before["rows"])
    assert verify(derived) == verify(course) == []


@pytest.mark.parametrize("notebook", headless.course(), ids=lambda path: path.stem)
def test_notebooks_keep_the_rules(notebook):
    node = nbformat.read(notebook, as_version=4)
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata.get("tags", [])
    for line in code[0].source.splitlines():
        assert line.count("=") == 1, line  # papermill reads only simple assignments of literals
    assert all(len(cell.source.splitlines()) <= 25 for cell in code)
    assert node.metadata.kernelspec.name == "python3"
    assert "widgets" not in node.metadata
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


def test_a_mistyped_parameter_stops_papermill_before_any_work(tmp_path):
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(ROOT / "notebooks" / "01_cam.ipynb"),
        str(tmp_path / "out.ipynb"),
    ]
    for parameters, message in (
        (["detla", "0.4"], "did you mean 'delta'"),
        (["delta", "1.5"], "delta: 1.5 is outside"),
    ):
        done = subprocess.run(
            [
                *command,
                "-p",
                "profile",
                "smoke",
                "-p",
                "run_dir",
                str(tmp_path / "run"),
                "-p",
                *parameters,
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0 and message in done.stderr
        assert not (tmp_path / "run").exists()
