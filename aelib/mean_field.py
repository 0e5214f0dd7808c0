"""Mean-field inference in the dense CRF of `crf.py`, without approximation: the oracle for
pydensecrf, the lesson, and the fallback where pydensecrf is not installed."""

from math import ceil, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .crf import CLIP, CRF, as_array, check

# least row sum: a pixel that resembles no other gets no message instead of amplified rounding noise
FLOOR = 1e-3
ROWS = 1024  # queries at a time: memory grows with ROWS * H * W, never with (H * W)^2

Array = np.ndarray | Tensor


def kernel_product(
    queries: Tensor, keys: Tensor, values: Tensor, method: str = "attention"
) -> Tensor:
    """sum_j exp(-|q_i - k_j|^2 / 2) v_j for every i: (N, D), (M, D), (M, C) -> (N, C).

    Costs N * M. "pairs" writes the sum out. "attention" is the same number, some ten times as fast
    on a CPU because it never writes the N x M kernel to memory: a mean-field update *is* attention
    with fixed queries and keys.
      * [q, 1, -|q|^2/2] . [k, -|k|^2/2, 1] = -|q - k|^2 / 2: the logits are the kernel's exponent.
      * Softmax divides each row by its sum. One more key, all zeros, has the logit 0 and so the
        weight 1 / row sum. A value that is 1 for this key alone reads that weight out; dividing by
        it undoes the softmax.

    Raises:
        ValueError: the method is unknown.
    """
    if method == "pairs":
        chunks = []
        for rows in queries.split(ROWS):
            # by differences, as |q|^2 + |k|^2 - 2 q.k loses digits
            distance = torch.cdist(rows, keys, compute_mode="donot_use_mm_for_euclid_dist")
            chunks.append(torch.exp(-distance.square() / 2) @ values)
        return torch.cat(chunks)
    if method != "attention":
        raise ValueError(f"method: {method!r} is unknown; choose attention or pairs")

    centre = keys.mean(0)  # the same differences with fewer digits lost
    q, k = queries - centre, keys - centre
    half_q, half_k = (x.square().sum(1, keepdim=True) / -2 for x in (q, k))
    q = torch.cat([q, torch.ones_like(half_q), half_q], 1)
    k = F.pad(torch.cat([k, half_k, torch.ones_like(half_k)], 1), (0, 0, 0, 1))
    v = F.pad(values, (0, 1, 0, 1))
    v[-1, -1] = 1
    # the fused kernels need one width for all three, a multiple of 8; zeros change no dot product
    width = 8 * ceil(max(q.shape[1], v.shape[1]) / 8)
    q, k, padded = (F.pad(x, (0, width - x.shape[1]))[None, None] for x in (q, k, v))
    chunks = []
    for rows in q.split(ROWS, dim=2):
        chunks.append(F.scaled_dot_product_attention(rows, k, padded, scale=1.0)[0, 0])
    out = torch.cat(chunks)
    return out[:, : v.shape[1] - 1] / out[:, v.shape[1] - 1, None]


def mean_field(
    image: Array,
    probabilities: Array,
    crf: CRF | None = None,
    method: str = "attention",
    self_term: bool = True,
    max_pixels: int | None = None,
) -> Tensor:
    """Q, the probabilities after crf.iterations mean-field updates.

    Args:
        image: RGB, (H, W, 3), uint8.
        probabilities: (C, H, W), floats in [0, 1]; they need not sum to one. Computed in their
            float type, on their device.
        crf: the model; `CRF()` if None.
        method: of `kernel_product`: "attention" or "pairs".
        self_term: whether a pixel sends a message to itself. True as in pydensecrf, False as in the
            paper.
        max_pixels: None is exact. Otherwise each pixel gets bilateral messages from every n-th row
            and column only, about this many pixels; costs H * W * max_pixels, not (H * W)^2. The
            Gaussian kernel stays exact, and nothing is resized, so edges stay sharp.

    Returns:
        Q, (C, H, W), in [0, 1], summing to one over C.

    Raises:
        ValueError: shape, type or range of an argument is wrong, or self_term is False where
            max_pixels thins the picture.
    """
    check(image, probabilities)
    return infer(image, probabilities, crf or CRF(), method, self_term, max_pixels)


def infer(
    image: Array, p: Array, crf: CRF, method: str, self_term: bool, max_pixels: int | None
) -> Tensor:
    """`mean_field` without its check of image and p, the probabilities."""
    p = torch.as_tensor(p).detach()
    p = p if p.dtype == torch.float64 else p.float()
    pixels = torch.tensor(as_array(image)).to(p)
    height, width = p.shape[1:]
    if max_pixels is not None and max_pixels < 1:
        raise ValueError(
            f"max_pixels: {max_pixels} pixels cannot be looked at; give 1 or more, or None"
        )
    step = ceil(sqrt(height * width / max_pixels)) if max_pixels else 1
    if step > 1 and not self_term:
        raise ValueError(
            "self_term: False is defined for all pairs of pixels only; give max_pixels=None"
        )
    self_sum = 0.0 if self_term else 1.0  # to subtract from each sum: j = i has exp(0) = 1
    x, y = torch.arange(width).to(p), torch.arange(height).to(p)

    # The Gaussian kernel is a product over the axes: two small matrices, not one of (H * W)^2.
    gaussian_y, gaussian_x = (
        torch.exp(-((a[:, None] - a) / crf.gaussian_sxy).square() / 2) for a in (y, x)
    )

    def gaussian(maps: Tensor) -> Tensor:
        return gaussian_y @ maps @ gaussian_x - self_sum * maps

    places = torch.stack(torch.meshgrid(y, x, indexing="ij")) / crf.bilateral_sxy
    features = torch.cat([places, pixels.permute(2, 0, 1) / crf.bilateral_srgb])

    def thin(maps: Tensor) -> Tensor:
        return maps[:, (height - 1) % step // 2 :: step, (width - 1) % step // 2 :: step]

    keys = thin(features).flatten(1).T

    def bilateral(maps: Tensor) -> Tensor:
        sums = kernel_product(features.flatten(1).T, keys, thin(maps).flatten(1).T, method)
        return sums.T.view_as(maps) - self_sum * maps

    terms = []
    for w, kernel in ((crf.gaussian_weight, gaussian), (crf.bilateral_weight, bilateral)):
        if w:
            # d, the row sums. Where pixels are thinned, step^2 would cancel in K_k(i, j).
            d = kernel(torch.ones_like(p[:1])).clamp_min(FLOOR)
            terms.append((w, kernel, d.sqrt()))
    unary = p.clamp(CLIP, 1).log() / crf.temperature
    q = unary.softmax(0)
    for _ in range(crf.iterations):
        message = sum(w * kernel(q / root) / root for w, kernel, root in terms)
        q = (unary + message).softmax(0)
    return q
