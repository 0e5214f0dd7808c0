"""aelib.prediction against a loop over the views with OpenCV's and Pillow's resizing."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from aelib.models import LargeFOV
from aelib.prediction import predict


@pytest.fixture(scope="module")
def model() -> LargeFOV:
    torch.manual_seed(3)
    network = LargeFOV(4, "small", dropout=0.5)
    nn.init.normal_(network.score.weight, std=3)
    return network.eval()


def resized(channels: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.stack(
        [
            np.asarray(Image.fromarray(c, "F").resize((width, height), Image.Resampling.BILINEAR))
            for c in channels
        ]
    )


def views(
    model: LargeFOV,
    image: np.ndarray,
    scales: list[float],
    flip: bool,
    weight: torch.Tensor,
    bias: torch.Tensor,
) -> list[np.ndarray]:
    """Linear maps of the features at the image's size, one array a view."""
    height, width = image.shape[1:]
    answers = []
    for scale in scales:
        view = (
            image
            if scale == 1
            else resized(image, max(2, round(height * scale)), max(2, round(width * scale)))
        )
        for mirrored in [False, True][: 1 + flip]:
            seen = np.ascontiguousarray(view[:, :, ::-1]) if mirrored else view
            with torch.no_grad():
                features = model.embed(torch.from_numpy(seen)[None])[0].numpy()
            maps = (
                np.einsum("ck,khw->chw", weight[:, :, 0, 0].numpy(), features)
                + bias.numpy()[:, None, None]
            )
            maps = maps[:, :, ::-1] if mirrored else maps
            answers.append(
                np.stack(
                    [
                        cv2.resize(
                            np.ascontiguousarray(m), (width, height), interpolation=cv2.INTER_LINEAR
                        )
                        for m in maps
                    ]
                )
            )
    return answers


CASES = [
    ((37, 50), [1.0], False),
    ((37, 50), [0.5, 1.0, 1.7], True),
    ((1, 23), [0.4, 2.0], True),
    ((64, 31), [0.5], False),
    ((40, 1), [0.5, 1.0], False),
]


@pytest.mark.parametrize(("size", "scales", "flip"), CASES)
def test_predict_is_the_mean_softmax_of_the_views(model, size, scales, flip):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    wanted = []
    for scores in views(
        model, image.numpy(), scales, flip, model.score.weight.detach(), model.score.bias.detach()
    ):
        e = np.exp(scores - scores.max(axis=0))
        wanted.append(e / e.sum(axis=0))
    got = predict(model, image[None], scales, flip)[0]
    assert got.shape == (4, *size) and got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), np.mean(wanted, axis=0), atol=2e-4)
    np.testing.assert_allclose(got.sum(dim=0).numpy(), 1, atol=1e-5)


@pytest.mark.parametrize("scales", [(), (0.0, 1.0), (float("nan"),), (-1.0,)])
def test_scales_that_are_none_are_refused(model, scales):
    with pytest.raises(ValueError, match="scales: "):
        predict(model, torch.rand(1, 3, 8, 8), scales)
