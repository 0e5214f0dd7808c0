"""python -m aelib run | runs | data | predict | submission | evaluate | verify | settings ..."""

import argparse
import os
import sys
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from .course.commands import (
    data,
    evaluate,
    grade,
    predict,
    publish,
    run,
    runs,
    settings,
    study,
    train,
    verify,
)
from .pipeline.directory import RunError

COMMANDS = (run, runs, study, train, data, predict, evaluate, verify, settings, grade, publish)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0; 1 if `verify` found damage; 2, with a message, on wrong input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a class name in Chinese ends no work on Windows
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    for name, value in vars(options).items():
        setattr(options, name, _at_home(value))
    try:
        return options.do(options) or 0
    except (ValueError, OSError, RunError, FloatingPointError) as error:
        print(f"aelib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aelib: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    name = "Adversarial erasing and prohibitive segmentation learning."
    parser = argparse.ArgumentParser(prog="python -m aelib", description=name)
    parser.add_argument("--version", action="version", version=f"aelib {version('aelib')}")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def _at_home(value: Any) -> Any:
    """A path with its `~` expanded: a shell leaves that of --out=~/run as it is."""
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


if __name__ == "__main__":
    sys.exit(main())
