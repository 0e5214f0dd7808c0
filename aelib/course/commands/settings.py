"""python -m aelib settings"""

import argparse

from ...pipeline.settings import describe


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    listing = commands.add_parser("settings", help="list every setting: type, range, meaning")
    listing.add_argument("--profile", default="classroom", help="voc: the paper's, with marks")
    listing.set_defaults(do=lambda options: print(describe(options.profile)))
