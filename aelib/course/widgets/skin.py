"""What all widgets share: controls, panels, painted label maps, numbers as bars."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from html import escape
from io import BytesIO
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image
from scipy import ndimage

from ...masks import IGNORE
from ...support.progress import live
from ..plots import COLOURS
from ..plots.style import METHODS

SIDE = 288  # pixels of an enlarged picture, about
SHOWN = 224  # pixels of it on the screen: a whole widget fits a window 768 pixels high
INK = "color: var(--jp-ui-font-color1, inherit)"  # of the notebook's theme, dark or not

Shown = tuple[dict[str, np.ndarray], str]
Made = Callable[..., ipywidgets.Widget | None]


# --- the skin --------------------------------------------------------------------------------


def live_only(make: Callable[..., ipywidgets.Widget]) -> Made:
    """Makes the widget where somebody can move it; elsewhere prints its docstring's first words."""

    @wraps(make)
    def made(*args: Any, **kwargs: Any) -> ipywidgets.Widget | None:
        if live():
            return make(*args, **kwargs)
        purpose = " ".join(make.__doc__.split("\n\n")[0].split())
        print(f"A widget, live in Jupyter only. {purpose} Without it, see the figure above.")
        return None

    return made


def skin(
    show: Callable[..., Shown],
    controls: Mapping[str, ipywidgets.Widget],
    legend: str = "",
    play: ipywidgets.Play | None = None,
) -> ipywidgets.VBox:
    """Returns controls, pictures under their captions, the legend, the numbers, one below another.

    Args:
        show: called with the value of every control, by name, each time one of them moves.
        controls: a parameter of `show` -> its control.
        legend: HTML.
        play: moves one of the controls; shown above them.
    """
    panels: list[ipywidgets.VBox] = []
    numbers = ipywidgets.HTML()

    def draw(_: Any = None) -> None:
        pictures, text = show(**{name: control.value for name, control in controls.items()})
        if not panels:
            panels.extend(_panel() for _ in pictures)
        for panel, (caption, picture) in zip(panels, pictures.items(), strict=True):
            title, image = panel.children
            title.value = f"<div style='{INK}; line-height: 1.4'>{escape(caption)}</div>"
            image.value = png(picture)
        numbers.value = f"<div style='{INK}; line-height: 1.5'>{text}</div>"

    draw()
    label = 0.52 * max(len(control.description) for control in controls.values()) + 1  # em
    for control in controls.values():
        control.style.description_width = f"{label:.1f}em"
        # room beside the longest label to move, and for a list; two controls a row on a laptop
        control.layout.width = f"{max(31, label + 15.5):.1f}em"
        control.layout.max_width = "100%"
        control.observe(draw, "value")
    wrap = {"flex_flow": "row wrap", "grid_gap": "0 12px"}  # two controls beside each other
    top = [_labelled(play)] if play else []
    above = ipywidgets.HBox([*top, *controls.values()], layout=wrap)
    row = ipywidgets.HBox(panels, layout={"grid_gap": "0 12px", "align_items": "flex-end"})
    below = [ipywidgets.HTML(f"<div style='{INK}'>{legend}</div>")] if legend else []
    return ipywidgets.VBox([above, row, *below, numbers])


def _panel() -> ipywidgets.VBox:
    """Returns a caption over a picture: SHOWN wide at most, narrower where the page is."""
    image = ipywidgets.Image(format="png", layout={"width": "100%", "margin": "0"})
    layout = {"flex": "1 1 0", "max_width": f"{SHOWN}px", "min_width": "0"}
    return ipywidgets.VBox([ipywidgets.HTML(), image], layout=layout)


def _labelled(play: ipywidgets.Play) -> ipywidgets.HBox:
    """Returns the play buttons beside their description, which they do not show themselves."""
    return ipywidgets.HBox([ipywidgets.Label(play.description), play])


def slider(
    description: str,
    value: float,
    low: float,
    high: float,
    step: float = 0.01,
    continuous: bool = True,
) -> ipywidgets.FloatSlider:
    """Returns a slider; its range grows to hold the value.

    Args:
        continuous: whether it answers while it moves, not only where it rests.
    """
    return ipywidgets.FloatSlider(
        value,
        min=min(low, value),
        max=max(high, value),
        step=step,
        description=description,
        continuous_update=continuous,
        readout_format=".2f",
    )


def picture_slider(count: int, continuous: bool = True) -> ipywidgets.IntSlider:
    """Returns a slider from picture 1 to `count`."""
    description = "picture (number)"
    return ipywidgets.IntSlider(1, 1, count, description=description, continuous_update=continuous)


# --- pictures --------------------------------------------------------------------------------


def png(picture: np.ndarray) -> bytes:
    """Returns (H, W, 3) uint8 as a PNG, compressed for speed."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Returns a picture or label map with each pixel repeated, about SIDE pixels a side."""
    factor = max(1, SIDE // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def paint(image: np.ndarray, labels: np.ndarray, palette: Sequence[str] = COLOURS) -> np.ndarray:
    """Returns a label map in colour over the grey picture, enlarged: (H, W, 3) uint8.

    Regions are outlined, with a white edge; 255 is hatched.
    """
    tinted = np.repeat(64 + 0.75 * (image @ [[0.299], [0.587], [0.114]]), 3, axis=2)
    region, ignored = (labels > 0) & (labels != IGNORE), labels == IGNORE
    tinted[region] = 0.45 * tinted[region] + 0.55 * _colours(labels[region], palette)
    tinted[ignored] = 0.3 * tinted[ignored] + 128
    picture = enlarged(tinted.astype(np.uint8))
    labels = enlarged(labels)
    _hatch(picture, labels == IGNORE)
    _outline(picture, labels, palette)
    return picture


def _colours(labels: np.ndarray, palette: Sequence[str]) -> np.ndarray:
    inks = np.array([to_rgb(colour) for colour in palette])
    return (255 * inks[(labels - 1) % len(inks)]).round()


def _hatch(picture: np.ndarray, where: np.ndarray) -> None:
    height, width = where.shape
    stripes = np.add.outer(np.arange(height), np.arange(width)) % 9 < 2
    picture[where & stripes] = 110


def _outline(picture: np.ndarray, labels: np.ndarray, palette: Sequence[str]) -> None:
    """Draws a region's outline inside it, and a white edge outside."""
    region = (labels > 0) & (labels != IGNORE)
    # outside the picture is background: outlines close at its border
    window = {"size": 5, "mode": "constant"}
    lowest = ndimage.minimum_filter(labels, **window)
    line = region & (lowest != ndimage.maximum_filter(labels, **window))
    picture[line] = _colours(labels[line], palette)
    picture[ndimage.maximum_filter(region, **window) & ~region] = 255


# --- HTML ------------------------------------------------------------------------------------


def bars(title: str, rows: Mapping[str, tuple[float, str]]) -> str:
    """Returns a table, each share a number and a bar.

    Args:
        rows: {name: (share in [0, 1] or NaN, what it is a share of)}.
    """
    lines = "".join(_bar(name, share, words) for name, (share, words) in rows.items())
    block = "display: inline-block; vertical-align: top; margin: 0 2em 0 0; line-height: 1.35"
    table = f"<table style='border-collapse: collapse; margin: 0'>{lines}</table>"
    return f"<div style='{block}'><b>{escape(title)}</b>{table}</div>"


def _bar(name: str, share: float, words: str) -> str:
    track = "width: 120px; height: 9px; background: var(--jp-layout-color3, #8884)"
    filled = f"width: {100 * np.nan_to_num(share):.1f}%; height: 9px; background: {METHODS[1]}"
    percent = "none" if np.isnan(share) else f"{100 * share:.1f} %"
    return (
        f"<tr><td style='padding-right: 1em; min-width: 9em'>{escape(name)}</td>"
        f"<td><div style='{track}'><div style='{filled}'></div></div></td>"
        f"<td style='padding: 0 1em; text-align: right; white-space: nowrap'>{percent}</td>"
        f"<td>{escape(words)}</td></tr>"
    )


def legend(names: Sequence[str], palette: Sequence[str] = COLOURS) -> str:
    """Returns each name beside its colour, in the palette's order."""
    square = "display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.4em 0 0"
    entries = []
    for i, name in enumerate(names):
        colour = f"<span style='{square}; background: {palette[i % len(palette)]}'></span>"
        entry = (
            f"<span style='margin-right: 1em; white-space: nowrap'>{colour}{escape(name)}</span>"
        )
        entries.append(entry)
    return " ".join(entries)
