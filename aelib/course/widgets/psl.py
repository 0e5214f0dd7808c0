"""Sliders over prohibition: in the PSL loss, pixel by pixel, and at test."""

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from ...datasets.base import Pictures, Truth
from ...masks import IGNORE
from ...psl import cross_entropy, prohibit
from ..plots import COLOURS
from ..tallies import mean_iou, one_size
from ..thresholds import Prohibited
from .skin import Shown, bars, enlarged, legend, live_only, paint, picture_slider, skin, slider


@live_only
def psl_by_hand(
    f: Tensor, S: Tensor, classes: Sequence[str], start: Sequence[float]
) -> ipywidgets.Widget | None:
    """Move the image-level confidences v and see S-hat flip, pixel by pixel, and the terms of the
    PSL loss follow.

    Args:
        f: probabilities, background first, (1, C + 1, h, w) in [0, 1]; few pixels.
        S: (1, h, w) int64: 0..C, 255 ignored.
        classes: names of the C classes.
        start: v where the sliders start, C numbers in [0, 1].
    """
    scores = f.clamp(min=torch.finfo(f.dtype).tiny).log()  # softmax(log f) = f

    def show(**v: float) -> Shown:
        given = torch.tensor([list(v.values())], dtype=f.dtype)
        s_hat = prohibit(f, given)
        of_S, of_s_hat = cross_entropy(scores, S).item(), cross_entropy(scores, s_hat).item()
        loss = f"<b>PSL loss = J(f, S) + J(f, S-hat) = {of_S + of_s_hat:.4f}</b>"
        terms = f"J(f, S) = {of_S:.4f} &emsp; J(f, S-hat) = {of_s_hat:.4f} &emsp; {loss}"
        return (
            {},
            f"{_masks(f, S, s_hat)}<br>{_weighed(f, given, s_hat, classes)}<div>{terms}</div>",
        )

    controls = {}
    for c, (name, value) in enumerate(zip(classes, start, strict=True), start=1):
        controls[f"v{c}"] = slider(f"v of {name} (probability, 0 to 1)", value, 0, 1)
    return skin(show, controls, legend([f"{c} {name}" for c, name in enumerate(classes, 1)]))


def _masks(f: Tensor, S: Tensor, s_hat: Tensor) -> str:
    """Returns S, argmax f and S-hat as tables."""
    S_map, answer, prohibited = S[0].numpy(), f.argmax(dim=1)[0].numpy(), s_hat[0].numpy()
    title = "S-hat (framed: prohibition changed it)"
    return (
        _grid("S, mined (&middot; ignored)", S_map, S_map)
        + _grid("argmax f, the network's own", answer, answer)
        + _grid(title, prohibited, prohibited, prohibited != answer)
    )


def _weighed(f: Tensor, v: Tensor, s_hat: Tensor, classes: Sequence[str]) -> str:
    """Returns [1, v] (x) f as one table a label."""
    prohibited, html = s_hat[0].numpy(), ""
    for c, name in enumerate(["background", *classes]):
        weight = 1.0 if c == 0 else float(v[0, c - 1])
        title = f"{weight:.2f} x f of {escape(name)} (framed: largest)"
        label = np.full(prohibited.shape, c)
        html += _grid(title, weight * f[0, c].numpy(), label, prohibited == c)
    return html


def _grid(
    title: str, values: np.ndarray, labels: np.ndarray, framed: np.ndarray | None = None
) -> str:
    """Returns a table of numbers, (h, w): coloured by label, bold where framed."""
    framed = np.zeros(values.shape, bool) if framed is None else framed
    rows = ""
    for row in zip(values, labels, framed, strict=True):
        cells = "".join(_cell(*cell) for cell in zip(*row, strict=True))
        rows += f"<tr>{cells}</tr>"
    block = "display: inline-table; border-collapse: collapse; margin: 0 0.8em 0.6em 0"
    caption = f"<caption style='text-align: left'>{title}</caption>"  # no wider than its table
    return f"<table style='{block}; vertical-align: bottom'>{caption}{rows}</table>"


def _cell(value: Any, label: int, framed: bool) -> str:
    style = "width: 2.6em; height: 2.2em; padding: 0; text-align: center; border: 1px solid #8886"
    if framed:
        style += "; font-weight: bold; outline: 2px solid; outline-offset: -2px"
    if 0 < label < IGNORE:
        style += f"; background: {COLOURS[(label - 1) % len(COLOURS)]}66"
    text = f"{value:.2f}" if value.dtype.kind == "f" else str(value)
    return f"<td style='{style}'>{'&middot;' if value == IGNORE else text}</td>"


@live_only
def prohibit_threshold(
    pictures: Pictures,
    truth: Truth,
    probabilities: Sequence[Any],
    v: np.ndarray,
    start: float = 0.1,
) -> ipywidgets.Widget | None:
    """Move the confidence below which a class is removed at test, and see masks before and after,
    and mIoU over the whole set.

    Args:
        probabilities: n of (C + 1, H, W) in [0, 1], background first, arrays or tensors.
        v: image-level confidences, (n, C) in [0, 1].
        start: threshold where the slider starts, in [0, 1].
    """
    v, classes, count = np.asarray(v), pictures.classes, len(pictures)
    images, masks = one_size(pictures.images, 255), one_size(truth.masks, IGNORE)
    probabilities = one_size(probabilities, 0)
    prohibited = Prohibited(probabilities, v, masks)
    before = mean_iou(prohibited(0)[0])

    def show(threshold: float, picture: int) -> Shown:
        i = picture - 1
        f, removed = probabilities[i], v[i] < threshold
        allowed = np.r_[True, ~removed]
        answer, prohibited_answer = f.argmax(axis=0), (f * allowed[:, None, None]).argmax(axis=0)
        shown = {
            f"picture {picture} of {count}": enlarged(images[i]),
            "before": paint(images[i], answer.astype(np.uint8)),
            "after": paint(images[i], prohibited_answer.astype(np.uint8)),
            "truth": paint(images[i], masks[i]),
        }
        matrix, right, wrong = prohibited(threshold)
        after = mean_iou(matrix)
        change = f"{100 * (after - before):+.1f} points"
        words = f"{change}; mean over background and {len(classes)} classes"
        rows = {"mIoU before": (before, "nothing removed"), "mIoU after": (after, words)}
        table = bars(f"{count} pictures, pixels pooled", rows)
        here = f"v here (struck out: removed): {_struck_out(classes, v[i], removed)}"
        sums = f"removed: {right + wrong} of {v.size} classes in pictures; "
        sums += f"{right} rightly (not in the mask), {wrong} wrongly (in it)"
        return shown, f"<div>{here}</div>{table}<div>{sums}</div>"

    controls = {
        "threshold": slider("remove classes with v below (0 to 1)", start, 0, 1),
        "picture": picture_slider(count),
    }
    return skin(show, controls, legend(classes))


def _struck_out(classes: Sequence[str], v: np.ndarray, removed: np.ndarray) -> str:
    """Returns each class and its v, the removed ones struck out."""
    texts = []
    for name, confidence, is_removed in zip(classes, v, removed, strict=True):
        text = f"{escape(name)} {confidence:.2f}"
        texts.append(f"<s>{text}</s>" if is_removed else text)
    return ", ".join(texts)
