"""Label maps at a photograph's own size, and the archive for PASCAL VOC's test server."""

import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ..datasets import voc
from ..datasets.base import Lazy
from ..datasets.looks import faults
from ..datasets.photos import read_photo, save_mask, size_of
from ..support.files import ROOT, refuse
from . import stages
from .run import Run

#: The server's name for segmentation trained on any data, which ImageNet weights and image-level
#: labels are.
LAYOUT = Path("results/VOC2012/Segmentation/comp6_test_cls")
NETWORK = "AE+PSL++"


def full_size(q: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The best label at each pixel of the whole photograph.

    One class at a time, because q at the size of a telephone's photograph takes 1 GB.

    Args:
        q: of `stages.answer`, (C + 1, h, w): the network sees photographs reduced to longest_side.
        size: (H, W) of the photograph; q is resized to it bilinearly.

    Returns:
        (H, W) uint8.
    """
    best = torch.full(size, -1.0)
    labels = torch.zeros(size, dtype=torch.uint8)
    for c, values in enumerate(torch.from_numpy(q)):
        resized = F.interpolate(values[None, None], size=size, mode="bilinear", align_corners=False)
        values = resized[0, 0]
        labels[values > best] = c
        best = torch.maximum(best, values)
    return labels.numpy()


def write_submission(run: Run, out: Path, split: str = "test", name: str = NETWORK) -> Path:
    """Write the answers on a list of the devkit, and OUT/results.tgz with them for the server.

    The label maps are OUT/results/VOC2012/Segmentation/comp6_test_cls/ID.png.

    Args:
        run: a finished run on VOC; a class that it did not keep is never answered.
        out: made when missing.
        split: a list of ImageSets/Segmentation.
        name: of the network.

    Returns:
        The archive.

    Raises:
        ValueError: the run is not on VOC; a list is missing or wrong; photographs are missing or
            damaged, all of them in one message. RunError: the run lacks the network. All before
            anything is written.
    """
    s = run.settings
    if s.dataset != "voc":
        what = "the test server takes answers on VOC 2012 only"
        raise ValueError(f"{run.directory} was trained on {s.dataset}: {what}")
    stages.network(run, name)
    photos = voc.photos_of(ROOT / s.data_root, split)
    problems = [problem for photo in photos for problem in faults(photo, None, 0)]
    refuse("problem(s) with the photographs", problems)
    labels = [0, *(voc.CLASSES.index(kept) + 1 for kept in stages.classes_of(run))]
    (out / LAYOUT).mkdir(parents=True, exist_ok=True)
    images = Lazy(partial(read_photo, longest=s.longest_side), photos)
    # the folder may hold answers of an earlier call, for another list: only these are archived
    files = [out / LAYOUT / f"{photo.stem}.png" for photo in photos]
    answers = stages.answer(run, images, name)
    for photo, file, q in zip(photos, files, answers, strict=True):
        save_mask(file, np.array(labels, np.uint8)[full_size(q, size_of(photo))])
    with tarfile.open(out / "results.tgz", "w:gz") as archive:
        for file in files:
            archive.add(file, arcname=LAYOUT / file.name)
    return out / "results.tgz"
