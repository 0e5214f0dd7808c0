"""The background cue against pictures whose answer is known, slow loops, a generic minimiser, and files that are wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import minimize
from skimage.color import rgb2lab

from aelib.creatures import creature
from aelib.saliency import (
    adjacency,
    boundary_connectivity,
    check_maps,
    inverted,
    map_file,
    optimise,
    read_map,
    robust_background,
    saliency_all,
    superpixel_means,
    weighted_contrast,
)

GREY, RED = (128, 128, 128), (200, 30, 30)


def disc(size: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def paint(mask: np.ndarray, inside: tuple = RED, outside: tuple = GREY) -> np.ndarray:
    return np.where(mask[..., None], np.uint8(inside), np.uint8(outside)).astype(np.uint8)


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
    # one background although the horizon cuts it: border superpixels are neighbours of one another, yet each side keeps its own region
    labels, colour, _ = superpixel_means(image, 150)
    adjacent, border = adjacency(labels)
    connectivity = boundary_connectivity(np.linalg.norm(colour[:, None] - colour, axis=-1), adjacent, border)
    assert connectivity[labels[:4]].min() > 2 and connectivity[labels[-4:]].min() > 2 > 0.1 > connectivity[labels[50, 48]]


@pytest.mark.parametrize("value", [0, 77, 255])
def test_one_colour_has_nothing_salient(value):
    assert not robust_background(np.full((50, 71, 3), value, np.uint8)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (16, 16), (17, 31), (97, 33)])
@pytest.mark.parametrize("superpixels", [1, 150])
def test_any_size_and_grey(shape, superpixels):
    for channels in (1, 3):
        noise = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
        saliency = robust_background(np.repeat(noise, 3 // channels, axis=2), superpixels)
        assert saliency.shape == shape and np.isfinite(saliency).all() and saliency.min() >= 0 and saliency.max() <= 1


def test_mirrored_picture_mirrored_map():
    """Nothing prefers left, right, top or bottom, up to where SLIC happens to cut."""
    image = paint(disc(96, 40, 60, 16))
    saliency = robust_background(image)
    assert np.abs(robust_background(image[:, ::-1].copy())[:, ::-1] - saliency).mean() < 0.05
    assert np.abs(robust_background(image.transpose(1, 0, 2).copy()).T - saliency).mean() < 0.05


def test_creatures_rank_above_their_surroundings():
    """ROC AUC as the chance that a creature's pixel is more salient than a background pixel: 0.97 measured on 300, chance is 0.5."""
    aucs = []
    for index in range(20):
        sample = creature(0, "train", index)
        saliency = robust_background(sample.image)
        thing, rest = np.sort(saliency[sample.mask > 0]), saliency[sample.mask == 0]
        aucs.append(1 - (np.searchsorted(thing, rest, "left") + np.searchsorted(thing, rest, "right")).mean() / 2 / len(thing))
    assert np.mean(aucs) > 0.9


@pytest.mark.parametrize(("shape", "dtype"), [((9, 9), "u1"), ((9, 9, 4), "u1"), ((9, 9, 3), "f8"), ((0, 9, 3), "u1")])
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
                    if 0 <= y + dy < 7 and 0 <= x + dx < 9 and labels[y, x] != labels[y + dy, x + dx]:
                        expected[labels[y, x], labels[y + dy, x + dx]] = True
    assert (adjacent == expected).all() and (border == edge).all()


def test_the_border_is_only_the_border():
    labels = np.arange(16).reshape(4, 4)
    assert (np.nonzero(~adjacency(labels)[1])[0] == [5, 6, 9, 10]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_boundary_connectivity_against_floyd_warshall(seed, count):
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 3, (count, 3)) * 8.0  # few colours: many distances are exactly 0, and those edges must not vanish
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
        same = [np.exp(-(path[i][j] ** 2) / 200) for j in range(count)]  # 2 sigma_clr^2, sigma_clr = 10
        expected.append(sum(s for s, b in zip(same, border, strict=True) if b) / sum(same) ** 0.5)
    assert np.allclose(boundary_connectivity(distance, adjacent, border), expected)


def test_boundary_connectivity_of_flat_regions_is_counted_by_hand():
    """A 5x5 grid, one colour: every region is the whole picture, 16 of 25 on the border. With a centre of its own: 0 of 1."""
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
            total += np.sqrt(((colour[p] - colour[q]) ** 2).sum()) * np.exp(-squared / (2 * 0.25**2)) * w_bg[q]
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
    image = creature(0, "train", 3).image
    labels, colour, position = superpixel_means(image, 150)
    adjacent, border = adjacency(labels)
    distance, apart = (np.linalg.norm(v[:, None] - v, axis=-1) for v in (colour, position))
    w_bg = 1 - np.exp(-(boundary_connectivity(distance, adjacent, border) ** 2) / 2)
    w_fg = weighted_contrast(distance, apart, w_bg)
    # gradient descent's fixed point, one superpixel at a time: each is the weighted mean of 0, 1 and its neighbours
    smooth = np.where(adjacent, np.exp(-(distance**2) / 200) + 0.1, 0)
    s = np.zeros(len(w_bg))
    for _ in range(300):
        for i in range(len(s)):
            s[i] = (w_fg[i] + smooth[i] @ s) / (w_fg[i] + w_bg[i] + smooth[i].sum())
    assert np.allclose(robust_background(image), ((s - s.min()) / (s.max() - s.min()))[labels], atol=1e-5)


# Many pictures


def test_workers_do_not_change_the_maps_nor_their_order():
    rng = np.random.default_rng(4)
    images = [creature(0, "train", i).image[: rng.integers(20, 96)] for i in range(11)]
    counts = []
    alone = list(saliency_all(images, 60, workers=1, progress=counts.append))
    assert counts == list(range(1, 12))
    together = list(saliency_all(iter(images), 60, workers=2))
    assert len(alone) == len(together) == 11
    for image, a, b in zip(images, alone, together, strict=True):
        assert a.shape == image.shape[:2] and np.array_equal(a, b) and np.array_equal(a, robust_background(image, 60))


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_are_read_as_they_are_needed(workers):
    read = []

    def images():
        for i in range(40):
            read.append(i)
            yield np.full((8, 8, 3), i, np.uint8)

    maps = saliency_all(images(), 4, workers)
    next(maps)
    assert len(read) <= 4 * workers + 1
    maps.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_wrong_picture_is_reported_from_any_process(workers):
    with pytest.raises(ValueError, match="uint8 RGB"):
        list(saliency_all([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8))], 4, workers))


# Maps from a folder


@pytest.mark.parametrize(("dtype", "greatest"), [(np.uint8, 255), (np.uint16, 65535)])
def test_read_map_scales_by_the_type(tmp_path, dtype, greatest):
    values = np.array([[0, greatest // 3], [greatest, 7], [1, 2]], dtype)
    Image.fromarray(values).save(tmp_path / "a.png")
    found = read_map(tmp_path / "a.png", (3, 2))
    assert found.dtype == np.float32 and np.allclose(found, values / greatest, atol=1e-7)


def test_read_map_takes_grey_in_other_clothes(tmp_path):
    values = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    grey = Image.fromarray(values)
    grey.convert("RGB").save(tmp_path / "rgb.png")
    grey.convert("P").save(tmp_path / "palette.png")
    grey.save(tmp_path / "a.jpg", quality=100)
    Image.fromarray(values > 100).save(tmp_path / "bits.png")
    for name in ("rgb.png", "palette.png"):
        assert np.allclose(read_map(tmp_path / name, (4, 6)), values / 255)
    assert np.allclose(read_map(tmp_path / "a.jpg", (4, 6)), values / 255, atol=0.02)
    assert (read_map(str(tmp_path / "bits.png"), (4, 6)) == (values > 100)).all()


def test_read_map_names_the_file_and_the_cure(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lost\.png.*for each image"):
        read_map(tmp_path / "lost.png", (4, 6))
    (tmp_path / "text.png").write_text("not a picture")
    noise = np.random.default_rng(5).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    for name in ("text.png", "half.png", "."):
        with pytest.raises(ValueError, match="cannot be read") as caught:
            read_map(tmp_path / name, (64, 64))
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(ValueError, match=r"whole\.png: the map is 64x64 .*, its picture 50x40"):
        read_map(tmp_path / "whole.png", (40, 50))
    Image.fromarray(paint(disc(8, 4, 4, 2))).save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png: a colour picture"):
        read_map(tmp_path / "photo.png", (8, 8))
    Image.fromarray(paint(disc(8, 4, 4, 2))).convert("RGBA").save(tmp_path / "alpha.png")
    with pytest.raises(ValueError, match=r"alpha\.png: pixels of mode RGBA"):
        read_map(tmp_path / "alpha.png", (8, 8))


def test_inverted():
    maps = [robust_background(creature(0, "train", i).image) for i in range(6)]
    assert not inverted(maps) and inverted(1 - m for m in maps)
    right, wrong = np.float32(disc(20, 10, 10, 5)), np.float32(~disc(20, 10, 10, 5))
    assert inverted([wrong, wrong, right]) and not inverted([right[:15], right, wrong])
    assert not inverted([np.zeros((5, 5)), np.ones((1, 3))])  # flat maps, and thin ones, take no side
    with pytest.raises(ValueError, match="maps: none"):
        inverted([])


@pytest.mark.parametrize("workers", [1, 2])
def test_check_maps_names_all_that_is_wrong(tmp_path, workers):
    shape = disc(20, 10, 10, 5)
    for i in range(24):
        Image.fromarray(np.where(shape, 250, 5).astype(np.uint8)).save(tmp_path / f"p{i}.png")
    (tmp_path / "p0.png").rename(tmp_path / "other.png")
    Image.fromarray(np.uint8(shape) * 255).save(tmp_path / "p1.jpg")  # beside p1.png: that one is taken
    (tmp_path / "p2.png").unlink()
    Image.fromarray(np.uint8(shape) * 255).save(tmp_path / "p2.jpg")
    names, seen = [f"p{i}" for i in range(24)], []
    check_maps(tmp_path, dict.fromkeys(names[1:], (20, 20)), workers, lambda *counts: seen.append(counts))
    assert seen == [(n, 23) for n in range(1, 24)]
    assert map_file(tmp_path, "p1").suffix == ".png" and map_file(tmp_path, "p2").suffix == ".jpg"
    (tmp_path / "p3.png").write_bytes(b"")
    with pytest.raises(ValueError) as caught:
        check_maps(tmp_path, dict.fromkeys(names, (20, 20)) | {"p4": (20, 30)}, workers)
    lines = str(caught.value).splitlines()
    assert [any(what in line for line in lines) for what in ("p0.png: no such", "p3.png cannot be read", "p4.png: the map is 20x20")] == [True] * 3
    assert lines[0].startswith("3 problem(s)") and len(lines) == 4


def test_check_maps_finds_maps_that_are_inverted_from_20_on(tmp_path):
    for i in range(20):
        Image.fromarray(np.where(disc(20, 10, 10, 5), 5, 250).astype(np.uint8)).save(tmp_path / f"p{i}.png")
    sizes = dict.fromkeys([f"p{i}" for i in range(20)], (20, 20))
    with pytest.raises(ValueError, match=r"the maps are inverted.*white must be salient"):
        check_maps(tmp_path, sizes)
    del sizes["p0"]
    check_maps(tmp_path, sizes)  # too few to tell: a picture or two may well have a border that stands out
