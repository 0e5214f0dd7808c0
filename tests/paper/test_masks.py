"""aelib.masks against a per-pixel loop of the merge table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aelib.masks import IGNORE, as_prediction, merge


@st.composite
def scenes(draw):
    """Regions, a saliency with about a third exactly on the threshold, and the threshold."""
    classes, height, width = (draw(st.integers(1, most)) for most in (5, 7, 7))
    threshold = draw(st.sampled_from([0.0, 0.06, 0.15, 0.5, 1.0]) | st.floats(0, 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    saliency = rng.random((height, width)).astype(kind)
    saliency[rng.random((height, width)) < 0.35] = threshold
    saliency[rng.random((height, width)) < 0.1] = np.nextafter(kind(threshold), kind(-1))
    return rng.random((classes, height, width)) < rng.uniform(0, 0.7), saliency, threshold


def merged_by_loops(regions: np.ndarray, saliency: np.ndarray, threshold: float) -> np.ndarray:
    pseudo_mask = np.zeros(saliency.shape, int)
    for y, x in np.ndindex(saliency.shape):
        claims = [c for c in range(len(regions)) if regions[c, y, x]]
        low = saliency[y, x] < saliency.dtype.type(threshold)
        if low:
            pseudo_mask[y, x] = 0 if not claims else 255
        else:
            pseudo_mask[y, x] = claims[0] + 1 if len(claims) == 1 else 255
    return pseudo_mask


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_merge_by_loops(scene):
    got = merge(*scene)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, merged_by_loops(*scene))


def test_the_table_cell_by_cell():
    regions = np.array(
        [[[0, 1, 0, 1]] * 2, [[0, 0, 1, 1]] * 2], bool
    )  # no class, the first, the second, both
    saliency = np.array([[0.1] * 4, [0.9] * 4])
    assert merge(regions, saliency, 0.5).tolist() == [[0, 255, 255, 255], [255, 1, 2, 255]]
    assert IGNORE == 255


def test_saliency_on_the_threshold_is_not_low():
    assert merge(np.zeros((1, 1, 1), bool), np.full((1, 1), 0.06), 0.06).item() == 255
    assert merge(np.ones((1, 1, 1), bool), np.full((1, 1), 0.06), 0.06).item() == 1


def test_thresholds_at_the_ends():
    nothing, salient = np.zeros((1, 2, 2), bool), np.zeros((2, 2))
    assert (merge(nothing, salient, 0.0) == 255).all()
    assert (merge(nothing, salient, 1.0) == 0).all()
    assert (merge(nothing, salient + 1, 1.0) == 255).all()


def test_254_classes_fit_and_255_do_not():
    regions = np.zeros((255, 1, 1), bool)
    regions[253] = True
    assert merge(regions[:254], np.ones((1, 1)), 0.5).item() == 254
    with pytest.raises(ValueError, match="254"):
        merge(regions, np.ones((1, 1)), 0.5)


def test_more_claims_than_a_byte_counts_are_still_a_conflict():
    assert merge(np.ones((254, 1, 1), bool), np.ones((1, 1)), 0.5).item() == 255


@pytest.mark.parametrize(
    ("regions", "saliency"), [((2, 3, 4), (4, 3)), ((3, 4), (3, 4)), ((2, 3, 4), (2, 3, 4))]
)
def test_shapes_that_disagree_are_refused(regions, saliency):
    with pytest.raises(ValueError, match="expected"):
        merge(np.zeros(regions, bool), np.zeros(saliency), 0.5)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan")])
def test_threshold_outside_0_to_1_is_refused(threshold):
    with pytest.raises(ValueError, match="background_threshold"):
        merge(np.zeros((1, 2, 2), bool), np.zeros((2, 2)), threshold)


@given(scenes())
@settings(max_examples=60, deadline=None)
def test_as_prediction_by_loops(scene):
    regions = scene[0]
    expected = np.zeros(regions.shape[1:], int)
    for y, x in np.ndindex(expected.shape):
        for c in reversed(range(len(regions))):  # the first class writes last
            if regions[c, y, x]:
                expected[y, x] = c + 1
    got = as_prediction(regions)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, expected)
