"""What all figures share: the figure and its words, size, style and colours."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from io import BytesIO
from textwrap import fill

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from PIL import Image

from .fonts import fallbacks

# One palette for each kind of thing, so that no colour means two. All are safe for the colour-blind
# and differ in lightness.
# Classes: Okabe and Ito's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
# Parts of a creature, background last: Tol's muted.
PARTS = ("#882255", "#44AA99", "#DDCC77", "#332288", "#BBBBBB")
# Erasing steps, in order: plasma, dark to light.
STEPS = ("#0D0887", "#7E03A8", "#CC4778", "#F89540", "#F0F921")
# Methods and measures, in order: blues, then brown.
METHODS = ("#6FA3D4", "#1F5FA8", "#0B2A4A", "#8C6D46")
# A region of no class: everything mined, everything salient.
REGION = ("#5E3C99",)
# Classes 8 to 14 and 15 to 21 have the same colours, darker and paler, and other dashes.
TINTS = ((0.0, 0.0), (0.0, 0.4), (1.0, 0.35))  # (mixed with: 0 black, 1 white; share of it)
DASHES = ("-", "--", ":")
MARKERS = "osD^vPX"
INK = "#222222"
FAINT = "#8a8a8a"
WIDTH = 10.6  # inches: the widest figure
STYLE = {
    "figure.dpi": 90,
    "savefig.dpi": 90,
    "figure.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.color": "#5a5a5a",
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
}


class Figure(matplotlib.figure.Figure):
    """A matplotlib Figure with words for those who cannot see it, `alt`."""

    alt = ""

    def png(self) -> str:
        """Return the picture as a PNG of 256 colours, in base64: a third of the bytes."""
        drawn, picture = BytesIO(), BytesIO()
        self.savefig(drawn, format="png", bbox_inches="tight")
        with Image.open(drawn) as full:
            full.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, "PNG")
        return b64encode(picture.getvalue()).decode()

    def _ipython_display_(self) -> None:
        """Show an HTML image: JupyterLab gives a bare PNG no alt text."""
        image = f'<img alt="{escape(self.alt)}" src="data:image/png;base64,{self.png()}">'
        display({"text/html": image, "text/plain": self.alt}, raw=True)


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the course's style, whatever the notebook's is, and close the figure.

    pyplot no longer holds a closed figure, so a notebook shows it once.
    """

    @wraps(draw)
    def in_style(*args, **kwargs) -> Figure:
        with plt.style.context(["default", STYLE]):
            figure = draw(*args, **kwargs)
            plt.close(figure)
            fonts = fallbacks(figure)
            if fonts:
                plt.rcParams["font.family"] = ["sans-serif", *fonts]
                figure = draw(*args, **kwargs)
                plt.close(figure)
        return figure

    return in_style


def new_figure(rows: int = 1, columns: int = 1, **kwargs) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, (rows, columns)."""
    return plt.subplots(
        rows, columns, FigureClass=Figure, squeeze=False, layout="constrained", **kwargs
    )


def column_width(ax: Axes) -> float:
    """Return the width of the axes' column, in inches."""
    return ax.figure.get_figwidth() / ax.get_gridspec().ncols


def set_title(ax: Axes, text: str) -> None:
    """Set the title, in lines no wider than the column."""
    characters_per_inch = 9.5 if ax.axison else 12.5
    ax.set_title(fill(text, int(characters_per_inch * column_width(ax))))


# --- colours ------------------------------------------------------------------------------------


def colour(index: int, palette: Sequence[str] = COLOURS) -> np.ndarray:
    """Return colour number `index`, RGB in [0, 1]; three times as many differ as a palette has."""
    mixed_with, share = TINTS[index // len(palette) % len(TINTS)]
    return (1 - share) * np.array(to_rgb(palette[index % len(palette)])) + share * mixed_with


def dash(index: int, palette: Sequence[str] = COLOURS) -> str:
    """Return the line style that goes with colour number `index`."""
    return DASHES[index // len(palette) % len(DASHES)]


def line(index: int, palette: Sequence[str] = METHODS) -> dict:
    """Return colour, dash and marker number `index`, for `Axes.plot`."""
    marker = MARKERS[index % len(MARKERS)]
    return {
        "color": colour(index, palette),
        "linestyle": dash(index, palette),
        "marker": marker,
    }
