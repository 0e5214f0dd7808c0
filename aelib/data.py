"""What training may see (Pictures: image and image-level labels) and what it may not (Truth: mask and part map).

The two are different objects on purpose: training code is handed Pictures alone, evaluation alone asks for the Truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from . import creatures
from .photos import Item, Lazy, read_labels, read_photo, relabelling


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
    """A split as evaluation sees it: masks, each (H, W) uint8 (0 background, c + 1 for class c, 255 void), and part maps, or none."""

    masks: Sequence[np.ndarray] = field(repr=False)
    parts: Sequence[np.ndarray] | None = field(default=None, repr=False)


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
    return Truth([s.mask for s in samples], [s.parts for s in samples])


def photo_pictures(items: Sequence[Item], classes: Sequence[str]) -> Pictures:
    """Photographs on disk, read on access, with image-level labels of these classes; see `aelib.voc` and `aelib.folder`."""
    labels = np.array([[name in item.labels for name in classes] for item in items], bool)
    return Pictures(tuple(classes), tuple(item.id for item in items), Lazy(read_photo, (item.photo for item in items)), labels)


def photo_truth(items: Sequence[Item], classes: Sequence[str], known: Sequence[str]) -> Truth:
    """Their masks, read on access; of the known classes those that are not among `classes` become 255."""
    return Truth(Lazy(partial(read_labels, become=relabelling(classes, known)), (item.mask for item in items)))


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


class TrainingSet(Dataset):
    """Pictures for fit(): image and label map, mirrored together at random, and whatever else belongs to the picture.

    Args:
        pictures: the split.
        target: target(i) -> tensors of picture i that need no geometry (image-level labels, confidences).
        image: image(i) -> (3, H, W) float32 tensor in [0, 1]; default the picture itself. Erasing comes in here.
        masks: label maps, each (H, W) uint8; None where there is nothing to segment.
    """

    def __init__(
        self,
        pictures: Pictures,
        target: Callable[[int], tuple[Tensor, ...]],
        image: Callable[[int], Tensor] | None = None,
        masks: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.pictures, self.target, self.masks = pictures, target, masks
        self.image = image or (lambda i: to_tensor(pictures.images[i]))

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        parts = [self.image(i)] if self.masks is None else [self.image(i), torch.from_numpy(self.masks[i])]
        if torch.rand(()) < 0.5:
            parts = [part.flip(-1) for part in parts]
        return *parts, *self.target(i)
