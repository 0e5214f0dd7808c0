"""The checks of exercises 4 and 5 (sheet 01): delta, swept on the training pictures."""

from functools import lru_cache
from typing import Any

import numpy as np

from ...evaluation import confusion
from ...pipeline import stages
from ...pipeline.run import Run
from . import say

PICTURES = 200  # the first of a split
SWEPT = tuple(k / 10 for k in range(1, 10))
GOOD = 0.01  # IoU: that much below the best is as good as the best
SAME = 0.003  # IoU: two sweeps of one split on two processors

# --- exercise 4: the delta of the best IoU on train -----------------------------------------------


def check_delta(run: Run, prediction: float, scores: dict[float, float], delta: float) -> None:
    """A guess; the IoU on train at 0.1, 0.2 ... 0.9; the delta that is best by it."""
    say.all_given(prediction=prediction, scores=scores, delta=delta)
    say.one_number("prediction", prediction, 0, 1)
    say.one_number("delta", delta, 0.01, 0.99)
    if not isinstance(scores, dict):
        say.wrong("scores", f"this must be a dict, {{0.1: IoU, 0.2: IoU, ...}}, not {scores!r:.40}")
    typed = {round(say.one_number("a delta of scores", key), 3): scores[key] for key in scores}
    missing = [key for key in SWEPT if key not in typed]
    if missing:
        say.wrong("scores", f"there is no IoU for delta {missing[0]:g}")
    _check_sweep(run, [say.one_number(f"scores[{key:g}]", typed[key]) for key in SWEPT])
    here = region_scores(run, "train", float(delta))
    best = max(region_scores(run, "train", key)["IoU"] for key in SWEPT)
    below = best - here["IoU"]
    if below > GOOD:
        words = f"{100 * here['IoU']:.1f} % on train, {100 * below:.1f} points below the best"
        cost = f"precision is {here['precision']:.0%} there, recall {here['recall']:.0%}"
        say.wrong(f"delta {delta:g}", f"IoU {words}: {cost}")


def _check_sweep(run: Run, found: list[float]) -> None:
    right = [region_scores(run, "train", key)["IoU"] for key in SWEPT]
    if _near(found, right):
        return
    if _near(found, 100 * np.array(right), 100 * SAME):
        say.wrong("scores", "these are in per cent; answer in [0, 1]")
    for what in ("precision", "recall", "mIoU"):
        if _near(found, [region_scores(run, "train", key)[what] for key in SWEPT]):
            say.wrong("scores", f"this is the regions' {what}; take their IoU")
    for what in ("IoU", "precision", "mIoU"):
        if _near(found, [region_scores(run, "val", key)[what] for key in SWEPT]):
            say.wrong("scores", "these are val's: a threshold is chosen on train")
    if _near(found, [region_scores(run, "train", key, "share")["IoU"] for key in SWEPT]):
        say.wrong("scores", "this reads delta as `share`; take the rule `max`")
    first = int(np.argmax(~np.isclose(found, right, rtol=0, atol=SAME)))
    say.wrong("scores", f"the IoU on train at delta {SWEPT[first]:g} is not {found[first]:.4f}")


def _near(found: Any, right: Any, tolerance: float = SAME) -> bool:
    return np.allclose(found, right, rtol=0, atol=tolerance)


# --- exercise 5: two readings of one area ---------------------------------------------------------

MAX_DELTA = 0.2
CLOSE = 0.02  # of the area


def check_share(run: Run, delta_share: float) -> None:
    """The delta at which `share` covers as much of the training pictures as `max` at 0.2."""
    value = say.one_number("delta_share", delta_share, 1e-4, 0.9999)
    wanted = region_scores(run, "train", MAX_DELTA)["area"]
    here = region_scores(run, "train", value, "share")["area"]
    if abs(here / wanted - 1) <= CLOSE:
        return
    covers = f"share {value:.4g} covers {here:.1%} of the pictures, max 0.2 covers {wanted:.1%}"
    why = "go higher" if here < wanted else "go lower"
    if abs(value - MAX_DELTA) < 1e-3:
        why = "one number, two readings; the same delta is not the same area"
    elif abs(value / wanted - 1) < 0.01:
        why = "that is the area of all classes together, and each class takes its own share"
    say.wrong("delta_share", f"{covers}: {why}")


# --- regions and their scores, picture by picture -------------------------------------------------


@lru_cache(maxsize=8)
def _maps(run: Run, split: str) -> tuple[np.ndarray, ...]:
    """The CAMs of step 1, (C, H, W) each."""
    images = stages.pictures(run, split).images[:PICTURES]
    return tuple(maps.numpy() for maps in stages.cams(run, images))


@lru_cache(maxsize=256)
def region_scores(run: Run, split: str, delta: float, rule: str = "max") -> dict[str, float]:
    """Precision, recall and IoU of regions; mIoU with the background; area, a share of pixels."""
    labels, masks = stages.pictures(run, split).labels, stages.truth(run, split).masks
    matrix, pixels, covered = 0, 0, 0
    for maps, here, mask in zip(
        _maps(run, split), labels[:PICTURES], masks[:PICTURES], strict=True
    ):
        answer = _regions(maps, here, delta, rule)
        matrix = matrix + confusion(mask, answer, len(maps) + 1)
        pixels += answer.size
        covered += np.count_nonzero(answer)
    right = np.diag(matrix)
    claimed, true = matrix.sum(axis=0), matrix.sum(axis=1)
    hits = right[1:].sum()
    union = claimed[1:].sum() + true[1:].sum() - hits
    by_label = right / np.maximum(claimed + true - right, 1)
    return {
        "precision": hits / max(claimed[1:].sum(), 1),
        "recall": hits / true[1:].sum(),
        "IoU": hits / union,
        "mIoU": by_label.mean(),
        "area": covered / pixels,
    }


def _regions(maps: np.ndarray, present: np.ndarray, delta: float, rule: str) -> np.ndarray:
    """A label map: c + 1 where class c's map is high, the first class on top."""
    answer = np.zeros(maps.shape[1:], np.uint8)
    for c in reversed(np.flatnonzero(present)):
        threshold = _threshold(maps[c], delta, rule)
        answer[maps[c] > max(threshold, 0)] = c + 1
    return answer


def _threshold(one: np.ndarray, delta: float, rule: str) -> float:
    if rule == "max":
        return delta * one.max()
    return np.quantile(one, 1 - delta)
