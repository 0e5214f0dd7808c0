"""One hand-in: run it under otter, confined, and read what it scored."""

import ast
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .confined import Limits, confine
from .copies import Copies, remove_tree
from .exercises.assemble import assemble
from .exercises.sheet import sentence
from .submitted import Submitted, UnreadableError

_KEPT = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")  # variables of the environment that go on
_LOST = "no result: it left its folder or a check in a way that ends the grading"


class Autograder(NamedTuple):
    """What otter grades a sheet with.

    Attributes:
        points: of each exercise.
        by_hand: points of the exercises that a teacher reads.
    """

    zip: Path
    points: dict[str, float]
    by_hand: dict[str, float]


class Grade(NamedTuple):
    """One exercise of one student.

    Attributes:
        lost: whether the whole sheet has no result; `message` says why.
    """

    name: str
    sheet: str
    exercise: str
    points: float
    of: float
    message: str
    lost: bool = False


class HandIn(NamedTuple):
    """A file to grade, with what, on which copy of the course; the work is done below `work`."""

    student: str
    sheet: str
    file: Path
    autograder: Autograder | None
    courses: Copies
    work: Path


def autograder(master: Path, folder: Path) -> Autograder:
    """Make the autograder of a sheet from its master, and read the points from it."""
    made = assemble(master, folder)
    points = {}
    with zipfile.ZipFile(made.autograder) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith("tests/") and name.endswith(".py"):
                points[Path(name).stem] = _points(archive.read(name).decode())
    return Autograder(made.autograder, points, _by_hand(master))


def _by_hand(master: Path) -> dict[str, float]:
    """Returns the points of the questions that the master marks as `manual: true`."""
    found = {}
    for cell in json.loads(master.read_text(encoding="utf-8"))["cells"]:
        lines = "".join(cell["source"]).splitlines()
        if cell["cell_type"] == "raw" and "manual: true" in lines:
            config = dict(line.split(": ", 1) for line in lines if ": " in line)
            found[config["name"]] = float(config.get("points", 1))
    return found


def _points(source: str) -> float:
    """Returns the points of otter's test file: the exercise's, or the sum over its cases."""
    total, cases = None, 0.0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "points":
            total = ast.literal_eval(node.value)
        if isinstance(node, ast.keyword) and node.arg == "points":
            cases += ast.literal_eval(node.value) or 0
    if isinstance(total, (int, float)):
        return total
    return sum(total) if total else cases or 1


def graded(job: HandIn, limits: Limits, stop: Callable[[], bool]) -> list[Grade]:
    """Returns a row an exercise; with 0 points and why, where the sheet gave no result."""
    if job.autograder is None:
        what = "this is none of the sheets" if job.file.exists() else "no notebook was handed in"
        return [Grade(job.student, job.sheet or job.file.name, "-", 0, 0, what, lost=True)]
    work = Path(tempfile.mkdtemp(dir=job.work))
    try:
        submitted = Submitted(job.file)
        notebook = work / f"{job.sheet}.ipynb"
        submitted.write(notebook, job.sheet)
        with job.courses.lend() as course:
            results = _run(job, notebook, course, work, limits, stop)
        return _rows(job, results, submitted)
    except Exception as error:  # a hand-in can hold anything, and the others must be graded
        known = isinstance(error, (_NoResult, UnreadableError))
        why = str(error) if known else f"grading failed: {type(error).__name__}: {error}"
        return [
            Grade(job.student, job.sheet, exercise, 0, points, why, lost=True)
            for exercise, points in job.autograder.points.items()
        ]
    finally:
        remove_tree(work)


class _NoResult(Exception):
    """Why a sheet could not be graded."""


def _run(
    job: HandIn,
    notebook: Path,
    course: Path,
    work: Path,
    limits: Limits,
    stop: Callable[[], bool],
) -> list[dict[str, Any]]:
    """Returns otter's results of the exercises."""
    zipped = shutil.copy(job.autograder.zip, work / "autograder.zip")
    startup = work / "ipython" / "profile_default" / "startup"
    for folder in (startup, *(work / name for name in ("tmp", "out", "home", "jupyter"))):
        folder.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("limits.py"), startup / "00-limits.py")
    module = ["otter", "run", "--no-logo", "-a", str(zipped), "-o", str(work / "out")]
    environment = _environment(course, work, limits)
    why = confine([*module, str(notebook)], work, environment, limits, stop)
    if why:
        raise _NoResult(why)
    return _results(work)


def _environment(course: Path, work: Path, limits: Limits) -> dict[str, str]:
    """All the variables that a sheet's processes have."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return kept | {
        "PYTHONPATH": str(course),
        "TMPDIR": str(work / "tmp"),
        "HOME": str(work / "home"),
        "IPYTHONDIR": str(work / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(work / "jupyter"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MPLBACKEND": "agg",
        "AELIB_CELL_SECONDS": str(limits.cell),
    }


def _results(work: Path) -> list[dict[str, Any]]:
    file = work / "out" / "results.json"
    try:
        if file.stat().st_size > 5_000_000:
            raise _NoResult("its results are too long")
        tests = json.loads(file.read_text(encoding="utf-8"))["tests"]
        tests = [test for test in tests if "max_score" in test]
    except (OSError, ValueError, KeyError, TypeError):
        raise _NoResult(_last_words(work)) from None
    if not tests:
        raise _NoResult(_LOST)
    return tests


def _last_words(work: Path) -> str:
    """Returns why otter itself ended, by its last line."""
    with open(work / "err.txt", "rb") as file:
        file.seek(max(0, (work / "err.txt").stat().st_size - 4000))
        text = file.read().decode(errors="replace")
    if "DeadKernelError" in text or "Kernel died" in text:
        return "its kernel crashed"
    lines = [line for line in text.splitlines() if line.strip() and "IPKernelApp" not in line]
    return f"no result: {lines[-1].strip()[:160]}" if lines else _LOST


def _rows(job: HandIn, tests: list[dict[str, Any]], submitted: Submitted) -> list[Grade]:
    found = {test["name"]: test for test in tests}
    rows = []
    for exercise, of in job.autograder.points.items():
        test = found.get(exercise, {})
        score = float(test.get("score", 0))
        points = score if 0 <= score <= of else 0
        message = _sentence(test.get("output", "")) if points < of else ""
        if message.endswith("not solved yet") and submitted.syntax:
            message += f", or stopped by a syntax error in {submitted.syntax}"
        rows.append(Grade(job.student, job.sheet, exercise, points, of, message))
    for exercise, points in job.autograder.by_hand.items():
        message = f"{points:g} points, to be given by the teacher"
        rows.append(Grade(job.student, job.sheet, exercise, 0, 0, message))
    if submitted.looks:
        message = f"{submitted.looks} in all"
        rows.append(Grade(job.student, job.sheet, "looks at val", 0, 0, message))
    return rows


def _sentence(output: str) -> str:
    """Returns what the failed checks said."""
    said = [sentence(line.strip()) for line in output.splitlines() if "Error: " in line]
    return "; ".join(dict.fromkeys(said)) or "no result"
