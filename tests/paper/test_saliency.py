"""aelib.saliency against pictures whose answer is known, slow loops and a generic minimiser."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from skimage.color import rgb2lab

from aelib.datasets.creatures import creature
from aelib.saliency import (
    adjacency,
    boundary_connectivity,
    optimise,
    robust_background,
    superpixel_means,
    weighted_contrast,
)
from aelib.support.parallel import in_order

GREY, RED = (128, 128, 128), (200, 30, 30)


def disc(size: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def paint(mask: np.ndarray, inside: tuple = RED, outside: tuple = GREY) -> np.ndarray:
    return np.where(mask[..., None], np.uint8(inside), np.uint8(outside)).astype(np.uint8)


def thing_on_noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A blue disc of random place and size on noisy green, and where it is."""
    rng = np.random.default_rng(seed)
    mask = disc(96, *rng.uniform(30, 66, 2), rng.uniform(8, 24))
    noise = rng.normal(0, 12, (96, 96, 3))
    return (paint(mask, (40, 60, 200), (70, 160, 80)) + noise).clip(0, 255).astype(np.uint8), mask


# Constructed pictures


def test_a_disc_in_the_middle_stands_out():
    mask = disc(96, 48, 48, 18)
    saliency = robust_background(paint(mask))
    assert saliency.shape == (96, 96) and saliency.dtype == np.float32
    assert saliency.min() == 0 and saliency.max() == 1
    assert saliency[disc(96, 48, 48, 15)].min() > 0.8
    assert saliency[~disc(96, 48, 48, 30)].max() < 0.2


def test_an_object_that_touches_the_border_a_little_still_stands_out():
    """What boundary connectivity adds to "whatever touches the border is background"."""
    mask = disc(96, 48, 16, 18)  # cut off over 17 of the border's 380 pixels
    assert mask[:, 0].any()
    saliency = robust_background(paint(mask))
    assert saliency[mask].mean() > 0.7 > 0.2 > saliency[~mask].mean()


def test_a_strip_along_the_border_is_background_and_a_like_patch_inside_is_not():
    strip = np.zeros((96, 96), bool)
    strip[-20:] = True  # as red as the disc, and as unlike the grey
    saliency = robust_background(paint(strip | disc(96, 36, 48, 12)))
    assert saliency[disc(96, 36, 48, 10)].min() > 0.8
    assert saliency[-16:].max() < 0.35


def test_sky_and_ground_are_both_background():
    image = np.empty((96, 96, 3), np.uint8)
    image[:50], image[50:] = (140, 190, 235), (90, 140, 60)
    thing = disc(96, 52, 48, 14)
    image[thing] = (210, 120, 40)
    saliency = robust_background(image)
    assert saliency[disc(96, 52, 48, 11)].min() > 0.8
    far = ~disc(96, 52, 48, 28)
    assert saliency[far].max() < 0.25
    # one background although the horizon cuts it: border superpixels are neighbours of one another,
    # yet each side keeps a region of its own
    labels, colour, _ = superpixel_means(image, 150)
    adjacent, border = adjacency(labels)
    connectivity = boundary_connectivity(
        np.linalg.norm(colour[:, None] - colour, axis=-1), adjacent, border
    )
    assert connectivity[labels[:4]].min() > 2 and connectivity[labels[-4:]].min() > 2
    assert connectivity[labels[50, 48]] < 0.1


@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_colour_has_nothing_salient(value):
    assert not robust_background(np.full((50, 71, 3), value, np.uint8)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (16, 16), (17, 31), (97, 33)])
@pytest.mark.parametrize("superpixels", [1, 150])
def test_any_size_and_grey(shape, superpixels):
    for channels in (1, 3):
        noise = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
        saliency = robust_background(np.repeat(noise, 3 // channels, axis=2), superpixels)
        assert saliency.shape == shape and np.isfinite(saliency).all()
        assert saliency.min() >= 0 and saliency.max() <= 1


def test_mirrored_picture_mirrored_map():
    """Nothing prefers left, right, top or bottom, up to where SLIC happens to cut."""
    image = paint(disc(96, 40, 60, 16))
    saliency = robust_background(image)
    assert np.abs(robust_background(image[:, ::-1].copy())[:, ::-1] - saliency).mean() < 0.05
    assert np.abs(robust_background(image.transpose(1, 0, 2).copy()).T - saliency).mean() < 0.05


def test_creatures_rank_above_their_surroundings():
    """ROC AUC as the chance that a creature's pixel is more salient than a background pixel: 0.97
    measured on 300, chance is 0.5."""
    aucs = []
    for index in range(20):
        sample = creature(0, "train", index)
        saliency = robust_background(sample.image)
        thing, rest = np.sort(saliency[sample.mask > 0]), saliency[sample.mask == 0]
        aucs.append(
            1
            - (np.searchsorted(thing, rest, "left") + np.searchsorted(thing, rest, "right")).mean()
            / 2
            / len(thing)
        )
    assert np.mean(aucs) > 0.9


@pytest.mark.parametrize(
    ("shape", "dtype"), [((9, 9), "u1"), ((9, 9, 4), "u1"), ((9, 9, 3), "f8"), ((0, 9, 3), "u1")]
)
def test_wrong_images_are_refused(shape, dtype):
    with pytest.raises(ValueError, match="uint8 RGB"):
        robust_background(np.zeros(shape, dtype))


def test_no_superpixels_are_refused():
    with pytest.raises(ValueError, match="superpixels"):
        robust_background(np.zeros((9, 9, 3), np.uint8), 0)


# The parts, against slow and independent ways


def test_superpixel_means_against_masks():
    image = np.random.default_rng(1).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    labels, colour, position = superpixel_means(image, 12)
    assert labels.shape == (30, 41) and (np.unique(labels) == np.arange(len(colour))).all()
    for i in range(len(colour)):
        rows, columns = np.nonzero(labels == i)
        assert np.allclose(colour[i], rgb2lab(image)[rows, columns].mean(axis=0))
        assert np.allclose(position[i], [rows.mean() / 30, columns.mean() / 41])


def test_adjacency_against_a_loop():
    labels = np.random.default_rng(2).integers(0, 12, (7, 9))
    labels.flat[:12] = np.arange(12)
    adjacent, border = adjacency(labels)
    expected, edge = np.zeros((12, 12), bool), np.zeros(12, bool)
    for y in range(7):
        for x in range(9):
            edge[labels[y, x]] |= y in (0, 6) or x in (0, 8)
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if (
                        0 <= y + dy < 7
                        and 0 <= x + dx < 9
                        and labels[y, x] != labels[y + dy, x + dx]
                    ):
                        expected[labels[y, x], labels[y + dy, x + dx]] = True
    assert (adjacent == expected).all() and (border == edge).all()


def test_the_border_is_only_the_border():
    labels = np.arange(16).reshape(4, 4)
    assert (np.nonzero(~adjacency(labels)[1])[0] == [5, 6, 9, 10]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_boundary_connectivity_against_floyd_warshall(seed, count):
    rng = np.random.default_rng(seed)
    colour = (
        rng.integers(0, 3, (count, 3)) * 8.0
    )  # few colours: many distances are exactly 0, and those edges must not vanish
    distance = np.linalg.norm(colour[:, None] - colour, axis=-1)
    adjacent = np.triu(rng.random((count, count)) < 0.4, 1)
    adjacent[np.arange(count - 1), np.arange(1, count)] = True  # in one piece, as a picture is
    adjacent |= adjacent.T
    border = rng.random(count) < 0.5
    border[0] = True

    path = [[float("inf")] * count for _ in range(count)]
    for i in range(count):
        for j in range(count):
            if adjacent[i, j] or (border[i] and border[j]):
                path[i][j] = distance[i, j]
        path[i][i] = 0.0
    for k in range(count):
        for i in range(count):
            for j in range(count):
                path[i][j] = min(path[i][j], path[i][k] + path[k][j])
    expected = []
    for i in range(count):
        # 200 = 2 sigma_clr^2, sigma_clr = 10
        same = [np.exp(-(path[i][j] ** 2) / 200) for j in range(count)]
        expected.append(sum(s for s, b in zip(same, border, strict=True) if b) / sum(same) ** 0.5)
    assert np.allclose(boundary_connectivity(distance, adjacent, border), expected)


def test_boundary_connectivity_of_flat_regions_is_counted_by_hand():
    """A 5x5 grid, one colour: every region is the whole picture, 16 of 25 on the border. With
    another colour at the centre: 0 of 1."""
    labels = np.arange(25).reshape(5, 5)
    adjacent, border = adjacency(labels)
    assert np.allclose(boundary_connectivity(np.zeros((25, 25)), adjacent, border), 16 / 5)
    distance = np.zeros((25, 25))
    distance[12, :] = distance[:, 12] = 1000
    distance[12, 12] = 0
    connectivity = boundary_connectivity(distance, adjacent, border)
    assert connectivity[12] == 0 and np.allclose(np.delete(connectivity, 12), 16 / np.sqrt(24))


def test_weighted_contrast_against_a_loop():
    rng = np.random.default_rng(3)
    colour, position, w_bg = rng.random((8, 3)) * 50, rng.random((8, 2)), rng.random(8)
    contrast = []
    for p in range(8):
        total = 0.0
        for q in range(8):
            squared = ((position[p] - position[q]) ** 2).sum()
            unlike = np.sqrt(((colour[p] - colour[q]) ** 2).sum())
            total += unlike * np.exp(-squared / (2 * 0.25**2)) * w_bg[q]
        contrast.append(total)
    contrast = np.array(contrast)
    expected = (contrast - contrast.min()) / (contrast.max() - contrast.min())
    between = [np.linalg.norm(v[:, None] - v, axis=-1) for v in (colour, position)]
    assert np.allclose(weighted_contrast(*between, w_bg), expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_optimise_against_a_generic_minimiser(seed, count):
    rng = np.random.default_rng(seed)
    w_bg, w_fg = rng.random((2, count)) + 0.05
    smooth = np.triu(rng.random((count, count)), 1)
    smooth += smooth.T

    def cost(s):
        total = (w_bg * s**2).sum() + (w_fg * (s - 1) ** 2).sum()
        for i in range(count):
            for j in range(i + 1, count):
                total += smooth[i, j] * (s[i] - s[j]) ** 2
        return total

    found = optimise(w_bg, w_fg, smooth)
    assert np.allclose(found, minimize(cost, np.full(count, 0.5)).x, atol=1e-4)
    for i in range(count):  # a step either way costs more: stationary, and a minimum
        step = 1e-3 * np.eye(count)[i]
        assert cost(found) < min(cost(found + step), cost(found - step))
        assert abs(cost(found + step) - cost(found - step)) < 1e-9
    assert found.min() >= 0 and found.max() <= 1


def test_the_whole_against_its_parts_written_out():
    image = thing_on_noise(3)[0]
    labels, colour, position = superpixel_means(image, 150)
    adjacent, border = adjacency(labels)
    distance, apart = (np.linalg.norm(v[:, None] - v, axis=-1) for v in (colour, position))
    w_bg = 1 - np.exp(-(boundary_connectivity(distance, adjacent, border) ** 2) / 2)
    w_fg = weighted_contrast(distance, apart, w_bg)
    # descent's fixed point, one superpixel at a time: each is the weighted mean of 0, 1 and its
    # neighbours
    smooth = np.where(adjacent, np.exp(-(distance**2) / 200) + 0.1, 0)
    s = np.zeros(len(w_bg))
    for _ in range(300):
        for i in range(len(s)):
            s[i] = (w_fg[i] + smooth[i] @ s) / (w_fg[i] + w_bg[i] + smooth[i].sum())
    assert np.allclose(
        robust_background(image), ((s - s.min()) / (s.max() - s.min()))[labels], atol=1e-5
    )


# Many pictures, as the pipeline's worker processes make them


def test_workers_do_not_change_the_maps_nor_their_order():
    rng = np.random.default_rng(4)
    images = [thing_on_noise(i)[0][: rng.integers(20, 96)] for i in range(11)]
    alone = list(in_order(robust_background, ((image, 60) for image in images), workers=1))
    together = list(in_order(robust_background, ((image, 60) for image in images), workers=2))
    assert len(alone) == len(together) == 11
    for image, a, b in zip(images, alone, together, strict=True):
        assert a.shape == image.shape[:2] and np.array_equal(a, b)
        assert np.array_equal(a, robust_background(image, 60))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_wrong_picture_is_reported_from_any_process(workers):
    jobs = [(np.zeros((8, 8, 3), np.uint8), 4), (np.zeros((8, 8)), 4)]
    with pytest.raises(ValueError, match="uint8 RGB"):
        list(in_order(robust_background, jobs, workers))


def test_workers_need_no_torch():
    lines = "import sys, aelib.saliency; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", lines], check=True)
