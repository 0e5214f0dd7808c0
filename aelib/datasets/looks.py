"""Looking at a photograph and its mask: what is wrong with the files, and what is in them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..masks import IGNORE
from ..support.parallel import in_order
from .found import missing
from .photos import read_label_map, read_upright

_FEW = 100  # pictures that are read sooner than processes start


class Seen(NamedTuple):
    """What was seen of a picture.

    Attributes:
        problems: all that is wrong with its files.
        size: (H, W) of the photograph, upright; None if it cannot be read.
        orientation: EXIF's, 1 to 8, that it was stored in.
        labels: those in its mask; None if there is none to be read.
        grey: whether the mask is a grey picture.
        moved: see `colours.moved`.
    """

    problems: list[str]
    size: tuple[int, int] | None = None
    orientation: int = 1
    labels: frozenset[int] | None = None
    grey: bool = False
    moved: dict[int, int] = {}  # noqa: RUF012 (never changed)


def look(photo: Path, mask: Path | None, highest: int) -> Seen:
    """Decode both, for nothing less finds a truncated file.

    Args:
        mask: a label map of the photo's size, 0..highest and 255; None if it needs none.
    """
    problems = []
    size = None
    orientation = 1
    try:
        image, orientation = read_upright(photo)
        size = image.shape[:2]
    except FileNotFoundError:
        problems.append(missing(photo))
    except ValueError as error:
        problems.append(str(error))
    if mask is None:
        return Seen(problems, size, orientation)
    try:
        found = read_label_map(mask)
    except ValueError as error:
        return Seen([*problems, str(error)], size, orientation)
    if size is not None and found.labels.shape != size:
        problems.append(f"{mask} has {_other_size(found.labels.shape, size, orientation)}")
    labels = frozenset(np.unique(found.labels).tolist())
    strange = sorted(labels - {*range(highest + 1), IGNORE})
    if strange:
        shown = ", ".join(map(str, strange[:5]))
        problems.append(f"{mask}: labels {shown} found where 0..{highest} and {IGNORE} belong")
    return Seen(problems, size, orientation, labels, found.grey, found.moved)


def faults(photo: Path, mask: Path | None, highest: int) -> list[str]:
    """All that is wrong with a photo and its mask, see `look`."""
    return look(photo, mask, highest).problems


def look_at_all(
    jobs: Sequence[tuple[Path, Path | None, int]],
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Seen]:
    """`look` at every job, in worker processes if there are many.

    Args:
        progress: called with the number of jobs done and of all.
    """
    seen = []
    workers = workers if len(jobs) > _FEW else 1
    for done, found in enumerate(in_order(look, jobs, workers), start=1):
        seen.append(found)
        if progress is not None:
            progress(done, len(jobs))
    return seen


def _other_size(found: tuple[int, int], size: tuple[int, int], orientation: int) -> str:
    (height, width), (tall, wide) = found, size
    text = f"{width} x {height} pixels (width x height), its photo {wide} x {tall}"
    if orientation >= 5:
        text += f", read upright by its EXIF orientation {orientation}: the mask must be upright"
    elif found == size[::-1]:
        text += ": is the mask transposed?"
    return text
