"""python -m aelib run | data | predict | submission | evaluate | verify | settings | publish"""

import argparse
import os
import sys
from pathlib import Path

from . import lesson
from .runs import Run, RunError, opened, write_json
from .settings import PROFILES, describe, parse


def main(arguments: list[str] | None = None) -> int:
    """The command line. Gives the exit status: 0, 1 if `verify` found damage, or 2 with a message on stderr when the input is wrong."""
    parser = argparse.ArgumentParser(prog="python -m aelib", description="Adversarial erasing and prohibitive segmentation learning.")
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="run the whole course, headless; goes on where an interrupted run was")
    run.add_argument("--profile", default="classroom", help=f"one of {', '.join(PROFILES)} (default: classroom)")
    run.add_argument("--out", default="", metavar="DIR", help="run directory (default: runs/PROFILE in the project)")
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a setting; see `python -m aelib settings`")

    check = commands.add_parser("verify", help="list every file of a run that is damaged, missing, or of another run")
    check.add_argument("run", metavar="RUN", type=Path, help="run directory")
    check.add_argument("--repair", action="store_true", help="set aside what is damaged, in RUN/damaged; the next run makes it again, and only it")

    evaluate = commands.add_parser("evaluate", help="mIoU of a folder of label PNGs")
    evaluate.add_argument("--predictions", required=True, metavar="DIR", type=Path, help="ID.png, labels 0..N-1")
    evaluate.add_argument("--masks", required=True, metavar="DIR", type=Path, help="ID.png, labels 0..N-1, 255 is not counted")
    evaluate.add_argument("--list", required=True, metavar="FILE", type=Path, help="a text file, one ID a line")
    evaluate.add_argument("--classes", type=int, default=21, metavar="N", help="labels, background included (default: 21)")
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write the numbers there too")

    photos = commands.add_parser("data", help="make or check a data set of photographs; see data/README.md").add_subparsers(
        dest="action", required=True
    )
    make = photos.add_parser("voc", help="VOC 2012 with SBD: download, convert, check; or take a devkit that is there")
    look = photos.add_parser("check", help="list everything that is wrong with a data set, before any training")
    look.add_argument("--dataset", choices=("voc", "folder"), default="voc", help="a devkit or a subset of one; or a folder of your own pictures")
    for command in (make, look):
        command.add_argument("--root", default="data", metavar="DIR", type=Path, help="where the data set is (default: data)")
        command.add_argument("--workers", default=os.cpu_count() or 1, type=int, metavar="N", help="processes (default: one a core)")

    predict = commands.add_parser("predict", help="label maps and overlays of new photographs, by a finished run")
    predict.add_argument("photos", nargs="+", metavar="IMAGE", type=Path)
    submission = commands.add_parser("submission", help="the answers on VOC's test list, in the layout of the test server")
    submission.add_argument("--list", default="test", metavar="NAME", help="of ImageSets/Segmentation (default: test)")
    for command in (predict, submission):
        command.add_argument("--run", required=True, metavar="DIR", type=Path, help="run directory")
        command.add_argument("--out", required=True, metavar="DIR", type=Path)
        command.add_argument("--network", metavar="NAME", help="as in results.json (default: the second round's, AE+PSL++)")

    commands.add_parser("publish", help="put the finished runs/classroom into the repository: outputs into notebooks/, the run into data/")
    listing = commands.add_parser("settings", help="list every setting: type, value, range, meaning")
    listing.add_argument("--profile", default="classroom", help="whose values; voc has the paper's, each with how sure it is")
    options = parser.parse_args(arguments)
    try:
        if options.command == "settings":
            print(describe(options.profile))
        elif options.command == "data":
            _data(options)
        elif options.command == "evaluate":
            _evaluate(options)
        elif options.command == "verify":
            return _verify(options.run.absolute(), options.repair)
        elif options.command in ("predict", "submission"):
            _answer(options)
        elif options.command == "publish":
            lesson.publish(Run())
        else:
            overrides = {name: parse(name, value) for name, value in options.p}
            from .pipeline import run_course

            run_course(Path(options.out).absolute() if options.out else "", options.profile, **overrides)
    except (ValueError, OSError, RunError, FloatingPointError) as error:
        print(f"aelib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aelib: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _data(options: argparse.Namespace) -> None:
    from . import folder, voc
    from .notebook import count_report

    if options.action == "voc":
        sizes = voc.download(options.root)
        print(", ".join(f"{split} {size:,}" for split, size in sizes.items()))
    source = folder if options.action == "check" and options.dataset == "folder" else voc
    splits = folder.SPLITS if source is folder else voc.splits(options.root)
    sizes = source.check(options.root, dict.fromkeys(splits, 0), workers=options.workers, progress=count_report("checking"))
    print(f"{options.root}: nothing is wrong; pictures in " + ", ".join(f"{split} {size:,}" for split, size in sizes.items()))


def _answer(options: argparse.Namespace) -> None:
    from . import submission
    from .stages import classes_of

    run, name = opened(options.run.absolute()), options.network or submission.NETWORK
    if options.command == "predict":
        files = submission.write_answers(run, options.photos, options.out, name=name)
        print(f"{len(files)} label maps and overlays in {options.out}; classes: {', '.join(classes_of(run))}")
    else:
        print(submission.write_submission(run, options.out, options.list, name))


def _verify(directory: Path, mend: bool) -> int:
    from .verify import repair, verify

    problems = verify(directory)
    for name, what in problems:
        print(f"{name} {what}")
    if mend:
        print("\n".join(repair(directory)))
        print(f"{directory}: {len(problems)} wrong; the next run makes again what is no longer there")
        return 0
    print(
        f"{directory}: "
        + (f"{len(problems)} wrong; --repair sets them aside, for the next run to make again" if problems else "all as it was written")
    )
    return 1 if problems else 0


def _evaluate(options: argparse.Namespace) -> None:
    from .evaluation import evaluate_folders

    scores = evaluate_folders(options.predictions, options.masks, options.list, options.classes)
    for label, value in scores["per_class"].items():
        print(f"{label:>5} {'nowhere' if value is None else f'{100 * value:6.2f}'}")
    print(f" mIoU {100 * scores['miou']:6.2f} %, {scores['images']} images, list {options.list.name}")
    if options.json:
        write_json(options.json, scores)


if __name__ == "__main__":
    sys.exit(main())
