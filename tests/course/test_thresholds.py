"""A threshold moved over a set gives what the method's own functions give picture by picture."""

import numpy as np
import pytest
import torch

from aelib.course import thresholds
from aelib.erasing import RULES, discriminative_regions
from aelib.evaluation import confusion
from aelib.masks import as_prediction, merge


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("delta", [0.05, 0.2, 0.37, 0.5, 0.95])
def test_regions_of_a_set_are_those_of_each_picture(noise, rule, delta):
    maps, labels = torch.from_numpy(noise.maps), noise.pictures.labels
    got = thresholds.RegionsAtDelta(maps, labels)(delta, rule)
    for prediction, map_, label in zip(got, maps, labels, strict=True):
        found = discriminative_regions(map_, torch.from_numpy(label), delta, rule)
        np.testing.assert_array_equal(prediction, as_prediction(found.numpy()))


@pytest.mark.parametrize("delta", [0.05, 0.2, 0.37, 0.95])
def test_a_share_of_a_photograph_is_a_share_of_its_own_pixels(delta):
    """Maps of many sizes lie on one canvas; what is beside them is no pixel of theirs."""
    rng = np.random.default_rng(4)
    sizes = ((12, 128), (90, 40), (128, 128), (1, 2))
    maps = [rng.random((3, h, w), dtype=np.float32) for h, w in sizes]
    labels = rng.random((4, 3)) < 0.7
    got = thresholds.RegionsAtDelta(maps, labels)(delta, "share")
    for prediction, whole, label in zip(got, maps, labels, strict=True):
        height, width = whole.shape[1:]
        present = torch.from_numpy(label)
        found = discriminative_regions(torch.from_numpy(whole), present, delta, "share")
        covered = prediction[:height, :width]
        np.testing.assert_array_equal(covered, as_prediction(found.numpy()))
        assert prediction.astype(bool).sum() == covered.astype(bool).sum()


def test_a_class_in_no_picture_has_no_region(noise):
    labels = noise.pictures.labels.copy()
    labels[:, 1] = False
    assert 2 not in thresholds.RegionsAtDelta(noise.maps, labels)(0.2, "max")


@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("rule", thresholds.MERGE_RULES.values())
@pytest.mark.parametrize("block", [7, thresholds.BLOCK])
def test_shares_of_S_are_those_of_all_its_pixels(noise, rule, threshold, block, monkeypatch):
    monkeypatch.setattr(thresholds, "BLOCK", block)
    mined = noise.regions[0]
    pairs = zip(mined, noise.saliency, strict=True)
    S = np.stack([rule(region, saliency / 255, threshold) for region, saliency in pairs])
    truth = np.stack(noise.truth.masks)
    S, truth = S[truth != 255], truth[truth != 255]
    foreground, background = (S > 0) & (S < 255), S == 0
    expected = {
        "labelled": np.mean(S != 255),
        "foreground": np.nan,
        "background": np.nan,
        "objects": np.mean(S[truth > 0] == truth[truth > 0]),
    }
    if foreground.any():
        expected["foreground"] = np.mean(S[foreground] == truth[foreground])
    if background.any():
        expected["background"] = np.mean(truth[background] == 0)
    quality = thresholds.PseudoMaskQuality(noise.saliency, mined, noise.truth.masks)
    assert quality(threshold, rule) == pytest.approx(expected, nan_ok=True)


def test_the_merge_rules_differ_where_the_two_cues_contradict_each_other():
    claims = [[[0, 1, 1, 0, 1, 1]], [[0, 0, 1, 0, 0, 1]]]  # claimed by none, one, two
    regions, saliency = np.array(claims, bool), np.array([[0.1, 0.1, 0.1, 0.9, 0.9, 0.9]])
    expected = {
        merge: [0, 255, 255, 255, 1, 255],
        thresholds.mined_wins: [0, 1, 255, 255, 1, 255],
        thresholds.low_saliency_wins: [0, 0, 0, 255, 1, 255],
    }
    for rule, S in expected.items():
        assert rule(regions, saliency, 0.5).ravel().tolist() == S


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_prohibition_at_a_threshold_is_that_of_every_picture(noise, threshold):
    masks = noise.truth.masks
    prohibited = thresholds.Prohibited(noise.probabilities, noise.v, masks)
    matrix, right, wrong = prohibited(threshold)
    expected = np.zeros((4, 4), np.int64)
    for f, v, mask in zip(noise.probabilities, noise.v, masks, strict=True):
        kept = [0] + [c + 1 for c in range(3) if v[c] >= threshold]
        expected += confusion(mask, np.array(kept)[f[kept].argmax(dim=0)], 4)
    np.testing.assert_array_equal(matrix, expected)
    there = np.array([[c in mask for c in (1, 2, 3)] for mask in masks])
    removed = noise.v < threshold
    assert (right, wrong) == (np.sum(removed & ~there), np.sum(removed & there))
