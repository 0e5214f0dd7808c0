"""python -m aelib publish"""

import argparse

from ...pipeline.directory import refuse_installed, runs_folder


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    publish = commands.add_parser("publish", help="put runs/classroom into notebooks/ and data/")
    publish.set_defaults(do=_publish)


def _publish(options: argparse.Namespace) -> None:
    refuse_installed()
    from ...pipeline.run import opened
    from ..lesson import publish

    publish(opened(runs_folder() / "classroom"))
