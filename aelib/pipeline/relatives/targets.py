"""What a network may learn from after the warm-up, beside or in place of S and S-hat.

The paper trains on S and S-hat, hard labels both (Wei et al., CVPR 2017, section 3.2). The others
ask why: f may be pulled towards S-hat's soft form as SEC pulls it towards its CRF.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ... import psl
from ...crf import CLIP, CRF
from . import sec

#: The setting network_loss -> the sum of which terms, each a mean over the picture's places.
TERMS = {
    "psl": ("S", "S-hat"),
    "S": ("S",),
    "S-hat": ("S-hat",),
    "kl": ("S", "kl"),
    "reverse-kl": ("S", "reverse-kl"),
    "literal": ("argmax f", "S-hat"),
    "sec": ("S", "expand", "constrain"),
    "psl+sec": ("S", "S-hat", "expand", "constrain"),
    "expand": ("S", "expand"),
    "constrain": ("S", "constrain"),
}


def loss(
    kind: str, scores: Tensor, S: Tensor, v: Tensor, labels: Tensor, image: Tensor, crf: CRF | None
) -> Tensor:
    """The mean over the images of the terms of this kind.

    Args:
        kind: of TERMS.
        scores: logits, f = softmax(scores), (N, C + 1, h, w).
        S: pseudo-masks at the scores' resolution, (N, h, w) int64, 255 ignored.
        v: image-level confidences, (N, C) in [0, 1].
        labels: image-level labels, 0.0 or 1.0, (N, C).
        image: what the network saw, RGB in [0, 1], (N, 3, H, W).
        crf: for "constrain" among the terms.
    """
    f = scores.softmax(dim=1)
    own = f.detach()
    terms = {
        "S": lambda: psl.cross_entropy(scores, S),
        "S-hat": lambda: psl.cross_entropy(scores, psl.prohibit(own, v)),
        "argmax f": lambda: psl.cross_entropy(scores, own.argmax(dim=1)),
        "kl": lambda: divergence(soft_answer(scores, v), scores.log_softmax(dim=1)),
        "reverse-kl": lambda: divergence(scores.log_softmax(dim=1), soft_answer(scores, v)),
        "expand": lambda: sec.expand(f, labels),
        "constrain": lambda: sec.constrain(scores, image, crf),
    }
    return sum(terms[name]() for name in TERMS[kind]).mean()


def soft_answer(scores: Tensor, v: Tensor) -> Tensor:
    """log of S-hat's soft form: [1, v] times f, normalised at each pixel, without gradient.

    Args:
        scores: logits, f = softmax(scores), (N, C + 1, h, w).
        v: image-level confidences, (N, C) in [0, 1]; below CLIP they do not count as smaller, or
            KL(f || S-hat) would be infinite.
    """
    weights = F.pad(v.clamp(min=CLIP), (1, 0), value=1.0).to(scores).log()
    return (scores.detach() + weights[:, :, None, None]).log_softmax(dim=1)


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum_c p_c log(p_c / q_c), its mean over the places: (N, C + 1, h, w) -> (N,)."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=1).mean(dim=(1, 2))


def normalised(v: Tensor) -> Tensor:
    """v / max v: each image's surest class has 1, as background has; (N, C) in [0, 1]."""
    return v / v.amax(dim=1, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
