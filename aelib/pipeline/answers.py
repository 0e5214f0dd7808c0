"""Answers for new photographs, and the archive for PASCAL VOC's test server."""

import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from ..datasets import voc
from ..datasets.base import Lazy
from ..datasets.looks import faults
from ..datasets.photos import palette, read_photo, save_mask
from ..masks import IGNORE
from ..support.files import ROOT, plain, refuse
from . import stages
from .run import Run

#: The server's name for segmentation trained on any data, which ImageNet weights and image-level
#: labels are.
LAYOUT = Path("results/VOC2012/Segmentation/comp6_test_cls")
NETWORK = "AE+PSL++"


def write_answers(
    run: Run,
    photos: Sequence[Path],
    out: Path,
    overlays: bool = True,
    relabel: bytes | None = None,
    name: str = NETWORK,
) -> list[Path]:
    """Write OUT/ID.png, each photograph's label map, and OUT/ID-overlay.jpg, in colour over it.

    Both have the photograph's own size. The network sees it reduced to longest_side, as in
    training; what the CRF returns for that is resized bilinearly.

    Args:
        run: a finished run, or one whose network `name` is finished.
        photos: files as for `photos.read_photo`; ID is the name without suffix.
        out: made when missing; files of these names in it are replaced.
        overlays: whether to write them.
        relabel: 256 bytes, the label to write for each of the run's labels; None keeps them.
        name: of the network, as in results.json.

    Returns:
        The files of the label maps.

    Raises:
        ValueError: a photograph is missing or damaged, or two have one id: all of them in one
            message, before anything is written.
        RunError: the run lacks the network.
    """
    refuse("problem(s) with the photographs", _problems(photos, out))
    images = Lazy(partial(read_photo, longest=run.settings.longest_side), photos)
    answers = stages.answer(run, images, name)
    out.mkdir(parents=True, exist_ok=True)
    for photo, q in zip(photos, answers, strict=True):
        write_answer(photo, q, out, overlays, relabel)
    return [out / f"{photo.stem}.png" for photo in photos]


def write_answer(
    photo: Path, q: np.ndarray, out: Path, overlay: bool = True, relabel: bytes | None = None
) -> np.ndarray:
    """Write one photograph's label map and overlay; see `write_answers`.

    Args:
        q: of `stages.answer`, (C + 1, h, w).

    Returns:
        The labels as written, (H, W) uint8.
    """
    image = read_photo(photo)
    labels = _best(torch.from_numpy(q), image.shape[:2])
    if relabel is not None:
        labels = np.frombuffer(relabel, np.uint8)[labels]
    save_mask(out / f"{photo.stem}.png", labels)
    if overlay:
        painted = Image.fromarray(_overlay(image, labels))
        painted.save(out / f"{photo.stem}-overlay.jpg", quality=90)
    return labels


def _problems(photos: Sequence[Path], out: Path) -> list[str]:
    problems = [problem for photo in photos for problem in faults(photo, None, 0)]
    ids = [photo.stem.casefold() for photo in photos]
    for i, photo in enumerate(photos):
        if ids[i] in ids[:i]:
            other = photos[ids.index(ids[i])]
            cure = (
                "their answers would be one file (on many disks capitals do not count): rename one"
            )
            problems.append(f"{photo}: {other.name} has the id {other.stem}, too; {cure}")
    for photo in photos:
        if not plain(photo.stem):
            problems.append(f"{photo}: {photo.stem!r} is no plain id")
        answers = (out / f"{photo.stem}.png", out / f"{photo.stem}-overlay.jpg")
        if photo.resolve() in [answer.resolve() for answer in answers]:
            cure = f"choose another folder than {out}"
            problems.append(f"{photo} would be overwritten by its answer: {cure}")
    return problems


def _best(q: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """Returns argmax over the classes of q (C + 1, h, w), resized bilinearly to `size`.

    One class at a time, because q at the size of a telephone's photograph takes 1 GB.
    """
    best = torch.full(size, -1.0)
    labels = torch.zeros(size, dtype=torch.uint8)
    for c, values in enumerate(q):
        resized = F.interpolate(values[None, None], size=size, mode="bilinear", align_corners=False)
        values = resized[0, 0]
        labels[values > best] = c
        best = torch.maximum(best, values)
    return labels.numpy()


def _overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the photograph, (H, W, 3) uint8, with objects half in the colours of their labels."""
    colours = np.array(palette(), np.uint8).reshape(-1, 3)[labels]
    mixed = (image * 0.5 + colours * 0.5).astype(np.uint8)
    return np.where(labels[..., None] > 0, mixed, image)


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
        ValueError: the run is not on VOC; a list is missing or wrong; as `write_answers`.
        RunError: the run lacks the network.
    """
    s = run.settings
    if s.dataset != "voc":
        what = "the test server takes answers on VOC 2012 only"
        raise ValueError(f"{run.directory} was trained on {s.dataset}: {what}")
    labels = [0, *(voc.CLASSES.index(kept) + 1 for kept in stages.classes_of(run))]
    relabel = bytes(labels + [IGNORE] * (256 - len(labels)))
    photos = voc.photos_of(ROOT / s.data_root, split)
    files = write_answers(run, photos, out / LAYOUT, overlays=False, relabel=relabel, name=name)
    with tarfile.open(out / "results.tgz", "w:gz") as archive:
        for file in files:  # the folder may hold answers of an earlier call, for another list
            archive.add(file, arcname=LAYOUT / file.name)
    return out / "results.tgz"
