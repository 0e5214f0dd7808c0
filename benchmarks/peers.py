"""The peers of `bench.py`, each called as its documentation does, at its best."""

from collections.abc import Sequence

import numpy as np
import torch
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_softmax
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassJaccardIndex

from aelib.crf import CRF
from aelib.models import LargeFOV

Present = Sequence[Sequence[int]]  # the classes of each picture; as many for all pictures


class Body(nn.Module):
    """LargeFOV up to the features before its scores."""

    def __init__(self, model: LargeFOV) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model.embed(image)


class Pooled(nn.Module):
    """The classifier as the peers want it: features, a global average pool, a linear layer.

    The linear layer has the 1x1 score layer's weights, so its logits are the means of the score
    maps.
    """

    def __init__(self, model: LargeFOV) -> None:
        super().__init__()
        self.body = Body(model)
        self.head = nn.Linear(model.score.in_channels, model.score.out_channels)
        self.head.weight.data = model.score.weight.data[:, :, 0, 0]
        self.head.bias.data = model.score.bias.data
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image).mean(dim=(2, 3)))


def by_gradcam(model: LargeFOV, images: Tensor, present: Present) -> np.ndarray:
    """Maps of the present classes, (n, k, H, W) in [0, 1]: a forward and a backward pass a class,
    all pictures together.

    Negative evidence is set to 0 before the maps are resized, and they are stretched twice.
    """
    pooled = Pooled(model)
    with GradCAM(pooled, [pooled.body]) as library:
        found = [
            library(images, [ClassifierOutputTarget(c) for c in classes])
            for classes in zip(*present, strict=True)
        ]
    return np.stack(found, axis=1)


def by_torchcam(model: LargeFOV, images: Tensor, present: Present) -> np.ndarray:
    """The same, not normalised, by torchcam's CAM: one forward pass for all pictures."""
    from torchcam.methods import CAM  # `make bench` installs it; the tests do without

    pooled = Pooled(model)
    with CAM(pooled, target_layer="body", fc_layer="head") as library, torch.no_grad():
        scores = pooled(images)
        found = [
            library(list(classes), scores, normalized=False)[0]
            for classes in zip(*present, strict=True)
        ]
        maps = torch.stack(found, dim=1)
        return F.interpolate(maps, size=images.shape[-2:], mode="bilinear").cpu().numpy()


def crf_by_loop(image: np.ndarray, f: np.ndarray, present: np.ndarray, crf: CRF) -> np.ndarray:
    """q (C + 1, H, W) by pydensecrf as its README has it: over all labels, absent ones set to 0."""
    labels, height, width = f.shape
    f = f * present[:, None, None]
    model = DenseCRF2D(width, height, labels)
    model.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(f / f.sum(0))))
    model.addPairwiseGaussian(sxy=crf.gaussian_sxy, compat=crf.gaussian_weight)
    model.addPairwiseBilateral(
        sxy=crf.bilateral_sxy,
        srgb=crf.bilateral_srgb,
        rgbim=np.ascontiguousarray(image),
        compat=crf.bilateral_weight,
    )
    return np.array(model.inference(int(crf.iterations))).reshape(labels, height, width)


def miou_by_torchmetrics(
    truths: Sequence[np.ndarray], answers: Sequence[np.ndarray], classes: int
) -> float:
    """mIoU over the whole set, updated image by image."""
    metric = MulticlassJaccardIndex(classes, ignore_index=255)
    for truth, answer in zip(truths, answers, strict=True):
        metric.update(torch.from_numpy(answer).long(), torch.from_numpy(truth).long())
    return float(metric.compute())
