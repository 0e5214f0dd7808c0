"""Make the sheets from their masters: python -m aelib.course.exercises.assemble (make exercises).

`otter assign` does the work. A master notebooks/exercises/masters/NAME.ipynb becomes the student's
sheet notebooks/exercises/NAME.ipynb, the solved one notebooks/exercises/solutions/NAME.ipynb, and
an autograder for `python -m aelib grade`, which is made anew when it is needed.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from ...pipeline.run import NOTEBOOKS

SHEETS = NOTEBOOKS / "exercises"


class Assembled(NamedTuple):
    """What `otter assign` made of one master, in a temporary folder.

    Attributes:
        student: the sheet.
        solved: the sheet with its solutions.
        autograder: the zip that `otter run` takes.
    """

    student: Path
    solved: Path
    autograder: Path


def masters() -> list[Path]:
    """Returns the masters, in order."""
    return sorted((SHEETS / "masters").glob("[0-9][0-9]_*.ipynb"))


def assemble(master: Path, folder: Path, run_tests: bool = False) -> Assembled:
    """Make a sheet from its master, in `folder`/NAME; two calls make equal notebooks.

    Args:
        run_tests: run the solved sheet too, some 10 seconds; it must get all points.

    Raises:
        RuntimeError: it does not.
    """
    from otter.assign import main as otter_assign  # it takes seconds to import

    made = folder / master.stem
    source = made / "master"  # otter works in the master's folder, and that one stays as it is
    source.mkdir(parents=True)
    copy = shutil.copy(master, source)
    otter_assign(str(copy), str(made), no_pdfs=True, no_run_tests=not run_tests)
    (autograder,) = (made / "autograder").glob("*.zip")
    names = [made / kind / master.name for kind in ("student", "autograder")]
    return Assembled(*names, autograder)


def write(master: Path, run_tests: bool = True) -> None:
    """Make a master's two sheets and put them into notebooks/exercises."""
    with tempfile.TemporaryDirectory() as folder:
        made = assemble(master, Path(folder), run_tests)
        (SHEETS / "solutions").mkdir(exist_ok=True)
        shutil.copyfile(made.student, SHEETS / master.name)
        shutil.copyfile(made.solved, SHEETS / "solutions" / master.name)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for master in masters():
        if not wanted or master.stem in wanted:
            print(master.stem, flush=True)
            write(master)
