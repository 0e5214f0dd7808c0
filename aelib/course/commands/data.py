"""python -m aelib data voc, data check, data from-colours"""

import argparse
import os
from pathlib import Path

from ...support.errors import InputError
from ...support.files import refuse
from ...support.kinds import pruned
from ...support.progress import progress


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    data = commands.add_parser("data", help="make or check a data set; see data/README.md")
    actions = data.add_subparsers(dest="action", required=True)
    make = actions.add_parser("voc", help="VOC 2012 with SBD: download, convert, check")
    make.set_defaults(do=_voc)
    check = actions.add_parser("check", help="list everything that is wrong, before any training")
    check.add_argument("folder", nargs="?", metavar="DIR", type=Path, help="default: data")
    layouts = {"choices": ("voc", "folder"), "default": ""}
    check.add_argument("--dataset", **layouts, help="its layout; default: the one found there")
    check.set_defaults(do=_check)
    for action in (make, check):
        action.add_argument("--root", metavar="DIR", type=Path, help="default: data")
        cores = os.cpu_count() or 1
        action.add_argument("--workers", default=cores, type=int, metavar="N", help="processes")
    colours = actions.add_parser("from-colours", help="label maps of pictures in VOC's colours")
    colours.add_argument("folder", metavar="DIR", type=Path, help="PNGs in VOC's colours")
    colours.add_argument("out", metavar="OUT", type=Path, help="where the label maps go")
    colours.set_defaults(do=_from_colours)


def _voc(options: argparse.Namespace) -> None:
    from ...datasets.voc_download import download

    root = options.root or Path("data")
    print(_counts(download(root)))
    _report(root, "voc", options.workers)


def _check(options: argparse.Namespace) -> None:
    if options.folder and options.root:
        raise InputError("DIR, --root: two folders are named; leave one out")
    _report(options.folder or options.root or Path("data"), options.dataset, options.workers)


def _report(root: Path, kind: str, workers: int) -> None:
    """Print what is there, what cannot be meant, and whether anything is wrong."""
    from ...datasets.which import open_at

    summary = open_at(root, kind).check(workers=workers, progress=progress("checking"))
    print("\n".join(summary.lines()))
    warnings = summary.all_warnings()
    for text in warnings:
        print(f"WARNING {text}")
    found = f"{len(warnings)} warning(s)" if warnings else "nothing is wrong"
    print(f"{root}: {found}; pictures in {_counts(summary.pictures)}")


def _counts(sizes: dict[str, int]) -> str:
    return ", ".join(f"{split} {size:,}" for split, size in sizes.items())


def _from_colours(options: argparse.Namespace) -> None:
    """Write OUT/NAME.png, the labels of DIR/NAME.png: all of them or none."""
    from ...datasets.photos import from_colours, save_mask

    files = [options.folder / name for name in pruned(options.folder)]
    if not files or options.folder.resolve() == options.out.resolve():
        raise InputError(f"{options.folder}: no PNG is in it, or OUT is the same folder")
    maps, problems = {}, []
    for file in files:
        try:
            maps[file.name] = from_colours(file)
        except ValueError as error:
            problems.append(str(error))
    refuse(f"picture(s) in {options.folder} are not in VOC's colours", problems)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, labels in maps.items():
        save_mask(options.out / name, labels)
    print(f"{len(maps)} label maps in {options.out}")
