"""The checks of sheet 05: a mean-field step by hand (19), and the CRF's width of colour (19b)."""

from collections.abc import Callable
from functools import cache
from math import exp
from typing import Any

import numpy as np

from ...crf import HAVE_LATTICE
from ...pipeline.run import Run
from . import say
from .scores import scores_of

# --- exercise 19: one mean-field step -------------------------------------------------------------

GREY = (40.0, 40.0, 60.0, 200.0, 200.0)
P = (0.9, 0.7, 0.4, 0.2, 0.1)  # of "object"; "background" has the rest
SXY = 2.0
WEIGHT = 2.0
SIDES = ("object", "background")


def check_sides(side_at_13: str, side_at_1000: str) -> None:
    """On which side of 0.5 the middle one of the five pixels ends."""
    for srgb, answer in ((13, side_at_13), (1000, side_at_1000)):
        name = f"side_at_{srgb}"
        say.one_of(name, answer, SIDES)
        middle = _step(P, GREY, srgb)[2]
        if answer != SIDES[int(middle < 0.5)]:
            alike = "at 1000 all colours are alike: who votes for the middle pixel then?"
            apart = "at 13 pixels 140 grey levels away have no vote: who is left?"
            say.wrong(name, alike if srgb == 1000 else apart)


def check_one_step(one_step: Callable[[np.ndarray, np.ndarray, float], np.ndarray]) -> None:
    """one_step(p (n,), grey (n,), srgb) -> Q of "object", (n,), after one mean-field step."""
    for srgb in (13.0, 1000.0):
        _check_one_step(one_step, np.array(P), np.array(GREY), srgb, f"at srgb {srgb:g}")
    rng = np.random.default_rng(1905)
    for count in (4, 7, 12):
        # each grey level has two pixels or more, so that nobody is without a relative
        levels = rng.integers(0, 256, 3)[np.arange(count) % (2 if count < 6 else 3)]
        grey = (levels + rng.uniform(-5, 5, count)).clip(0, 255)
        p, srgb = rng.uniform(0.05, 0.95, count), float(rng.uniform(10, 60))
        words = f"on {count} random pixels at srgb {srgb:.0f}"
        _check_one_step(one_step, p, grey, srgb, words)


def _check_one_step(
    one_step: Callable, p: np.ndarray, grey: np.ndarray, srgb: float, words: str
) -> None:
    name = f"one_step {words}"
    found = say.call(name, one_step, p, grey, srgb)
    hints = []
    for mistake, sentence in _MISTAKES.items():
        hints.append((_step(p, grey, srgb, mistake), sentence))
    say.same(name, found, _step(p, grey, srgb), 1e-4, hints)


_MISTAKES = {
    "self": "a pixel votes for itself; leave j = i out of the sum",
    "unnormalised": "Q is not renormalised: the two labels of a pixel must sum to 1",
    "K": "the weights of a pixel's voters must sum to 1: divide each row of K by its sum",
    "columns": "K is divided by the sums of its columns; row i holds the weights of i's voters",
    "sum": "p and exp(weight votes) are added; they must be multiplied",
    "votes alone": "p is missing: Q is p times exp(weight votes), renormalised",
    "votes": "these are the votes; they still go into p exp(weight votes)",
    "weight": "the weight 2 of the votes is missing",
    "two": "the exponent lacks the 2 of 2 s^2",
    "place": "colour plays no part in the kernel",
    "colour": "place plays no part in the kernel",
    "background": "these are the values of background; return those of object",
    "twice": "these are two steps; make one",
}


def _step(p: Any, grey: Any, srgb: float, mistake: str = "") -> np.ndarray:
    """Returns Q of "object" after one step, (n,), pixel by pixel; or what a mistake makes of it."""
    n = len(p)
    K = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            if i != j or mistake == "self":
                two = 1 if mistake == "two" else 2
                place = 0 if mistake == "colour" else (i - j) ** 2 / (two * SXY**2)
                colour = 0 if mistake == "place" else (grey[i] - grey[j]) ** 2 / (two * srgb**2)
                K[i][j] = exp(-place - colour)
    rows = [sum(row) for row in K]
    columns = [sum(row[j] for row in K) for j in range(n)]
    Q = []
    for i in range(n):
        votes = [0.0, 0.0]
        for j in range(n):
            total = {"K": 1.0, "columns": columns[j]}.get(mistake, rows[i])
            votes[0] += K[i][j] / total * p[j]
            votes[1] += K[i][j] / total * (1 - p[j])
        weight = 1 if mistake == "weight" else WEIGHT
        pair = [p[i] * exp(weight * votes[0]), (1 - p[i]) * exp(weight * votes[1])]
        if mistake == "sum":
            pair = [p[i] + exp(weight * votes[0]), 1 - p[i] + exp(weight * votes[1])]
        if mistake == "votes alone":
            pair = [exp(weight * vote) for vote in votes]
        share = pair[0] / sum(pair)
        by_mistake = {"unnormalised": pair[0], "votes": votes[0], "background": 1 - share}
        Q.append(by_mistake.get(mistake, share))
    if mistake == "twice":
        return _again(p, Q, K, rows)
    return np.array(Q)


def _again(p: Any, Q: list[float], K: list[list[float]], rows: list[float]) -> np.ndarray:
    votes = np.array(K) / np.array(rows)[:, None] @ np.array(Q)
    pair = np.array(p) * np.exp(WEIGHT * votes), (1 - np.array(p)) * np.exp(WEIGHT * (1 - votes))
    return pair[0] / (pair[0] + pair[1])


# --- exercise 19b: the width of colour ------------------------------------------------------------

PICTURES = 20 if HAVE_LATTICE else 4  # the first of the training split, as on the sheet's board
TRIED = (5.0, 8.0, 13.0, 20.0, 40.0)
GOOD = 0.01  # mIoU: that much below the best is as good as the best


def check_srgb(run: Run, prediction: float, srgb: float) -> None:
    """A guess made first, and the bilateral srgb of the best mIoU on training pictures."""
    say.one_number("prediction", prediction, 0.1, 1000)
    value = say.one_number("srgb", srgb, 0.1, 1000)
    by_value = _swept(run)
    best = max(by_value, key=by_value.get)
    mine = _scored(run, value)
    below = by_value[best] - mine
    if below <= GOOD:
        scores = say.listed(
            [f"{100 * score:.1f} % at {tried:g}" for tried, score in by_value.items()]
        )
        print(f"mIoU on the training pictures that the check used: {scores}")
        return
    wide = "too wide: colours on both sides of an edge are taken for alike"
    narrow = "too narrow: pixels of one coat are no longer alike, and noise stays"
    why = wide if value > best else narrow
    points = f"{100 * below:.1f} points below the best that was tried"
    say.wrong(f"srgb {value:g}", f"{100 * mine:.1f} % on training pictures, {points}; it is {why}")


def _scored(run: Run, srgb: float) -> float:
    return scores_of(run, "train", PICTURES)("crf", {"bilateral_srgb": srgb})


@cache
def _swept(run: Run) -> dict[float, float]:
    values = say.listed([f"{value:g}" for value in TRIED])
    print(f"The check tries {values} on {PICTURES} pictures: a minute or so, the first time only.")
    return {value: _scored(run, value) for value in TRIED}
