"""Grade a class: `otter run` on every sheet in a folder, each confined to a process of its own.

FOLDER/NAME/*.ipynb, or FOLDER/NAME_01_cam.ipynb: the sheets of the student NAME. Each works
on a copy of the course as it was at the start, so nothing that it writes there reaches another.
"""

import csv
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..support.errors import InputError
from ..support.progress import progress
from . import lesson
from .confined import Limits
from .copies import Copies
from .exercises.assemble import SHEETS
from .hand_in import Autograder, Grade, HandIn, autograder, graded
from .submitted import Submitted, UnreadableError

COLUMNS = ("name", "sheet", "exercise", "points", "of", "message")


class Found(NamedTuple):
    """A file that may be a sheet.

    Attributes:
        student: the student's name, from the folder or the file.
        sheet: "01_cam", or "" if it is none.
    """

    student: str
    sheet: str
    file: Path


def grade(
    folder: Path,
    out: Path | None = None,
    jobs: int = 2,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    say: Callable[[str], None] | None = None,
    masters: Path = SHEETS / "masters",
    run: Path | None = None,
) -> list[Grade]:
    """Grade all sheets in a folder; write a CSV file and say one line a student.

    Args:
        folder: the hand-ins.
        out: default: FOLDER/grades.csv. Columns: COLUMNS.
        jobs: sheets at the same time.
        say: gets the lines, of what is begun, too; default: print, above the progress bar.
        masters: the folder of the sheets' masters.
        run: the run that sheets open; default: the one that the course ships.

    Returns:
        A row an exercise, sorted by student.

    Raises:
        KeyboardInterrupt: all that was started is ended and removed first; the CSV file holds the
            grades so far, and none is left behind if there are none.
        InputError: there is no such folder, or no notebook in it; this is Windows.
        OSError: the CSV file cannot be written.
    """
    if os.name != "posix":
        raise InputError("grading needs Linux or macOS; under Windows use WSL")
    say = say or _line
    out = out or folder / "grades.csv"
    found = sorted(_find(folder, sorted(file.stem for file in masters.glob("*.ipynb"))))
    if not found:
        raise InputError(f"{folder} holds no notebook: FOLDER/NAME/*.ipynb or FOLDER/*.ipynb")
    is_new = not out.exists()
    out.touch()  # before hours of work
    rows: list[Grade] = []
    temporary = tempfile.TemporaryDirectory(prefix="aelib-grade-", ignore_cleanup_errors=True)
    try:
        with temporary as name:
            work = Path(name)
            say("copying the course")
            courses = Copies(work / "courses", min(jobs, len(found)), run or lesson.unpack())
            graders = {}
            for sheet in sorted({one.sheet for one in found if one.sheet}):
                say(f"autograder of {sheet}")
                graders[sheet] = autograder(masters / f"{sheet}.ipynb", work / "autograders")
            for grades in _grade_all(found, graders, courses, work, jobs, limits, say):
                rows += grades
            changed = courses.changed()
    finally:  # also when it is interrupted
        rows.sort()
        if rows:
            _write(out, rows)
        elif is_new:
            out.unlink(missing_ok=True)
    total = f"{len(found)} sheets, {len({one.student for one in found})} students: {out}"
    say(total)
    if changed:
        say(f"WARNING a sheet changed files of the course: {', '.join(changed[:5])}")
    return rows


def _grade_all(
    found: list[Found],
    graders: dict[str, Autograder],
    courses: Copies,
    work: Path,
    jobs: int,
    limits: Limits,
    say: Callable[[str], None],
) -> Iterator[list[Grade]]:
    """Yield each hand-in's grades, `jobs` at a time; say a student's line after the last one."""
    report = progress("grading", len(found), unit="sheet")
    stop = threading.Event()
    waiting = Counter(one.student for one in found)
    rows: dict[str, list[Grade]] = {student: [] for student in waiting}
    with ThreadPoolExecutor(jobs) as pool:
        asked = {}
        try:
            for one in found:
                grader = graders.get(one.sheet)
                job = HandIn(one.student, one.sheet, one.file, grader, courses, work)
                asked[pool.submit(_told, job, limits, stop.is_set, say)] = one
            for done, future in enumerate(as_completed(asked), start=1):
                student = asked[future].student
                grades = future.result()
                rows[student] += grades
                waiting[student] -= 1
                if not waiting[student]:
                    say(line(rows[student]))
                report(done)
                yield grades
        except BaseException:
            stop.set()
            for future in asked:
                future.cancel()
            raise


def _told(
    job: HandIn, limits: Limits, stop: Callable[[], bool], say: Callable[[str], None]
) -> list[Grade]:
    """Grade a hand-in, and say so first."""
    say(f"{job.student}, {job.sheet or job.file.name}")
    return graded(job, limits, stop)


def line(rows: list[Grade]) -> str:
    """Returns a student's line: "mia: 01_cam 7 of 9, 02_erasing 3 of 8; together 10 of 17"."""
    parts = []
    for sheet in sorted({row.sheet for row in rows}):
        of_sheet = [row for row in rows if row.sheet == sheet]
        trouble = {row.message for row in of_sheet if row.lost}
        text = f"{sheet} {_sum(of_sheet)}"
        parts.append(f"{text} ({trouble.pop()})" if trouble else text)
    together = f"; together {_sum(rows)}" if len(parts) > 1 else ""
    return f"{rows[0].name}: {', '.join(parts)}{together}"


def _sum(rows: list[Grade]) -> str:
    points, most = (sum(getattr(row, key) for row in rows) for key in ("points", "of"))
    return f"{points:g} of {most:g}"


def _line(text: str) -> None:
    from tqdm.auto import tqdm

    tqdm.write(text)
    sys.stdout.flush()  # a phase takes seconds or minutes, and is said before it begins


# --- what there is to grade -----------------------------------------------------------------------


def _find(folder: Path, known: list[str]) -> Iterator[Found]:
    """Every notebook in the folder and in the folders of it; a folder without one counts, too."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    for file in _notebooks(folder):
        sheet = _sheet(file, known)
        student = file.stem.replace(sheet, "").strip(" _-.") if sheet else ""
        yield Found(student or file.stem, sheet, file)
    for inner in folder.iterdir():
        if inner.is_dir() and not inner.name.startswith("."):
            files = _notebooks(inner)
            for file in files or [inner / "(no notebook)"]:
                yield Found(inner.name, _sheet(file, known), file)


def _notebooks(folder: Path) -> list[Path]:
    files = (file for file in folder.glob("*.ipynb") if file.is_file())
    return [file for file in files if not file.name.startswith(".")]


def _sheet(file: Path, known: list[str]) -> str:
    """Returns which sheet this is: by the name that otter left in it, else by the file's name."""
    with suppress(UnreadableError):
        name = Submitted(file).name
        if name in known:
            return name
    return next((sheet for sheet in known if sheet in file.stem), "")


def _write(out: Path, rows: list[Grade]) -> None:
    """Write the CSV file."""
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])


def _cell(value: str | float) -> str | float:
    """Returns the value; with a quote before it if a spreadsheet would compute it."""
    formula = isinstance(value, str) and len(value) > 1 and value[0] in "=+-@"
    return f"'{value}" if formula else value
