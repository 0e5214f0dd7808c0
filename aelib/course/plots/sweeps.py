"""Figures of what moves: a number or a measure against a setting, without a widget."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from .charts import end_labels
from .style import INK, METHODS, WIDTH, Figure, colour, line, new_figure, set_title, styled

Curves = Mapping[str, Sequence[float]]


@styled
def sweep(
    panels: Mapping[str, tuple[Sequence[float], Curves]],
    marks: Mapping[str, float] | None = None,
    ylabel: str = "%",
    zoom: bool = False,
) -> Figure:
    """Draw shares against a setting, a panel for each setting, all with one vertical axis.

    Args:
        panels: setting -> (its values, {measure: its shares in [0, 1], one for each value}).
        marks: setting -> the value in use, a dashed line.
        zoom: whether the vertical axis holds the shares only, not 0 to 100 %.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    size = (WIDTH * (0.7 if columns == 1 else 1), 2.9 * rows if columns > 1 else 3.5)
    figure, axes = new_figure(rows, columns, figsize=size, sharey=True)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for ax, (setting, (values, curves)) in zip(axes.flat, panels.items(), strict=False):
        _draw_curves(ax, np.asarray(values, float), curves, named=columns == 1)
        if marks and setting in marks:
            ax.axvline(marks[setting], color=INK, linestyle="--", linewidth=1)
        ax.set_xlabel(setting)
    if not zoom:
        axes[0, 0].set_ylim(0, 100)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    if columns == 1:
        _name_ends(axes[0, 0], *next(iter(panels.values())))
    if marks:
        set_title(axes[0, 0], "dashed: the value of this run")
    listed = (f"{name}: {_in_words(*panel)}" for name, panel in panels.items())
    figure.alt = f"Lines of {ylabel}, by setting. {'; '.join(listed)}."
    return figure


def _draw_curves(ax: Axes, values: np.ndarray, curves: Curves, named: bool) -> None:
    for i, (name, shares) in enumerate(curves.items()):
        percents = 100 * np.asarray(shares, float)
        ax.plot(values, percents, **line(i), markersize=4, clip_on=False, label=name)
    if len(curves) > 1 and not named:
        ax.legend()


def _name_ends(ax: Axes, values: Sequence[float], curves: Curves) -> None:
    ends = []
    for i, (name, shares) in enumerate(curves.items()):
        if np.isfinite(shares[-1]):
            ends.append((values[-1], 100 * shares[-1], name, colour(i, METHODS)))
    end_labels(ax, ends)


def _in_words(values: Sequence[float], curves: Curves) -> str:
    words = []
    for name, shares in curves.items():
        percents = ["none" if np.isnan(y) else f"{100 * y:.0f}" for y in shares]
        pairs = zip(values, percents, strict=True)
        words.append(f"{name} " + ", ".join(f"{percent} at {x:g}" for x, percent in pairs))
    return ", ".join(words)
