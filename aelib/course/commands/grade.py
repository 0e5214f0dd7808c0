"""python -m aelib grade"""

import argparse
import signal
import sys
from pathlib import Path

from ...support.errors import InputError


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    grade = commands.add_parser("grade", help="grade the exercise sheets of a class")
    grade.description = (
        "Run otter on every sheet in FOLDER/NAME/ or FOLDER, confined, and write a CSV file. A "
        "sheet runs with your rights: notebooks/exercises/README.md says what this cannot protect "
        "against."
    )
    grade.add_argument("folder", metavar="FOLDER", type=Path)
    grade.add_argument("--out", metavar="FILE.csv", type=Path, help="default: FOLDER/grades.csv")
    grade.add_argument("--jobs", default=2, type=int, metavar="N", help="at a time; default: 2")
    grade.add_argument(
        "--seconds", default=600, type=int, metavar="N", help="a sheet; default: 600"
    )
    grade.add_argument("--memory", default=3000, type=int, metavar="MB", help="default: 3000")
    grade.set_defaults(do=_grade)


def _grade(options: argparse.Namespace) -> int:
    from ..confined import Limits
    from ..grade import grade  # otter takes seconds to import

    if min(options.jobs, options.seconds, options.memory) < 1:
        raise InputError("--jobs, --seconds, --memory: each must be 1 or more")
    cell = max(10, options.seconds // 10)
    limits = Limits(options.seconds, cell, options.memory * 1_000_000)
    out = options.out or options.folder / "grades.csv"
    # `kill` must end what was started and clean up, as Ctrl-C does
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        grade(options.folder.absolute(), out, options.jobs, limits)
    except KeyboardInterrupt:
        held = f"{out} holds the grades so far" if out.exists() else "no sheet was graded yet"
        print(f"aelib: interrupted; {held}", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0
