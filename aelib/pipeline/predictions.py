"""Answers for new photographs, each for itself: a bad file is reported, the others are answered."""

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..datasets.base import Lazy
from ..datasets.photos import read_photo
from ..support.errors import InputError
from ..support.files import plain
from . import stages
from .answers import NETWORK, write_answer
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
    """Write OUT/ID.png and OUT/ID-overlay.jpg for each photograph, as `answers.write_answers`.

    Yields:
        What was answered, or what is wrong with the photograph; the wrong ones first.

    Raises:
        InputError: OUT cannot be written. RunError: the run lacks the network. Both before any
            photograph is answered.
    """
    stages.network(run, name)
    _refuse_unwritable(out)
    good = []
    for i, photo in enumerate(photos):
        problem = _problem(photo, photos[:i], out)
        if problem:
            yield InputError(problem)
        else:
            good.append(photo)
    images = Lazy(partial(read_photo, longest=run.settings.longest_side), good)
    if good:
        confidences = stages.confidences(run, images)
        answers = stages.answer(run, images, name, confidences)
        for photo, q, v in zip(good, answers, confidences.tolist(), strict=True):
            yield _written(run, photo, q, v, out)


def _written(run: Run, photo: Path, q: np.ndarray, v: list[float], out: Path) -> Prediction:
    classes = stages.classes_of(run)
    shares = np.bincount(write_answer(photo, q, out).ravel(), minlength=len(classes) + 1)
    shares = shares[1:] / shares.sum()
    found = {name: float(share) for name, share in zip(classes, shares, strict=True) if share}
    overlay = out / f"{photo.stem}-overlay.jpg"
    return Prediction(photo, overlay, found, dict(zip(classes, v, strict=True)), _note(photo))


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


def _problem(photo: Path, before: Sequence[Path], out: Path) -> str:
    """What is wrong with a photograph; "" if nothing is."""
    if photo.is_dir():
        return f"{photo} is a folder: give the pictures in it, such as {photo / '*.jpg'}"
    # some disks take Cat and cat for one name
    same = [other for other in before if other.stem.casefold() == photo.stem.casefold()]
    if same:
        return f"{photo}: its answer would replace that of {same[0]}, which has the same name"
    answers = (out / f"{photo.stem}.png", out / f"{photo.stem}-overlay.jpg")
    if photo.resolve() in [answer.resolve() for answer in answers]:
        return f"{photo} would be overwritten by its answer: name another folder with --out"
    if not plain(photo.stem):
        return f"{photo}: {photo.stem!r} is no plain name for its answer"
    try:
        read_photo(photo)
    except FileNotFoundError:
        return f"{photo} is missing"
    except (ValueError, OSError) as error:
        return str(error)
    return ""
