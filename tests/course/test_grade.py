"""Grading a class: good and bad hand-ins, and what one of them can do to the others."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest

from aelib.course.confined import Limits, confine
from aelib.course.exercises.assemble import assemble
from aelib.course.grade import grade
from aelib.course.submitted import LARGEST, Submitted, UnreadableError

CONFIG = """# ASSIGNMENT CONFIG
name: 01_demo
init_cell: false
export_cell: false
check_all_cell: false
tests: {files: false, ok_format: false}
generate: {print_summary: false, logo: false}"""
DOUBLE = "def double(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION"
CHECK_DOUBLE = """def test_double(double):
    from aelib.course.exercises import say
    say.same("double", say.call("double", double, [1.0]), 2 * [1.0], hints=[([3.0], "2 is added")])
"""
CHECK_DELTA = """def test_delta(delta):
    from aelib.course.exercises import say
    say.number("delta", delta, 0.3)
"""
BAD = "import aelib, os, pathlib\nhere = pathlib.Path(aelib.__file__).parent\n"
SAY = "course/exercises/say.py"
# name: (double, a cell before it, points of q01 and q02, words of the message)
HAND_INS = {
    "good": ("    return x + x", "", (2, 1), ""),
    "wrong": ("    return [y + 2 for y in x]", "", (0, 1), "double: 2 is added"),
    "loop": ("    while True:\n        pass", "", (0, 1), "TookTooLong"),
    "crash": ("    return 2 * x", "import os\nos._exit(1)", (0, 0), "its kernel crashed"),
    "syntax": ("    return (2 * x", "", (0, 1), "a syntax error in line 2 of code cell 2"),
    "nofile": ("    return 2 * x", "open('no such file')", (2, 1), ""),
    "output": ("    return 2 * x", "for i in range(10**6):\n    print('x' * 10**4)", (2, 1), ""),
    "writes": ("    return 2 * x", f"{BAD}(here / '{SAY}').write_text('')", (0, 0), "Error"),
    "reads": ("    return 2 * x", f"{BAD}assert not [*here.parent.rglob('*.ipynb')]", (2, 1), ""),
    "leaves": ("    return 2 * x", "import os\nos.chdir('/')", (0, 0), "no result"),
}


def master(folder: Path) -> Path:
    new = nbformat.v4
    cells = [
        new.new_raw_cell(CONFIG),
        new.new_code_cell(
            'from aelib.course.exercises import sheet\n\ngrader = sheet.grader("01_demo")'
        ),
    ]
    questions = ((2, DOUBLE, CHECK_DOUBLE), (1, "delta = 0.3  # SOLUTION", CHECK_DELTA))
    for number, (points, code, check) in enumerate(questions, start=1):
        cells += [
            new.new_raw_cell(f"# BEGIN QUESTION\nname: q0{number}\npoints: {points}"),
            new.new_raw_cell("# BEGIN SOLUTION"),
            new.new_code_cell(code),
            new.new_raw_cell("# END SOLUTION"),
            new.new_raw_cell("# BEGIN TESTS"),
            new.new_code_cell(check),
            new.new_raw_cell("# END TESTS"),
            new.new_raw_cell("# END QUESTION"),
        ]
    notebook = new.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3",
        "name": "python3",
        "language": "python",
    }
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]
    folder.mkdir()
    nbformat.write(notebook, folder / "01_demo.ipynb")
    return folder / "01_demo.ipynb"


def hand_in(file: Path, solved: Path, body: str, before: str) -> None:
    """The solved sheet with another `double`, and a cell before it."""
    content = json.loads(solved.read_text())
    for cell in content["cells"]:
        if "def double" in "".join(cell["source"]) and cell["cell_type"] == "code":
            cell["source"] = f"def double(x):\n{body}"
    if before:
        cell = {"cell_type": "code", "source": before, "metadata": {}, "outputs": []}
        content["cells"].insert(1, {**cell, "execution_count": None})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


@pytest.mark.slow
def test_a_class_of_good_and_bad_hand_ins(tmp_path, tiny_runs):
    sheet = master(tmp_path / "masters")
    solved = assemble(sheet, tmp_path / "made").solved
    folder = tmp_path / "class"
    for name, (body, before, _, _) in HAND_INS.items():
        where = f"{name}/01_demo.ipynb" if name < "m" else f"{name}_01_demo.ipynb"
        hand_in(folder / where, solved, body, before)
    (folder / "absent").mkdir()
    (folder / "empty_01_demo.ipynb").write_text("")
    said: list[str] = []
    limits = Limits(seconds=600, cell=25)
    run = tiny_runs[0].directory
    grade(folder, limits=limits, say=said.append, masters=sheet.parent, run=run)

    with open(folder / "grades.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    by_name = {name: [row for row in rows if row["name"] == name] for name in HAND_INS}
    for name, (_, _, points, words) in HAND_INS.items():
        found = [float(row["points"]) for row in by_name[name]]
        assert found == list(points), (name, by_name[name])
        assert words in by_name[name][0]["message"], by_name[name]
    assert {row["message"] for row in rows if row["name"] == "empty"} == {
        "this is no notebook (JSONDecodeError)"
    }
    assert {row["message"] for row in rows if row["name"] == "absent"} == {
        "no notebook was handed in"
    }
    assert "good: 01_demo 3 of 3" in said and "crash: 01_demo 0 of 3 (its kernel crashed)" in said
    assert said[:2] == ["copying the course", "autograder of 01_demo"]
    assert "good, 01_demo" in said[2:]
    # the two, a line as each begins and as it ends, and the total; no file of ours has changed
    assert len(said) == 2 + 2 * (len(HAND_INS) + 2) + 1
    assert "12 sheets, 12 students" in said[-1]


INTERRUPTED = """
import sys
from functools import partial
from pathlib import Path
from aelib.__main__ import main
from aelib.course import grade

folder, masters, run = map(Path, sys.argv[1:])
grade.grade = partial(grade.grade, masters=masters, run=run)
sys.exit(main(["grade", str(folder)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_grading_leaves_nothing(stop, tmp_path, tiny_runs):
    sheet = master(tmp_path / "masters")
    solved = assemble(sheet, tmp_path / "made").solved
    folder, temporary = tmp_path / "class", tmp_path / "tmp"
    hand_in(folder / "anna" / "01_demo.ipynb", solved, "    while True: pass", "")
    temporary.mkdir()
    command = [sys.executable, "-c", INTERRUPTED, folder, sheet.parent, tiny_runs[0].directory]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    while "anna, 01_demo" not in process.stdout.readline():
        assert process.poll() is None
    while not inside(temporary):  # otter has begun
        time.sleep(0.1)
    process.send_signal(stop)
    assert process.wait(timeout=120) == 130
    process.stdout.close()
    assert not inside(temporary) and not list(temporary.iterdir())
    assert not (folder / "grades.csv").exists()


def inside(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder or below it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "limits", "why"),
    [
        ("while True: pass", {"seconds": 2}, "longer than 2 seconds"),
        ("x = bytearray(300_000_000); input()", {"memory": 200_000_000}, "200 MB of memory"),
        (
            "import time\nfor i in range(100):\n  open(f'{i}', 'wb').write(bytes(1_000_000))\n"
            "time.sleep(60)",
            {"disk": 50_000_000},
            "more than 50 MB",
        ),
        (
            "import subprocess, sys, time\n"
            "for i in range(9): subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "time.sleep(60)",
            {"processes": 5},
            "more than 5 processes",
        ),
    ],
)
def test_a_limit_ends_a_command_with_all_its_processes(code, limits, why, tmp_path):
    (tmp_path / "bad.py").write_text("import sys\nsys.stdin = open('/dev/zero')\n" + code)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    assert why in confine(["bad"], tmp_path, environment, Limits(**{"seconds": 60, **limits}))


def test_what_a_command_leaves_behind_is_ended(tmp_path):
    code = "import subprocess\nsubprocess.Popen(['sleep', '987'], start_new_session=True)"
    (tmp_path / "bad.py").write_text(code)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    assert confine(["bad"], tmp_path, environment, Limits(seconds=60)) == ""
    commands = [one.info["cmdline"] for one in psutil.process_iter(["cmdline"])]
    assert ["sleep", "987"] not in commands


# --- a notebook that was handed in, as text -------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}', "[" * 10**5]
)
def test_what_is_no_notebook_is_said_to_be_none(content, tmp_path):
    (tmp_path / "a.ipynb").write_text(content)
    with pytest.raises(UnreadableError, match="this is no notebook"):
        Submitted(tmp_path / "a.ipynb")


def test_a_notebook_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "a.ipynb", "wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(UnreadableError, match="clear the outputs"):
        Submitted(tmp_path / "a.ipynb")


def test_looks_at_val_come_from_the_outputs(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("board.hand_in()")])
    data = {"output_type": "display_data", "metadata": {"aelib": {"looks": 3}}}
    notebook.cells[0].outputs = [nbformat.v4.new_output(**data)]
    nbformat.write(notebook, tmp_path / "a.ipynb")
    assert Submitted(tmp_path / "a.ipynb").looks == 3
