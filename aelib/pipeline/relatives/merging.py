"""Other rules for the pixels that `masks.merge` leaves ignored.

The paper's rule for them is not told (see `masks`). Each variant fills in one cell of its table:

|              | claimed by no class | by one class          | by two or more |
|--------------|---------------------|-----------------------|----------------|
| low saliency | 0 (background)      | "region", "saliency"  | 255            |
| salient      | "near"              | c + 1                 | "smallest"     |
"""

import numpy as np
from scipy import ndimage

from ...masks import merge


def merge_by(
    rule: str,
    regions: np.ndarray,
    saliency: np.ndarray,
    background_threshold: float,
    labels: np.ndarray,
) -> np.ndarray:
    """S by one of these rules.

    Args:
        rule: "region": low saliency inside one claimed region is its class. "saliency": it is
            background. "smallest": salient pixels that several classes claim belong to that whose
            region in this picture is the smallest. "near": salient pixels that nobody claims belong
            to the class of a picture with one label, if a path over salient and mined pixels (4
            neighbours) leads to its region.
        regions, saliency, background_threshold: as for `masks.merge`.
        labels: image-level labels, (C,) bool.

    Returns:
        S, (H, W) uint8: 0 background, c + 1 for class c, 255 ignore.

    Raises:
        ValueError: as `masks.merge`, or the rule is unknown.
    """
    S = merge(regions, saliency, background_threshold)
    claims = regions.sum(axis=0)
    low = saliency < background_threshold
    if rule == "region":
        inside = low & (claims == 1)
        S[inside] = regions.argmax(axis=0)[inside] + 1
    elif rule == "saliency":
        S[low & (claims == 1)] = 0
    elif rule == "smallest":
        several = ~low & (claims > 1)
        S[several] = smallest(regions)[several] + 1
    elif rule == "near":
        if labels.sum() == 1:
            c = int(labels.argmax())
            S[~low & (claims == 0) & joined(regions[c], ~low)] = c + 1
    else:
        raise ValueError(f"rule: {rule!r} is unknown; choose region, saliency, smallest or near")
    return S


def smallest(regions: np.ndarray) -> np.ndarray:
    """Of the classes that claim a pixel, the one with the smallest region; of equals the first.

    (C, H, W) bool -> (H, W) integers; a pixel without a claim has some class.
    """
    areas = regions.sum(axis=(1, 2))
    order = np.argsort(areas, kind="stable")
    return order[regions[order].argmax(axis=0)]


def joined(region: np.ndarray, salient: np.ndarray) -> np.ndarray:
    """The pixels of region or salient from which a path within both leads to the region.

    (H, W) bool each, and so the result; a step of the path goes to one of 4 neighbours.
    """
    pieces, _ = ndimage.label(region | salient)
    return np.isin(pieces, pieces[region])
