"""python -m aelib study NAME: a grid of settings over seeds, through Dask."""

import argparse

from ...support.errors import InputError
from .run import add_settings, overrides


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser's."""
    study = commands.add_parser("study", help="a grid of settings over seeds; resumes")
    study.add_argument("name", nargs="?", default="", metavar="NAME", help="as --list shows them")
    study.add_argument("--list", action="store_true", help="the studies, a line each")
    study.add_argument("--profile", default="study", help="default: %(default)s")
    study.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="K")
    address = "of a Dask scheduler whose workers see these files; default: this machine's cores"
    study.add_argument("--scheduler", default="", metavar="ADDRESS", help=address)
    add_settings(study, "a setting of every run, also as NAME=VALUE")
    study.set_defaults(do=_study)


def _study(options: argparse.Namespace) -> int:
    from ...pipeline.studies import grids, study, table  # torch takes seconds to import

    if options.list:
        print(grids.listing())
        return 0
    if not options.name:
        raise InputError("study: a NAME is needed; --list shows them")
    chosen = study.find(options.name)
    settings = overrides(options.p)
    if {"seed", "workers"} & settings.keys():
        raise InputError("-p seed, workers: give --seeds; a cell has one process")
    content = study.run_study(chosen, options.profile, options.seeds, options.scheduler, **settings)
    print(table.text(content["summary"]))
    file = study.place(chosen, options.profile, ".csv")
    print(f"{len(content['rows'])} numbers in {file} and beside it, .json")
    return 1 if content["failed"] else 0
