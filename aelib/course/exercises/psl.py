"""Checks of sheet 4; this file has those of prohibition in training and at test (16, 17)."""

from typing import Any, NamedTuple

import numpy as np

from ...pipeline import stages
from ...pipeline.run import Run
from . import say
from .credit import check_credit
from .psl_by_hand import check_hand_loss, check_s_hat
from .psl_loss import check_psl_loss

__all__ = [
    "Survivor",
    "check_credit",
    "check_hand_loss",
    "check_losing_v",
    "check_psl_loss",
    "check_s_hat",
    "check_safe_threshold",
    "survivor",
]

# --- exercise 16 ----------------------------------------------------------------------------------

F_HAND = np.array([0.02, 0.93, 0.05])  # background, rhino, hare
V_HARE = 0.8


class Survivor(NamedTuple):
    """A training picture in which S-hat keeps a class that is not there, though v is very small.

    Attributes:
        i: its number in the training split.
        f: what the network that learned from S alone answers, (C + 1, H, W).
        v: image-level confidences, (C,).
        c: the class, 0..C - 1.
    """

    i: int
    f: np.ndarray
    v: np.ndarray
    c: int


def survivor(run: Run, pictures: int = 100) -> Survivor:
    """Returns the case with the smallest v among the first `pictures` training pictures.

    Raises:
        ValueError: prohibition removes every class that is not there.
    """
    train = stages.pictures(run, "train")
    images = train.images[:pictures]
    v = stages.confidences(run, images).numpy()
    network = stages.network(run, f"AE-step{run.settings.object_steps}")
    found = []
    for i, f in enumerate(stages.probabilities(run, network, images)):
        f = f.numpy()
        S_hat = _weighted(f, v[i]).argmax(axis=0)
        for c in np.flatnonzero(~train.labels[i]):
            if (S_hat == c + 1).any():
                found.append(Survivor(i, f, v[i], int(c)))
    if not found:
        raise ValueError(
            f"in {pictures} pictures prohibition removes every class that is not there"
        )
    return min(found, key=lambda case: case.v[case.c])


def _weighted(f: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.array([1.0, *v])[:, None, None] * f


def check_losing_v(run: Run, v_pixel: Any, v_picture: Any) -> None:
    """The v below which a class loses: at F_HAND, and at every pixel of `survivor`'s picture."""
    ground, rhino, hare = F_HAND
    test = run.settings.prohibit_threshold
    at_test = "the threshold at test; S-hat knows none, it compares products"
    zero = "a class loses before its v is 0: as soon as another product is larger"
    say.one_number("v_pixel", v_pixel, 0, 1)  # every v is a confidence
    say.number(
        "v_pixel",
        v_pixel,
        max(ground, V_HARE * hare) / rhino,
        tolerance=5e-4,
        hints=[
            (ground / rhino, "the background is not the strongest rival here"),
            (hare / rhino, "the hare's f is weighted too, by its own v"),
            (V_HARE * hare, "solve v times f of the rhino = the rival's product for v"),
            (0, zero),
            (test, at_test),
        ],
    )
    case = survivor(run)
    label = case.c + 1
    rivals = np.delete(_weighted(case.f, case.v), label, axis=0)
    ratio = rivals.max(axis=0) / case.f[label]
    inside = ratio[case.f.argmax(axis=0) == label]
    every = "that v takes the first pixel only; below which v is no pixel of the class left?"
    value = say.one_number("v_picture", v_picture, 0, 1)
    exact = float(ratio.min())
    if abs(value - exact) <= 0.02 * exact:
        return
    if value == 0:
        say.wrong("v_picture", zero)
    for typical, sentence in (
        (test, f"this is {at_test}"),
        (float(case.v[case.c]), "this is the picture's v, and S-hat keeps the class at it"),
        (float(inside.max()), every),
        (float(np.median(inside)), "at that v half of the pixels are left"),
        (float((rivals[0] / case.f[label]).min()), "the other classes are rivals too"),
    ):
        if abs(value - typical) <= 0.02 * typical:
            say.wrong("v_picture", sentence)
    left = int((_weighted(case.f, _with(case.v, case.c, value)).argmax(axis=0) == label).sum())
    if value < exact:
        say.wrong("v_picture", f"{value:.3g} is lower than it need be: no pixel is left there")
    pixels = "1 pixel is" if left == 1 else f"{left} pixels are"
    say.wrong("v_picture", f"{value:.3g} is too high: at {value:.3g} {pixels} left")


def _with(v: np.ndarray, c: int, value: float) -> np.ndarray:
    changed = v.copy()
    changed[c] = value
    return changed


# --- exercise 17 ----------------------------------------------------------------------------------

ASKED = 600  # training pictures
LOST = 0.01  # share of the classes present that may be removed


def check_safe_threshold(run: Run, threshold: Any) -> None:
    """The largest of 0.01 ... 0.99 that removes at most LOST of the classes present, on train.

    0.01 less will do: it is as safe.
    """
    value = say.one_number("threshold", threshold, 0, 1)
    best, removed = _safe(run, "train", value)
    if value > best - 0.0101 and removed <= LOST:
        return
    if abs(value - _safe(run, "val", value)[0]) < 0.0051:
        say.wrong("threshold", f"{value:g} is what val would choose: choose on train")
    share = f"on train it removes {100 * removed:.1f} % of the classes that are there"
    if removed > LOST:
        say.wrong("threshold", f"{value:g} is too high: {share}")
    say.wrong("threshold", f"{value:g} is safe ({share}), but it is not the largest safe one")


def _safe(run: Run, split: str, value: float) -> tuple[float, float]:
    """Returns the largest safe threshold, and the share that the threshold `value` removes."""
    pictures = stages.pictures(run, split)
    v = stages.confidences(run, pictures.images[:ASKED]).numpy()
    present = v[pictures.labels[:ASKED]]
    grid = np.arange(1, 100) / 100
    safe = [t for t in grid if (present < t).mean() <= LOST]
    return max(safe, default=0.0), float((present < value).mean())
