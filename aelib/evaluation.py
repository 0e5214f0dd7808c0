"""Intersection over union, as PASCAL VOC counts it: one confusion matrix over the whole split, 255
left out."""

import numpy as np

from .masks import IGNORE


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Number of pixels of true class i (row) that were predicted as j (column).

    Args:
        truth: any shape, integers 0..classes - 1 and 255 (not counted).
        prediction: the same shape, 0..classes - 1.
        classes: with the background, C + 1.

    Returns:
        (classes, classes) int64; add them up over the images.

    Raises:
        ValueError: the shapes disagree, or a label is out of range.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"the truth's shape {truth.shape} and the prediction's {prediction.shape} disagree"
        )
    counted = truth != IGNORE
    truth = truth[counted].astype(np.int64)
    prediction = prediction[counted].astype(np.int64)
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"{name}: labels {labels.min()}..{labels.max()} found where 0..{classes - 1} (or "
                "255 in the truth) belong"
            )
    cells = np.bincount(truth * classes + prediction, minlength=classes * classes)
    return cells.reshape(classes, classes)


def iou(matrix: np.ndarray | list) -> np.ndarray:
    """Per-class intersection over union from a confusion matrix: (classes,) float64 in [0, 1], NaN
    for a class in neither the truth nor the predictions."""
    matrix = np.asarray(matrix)
    hits = np.diag(matrix).astype(float)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def part_counts(mined: np.ndarray, parts: np.ndarray, count: int) -> np.ndarray:
    """Mined pixels of each part, and all its pixels: add up over images, divide for the recall.

    mined (H, W) bool, parts (H, W) integers 0..count - 1 -> (count, 2) int64.
    """
    found = np.bincount(parts[mined], minlength=count)
    return np.stack([found, np.bincount(parts.ravel(), minlength=count)], axis=1)
