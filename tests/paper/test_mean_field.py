"""aelib.mean_field against a plain loop over pixel pairs and closed forms."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from paper.scenes import SMALL, scene

from aelib import mean_field as module
from aelib.crf import CRF, refine
from aelib.mean_field import kernel_product, mean_field


def by_loops(image: np.ndarray, p: np.ndarray, crf: CRF, self_term: bool) -> np.ndarray:
    """Mean field as the paper writes it, one pair of pixels after another, in float64."""
    labels, height, width = p.shape
    sites = list(product(range(height), range(width)))
    kernels = np.zeros((2, len(sites), len(sites)))
    for (i, (y, x)), (j, (v, u)) in product(enumerate(sites), repeat=2):
        if i != j or self_term:
            near = (y - v) ** 2 + (x - u) ** 2
            unlike = sum((float(image[y, x, k]) - float(image[v, u, k])) ** 2 for k in range(3))
            exponent = near / (2 * crf.bilateral_sxy**2) + unlike / (2 * crf.bilateral_srgb**2)
            kernels[0, i, j] = math.exp(-near / (2 * crf.gaussian_sxy**2))
            kernels[1, i, j] = math.exp(-exponent)
    d = kernels.sum(2)
    weights = (crf.gaussian_weight, crf.bilateral_weight)
    unary = p.reshape(labels, -1).clip(1e-5, 1)
    q = unary / unary.sum(0)
    for _ in range(crf.iterations):
        new = np.zeros_like(q)
        for c, i in product(range(labels), range(len(sites))):
            energy = 0.0
            for weight, kernel, norm in zip(weights, kernels, d, strict=True):
                for j in range(len(sites)):
                    energy += weight * kernel[i, j] / math.sqrt(norm[i] * norm[j]) * q[c, j]
            new[c, i] = unary[c, i] * math.exp(energy)
        q = new / new.sum(0)
    return q.reshape(p.shape)


@pytest.mark.parametrize("self_term", [True, False])
@pytest.mark.parametrize("method", ["attention", "pairs"])
def test_mean_field_is_the_sum_over_all_pairs(method: str, self_term: bool) -> None:
    image, p, _ = scene(8, 7)  # not square: rows and columns must not be mixed up
    expected = by_loops(image, p.astype(np.float64), SMALL, self_term)
    assert abs(expected - p).max() > 0.1  # the model does something here
    exact = mean_field(image, p.astype(np.float64), SMALL, method, self_term)
    np.testing.assert_allclose(exact.numpy(), expected, atol=1e-12)
    single = mean_field(image, p, SMALL, method, self_term)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("labels", [1, 7, 21])  # 21 is wider than the queries, and padded otherwise
def test_attention_is_the_kernel_product(labels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 100)  # 250 queries: full and partial chunks
    generator = torch.Generator().manual_seed(labels)
    # a spread of 20, as colours have at srgb = 13
    queries, keys = (torch.rand(n, 5, generator=generator) * 20 for n in (250, 130))
    values = torch.rand(130, labels, generator=generator)
    attention = kernel_product(queries, keys, values, "attention")
    pairs = kernel_product(queries, keys, values, "pairs")
    double = kernel_product(queries.double(), keys.double(), values.double())
    square = (queries[:, None].double() - keys.double()).square().sum(2)
    expected = torch.exp(-square / 2) @ values.double()
    np.testing.assert_allclose(pairs, expected, rtol=1e-5, atol=1e-12)
    # float32 rounds exponents in the hundreds
    np.testing.assert_allclose(attention, expected, rtol=2e-4, atol=1e-12)
    np.testing.assert_allclose(double, expected, rtol=1e-11, atol=1e-12)


def test_methods_agree_with_default_crf() -> None:
    image, p, _ = scene()
    np.testing.assert_allclose(
        mean_field(image, p, method="attention"), mean_field(image, p, method="pairs"), atol=1e-5
    )


def test_two_pixels_by_hand() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    p = np.array([[[0.6, 0.3]], [[0.4, 0.7]]])
    k = math.exp(-1 / 2)  # one pixel apart, width 1; row sum 1 + k
    odds = 0.6 / 0.4 * math.exp(2 * ((0.6 - 0.4) + k * (0.3 - 0.7)) / (1 + k))
    crf = CRF(gaussian_weight=2, gaussian_sxy=1, bilateral_weight=0, iterations=1)
    q = mean_field(image, p, crf)
    assert q[0, 0, 0].item() == pytest.approx(odds / (1 + odds), abs=1e-12)


def test_thinned_picture_stays_close_to_exact() -> None:
    image, p, _ = scene(48, 64)
    exact = mean_field(image, p)
    thinned = mean_field(image, p, max_pixels=256)  # every 4th row and column
    assert (exact - thinned).abs().max() < 0.02  # 0.0025 measured
    np.testing.assert_array_equal(refine(image, p, engine="exact", max_pixels=256), thinned.numpy())
    for shape in ((1, 40), (40, 1)):  # a step longer than a side leaves something to look at
        q = mean_field(np.zeros((*shape, 3), np.uint8), np.full((2, *shape), 0.5), max_pixels=3)
        np.testing.assert_allclose(q.numpy(), 0.5)


def test_bad_parameters_are_refused() -> None:
    image, p, _ = scene()
    with pytest.raises(ValueError, match=r"^method: 'loop'"):
        mean_field(image, p, method="loop")
    with pytest.raises(ValueError, match=r"^max_pixels: 0"):
        mean_field(image, p, max_pixels=0)
    with pytest.raises(ValueError, match=r"^self_term: False"):
        mean_field(image, p, self_term=False, max_pixels=10)
