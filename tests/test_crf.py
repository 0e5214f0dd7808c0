"""aelib.crf against a plain loop over pixel pairs, closed forms, and the authors' C++ (pydensecrf)."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from aelib import crf as module
from aelib.crf import CRF, HAVE_LATTICE, kernel_product, mean_field, refine, refine_all, refine_present

needs_lattice = pytest.mark.skipif(not HAVE_LATTICE, reason="pydensecrf is not installed: pip install pydensecrf2")
SMALL = CRF(gaussian_weight=2, gaussian_sxy=1.5, bilateral_weight=4, bilateral_sxy=4, bilateral_srgb=40, iterations=3)


def scene(height: int = 24, width: int = 32, labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coloured stripes with noise; probabilities that know the stripes up to 3 pixels and 0.55; and the stripes."""
    rng = np.random.default_rng(seed)
    truth = np.broadcast_to(np.arange(width) * labels // width, (height, width))
    colors = rng.integers(40, 216, (labels, 3))
    image = (colors[truth] + rng.normal(0, 6, (height, width, 3))).clip(0, 255).astype(np.uint8)
    scores = rng.normal(0, 0.5, (labels, height, width))
    scores += 1.2 * (np.roll(truth, 3, axis=1) == np.arange(labels)[:, None, None])
    p = np.exp(scores)
    return image, (p / p.sum(0)).astype(np.float32), truth


def by_loops(image: np.ndarray, p: np.ndarray, crf: CRF, self_term: bool) -> np.ndarray:
    """Mean field as the paper writes it, one pair of pixels after another, float64, nothing shared with the module."""
    labels, height, width = p.shape
    sites = list(product(range(height), range(width)))
    kernels = np.zeros((2, len(sites), len(sites)))
    for (i, (y, x)), (j, (v, u)) in product(enumerate(sites), repeat=2):
        if i != j or self_term:
            near = (y - v) ** 2 + (x - u) ** 2
            unlike = sum((float(a) - float(b)) ** 2 for a, b in zip(image[y, x], image[v, u], strict=True))
            kernels[0, i, j] = math.exp(-near / (2 * crf.gaussian_sxy**2))
            kernels[1, i, j] = math.exp(-near / (2 * crf.bilateral_sxy**2) - unlike / (2 * crf.bilateral_srgb**2))
    d = kernels.sum(2)
    unary = p.reshape(labels, -1).clip(1e-5, 1)
    q = unary / unary.sum(0)
    for _ in range(crf.iterations):
        new = np.zeros_like(q)
        for c, i in product(range(labels), range(len(sites))):
            energy = 0.0
            for weight, kernel, norm in zip((crf.gaussian_weight, crf.bilateral_weight), kernels, d, strict=True):
                energy += weight * sum(kernel[i, j] / math.sqrt(norm[i] * norm[j]) * q[c, j] for j in range(len(sites)))
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
    queries, keys = (torch.rand(n, 5, generator=generator) * 20 for n in (250, 130))  # as colours at srgb = 13
    values = torch.rand(130, labels, generator=generator)
    attention, pairs = (kernel_product(queries, keys, values, method) for method in ("attention", "pairs"))
    square = (queries[:, None].double() - keys.double()).square().sum(2)
    expected = torch.exp(-square / 2) @ values.double()
    np.testing.assert_allclose(pairs, expected, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(attention, expected, rtol=2e-4, atol=1e-12)  # float32 rounds exponents in the hundreds
    np.testing.assert_allclose(kernel_product(queries.double(), keys.double(), values.double()), expected, rtol=1e-11, atol=1e-12)


def test_methods_agree_with_default_crf() -> None:
    image, p, _ = scene()
    np.testing.assert_allclose(mean_field(image, p, method="attention"), mean_field(image, p, method="pairs"), atol=1e-5)


@needs_lattice
@pytest.mark.parametrize(
    ("crf", "mean", "labels"),
    [
        # measured on these pictures: mean and largest |difference| of Q, share of pixels with the same label
        (CRF(), 2e-5, 1.0),  # 3e-6, 6e-4, 100 %
        (CRF(3, 3, 5, 20, 13), 1e-3, 0.999),  # 1.8e-4, 0.037, 100 %
        (CRF(1, 3, 4, 67, 3), 1e-2, 0.99),  # 3.1e-3, 0.92, 99.7 %: srgb 3 is finer than the pictures' noise
        (CRF(3, 2, bilateral_weight=0), 5e-3, 0.999),  # 1.4e-3, 0.042, 99.99 %
        (CRF(gaussian_weight=0), 1e-4, 1.0),  # 1.8e-5, 3e-3, 100 %
    ],
)
def test_lattice_agrees_with_exact(crf: CRF, mean: float, labels: float) -> None:
    scenes = [scene(36, 48, seed=seed) for seed in range(4)]
    exact = np.stack([mean_field(image, p, crf).numpy() for image, p, _ in scenes])
    lattice = np.stack([refine(image, p, crf, engine="lattice") for image, p, _ in scenes])
    before = np.stack([p for _, p, _ in scenes])
    assert abs(exact - before).mean() > 0.2  # the agreement below is not that of two idle functions
    assert abs(exact - lattice).mean() < mean
    assert (exact.argmax(1) == lattice.argmax(1)).mean() >= labels


@needs_lattice
def test_lattice_keeps_the_message_to_itself() -> None:
    image, p, _ = scene()
    crf = CRF(3, 1, bilateral_weight=0, iterations=1)  # so narrow that a pixel is its own strongest neighbour
    lattice = refine(image, p, crf, engine="lattice")
    kept, dropped = (abs(mean_field(image, p, crf, self_term=x).numpy() - lattice).mean() for x in (True, False))
    assert kept < dropped / 3  # 0.0018 and 0.0092 measured


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_crf_mends_the_labels(engine: str) -> None:
    image, p, truth = scene(48, 64)
    after = refine(image, p, engine=engine)
    assert after.dtype == np.float32
    np.testing.assert_allclose(after.sum(0), 1, atol=1e-5)
    assert (p.argmax(0) == truth).mean() < 0.8
    assert (after.argmax(0) == truth).mean() > 0.99


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_closed_forms(engine: str) -> None:
    image, p, _ = scene()
    np.testing.assert_allclose(refine(image, p, CRF(gaussian_weight=0, bilateral_weight=0), engine), p, atol=1e-6)
    # no label is preferred anywhere: none can win; a certain one everywhere: it stays; 0 is clipped, not fatal
    np.testing.assert_allclose(refine(image, np.full_like(p, 1 / 3), SMALL, engine), 1 / 3, atol=1e-5)
    certain = np.zeros_like(p)
    certain[1] = 1
    assert refine(image, certain, SMALL, engine)[1].min() > 0.9999
    np.testing.assert_array_equal(refine(image, p[:1], SMALL, engine), 1)


def test_two_pixels_by_hand() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    p = np.array([[[0.6, 0.3]], [[0.4, 0.7]]])
    k = math.exp(-1 / 2)  # one pixel apart, width 1; row sum 1 + k
    odds = 0.6 / 0.4 * math.exp(2 * ((0.6 - 0.4) + k * (0.3 - 0.7)) / (1 + k))
    q = mean_field(image, p, CRF(gaussian_weight=2, gaussian_sxy=1, bilateral_weight=0, iterations=1))
    assert q[0, 0, 0].item() == pytest.approx(odds / (1 + odds), abs=1e-12)


def test_thinned_picture_stays_close_to_exact() -> None:
    image, p, _ = scene(48, 64)
    exact, thinned = mean_field(image, p), mean_field(image, p, max_pixels=256)  # every 4th row and column
    assert (exact - thinned).abs().max() < 0.02  # 0.0025 measured
    np.testing.assert_array_equal(refine(image, p, engine="exact", max_pixels=256), thinned.numpy())
    for shape in ((1, 40), (40, 1)):  # a step longer than a side leaves something to look at
        q = mean_field(np.zeros((*shape, 3), np.uint8), np.full((2, *shape), 0.5), max_pixels=3)
        np.testing.assert_allclose(q.numpy(), 0.5)


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_absent_labels_get_nothing(engine: str) -> None:
    image, p, _ = scene(labels=4)
    p[:, 0, 0] = [0, 1, 0, 0]  # all of the mass on an absent label
    present = np.array([False, False, True, True])  # background counts as present whatever this says
    q = refine_present(image, p, present, SMALL, engine)
    assert q.shape == p.shape and q.dtype == np.float32 and not present[0]
    assert not q[1].any()
    np.testing.assert_allclose(q.sum(0), 1, atol=1e-5)
    kept = p[[0, 2, 3]].clip(1e-5, 1)
    np.testing.assert_allclose(q[[0, 2, 3]], refine(image, kept / kept.sum(0), SMALL, engine), atol=1e-6)
    only_background = refine_present(image, p, np.zeros(4, bool), SMALL, engine)
    np.testing.assert_array_equal(only_background, np.eye(4, dtype=np.float32)[0][:, None, None] * np.ones_like(p))


def test_tensors_and_read_only_arrays_are_taken() -> None:
    image, p, _ = scene()
    expected = refine(image, p, SMALL)
    np.testing.assert_array_equal(refine(torch.tensor(image), torch.tensor(p, requires_grad=True), SMALL), expected)
    image.flags.writeable = False  # as from PIL
    np.testing.assert_array_equal(refine(image[::-1][::-1], np.asfortranarray(p), SMALL), expected)
    np.testing.assert_allclose(refine(image, p.astype(np.float64), SMALL), expected, atol=1e-6)


def test_workers_change_nothing() -> None:
    scenes = [scene(seed=seed) for seed in range(7)]
    present = [np.array([True, seed % 2 == 0, True]) for seed in range(7)]

    def run(workers: int) -> tuple[list[np.ndarray], list[int]]:
        ticks: list[int] = []
        images, p = (s[0] for s in scenes), (s[1] for s in scenes)
        return list(refine_all(images, p, present, SMALL, workers, progress=ticks.append)), ticks

    (one, ticks), (two, more_ticks) = run(1), run(2)
    assert ticks == more_ticks == [1] * 7
    np.testing.assert_array_equal(np.stack(one), np.stack(two))
    for (image, p, _), here, q in zip(scenes, present, one, strict=True):
        np.testing.assert_array_equal(q, refine_present(image, p, here, SMALL))


@pytest.mark.parametrize("workers", [1, 2])
def test_refine_all_names_the_bad_picture(workers: int) -> None:
    image, p, _ = scene()
    results = refine_all([image] * 3, [p, p, -p], [np.ones(3, bool)] * 3, SMALL, workers)
    next(results), next(results)
    with pytest.raises(ValueError, match=r"^probabilities: -") as caught:
        next(results)
    assert "picture 2" in "".join(caught.value.__notes__)
    with pytest.raises(ValueError, match="shorter"):
        list(refine_all([image] * 2, [p], [np.ones(3, bool)] * 2, SMALL))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("gaussian_weight", -1), ("gaussian_sxy", 0), ("bilateral_weight", math.nan), ("bilateral_sxy", -80)],
        *[("bilateral_srgb", math.inf), ("iterations", 0), ("iterations", 1.5), ("iterations", math.inf)],
    ],
)
def test_bad_models_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .*(from|weight to) [01]"):
        replace(CRF(), **{name: value})


def test_bad_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    image, p, _ = scene()
    with_nan = p.copy()
    with_nan[0, 0, 0] = np.nan
    bad_images = [image.astype(np.float32), image[..., :2], image[0], image[:0]]
    bad_probabilities = [p[:, 1:], p[0], p[:0], p - 0.5, p * 3, with_nan, (p > 0.5)]
    for function in (refine, mean_field):
        for bad in bad_images:
            with pytest.raises(ValueError, match=r"^image: .*uint8 \(H, W, 3\)"):
                function(bad, p)
        for bad in bad_probabilities:
            with pytest.raises(ValueError, match=r"^probabilities: .*give"):
                function(image, bad)
    for present in (np.ones(2, bool), np.ones(3, int)):
        with pytest.raises(ValueError, match=r"^present: .*give bool"):
            refine_present(image, p, present)
    with pytest.raises(ValueError, match=r"^engine: 'fast'.*auto, lattice, exact"):
        refine(image, p, engine="fast")
    with pytest.raises(ValueError, match=r"^method: 'loop'"):
        mean_field(image, p, method="loop")
    with pytest.raises(ValueError, match=r"^max_pixels: 0"):
        refine(image, p, engine="exact", max_pixels=0)
    with pytest.raises(ValueError, match=r"^self_term: False"):
        mean_field(image, p, self_term=False, max_pixels=10)
    monkeypatch.setattr(module, "HAVE_LATTICE", False)
    with pytest.raises(ImportError, match="pip install pydensecrf2"):
        refine(image, p, engine="lattice")
    np.testing.assert_array_equal(refine(image, p, SMALL), refine(image, p, SMALL, "exact"))  # auto falls back
