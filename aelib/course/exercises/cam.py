"""The checks of sheet 01: mIoU by hand, class activation maps, delta. See `deltas` for 4 and 5."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import say
from .deltas import check_delta, check_share

__all__ = [
    "ANSWER",
    "TRUTH",
    "check_cam",
    "check_delta",
    "check_miou",
    "check_normalise",
    "check_share",
]

# --- exercise 1: mIoU by hand ---------------------------------------------------------------------

#: 0 background, 1 hare, 2 ram, 255 void
TRUTH = np.array([[0, 0, 1, 1], [0, 1, 1, 255], [0, 2, 2, 255]])
ANSWER = np.array([[0, 1, 1, 1], [0, 0, 1, 1], [2, 2, 1, 2]])
LABELS = ("background", "hare", "ram")
PENCIL = 6e-4  # 0.333 will do for 1 / 3


def check_miou(iou_background: float, iou_hare: float, iou_ram: float, miou: float) -> None:
    """The IoU of each label of ANSWER against TRUTH, in [0, 1], and their mean."""
    typed = (iou_background, iou_hare, iou_ram)
    say.all_given(iou_background=iou_background, iou_hare=iou_hare, iou_ram=iou_ram, miou=miou)
    right, with_void = [], []
    for label, found in enumerate(typed):
        both, true, answered, counted = _count(label)
        right.append(both / (true + counted - both))
        with_void.append(both / (true + answered - both))
        hints = [
            (100 * right[-1], "this is in per cent; answer in [0, 1]"),
            (with_void[-1], "this counts the pixels labelled 255; leave them out of both maps"),
            (both / true, "this divides by the label's true pixels (recall); divide by the union"),
            (both / counted, "this divides by the answered pixels (precision); take the union"),
            (both / (true + counted), "a pixel in both maps is in the union once, not twice"),
            (2 * both / (true + counted), "this is the Dice score; IoU is both / union"),
        ]
        say.number(f"IoU of {LABELS[label]}", found, right[-1], PENCIL, hints)
    say.number("miou", miou, np.mean(right), PENCIL, _mistakes_of_miou(right, with_void))


def _count(label: int) -> tuple[int, int, int, int]:
    """Pixels with the label in both maps, in TRUTH, in ANSWER, in ANSWER outside void."""
    both = true = answered = counted = 0
    for t, a in zip(TRUTH.flat, ANSWER.flat, strict=True):
        both += t == a == label
        true += t == label
        answered += a == label
        counted += a == label and t != 255
    return both, true, answered, counted


def _mistakes_of_miou(right: list[float], with_void: list[float]) -> say.Hints:
    hits, counted = (TRUTH == ANSWER).sum(), (TRUTH != 255).sum()
    accuracy = "this is pixel accuracy; mIoU is the mean of the labels' IoUs"
    yield 100 * np.mean(right), "this is in per cent; answer in [0, 1]"
    yield hits / counted, accuracy
    yield hits / TRUTH.size, accuracy
    yield np.mean(with_void), "this counts the pixels labelled 255; leave them out of both maps"
    yield np.mean(right[1:]), "this leaves out the background; it is a label like the others"
    yield np.mean([*with_void, 0]), "255 is not a label: it has no IoU"
    yield np.mean([*right, 0]), "255 is not a label: it has no IoU"
    yield hits / (2 * counted - hits), "this pools the labels; take each label's IoU, then the mean"


# --- exercise 2: cam ------------------------------------------------------------------------------


def check_cam(cam: Callable[[Tensor, Tensor, tuple[int, int]], Tensor]) -> None:
    """cam(features (K, h, w), weight (C, K), size (H, W)) -> (C, H, W), bilinear."""
    rng = np.random.default_rng(201)
    sizes = ((3, 1, (2, 3), (4, 6)), (4, 2, (3, 4), (3, 4)), (5, 3, (4, 3), (10, 9)))
    for count, classes, (h, w), size in (*sizes, (8, 6, (6, 6), (24, 24))):
        features = rng.normal(size=(count, h, w))
        weight = rng.normal(size=(classes, count))
        name = f"cam with {count} features of {h} x {w}, resized to {size[0]} x {size[1]}"
        arrays = features.astype(np.float32), weight.astype(np.float32)
        found = say.call(name, cam, *map(torch.from_numpy, arrays), size)
        maps = _weighted_sum(features, weight)
        hints = _mistakes_of_cam(features, weight, maps, size)
        say.same(name, found, _resized(maps, size), 1e-4, hints)


def _weighted_sum(features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    maps = np.zeros((len(weight), *features.shape[1:]))
    for c, row in enumerate(weight):
        for w, f in zip(row, features, strict=True):
            maps[c] += w * f
    return maps


def _mistakes_of_cam(
    features: np.ndarray, weight: np.ndarray, maps: np.ndarray, size: tuple[int, int]
) -> say.Hints:
    products = weight[:, :, None, None] * features
    cut = "negative {} are set to 0 before the sum; M takes them as they are"
    yield _resized(products.clip(0).sum(axis=1), size), cut.format("products")
    yield _resized(_weighted_sum(features.clip(0), weight), size), cut.format("features")
    yield _resized(_weighted_sum(features, weight.clip(0)), size), cut.format("weights")
    mean = "this is the mean over the features; M is their weighted sum"
    yield _resized(products.mean(axis=1), size), mean
    later = "negative values of M are set to 0; that is left to `normalise`"
    yield _resized(maps, size).clip(0), later
    yield _resized(maps.clip(0), size), later
    same_size = maps.shape[1:] == size
    if not same_size:
        yield maps, "the maps are not resized"
        corners = "this resizes with align_corners=True; the course takes align_corners=False"
        yield _resized(maps, size, _corners), corners
        nearest = "this resizes to the nearest pixel; the course resizes bilinearly"
        yield _resized(maps, size, _nearest), nearest
    yield maps.sum(axis=0), "the classes are added up; each class has a map of its own"


def _resized(
    maps: np.ndarray, size: tuple[int, int], place: Callable[[int, int], np.ndarray] | None = None
) -> np.ndarray:
    """Resize (C, h, w) bilinearly.

    Args:
        place: where the centres of the new pixels lie on the old ones; None for `_centres`.
    """
    place = place or _centres
    height, width = maps.shape[1:]
    rows = _weights(place(height, size[0]), height)
    columns = _weights(place(width, size[1]), width)
    return rows @ maps @ columns.T


def _centres(old: int, new: int) -> np.ndarray:
    return ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)


def _corners(old: int, new: int) -> np.ndarray:
    return np.linspace(0, old - 1, new)


def _nearest(old: int, new: int) -> np.ndarray:
    return np.floor(np.arange(new) * old / new)


def _weights(places: np.ndarray, old: int) -> np.ndarray:
    """Returns (new, old): the share of each old pixel in each new one, a tent around its place."""
    return (1 - abs(places[:, None] - np.arange(old))).clip(0)


# --- exercise 3: normalise ------------------------------------------------------------------------


def check_normalise(normalise: Callable[[Tensor], Tensor]) -> None:
    """normalise(maps (C, H, W)) -> the same shape in [0, 1]; each class by its own maximum."""
    rng = np.random.default_rng(303)
    kinds = {"random": 0.0, "positive": 4.0, "mostly negative": -1.5}
    for kind, shift in kinds.items():
        scale = np.array([1.0, 0.1, 10.0])[:, None, None]
        maps = scale * (rng.normal(size=(3, 4, 5)) + shift)
        _check_normalise(normalise, f"normalise on {kind} maps", maps)
    maps = rng.normal(size=(3, 3, 4))
    maps[0] = -1 - abs(maps[0])
    _check_normalise(normalise, "normalise with an all-negative map", maps)
    maps[2] = 0
    _check_normalise(normalise, "normalise with an all-zero map", maps)
    _check_normalise(normalise, "normalise on one map", rng.normal(size=(1, 5, 3)))


def _check_normalise(normalise: Callable, name: str, maps: np.ndarray) -> None:
    found = say.call(name, normalise, torch.from_numpy(maps.astype(np.float32)))
    expected = np.zeros_like(maps)
    for c, one in enumerate(maps):
        if one.max() > 0:
            expected[c] = np.maximum(one, 0) / one.max()
    say.same(name, found, expected, 1e-3, _mistakes_of_normalise(maps))


def _mistakes_of_normalise(maps: np.ndarray) -> Iterable[tuple[Any, str]]:
    low, high = (f(maps, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    cut = maps.clip(0)
    of_each = "each map must be divided by its own maximum"
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = "0 / 0 is NaN: a map without positive evidence must become all 0"
        yield cut / cut.max(axis=(1, 2), keepdims=True), zero
        yield np.where(high == 0, np.nan, cut / high), zero
        stretched = "this is min-max scaling; cut off what is below 0 and divide by the maximum"
        yield (maps - low) / (high - low), stretched
        yield np.where(high > low, (maps - low) / (high - low), 0), stretched
        both = "after the cut this still moves the smallest value to 0; divide by the maximum only"
        least = cut.min(axis=(1, 2), keepdims=True)
        yield (cut - least) / (cut - least).max(axis=(1, 2), keepdims=True), both
        yield cut / cut.max(), f"this divides by the maximum of all maps; {of_each}"
        yield cut / cut.max(axis=0), f"this divides by the maximum over the classes; {of_each}"
        yield maps / high, "negative values must become 0, and 0 / 0 must not be NaN"
        yield maps / abs(maps).max(axis=(1, 2), keepdims=True), "negative values must become 0"
        yield abs(maps) / abs(maps).max(axis=(1, 2), keepdims=True), "negative values must become 0"
        yield cut / cut.sum(axis=(1, 2), keepdims=True), "this divides by the sum; take the maximum"
