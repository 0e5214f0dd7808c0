"""python -m aelib predict, submission"""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Add the commands to the parser's."""
    predict = commands.add_parser("predict", help="label maps and overlays of new photographs")
    predict.add_argument("photos", nargs="+", metavar="IMAGE", type=Path)
    predict.set_defaults(do=_predict)
    submission = commands.add_parser("submission", help="VOC's test list, as its server takes it")
    submission.add_argument("--list", default="test", metavar="NAME", help="default: test")
    submission.set_defaults(do=_submission)
    for command in (predict, submission):
        command.add_argument("--run", required=True, metavar="DIR", type=Path, help="a run")
        command.add_argument("--out", required=True, metavar="DIR", type=Path)
        which = "as in results.json (default: the second round's)"
        command.add_argument("--network", default="", metavar="NAME", help=which)


def _predict(options: argparse.Namespace) -> None:
    from ...pipeline import answers, stages
    from ...pipeline.run import opened

    run, name = opened(options.run.absolute()), options.network or answers.NETWORK
    files = answers.write_answers(run, options.photos, options.out, name=name)
    classes = ", ".join(stages.classes_of(run))
    print(f"{len(files)} label maps and overlays in {options.out}; classes: {classes}")


def _submission(options: argparse.Namespace) -> None:
    from ...pipeline import answers
    from ...pipeline.run import opened

    run, name = opened(options.run.absolute()), options.network or answers.NETWORK
    print(answers.write_submission(run, options.out, options.list, name))
