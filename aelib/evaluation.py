"""Intersection over union, as PASCAL VOC counts it: one confusion matrix over the whole split, 255 left out."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .files import plain, refuse
from .masks import IGNORE
from .photos import read_labels


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of true class i (row) that were predicted as j (column).

    Args:
        truth: any shape, integers 0..classes - 1 and 255 (not counted).
        prediction: the same shape, 0..classes - 1.
        classes: with the background, C + 1.

    Returns:
        (classes, classes) int64; sum them over the images.

    Raises:
        ValueError: shapes disagree, or a label is out of range.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"the truth's shape {truth.shape} and the prediction's {prediction.shape} disagree")
    counted = truth != IGNORE
    truth, prediction = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"{name}: labels {labels.min()}..{labels.max()} found where 0..{classes - 1} (or 255 in the truth) belong")
    return np.bincount(truth * classes + prediction, minlength=classes * classes).reshape(classes, classes)


def iou(matrix: np.ndarray | list) -> np.ndarray:
    """Per-class intersection over union from a confusion matrix: (classes,) float64; NaN for a class that is nowhere."""
    matrix = np.asarray(matrix)
    hits = np.diag(matrix).astype(float)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


def part_recall(mined: np.ndarray, parts: np.ndarray, count: int) -> np.ndarray:
    """Pixels of each part, and those of them that were mined: (count, 2) int64, to be summed over images and divided.

    Args:
        mined: (H, W) bool.
        parts: (H, W), integers 0..count - 1.
    """
    return np.stack([np.bincount(parts[mined], minlength=count), np.bincount(parts.ravel(), minlength=count)], axis=1)


def evaluate_folders(predictions: Path, masks: Path, list_file: Path, classes: int) -> dict[str, Any]:
    """mIoU of anyone's label PNGs (palette or grey) against masks.

    Args:
        predictions, masks: folders of ID.png; predictions hold 0..classes - 1, masks also 255, which is not counted.
        list_file: one ID a line.
        classes: labels, background included.

    Returns:
        {"miou", "per_class": {label: IoU or None for a label that is nowhere}, "images", "list", "matrix"}; fractions.

    Raises:
        ValueError: all that is wrong with the files, in one message, before any number is given.
    """
    if not 1 <= classes <= 255:
        raise ValueError(f"classes: {classes} is outside 1 to 255")
    try:
        ids = list_file.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise ValueError(f"{list_file} is no text file ({error}); one ID a line is needed") from error
    problems = [f"{list_file}: no id in it"] if not ids else []
    problems += [f"{list_file}: {name} is listed {count} times" for name, count in Counter(ids).items() if count > 1]
    matrix = np.zeros((classes, classes), np.int64)
    for name in ids:
        if not plain(name):
            problems.append(f"{list_file}: {name!r} is no plain id")
            continue
        try:
            matrix += confusion(read_labels(masks / f"{name}.png"), read_labels(predictions / f"{name}.png"), classes)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    refuse("of the files to evaluate are wrong", problems)
    values = [None if np.isnan(x) else float(x) for x in iou(matrix)]
    found = [x for x in values if x is not None]
    per_class = {str(label): value for label, value in enumerate(values)}
    return {"miou": sum(found) / len(found), "per_class": per_class, "images": len(ids), "list": list_file.name, "matrix": matrix.tolist()}
