"""Sheet 03: wrong answers with words of the message that each must get, and right ones."""

import numpy as np
import torch
from answers import Answer

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
    S = np.where(low & (claims == 0), 0.0, 255.0)
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


def in_place(regions, saliency, background_threshold):
    S = select(regions, saliency, background_threshold)
    saliency[saliency < background_threshold] = 0
    return S


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
        (lambda regions, saliency, background_threshold: regions, ["shape"]),
        (lambda regions, saliency, background_threshold: ..., ["not solved yet"]),
        (..., ["not solved yet"]),
    ],
    # val would choose 0.32, all low saliency 0.15; foreground is best at 0.96
    "check_background_threshold": [
        (0.32, ["a higher threshold reaches 99.7 % too"]),
        (0.42, ["too high", "of S's background is right"]),
        (0.96, ["too high", "of S's background is right"]),
        (0.06, ["a higher threshold reaches 99.7 % too"]),
        (0.15, ["no class claims"]),
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
    "check_background_threshold": [0.41, np.float64(0.4)],  # of the shipped run
    "check_rules": [Answer(WRONG_GUESS, SPELT_OTHERWISE), Answer(ORDER, ORDER)],
}
