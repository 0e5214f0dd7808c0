"""What a network says of one picture of any size, at the picture's own resolution, averaged over scales and mirror images."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .augment import THINNEST
from .cam import class_activation_maps, normalise
from .models import LargeFOV


def predict(model: LargeFOV, image: Tensor, scales: Sequence[float] = (1.0,), flip: bool = False) -> Tensor:
    """f: the softmax of the scores, put up bilinearly, averaged over the views.

    Args:
        model: a segmentation network of C + 1 classes; used in eval mode, left in the mode it was in.
        image: RGB in [0, 1], (3, H, W).
        scales: factors that the picture is scaled by, each a view. DeepLab v2 takes (0.5, 0.75, 1) and their maximum; the average is
            the custom since.
        flip: whether each view is also seen in the mirror.

    Returns:
        (C + 1, H, W) float32 in [0, 1], background first, on the image's device.

    Raises:
        ValueError: no scale, or one that is not above 0.
    """
    return _mean_of_views(model, model, image, scales, flip, lambda scores: scores.softmax(dim=0))


def cams(classifier: LargeFOV, image: Tensor, scales: Sequence[float] = (1.0,), flip: bool = False) -> Tensor:
    """Normalised class activation maps: positive evidence averaged over the views, then divided by each map's maximum.

    One view is `cam.cam`. The average of many is the family's custom (PSA: Ahn & Kwak, CVPR 2018; IRN); the paper does not say.

    Args:
        classifier: a LargeFOV of C classes; used in eval mode, left in the mode it was in.
        image, scales, flip: as in `predict`.

    Returns:
        (C, H, W) float32 in [0, 1], for all C classes, on the image's device.
    """

    def maps(view: Tensor) -> Tensor:
        return class_activation_maps(classifier.embed(view), classifier.score.weight)

    return normalise(_mean_of_views(classifier, maps, image, scales, flip, lambda evidence: evidence.clamp(min=0)))


@torch.no_grad()
def _mean_of_views(
    model: LargeFOV, maps: Callable[[Tensor], Tensor], image: Tensor, scales: Sequence[float], flip: bool, finish: Callable[[Tensor], Tensor]
) -> Tensor:
    """Mean over the views of finish(maps(view) at the image's own size), (K, H, W)."""
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise ValueError(f"scales: {tuple(scales)} must be factors above 0, at least one")
    size, device = image.shape[-2:], model.score.weight.device
    training = model.training
    model.eval()
    total = 0
    for scale in scales:
        view = image[None].to(device)
        if scale != 1:
            shape = [max(THINNEST, round(side * scale)) for side in size]
            view = F.interpolate(view, size=shape, mode="bilinear", antialias=True)
        for mirrored in (False, True) if flip else (False,):
            answer = maps(view.flip(-1)).flip(-1) if mirrored else maps(view)
            total = total + finish(F.interpolate(answer.float(), size=size, mode="bilinear", align_corners=False)[0])
    model.train(training)
    return (total / (len(scales) * (1 + flip))).to(image.device)
