"""python -m aelib run"""

import argparse
from pathlib import Path

from ...pipeline.profiles import PROFILES
from ...pipeline.settings import parse
from ...support.errors import InputError


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    run = commands.add_parser("run", help="run the whole course, headless; resumes")
    run.add_argument("--profile", help=f"one of {', '.join(PROFILES)}; default: classroom")
    run.add_argument("--out", default="", metavar="DIR", help="default: runs/PROFILE")
    begin = "begin with a run that is there: what the settings do not change is shared with it"
    run.add_argument("--from", dest="parent", metavar="RUN", type=Path, help=begin)
    pair = {"nargs": 2, "metavar": ("NAME", "VALUE"), "action": "append", "default": []}
    run.add_argument("-p", **pair, help="a setting; see `python -m aelib settings`")
    run.set_defaults(do=_run)


def _run(options: argparse.Namespace) -> None:
    if options.parent and options.profile:
        raise InputError("--profile, --from: the run that is there has its profile; leave one out")
    overrides = {name: parse(name, value) for name, value in options.p}
    from ..headless import run_course  # papermill takes seconds to import

    directory = Path(options.out).absolute() if options.out else ""
    parent = options.parent.absolute() if options.parent else None
    run_course(directory, options.profile or "classroom", parent, **overrides)
