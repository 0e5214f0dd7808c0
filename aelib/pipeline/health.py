"""Signs that a run went wrong. NaN stops a stage; what only looks like a failure is a warning.

All functions but `finite` return their warnings, a list of texts, empty when all is well. They
see what training may see: no masks.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

from ..datasets.saliency_maps import inverted
from ..masks import IGNORE

Numbers = TypeVar("Numbers", torch.Tensor, np.ndarray)

COLLAPSED = 0.99  # a network with this share of all pixels under one label has collapsed
MOSTLY_IGNORED = 0.9  # with this share of 255 in S hardly anything is left to learn from


def finite(values: Numbers, what: str) -> Numbers:
    """Returns the values themselves.

    Raises:
        FloatingPointError: some are NaN or infinite; names `what` and how many.
    """
    good = torch.isfinite(values) if isinstance(values, torch.Tensor) else np.isfinite(values)
    if not good.all():
        bad, count = int((~good).sum()), math.prod(values.shape)
        raise FloatingPointError(f"{what}: {bad} of {count} are NaN or infinite")
    return values


def collapse(answers: Sequence[np.ndarray], classes: Sequence[str]) -> list[str]:
    """A network that answers one label (often background) nearly everywhere.

    Args:
        answers: label maps, each (H, W): 0 background, c + 1 for class c.
        classes: their names, without background.
    """
    counts = sum(np.bincount(answer.ravel(), minlength=len(classes) + 1) for answer in answers)
    label = int(np.argmax(counts))
    share = counts[label] / counts.sum()
    if share < COLLAPSED:
        return []
    name = ["background", *classes][label]
    first = "a class in all or in none of the pictures cannot be learned (see the data's summary)"
    cure = f"{first}; otherwise another seed, a smaller learning_rate or more epochs may help"
    return [f"the network has collapsed: it answers {name} at {share:.1%} of the pixels; {cure}"]


def never_mined(pixels: np.ndarray, pictures: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Classes that some picture shows and of which no pixel was mined.

    Args:
        pixels: mined pixels of each class, (C,).
        pictures: pictures that show each class, (C,).
        classes: their names.
    """
    counts = zip(classes, pixels, pictures, strict=True)
    lost = [f"{name} ({shown} pictures)" for name, mined, shown in counts if shown and not mined]
    return [f"nothing was mined of: {', '.join(lost)}"] if lost else []


def mostly_ignored(pseudo_masks: Sequence[np.ndarray]) -> list[str]:
    """S, each (H, W) uint8, that leaves next to nothing to learn from, or no object at all."""
    counts = sum(np.bincount(mask.ravel(), minlength=IGNORE + 1) for mask in pseudo_masks)
    ignored = counts[IGNORE] / counts.sum()
    warnings = []
    if ignored >= MOSTLY_IGNORED:
        warnings.append(f"{ignored:.1%} of S is ignored: hardly anything is left to learn from")
    if not counts[1:IGNORE].any():
        warnings.append("S holds no object pixel: a network can only learn background from it")
    return warnings


def upside_down(saliency: Sequence[np.ndarray]) -> list[str]:
    """Saliency maps, each (H, W), that are higher along the border than in the middle."""
    where = "along the border than in the middle"
    warning = f"the saliency is higher {where}: are the maps inverted?"
    return [warning] if inverted(saliency) else []
