"""python -m aelib run | runs | data | predict | submission | evaluate | verify | settings ..."""

import argparse
import os
import sys
from pathlib import Path

from .course.commands import study
from .datasets import voc, voc_download
from .datasets.folder import Folder
from .pipeline import answers, listing, stages
from .pipeline.directory import runs_folder
from .pipeline.profiles import PROFILES
from .pipeline.run import Run, RunError, opened
from .pipeline.settings import describe, parse
from .pipeline.verify import repair, verify
from .support.errors import InputError
from .support.files import write_json
from .support.progress import progress


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0; 1 if `verify` found damage; 2, with a message, on wrong input."""
    options = _parser().parse_args(arguments)
    try:
        return options.do(options) or 0
    except (ValueError, OSError, RunError, FloatingPointError) as error:
        print(f"aelib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("aelib: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    name = "Adversarial erasing and prohibitive segmentation learning."
    parser = argparse.ArgumentParser(prog="python -m aelib", description=name)
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="run the whole course, headless; resumes")
    run.add_argument("--profile", help=f"one of {', '.join(PROFILES)}; default: classroom")
    run.add_argument("--out", default="", metavar="DIR", help="default: runs/PROFILE")
    begin = "begin with a run that is there: what the settings do not change is shared with it"
    run.add_argument("--from", dest="parent", metavar="RUN", type=Path, help=begin)
    pair = {"nargs": 2, "metavar": ("NAME", "VALUE"), "action": "append", "default": []}
    run.add_argument("-p", **pair, help="a setting; see `python -m aelib settings`")
    run.set_defaults(do=_run)

    runs = commands.add_parser("runs", help="list the runs, or remove one")
    runs.set_defaults(do=_runs)
    remove = runs.add_subparsers(dest="action").add_parser("rm", help="remove a run")
    remove.add_argument("name", help="as listed, or its directory; those that share with it stay")

    data = commands.add_parser("data", help="make or check a data set; see data/README.md")
    data.set_defaults(do=_data)
    actions = data.add_subparsers(dest="action", required=True)
    make = actions.add_parser("voc", help="VOC 2012 with SBD: download, convert, check")
    make.set_defaults(dataset="voc")
    check = actions.add_parser("check", help="list everything that is wrong, before any training")
    check.add_argument("--dataset", choices=("voc", "folder"), default="voc", help="its layout")
    cores = os.cpu_count() or 1
    for action in (make, check):
        action.add_argument(
            "--root", default="data", metavar="DIR", type=Path, help="default: data"
        )
        action.add_argument("--workers", default=cores, type=int, metavar="N", help="processes")

    predict = commands.add_parser("predict", help="label maps and overlays of new photographs")
    predict.add_argument("photos", nargs="+", metavar="IMAGE", type=Path)
    predict.set_defaults(do=_predict)
    submission = commands.add_parser("submission", help="VOC's test list, as its server takes it")
    submission.add_argument("--list", default="test", metavar="NAME", help="default: test")
    submission.set_defaults(do=_submission)
    for command in (predict, submission):
        command.add_argument("--run", required=True, metavar="DIR", type=Path, help="a run")
        command.add_argument("--out", required=True, metavar="DIR", type=Path)
        which = "as in results.json (default: %(default)s, the second round's)"
        command.add_argument("--network", default=answers.NETWORK, metavar="NAME", help=which)

    evaluate = commands.add_parser("evaluate", help="mIoU of a folder of label PNGs")
    folder = {"required": True, "metavar": "DIR", "type": Path}
    evaluate.add_argument("--predictions", **folder, help="ID.png, labels 0..N-1")
    evaluate.add_argument("--masks", **folder, help="ID.png, labels 0..N-1; 255 is not counted")
    evaluate.add_argument("--list", required=True, metavar="FILE", type=Path, help="one ID a line")
    evaluate.add_argument("--classes", type=int, default=21, metavar="N", help="with background")
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write the numbers there too")
    evaluate.set_defaults(do=_evaluate)

    verified = commands.add_parser("verify", help="list every damaged, missing or foreign file")
    verified.add_argument("run", metavar="RUN", type=Path, help="run directory")
    verified.add_argument("--repair", action="store_true", help="set damage aside in RUN/damaged")
    verified.set_defaults(do=_verify)

    listing = commands.add_parser("settings", help="list every setting: type, range, meaning")
    listing.add_argument("--profile", default="classroom", help="voc: the paper's, with marks")
    listing.set_defaults(do=lambda options: print(describe(options.profile)))
    grade = commands.add_parser("grade", help="grade the exercise sheets of a class")
    grade.description = (
        "Run otter on every sheet in FOLDER/NAME/ or FOLDER, confined, and write a CSV file. A "
        "sheet runs with your rights: what this cannot protect against, notebooks/exercises/"
        "README.md says."
    )
    grade.add_argument("folder", metavar="FOLDER", type=Path)
    grade.add_argument("--out", metavar="FILE.csv", type=Path, help="default: FOLDER/grades.csv")
    grade.add_argument("--jobs", default=2, type=int, metavar="N", help="at a time; default: 2")
    grade.add_argument(
        "--seconds", default=600, type=int, metavar="N", help="a sheet; default: 600"
    )
    grade.add_argument("--memory", default=3000, type=int, metavar="MB", help="default: 3000")
    grade.set_defaults(do=_grade)
    study.add(commands)
    publish = commands.add_parser("publish", help="put runs/classroom into notebooks/ and data/")
    publish.set_defaults(do=_publish)
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.parent and options.profile:
        raise InputError("--profile, --from: the run that is there has its profile; leave one out")
    overrides = {name: parse(name, value) for name, value in options.p}
    from .course.headless import run_course  # papermill takes seconds to import

    directory = Path(options.out).absolute() if options.out else ""
    parent = options.parent.absolute() if options.parent else None
    run_course(directory, options.profile or "classroom", parent, **overrides)


def _runs(options: argparse.Namespace) -> None:
    folder = runs_folder()
    if options.action == "rm":
        named = folder / options.name
        directory = named if named.exists() else Path(options.name).absolute()
        listing.remove(directory)
        print(f"{directory} is removed")
    else:
        print(listing.table(folder))


def _data(options: argparse.Namespace) -> None:
    root = options.root
    if options.action == "voc":
        print(_counts(voc_download.download(root)))
    if options.dataset == "folder":
        dataset = Folder(root)
    else:
        lists = {"val" if name == "val" else "train": name for name in voc.splits(root)}
        dataset = voc.VOC(root, lists=lists)
    sizes = dataset.check(workers=options.workers, progress=progress("checking"))
    print(f"{root}: nothing is wrong; pictures in {_counts(sizes)}")


def _counts(sizes: dict[str, int]) -> str:
    return ", ".join(f"{split} {size:,}" for split, size in sizes.items())


def _predict(options: argparse.Namespace) -> None:
    run = opened(options.run.absolute())
    files = answers.write_answers(run, options.photos, options.out, name=options.network)
    classes = ", ".join(stages.classes_of(run))
    print(f"{len(files)} label maps and overlays in {options.out}; classes: {classes}")


def _submission(options: argparse.Namespace) -> None:
    run = opened(options.run.absolute())
    print(answers.write_submission(run, options.out, options.list, options.network))


def _evaluate(options: argparse.Namespace) -> None:
    folders = (options.predictions, options.masks)
    scores = answers.evaluate_folders(*folders, options.list, options.classes)
    for label, value in scores["per_class"].items():
        print(f"{label:>5} {'nowhere' if value is None else f'{100 * value:6.2f}'}")
    images = f"{scores['images']} images, list {options.list.name}"
    print(f" mIoU {100 * scores['miou']:6.2f} %, {images}")
    if options.json:
        write_json(options.json, scores)


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


def _grade(options: argparse.Namespace) -> int:
    from .course.confined import Limits
    from .course.grade import grade  # otter takes seconds to import

    if min(options.jobs, options.seconds, options.memory) < 1:
        raise InputError("--jobs, --seconds, --memory: each must be 1 or more")
    cell = max(10, options.seconds // 10)
    limits = Limits(options.seconds, cell, options.memory * 1_000_000)
    out = options.out or options.folder / "grades.csv"
    try:
        grade(options.folder.absolute(), out, options.jobs, limits)
    except KeyboardInterrupt:
        print(f"aelib: interrupted; {out} holds the grades so far", file=sys.stderr)
        return 130
    return 0


def _publish(options: argparse.Namespace) -> None:
    from .course import lesson

    lesson.publish(Run())


if __name__ == "__main__":
    sys.exit(main())
