"""Moving a threshold over a whole set: delta, the background threshold, prohibition at test.

Each class does the costly part once; a call with another threshold then answers at once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..evaluation import confusion
from ..masks import IGNORE, as_prediction, merge
from .tallies import one_size, share

OUTSIDE = -1.0  # where a photograph does not reach on its canvas: no map is below 0
BLOCK = 4096  # pixels


# --- regions at any delta --------------------------------------------------------------------


class _ClassMaps(NamedTuple):
    """The maps of one class, for the m pictures that show it, a row each."""

    pictures: np.ndarray  # their indices, (m,)
    values: np.ndarray  # (m, H * W) in [0, 1], or OUTSIDE
    ordered: np.ndarray  # the same, each row sorted
    outside: np.ndarray  # how many of a row are OUTSIDE, (m,)


class RegionsAtDelta:
    """`erasing.discriminative_regions` of a set at any delta, read as `masks.as_prediction`.

    Args:
        maps: normalised CAMs, n of (C, H, W) in [0, 1].
        labels: image-level labels, (n, C) bool.
    """

    def __init__(self, maps: Any, labels: np.ndarray) -> None:
        maps = one_size(maps, OUTSIDE).astype(np.float32, copy=False)
        count, classes, height, width = maps.shape
        self.shape = (count, height, width)
        self.by_class = []
        for c in range(classes):
            pictures = np.flatnonzero(labels[:, c])
            values = maps[pictures, c].reshape(len(pictures), height * width)
            ordered = np.sort(values, axis=1)
            outside = (ordered == OUTSIDE).sum(axis=1)
            self.by_class.append(_ClassMaps(pictures, values, ordered, outside))

    def __call__(self, delta: float, rule: str) -> np.ndarray:
        """Returns (n, H, W) uint8, 0 background, c + 1.

        Args:
            delta: in (0, 1).
            rule: one of erasing.RULES.
        """
        count, height, width = self.shape
        prediction = np.zeros((count, height * width), np.uint8)
        # the first class comes last: it wins a tie
        for c, maps in reversed(list(enumerate(self.by_class))):
            if rule == "max":
                threshold = delta * maps.ordered[:, -1]
            else:
                threshold = _quantile(maps.ordered, 1 - delta, maps.outside)
            region = maps.values > np.maximum(threshold, 0)[:, None]
            before = prediction[maps.pictures]
            prediction[maps.pictures] = np.where(region, np.uint8(c + 1), before)
        return prediction.reshape(self.shape)


def _quantile(ordered: np.ndarray, q: float, skip: np.ndarray) -> np.ndarray:
    """Returns torch.quantile of sorted rows, bit for bit, each without its first `skip` values."""
    rank = np.float32(q) * (ordered.shape[1] - 1 - skip).astype(np.float32)
    rows, floor, ceiling = np.arange(len(ordered)), np.floor(rank), np.ceil(rank)
    low = torch.from_numpy(ordered[rows, skip + floor.astype(int)])
    high = torch.from_numpy(ordered[rows, skip + ceiling.astype(int)])
    return low.lerp(high, torch.from_numpy(rank - floor)).numpy()


# --- S under any merge rule ------------------------------------------------------------------


def mined_wins(
    regions: np.ndarray, saliency: np.ndarray, background_threshold: float
) -> np.ndarray:
    """`masks.merge`, but a pixel mined by one class keeps its class where saliency is low."""
    S = merge(regions, saliency, background_threshold)
    single = regions.sum(axis=0) == 1
    return np.where(single, regions.argmax(axis=0) + 1, S).astype(np.uint8)


def low_saliency_wins(
    regions: np.ndarray, saliency: np.ndarray, background_threshold: float
) -> np.ndarray:
    """`masks.merge`, but low saliency is background, mined or not."""
    S = merge(regions, saliency, background_threshold)
    return np.where(saliency < background_threshold, 0, S).astype(np.uint8)


MERGE_RULES = {
    "as reported: doubtful is ignored": merge,
    "mined wins over low saliency": mined_wins,
    "low saliency wins over mined": low_saliency_wins,
}


class PseudoMaskQuality:
    """How much of S is right over a set, at any threshold and under any rule for single pixels.

    To such a rule there are few kinds of pixels: claimed by no class, by one of the C, or by
    several; and of low saliency or not. So the set's pixels are counted by kind and true label,
    and the rule is applied to a picture with one pixel of each kind.

    Args:
        saliency: n of (H, W) uint8, 255 for 1.
        mined: n of (C, H, W) bool.
        masks: n of (H, W) uint8, 0..C, 255 void: not counted.
    """

    def __init__(
        self,
        saliency: Sequence[np.ndarray],
        mined: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
    ) -> None:
        self.classes = len(mined[0])
        self.kinds = self.classes + (2 if self.classes > 1 else 1)
        kinds = one_size(map(self._kinds_of, mined), 0)
        truth = one_size(masks, IGNORE)
        salience = one_size(saliency, 255) / 255
        counted = truth != IGNORE
        # sorted, the pixels of low saliency are the first k: whole blocks and a rest
        order = np.argsort(salience[counted])
        self.saliency = salience[counted][order]
        cells = kinds[counted].astype(np.uint16) * (self.classes + 1) + truth[counted]
        self.cells = cells[order]
        starts = range(0, len(self.cells), BLOCK)
        blocks = [self._count(self.cells[start : start + BLOCK]) for start in starts]
        nothing = self._count(self.cells[:0])
        self.before = np.cumsum([nothing, *blocks], axis=0)  # counts before each block

    def __call__(
        self, background_threshold: float, rule: Callable[..., np.ndarray] = merge
    ) -> dict[str, float]:
        """Returns shares in [0, 1], or NaN.

        "labelled" is of all pixels; "foreground" and "background" are, of what is labelled so,
        what is right; "objects" is the share of the objects' pixels that is labelled right.
        """
        low = self._low(background_threshold)
        counts = np.stack([low, self.before[-1] - low])  # (low or not, kinds, true labels)
        regions, saliency = self._one_of_each_kind()
        label = rule(regions, saliency, background_threshold)  # (low or not, kinds)
        ignored = label == IGNORE
        given = np.where(ignored, 0, label).astype(int)
        right = np.take_along_axis(counts, given[..., None], axis=2)[..., 0]
        right[ignored] = 0
        pixels = counts.sum(axis=2)
        background, foreground = label == 0, (label != 0) & ~ignored
        return {
            "labelled": share(pixels[~ignored].sum(), pixels.sum()),
            "foreground": share(right[foreground].sum(), pixels[foreground].sum()),
            "background": share(right[background].sum(), pixels[background].sum()),
            "objects": share(right[foreground].sum(), counts[..., 1:].sum()),
        }

    def _kinds_of(self, regions: np.ndarray) -> np.ndarray:
        """Returns (H, W): 0 claimed by none, c + 1 by class c, C + 1 by several."""
        several = regions.sum(axis=0) > 1
        return np.where(several, self.classes + 1, as_prediction(regions))

    def _one_of_each_kind(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns regions (C, 2, kinds) and saliency (2, kinds), under and over any threshold."""
        claimed = np.eye(self.kinds, self.classes, -1, dtype=bool)
        if self.classes > 1:
            claimed[-1, :2] = True
        regions = np.stack([claimed.T] * 2, axis=1)
        return regions, np.repeat([[-1.0], [2.0]], self.kinds, axis=1)

    def _low(self, background_threshold: float) -> np.ndarray:
        """Returns the counts of the pixels of low saliency, (kinds, C + 1)."""
        threshold = self.saliency.dtype.type(background_threshold)
        k = np.searchsorted(self.saliency, threshold)
        block = k // BLOCK
        return self.before[block] + self._count(self.cells[block * BLOCK : k])

    def _count(self, cells: np.ndarray) -> np.ndarray:
        shape = (self.kinds, self.classes + 1)
        return np.bincount(cells, minlength=np.prod(shape)).reshape(shape)


# --- prohibition at test ---------------------------------------------------------------------


class Prohibited:
    """A set's confusion matrix and removals at any test-time threshold on v.

    A picture has only C + 1 different answers, one for each number of classes removed in the
    order of v. The confusion matrix of each is counted once; any threshold is a sum of them.

    Args:
        probabilities: n of (C + 1, H, W), background first, array or tensor.
        v: image-level confidences, (n, C) in [0, 1].
        masks: n of (H, W) uint8, 0..C, 255 void.
    """

    def __init__(
        self, probabilities: Sequence[Any], v: np.ndarray, masks: Sequence[np.ndarray]
    ) -> None:
        self.v = v
        labels = v.shape[1] + 1
        in_mask = [[(mask == c).any() for c in range(1, labels)] for mask in masks]
        self.in_mask = np.array(in_mask)
        self.matrices = np.zeros((len(v), labels, labels, labels), np.int64)
        for i, (f, mask) in enumerate(zip(probabilities, masks, strict=True)):
            left = np.array(f, copy=True)
            self.matrices[i, 0] = confusion(mask, left.argmax(axis=0), labels)
            for removed, c in enumerate(np.argsort(v[i], kind="stable"), start=1):
                left[c + 1] = 0
                self.matrices[i, removed] = confusion(mask, left.argmax(axis=0), labels)

    def __call__(self, threshold: float) -> tuple[np.ndarray, int, int]:
        """Returns the confusion matrix and how many classes are removed rightly, and wrongly.

        The matrix is (C + 1, C + 1). A class is removed rightly where the mask does not have it.
        """
        removed = self.v < threshold
        pictures = np.arange(len(self.v))
        matrix = self.matrices[pictures, removed.sum(axis=1)].sum(axis=0)
        return matrix, int((removed & ~self.in_mask).sum()), int((removed & self.in_mask).sum())
