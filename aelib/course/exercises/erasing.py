"""The checks of exercises 6 and 7 (sheet 02): erase, and a third round by hand."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import say

# --- exercise 6: erase ----------------------------------------------------------------------------


def check_erase(erase: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """erase(image (3, H, W), regions (C, H, W) bool, mean_pixel (3,)) -> a new (3, H, W)."""
    rng = np.random.default_rng(602)
    for classes, height, width in ((1, 2, 4), (2, 4, 5), (3, 5, 3), (4, 6, 7)):
        image = 40 + 60 * rng.random((3, height, width))
        regions = rng.random((classes, height, width)) < 0.4
        regions[:, 0, 0] = True  # claimed by all classes
        regions[:, 0, 1] = False
        _check_erase(erase, image, regions, np.array([120.0, 130.0, 145.0]))
    nothing = np.zeros((2, 3, 4), bool)
    _check_erase(erase, rng.random((3, 3, 4)), nothing, np.array([0.5, 0.4, 0.3]))
    _check_erase(erase, rng.random((3, 3, 4)), ~nothing, np.array([0.5, 0.4, 0.3]))


def _check_erase(erase: Callable, image: np.ndarray, regions: np.ndarray, mean: np.ndarray) -> None:
    classes, height, width = regions.shape
    name = f"erase on a {height} x {width} picture, C = {classes}"
    arrays = image.astype(np.float32), regions, mean.astype(np.float32)
    found = say.call(name, erase, *(torch.from_numpy(array) for array in arrays))
    expected = image.copy()
    for y in range(height):
        for x in range(width):
            for region in regions:
                if region[y, x]:
                    expected[:, y, x] = mean
    say.same(name, found, expected, 1e-4, _mistakes_of_erase(image, regions, mean, expected))


def _mistakes_of_erase(
    image: np.ndarray, regions: np.ndarray, mean: np.ndarray, expected: np.ndarray
) -> Iterable[tuple[np.ndarray, str]]:
    if not regions.any():
        yield np.broadcast_to(mean[:, None, None], image.shape), "nothing is mined, all is erased"
        return
    erased = regions.any(axis=0)

    def filled(where: np.ndarray, colour: Any) -> np.ndarray:
        return np.where(where, np.reshape(colour, (-1, 1, 1)), image)

    yield image, "the picture comes back as it was; return a new one with the regions filled"
    yield filled(erased, 0), "regions are black; fill them with the mean pixel"
    own = "regions are filled with the mean of this picture; it must be the training set's"
    yield filled(erased, image.mean(axis=(1, 2))), own
    grey = "regions are grey: each channel must get its own mean, not the mean of all three"
    yield filled(erased, mean.mean()), grey
    yield filled(~erased, mean), "the regions are kept and the rest is erased"
    for region in regions:
        one = "one class alone is erased; erase the regions of every class"
        yield filled(region, mean), one
    exactly_one = "pixels that two classes claim are not erased; they must be"
    yield filled(regions.sum(axis=0) == 1, mean), exactly_one
    yield filled(regions.all(axis=0), mean), "only pixels that all classes claim are erased"


# --- exercise 7: a third round on the 4 x 4 picture -----------------------------------------------

ROUND_1 = {(0, 0), (0, 1), (0, 2), (1, 0)}
ROUND_2 = {(1, 1), (1, 2), (2, 1), (2, 2)}
LEGS = ((0, 0, 0, 0), (0, 0, 0, 0), (0, 0.5, 0, 0), (0.2, 2, 1, 0.5))  # f3
LEGS_WEIGHT = 0.15
DELTA = 0.2


def check_third_round(R3: Any, found: Any) -> None:
    """R3: the pixels (row, column) of the third round; found: the union of all three rounds."""
    say.all_given(R3=R3, found=found)
    M = {(y, x): LEGS_WEIGHT * LEGS[y][x] for y in range(4) for x in range(4)}
    largest = max(M.values())
    right = {pixel for pixel in M if M[pixel] > DELTA * largest}
    union = ROUND_1 | ROUND_2 | right
    absolute = "this holds M itself against 0.2; the threshold is 0.2 times the map's maximum"
    only_new = "a pixel found before is left out; R3 is all that this round's map claims"
    hints = [
        ({p for p in M if M[p] > DELTA}, absolute),
        ({p for p in M if LEGS[p[0]][p[1]] > DELTA}, "this holds f3 itself against 0.2"),
        ({p for p in M if M[p] > 0}, "this takes every pixel above 0; divide by the maximum first"),
        (right - ROUND_1 - ROUND_2, only_new),
        ({(3, 1), (3, 2)}, "these are the hare's legs; the map knows no hare, only a threshold"),
        (union, "this is the union of three rounds; R3 is the third alone"),
    ]
    _same_pixels("R3", R3, right, hints)
    hints = [
        (right, "this is R3 alone; what is found is the union of the three rounds"),
        (ROUND_2 | right, "the first round is missing: the union is over all three"),
        (ROUND_1 | right, "the second round is missing: the union is over all three"),
        (ROUND_1 | ROUND_2, "the third round is missing: the union is over all three"),
        (union ^ (right & ROUND_2), "a pixel found twice is still found"),
    ]
    _same_pixels("found", found, union, hints)


def _same_pixels(
    name: str, found: Any, expected: set, hints: Iterable[tuple[set, str]] = ()
) -> None:
    """Compare a set of pixels; the message gives none away."""
    pixels = _pixels(name, found)
    if pixels == expected:
        return
    if pixels == {(y + 1, x + 1) for y, x in expected}:
        say.wrong(name, "rows and columns are counted from 0 here, not from 1")
    if pixels == {(x, y) for y, x in expected}:
        say.wrong(name, "a pixel is (row, column), not (column, row)")
    for typical, sentence in hints:
        if pixels == typical:
            say.wrong(name, sentence)
    extra, missing = len(pixels - expected), len(expected - pixels)
    say.wrong(name, f"{missing} of its pixels missing, {extra} too many")


def _pixels(name: str, answer: Any) -> set[tuple[int, int]]:
    """Returns an answer as pixels: it may be a set or list of pairs, or a 4 x 4 map of bool."""
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu().numpy()
    if isinstance(answer, (set, frozenset, dict)):
        answer = list(answer)
    pairs = f"this must be pixels as pairs {{(row, column), ...}}, and it is {answer!r:.60}"
    try:
        array = np.asarray(answer)
    except ValueError:  # rows of different lengths
        say.wrong(name, pairs)
    if array.dtype == bool and array.shape == (4, 4):
        array = np.argwhere(array)
    if array.size == 0:
        return set()
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 2:
        say.wrong(name, pairs)
    return {(int(y), int(x)) for y, x in array}
