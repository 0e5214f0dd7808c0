"""Adversarial erasing: remove from the pictures what the classifier found, so that the next one
must find more.

Source: Wei et al., CVPR 2017, section 3.1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: Two readings of the paper's "top 20 % of the largest value". Their areas differ a lot.
RULES = ("max", "share")


def discriminative_regions(
    maps: Tensor, present: Tensor, delta: float, rule: str = "max"
) -> Tensor:
    """R_c: where the map of a present class is high.

    Args:
        maps: normalised CAMs in [0, 1], (C, H, W).
        present: image-level labels, (C,) bool; absent classes get an empty region.
        delta: threshold in (0, 1).
        rule: "max": above delta times the map's maximum (0.2 in Zhou et al. and SEC). "share": the
            delta share of the picture's pixels where the map is highest. Both take only pixels with
            some evidence (map > 0).

    Returns:
        (C, H, W) bool.

    Raises:
        ValueError: delta is outside (0, 1), or the rule is unknown.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta: {delta} is outside (0, 1)")
    if rule == "max":
        threshold = delta * maps.amax(dim=(1, 2), keepdim=True)
    elif rule == "share":
        threshold = torch.quantile(maps.flatten(1), 1 - delta, dim=1)[:, None, None]
    else:
        raise ValueError(f"rule: {rule!r} is unknown; choose one of {', '.join(RULES)}")
    return (maps > threshold) & (maps > 0) & present[:, None, None]


def erase(image: Tensor, regions: Tensor, mean_pixel: Tensor) -> Tensor:
    """Fills every region of every class with the training set's mean pixel.

    Args:
        image: (3, H, W), any range.
        regions: (C, H, W) bool, the union over the steps so far.
        mean_pixel: (3,), in the image's range.

    Returns:
        A new (3, H, W).
    """
    return torch.where(regions.any(dim=0), mean_pixel[:, None, None].to(image.dtype), image)


def classification_loss(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """The classifier's loss, a mean over images and classes.

    Args:
        logits: (N, C). "squared" compares them with the labels directly, without a sigmoid.
        labels: (N, C), 0.0 or 1.0.
        kind: "sigmoid" (cross-entropy of the sigmoid) or "squared" (the paper's squared error).
    """
    if kind == "squared":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


def evidence(loss: float, label_frequency: Tensor, kind: str = "sigmoid") -> float:
    """How much of the labels a classifier still reads off its erased training pictures.

    1 - loss / (loss of always answering the class frequencies), in [0, 1]: 1 says all of it, 0 says
    no more than the frequencies (or even less, or that there is nothing to tell: each class is in
    all pictures or in none). It needs no mask: it is the stop signal of the erasing loop. (The
    paper: erase "until no class evidence is left", seen in the training loss.)

    Args:
        loss: `classification_loss` at the end of training.
        label_frequency: share of training pictures that show each class, (C,) in [0, 1].
        kind: of the loss: for "sigmoid" the baseline is the labels' entropy, for "squared" their
            variance.
    """
    p = label_frequency.double()
    entropy = -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p))
    baseline = (p * (1 - p) if kind == "squared" else entropy).mean().item()
    return max(0.0, 1 - loss / baseline) if baseline > 0 else 0.0


def steps_worth_keeping(evidences: Sequence[float], least: float) -> int:
    """Number of leading steps whose evidence is at least `least`; never less than one."""
    kept = 0
    for value in evidences:
        if value < least:
            break
        kept += 1
    return max(kept, 1)
