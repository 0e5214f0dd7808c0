"""How long the widgets take to answer, from a control's new value to the PNG and HTML.

Prints a Markdown table. The arguments are creatures with made-up maps and answers (the truth,
blurred and noisy): no trained run is needed.

Usage: python benchmarks/widgets.py [--pictures 200] [--calls 100]
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch
from scipy import ndimage

from aelib.course import widgets
from aelib.crf import CRF
from aelib.datasets.creatures import CLASSES, HEAD, Creatures
from aelib.support.parallel import environment

MOVABLE = (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown)


def arguments(count: int) -> dict[str, dict[str, Any]]:
    """Keyword arguments of each widget, for the first `count` validation creatures of seed 0."""
    rng = np.random.default_rng(0)
    creatures = Creatures(seed=0, train_images=1, val_images=count)
    val, truth = creatures.pictures("val"), creatures.truth("val")
    masks, size = truth.masks, truth.masks[0].shape

    def blurred(field: np.ndarray, noise: float) -> np.ndarray:
        sigma = (0,) * (field.ndim - 2) + (4, 4)
        noisy = field + noise * rng.standard_normal(field.shape)
        return ndimage.gaussian_filter(noisy, sigma).clip(0)

    objects = [np.stack([mask == c + 1 for c in range(len(CLASSES))]) for mask in masks]
    heads = [part == HEAD for part in truth.parts]
    pairs = zip(objects, heads, strict=True)
    maps = np.stack([blurred(field * (0.4 + 1.2 * head), 0.5) for field, head in pairs])
    maps = (maps / maps.max(axis=(2, 3), keepdims=True).clip(1e-9)).astype(np.float32)
    behind = np.full((1, *size), 1.5)
    scores = np.stack([np.concatenate([behind, 6 * blurred(field, 2.5)]) for field in objects])
    probabilities = list(torch.from_numpy(scores).softmax(dim=1).float())
    v = (0.75 * val.labels + rng.uniform(0, 0.25, val.labels.shape)).astype(np.float32)
    salient = [blurred((mask > 0).astype(float), 1.0).clip(0, 1) for mask in masks]
    saliency = [(255 * field).round().astype(np.uint8) for field in salient]
    labels = val.labels[:, :, None, None]
    regions = [list((maps > threshold) & labels) for threshold in (0.6, 0.4, 0.25, 0.1)]
    f = torch.from_numpy(rng.dirichlet([1.2, 1, 1], (1, 4, 4)).transpose(0, 3, 1, 2)).float()
    S = torch.tensor([[[0, 0, 255, 255], [0, 255, 1, 1], [255, 1, 1, 255], [0, 255, 2, 255]]])
    present = np.pad(v >= 0.1, ((0, 0), (1, 0)), constant_values=True)
    start = CRF(gaussian_sxy=1, bilateral_sxy=20)
    both, mean = {"pictures": val, "truth": truth}, val.mean_pixel() / 255
    return {
        "delta": both | {"maps": maps},
        "step_player": both | {"regions_by_step": regions, "mean_pixel": mean},
        "background": both | {"saliency": saliency, "mined": regions[2]},
        "psl_by_hand": {"f": f, "S": S, "classes": CLASSES[:2], "start": [0.9, 0.1]},
        "prohibit_threshold": both | {"probabilities": probabilities, "v": v},
        "crf": both | {"probabilities": probabilities, "present": present, "start": start},
    }


def controls(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """The sliders and drop-down lists somewhere in a widget."""
    if isinstance(widget, MOVABLE):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from controls(child)


def moves(widget: ipywidgets.Widget, rng: np.random.Generator) -> Iterator[tuple]:
    """(control, attribute, value) without end: random controls, each to another value."""
    movable = list(controls(widget))
    while True:
        control = movable[rng.integers(len(movable))]
        if isinstance(control, ipywidgets.Dropdown):
            attribute, value = "index", int(rng.integers(len(control.options)))
        else:
            steps = round((control.max - control.min) / control.step) + 1
            value = type(control.value)(control.min + control.step * rng.integers(steps))
            attribute = "value"
        if getattr(control, attribute) != value:
            yield control, attribute, value


def timings(widget: ipywidgets.Widget, calls: int) -> list[float]:
    """Milliseconds that each of `calls` moves takes."""
    taken = []
    for control, attribute, value in moves(widget, np.random.default_rng(1)):
        began = time.perf_counter()
        setattr(control, attribute, value)
        taken.append(1000 * (time.perf_counter() - began))
        if len(taken) == calls:
            return taken


def answers(pictures: int, calls: int) -> Iterator[tuple[str, float, float, float]]:
    """Each widget's name, median and 95th percentile of its answers in ms, and s to make it."""
    with environment(JPY_SESSION_NAME="benchmark"):  # as if somebody sat in front
        for name, given in arguments(pictures).items():
            began = time.perf_counter()
            widget = getattr(widgets, name)(**given)
            made = time.perf_counter() - began
            median, slow = np.percentile(timings(widget, calls), [50, 95])
            yield name, median, slow, made


def main() -> None:
    """Make each widget, move it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    print(f"{options.pictures} pictures; psl_by_hand has one of 4 x 4 pixels\n")
    print("| widget | median, ms | 95th percentile, ms | to make it, s |")
    print("|---|---:|---:|---:|")
    for name, median, slow, made in answers(options.pictures, options.calls):
        print(f"| {name} | {median:.0f} | {slow:.0f} | {made:.1f} |", flush=True)


if __name__ == "__main__":
    main()
