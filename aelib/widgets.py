"""Sliders over plots: thin skins, so that everything they show can be had without them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
import torch
from matplotlib.figure import Figure

from . import plots, psl
from .crf import CRF
from .erasing import RULES, discriminative_regions
from .masks import merge
from .notebook import live


def explore(draw: Callable[..., Figure | None], **controls: ipywidgets.Widget) -> ipywidgets.Widget | None:
    """Controls over a figure that `draw(**values)` makes anew at each change; without anybody to move them, a line of text."""
    if not live():  # a widget in a saved notebook is a stub; under papermill one was even seen to hang
        print("Sliders are here when the notebook is open in Jupyter.")
        return None

    def show(**values: Any) -> None:
        from IPython.display import display

        if (figure := draw(**values)) is not None:
            display(figure)

    for control in controls.values():
        control.continuous_update = False  # redraw when the slider rests, not at every pixel of its way
        control.style.description_width = "initial"
    return ipywidgets.interactive(show, **controls)


def pick(draw: Callable[[int], Figure], choices: Sequence[int]) -> ipywidgets.Widget | None:
    """Step through pictures: draw(i) for the chosen i."""
    return explore(lambda picture: draw(picture), picture=ipywidgets.IntSlider(choices[0], choices[0], choices[-1], description="picture"))


def regions(image: np.ndarray, maps: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> ipywidgets.Widget | None:
    """delta and its reading, over the regions of one picture.

    Args:
        image: (H, W, 3) uint8.
        maps: normalised CAMs, (C, H, W) in [0, 1].
        labels: (C,) bool.
        classes: names of the C classes.
    """
    maps, present = torch.from_numpy(maps), torch.from_numpy(labels)

    def draw(delta: float, rule: str) -> Figure:
        found = discriminative_regions(maps, present, delta, rule)
        title = f"{rule}, delta {delta:.2f}: {found.any(dim=0).float().mean():.0%} of the picture"
        shown = np.where(found.any(dim=0), found.int().argmax(dim=0) + 1, 0).astype(np.uint8)
        return plots.masks(image, {title: shown}, classes)

    return explore(
        draw,
        delta=ipywidgets.FloatSlider(0.2, min=0.05, max=0.95, step=0.05, description="delta"),
        rule=ipywidgets.Dropdown(options=RULES, description="read as"),
    )


def background(
    images: Sequence[np.ndarray], saliency: Sequence[np.ndarray], mined: Sequence[np.ndarray], threshold: float, classes: Sequence[str]
) -> ipywidgets.Widget | None:
    """The background threshold over S, live.

    Args:
        images, saliency, mined: of some pictures: (H, W, 3) uint8, (H, W) in [0, 1], regions (C, H, W) bool.
        threshold: where the slider starts, in [0, 1].
        classes: names of the C classes.
    """

    def draw(picture: int, threshold: float) -> Figure:
        seeds = merge(mined[picture], saliency[picture], threshold)
        return plots.seeds(images[picture], saliency[picture], mined[picture].any(axis=0), seeds, classes, threshold)

    return explore(
        draw,
        picture=ipywidgets.IntSlider(0, 0, len(images) - 1, description="picture"),
        threshold=ipywidgets.FloatSlider(threshold, min=0, max=1, step=0.01, description="background below"),
    )


def confidences(f: torch.Tensor, scores: torch.Tensor, seeds: torch.Tensor) -> ipywidgets.Widget | None:
    """v over S-hat and the terms of the PSL loss, for a picture of a few pixels.

    Args:
        f: probabilities, (1, C + 1, h, w).
        scores: logits, log f will do, the same shape.
        seeds: S, (1, h, w) int64, 255 ignored.
    """

    def show(**v: float) -> None:
        given = torch.tensor([list(v.values())])
        s_hat = psl.prohibit(f, given)
        terms = [psl.cross_entropy(scores, mask).item() for mask in (seeds, s_hat)]
        print(f"S-hat = {s_hat.flatten().tolist()}\nJ(f, S) = {terms[0]:.4f}, J(f, S-hat) = {terms[1]:.4f}, PSL loss = {sum(terms):.4f}")

    sliders = {f"v{c}": ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.05, description=f"v, class {c}") for c in range(1, f.shape[1])}
    return explore(show, **sliders)


def crf(draw: Callable[[int, CRF], Figure], start: CRF, pictures: int) -> ipywidgets.Widget | None:
    """CRF parameters over draw(picture, crf), from those of `start`."""

    def draw_with(picture: int, **values: float) -> Figure:
        return draw(picture, replace(start, **values))

    return explore(
        draw_with,
        picture=ipywidgets.IntSlider(0, 0, pictures - 1, description="picture"),
        bilateral_weight=ipywidgets.FloatSlider(start.bilateral_weight, min=0, max=20, step=0.5, description="bilateral weight"),
        bilateral_sxy=ipywidgets.FloatSlider(start.bilateral_sxy, min=1, max=100, step=1, description="reach, pixels"),
        bilateral_srgb=ipywidgets.FloatSlider(start.bilateral_srgb, min=1, max=60, step=1, description="colour, grey levels"),
        iterations=ipywidgets.IntSlider(start.iterations, 1, 20, description="iterations"),
    )
