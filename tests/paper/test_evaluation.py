"""aelib.evaluation against torchmetrics and loops."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from aelib.evaluation import confusion, iou, part_counts

CLASSES = 21


def split(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A few images of different sizes; some classes never occur, some only in the prediction or
    only in the truth."""
    rng = np.random.default_rng(seed)
    in_truth, in_prediction = (
        rng.choice(CLASSES, rng.integers(1, 15), replace=False) for _ in range(2)
    )
    truths, predictions = [], []
    for _ in range(3):
        size = tuple(rng.integers(1, 25, 2))
        truth = rng.choice(in_truth, size).astype(np.uint8)
        prediction = np.where(
            rng.random(size) < 0.5, truth, rng.choice(in_prediction, size)
        ).astype(np.uint8)
        truth[rng.random(size) < 0.15] = 255
        truths.append(truth)
        predictions.append(prediction)
    return truths, predictions


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_matrix_and_iou_equal_torchmetrics(seed):
    truths, predictions = split(seed)
    matrix = sum(confusion(t, p, CLASSES) for t, p in zip(truths, predictions, strict=True))
    jaccard = MulticlassJaccardIndex(
        CLASSES, ignore_index=255, average=None, zero_division=torch.nan
    )
    counts = MulticlassConfusionMatrix(CLASSES, ignore_index=255)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for t, p in zip(truths, predictions, strict=True):
            jaccard.update(torch.from_numpy(p)[None].long(), torch.from_numpy(t)[None].long())
            counts.update(torch.from_numpy(p)[None].long(), torch.from_numpy(t)[None].long())
    np.testing.assert_array_equal(matrix, counts.compute().numpy())
    pixels = (
        np.concatenate([t.ravel() for t in truths]),
        np.concatenate([p.ravel() for p in predictions]),
    )
    nowhere = [
        c
        for c in range(CLASSES)
        if not ((pixels[0] == c) | ((pixels[1] == c) & (pixels[0] != 255))).any()
    ]
    got = iou(matrix)
    assert np.flatnonzero(np.isnan(got)).tolist() == nowhere
    seen = ~np.isnan(got)
    np.testing.assert_allclose(got[seen], jaccard.compute().numpy()[seen], rtol=1e-6, atol=1e-7)


def test_rows_are_the_truth():
    assert confusion(np.array([0, 1, 1, 255]), np.array([1, 1, 0, 0]), 2).tolist() == [
        [0, 1],
        [1, 1],
    ]


def test_iou_by_hand():
    matrix = np.array([[3, 1, 0, 0], [2, 4, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    got = iou(matrix)
    assert got[[0, 1, 3]].tolist() == pytest.approx([3 / 7, 4 / 7, 0])
    assert np.isnan(got[2])


def test_everything_ignored_counts_nothing():
    matrix = confusion(np.full((4, 5), 255, np.uint8), np.zeros((4, 5), np.uint8), 3)
    assert matrix.shape == (3, 3) and not matrix.any() and np.issubdtype(matrix.dtype, np.integer)
    assert np.isnan(iou(matrix)).all()


def test_many_classes_in_bytes_do_not_overflow():
    labels = np.arange(255, dtype=np.uint8)
    assert np.array_equal(confusion(labels, labels, 255), np.eye(255))


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), r"\(2, 3\).*\(3, 2\)"),
        (np.array([0, 3]), np.array([0, 0]), "truth.*0..3"),
        (np.array([0, -1]), np.array([0, 0]), "truth.*-1"),
        (np.array([0, 0]), np.array([0, 3]), "prediction.*0..3"),
        (np.array([0, 0]), np.array([-1, 0]), "prediction.*-1"),
        (np.array([0, 0]), np.array([0, 255]), "prediction.*255"),
    ],
)
def test_wrong_shapes_and_labels_are_refused(truth, prediction, message):
    with pytest.raises(ValueError, match=message):
        confusion(truth, prediction, 3)


def test_a_prediction_under_ignore_may_be_anything():
    assert confusion(np.array([0, 255]), np.array([0, 255]), 3).sum() == 1


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_part_counts_by_loops(seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 12, 2))
    mined = rng.random(size) < rng.random()
    parts = rng.integers(0, rng.integers(1, 6), size).astype(np.uint8)
    expected = [[0, 0] for _ in range(5)]
    for y, x in np.ndindex(*size):
        expected[parts[y, x]][0] += bool(mined[y, x])
        expected[parts[y, x]][1] += 1
    assert part_counts(mined, parts, 5).tolist() == expected
