"""python -m aelib run | runs | data | predict | submission | evaluate | verify | settings ..."""

import argparse
import sys
from importlib.metadata import version

from .course.commands import data, evaluate, grade, predict, publish, run, runs, settings, verify
from .pipeline.directory import RunError

COMMANDS = (run, runs, data, predict, evaluate, verify, settings, grade, publish)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0; 1 if `verify` found damage; 2, with a message, on wrong input."""
    options = _parser().parse_args(arguments)
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


if __name__ == "__main__":
    sys.exit(main())
