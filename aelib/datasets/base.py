"""Training may see Pictures (images, image-level labels); it may not see Truth (masks, part maps).

The two are different objects on purpose: training code gets Pictures alone, and only evaluation
asks for the Truth. A `DataSet` hands out both.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..masks import IGNORE
from .photos import read_labels, read_photo, size_of
from .selection import Item, relabelling
from .summary import Summary

if TYPE_CHECKING:
    from torch import Tensor

PHOTO_PARTS = ("background", "object", "void")


@dataclass(frozen=True)
class Pictures:
    """A split as training sees it.

    Attributes:
        classes: names of the C object classes; background is not among them.
        ids: one name a picture, unique.
        images: RGB, each (H, W, 3) uint8, of any size; photographs are read on access (`Lazy`).
        labels: image-level labels, (n, C) bool.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: Sequence[np.ndarray] = field(repr=False)
    labels: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, count: int) -> "Pictures":
        """The first `count` pictures."""
        kept = self.ids[:count], self.images[:count], self.labels[:count]
        return Pictures(self.classes, *kept)

    def mean_pixel(self) -> np.ndarray:
        """Mean RGB over all pixels of the split, (3,) float64 in [0, 255]."""
        total = np.zeros(3, np.int64)
        pixels = 0
        for image in self.images:  # once: they may be read from disk
            total += image.reshape(-1, 3).sum(axis=0, dtype=np.int64)
            pixels += image.shape[0] * image.shape[1]
        return total / pixels


@dataclass(frozen=True)
class Truth:
    """A split as evaluation sees it.

    Attributes:
        masks: each (H, W) uint8: 0 background, c + 1 for class c, 255 void.
        parts: part maps, each (H, W) uint8, an index into part_names.
        part_names: the first means "no part". Photographs only have PHOTO_PARTS.
        object_parts: those that belong to objects.
    """

    masks: Sequence[np.ndarray] = field(repr=False)
    parts: Sequence[np.ndarray] = field(repr=False)
    part_names: tuple[str, ...]
    object_parts: tuple[str, ...]

    def first(self, count: int) -> "Truth":
        """The masks and part maps of the first `count` pictures."""
        return Truth(self.masks[:count], self.parts[:count], self.part_names, self.object_parts)


class DataSet(Protocol):
    """What every data set offers. `split` is "train" or "val".

    Lists and labels are read once, when they are first asked for; `check` reads them anew.

    Attributes:
        classes: names of the C object classes, in order.
        has_truth: whether both splits have masks.
    """

    classes: tuple[str, ...]
    has_truth: bool

    def pictures(self, split: str) -> Pictures:
        """A split as training sees it. No mask is opened, and no label comes from one.

        Raises:
            ValueError: all that is wrong with the lists and labels; an unknown class.
        """

    def truth(self, split: str) -> Truth:
        """The masks of `pictures(split)`; all void where there are none.

        Raises:
            ValueError: as `pictures`; on access, if a mask is missing or damaged.
        """

    def check(
        self, workers: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> Summary:
        """Look for everything that is wrong, before any training; each file is decoded once.

        Args:
            workers: processes.
            progress: called with the number of pictures done and of all.

        Returns:
            What is there, with its warnings.

        Raises:
            ValueError: something is wrong; one message for all of it.
        """


class Lazy(Sequence[np.ndarray]):
    """read(file) of each file, anew on every access, so that no split is held in memory.

    A slice is Lazy too. Access raises what `read` raises.

    Args:
        read: a module's function, or worker processes cannot get it.
        files: what it reads.
        size: size(file) is (H, W) of what `read` returns, found at less cost.
    """

    def __init__(
        self,
        read: Callable[[Path], np.ndarray],
        files: Iterable[Path],
        size: Callable[[Path], tuple[int, int]] = size_of,
    ) -> None:
        self.read = read
        self.files = tuple(files)
        self.size = size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return Lazy(self.read, self.files[i], self.size)
        return self.read(self.files[i])


def sizes(images: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """(H, W) of every image or mask; of files (`Lazy`) by their headers. Raises as `size_of`."""
    if isinstance(images, Lazy):
        return [images.size(file) for file in images.files]
    return [image.shape[:2] for image in images]


def full_sizes(images: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """`sizes` of photographs upright and whole, not reduced to a longest side."""
    return sizes(Lazy(read_photo, images.files) if isinstance(images, Lazy) else images)


def to_tensor(image: np.ndarray) -> "Tensor":
    """(H, W, 3) uint8 -> (3, H, W) float32 in [0, 1]."""
    import torch  # not above: processes that read pictures need not load it

    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def photo_pictures(items: Sequence[Item], classes: Sequence[str], longest: int) -> Pictures:
    """Photographs on disk, read on access, with image-level labels of these classes."""
    labels = np.array([[name in item.labels for name in classes] for item in items], bool)
    read = partial(read_photo, longest=longest)
    size = partial(size_of, longest=longest)
    images = Lazy(read, (item.photo for item in items), size)
    return Pictures(tuple(classes), tuple(item.id for item in items), images, labels)


def photo_truth(
    items: Sequence[Item], classes: Sequence[str], known: Sequence[str], longest: int
) -> Truth:
    """Their masks, read on access; known classes that are not among `classes` become 255."""
    read = partial(read_labels, relabel=relabelling(classes, known), longest=longest)
    return _photo_truth(read, [item.mask for item in items])


def no_truth(pictures: Pictures) -> Truth:
    """For photographs without masks: all is void, so nothing counts and every score is NaN."""
    return _photo_truth(partial(_void, pictures.images.size), pictures.images.files)


def _photo_truth(read: Callable[[Path], np.ndarray], files: Sequence[Path]) -> Truth:
    parts = Lazy(partial(_photo_parts, read), files)
    return Truth(Lazy(read, files), parts, PHOTO_PARTS, ("object",))


def _photo_parts(read: Callable[[Path], np.ndarray], file: Path) -> np.ndarray:
    mask = read(file)
    return ((mask > 0) + (mask == IGNORE).astype(np.uint8)).astype(np.uint8)


def _void(size: Callable[[Path], tuple[int, int]], photo: Path) -> np.ndarray:
    return np.full(size(photo), IGNORE, np.uint8)


def fingerprint(pictures: Pictures) -> str:
    """SHA-256 over the classes and each photograph's id, labels and file size.

    It changes when a list, labels or photographs do. It is not over the pixels, which would be
    read at every stage; results.json has a hash over those.
    """
    digest = hashlib.sha256(repr(pictures.classes).encode())
    photographs = zip(pictures.ids, pictures.images.files, pictures.labels, strict=True)
    for name, file, labels in photographs:
        with suppress(OSError):  # a missing file is a change, too
            digest.update(str(file.stat().st_size).encode())
        digest.update(f" {name} {labels.tolist()}\n".encode())
    return digest.hexdigest()
