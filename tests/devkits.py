"""A VOC devkit of six pictures, made here; shared by the tests of reading and of downloading."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from aelib.datasets.photos import save_mask
from aelib.datasets.voc import CLASSES

PICTURES = {
    "a": ["cat"],
    "b": ["cat", "sofa"],
    "c": ["dog"],
    "d": ["sofa"],
    "e": ["dog", "cat"],
    "f": ["person"],
}


def xml(names: list[str], difficult: int = 0) -> str:
    """An annotation with an object of each class, and a part of each."""
    part = f"<difficult>{difficult}</difficult><part><name>head</name></part>"
    objects = "".join(f"<object><name>{name}</name>{part}</object>" for name in names)
    return f"<annotation><filename>x.jpg</filename>{objects}</annotation>"


def labels_of(names: list[str], size: tuple[int, int] = (6, 8)) -> np.ndarray:
    """A mask with a row for each class, and one of void."""
    mask = np.zeros(size, np.uint8)
    for row, name in enumerate(names, start=1):
        mask[row] = CLASSES.index(name) + 1
    mask[-1] = 255
    return mask


def make_devkit(root: Path) -> Path:
    """Four pictures to train on and two of val, labels in image_labels.json."""
    devkit = root / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (devkit / folder).mkdir(parents=True)
    for name, names in PICTURES.items():
        image = Image.new("RGB", (8, 6), (ord(name), 0, 0))
        image.save(devkit / "JPEGImages" / f"{name}.jpg")
        save_mask(devkit / "SegmentationClassAug" / f"{name}.png", labels_of(names))
    (devkit / "ImageSets/Segmentation/train_aug.txt").write_text("c\na\nb\nd\n")
    (devkit / "ImageSets/Segmentation/val.txt").write_text("e\nf\n")
    (devkit / "image_labels.json").write_text(json.dumps(PICTURES))
    return root
