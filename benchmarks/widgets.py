"""How long the widgets take to answer, from a control's new value to the PNG and HTML handed to the browser: a Markdown table.

The arguments are creatures with made-up maps and answers (the truth, blurred and noisy): no trained run is needed.

Usage: python benchmarks/widgets.py [--pictures 200] [--calls 100]
"""

import argparse
import os
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch
from scipy import ndimage

from aelib import widgets
from aelib.creatures import CLASSES, HEAD, PARTS
from aelib.crf import CRF
from aelib.data import creature_pictures, creature_truth


def arguments(count: int) -> dict[str, dict[str, Any]]:
    """Keyword arguments of each widget, for the first `count` validation creatures of seed 0."""
    rng = np.random.default_rng(0)
    val, truth = creature_pictures(0, "val", count), creature_truth(0, "val", count)
    masks, parts, size = truth.masks, truth.parts, truth.masks[0].shape

    def blurred(field: np.ndarray, noise: float, sigma: float = 4) -> np.ndarray:
        return ndimage.gaussian_filter(field + noise * rng.standard_normal(field.shape), (0,) * (field.ndim - 2) + (sigma, sigma)).clip(0)

    of_class = [np.stack([mask == c + 1 for c in range(len(CLASSES))]).astype(float) for mask in masks]
    maps = np.stack([blurred(own * (0.4 + 1.2 * (part == HEAD)), 0.5) for own, part in zip(of_class, parts, strict=True)])
    maps = (maps / maps.max(axis=(2, 3), keepdims=True).clip(1e-9)).astype(np.float32)
    scores = np.stack([np.concatenate([np.full((1, *size), 1.5), 6 * blurred(own, 2.5)]) for own in of_class])
    probabilities = list(torch.from_numpy(scores).softmax(dim=1).float())
    v = (0.75 * val.labels + rng.uniform(0, 0.25, val.labels.shape)).astype(np.float32)
    saliency = [(255 * blurred((mask > 0).astype(float), 1.0).clip(0, 1)).round().astype(np.uint8) for mask in masks]
    thresholds = (0.6, 0.4, 0.25, 0.1)
    regions = [[(m > t) & label[:, None, None] for m, label in zip(maps, val.labels, strict=True)] for t in thresholds]
    f = torch.tensor(rng.dirichlet([1.2, 1, 1], (1, 4, 4)).transpose(0, 3, 1, 2), dtype=torch.float32)
    S = torch.tensor([[[0, 0, 255, 255], [0, 255, 1, 1], [255, 1, 1, 255], [0, 255, 2, 255]]])
    set_of = {"images": val.images, "masks": masks, "classes": CLASSES}
    with_parts = set_of | {"labels": val.labels, "parts": parts, "part_names": PARTS}
    return {
        "delta": with_parts | {"maps": maps},
        "step_player": with_parts | {"regions_by_step": regions, "mean_pixel": val.mean_pixel() / 255},
        "background": set_of | {"saliency": saliency, "mined": regions[2]},
        "confidences": {"f": f, "S": S, "classes": CLASSES[:2], "start": [0.9, 0.1]},
        "prohibit_threshold": set_of | {"probabilities": probabilities, "v": v},
        "crf": set_of
        | {"probabilities": probabilities, "present": np.pad(v >= 0.1, ((0, 0), (1, 0)), constant_values=True)}
        | {"start": CRF(gaussian_sxy=1, bilateral_sxy=20)},
    }


def controls(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """The sliders and drop-down lists somewhere in a widget."""
    if isinstance(widget, (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown)):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from controls(child)


def timings(widget: ipywidgets.Widget, calls: int) -> list[float]:
    """Milliseconds that each of `calls` moves of a random control to a random value takes."""
    rng, taken, movable = np.random.default_rng(1), [], list(controls(widget))
    while len(taken) < calls:
        control = movable[rng.integers(len(movable))]
        if isinstance(control, ipywidgets.Dropdown):
            attribute, value = "index", int(rng.integers(len(control.options)))
        else:
            value = type(control.value)(control.min + control.step * rng.integers(round((control.max - control.min) / control.step) + 1))
            attribute = "value"
        if getattr(control, attribute) == value:
            continue
        began = time.perf_counter()
        setattr(control, attribute, value)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def main() -> None:
    """Make each widget, move it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    os.environ["JPY_SESSION_NAME"] = "benchmark"  # as if somebody sat in front
    print("| widget | median, ms | 95th percentile, ms | pictures | to make it, s |\n|---|---:|---:|---:|---:|")
    for name, given in arguments(options.pictures).items():
        began = time.perf_counter()
        widget = getattr(widgets, name)(**given)
        made = time.perf_counter() - began
        median, slow = np.percentile(timings(widget, options.calls), [50, 95])
        pictures = len(given["images"]) if "images" in given else "4 x 4 pixels"
        print(f"| {name} | {median:.0f} | {slow:.0f} | {pictures} | {made:.1f} |", flush=True)


if __name__ == "__main__":
    main()
