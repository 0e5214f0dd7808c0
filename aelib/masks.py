"""S, the pseudo-mask a segmentation network learns from: mined regions are foreground, low saliency
is background, the rest is ignored.

Source: Wei et al., CVPR 2017, section 3.1; how doubtful pixels are treated is as commonly reported.
"""

import numpy as np

IGNORE = 255


def merge(regions: np.ndarray, saliency: np.ndarray, background_threshold: float) -> np.ndarray:
    """The whole merge rule.

    |              | claimed by no class | by one class | by two or more |
    |--------------|---------------------|--------------|----------------|
    | low saliency | 0 (background)      | 255          | 255            |
    | salient      | 255                 | c + 1        | 255            |

    Args:
        regions: mined regions, the union over the steps, (C, H, W) bool.
        saliency: (H, W) in [0, 1].
        background_threshold: saliency below it is low; in [0, 1].

    Returns:
        S, (H, W) uint8: 0 background, c + 1 for class c, 255 ignore.

    Raises:
        ValueError: the shapes disagree, C is not 1 to 254, the saliency contains NaN, or the
            threshold is outside [0, 1].
    """
    _check(regions, saliency, background_threshold)
    claims = regions.sum(axis=0)
    low = saliency < background_threshold
    S = np.full(saliency.shape, IGNORE, np.uint8)
    S[low & (claims == 0)] = 0
    foreground = ~low & (claims == 1)
    S[foreground] = regions.argmax(axis=0)[foreground] + 1
    return S


def _check(regions: np.ndarray, saliency: np.ndarray, background_threshold: float) -> None:
    fits = regions.ndim == 3 and regions.shape[1:] == saliency.shape
    if not fits or not 1 <= len(regions) <= 254:
        raise ValueError(
            f"regions {regions.shape} and saliency {saliency.shape}: expected (C, H, W) with C of "
            "1 to 254, and (H, W)"
        )
    if np.isnan(saliency).any():
        raise ValueError("saliency: there is NaN in it")
    if not 0 <= background_threshold <= 1:
        raise ValueError(f"background_threshold: {background_threshold} is outside [0, 1]")


def as_prediction(regions: np.ndarray) -> np.ndarray:
    """Mined regions read as a finished segmentation (the table's CAM row).

    Unclaimed pixels are background; where classes overlap, the first one wins.

    (C, H, W) bool -> (H, W) uint8, 0 background, c + 1 for class c.
    """
    return np.where(regions.any(axis=0), regions.argmax(axis=0) + 1, 0).astype(np.uint8)
