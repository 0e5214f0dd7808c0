"""What training may see (Pictures: image and image-level labels) and what it may not (Truth: mask and part map).

The two are different objects on purpose: training code is handed Pictures alone, evaluation alone asks for the Truth.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from . import creatures
from .erasing import erase
from .masks import IGNORE
from .photos import Item, Lazy, read_labels, read_photo, relabelling, size_of


@dataclass(frozen=True)
class Pictures:
    """A split as training sees it.

    Attributes:
        classes: names of the C object classes; background is not among them.
        ids: one name a picture, unique.
        images: RGB, each (H, W, 3) uint8, of any size; photographs are read from disk on access (`photos.Lazy`).
        labels: image-level labels, (n, C) bool.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    images: Sequence[np.ndarray] = field(repr=False)
    labels: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def mean_pixel(self) -> np.ndarray:
        """Mean RGB over all pixels of the split, (3,) float64 in [0, 255]: what erased pixels become."""
        total, pixels = np.zeros(3, np.int64), 0
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
        part_names: the first is what is no part. Photographs only have PHOTO_PARTS.
        object_parts: those that belong to objects.
    """

    masks: Sequence[np.ndarray] = field(repr=False)
    parts: Sequence[np.ndarray] = field(repr=False)
    part_names: tuple[str, ...]
    object_parts: tuple[str, ...]


PHOTO_PARTS = ("background", "object", "void")


@lru_cache(maxsize=4)
def _creatures(seed: int, split: str, count: int) -> list[creatures.Creature]:
    return [creatures.creature(seed, split, i) for i in range(count)]


def creature_pictures(seed: int, split: str, count: int) -> Pictures:
    """The first `count` creatures of a split, without their masks."""
    samples = _creatures(seed, split, count)
    ids = tuple(f"{split}-{i:05d}" for i in range(count))
    return Pictures(creatures.CLASSES, ids, [s.image for s in samples], np.stack([s.labels for s in samples]))


def creature_truth(seed: int, split: str, count: int) -> Truth:
    """The masks and part maps of `creature_pictures(seed, split, count)`."""
    samples = _creatures(seed, split, count)
    return Truth([s.mask for s in samples], [s.parts for s in samples], creatures.PARTS, ("head", "body", "limbs"))


def photo_pictures(items: Sequence[Item], classes: Sequence[str], longest: int) -> Pictures:
    """Photographs on disk, read on access, with image-level labels of these classes; see `aelib.voc` and `aelib.folder`."""
    labels = np.array([[name in item.labels for name in classes] for item in items], bool)
    read, size = partial(read_photo, longest=longest), partial(size_of, longest=longest)
    return Pictures(tuple(classes), tuple(item.id for item in items), Lazy(read, (item.photo for item in items), size), labels)


def fingerprint(pictures: Pictures) -> str:
    """SHA-256 over the classes and each photograph's id, labels and file size: what changes when a list, labels or photographs do.

    Not over the pixels, which would be read at every stage; results.json has a hash over those.
    """
    digest = hashlib.sha256(repr(pictures.classes).encode())
    for name, file, labels in zip(pictures.ids, pictures.images.files, pictures.labels, strict=True):
        with suppress(OSError):  # a missing file is a change, too
            digest.update(str(file.stat().st_size).encode())
        digest.update(f" {name} {labels.tolist()}\n".encode())
    return digest.hexdigest()


def photo_truth(items: Sequence[Item], classes: Sequence[str], known: Sequence[str], longest: int) -> Truth:
    """Their masks, read on access; of the known classes those that are not among `classes` become 255."""
    return _photo_truth(partial(read_labels, become=relabelling(classes, known), longest=longest), [item.mask for item in items])


def no_truth(pictures: Pictures) -> Truth:
    """For photographs without masks: all is void, so nothing is counted, and every score is NaN."""
    return _photo_truth(partial(_void, pictures.images.size), pictures.images.files)


def _photo_truth(read: Callable[[Path], np.ndarray], files: Sequence[Path]) -> Truth:
    return Truth(Lazy(read, files), Lazy(partial(_photo_parts, read), files), PHOTO_PARTS, ("object",))


def _photo_parts(read: Callable[[Path], np.ndarray], file: Path) -> np.ndarray:
    mask = read(file)
    return ((mask > 0) + (mask == IGNORE).astype(np.uint8)).astype(np.uint8)


def _void(size: Callable[[Path], tuple[int, int]], photo: Path) -> np.ndarray:
    return np.full(size(photo), IGNORE, np.uint8)


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


class TrainingSet(Dataset):
    """Pictures of one size for fit(): image and label map, mirrored together at random, and whatever else belongs to the picture.

    Args:
        pictures: the split.
        target: target(i) -> tensors of picture i that need no geometry (image-level labels, confidences).
        fill: mean pixel of the training set, (3,) in [0, 1]: what erased pixels become.
        gone: gone(i) -> regions to erase from picture i, (C, H, W) bool; None where nothing is. Nothing erased is ever written to a file.
        masks: label maps, each (H, W) uint8; None where there is nothing to segment.
    """

    def __init__(
        self,
        pictures: Pictures,
        target: Callable[[int], tuple[Tensor, ...]],
        *,
        fill: Tensor,
        gone: Callable[[int], Tensor] | None = None,
        masks: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.pictures, self.target, self.fill, self.gone, self.masks = pictures, target, fill, gone, masks

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        image = to_tensor(self.pictures.images[i])
        parts = [image if self.gone is None else erase(image, self.gone(i), self.fill)]
        if self.masks is not None:
            parts.append(torch.from_numpy(self.masks[i]))
        if torch.rand(()) < 0.5:
            parts = [part.flip(-1) for part in parts]
        return *parts, *self.target(i)
