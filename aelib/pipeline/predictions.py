"""Answers for new photographs, each for itself: a bad file is reported, the others are answered."""

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from os.path import exists, isdir, isfile, samefile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..datasets.base import Lazy
from ..datasets.photos import palette, read_photo, save_mask
from ..support.errors import InputError
from ..support.files import plain
from . import stages
from .answers import NETWORK, full_size
from .run import Run


class Prediction(NamedTuple):
    """What a run answers for one photograph.

    Attributes:
        photo: its file.
        overlay: the file of the photograph with the answer in colour; the label map is beside it.
        shares: class -> share of the photograph's pixels, in (0, 1]; empty: all is background.
        confidences: class -> v in [0, 1], for every class of the run.
        note: what else should be known; mostly "".
    """

    photo: Path
    overlay: Path
    shares: dict[str, float]
    confidences: dict[str, float]
    note: str


def predict(
    run: Run, photos: Sequence[Path], out: Path, name: str = NETWORK
) -> Iterator[Prediction | InputError]:
    """Write OUT/ID.png, each photograph's label map, and OUT/ID-overlay.jpg, in colour over it.

    Both have the photograph's own size. The network sees it reduced to longest_side, as in
    training; what the CRF returns for that is resized bilinearly.

    Args:
        photos: files as for `photos.read_photo`; ID is the name without suffix.
        out: made when missing; files of these names in it are replaced.
        name: of the network, as in results.json.

    Yields:
        What was answered, or what is wrong with the photograph; those that cannot be read first.

    Raises:
        InputError: OUT cannot be written. RunError: the run lacks the network. Both before any
            photograph is answered.
    """
    stages.network(run, name)
    _refuse_unwritable(out)
    good = []
    for photo in photos:
        problem = _problem(photo, good) or _overwrites(photo, photos, out)
        if problem:
            yield InputError(problem)
        else:
            good.append(photo)
    images = Lazy(partial(read_photo, longest=run.settings.longest_side), good)
    if good:
        confidences = stages.confidences(run, images)
        answers = stages.answer(run, images, name, confidences)
        for photo, q, v in zip(good, answers, confidences.tolist(), strict=True):
            try:
                yield _written(run, photo, q, v, out)
            except OSError as error:  # a folder of the answer's name, a full disk
                yield InputError(f"{photo}: its answer cannot be written ({error})")


def _written(run: Run, photo: Path, q: np.ndarray, v: list[float], out: Path) -> Prediction:
    classes, image = stages.classes_of(run), read_photo(photo)
    labels = full_size(q, image.shape[:2])
    label_map, overlay = _answers(photo, out)
    save_mask(label_map, labels)
    Image.fromarray(_painted(image, labels)).save(overlay, quality=90)
    shares = np.bincount(labels.ravel(), minlength=len(classes) + 1)[1:] / labels.size
    found = {name: float(share) for name, share in zip(classes, shares, strict=True) if share}
    return Prediction(photo, overlay, found, dict(zip(classes, v, strict=True)), _note(photo))


def _answers(photo: Path, out: Path) -> tuple[Path, Path]:
    """The files of the label map and of the overlay."""
    return out / f"{photo.stem}.png", out / f"{photo.stem}-overlay.jpg"


def _painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The photograph, (H, W, 3) uint8, with objects half in the colours of their labels."""
    colours = np.array(palette(), np.uint8).reshape(-1, 3)[labels]
    mixed = (image.astype(np.uint16) + colours) // 2  # in floats 50 million pixels take 4 GB
    return np.where(labels[..., None] > 0, mixed.astype(np.uint8), image)


def _note(photo: Path) -> str:
    with Image.open(photo) as image:
        frames = getattr(image, "n_frames", 1)
    return f"the first of {frames} frames" if frames > 1 else ""


def _refuse_unwritable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            return
    except OSError as error:
        what = f"{out} cannot be written ({error.strerror})"
        raise InputError(f"{what}: name another folder with --out") from error


def _problem(photo: Path, good: Sequence[Path]) -> str:
    """What is wrong with a photograph or its name; "" if nothing is."""
    # os.path: Path.is_dir raises for a name too long, or behind a folder that one may not enter
    if isdir(photo):
        return f"{photo} is a folder: give the pictures in it, such as {photo / '*.jpg'}"
    # some disks take Cat and cat for one name
    same = [other for other in good if other.stem.casefold() == photo.stem.casefold()]
    if same:
        return f"{photo}: its answer would replace that of {same[0]}, which has the same name"
    if not plain(photo.stem):
        return f"{photo}: {photo.stem!r} is no plain name for its answer"
    if exists(photo) and not isfile(photo):  # reading a pipe would never end
        return f"{photo} is no file"
    try:
        read_photo(photo)
    except FileNotFoundError:
        return f"{photo} is missing"
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{photo} cannot be read ({error.strerror})"
    return ""


def _overwrites(photo: Path, photos: Sequence[Path], out: Path) -> str:
    """Which of the photographs its answer would overwrite, also through a link; "" if none."""
    there = [answer for answer in _answers(photo, out) if exists(answer)]
    for other in photos if there else ():
        if exists(other) and any(samefile(answer, other) for answer in there):
            return f"{other} would be overwritten by an answer: name another folder with --out"
    return ""
