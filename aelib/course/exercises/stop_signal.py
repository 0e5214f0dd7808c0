"""The checks of exercises 8 and 9 (sheet 02): when an addition harms, and the stop signal."""

from collections.abc import Callable
from fractions import Fraction
from math import log

import numpy as np

from . import say

# --- exercise 8: does an addition harm? -----------------------------------------------------------


def check_harms(harms: Callable[[int, int, int, int, int], bool]) -> None:
    """harms(tp, fp, fn, a, b) -> whether adding a object pixels and b others lowers the IoU."""
    cases = _additions()
    right = [_iou(tp + a, fp + b, fn - a) < _iou(tp, fp, fn) for tp, fp, fn, a, b in cases]
    found = []
    for case in cases:
        name = "harms(tp={}, fp={}, fn={}, a={}, b={})".format(*case)
        answer = say.call(name, harms, *case)
        if np.asarray(answer).dtype.kind not in "biu" or np.size(answer) != 1:
            say.wrong(name, f"this must be True or False, and it is {answer!r:.40}")
        found.append(bool(answer))
    if found == right:
        return
    for mistake, sentence in _MISTAKES_OF_HARMS:
        if found == [bool(mistake(*case)) for case in cases]:
            say.wrong("harms", sentence)
    first = [mine != answer for mine, answer in zip(found, right, strict=True)].index(True)
    tp, fp, fn, a, b = cases[first]
    before, after = float(_iou(tp, fp, fn)), float(_iou(tp + a, fp + b, fn - a))
    wrong = sum(mine != answer for mine, answer in zip(found, right, strict=True))
    case = f"harms(tp={tp}, fp={fp}, fn={fn}, a={a}, b={b})"
    goes = f"the IoU goes from {before:.3f} to {after:.3f}"
    say.wrong(case, f"{found[first]}, but {goes}; wrong cases: {wrong} of {len(cases)}")


def _iou(tp: int, fp: int, fn: int) -> Fraction:
    return Fraction(tp, tp + fp + fn)


def _additions() -> list[tuple[int, int, int, int, int]]:
    """50 random cases, and the edges: nothing added, no change, nothing right before."""
    rng = np.random.default_rng(808)
    cases = [(6, 2, 4, 0, 0), (6, 2, 4, 2, 4), (6, 2, 4, 0, 3), (6, 2, 4, 3, 0), (0, 0, 5, 2, 9)]
    for _ in range(50):
        tp, fp, fn = (int(n) for n in rng.integers(1, 60, 3))
        a = int(rng.integers(0, fn + 1))
        cases.append((tp, fp, fn, a, int(rng.integers(0, 2 * a + 6))))
    return cases


_MISTAKES_OF_HARMS = (
    (  # the same as to hold a / (a + b) against the IoU
        lambda tp, fp, fn, a, b: Fraction(tp + a, tp + fp + fn + a + b) < _iou(tp, fp, fn),
        "a is in the denominator already, as missed pixels: don't add it, and hold a / b, not "
        "a / (a + b), against the IoU",
    ),
    (
        lambda tp, fp, fn, a, b: _iou(tp + a, fp + b, fn - a) > _iou(tp, fp, fn),
        "this says whether the addition helps; True must mean that it harms",
    ),
    (
        lambda tp, fp, fn, a, b: _iou(tp + a, fp + b, fn - a) <= _iou(tp, fp, fn),
        "an addition that leaves the IoU as it is does no harm",
    ),
    (
        lambda tp, fp, fn, a, b: a < b,
        "this asks whether more than half of the addition is object; the bar depends on the IoU",
    ),
    (
        lambda tp, fp, fn, a, b: Fraction(tp + a, tp + fp + a + b) < Fraction(tp, max(tp + fp, 1)),
        "this compares precisions; missed pixels are part of the IoU",
    ),
)


# --- exercise 9: evidence -------------------------------------------------------------------------


def check_evidence(evidence: Callable[[float, np.ndarray], float]) -> None:
    """evidence(loss, labels (n, C) bool) -> 1 - loss / (loss of always answering frequencies)."""
    rng = np.random.default_rng(909)
    for pictures, classes in ((4, 1), (10, 2), (25, 3), (40, 6)):
        labels = rng.random((pictures, classes)) < rng.uniform(0.1, 0.6, classes)
        labels[0], labels[1] = True, False  # no class is in every picture, or in none
        for loss in (0.05, 0.3, float(rng.uniform(0.9, 1.2))):
            _check_evidence(evidence, loss, labels)


def _check_evidence(evidence: Callable, loss: float, labels: np.ndarray) -> None:
    pictures, classes = labels.shape
    total = positive = 0.0  # the loss of always answering the frequencies, term by term
    for c in range(classes):
        p = sum(map(bool, labels[:, c])) / pictures
        for present in labels[:, c]:
            total -= log(p) if present else log(1 - p)
            positive -= log(p) if present else 0
    base = total / labels.size
    right = 1 - loss / base
    frequencies, p = labels.mean(axis=0), labels.mean()
    variance = np.mean(frequencies * (1 - frequencies))
    overall = -(p * log(p) + (1 - p) * log(1 - p))
    sums = "the baseline is a sum over classes; it must be a mean, as the loss is"
    half = "the baseline is log 2, the loss of always answering 0.5; answer the frequencies"
    bits = "the baseline is in bits; losses are in nats: use the natural logarithm"
    hints = [
        (1 - right, "the ratio must be subtracted from 1: a loss of 0 is evidence 1"),
        (1 - loss / total * pictures, sums),
        (1 - loss / log(2), half),
        (1 - loss / positive * labels.size, "the baseline lacks the term (1 - p) log(1 - p)"),
        (1 - (1 - right) * log(2), bits),
        (1 - loss / overall, "one frequency for all classes; each class has its own"),
        (1 - loss / variance, "the baseline is the variance p (1 - p), that of the squared error"),
        (1 - base / loss, "loss and baseline are exchanged"),
        (max(0.0, right), "evidence may be below 0: worse than the frequencies"),
        (base - loss, "this is a difference; the formula has a ratio"),
    ]
    name = f"evidence at loss {loss:.2f}, labels of shape {labels.shape}"
    say.same(name, say.call(name, evidence, loss, labels), right, 1e-4, hints)
