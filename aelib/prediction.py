"""f at test: a segmentation network's answer for pictures of any size, at their own resolution,
averaged over scales and mirror images."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .models import LargeFOV, scaled


@torch.no_grad()
def predict(
    model: LargeFOV, images: Tensor, scales: Sequence[float] = (1.0,), flip: bool = False
) -> Tensor:
    """f: the softmax of the scores, resized to the picture bilinearly, averaged over the views.

    Args:
        model: a segmentation network of C + 1 classes, in eval mode.
        images: RGB in [0, 1], (N, 3, H, W).
        scales: factors above 0 that the pictures are resized by, each one a view. DeepLab v2 takes
            (0.5, 0.75, 1) and their maximum; later work takes the average.
        flip: whether each view is also seen mirrored.

    Returns:
        (N, C + 1, H, W) float32 in [0, 1], background first.

    Raises:
        ValueError: there is no scale, or one is not above 0.
    """
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise ValueError(f"scales: {tuple(scales)} must be factors above 0, at least one")
    size = images.shape[-2:]
    total = 0
    for scale in scales:
        view = scaled(images, scale)
        for mirrored in (False, True) if flip else (False,):
            scores = model(view.flip(-1)).flip(-1) if mirrored else model(view)
            scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
            total = total + scores.softmax(dim=1)
    return total / (len(scales) * (1 + flip))
