"""aelib.psl against float64 loops over images and pixels, and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aelib.psl import allowed, cross_entropy, prohibit, psl_loss, shrink

CLASSES = 3  # without the background


def problem(
    seed: int, n: int = 2, h: int = 3, w: int = 4, spread: float = 2.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, S with about a third ignored, v; float64."""
    g = torch.Generator().manual_seed(seed)
    scores = spread * torch.randn(n, CLASSES + 1, h, w, generator=g, dtype=torch.float64)
    S = torch.randint(0, CLASSES + 1, (n, h, w), generator=g)
    S[torch.rand(n, h, w, generator=g) < 0.35] = 255
    return scores, S, torch.rand(n, CLASSES, generator=g, dtype=torch.float64)


def log_f(scores: Tensor, n: int, y: int, x: int) -> list[float]:
    logits = scores[n, :, y, x].tolist()
    top = max(logits)
    norm = top + math.log(sum(math.exp(value - top) for value in logits))
    return [value - norm for value in logits]


def prohibit_by_loops(f: Tensor, v: Tensor) -> list:
    n, _, h, w = f.shape
    answer = np.zeros((n, h, w), int)
    for i, y, x in np.ndindex(n, h, w):
        weighed = [f[i, 0, y, x].item()]
        for c in range(v.shape[1]):
            weighed.append(v[i, c].item() * f[i, c + 1, y, x].item())
        answer[i, y, x] = weighed.index(max(weighed))
    return answer.tolist()


def j_by_loops(scores: Tensor, mask: list | Tensor) -> list[float]:
    mask = np.asarray(mask)
    values = []
    for n in range(len(scores)):
        labelled = [(y, x) for y, x in np.ndindex(*mask.shape[1:]) if mask[n, y, x] != 255]
        total = -sum(log_f(scores, n, y, x)[mask[n, y, x]] for y, x in labelled)
        values.append(total / len(labelled) if labelled else 0.0)
    return values


def loss_by_loops(scores: Tensor, S: Tensor, v: Tensor) -> float:
    S_hat = prohibit_by_loops(scores.softmax(dim=1), v)
    return (sum(j_by_loops(scores, S)) + sum(j_by_loops(scores, S_hat))) / len(scores)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_prohibit_by_loops(seed):
    scores, _, v = problem(seed)
    f = scores.softmax(dim=1)
    assert prohibit(f, v).tolist() == prohibit_by_loops(f, v)


def test_full_confidence_is_plain_argmax_and_none_is_all_background():
    f = problem(0, h=20, w=20)[0].softmax(dim=1)
    assert torch.equal(prohibit(f, torch.ones(2, CLASSES)), f.argmax(dim=1))
    assert f.argmax(dim=1).any() and not prohibit(f, torch.zeros(2, CLASSES)).any()


def test_only_the_forbidden_class_gives_way():
    f = torch.tensor([0.1, 0.5, 0.3, 0.1], dtype=torch.float64).view(1, 4, 1, 1)
    answers = [prohibit(f, torch.tensor([[v, 1.0, 1.0]])).item() for v in (0.0, 0.59, 0.61, 1.0)]
    assert answers == [2, 2, 1, 1]


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_j_and_psl_loss_by_loops(seed):
    scores, S, v = problem(seed, n=3)
    assert cross_entropy(scores, S).tolist() == pytest.approx(j_by_loops(scores, S), rel=1e-12)
    assert psl_loss(scores, S, v).item() == pytest.approx(loss_by_loops(scores, S, v), rel=1e-12)


def test_each_image_counts_the_same_however_much_of_it_is_labelled():
    scores, S, _ = problem(1)
    S[0] = 255
    S[0, 1, 2] = 3
    assert cross_entropy(scores, S)[0].item() == pytest.approx(
        -log_f(scores, 0, 1, 2)[3], rel=1e-12
    )


def test_gradient_by_finite_differences():
    scores, S, v = problem(5)
    S[0] = 255  # an image without any labelled pixel
    weighed = torch.cat([torch.ones(2, 1), v], dim=1)[:, :, None, None] * scores.softmax(dim=1)
    first, second = weighed.topk(2, dim=1).values.unbind(dim=1)
    assert (
        first - second
    ).min() > 1e-4  # S-hat does not jump within the step, or the test would mean nothing
    assert torch.autograd.gradcheck(
        lambda s: psl_loss(s, S, v), scores.requires_grad_(), eps=1e-6, atol=1e-8
    )


def test_no_gradient_comes_through_s_hat():
    """Closed form with S-hat frozen: (softmax - onehot) / |M| for each of the two masks, over the
    number of images."""
    scores, S, v = problem(6)
    scores.requires_grad_()
    v.requires_grad_()
    psl_loss(scores, S, v).backward()
    f = scores.detach().softmax(dim=1)
    S_hat = torch.tensor(prohibit_by_loops(f, v.detach()))
    expected = torch.zeros_like(f)
    for mask in (S, S_hat):
        for n, y, x in np.ndindex(*mask.shape):
            label = mask[n, y, x].item()
            if label != 255:
                onehot = torch.eye(CLASSES + 1, dtype=torch.float64)[label]
                expected[n, :, y, x] += (f[n, :, y, x] - onehot) / (mask[n] != 255).sum() / len(f)
    torch.testing.assert_close(scores.grad, expected)
    assert v.grad is None or not v.grad.any()


def test_all_ignore_leaves_the_s_hat_term_alone():
    scores, S, v = problem(7)
    S[:] = 255
    scores.requires_grad_()
    loss = psl_loss(scores, S, v)
    S_hat = prohibit_by_loops(scores.detach().softmax(dim=1), v)
    expected = j_by_loops(scores.detach(), S_hat)
    assert loss.item() == pytest.approx(sum(expected) / len(expected), rel=1e-12)
    loss.backward()
    assert scores.grad.isfinite().all() and scores.grad.any()
    assert cross_entropy(scores, S).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_stay_finite(dtype):
    scores, S, v = problem(8)
    scores = (scores.sign() * 1e4).to(dtype).requires_grad_()
    loss = psl_loss(scores, S, v.to(dtype))
    loss.backward()
    assert loss.item() == pytest.approx(loss_by_loops(scores.detach().double(), S, v), rel=1e-5)
    assert loss.item() > 100 and scores.grad.isfinite().all()


def test_an_impossible_label_costs_its_logits_distance():
    scores = torch.tensor([1e4, -1e4]).view(1, 2, 1, 1)
    assert cross_entropy(scores, torch.tensor([[[1]]])).tolist() == [2e4]


def test_allowed_by_hand():
    v = torch.tensor([[0.1, 0.0999, 0.7]], dtype=torch.float64)  # on the threshold is not under it
    assert allowed(v, 0.1).tolist() == [[True, True, False, True]]
    assert allowed(v, 0.0).all()
    assert allowed(v, 1.0).tolist() == [[True, False, False, False]]


@pytest.mark.parametrize(
    ("size", "out"),
    [((96, 96), (24, 24)), ((97, 51), (25, 13)), ((7, 5), (7, 5)), ((321, 321), (41, 41))],
)
def test_shrink_takes_the_nearest_pixel(size, out):
    torch.manual_seed(0)
    mask = torch.randint(0, 256, (2, *size), dtype=torch.uint8)
    got = shrink(mask, out)
    assert got.dtype == torch.int64 and got.shape == (2, *out)
    for n, y, x in np.ndindex(*got.shape):
        # the pixel that contains the output cell's centre; exact in integers
        v, u = (2 * y + 1) * size[0] // (2 * out[0]), (2 * x + 1) * size[1] // (2 * out[1])
        assert got[n, y, x] == mask[n, v, u]
