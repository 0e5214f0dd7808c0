"""Numbers of a whole set, counted once and read many times: what notebooks and widgets compute.

A label map holds 0 for background, c + 1 for classes[c], 255 for ignored or void. Photographs have
many sizes. They are counted reduced to CANVAS pixels (`one_size`), so their numbers are close to
those of results.json, which are counted at full size, but not the same.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..datasets.base import Truth, sizes
from ..evaluation import iou
from ..masks import IGNORE

CANVAS = 128  # pixels


def one_size(arrays: Iterable[Any], fill: float) -> np.ndarray:
    """Returns a set's pictures or maps as one array, (n, ...), of the same type.

    Photographs are reduced to at most CANVAS pixels a side: every second, third ... pixel is kept,
    so pictures, label maps and maps stay aligned. The smaller ones are filled up.

    Args:
        arrays: n of (..., H, W), or (H, W, 3) uint8; arrays, or tensors on the CPU. They are read
            one at a time.
        fill: the value beside the smaller ones; 255 for label maps.
    """
    reduced = [_reduced(np.asarray(array)) for array in arrays]
    if len({array.shape for array in reduced}) == 1:
        return np.stack(reduced)
    shape = list(reduced[0].shape)
    rows = len(shape) - (3 if _is_picture(reduced[0]) else 2)  # the axis of the rows
    shape[rows : rows + 2] = CANVAS, CANVAS
    canvas = np.full((len(reduced), *shape), fill, reduced[0].dtype)
    for whole, array in zip(canvas, reduced, strict=True):
        corner = tuple(slice(side) for side in array.shape)
        whole[corner] = array
    return canvas


def covered_share(images: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the share of `one_size`'s canvas that each picture covers, (n,) in (0, 1]."""
    whole = (np.ones(size, bool) for size in sizes(images))
    return one_size(whole, False).mean(axis=(1, 2))


def _is_picture(array: np.ndarray) -> bool:
    return array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8


def _reduced(array: np.ndarray) -> np.ndarray:
    is_picture = _is_picture(array)
    longest = max(array.shape[:2] if is_picture else array.shape[-2:])
    every = -(-longest // CANVAS)
    return array[::every, ::every] if is_picture else array[..., ::every, ::every]


class Tally:
    """Counts the pixels of a set by (true label, part, predicted label), for any prediction.

    Args:
        truth: masks and part maps of n pictures.
        classes: names of the C classes.
    """

    def __init__(self, truth: Truth, classes: Sequence[str]) -> None:
        labels, parts = len(classes) + 1, len(truth.part_names)
        self.shape = (labels + 1, parts, labels)
        masks = one_size(truth.masks, IGNORE).astype(np.intp)
        masks[masks == IGNORE] = labels
        self.cells = (masks * parts + one_size(truth.parts, 0)) * labels

    def __call__(self, prediction: np.ndarray, chosen: Any = slice(None)) -> np.ndarray:
        """Returns (C + 2, parts, C + 1) int64, void truth last, over the `chosen` pictures.

        Args:
            prediction: (n, H, W) uint8, 0..C.
            chosen: an index of the n pictures.
        """
        cells = self.cells[chosen] + prediction[chosen]
        return np.bincount(cells.ravel(), minlength=np.prod(self.shape)).reshape(self.shape)


def region_scores(counts: np.ndarray, c: int | None = None) -> dict[str, float]:
    """Returns precision, recall and IoU of regions, in [0, 1], pixels pooled.

    A pixel is right in a region of its own class. Precision is right / in a region, recall
    right / object, IoU right / (in a region + object - right); NaN where the divisor is 0.

    Args:
        counts: of a `Tally`.
        c: one class, 0..C - 1, or None for all of them.
    """
    matrix = counts[:-1].sum(axis=1)
    which = slice(1, None) if c is None else slice(c + 1, c + 2)
    right = np.diag(matrix)[which].sum()
    claimed, objects = matrix[:, which].sum(), matrix[which].sum()
    return {
        "precision": share(right, claimed),
        "recall": share(right, objects),
        "IoU": share(right, claimed + objects - right),
    }


def part_recall(counts: np.ndarray, c: int | None = None) -> np.ndarray:
    """Returns the share of each part's pixels that are in a region, (parts,) in [0, 1] or NaN.

    Args:
        counts: of a `Tally`.
        c: one class, 0..C - 1: only its own objects, what belongs to no object, and its own
            regions count. None for all classes.
    """
    if c is None:
        rows, columns = slice(None), slice(1, None)
    else:
        rows, columns = [0, c + 1], slice(c + 1, c + 2)
    of_parts = counts[rows].sum(axis=0)
    found, total = of_parts[:, columns].sum(axis=1), of_parts.sum(axis=1)
    return np.array([share(*pair) for pair in zip(found, total, strict=True)])


def mean_iou(matrix: np.ndarray) -> float:
    """Returns the mean IoU over the labels that occur, background among them; NaN if none does.

    Args:
        matrix: a confusion matrix, (C + 1, C + 1).
    """
    values = iou(matrix)
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))


def share(part: float, whole: float) -> float:
    """Returns part / whole, NaN if whole is 0."""
    return float(part / whole) if whole else float("nan")
