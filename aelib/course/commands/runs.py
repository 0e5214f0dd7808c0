"""python -m aelib runs, runs rm"""

import argparse
from pathlib import Path

from ...pipeline import listing
from ...pipeline.directory import runs_folder


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    runs = commands.add_parser("runs", help="list the runs, or remove one")
    runs.set_defaults(do=_runs)
    remove = runs.add_subparsers(dest="action").add_parser("rm", help="remove a run")
    remove.add_argument("name", help="as listed, or its directory; those that share with it stay")


def _runs(options: argparse.Namespace) -> None:
    folder = runs_folder()
    if options.action == "rm":
        named = folder / options.name
        directory = named if named.exists() else Path(options.name).absolute()
        listing.remove(directory)
        print(f"{directory} is removed")
    else:
        print(listing.table(folder))
