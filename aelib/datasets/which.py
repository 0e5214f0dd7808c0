"""Which data set lies in a folder: VOC's layout, or somebody's own pictures."""

from pathlib import Path

from ..support.errors import InputError
from .base import DataSet
from .devkit import devkit_of
from .folder import Folder
from .voc import VOC, splits


def open_at(root: Path, kind: str = "") -> DataSet:
    """The whole data set in a folder.

    Args:
        kind: "voc" or "folder"; "" finds out.

    Raises:
        InputError: it is neither, or both.
        ValueError: VOC's layout without any list.
    """
    if (kind or _kind(root)) == "folder":
        return Folder(root)
    lists = {"val" if name == "val" else "train": name for name in splits(root)}
    return VOC(root, lists=lists)


def _kind(root: Path) -> str:
    devkit = (root / "VOCdevkit").is_dir()
    own = [name for name in ("labels.csv", "images", "classes.txt") if (root / name).exists()]
    if devkit and own:
        what = f"{root} holds VOCdevkit and {' and '.join(own)}"
        raise InputError(f"{what}: which is meant? --dataset voc or --dataset folder says so")
    if own:
        return "folder"
    if root.is_file():
        raise InputError(f"{root} is a file, no folder: an archive must be unpacked")
    if not devkit and root.is_dir():
        if root.resolve().name in ("VOCdevkit", "VOC2012"):
            devkit_of(root)  # says which folder is to be named
        what = "is no data set: neither VOCdevkit nor labels.csv and images are in it"
        cure = "`python -m aelib data voc` makes VOC 2012, data/README.md tells both layouts"
        raise InputError(f"{root} {what}; {cure}")
    return "voc"
