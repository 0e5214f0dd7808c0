"""The check of exercise 18: what training, test and CRF each give."""

from typing import Any

import numpy as np

from ...evaluation import iou
from ...pipeline.run import Run
from . import say

ROUNDED = 0.11  # a difference of two numbers that were read with one decimal
EXACT = 0.01  # a mistake is named only if it is met so closely: others come near by chance


def check_credit(
    run: Run,
    training_first: Any,
    test_first: Any,
    CRF_first: Any,
    training_last: Any,
    test_last: Any,
    CRF_last: Any,
) -> None:
    """What each of three ingredients adds in points of mIoU: first (alone), and last (to both)."""
    answers = {"training": (training_first, training_last), "test": (test_first, test_last)}
    answers["CRF"] = (CRF_first, CRF_last)
    for ingredient, pair in answers.items():
        for name, answer in zip(("first", "last"), pair, strict=True):
            say.given(f"{ingredient}_{name}", answer)
    points = _points(run)
    nothing, everything = points[frozenset()], points[frozenset(answers)]
    rows = points[frozenset({"training", "test"})] - nothing
    for ingredient, (first, last) in answers.items():
        alone = points[frozenset({ingredient})] - nothing
        rest = frozenset(answers) - {ingredient}
        added = everything - points[rest]
        typical = [
            (rows, "this is the whole gap between the paper's rows: training and test are in it"),
            (everything - nothing, "this is the gain of all three together"),
        ]
        between = [points[frozenset({ingredient, one})] - points[frozenset({one})] for one in rest]
        early = [(gain, "one of the other two is there as well") for gain in between]
        late = [(gain, "only one of the other two is there") for gain in between]
        mixed_up = [(added, "this is what it adds last"), (alone, "this is what it adds first")]
        for when, answer, right, others in (
            ("first", first, alone, [mixed_up[0], *early]),
            ("last", last, added, [mixed_up[1], *late]),
        ):
            signs = [
                (-right, "the sign: with it minus without it"),
                (right / 100, "in points, please: 100 times the difference of the mIoU"),
            ]
            _check_points(f"{ingredient}_{when}", answer, right, [*typical, *others, *signs])


def _check_points(name: str, answer: Any, right: float, hints: list[tuple[float, str]]) -> None:
    value = say.one_number(name, answer)
    if abs(value - right) > ROUNDED:
        for typical, sentence in hints:
            if abs(value - typical) <= EXACT:
                say.wrong(name, sentence)
    say.number(name, value, right, tolerance=ROUNDED)


def _points(run: Run) -> dict[frozenset[str], float]:
    """Returns mIoU on val, in points, by the set of ingredients."""
    points = {}
    for name in (f"AE-step{run.settings.object_steps}", "AE+PSL"):
        scores = run.json(f"scores-{name}", "scores.json")
        for key, matrix in scores.items():
            parts = {"training": "PSL" in name, "test": "prohibited" in key, "CRF": "crf" in key}
            used = frozenset(part for part, is_used in parts.items() if is_used)
            points[used] = 100 * float(np.nanmean(iou(matrix)))
    return points
