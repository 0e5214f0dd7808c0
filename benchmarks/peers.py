"""The peers of `bench.py`, each called as its own documentation does."""

from collections.abc import Sequence

import numpy as np
import torch
from pydensecrf.densecrf import DenseCRF2D
from pydensecrf.utils import unary_from_softmax
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F
from torchcam.methods import CAM
from torchmetrics.classification import MulticlassJaccardIndex

from aelib.crf import CRF
from aelib.models import LargeFOV


class Split(nn.Module):
    """The classifier with its features as a module of their own, which is what libraries hook."""

    def __init__(self, model: LargeFOV) -> None:
        super().__init__()
        self.body = Body(model)
        self.head = nn.Linear(model.score.in_channels, model.score.out_channels)
        self.head.weight.data = model.score.weight.data[:, :, 0, 0]
        self.head.bias.data = model.score.bias.data

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image).mean(dim=(2, 3)))


class Body(nn.Module):
    """LargeFOV up to the features before its scores."""

    def __init__(self, model: LargeFOV) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model.embed(image)


def cams_by_gradcam(
    model: LargeFOV, images: Tensor, present: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """Maps of the present classes, (n, k, H, W): a call a class, all pictures together."""
    split = Split(model).eval()
    found = []
    with GradCAM(split, [split.body]) as library:
        for number in range(len(present[0])):
            targets = [ClassifierOutputTarget(classes[number]) for classes in present]
            found.append(library(images, targets))
    return np.stack(found, axis=1)


def cams_by_torchcam(
    model: LargeFOV, images: Tensor, present: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """The same by torchcam's CAM: one forward pass a picture, then a call a class."""
    split = Split(model).eval()
    found = []
    with CAM(split, target_layer="body", fc_layer="head") as library, torch.no_grad():
        for image, classes in zip(images, present, strict=True):
            scores = split(image[None])
            maps = [library(c, scores)[0] for c in classes]
            size = image.shape[-2:]
            maps = F.interpolate(torch.stack(maps, dim=1), size=size, mode="bilinear")[0]
            found.append(maps.cpu().numpy())
    return np.stack(found)


def crf_by_loop(image: np.ndarray, f: np.ndarray, present: np.ndarray, crf: CRF) -> np.ndarray:
    """pydensecrf as its README has it, over all labels; absent ones were set to 0 before."""
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


def mean_iou_by_torchmetrics(
    truths: Sequence[np.ndarray], answers: Sequence[np.ndarray], classes: int
) -> float:
    """mIoU over the whole set, updated image by image."""
    metric = MulticlassJaccardIndex(classes, ignore_index=255)
    for truth, answer in zip(truths, answers, strict=True):
        metric.update(torch.from_numpy(answer).long(), torch.from_numpy(truth).long())
    return float(metric.compute())
