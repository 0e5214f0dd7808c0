"""python -m aelib run"""

import argparse
import os
from pathlib import Path
from typing import Any

from ...pipeline.directory import refuse_installed
from ...pipeline.profiles import PROFILES
from ...pipeline.settings import make, parse
from ...support.errors import InputError
from ...support.files import ROOT

PATHS = ("data_root", "saliency_maps", "weights")  # settings that name a folder or a file
NO_PATHS = ("", "random", "torchvision")  # what they may say instead


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    run = commands.add_parser("run", help="run the whole course, headless; resumes")
    run.add_argument("--profile", help=f"one of {', '.join(PROFILES)}; default: classroom")
    run.add_argument("--out", metavar="DIR", type=Path, help="default: runs/PROFILE")
    begin = "start from this run, and share with it all that the settings do not change"
    run.add_argument("--from", dest="parent", metavar="RUN", type=Path, help=begin)
    side = "make N stages at a time, one thread each, then the notebooks; see docs/using.md"
    run.add_argument("--jobs", metavar="N", type=int, default=0, help=side)
    add_settings(run, "a setting, also as NAME=VALUE; see `python -m aelib settings`")
    run.set_defaults(do=_run)


def add_settings(command: argparse.ArgumentParser, words: str) -> None:
    """Add `-p`, which `overrides` reads, with these words as its help."""
    pair = {"nargs": "+", "metavar": ("NAME", "VALUE")}
    command.add_argument("-p", **pair, action="append", default=[], help=words)


def overrides(given: list[list[str]]) -> dict[str, Any]:
    """The settings of all `-p`, by name.

    Paths count from the current folder, as everything typed does; those in the project are kept as
    the settings have them, relative to it.

    Args:
        given: NAME and VALUE of each, or one or more of NAME=VALUE.

    Raises:
        InputError: an unknown name, or a text that is no value of that setting.
    """
    found = {}
    for words in given:
        words = [words[0], *words[2:]] if words[1:2] == ["="] else words
        pairs = [words] if len(words) == 2 and "=" not in words[0] else _split(words)
        for name, text in pairs:
            value = parse(name, text)
            found[name] = _path(text) if name in PATHS and text not in NO_PATHS else value
    return found


def _split(words: list[str]) -> list[list[str]]:
    if not all("=" in word for word in words):
        raise InputError(f"-p {' '.join(words)}: give a setting as NAME VALUE, or as NAME=VALUE")
    return [[part.strip() for part in word.split("=", 1)] for word in words]


def _path(text: str) -> str:
    path = Path(os.path.abspath(os.path.expanduser(text)))
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def _run(options: argparse.Namespace) -> None:
    if options.parent and options.profile:
        raise InputError("--profile, --from: the run that is there has its profile; leave one out")
    if options.jobs < 0:
        raise InputError(f"--jobs: {options.jobs}: 1 or more, or leave it out")
    settings = overrides(options.p)
    if not options.parent:
        make(options.profile or "classroom", **settings)  # before seconds of imports
    refuse_installed()
    from ..headless import run_course  # papermill takes seconds to import

    directory = options.out.absolute() if options.out else ""
    parent = options.parent.absolute() if options.parent else None
    run_course(directory, options.profile or "classroom", parent, jobs=options.jobs, **settings)
