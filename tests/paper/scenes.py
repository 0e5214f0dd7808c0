"""A picture with probabilities for the tests of the CRF and of mean field."""

import numpy as np

from aelib.crf import CRF

SMALL = CRF(
    gaussian_weight=2,
    gaussian_sxy=1.5,
    bilateral_weight=4,
    bilateral_sxy=4,
    bilateral_srgb=40,
    iterations=3,
)


def scene(
    height: int = 24, width: int = 32, labels: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coloured stripes with noise; probabilities that are 3 pixels off and noisy; the stripes."""
    rng = np.random.default_rng(seed)
    truth = np.broadcast_to(np.arange(width) * labels // width, (height, width))
    colors = rng.integers(40, 216, (labels, 3))
    image = (colors[truth] + rng.normal(0, 6, (height, width, 3))).clip(0, 255).astype(np.uint8)
    scores = rng.normal(0, 0.5, (labels, height, width))
    scores += 1.2 * (np.roll(truth, 3, axis=1) == np.arange(labels)[:, None, None])
    p = np.exp(scores)
    return image, (p / p.sum(0)).astype(np.float32), truth
