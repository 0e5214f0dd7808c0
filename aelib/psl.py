"""Prohibitive segmentation learning: during training, image-level confidences forbid classes that
are not in the picture.

Source: Wei et al., CVPR 2017, section 3.2.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .masks import IGNORE


def prohibit(f: Tensor, v: Tensor) -> Tensor:
    """S-hat = argmax_c ([1, v] (x) f)_c: the network's own answer, with each class weighted by how
    sure the classifier is that it is in the picture.

    v = 1 makes it argmax f (plain self-training); v = 0 makes it all background.

    Args:
        f: class probabilities, background first, (N, C + 1, h, w) in [0, 1].
        v: image-level confidences, (N, C) in [0, 1].

    Returns:
        S-hat, (N, h, w) int64. An argmax: no gradient flows through it.
    """
    weights = F.pad(v, (1, 0), value=1.0)  # [1, v]: background is never prohibited
    return (weights[:, :, None, None] * f).argmax(dim=1)


def cross_entropy(scores: Tensor, mask: Tensor) -> Tensor:
    """J(f, M) = - 1 / sum_c |M_c| * sum_c sum_{u in M_c} log f_{u,c}, one number per image.

    Args:
        scores: logits, f = softmax(scores), (N, C + 1, h, w).
        mask: M, (N, h, w) int64: 0..C, 255 is ignored.

    Returns:
        (N,). An image without any labelled pixel has 0, not 0 / 0.
    """
    # - log f_{u,c} by log-softmax: no log of 0
    loss = F.cross_entropy(scores, mask, ignore_index=IGNORE, reduction="none")
    labelled = (mask != IGNORE).flatten(1).sum(dim=1)  # sum_c |M_c|
    return loss.flatten(1).sum(dim=1) / labelled.clamp(min=1)


def psl_loss(scores: Tensor, S: Tensor, v: Tensor) -> Tensor:
    """Mean over the images of J(f, S) + J(f, S-hat).

    Args:
        scores: logits, (N, C + 1, h, w).
        S: pseudo-masks at the scores' resolution, (N, h, w) int64, 255 ignored; may be all 255.
        v: confidences of the classifier on the whole picture, (N, C) in [0, 1].
    """
    S_hat = prohibit(scores.detach().softmax(dim=1), v)
    return (cross_entropy(scores, S) + cross_entropy(scores, S_hat)).mean()


def shrink(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A label map at the scores' resolution: (N, H, W) -> (N, h, w) int64.

    Each cell takes the pixel at its centre. DeepLab takes pixel stride * i, where the convolutions
    put score i; the centre is up to half a stride off that, and so is the bilinear way back up
    (`prediction.predict`): training and test agree where pictures and crops have the same size.
    """
    return F.interpolate(mask[:, None].float(), size=size, mode="nearest-exact")[:, 0].long()


def allowed(v: Tensor, threshold: float) -> Tensor:
    """Prohibition at test: which labels may be answered. Multiply f by it before the argmax.

    Args:
        v: image-level confidences, (N, C) in [0, 1].
        threshold: classes with a confidence below it are removed; in [0, 1], 0 removes nothing.

    Returns:
        (N, C + 1) bool, background first and always True.
    """
    return torch.cat([torch.ones_like(v[:, :1], dtype=torch.bool), v >= threshold], dim=1)
