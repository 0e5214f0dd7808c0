"""Crops against a loop over pixels; nothing erased comes back; any number of workers agree."""

from fractions import Fraction
from functools import partial
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from aelib.datasets.base import Pictures
from aelib.datasets.samples import Geometry, Samples, crop_image, crop_labels, draw
from aelib.training import seed_worker

FILL = torch.tensor([0.25, 0.5, 0.75])


def source(at: int, new: int, old: int) -> list[tuple[int, float]]:
    """Pillow's bilinear rule: (source pixel, weight).

    The weights are a triangle around the pixel's centre, as wide as the larger of the two pixels.
    """
    centre, reach = (at + 0.5) * old / new, max(1.0, old / new)
    weights = [(j, max(0.0, 1 - abs(j + 0.5 - centre) / reach)) for j in range(old)]
    total = sum(w for _, w in weights)
    return [(j, w / total) for j, w in weights if w > 0]


def slow(image: np.ndarray, labels: np.ndarray, g: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """The crops, pixel by pixel."""
    _, height, width = image.shape
    crop, crop_of_labels = np.empty((3, g.size, g.size)), np.empty((g.size, g.size), np.uint8)
    for y in range(g.size):
        for x in range(g.size):
            at_y, at_x = y + g.top, (g.size - 1 - x if g.flip else x) + g.left
            if not (0 <= at_y < g.height and 0 <= at_x < g.width):
                crop[:, y, x], crop_of_labels[y, x] = FILL, 255
                continue
            crop[:, y, x] = sum(
                a * b * image[:, j, i]
                for j, a in source(at_y, g.height, height)
                for i, b in source(at_x, g.width, width)
            )
            j, i = (
                floor(Fraction(2 * at + 1, 2) * old / new)
                for at, new, old in ((at_y, g.height, height), (at_x, g.width, width))
            )
            crop_of_labels[y, x] = labels[j, i]
    return crop, crop_of_labels


sides = st.integers(1, 9)


@given(sides, st.integers(2, 9), st.integers(1, 9), st.floats(0.3, 2.5), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_crops_are_the_loops(height, width, size, factor, seed):
    """Also pictures smaller than the crop, and of one pixel's height."""
    rng = np.random.default_rng(seed)
    image, labels = (
        rng.random((3, height, width), np.float32),
        rng.integers(0, 21, (height, width), np.uint8),
    )
    g = draw((height, width), size, (factor, factor), rng)
    assert g.height == max(2, round(height * factor)) and g.width == max(2, round(width * factor))
    wanted, wanted_labels = slow(image, labels, g)
    np.testing.assert_allclose(
        crop_image(torch.from_numpy(image), g, FILL).numpy(), wanted, atol=1e-5
    )
    np.testing.assert_array_equal(
        crop_labels(torch.from_numpy(labels), g, 255).numpy(), wanted_labels
    )
    bits = torch.stack([torch.from_numpy(labels) == k for k in (3, 7)])
    np.testing.assert_array_equal(
        crop_labels(bits, g, False).numpy(), np.stack([wanted_labels == k for k in (3, 7)])
    )


def test_every_scale_place_and_mirror_is_drawn():
    rng = np.random.default_rng(0)
    drawn = [draw((10, 4), 7, (0.9, 1.1), rng) for _ in range(400)]
    assert (
        {g.flip for g in drawn} == {False, True}
        and {g.height for g in drawn} == {9, 10, 11}
        and {g.width for g in drawn} == {4}
    )
    assert {g.left for g in drawn} == {-3, -2, -1, 0}  # padded: the whole picture is in the crop
    assert {g.top for g in drawn if g.height == 11} == {
        0,
        1,
        2,
        3,
        4,
    }  # cut: the whole crop is in the picture


def split(sizes: list[tuple[int, int]]) -> Pictures:
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return Pictures(
        ("cat", "dog"),
        tuple(f"photo-{i}" for i in range(len(sizes))),
        images,
        np.ones((len(sizes), 2), bool),
    )


def number(i: int) -> tuple[torch.Tensor, ...]:
    return (torch.tensor(i),)


def test_items_do_not_depend_on_workers_or_order():
    pictures = split([(30, 40), (9, 50), (64, 20), (1, 33), (31, 31)])
    masks = [image[:, :, 0] % 3 for image in pictures.images]
    crops = Samples(pictures, number, fill=FILL, crop=24, scales=(0.5, 1.5), masks=masks)

    def epoch(seed: int, workers: int) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        torch.manual_seed(seed)
        order = torch.Generator().manual_seed(workers)  # another order for each
        loader = DataLoader(
            crops,
            2,
            shuffle=True,
            generator=order,
            num_workers=workers,
            worker_init_fn=partial(seed_worker, seed),
        )
        return {
            int(n): (image, mask) for batch in loader for image, mask, n in zip(*batch, strict=True)
        }

    here, there, next_epoch = epoch(7, 0), epoch(7, 2), epoch(8, 0)
    assert sorted(here) == sorted(there) == [0, 1, 2, 3, 4]
    for i, (image, mask) in here.items():
        assert image.shape == (3, 24, 24) and mask.shape == (24, 24) and mask.dtype == torch.uint8
        assert torch.equal(image, there[i][0]) and torch.equal(mask, there[i][1])
        assert not torch.equal(image, next_epoch[i][0])


def test_picture_and_mask_share_the_geometry():
    """Where a mask that marks the bright half says so, the picture is bright."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 255
    pictures = Pictures(("cat",), ("half",), [image], np.ones((1, 1), bool))
    masks = [(image[:, :, 0] > 0).astype(np.uint8)]
    fill = torch.full((3,), 0.5)
    crops = Samples(pictures, number, fill=fill, crop=32, scales=(0.5, 1.5), masks=masks)
    for seed in range(20):
        torch.manual_seed(seed)
        photo, mask, _ = crops[0]
        assert (photo[:, mask == 255] == 0.5).all()
        assert (photo[:, mask == 1] >= 0.45).all() and (photo[:, mask == 0] <= 0.55).all()


def test_nothing_erased_comes_back():
    """A black region in a white picture, erased with white: nowhere is the faintest grey."""
    image = np.full((30, 30, 3), 255, np.uint8)
    region = np.zeros((2, 30, 30), bool)
    region[0, 5:17, 9:20], region[1, 15:26, 3:11] = True, True
    image[region.any(axis=0)] = 0
    pictures = Pictures(("cat", "dog"), ("hole",), [image], np.ones((1, 2), bool))
    options = {"fill": torch.ones(3), "regions": lambda i: torch.from_numpy(region)}
    crops = Samples(pictures, number, crop=21, scales=(0.5, 1.5), **options)
    whole = Samples(pictures, number, **options)
    assert torch.equal(whole.erased(0), torch.ones(3, 30, 30))
    for seed in range(20):
        torch.manual_seed(seed)
        torch.testing.assert_close(crops[0][0], torch.ones(3, 21, 21), rtol=0, atol=1e-6)
        assert torch.equal(whole[0][0], torch.ones(3, 30, 30))


def test_whole_pictures_are_mirrored_with_their_masks_half_the_time():
    pictures = split([(6, 8)])
    mask = np.arange(48, dtype=np.uint8).reshape(6, 8)
    whole = Samples(pictures, number, fill=FILL, masks=[mask])
    straight = torch.from_numpy(pictures.images[0]).permute(2, 0, 1) / 255
    torch.manual_seed(0)
    seen = []
    for _ in range(200):
        image, labels, n = whole[0]
        seen.append(torch.equal(labels, torch.from_numpy(mask).flip(-1)))
        assert torch.equal(image, straight.flip(-1) if seen[-1] else straight) and n == 0
        assert seen[-1] or torch.equal(labels, torch.from_numpy(mask))
    assert 60 < sum(seen) < 140
    assert len(Samples(pictures, number, fill=FILL)[0]) == 2  # no mask, no label map


@pytest.mark.parametrize("scales", [(0.0, 1.0), (1.5, 0.5), (0.5, float("inf")), (float("nan"), 1)])
def test_no_range_of_scales_is_refused(scales):
    with pytest.raises(ValueError, match="scales: "):
        Samples(split([(3, 3)]), number, fill=FILL, crop=3, scales=scales)


def test_no_crop_is_refused():
    with pytest.raises(ValueError, match="crop: a crop of -1 pixels"):
        Samples(split([(3, 3)]), number, fill=FILL, crop=-1)


@pytest.mark.parametrize("crop", [0, 5])
def test_a_mask_of_another_size_is_refused_by_name(crop):
    masks = [np.zeros((4, 3), np.uint8)]
    samples = Samples(split([(3, 4)]), number, fill=FILL, crop=crop, masks=masks)
    message = "photo-0: the mask and the picture have 3 x 4 pixels and 4 x 3 pixels"
    with pytest.raises(ValueError, match=message):
        samples[0]
    small = torch.zeros(2, 3, 3, dtype=torch.bool)
    samples = Samples(split([(3, 4)]), number, fill=FILL, crop=crop, regions=lambda i: small)
    with pytest.raises(ValueError, match=r"photo-0: the regions to erase"):
        samples[0]
