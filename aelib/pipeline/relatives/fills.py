"""What erased pixels become, beside the training set's mean pixel (Wei et al., CVPR 2017).

The edge of a hole tells a classifier what was there; these differ in how visible they make it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

BLUR = 1 / 8  # standard deviation of the blur, share of the picture's longer side

Painter = Callable[[Tensor, int], Tensor]


def painter(kind: str, mean: Tensor, std: Tensor, seed: int) -> Painter:
    """paint(image, i): what picture i, (3, H, W) in [0, 1], becomes where it is erased.

    Args:
        kind: "zero", "noise" (Gaussian, cut to [0, 1]; the same each time it is asked for) or
            "blur" (the picture itself, blurred over an eighth of its longer side).
        mean, std: of the training set's pixels, (3,); of "noise".
        seed: of the noise, with i.
    """
    if kind == "zero":
        return lambda image, i: torch.zeros_like(image)
    if kind == "blur":
        return lambda image, i: blur(image, BLUR * max(image.shape))

    def noise(image: Tensor, i: int) -> Tensor:
        drawn = np.random.default_rng((seed, i)).standard_normal(tuple(image.shape), np.float32)
        pixels = torch.from_numpy(drawn) * std[:, None, None] + mean[:, None, None]
        return pixels.clamp(0, 1).to(image.dtype)

    return noise


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (3, H, W); beyond the border there is nothing, so nothing darkens it.

    As matrix products: at so large a sigma faster than a convolution.
    """
    rows, columns = (_gaussian(side, sigma).to(image.dtype) for side in image.shape[-2:])
    return rows @ image @ columns.T


def _gaussian(side: int, sigma: float) -> Tensor:
    """The weight of place j in the blurred place i, (side, side); each row sums to one."""
    x = torch.arange(side, dtype=torch.float64)
    return (-((x[:, None] - x) / sigma).square() / 2).softmax(dim=1)


def pixel_std(images: Sequence[np.ndarray], mean: Tensor) -> Tensor:
    """Standard deviation of RGB over all pixels, (3,) in [0, 1], for (H, W, 3) uint8 and (3,)."""
    total, pixels = np.zeros(3), 0
    for image in images:  # once: they may be read from disk
        total += ((image.reshape(-1, 3) / 255 - mean.numpy()) ** 2).sum(axis=0)
        pixels += image.shape[0] * image.shape[1]
    return torch.from_numpy(np.sqrt(total / pixels)).float()
