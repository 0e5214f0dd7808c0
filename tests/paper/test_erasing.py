"""aelib.erasing against per-pixel loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aelib.erasing import (
    RULES,
    classification_loss,
    discriminative_regions,
    erase,
    evidence,
    steps_worth_keeping,
)


def quantile(values: list[float], q: float) -> float:
    """Linear interpolation between the order statistics."""
    values = sorted(values)
    at = q * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def regions_by_loops(
    maps: torch.Tensor, present: torch.Tensor, delta: float, rule: str
) -> torch.Tensor:
    classes, height, width = maps.shape
    found = torch.zeros(classes, height, width, dtype=torch.bool)
    for c in range(classes):
        values = maps[c].flatten().tolist()
        threshold = delta * max(values) if rule == "max" else quantile(values, 1 - delta)
        for y, x in np.ndindex(height, width):
            value = maps[c, y, x].item()
            found[c, y, x] = present[c].item() and value > 0 and value > threshold
    return found


@pytest.mark.parametrize("rule", ["max", "share"])
@given(
    seed=st.integers(0, 10_000),
    delta=st.sampled_from([0.03, 0.2, 0.5, 0.8, 0.97]),
    flat=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_regions_by_loops(rule, seed, delta, flat):
    generator = torch.Generator().manual_seed(seed)
    classes, height, width = torch.randint(1, 7, (3,), generator=generator).tolist()
    maps = torch.randn(classes, height, width, generator=generator, dtype=torch.float64).clamp(
        min=0
    )
    if flat:
        maps = maps.round() / 4  # ties
    present = torch.rand(classes, generator=generator) < 0.6
    got = discriminative_regions(maps, present, delta, rule)
    assert got.dtype == torch.bool
    assert torch.equal(got, regions_by_loops(maps, present, delta, rule))


def test_max_rule_excludes_the_threshold_itself():
    maps = torch.tensor([[[1.0, 0.5, 0.500001, 0.0]]], dtype=torch.float64)
    assert discriminative_regions(maps, torch.tensor([True]), 0.5, "max").tolist() == [
        [[True, False, True, False]]
    ]


def test_share_rule_takes_that_share_of_the_pixels():
    maps = torch.randperm(1000).double().view(1, 25, 40) + 1
    for delta in (0.1, 0.25, 0.9):
        region = discriminative_regions(maps, torch.tensor([True]), delta, "share")
        assert region.sum() == round(1000 * delta)
        assert maps[region].min() > maps[~region].max()


@pytest.mark.parametrize("rule", ["max", "share"])
def test_nothing_is_found_without_evidence_or_without_the_label(rule):
    maps = torch.stack([torch.zeros(4, 4), torch.rand(4, 4) + 0.1])
    assert not discriminative_regions(maps, torch.tensor([True, False]), 0.5, rule).any()


def test_known_rules():
    assert RULES == ("max", "share")


@pytest.mark.parametrize("delta", [0, 1, -0.2, 1.5, math.nan, math.inf])
def test_delta_outside_the_open_interval_is_refused(delta):
    with pytest.raises(ValueError, match=r"delta: .*outside \(0, 1\)"):
        discriminative_regions(torch.rand(1, 2, 2), torch.tensor([True]), delta)


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"'top'.*max, share"):
        discriminative_regions(torch.rand(1, 2, 2), torch.tensor([True]), 0.5, "top")


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_erase_by_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    classes, height, width = torch.randint(1, 6, (3,), generator=generator).tolist()
    image = torch.rand(3, height, width, generator=generator)
    regions = torch.rand(classes, height, width, generator=generator) < 0.3
    mean = torch.rand(3, generator=generator, dtype=torch.float64)
    original, got = image.clone(), erase(image, regions, mean)
    for y, x in np.ndindex(height, width):
        claimed = any(regions[c, y, x].item() for c in range(classes))
        expected = mean.float() if claimed else original[:, y, x]
        assert torch.equal(got[:, y, x], expected)
    assert torch.equal(image, original) and got.dtype == image.dtype


def test_erase_without_regions_returns_the_picture():
    image = torch.rand(3, 4, 5)
    assert torch.equal(erase(image, torch.zeros(6, 4, 5, dtype=torch.bool), torch.ones(3)), image)


@pytest.mark.parametrize("kind", ["sigmoid", "squared"])
def test_classification_loss_is_its_formula(kind):
    torch.manual_seed(0)
    s, y = torch.randn(4, 3, dtype=torch.float64), torch.randint(0, 2, (4, 3)).double()
    p = 1 / (1 + torch.exp(-s))
    wanted = (s - y) ** 2 if kind == "squared" else -(y * p.log() + (1 - y) * (1 - p).log())
    torch.testing.assert_close(classification_loss(s, y, kind), wanted.mean())


LABELS = torch.tensor(
    [[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1], [1, 0, 1, 1]], dtype=torch.float64
)


def mean_loss(answers: torch.Tensor, kind: str) -> float:
    """Mean over pictures and classes of the loss of probabilities `answers`, in plain floats."""
    total = 0.0
    for n, c in np.ndindex(*LABELS.shape):
        p, y = answers[n, c].item(), LABELS[n, c].item()
        total += (p - y) ** 2 if kind == "squared" else -math.log(p if y else 1 - p)
    return total / LABELS.numel()


@pytest.mark.parametrize("kind", ["sigmoid", "squared"])
def test_evidence_of_answering_the_frequencies_is_0(kind):
    frequency = LABELS.mean(dim=0)
    assert evidence(mean_loss(frequency.expand_as(LABELS), kind), frequency, kind) == pytest.approx(
        0, abs=1e-9
    )


@pytest.mark.parametrize("kind", ["sigmoid", "squared"])
def test_evidence_of_knowing_all_is_1_and_of_halving_the_loss_a_half(kind):
    frequency = LABELS.mean(dim=0)
    baseline = mean_loss(frequency.expand_as(LABELS), kind)
    assert evidence(0.0, frequency, kind) == 1
    assert evidence(baseline / 2, frequency, kind) == pytest.approx(0.5)
    assert evidence(3 * baseline, frequency, kind) == 0  # a share, whatever the loss


def test_evidence_takes_the_sigmoid_loss_unless_told():
    frequency = torch.tensor([0.5, 0.5])
    assert evidence(math.log(2), frequency) == pytest.approx(0)


@pytest.mark.parametrize("kind", ["sigmoid", "squared"])
@pytest.mark.parametrize("frequency", [[0.0], [1.0], [0.0, 1.0]])
def test_there_is_no_evidence_where_every_or_no_picture_shows_each_class(frequency, kind):
    assert evidence(0.0, torch.tensor(frequency), kind) == 0
    assert evidence(0.3, torch.tensor(frequency), kind) == 0


@pytest.mark.parametrize(
    ("evidences", "least", "kept"),
    [
        ([0.9, 0.8, 0.6, 0.2], 0.5, 3),
        ([0.9, 0.2, 0.8], 0.5, 1),  # a later recovery does not count
        ([0.1, 0.9], 0.5, 1),
        ([0.9, 0.5], 0.5, 2),  # at least: equality is enough
        ([0.9, 0.8], 0.0, 2),
        ([], 0.5, 1),
    ],
)
def test_steps_worth_keeping(evidences, least, kept):
    assert steps_worth_keeping(evidences, least) == kept
