"""python -m aelib verify"""

import argparse
from pathlib import Path

from ...pipeline.verify import repair, verify


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    verified = commands.add_parser("verify", help="list every damaged, missing or foreign file")
    verified.add_argument("run", metavar="RUN", type=Path, help="run directory")
    verified.add_argument("--repair", action="store_true", help="set damage aside in RUN/damaged")
    verified.set_defaults(do=_verify)


def _verify(options: argparse.Namespace) -> int:
    directory = options.run.absolute()
    problems = verify(directory)
    for name, what in problems:
        print(f"{name} {what}")
    if options.repair:
        print("\n".join(repair(directory)))
        after = "the next run makes again what is no longer there"
        print(f"{directory}: {len(problems)} wrong; {after}")
        return 0
    found = "all as it was written"
    if problems:
        found = f"{len(problems)} wrong; --repair sets them aside, for the next run to make again"
    print(f"{directory}: {found}")
    return 1 if problems else 0
