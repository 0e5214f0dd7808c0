"""Numbers that cannot lie: NaN stops a stage; what looks like a failure without being an error becomes a warning.

Each check of the second kind gives its warnings, a list of texts, empty when all is well. They see what training may see: no masks.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

from .masks import IGNORE
from .saliency import inverted

Numbers = TypeVar("Numbers", torch.Tensor, np.ndarray)

COLLAPSED = 0.99  # share of all pixels with one and the same label from which on a network counts as collapsed
MOSTLY_IGNORED = 0.9  # share of S that is 255 from which on hardly anything teaches


def finite(values: Numbers, what: str) -> Numbers:
    """The values themselves.

    Raises:
        FloatingPointError: there is NaN or infinity in them; names `what` and how many.
    """
    bad = ~(torch.isfinite(values) if isinstance(values, torch.Tensor) else np.isfinite(values))
    if bad.any():
        raise FloatingPointError(
            f"{what}: {int(bad.sum())} of {values.size if isinstance(values, np.ndarray) else values.numel()} are NaN or infinite"
        )
    return values


def collapse(answers: Sequence[np.ndarray], classes: Sequence[str]) -> list[str]:
    """A network that answers one label (all background, as a rule) nearly everywhere.

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
    return [
        f"the network has collapsed: it answers {name} at {share:.1%} of the pixels; another seed, a smaller learning_rate or more epochs may help"
    ]


def never_mined(pixels: np.ndarray, pictures: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Classes that are in some picture and were mined in none.

    Args:
        pixels: mined pixels of each class, (C,).
        pictures: pictures that show each class, (C,).
        classes: their names.
    """
    lost = [f"{name} ({shown} pictures)" for name, found, shown in zip(classes, pixels, pictures, strict=True) if shown and not found]
    return [f"nothing was mined of: {', '.join(lost)}"] if lost else []


def mostly_ignored(seeds: Sequence[np.ndarray]) -> list[str]:
    """S, each (H, W) uint8, that leaves next to nothing to learn from, or no object at all."""
    counts = sum(np.bincount(s.ravel(), minlength=IGNORE + 1) for s in seeds)
    ignored, objects = counts[IGNORE] / counts.sum(), counts[1:IGNORE].sum()
    warnings = [f"{ignored:.1%} of S is ignored: hardly anything is left to learn from"] if ignored >= MOSTLY_IGNORED else []
    return warnings + ([] if objects else ["S holds no object pixel: a network can only learn background from it"])


def upside_down(saliency: Sequence[np.ndarray]) -> list[str]:
    """Saliency maps, each (H, W), that are higher along the border than in the middle, where objects are."""
    return ["the saliency is higher along the border than in the middle: are the maps inverted?"] if inverted(saliency) else []
