"""Sheet 02: wrong answers with words of the message that each must get, and right ones."""

from fractions import Fraction
from math import log

import numpy as np
import torch
from answers import Answer

from aelib.course.exercises import stop_rule
from aelib.pipeline import stages

# --- erase ----------------------------------------------------------------------------------------


def filled(image, where, colour):
    return torch.where(where, torch.as_tensor(colour)[:, None, None], image)


def black(image, regions, mean_pixel):
    return filled(image, regions.any(dim=0), torch.zeros(3))


def first_class_only(image, regions, mean_pixel):
    return filled(image, regions[0], mean_pixel)


def strongest_claim(image, regions, mean_pixel):
    return filled(image, regions.sum(dim=0) == 1, mean_pixel)


def in_place(image, regions, mean_pixel):
    image[:, regions.any(dim=0)] = mean_pixel[:, None]
    return image


def mean_of_the_picture(image, regions, mean_pixel):
    return filled(image, regions.any(dim=0), image.mean(dim=(1, 2)))


def one_grey(image, regions, mean_pixel):
    return filled(image, regions.any(dim=0), mean_pixel.mean().repeat(3))


def the_rest(image, regions, mean_pixel):
    return filled(image, ~regions.any(dim=0), mean_pixel)


def channels_last(image, regions, mean_pixel):
    return torch.where(regions.any(dim=0), mean_pixel, image)


def by_class(image, regions, mean_pixel):
    """Right: class by class, on a copy."""
    image = image.clone()
    for region in regions:
        for channel in range(3):
            image[channel][region] = mean_pixel[channel]
    return image


def by_numbers(image, regions, mean_pixel):
    """Right: a weighted sum, in numpy and float64."""
    left = 1.0 - regions.numpy().max(axis=0)
    return image.numpy() * left + mean_pixel.numpy().reshape(3, 1, 1) * (1 - left)


# --- the third round ------------------------------------------------------------------------------

R3 = {(2, 1), (3, 1), (3, 2), (3, 3)}
BEFORE = {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)}
FOUND_MAP = [[True, True, True, False], [True] * 3 + [False], [False, True, True, False]]
FOUND_MAP.append([False, True, True, True])

# --- does it harm? --------------------------------------------------------------------------------


def share_against_iou(tp, fp, fn, a, b):
    return a + b > 0 and a / (a + b) < tp / (tp + fp + fn)


def a_in_the_denominator(tp, fp, fn, a, b):
    return (tp + a) / (tp + fp + fn + a + b) < tp / (tp + fp + fn)


def helps(tp, fp, fn, a, b):
    return (tp + a) / (tp + fp + fn + b) > tp / (tp + fp + fn)


def also_without_change(tp, fp, fn, a, b):
    return (tp + a) / (tp + fp + fn + b) <= tp / (tp + fp + fn)


def less_than_half(tp, fp, fn, a, b):
    return a < b


def precision_falls(tp, fp, fn, a, b):
    return (tp + a) * max(tp + fp, 1) < tp * (tp + fp + a + b)


def missed_ones_forgotten(tp, fp, fn, a, b):
    return (tp + a) / (tp + fp + a + b) < tp / (tp + fp + fn)


def break_even(tp, fp, fn, a, b):
    """Right: a / b against the IoU, without a division."""
    return a * (tp + fp + fn) < b * tp


def by_fractions(tp, fp, fn, a, b):
    """Right: the object's share of the addition against IoU / (1 + IoU)."""
    iou = Fraction(tp, tp + fp + fn)
    return np.bool_(a + b > 0 and Fraction(a, a + b) < iou / (1 + iou))


# --- evidence -------------------------------------------------------------------------------------


def entropy(p):
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


def by_pictures(loss, labels):
    """Right: the loss of answering the frequencies, picture by picture, by torch."""
    labels = torch.tensor(labels).float()
    answer = labels.mean(dim=0).expand_as(labels)
    return 1 - loss / torch.nn.functional.binary_cross_entropy(answer, labels)


# --- the stop rule --------------------------------------------------------------------------------


def reads_the_scores(world):
    return int(np.argmax(stop_rule.scores(0))) + 1


def reads_the_masks(world):
    return len(stages.truth(None, "train").masks) and 3


def as_long_as_evidence_lasts(world):
    """Right, as far as `check_stop` goes: the evidence may fall by a third at most in a round."""
    for k in range(1, len(world)):
        if world.evidence[k] < 0.67 * world.evidence[k - 1]:
            return k
    return len(world)


def by_saliency(world):
    """Right: as long as the new pixels are salient."""
    return 1 + int(np.cumprod(np.array(world.low[1:]) < LIMIT).sum())


LIMIT = 0.55
WORDS = "I stop when evidence on unseen pictures falls " + "for the reason that follows " * 8
wrong = {
    "check_erase": [
        (black, ["black"]),
        (first_class_only, ["one class alone"]),
        (strongest_claim, ["two classes claim"]),
        (in_place, ["changed its input"]),
        (mean_of_the_picture, ["mean of this picture"]),
        (one_grey, ["its own mean"]),
        (the_rest, ["the rest is erased"]),
        (channels_last, ["raised RuntimeError", "torch.where"]),
        (lambda image, regions, mean_pixel: image, ["comes back as it was"]),
        (lambda image, regions, mean_pixel: None, ["not solved yet"]),
    ],
    "check_third_round": [
        (Answer({(3, 1)}, BEFORE | R3), ["R3", "M itself"]),
        (Answer(R3, R3), ["found", "R3 alone"]),
        (Answer({(3, 1), (3, 2)}, BEFORE | R3), ["the hare's legs"]),
        (Answer(R3 - {(2, 1)}, BEFORE | R3), ["found before"]),
        (Answer({(y + 1, x + 1) for y, x in R3}, BEFORE | R3), ["from 0"]),
        (Answer({(x, y) for y, x in R3}, BEFORE | R3), ["(row, column)"]),
        (Answer(R3, BEFORE), ["third round is missing"]),
        (Answer(R3, BEFORE | R3 | {(3, 0)}), ["1 too many"]),
        (Answer("31", BEFORE), ["pairs"]),
        (Answer(R3, ...), ["not solved yet"]),
    ],
    "check_harms": [
        (share_against_iou, ["not a / (a + b)"]),
        (a_in_the_denominator, ["in the denominator already"]),
        (helps, ["whether the addition helps"]),
        (also_without_change, ["does no harm"]),
        (less_than_half, ["more than half"]),
        (precision_falls, ["precisions"]),
        (missed_ones_forgotten, ["the IoU goes from"]),
        (lambda tp, fp, fn, a, b: a / b < tp / (tp + fp + fn), ["ZeroDivisionError"]),
        (lambda tp, fp, fn, a, b: 0.3, ["True or False"]),
        (lambda tp, fp, fn, a, b: ..., ["not solved yet"]),
    ],
    "check_evidence": [
        (lambda loss, labels: loss / entropy(labels.mean(axis=0)).mean(), ["subtracted from 1"]),
        (lambda loss, labels: 1 - loss / entropy(labels.mean(axis=0)).sum(), ["sum over classes"]),
        (lambda loss, labels: 1 - loss / log(2), ["log 2"]),
        (lambda loss, labels: 1 - loss / entropy(labels.mean()), ["one frequency"]),
        (
            lambda loss, labels: 1 - loss * log(2) / entropy(labels.mean(axis=0)).mean(),
            ["natural logarithm"],
        ),
        (lambda loss, labels: entropy(labels.mean(axis=0)).mean() - loss, ["a ratio"]),
        (
            lambda loss, labels: max(0, 1 - loss / entropy(labels.mean(axis=0)).mean()),
            ["below 0"],
        ),
        (lambda loss, labels: 1 - loss / entropy(labels.mean(axis=0)), ["return one number"]),
        (lambda loss, labels: None, ["not solved yet"]),
    ],
    "check_stop": [
        (lambda world: 3, ["whatever the signals say"]),
        (lambda world: min(3, len(world)), ["whatever the signals say"]),
        (reads_the_scores, ["withheld"]),
        (reads_the_masks, ["withheld"]),
        (lambda world: world.evidence[-1], ["whole number"]),
        (lambda world: 5 if world.evidence[-1] > 0.5 else 1, ["keeps 5 of"]),
        (lambda world: ..., ["not solved yet"]),
    ],
    "check_stop_outcome": [
        (stop_rule.course_rule, ["not better than always keeping three"]),
        (
            lambda world: 4 if world.evidence[-1] > 0.2 and len(world) == 4 else 1,
            ["not better than always keeping three"],
        ),
        (lambda world: 3, ["whatever the signals say"]),
    ],
    "check_words": [
        (Answer("often", WORDS), ["looks", "whole number"]),
        (Answer(2, "low is best"), ["3 of at least 30 words"]),
        (Answer(2, "it fits best " * 20), ["name the signal"]),
        (Answer(2, 3), ["must be a text"]),
        (Answer(2, ...), ["not solved yet"]),
    ],
}
right = {
    "check_erase": [by_class, by_numbers],
    "check_third_round": [
        Answer([list(pixel) for pixel in sorted(R3)], np.array(FOUND_MAP)),
        Answer(frozenset(R3), torch.tensor(FOUND_MAP)),
    ],
    "check_harms": [break_even, by_fractions],
    "check_evidence": [by_pictures],
    "check_stop": [as_long_as_evidence_lasts],
    "check_stop_outcome": [by_saliency],
    "check_words": [Answer(0, WORDS)],
}
