"""aelib.crf: its two engines, the authors' C++ (pydensecrf) and mean field, against each other."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from paper.scenes import SMALL, scene

from aelib import crf as module
from aelib import mean_field as exact_module
from aelib.crf import CLIP, CRF, HAVE_LATTICE, refine, refine_present
from aelib.mean_field import mean_field
from aelib.support.parallel import in_order

needs_lattice = pytest.mark.skipif(
    not HAVE_LATTICE, reason="pydensecrf is not installed: pip install pydensecrf2"
)


@needs_lattice
@pytest.mark.parametrize(
    ("crf", "mean", "labels"),
    [
        # measured on these pictures: mean and largest |difference| of Q, share of equal labels
        (CRF(), 2e-5, 1.0),  # 3e-6, 6e-4, 100 %
        (CRF(3, 3, 5, 20, 13), 1e-3, 0.999),  # 1.8e-4, 0.037, 100 %
        # 3.1e-3, 0.92, 99.7 %: srgb 3 is finer than the pictures' noise
        (CRF(1, 3, 4, 67, 3), 1e-2, 0.99),
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
    # so narrow that a pixel is its own strongest neighbour
    crf = CRF(3, 1, bilateral_weight=0, iterations=1)
    lattice = refine(image, p, crf, engine="lattice")
    kept = abs(mean_field(image, p, crf, self_term=True).numpy() - lattice).mean()
    dropped = abs(mean_field(image, p, crf, self_term=False).numpy() - lattice).mean()
    assert kept < dropped / 3  # 0.0018 and 0.0092 measured


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_crf_mends_the_labels(engine: str) -> None:
    image, p, truth = scene(48, 64)
    after = refine(image, p, engine=engine)
    assert after.dtype == np.float32
    np.testing.assert_allclose(after.sum(0), 1, atol=1e-5)
    assert (p.argmax(0) == truth).mean() < 0.8
    assert (after.argmax(0) == truth).mean() > 0.99


@pytest.mark.parametrize("engine", [pytest.param("lattice", marks=needs_lattice), "exact"])
@pytest.mark.parametrize("temperature", [0.5, 2.0, 20.0])
def test_a_temperature_takes_the_power_of_each_place(engine: str, temperature: float) -> None:
    """Without kernels Q is what the CRF begins with."""
    p = np.random.default_rng(0).dirichlet([0.5, 1, 1], (4, 5)).transpose(2, 0, 1)
    model = CRF(gaussian_weight=0, bilateral_weight=0, temperature=temperature)
    q = refine(np.zeros((4, 5, 3), np.uint8), p, model, engine)
    for y, x in np.ndindex(4, 5):
        powers = [max(float(one), CLIP) ** (1 / temperature) for one in p[:, y, x]]
        np.testing.assert_allclose(q[:, y, x], np.array(powers) / sum(powers), rtol=1e-4)


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_closed_forms(engine: str) -> None:
    image, p, _ = scene()
    idle = CRF(gaussian_weight=0, bilateral_weight=0)
    np.testing.assert_allclose(refine(image, p, idle, engine), p, atol=1e-6)
    # no label is preferred anywhere: none can win; one is certain everywhere: it stays, and the
    # others' 0 is clipped, not fatal
    undecided = refine(image, np.full_like(p, 1 / 3), SMALL, engine)
    np.testing.assert_allclose(undecided, 1 / 3, atol=1e-5)
    certain = np.zeros_like(p)
    certain[1] = 1
    assert refine(image, certain, SMALL, engine)[1].min() > 0.9999
    np.testing.assert_array_equal(refine(image, p[:1], SMALL, engine), 1)


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_absent_labels_get_nothing(engine: str) -> None:
    image, p, _ = scene(labels=4)
    p[:, 0, 0] = [0, 1, 0, 0]  # all of the mass on an absent label
    # the background counts as present whatever this says
    present = np.array([False, False, True, True])
    q = refine_present(image, p, present, SMALL, engine)
    assert q.shape == p.shape and q.dtype == np.float32 and not present[0]
    assert not q[1].any()
    np.testing.assert_allclose(q.sum(0), 1, atol=1e-5)
    kept = p[[0, 2, 3]].clip(1e-5, 1)
    expected = refine(image, kept / kept.sum(0), SMALL, engine)
    np.testing.assert_allclose(q[[0, 2, 3]], expected, atol=1e-6)
    only_background = refine_present(image, p, np.zeros(4, bool), SMALL, engine)
    np.testing.assert_array_equal(only_background[0], 1)
    np.testing.assert_array_equal(only_background[1:], 0)


def test_tensors_and_read_only_arrays_are_taken() -> None:
    image, p, _ = scene()
    expected = refine(image, p, SMALL)
    of_tensors = refine(torch.tensor(image), torch.tensor(p, requires_grad=True), SMALL)
    np.testing.assert_array_equal(of_tensors, expected)
    image.flags.writeable = False  # as from PIL
    np.testing.assert_array_equal(refine(image[::-1][::-1], np.asfortranarray(p), SMALL), expected)
    np.testing.assert_allclose(refine(image, p.astype(np.float64), SMALL), expected, atol=1e-6)


@pytest.mark.parametrize("engine", ["exact", pytest.param("lattice", marks=needs_lattice)])
def test_the_input_is_checked_once(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, p, _ = scene()
    checked, check = [], module.check

    def counting(image: np.ndarray, probabilities: np.ndarray) -> None:
        checked.append(probabilities.shape)
        check(image, probabilities)

    monkeypatch.setattr(module, "check", counting)
    monkeypatch.setattr(exact_module, "check", counting)
    refine_present(image, p, np.array([True, False, True]), SMALL, engine)
    assert checked == [p.shape]
    refine(image, p, SMALL, engine)
    assert checked == [p.shape] * 2


def test_workers_change_nothing() -> None:
    scenes = [scene(seed=seed) for seed in range(7)]
    present = [np.array([True, seed % 2 == 0, True]) for seed in range(7)]
    jobs = [(*scenes[i][:2], present[i], SMALL) for i in range(7)]
    one, two = (list(in_order(refine_present, jobs, workers)) for workers in (1, 2))
    np.testing.assert_array_equal(np.stack(one), np.stack(two))
    for job, q in zip(jobs, one, strict=True):
        np.testing.assert_array_equal(q, refine_present(*job))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_picture_is_reported_from_any_process(workers: int) -> None:
    image, p, _ = scene()
    jobs = [(image, q, np.ones(3, bool), SMALL) for q in (p, p, -p)]
    results = in_order(refine_present, jobs, workers)
    next(results)
    next(results)
    with pytest.raises(ValueError, match=r"^probabilities: -"):
        next(results)


@needs_lattice
def test_workers_of_the_lattice_need_no_torch() -> None:
    lines = [
        "import sys, numpy as np",
        "from aelib.crf import refine_present",
        "image, p = np.zeros((9, 9, 3), np.uint8), np.full((2, 9, 9), 0.5, np.float32)",
        "refine_present(image, p, np.ones(2, bool))",
        "assert 'torch' not in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaussian_weight", -1),
        ("gaussian_sxy", 0),
        ("bilateral_weight", math.nan),
        ("bilateral_sxy", -80),
        ("bilateral_srgb", math.inf),
        ("iterations", 0),
        ("iterations", 1.5),
        ("iterations", math.inf),
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
    with pytest.raises(ValueError, match=r"^max_pixels: 0"):
        refine(image, p, engine="exact", max_pixels=0)
    monkeypatch.setattr(module, "HAVE_LATTICE", False)
    with pytest.raises(ImportError, match="pip install pydensecrf2"):
        refine(image, p, engine="lattice")
    exact = refine(image, p, SMALL, "exact")
    np.testing.assert_array_equal(refine(image, p, SMALL), exact)  # auto falls back
