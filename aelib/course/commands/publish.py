"""python -m aelib publish"""

import argparse


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    publish = commands.add_parser("publish", help="put runs/classroom into notebooks/ and data/")
    publish.set_defaults(do=_publish)


def _publish(options: argparse.Namespace) -> None:
    from ...pipeline.run import Run
    from ..lesson import publish

    publish(Run())
