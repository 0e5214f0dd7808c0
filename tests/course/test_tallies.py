"""What notebooks count over a set is what a loop over its pixels counts."""

import numpy as np
import pytest

from aelib.course import tallies
from aelib.datasets.base import Truth
from aelib.evaluation import confusion, iou
from aelib.evaluation import part_counts as counts_of_parts
from aelib.masks import as_prediction


def test_scores_of_regions_are_those_of_a_loop_over_pixels(noise):
    regions, masks, labels = noise.regions[0], noise.truth.masks, len(noise.pictures.classes) + 1
    prediction = np.stack([as_prediction(region) for region in regions])
    counts = tallies.Tally(noise.truth, noise.pictures.classes)(prediction)
    every = zip(np.ravel(masks), prediction.ravel(), strict=True)
    pairs = [(t, p) for t, p in every if t != 255]
    for c, which in ((None, {1, 2, 3}), (1, {2})):
        right = sum(t == p and t in which for t, p in pairs)
        claimed, objects = sum(p in which for _, p in pairs), sum(t in which for t, _ in pairs)
        expected = {
            "precision": right / claimed,
            "recall": right / objects,
            "IoU": right / (claimed + objects - right),
        }
        assert tallies.region_scores(counts, c) == pytest.approx(expected)
    matrix = sum(confusion(t, p, labels) for t, p in zip(masks, prediction, strict=True))
    np.testing.assert_array_equal(counts[:-1].sum(axis=1), matrix)
    assert tallies.mean_iou(matrix) == pytest.approx(iou(matrix).mean())
    pairs = zip(regions, noise.truth.parts, strict=True)
    of_parts = sum(counts_of_parts(region.any(axis=0), part, 3) for region, part in pairs)
    np.testing.assert_allclose(tallies.part_recall(counts), of_parts[:, 0] / of_parts[:, 1])


def test_part_recall_of_a_class_looks_at_its_own_objects_and_at_what_is_no_object():
    masks = [np.array([[1, 1, 2, 0, 0]], np.uint8)]
    parts = [np.array([[1, 1, 1, 2, 2]], np.uint8)]
    truth = Truth(masks, parts, ("background", "head", "prop"), ("head",))
    prediction = np.array([[[1, 2, 2, 1, 0]]], np.uint8)
    counts = tallies.Tally(truth, ("hare", "stag"))(prediction)
    np.testing.assert_array_equal(tallies.part_recall(counts, 0), [np.nan, 0.5, 0.5])
    scores = tallies.region_scores(np.zeros_like(counts), 0)
    assert np.isnan(list(scores.values())).all()


def test_pictures_of_many_sizes_keep_every_kth_pixel_in_a_corner():
    k, rng, side = 3, np.random.default_rng(0), tallies.CANVAS
    small, large = (60, 90), (2 * side + 1, 200)  # the second is more than twice the canvas
    for shape, colour in (((), ()), ((4,), ()), ((), (3,))):
        pair = [rng.integers(0, 200, (*shape, *size, *colour), np.uint8) for size in (small, large)]
        got = tallies.one_size(pair, 255)
        assert got.shape == (2, *shape, side, side, *colour)
        assert got.dtype == np.uint8
        before = (slice(None),) * len(shape)
        for array, canvas, step in zip(pair, got, (1, k), strict=True):
            for y, x in ((0, 0), (5, 7), (19, 29), (59, 60)):
                assert (canvas[*before, y, x] == array[*before, step * y, step * x]).all()
            assert (canvas[*before, 127, 127] == 255).all()
    same = [np.zeros((40, 30)), np.ones((40, 30))]
    assert tallies.one_size(iter(same), 0).shape == (2, 40, 30)
