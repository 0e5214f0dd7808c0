"""aelib.cam against loops, OpenCV's resize and the pytorch-grad-cam library."""

import cv2
import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from aelib.cam import cam, class_activation_maps, normalise
from aelib.models import LargeFOV, classify


@pytest.fixture(scope="module")
def classifier() -> LargeFOV:
    """Random, with scores far from 0 on either side, so that no epsilon matters."""
    torch.manual_seed(3)
    network = LargeFOV(6, "small")
    nn.init.normal_(network.score.weight, std=3)
    nn.init.normal_(network.score.bias, std=3)
    return network.eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    torch.manual_seed(4)
    return torch.rand(3, 3, 64, 48)


class Split(nn.Module):
    """The classifier with its features as a module of their own, which is what grad-cam hooks."""

    def __init__(self, classifier: LargeFOV) -> None:
        super().__init__()
        self.body = nn.Module()
        self.body.classifier = classifier
        self.body.forward = classifier.embed

    def forward(self, image):
        return classify(self.body.classifier.score(self.body(image)))


def test_maps_are_the_weighted_sum_of_the_features():
    torch.manual_seed(0)
    f, w = (
        torch.randn(2, 4, 3, 5, dtype=torch.float64),
        torch.randn(3, 4, 1, 1, dtype=torch.float64),
    )
    expected = torch.zeros(2, 3, 3, 5, dtype=torch.float64)
    for n, c, y, x in np.ndindex(2, 3, 3, 5):
        expected[n, c, y, x] = sum(w[c, k, 0, 0] * f[n, k, y, x] for k in range(4))
    torch.testing.assert_close(class_activation_maps(f, w), expected)


@torch.no_grad()
def test_mean_of_the_map_is_the_score_less_its_bias(classifier, images):
    maps = class_activation_maps(classifier.embed(images), classifier.score.weight)
    torch.testing.assert_close(
        maps.mean(dim=(2, 3)),
        classify(classifier(images)) - classifier.score.bias,
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("c", range(6))
def test_equals_the_grad_cam_library_after_normalisation(classifier, images, c):
    """Behind a global average pool the gradient of score c at f_k is w_k^c / (h w), so Grad-CAM is
    CAM up to a factor."""
    model = Split(classifier)
    library = GradCAM(model, [model.body])
    # as small as the features, or it would resize between ReLU and division
    library.get_target_width_height = lambda _: (12, 16)
    theirs = library(images, [ClassifierOutputTarget(c)] * len(images))
    with torch.no_grad():
        maps = class_activation_maps(classifier.embed(images), classifier.score.weight)
        ours = normalise(maps)[:, c].numpy()
    assert theirs.shape == ours.shape == (3, 16, 12)
    compared = 0
    for one, other in zip(ours, theirs, strict=True):
        if one.max() > 0:
            # the library also subtracts the minimum: a difference where all evidence is positive
            lowest = one.min()
            np.testing.assert_allclose((one - lowest) / (1 - lowest), other, atol=1e-4)
            compared += 1
        else:
            assert not other.any()
    assert compared or not theirs.any()


def test_cam_at_the_images_own_resolution(classifier, images):
    got = cam(classifier, images).numpy()
    assert got.shape == (3, 6, 64, 48)
    with torch.no_grad():
        features = classifier.embed(images).numpy()
    weight = classifier.score.weight.detach().numpy()[:, :, 0, 0]
    for n, c in np.ndindex(3, 6):
        small = sum(weight[c, k] * features[n, k] for k in range(len(features[n])))
        big = np.maximum(cv2.resize(small, (48, 64), interpolation=cv2.INTER_LINEAR), 0)
        np.testing.assert_allclose(got[n, c], big / max(big.max(), 1e-30), atol=2e-4)
    assert (got.max(axis=(2, 3)) == 1).sum() >= 9 and (got.max(axis=(1, 2, 3)) == 1).all()


def test_normalise_by_hand():
    maps = torch.tensor(
        [[[4.0, -2.0], [1.0, 0.0]], [[-1.0, -5.0], [-0.1, -3.0]], [[0.0, 0.0], [0.0, 0.0]]]
    )
    assert normalise(maps).tolist() == [
        [[1.0, 0.0], [0.25, 0.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ]


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e30])
def test_normalise_does_not_depend_on_the_scale(scale):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 7, 5)
    got = normalise(maps * scale)
    assert (
        got.isfinite().all()
        and got.min() == 0
        and torch.equal(got.amax(dim=(2, 3)), torch.ones(2, 3))
    )
    torch.testing.assert_close(got, normalise(maps))


@pytest.mark.parametrize("training", [True, False])
def test_cam_leaves_the_mode_and_the_statistics_unchanged(classifier, images, training):
    reference = cam(classifier.eval(), images)
    classifier.train(training)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    got = cam(classifier, images)
    assert {module.training for module in classifier.modules()} == {training}
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items()
    )
    assert torch.equal(got, reference) and not got.requires_grad
    classifier.eval()
