"""Sheet 03: wrong answers with words of the message that each must get, and right ones."""

import numpy as np
import torch
from answers import Answer
from from_run import FromRun

from aelib.course import thresholds
from aelib.course.exercises.scores import Scores
from aelib.pipeline import stages

# --- merge ----------------------------------------------------------------------------------------


def right_merge(regions, saliency, background_threshold):
    """By torch and a table of the six cells."""
    regions, saliency = torch.from_numpy(regions), torch.from_numpy(saliency)
    number = torch.arange(1, len(regions) + 1)[:, None, None]
    label = (regions * number).sum(dim=0)
    claims = regions.sum(dim=0).clamp(max=2)
    silent = torch.full_like(label, 255)
    low = torch.stack([torch.zeros_like(label), silent, silent])
    salient = torch.stack([silent, label, silent])
    table = torch.where(saliency < background_threshold, low, salient)
    return table.gather(0, claims[None])[0]


def select(regions, saliency, background_threshold):
    """By np.select, with a loop over the classes."""
    low, claims = saliency < background_threshold, regions.sum(axis=0)
    S = np.where(low & (claims == 0), 0, 255)
    for c, region in enumerate(regions):
        S = np.select([region & (claims == 1) & ~low], [c + 1], S)
    return S


def low_saliency_wins(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    return np.where(saliency < background_threshold, 0, S)


def mined_wins(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    return np.where(regions.sum(axis=0) == 1, regions.argmax(axis=0) + 1, S)


def first_of_two(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    several = (regions.sum(axis=0) > 1) & (saliency >= background_threshold)
    return np.where(several, regions.argmax(axis=0) + 1, S)


def not_above(regions, saliency, background_threshold):
    return select(regions, saliency, np.nextafter(background_threshold, 2))


def all_else_background(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    return np.where(regions.any(axis=0), S, 0)


def from_zero(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    return np.where((S > 0) & (S < 255), S - 1, S)


def one_pixel_at_a_time(regions, saliency, background_threshold):
    S = np.full(saliency.shape, 255)
    for y in range(S.shape[0]):
        for x in range(S.shape[1]):
            mine, dark = regions[:, y, x], saliency[y, x] < background_threshold
            if mine.sum() == dark == 0 or mine.sum() > 1 or (dark and mine.any()):
                continue
            S[y, x] = 0 if dark else mine.argmax() + 1
    return S


def as_floats(regions, saliency, background_threshold):
    return select(regions, saliency, background_threshold).astype(float)


def in_eight_bits_with_a_sign(regions, saliency, background_threshold):
    return select(regions, saliency, background_threshold).astype(np.int8)


def in_place(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    saliency[saliency < background_threshold] = 0
    return S


# --- the background threshold ---------------------------------------------------------------------

GRID = np.arange(1, 100) / 100


def quality(run):
    train, masks = stages.pictures(run, "train"), stages.truth(run, "train").masks[:200]
    saliency = run.images("saliency", train.ids[:200])
    mined = stages.regions(run, run.settings.object_steps)[:200]
    return thresholds.PseudoMaskQuality(saliency, mined, masks)


def highest(run):
    of_threshold = quality(run)
    return max(t for t in GRID if of_threshold(t)["background"] >= 0.997)


def of_all_low_pixels(run):
    of_threshold, rule = quality(run), thresholds.low_saliency_wins
    return max(t for t in GRID if of_threshold(t, rule)["background"] >= 0.997)


def best_foreground(run):
    of_threshold = quality(run)
    return max(GRID, key=lambda t: of_threshold(t)["foreground"])


def chosen_on_val(run):
    of_val, right = Scores(run, "val").best("background_threshold")[0], highest(run)
    return of_val if abs(of_val - right) > 0.015 else right + 0.02


# --- the three rules ------------------------------------------------------------------------------

ORDER = {
    "labelled": "saliency > mined > paper",
    "foreground": "paper = saliency > mined",
    "background": "paper = mined > saliency",
    "objects": "mined > paper = saliency",
}
WRONG_GUESS = dict.fromkeys(ORDER, "paper > mined > saliency")
ALWAYS_MINED = dict.fromkeys(ORDER, "mined > paper > saliency")
SWAPPED = ORDER | {"foreground": "mined > paper = saliency"}
UNEQUAL = ORDER | {"foreground": "paper > saliency > mined"}
EQUAL = ORDER | {"objects": "mined = paper = saliency"}
TWO_ONLY = ORDER | {"objects": "mined > paper"}
OPEN = ORDER | {"objects": ...}
SPELT_OTHERWISE = {
    "labelled": "saliency>mined>paper",
    "foreground": " saliency= paper  > mined",
    "background": "mined = paper > saliency",
    "objects": "mined > saliency = paper",
}

wrong = {
    "check_merge": [
        (low_saliency_wins, ["low saliency, claimed by one class", "0 instead of 255"]),
        (mined_wins, ["low saliency, claimed by one class", "instead of 255"]),
        (first_of_two, ["salient, claimed by two classes or more", "instead of 255"]),
        (not_above, ["equals the threshold", "salient"]),
        (all_else_background, ["salient, claimed by no class", "0 instead of 255"]),
        (from_zero, ["c + 1"]),
        (one_pixel_at_a_time, ["all labels are right", "let numpy go over the pixels"]),
        (in_place, ["changed its input"]),
        (as_floats, ["must be integers", "float64"]),
        (in_eight_bits_with_a_sign, ["int8 cannot hold 255"]),
        (lambda regions, saliency, background_threshold: regions, ["shape"]),
        (lambda regions, saliency, background_threshold: ..., ["not solved yet"]),
        (..., ["not solved yet"]),
    ],
    "check_background_threshold": [
        (FromRun(chosen_on_val), ["of S's background is right"]),
        (FromRun(best_foreground), ["too high", "of S's background is right"]),
        (FromRun(of_all_low_pixels), ["no class claims"]),
        (FromRun(lambda run: highest(run) + 0.01), ["too high"]),
        (0.06, ["a higher threshold reaches 99.7 % too"]),
        (41, ["not between 0 and 1"]),
        ("0.41", ["must be one number"]),
        (..., ["not solved yet"]),
    ],
    "check_rules": [
        (Answer(ORDER, ALWAYS_MINED), ["mined is first on every count", "no rule"]),
        (Answer(ORDER, WRONG_GUESS), ["paper is first on every count"]),
        (Answer(ORDER, SWAPPED), ["foreground: paper is above mined"]),
        (Answer(ORDER, UNEQUAL), ["foreground: paper and saliency are equal"]),
        (Answer(ORDER, EQUAL), ["objects: mined and paper are not equal"]),
        (Answer(ORDER, TWO_ONLY), ["all three rules"]),
        (Answer({}, ORDER), ["predicted", "one ranking each"]),
        (Answer(OPEN, ORDER), ["predicted, objects: not solved yet"]),
        (Answer(ORDER, OPEN), ["measured, objects: not solved yet"]),
    ],
}
right = {
    "check_merge": [right_merge, select],
    "check_background_threshold": [FromRun(highest), FromRun(lambda run: highest(run) - 0.01)],
    "check_rules": [Answer(WRONG_GUESS, SPELT_OTHERWISE), Answer(ORDER, ORDER)],
}
