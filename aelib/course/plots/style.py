"""What all figures share: the figure and its words, size, style and colours."""

from collections.abc import Callable
from functools import wraps
from textwrap import fill

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from .fonts import fallbacks

# Okabe and Ito's colours, safe for the colour-blind.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
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
    """A matplotlib Figure with words for those who cannot see it.

    A notebook file holds them as `metadata["image/png"]["alt"]` of the output.
    """

    alt = ""

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """Return the words alone: Jupyter adds the picture itself, as for every figure."""
        return {}, {"image/png": {"alt": self.alt}}


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


def colour(index: int) -> np.ndarray:
    """Return colour number `index`, RGB in [0, 1]; 21 differ."""
    mixed_with, share = TINTS[index // len(COLOURS) % len(TINTS)]
    return (1 - share) * np.array(to_rgb(COLOURS[index % len(COLOURS)])) + share * mixed_with


def dash(index: int) -> str:
    """Return the line style that goes with colour number `index`."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def line(index: int) -> dict:
    """Return colour, dash and marker number `index`, for `Axes.plot`."""
    marker = MARKERS[index % len(MARKERS)]
    return {"color": colour(index), "linestyle": dash(index), "marker": marker}
