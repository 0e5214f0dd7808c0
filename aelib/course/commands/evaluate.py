"""python -m aelib evaluate"""

import argparse
from pathlib import Path

from ...support.errors import InputError
from ...support.files import write_json

_VOC = 21  # labels, unless names or their number are given


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    evaluate = commands.add_parser("evaluate", help="mIoU of a folder of label PNGs")
    folder = {"required": True, "metavar": "DIR", "type": Path}
    evaluate.add_argument("--predictions", **folder, help="ID.png, labels 0..N-1")
    evaluate.add_argument("--masks", **folder, help="ID.png, labels 0..N-1; 255 is not counted")
    evaluate.add_argument("--list", required=True, metavar="FILE", type=Path, help="one ID a line")
    number = f"with background; default: of --names, or {_VOC}"
    evaluate.add_argument("--classes", type=int, metavar="N", help=number)
    names = "show names: VOC's, or those of a file with a class a line, such as classes.txt"
    evaluate.add_argument("--names", metavar="voc|FILE", help=names)
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write the numbers there too")
    evaluate.set_defaults(do=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from ...pipeline.evaluate import class_names, evaluate_folders

    names = class_names(options.names) if options.names else ()
    classes = (len(names) or _VOC) if options.classes is None else options.classes
    if names and classes != len(names):
        what = f"{classes}, but {options.names} names {len(names)} with background"
        raise InputError(f"--classes: {what}; leave it out")
    if options.json and (options.json.is_dir() or not options.json.parent.is_dir()):
        raise InputError(f"--json: {options.json} is a folder, or its folder is not there")
    folders = (options.predictions, options.masks)
    scores = evaluate_folders(*folders, options.list, classes, names)
    print("\n".join(scores["summary"]))
    for text in scores["warnings"]:
        print(f"WARNING {text}")
    width = max(map(len, names), default=0)
    for label, value in scores["per_class"].items():
        name = f" {names[int(label)]:{width}}" if names else ""
        print(f"{label:>5}{name} {'nowhere' if value is None else f'{100 * value:6.2f}'}")
    images = f"{scores['images']} images, list {options.list.name}"
    print(f" mIoU {100 * scores['miou']:6.2f} %, {images}")
    if options.json:
        write_json(options.json, scores)
