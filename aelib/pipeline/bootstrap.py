"""How sure a score is, by the bootstrap: had the split held other pictures of the same kind."""

import numpy as np

from ..evaluation import iou

DRAWS = 1000
LEVEL = 0.95


def intervals(
    confusions: np.ndarray, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> np.ndarray:
    """Percentile intervals of each class's IoU and of their mean, over pictures drawn anew.

    As many pictures as there are, with replacement, their matrices added up (Efron, "Bootstrap
    methods", 1979). What another training would change is not in them: that is what seeds are for.

    Args:
        confusions: one matrix a picture, (n, C + 1, C + 1); see `evaluation.confusion`.
        level: share of the draws that lie within.

    Returns:
        (C + 2, 2) in [0, 1], the mIoU's last; NaN for a class that no draw has.
    """
    count, classes = confusions.shape[:2]
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count))
    times = np.stack([np.bincount(pictures, minlength=count) for pictures in drawn])
    sums = times @ confusions.reshape(count, -1).astype(np.int64)
    values = np.stack([iou(matrix.reshape(classes, classes)) for matrix in sums])
    means = np.ma.masked_invalid(values).mean(axis=1).filled(np.nan)
    ends = [50 * (1 - level), 50 * (1 + level)]
    return np.stack([_percentiles(column, ends) for column in [*values.T, means]])


def _percentiles(values: np.ndarray, ends: list[float]) -> np.ndarray:
    """The percentiles of the values that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return np.percentile(known, ends) if known.size else np.full(2, np.nan)
