"""SEC's two losses beside its seeds: expand the seeds to a likely size, constrain them to edges.

Source: Kolesnikov & Lampert, "Seed, Expand and Constrain: Three Principles for Weakly-Supervised
Image Segmentation", ECCV 2016, sections 3.2 to 3.4. The seeding loss is J(f, S) of `psl`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...crf import CLIP, CRF
from ...mean_field import FLOOR

D_PRESENT = 0.996  # d+: half of the weight is on the best 172 places
D_BACKGROUND = 0.999


def gwrp(maps: Tensor, decay: float) -> Tensor:
    """Global weighted rank pooling: sum_j d^(j-1) f_(j) / sum_j d^(j-1), largest f first.

    d = 0 is max pooling, d = 1 average pooling.

    Args:
        maps: (..., h, w).
        decay: d, in [0, 1].

    Returns:
        (...).
    """
    ranked = maps.flatten(-2).sort(dim=-1, descending=True).values
    places = torch.arange(ranked.shape[-1], dtype=ranked.dtype, device=ranked.device)
    weights = decay**places
    return (ranked * weights).sum(dim=-1) / weights.sum()


def expand(f: Tensor, labels: Tensor) -> Tensor:
    """Present classes and background must fill a share of the picture, absent ones no place of it.

    - 1/|T| sum_{c in T} log G_c(f; d+) - 1/|C - T| sum_{c not in T} log(1 - max f_c)
    - log G_background(f; d_bg), with G = `gwrp`. A mean over no class is 0.

    Args:
        f: class probabilities, background first, (N, C + 1, h, w) in [0, 1].
        labels: T as 0.0 or 1.0, (N, C).

    Returns:
        (N,), 0 or more. Below CLIP, probabilities do not count as smaller: no log of 0.
    """
    size = gwrp(f[:, 1:], D_PRESENT).clamp(min=CLIP).log()
    absence = (1 - f[:, 1:].amax(dim=(2, 3))).clamp(min=CLIP).log()
    background = gwrp(f[:, 0], D_BACKGROUND).clamp(min=CLIP).log()
    absent = 1 - labels
    return -_mean(size, labels) - _mean(absence, absent) - background


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the chosen values (0.0 or 1.0), (N, C) -> (N,)."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


def constrain(scores: Tensor, image: Tensor, crf: CRF) -> Tensor:
    """(1/n) sum_u sum_c Q_{u,c} log(Q_{u,c} / f_{u,c}), Q = `small_crf` of f, without gradient.

    Args:
        scores: logits, f = softmax(scores), (N, C + 1, h, w).
        image: what the network saw, RGB in [0, 1], (N, 3, H, W).
        crf: the model, its widths in pixels of the image.

    Returns:
        (N,), 0 or more.
    """
    log_f = scores.log_softmax(dim=1)
    Q = small_crf(image, log_f.detach().exp(), crf)
    return F.kl_div(log_f, Q, reduction="none").sum(dim=1).mean(dim=(1, 2))


@torch.no_grad()
def small_crf(image: Tensor, f: Tensor, crf: CRF) -> Tensor:
    """Q: the dense CRF's mean field of small maps, exact, all pictures of the batch at once.

    As SEC's, it runs at the maps' size: the picture is shrunk to it, and widths in pixels with it.
    A kernel is an (h w, h w) matrix a picture, made once, so an update is a matrix product: for
    24 x 24 places far cheaper than `mean_field.mean_field` picture by picture, which it equals.

    Args:
        image: RGB in [0, 1], (N, 3, H, W).
        f: probabilities, (N, C, h, w).
        crf: the model, its widths in pixels of the image.

    Returns:
        (N, C, h, w), summing to one over C.
    """
    h, w = f.shape[-2:]
    stride = image.shape[-2] / h
    colours = F.interpolate(image.to(f), size=(h, w), mode="bilinear", antialias=True) * 255
    with torch.autocast(f.device.type, enabled=False):
        terms = _terms(colours, crf, stride)
        unary = f.clamp(CLIP, 1).log().flatten(2)
        q = unary.softmax(dim=1)
        for _ in range(crf.iterations):
            message = sum(weight * ((q / root) @ kernel) / root for weight, kernel, root in terms)
            q = (unary + message).softmax(dim=1)
    return q.view_as(f)


def _terms(colours: Tensor, crf: CRF, stride: float) -> list[tuple[float, Tensor, Tensor]]:
    """Weight, kernel and root of its row sums, of each kernel that is not off.

    Args:
        colours: (N, 3, h, w) in [0, 255].
        crf: its widths in pixels of a picture `stride` times as large.
    """
    y, x = torch.meshgrid(*(torch.arange(side) for side in colours.shape[-2:]), indexing="ij")
    places = torch.stack([y, x], dim=-1).to(colours).flatten(0, 1) * stride
    where = (places / crf.bilateral_sxy).expand(len(colours), -1, -1)
    alike = torch.cat([where, colours.flatten(2).mT / crf.bilateral_srgb], dim=2)
    near = places / crf.gaussian_sxy  # one matrix for all pictures
    terms = []
    for weight, features in ((crf.gaussian_weight, near), (crf.bilateral_weight, alike)):
        if weight:
            kernel = _kernel(features)
            root = kernel.sum(dim=-1).clamp(min=FLOOR).sqrt()
            terms.append((weight, kernel, root[..., None, :]))
    return terms


def _kernel(features: Tensor) -> Tensor:
    """exp(-|f_i - f_j|^2 / 2), (..., n, D) -> (..., n, n), as one matrix product (`mean_field`)."""
    centred = features - features.mean(dim=-2, keepdim=True)  # loses fewer digits
    half = centred.square().sum(dim=-1, keepdim=True) / -2
    one = torch.ones_like(half)
    left, right = torch.cat([centred, half, one], -1), torch.cat([centred, one, half], -1)
    return (left @ right.mT).exp_()
