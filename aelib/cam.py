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
        M, (N, C, h, w), unbounded. Its mean over x is the class's score minus the bias.
    """
    return F.conv2d(features, weight)


def normalise(maps: Tensor) -> Tensor:
    """Sets negative evidence to 0, then divides each map by its own maximum.

    Args:
        maps: (..., H, W), unbounded.

    Returns:
        The same shape in [0, 1], maximum 1; a map without any positive evidence is all 0.
    """
    maps = maps.clamp(min=0)
    tiny = torch.finfo(maps.dtype).tiny  # 0 / tiny = 0, where 0 / 0 is NaN
    return maps / maps.amax(dim=(-2, -1), keepdim=True).clamp(min=tiny)


@torch.no_grad()
def cam(classifier: LargeFOV, image: Tensor, scale: float = 1.0) -> Tensor:
    """Normalised maps at the image's own resolution.

    Args:
        classifier: a LargeFOV of C classes. Runs in eval mode and is left in the mode it was in.
        image: RGB in [0, 1], (N, 3, H, W).
        scale: factor by which the image is resized for the classifier.

    Returns:
        (N, C, H, W) in [0, 1], for all C classes: the caller picks the classes that are present.
    """
    training = classifier.training
    classifier.eval()
    features = classifier.embed(scaled(image, scale))
    maps = class_activation_maps(features, classifier.score.weight)
    classifier.train(training)
    maps = F.interpolate(maps, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return normalise(maps)
