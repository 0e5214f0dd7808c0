"""The image-level prior (ILP): image-level confidences weigh the classes at test only.

Source: Pinheiro & Collobert, "From Image-level to Pixel-level Labeling with Convolutional
Networks", CVPR 2015: log-sum-exp pooling (eq. 1) and the image-level prior (section 4.1). PSL has
the same product, [1, v] times f, inside the loss.
"""

import math

import torch
from torch import Tensor

R = 5.0  # r: 0 is the mean of the scores, infinity their maximum


def log_sum_exp(scores: Tensor, r: float = R) -> Tensor:
    """Pools score maps: (1/r) log[(1/hw) sum exp(r s)], (N, C, h, w) -> logits (N, C)."""
    places = scores.shape[-2] * scores.shape[-1]
    return (torch.logsumexp(r * scores.flatten(2), dim=2) - math.log(places)) / r


def weigh(f: Tensor, v: Tensor) -> Tensor:
    """[1, v] times f, normalised at each pixel: background's weight is 1.

    Args:
        f: a picture's probabilities, background first, (C + 1, H, W) in [0, 1].
        v: its image-level confidences, (C,) in [0, 1].

    Returns:
        (C + 1, H, W) in [0, 1]; where all of it is 0, it stays 0.
    """
    weighed = torch.cat([torch.ones_like(v[:1]), v])[:, None, None] * f
    return weighed / weighed.sum(dim=0).clamp(min=torch.finfo(f.dtype).tiny)
