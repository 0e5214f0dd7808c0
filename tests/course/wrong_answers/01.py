"""Sheet 01: wrong answers with words of the message that each must get, and right ones."""

import numpy as np
import torch
from answers import Answer
from from_run import FromRun
from torch.nn import functional as F

from aelib.course.exercises.deltas import PICTURES
from aelib.course.thresholds import RegionsAtDelta
from aelib.pipeline import stages


def bilinear(maps, size):
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def weighted(features, weight):
    return torch.einsum("ck,khw->chw", weight, features)


def products(features, weight):
    return weight[:, :, None, None] * features


# --- cam ------------------------------------------------------------------------------------------


def relu_inside(features, weight, size):
    return bilinear(products(features, weight).clamp(min=0).sum(dim=1), size)


def relu_on_features(features, weight, size):
    return bilinear(weighted(features.relu(), weight), size)


def mean_over_features(features, weight, size):
    return bilinear(products(features, weight).mean(dim=1), size)


def align_corners(features, weight, size):
    maps = weighted(features, weight)[None]
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)[0]


def to_the_nearest(features, weight, size):
    return F.interpolate(weighted(features, weight)[None], size=size)[0]


def not_resized(features, weight, size):
    return weighted(features, weight)


def relu_at_the_end(features, weight, size):
    return bilinear(weighted(features, weight), size).relu()


def keeps_the_batch(features, weight, size):
    return bilinear(weighted(features, weight), size)[None]


def size_reversed(features, weight, size):
    return bilinear(weighted(features, weight), size[::-1])


def in_place(features, weight, size):
    features *= 2
    return bilinear(weighted(features, weight) / 2, size)


def quits(features, weight, size):
    raise SystemExit(1)


def resizes_first(features, weight, size):
    """Right: resizing and summing are linear. In numpy, pixel by pixel."""
    f, w = features.numpy().astype(float), weight.numpy().astype(float)
    wide = np.zeros((len(f), *size))
    for y in range(size[0]):
        for x in range(size[1]):
            places = []
            for at, new, old in ((y, size[0], f.shape[1]), (x, size[1], f.shape[2])):
                places.append(min(max((at + 0.5) * old / new - 0.5, 0), old - 1))
            (top, left), (bottom, right) = np.floor(places).astype(int), np.ceil(places).astype(int)
            down, across = places[0] - top, places[1] - left
            upper = (1 - across) * f[:, top, left] + across * f[:, top, right]
            lower = (1 - across) * f[:, bottom, left] + across * f[:, bottom, right]
            wide[:, y, x] = (1 - down) * upper + down * lower
    return np.tensordot(w, wide, axes=1)


def by_convolution(features, weight, size):
    """Right: the way of aelib, in double precision."""
    maps = F.conv2d(features.double()[None], weight.double()[:, :, None, None])
    return F.interpolate(maps, size=size, mode="bilinear")[0]


# --- normalise ------------------------------------------------------------------------------------


def min_max(maps):
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-12)


def maximum_of_all(maps):
    positive = maps.clamp(min=0)
    return positive / positive.max().clamp(min=1e-12)


def nan_without_evidence(maps):
    positive = maps.clamp(min=0)
    return positive / positive.amax(dim=(1, 2), keepdim=True)


def negatives_stay(maps):
    return maps / maps.amax(dim=(1, 2), keepdim=True)


def clamps_in_place(maps):
    maps.clamp_(min=0)
    return maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def large_epsilon(maps):
    positive = maps.clamp(min=0)
    return positive / (positive.amax(dim=(1, 2), keepdim=True) + 0.1)


def forgets_to_return(maps):
    maps.clamp(min=0)


def map_by_map(maps):
    """Right: a loop, and a sixth decimal of tolerance."""
    found = []
    for one in maps.numpy():
        top = one.max()
        found.append(np.where(one > 0, one / (top + 1e-6), 0) if top > 0 else np.zeros_like(one))
    return np.stack(found)


def nan_to_number(maps):
    """Right: 0 / 0 is mended afterwards."""
    positive = maps.double().relu()
    return torch.nan_to_num(positive / positive.flatten(1).max(dim=1).values[:, None, None])


# --- delta: sweeps of the shipped run -------------------------------------------------------------

TENTHS = [k / 10 for k in range(1, 10)]


class Sweep(dict):
    """Scores at each tenth, computed from the shipped run when they are asked for."""

    def __init__(self, what="IoU", split="train", rule="max", factor=1.0):
        super().__init__({delta: None for delta in TENTHS})
        self.asked = what, split, rule, factor

    def __getitem__(self, delta):
        from aelib.course import lesson
        from aelib.course.exercises.deltas import region_scores
        from aelib.pipeline.run import opened

        what, split, rule, factor = self.asked
        if not hasattr(Sweep, "run"):
            Sweep.run = opened(lesson.unpack())
        return factor * region_scores(Sweep.run, split, delta, rule)[what]


miou_right = (2 / 5, 1 / 2, 1 / 3)


def area_at(run):
    """Share of the training pictures' pixels in a region, as a function of delta and its rule."""
    train = stages.pictures(run, "train").first(PICTURES)
    regions = RegionsAtDelta(stages.cams(run, train.images), train.labels)
    return lambda delta, rule: float((regions(delta, rule) > 0).mean())


def same_area(run):
    area = area_at(run)
    low, high = 0.01, 0.5
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (low, middle) if area(middle, "share") > area(0.2, "max") else (middle, high)
    return low


wrong = {
    "check_miou": [
        (Answer(2 / 5, 3 / 7, 1 / 4, 0.3595), ["hare", "255"]),
        (Answer(*miou_right, 0.3595), ["miou", "255"]),
        (Answer(*miou_right, (1 / 2 + 1 / 3) / 2), ["leaves out the background"]),
        (Answer(*miou_right, 6 / 10), ["pixel accuracy"]),
        (Answer(*miou_right, 6 / 14), ["pools"]),
        (Answer(2 / 4, 1 / 2, 1 / 3, 0.4444), ["background", "recall"]),
        (Answer(2 / 3, 1 / 2, 1 / 3, 0.5), ["background", "precision"]),
        (Answer(2 / 7, 1 / 2, 1 / 3, 0.3730), ["background", "once, not twice"]),
        (Answer(40, 50, 33.3, 41.1), ["per cent"]),
        (Answer(..., ..., ..., ...), ["not solved yet"]),
        (Answer(*miou_right, "0.411"), ["one number"]),
    ],
    "check_cam": [
        (relu_inside, ["negative products"]),
        (relu_on_features, ["negative features"]),
        (mean_over_features, ["mean over the features"]),
        (align_corners, ["align_corners"]),
        (to_the_nearest, ["nearest"]),
        (not_resized, ["not resized"]),
        (relu_at_the_end, ["left to `normalise`"]),
        (keeps_the_batch, ["shape is (1, 1, 4, 6)"]),
        (size_reversed, ["shape is (1, 6, 4)", "(1, 4, 6)"]),
        (in_place, ["changed its input"]),
        (quits, ["SystemExit"]),
        (lambda features, weight, size: ..., ["not solved yet"]),
        (None, ["not solved yet"]),
    ],
    "check_normalise": [
        (min_max, ["min-max"]),
        (maximum_of_all, ["maximum of all maps"]),
        (nan_without_evidence, ["0 / 0 is NaN"]),
        (negatives_stay, ["negative values"]),
        (clamps_in_place, ["changed its input"]),
        (large_epsilon, ["first differing pixel"]),
        (forgets_to_return, ["it returned None", "`return` missing"]),
    ],
    "check_delta": [
        (Answer(0.5, Sweep(split="val"), 0.2), ["val's", "chosen on train"]),
        (Answer(0.5, Sweep(what="precision"), 0.9), ["precision", "take their IoU"]),
        (Answer(0.5, Sweep(), 0.9), ["delta 0.9", "below the best", "recall"]),
        (Answer(0.5, Sweep(), 0.6), ["delta 0.6", "below the best"]),
        (Answer(0.5, Sweep(what="mIoU"), 0.2), ["mIoU"]),
        (Answer(0.5, Sweep(rule="share"), 0.2), ["`share`"]),
        (Answer(0.5, Sweep(factor=100), 0.2), ["per cent"]),
        (Answer(0.5, Sweep(factor=0.9), 0.2), ["at delta 0.1"]),
        (Answer(0.5, {0.1: 0.2, 0.2: 0.3}, 0.2), ["no IoU for delta 0.3"]),
        (Answer(0.5, [0.2, 0.3], 0.2), ["dict"]),
        (Answer(..., Sweep(), 0.2), ["prediction: not solved yet"]),
        (Answer(..., Sweep(), ...), ["prediction and delta: not solved yet"]),
        (Answer(50, Sweep(), 0.2), ["prediction", "between 0 and 1"]),
        (Answer(0.5, {delta: None for delta in TENTHS}, 0.2), ["not solved yet"]),
    ],
    "check_share": [
        (0.2, ["two readings"]),
        (FromRun(lambda run: area_at(run)(0.2, "max")), ["each class takes its own share"]),
        (0.05, ["go higher"]),
        (0.3, ["go lower"]),
        (12.2, ["between"]),
        (..., ["not solved yet"]),
    ],
}

right = {
    "check_miou": [Answer(0.4, 0.5, 0.333, 0.411), Answer(*miou_right, torch.tensor(37 / 90))],
    "check_cam": [resizes_first, by_convolution],
    "check_normalise": [map_by_map, nan_to_number],
    "check_delta": [Answer(0.9, Sweep(), 0.15), Answer(0.1, Sweep(), np.float32(0.3))],
    "check_share": [FromRun(same_area)],
}
