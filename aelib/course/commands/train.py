"""torchrun -m aelib train-stage: one training on many processors or GPUs."""

import argparse
from pathlib import Path

from .run import add_settings, overrides


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    words = "make a stage and what it reads; under torchrun, processes share its trainings out"
    train = commands.add_parser("train-stage", help=words)
    train.add_argument("run", metavar="RUN", type=Path, help="run directory; made if it is missing")
    train.add_argument("stage", metavar="STAGE", help="such as classifier-1 or network-AE+PSL")
    train.add_argument("--profile", help="of a run to be made; default: classroom")
    add_settings(train, "a setting, also as NAME=VALUE; see `python -m aelib settings`")
    train.set_defaults(do=_train)


def _train(options: argparse.Namespace) -> None:
    settings = overrides(options.p)
    from ...pipeline.distributed import joined  # torch takes seconds to import
    from ...pipeline.stages.together import make_together

    with joined():
        make_together(options.run.absolute(), options.stage, options.profile, **settings)
