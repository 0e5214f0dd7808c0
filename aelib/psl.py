"""Prohibitive segmentation learning: image-level confidences forbid, while training, classes that are not there.

Source: Wei et al., CVPR 2017, section 3.2.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .masks import IGNORE


def prohibit(f: Tensor, v: Tensor) -> Tensor:
    """S-hat = argmax_c ([1, v] (x) f)_c: the network's own answer, each class weighed by how sure the classifier is that it is there.

    v = 1 makes it argmax f (plain self-training); v = 0 makes it all background.

    Args:
        f: class probabilities, background first, (N, C + 1, h, w) in [0, 1].
        v: image-level confidences, (N, C) in [0, 1].

    Returns:
        S-hat, (N, h, w) int64. An argmax: no gradient comes through it.
    """
    weights = F.pad(v, (1, 0), value=1.0)  # [1, v]: background is never prohibited
    return (weights[:, :, None, None] * f).argmax(dim=1)


def cross_entropy(scores: Tensor, mask: Tensor) -> Tensor:
    """J(f, M) = - 1 / sum_c |M_c| * sum_c sum_{u in M_c} log f_{u,c}, one number an image.

    Args:
        scores: logits, f = softmax(scores), (N, C + 1, h, w).
        mask: M, (N, h, w) int64: 0..C, 255 is ignored.

    Returns:
        (N,). An image without any labelled pixel gives 0, not 0 / 0.
    """
    loss = F.cross_entropy(scores, mask, ignore_index=IGNORE, reduction="none")  # log f by log-softmax: no log of 0
    labelled = (mask != IGNORE).flatten(1).sum(dim=1)
    return loss.flatten(1).sum(dim=1) / labelled.clamp(min=1)


def psl_loss(scores: Tensor, seeds: Tensor, v: Tensor) -> Tensor:
    """Mean over the images of J(f, S) + J(f, S-hat).

    Args:
        scores: logits, (N, C + 1, h, w).
        seeds: S at the scores' resolution, (N, h, w) int64, 255 ignored; may be all ignore.
        v: image-level confidences from the classifier on the whole picture, (N, C) in [0, 1].
    """
    s_hat = prohibit(scores.detach().softmax(dim=1), v)
    return (cross_entropy(scores, seeds) + cross_entropy(scores, s_hat)).mean()


def shrink(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A label map at the scores' resolution, by the pixel at each cell's centre: (N, H, W) -> (N, h, w) int64.

    DeepLab takes pixel stride * i, where the convolutions put score i; the centre is up to half a stride off that, and so is the bilinear
    way back up (`cam.cam`, `prediction.predict`). Training and test agree on it where pictures and crops are of one size.
    """
    return F.interpolate(mask[:, None].float(), size=size, mode="nearest-exact")[:, 0].long()


def allowed(v: Tensor, threshold: float) -> Tensor:
    """Prohibition at test: the labels that may be answered. Multiply f by it before the argmax.

    Args:
        v: image-level confidences, (N, C) in [0, 1].
        threshold: classes with a confidence under it are removed; in [0, 1], 0 removes nothing.

    Returns:
        (N, C + 1) bool, background first and always True.
    """
    return torch.cat([torch.ones_like(v[:, :1], dtype=torch.bool), v >= threshold], dim=1)
