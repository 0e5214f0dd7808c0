"""The check of exercise 15: psl_loss, its value and its gradient."""

from typing import Any, NamedTuple

import numpy as np
import torch

from . import say


class _Batch(NamedTuple):
    what: str
    scores: np.ndarray  # (N, C + 1, h, w)
    S: np.ndarray  # (N, h, w)
    v: np.ndarray  # (N, C)


class _Terms(NamedTuple):
    """The scores, -log f, f, [1, v] and the two masks of a batch, in float64."""

    scores: np.ndarray
    minus_log: np.ndarray
    f: np.ndarray
    weights: np.ndarray
    S: np.ndarray
    S_hat: np.ndarray


def check_psl_loss(psl_loss: Any) -> None:
    """psl_loss(scores, S, v) -> 0-d tensor: its value and its gradient."""
    for batch in _batches():
        name = f"psl_loss on {batch.what}"
        scores = torch.tensor(batch.scores, dtype=torch.float32, requires_grad=True)
        S, v = torch.tensor(batch.S), torch.tensor(batch.v, dtype=torch.float32)
        loss = say.call(name, psl_loss, scores, S, v)
        if not torch.is_tensor(loss) or loss.ndim:
            what = tuple(loss.shape) if hasattr(loss, "shape") else type(loss).__name__
            say.wrong(name, f"return one number as a tensor without axes, not {what}")
        terms = _terms(batch)
        _refuse_nan(name, batch, loss)
        say.same(name, loss, _loss(terms), tolerance=1e-4, hints=_mistakes(terms))
        if not loss.requires_grad:
            say.wrong(name, "the value is right, but no gradient reaches the scores")
        loss.backward()
        expected = _gradient(terms)
        if scores.grad is None or not np.allclose(scores.grad.numpy(), expected, atol=1e-4):
            words = "the value is right, but the gradient is not"
            say.wrong(name, f"{words}: S-hat is a target, no gradient may flow through it")


def _batches() -> list[_Batch]:
    random = np.random.default_rng(15)
    batches = []
    for what, shape, factor in (
        # with holes first: without one, several mistakes give the same number
        ("3 pictures with holes in S", (3, 3, 4, 7), 1.0),
        ("2 pictures", (2, 4, 5, 6), 2.0),
        ("3 pictures, one with S all 255", (3, 3, 4, 4), 1.0),
        ("scores of several hundred", (2, 4, 3, 5), 100.0),
    ):
        pictures, labels, *size = shape
        scores = factor * random.normal(size=shape)
        v = random.uniform(0.05, 1, (pictures, labels - 1))
        S = random.integers(0, labels, (pictures, *size))
        if "holes" in what or "255" in what:
            S[random.random(S.shape) < np.array([0.1, 0.8, 0.5])[:, None, None]] = 255
        if "255" in what:
            S[1] = 255
        batches.append(_Batch(what, _without_ties(scores, v), S, v))
    return batches


def _without_ties(scores: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns the scores, the two best weighted ones far enough apart for float32."""
    weighted = scores + np.log(np.pad(v, ((0, 0), (1, 0)), constant_values=1))[:, :, None, None]
    second, best = np.sort(weighted, axis=1)[:, -2:].swapaxes(0, 1)
    is_best = weighted == best[:, None]
    return scores + 0.01 * (is_best & (best - second < 0.01)[:, None])


def _terms(batch: _Batch) -> _Terms:
    shifted = batch.scores - batch.scores.max(axis=1, keepdims=True)
    minus_log = np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted
    f = np.exp(-minus_log)
    weights = np.pad(batch.v, ((0, 0), (1, 0)), constant_values=1)[:, :, None, None]
    # logarithms: f may be too small a number
    S_hat = (np.log(weights) - minus_log).argmax(axis=1)
    return _Terms(batch.scores, minus_log, f, weights, batch.S, S_hat)


def _per_pixel(minus_log: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns -log f at the mask's label, 0 where it is 255."""
    label = np.where(mask == 255, 0, mask)[:, None]
    return np.where(mask == 255, 0, np.take_along_axis(minus_log, label, axis=1)[:, 0])


def _means(minus_log: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns J of each picture, 0 where nothing is labelled."""
    labelled = (mask != 255).sum(axis=(1, 2)).clip(min=1)
    return _per_pixel(minus_log, mask).sum(axis=(1, 2)) / labelled


def _loss(terms: _Terms) -> float:
    return _both(terms.minus_log, terms)


def _both(minus_log: np.ndarray, terms: _Terms) -> float:
    """Returns the loss with something in place of -log f, (N, C + 1, h, w)."""
    return (_means(minus_log, terms.S) + _means(minus_log, terms.S_hat)).mean()


def _gradient(terms: _Terms) -> np.ndarray:
    """Returns d loss / d scores: (f - one-hot) at each labelled pixel, over N and their number."""
    gradient = np.zeros_like(terms.f)
    for mask in (terms.S, terms.S_hat):
        counted = (mask != 255)[:, None]
        one_hot = np.arange(terms.f.shape[1])[:, None, None] == mask[:, None]
        gradient += (terms.f - one_hot) * counted / counted.sum(axis=(2, 3), keepdims=True).clip(1)
    return gradient / len(terms.f)


def _refuse_nan(name: str, batch: _Batch, loss: torch.Tensor) -> None:
    if torch.isfinite(loss):
        return
    if (batch.S == 255).all(axis=(1, 2)).any():
        say.wrong(name, f"{loss.item()}: a picture without a labelled pixel must add 0, not 0 / 0")
    say.wrong(name, f"{loss.item()}: a log of 0; take log_softmax, not the log of a softmax")


def _mistakes(terms: _Terms) -> list[tuple[float, str]]:
    """Returns the values of typical mistakes, with a sentence each."""
    minus_log = terms.minus_log
    S, S_hat = _means(minus_log, terms.S), _means(minus_log, terms.S_hat)
    own = _means(minus_log, terms.f.argmax(axis=1))
    silent = _means(minus_log, np.where(terms.S == 255, terms.S_hat, 255))
    filled = _means(minus_log, np.where(terms.S == 255, terms.S_hat, terms.S))
    of_scores = _means(minus_log, (terms.scores * terms.weights).argmax(axis=1))
    of_S = _per_pixel(terms.minus_log, terms.S)
    of_S_hat = _per_pixel(terms.minus_log, terms.S_hat)
    labelled = terms.S != 255
    some = labelled.any(axis=(1, 2))  # pictures in which S labels a pixel
    pooled = of_S.sum() / labelled.sum()
    weighted = terms.f * terms.weights
    soft = (weighted * terms.minus_log).sum(axis=1) / weighted.sum(axis=1)
    one_divisor = (of_S + of_S_hat).sum(axis=(1, 2)) / (1 + labelled).sum(axis=(1, 2))
    everywhere = "S-hat labels every pixel by the argmax of [1, v] times f, not only where S is 255"
    return [
        (S.mean() + silent.mean(), everywhere),
        (S.mean() + filled.mean(), everywhere),
        (S.mean() + of_scores.mean(), "v multiplies f, not the scores: take their softmax first"),
        *_mistakes_in_the_logarithm(terms),
        (of_S.mean() + S_hat.mean(), "the pixels with 255 are counted in J(f, S): leave them out"),
        (pooled + S_hat.mean(), "J is to be taken of each picture; this pools the batch's pixels"),
        (S[some].mean() + S_hat.mean(), "a picture with S all 255 adds 0; it counts in the mean"),
        (S.mean() + own.mean(), "S-hat is the argmax of [1, v] times f; this is argmax f"),
        (S.mean() + soft.mean(), "S-hat is a label at each pixel, the argmax of [1, v] times f"),
        ((S + S_hat).sum(), "take the mean over the pictures, not the sum"),
        (one_divisor.mean(), "each J has its own denominator: this has one for both"),
        (S.mean(), "J(f, S-hat) is missing"),
        (S_hat.mean(), "J(f, S) is missing"),
        (_loss(terms) / 2, "add J(f, S) and J(f, S-hat): this is their mean"),
    ]


def _mistakes_in_the_logarithm(terms: _Terms) -> list[tuple[float, str]]:
    """Returns what comes out with something else in place of -log f."""
    minus_log, f, weights = terms.minus_log, terms.f, terms.weights
    S = _means(minus_log, terms.S).mean()
    log_f = "J takes log f, the log_softmax of the scores;"
    found = [
        (_both(-terms.scores, terms), f"{log_f} this takes the scores themselves"),
        (_both(-f, terms), f"{log_f} this takes f itself"),
    ]
    without_v = "v chooses the label only: the loss is -log f, without v"
    for weighted in (minus_log - np.log(weights), weights * minus_log):  # log (v f), v log f
        found.append((_both(weighted, terms), without_v))
        found.append((S + _means(weighted, terms.S_hat).mean(), without_v))
    for power in range(6, 13):
        small = 10.0**-power
        words = f"log(f + 1e-{power}) is no log of f where f is small: take log_softmax"
        found.append((_both(-np.log(f + small), terms), words))
        found.append((_both(-np.log(f.clip(min=small)), terms), words))
    return found
