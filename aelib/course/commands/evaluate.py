"""python -m aelib evaluate"""

import argparse
from pathlib import Path

from ...support.files import write_json


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    evaluate = commands.add_parser("evaluate", help="mIoU of a folder of label PNGs")
    folder = {"required": True, "metavar": "DIR", "type": Path}
    evaluate.add_argument("--predictions", **folder, help="ID.png, labels 0..N-1")
    evaluate.add_argument("--masks", **folder, help="ID.png, labels 0..N-1; 255 is not counted")
    evaluate.add_argument("--list", required=True, metavar="FILE", type=Path, help="one ID a line")
    evaluate.add_argument("--classes", type=int, default=21, metavar="N", help="with background")
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write the numbers there too")
    evaluate.set_defaults(do=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from ...pipeline import answers

    folders = (options.predictions, options.masks)
    scores = answers.evaluate_folders(*folders, options.list, options.classes)
    for label, value in scores["per_class"].items():
        print(f"{label:>5} {'nowhere' if value is None else f'{100 * value:6.2f}'}")
    images = f"{scores['images']} images, list {options.list.name}"
    print(f" mIoU {100 * scores['miou']:6.2f} %, {images}")
    if options.json:
        write_json(options.json, scores)
