"""Class activation maps: where a classifier that only knows "there is a hare" looks for the hare.

Source: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .models import LargeFOV, scaled


def class_activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """M_c(x) = sum_k w_k^c f_k(x).

    Args:
        features: f, the last features before the scores, (N, K, h, w).
        weight: w, the 1x1 score layer's weight, (C, K, 1, 1).

    Returns:
        M, (N, C, h, w), unbounded. Averaged over x it is the class's score less its bias.
    """
    return F.conv2d(features, weight)


def normalise(maps: Tensor) -> Tensor:
    """Negative evidence to 0, then each map divided by its own maximum.

    Args:
        maps: (..., H, W), unbounded.

    Returns:
        The same shape in [0, 1], maximum 1; a map without any positive evidence is all 0.
    """
    maps = maps.clamp(min=0)
    return maps / maps.amax(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)


@torch.no_grad()
def cam(classifier: LargeFOV, image: Tensor, scale: float = 1.0) -> Tensor:
    """Normalised maps at the image's own resolution.

    Args:
        classifier: a LargeFOV of C classes; used in eval mode, left in the mode it was in.
        image: RGB in [0, 1], (N, 3, H, W).
        scale: factor that the classifier sees it at.

    Returns:
        (N, C, H, W) in [0, 1], for all C classes: the caller keeps those of the classes present.
    """
    training = classifier.training
    classifier.eval()
    maps = class_activation_maps(classifier.embed(scaled(image, scale)), classifier.score.weight)
    classifier.train(training)
    return normalise(F.interpolate(maps, size=image.shape[-2:], mode="bilinear", align_corners=False))
