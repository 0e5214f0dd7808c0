"""python -m aelib data voc, data check"""

import argparse
import os
from pathlib import Path

from ...support.progress import progress


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
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


def _data(options: argparse.Namespace) -> None:
    from ...datasets import voc, voc_download
    from ...datasets.folder import Folder

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
