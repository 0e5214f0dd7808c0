"""python -m aelib predict, submission"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pipeline.predictions import Prediction

_FAILED = 100  # the largest exit status that counts photographs


def add(commands: argparse._SubParsersAction) -> None:
    """Add the commands to the parser's."""
    predict = commands.add_parser("predict", help="label maps and overlays of new photographs")
    predict.description = (
        "Write a label map and an overlay of each photograph, and print what is in it. The exit "
        f"status is the number of photographs that could not be answered, {_FAILED} at most."
    )
    predict.add_argument("photos", nargs="+", metavar="IMAGE", type=Path)
    shipped = "a run; default: the networks that the course ships (data/README.md)"
    predict.add_argument("--run", metavar="DIR", type=Path, help=shipped)
    beside = "default: predictions, in the current folder"
    predict.add_argument("--out", default="predictions", metavar="DIR", type=Path, help=beside)
    predict.set_defaults(do=_predict)
    submission = commands.add_parser("submission", help="VOC's test list, as its server takes it")
    submission.add_argument("--run", required=True, metavar="DIR", type=Path, help="a run")
    submission.add_argument("--out", required=True, metavar="DIR", type=Path)
    submission.add_argument("--list", default="test", metavar="NAME", help="default: test")
    submission.set_defaults(do=_submission)
    for command in (predict, submission):
        which = "as in results.json (default: the second round's)"
        command.add_argument("--network", default="", metavar="NAME", help=which)


def _predict(options: argparse.Namespace) -> int:
    from ...pipeline import answers, stages
    from ...pipeline.predictions import predict
    from ...pipeline.run import opened

    if options.run:
        run = opened(options.run.absolute())
    else:
        from .. import photographs

        run = photographs.shipped()
    name, failed = options.network or answers.NETWORK, 0
    for found in predict(run, options.photos, options.out, name):
        if isinstance(found, ValueError):
            failed += 1
            print(f"aelib: {found}", file=sys.stderr)
        else:
            print(_line(found), flush=True)
    answered = len(options.photos) - failed
    classes = ", ".join(stages.classes_of(run))
    print(f"{answered} label maps and overlays in {options.out}; classes: {classes}")
    return min(failed, _FAILED)


def _line(found: "Prediction") -> str:
    """What is in a photograph, with confidences, and where its overlay is."""
    v = found.confidences
    by_size = sorted(found.shares.items(), key=lambda pair: -pair[1])
    words = [f"{name} {v[name]:.2f} (on {share:.1%} of it)" for name, share in by_size]
    if not words:
        best = max(v, key=v.get)
        words = [f"all background, none of {', '.join(v)} (the likeliest: {best} {v[best]:.2f})"]
    notes = f" ({found.note})" if found.note else ""
    return f"{found.photo.name}{notes}: {', '.join(words)}; {found.overlay}"


def _submission(options: argparse.Namespace) -> None:
    from ...pipeline import answers
    from ...pipeline.run import opened

    run, name = opened(options.run.absolute()), options.network or answers.NETWORK
    print(answers.write_submission(run, options.out, options.list, name))
