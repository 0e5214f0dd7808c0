"""Answers for new photographs, and the archive that PASCAL VOC's test server takes."""

import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from . import stages, voc
from .files import plain, refuse
from .masks import IGNORE
from .photos import Lazy, faults, read_photo
from .runs import ROOT, Run, palette, save_mask

#: the server's name for "segmentation, trained on any data": what ImageNet weights and image-level labels are
LAYOUT = Path("results/VOC2012/Segmentation/comp6_test_cls")
NETWORK = "AE+PSL++"


def write_answers(run: Run, photos: Sequence[Path], out: Path, overlays: bool = True, become: bytes | None = None, name: str = NETWORK) -> list[Path]:
    """OUT/ID.png, the label map of each photograph at its own resolution, and OUT/ID-overlay.jpg, it in colour over the photograph.

    The network sees a photograph reduced to longest_side, as in training; what the CRF makes of that is put up bilinearly.

    Args:
        run: a finished run, or one whose network `name` is finished.
        photos: files as for `photos.read_photo`; ID is the name without suffix.
        out: made when missing; files of these names in it are replaced.
        overlays: whether to write them.
        become: 256 bytes: the label that each of the run's labels is written as; None leaves them.
        name: of the network, as in results.json.

    Returns:
        The label maps' files.

    Raises:
        ValueError: a photograph is missing or damaged, or two have one id: all of them in one message, before anything is written.
        RunError: the run lacks the network.
    """
    ids = [photo.stem for photo in photos]
    problems = [problem for photo in photos for problem in faults(photo, None, 0)]
    problems += [f"{photo}: another photograph has the id {photo.stem}, too" for i, photo in enumerate(photos) if photo.stem in ids[:i]]
    problems += [f"{photo}: {photo.stem!r} is no plain id" for photo in photos if not plain(photo.stem)]
    for photo in photos:
        for new in (out / f"{photo.stem}.png", out / f"{photo.stem}-overlay.jpg"):
            if new.resolve() == photo.resolve():
                problems.append(f"{photo} would be overwritten by its answer: choose another folder than {out}")
    refuse("problem(s) with the photographs", problems)
    s, written = run.settings, []
    answers = stages.answer(run, Lazy(partial(read_photo, longest=s.longest_side), photos), name)
    out.mkdir(parents=True, exist_ok=True)
    for photo, q in zip(photos, answers, strict=True):
        image = read_photo(photo)
        labels = _best(torch.from_numpy(q), image.shape[:2])
        labels = labels if become is None else np.frombuffer(become, np.uint8)[labels]
        written.append(out / f"{photo.stem}.png")
        save_mask(written[-1], labels)
        if overlays:
            colours = np.array(palette(), np.uint8).reshape(-1, 3)[labels]
            shown = np.where(labels[..., None] > 0, (image * 0.5 + colours * 0.5).astype(np.uint8), image)
            Image.fromarray(shown).save(out / f"{photo.stem}-overlay.jpg", quality=90)
    return written


def _best(q: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """argmax over the classes of q (C + 1, h, w), put up bilinearly to size; one class at a time: a telephone's photograph is 1 GB of q."""
    best, labels = torch.full(size, -1.0), torch.zeros(size, dtype=torch.uint8)
    for c, values in enumerate(q):
        values = F.interpolate(values[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
        labels[values > best] = c
        best = torch.maximum(best, values)
    return labels.numpy()


def write_submission(run: Run, out: Path, split: str = "test", name: str = NETWORK) -> Path:
    """OUT/results/VOC2012/Segmentation/comp6_test_cls/ID.png for a list of the devkit, and OUT/results.tgz of it, as the server takes them.

    Args:
        run: a finished run on VOC; a class that it did not keep is never answered.
        out: made when missing.
        split: list of ImageSets/Segmentation.
        name: of the network.

    Returns:
        The archive.

    Raises:
        ValueError: the run is not on VOC, or as `write_answers`, and for a list that is missing or wrong.
        RunError: the run lacks the network.
    """
    s = run.settings
    if s.dataset != "voc":
        raise ValueError(f"{run.directory} was trained on {s.dataset}: the test server takes answers on VOC 2012 only")
    numbers = [0, *(voc.CLASSES.index(kept) + 1 for kept in stages.classes_of(run))]
    become = bytes(numbers + [IGNORE] * (256 - len(numbers)))
    files = write_answers(run, voc.photos_of(ROOT / s.data_root, split), out / LAYOUT, overlays=False, become=become, name=name)
    with tarfile.open(out / "results.tgz", "w:gz") as archive:
        for file in files:  # not what an earlier call with another list has left
            archive.add(file, arcname=LAYOUT / file.name)
    return out / "results.tgz"
