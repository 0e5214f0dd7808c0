"""A small set of noise for tests of what notebooks count and move."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aelib.datasets.base import Pictures, Truth

N, C, H, W = 5, 3, 12, 16
CLASSES, PARTS = ("hare", "<stag>", "ram"), ("background", "head", "prop")


@pytest.fixture
def noise():
    """Pictures, truth and all that stages find, with overlapping regions, ties and void pixels."""
    rng = np.random.default_rng(3)
    masks = list(rng.choice([0, 0, 1, 2, 3, 255], (N, H, W)).astype(np.uint8))
    labels = rng.random((N, C)) < 0.6
    labels[0] = [True, True, False]
    f = rng.dirichlet(np.ones(C + 1), (N, H, W)).transpose(0, 3, 1, 2)
    images = list(rng.integers(100, 130, (N, H, W, 3), dtype=np.uint8))
    # few values: many pixels at a threshold
    maps = (rng.integers(-4, 11, (N, C, H, W)).clip(0) / 10).astype(np.float32)
    parts = list(rng.integers(0, 3, (N, H, W), dtype=np.uint8))
    saliency = list((51 * rng.integers(0, 6, (N, H, W))).astype(np.uint8))  # 0, 0.2 ... 1
    regions = [
        [region & (rng.random((C, 1, 1)) < 0.9) for region in rng.random((N, C, H, W)) < 0.25]
        for _ in range(3)
    ]
    return SimpleNamespace(
        pictures=Pictures(CLASSES, tuple("abcde"), images, labels),
        truth=Truth(masks, parts, PARTS, ("head",)),
        maps=maps,
        saliency=saliency,
        regions=regions,  # by step
        probabilities=list(torch.from_numpy(f.copy()).float()),
        v=rng.random((N, C)).astype(np.float32),
    )
