"""A figure of small grids with a number in every cell: worked examples."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ...masks import IGNORE
from .style import INK, WIDTH, Figure, colour, new_figure, set_title, styled

IGNORED_CELL = "#dddddd"


@styled
def numbers(
    grids: Mapping[str, np.ndarray],
    *,
    labels: Collection[str] = (),
    outline: Mapping[str, np.ndarray] | None = None,
    fmt: str = ".2f",
    columns: int = 5,
) -> Figure:
    """Draw small grids side by side under their names, with every number in its cell.

    The larger a number, the darker its cell. Each grid has its own scale, of at least 0 to 1. A
    cell with NaN is empty. All cells of a figure have the same size.

    Args:
        grids: name -> (h, w) float, int or bool (written 1 and 0).
        labels: names of the grids that are label maps, int, 0 background. Their cells have the
            classes' colours; 255 is hatched and written "?".
        outline: name -> (h, w) bool: cells to draw a line around.
        fmt: format of the floats.
        columns: most grids in a row; wide grids get fewer.

    Raises:
        ValueError: a grid is not (h, w), an outline has another shape, or `labels` or `outline`
            name a grid that is not in `grids`.
    """
    arrays = {name: np.asarray(values) for name, values in grids.items()}
    outline = outline or {}
    _check(arrays, labels, outline)
    texts = {name: _written(values, name in labels, fmt) for name, values in arrays.items()}
    high, wide = np.max([values.shape for values in arrays.values()], axis=0)
    figure, axes = _grid(texts.values(), high, wide, columns)
    for ax, (name, values) in zip(axes.flat, arrays.items(), strict=False):
        _draw_cells(ax, _shades(values, name in labels), texts[name])
        _draw_around(ax, np.asarray(outline.get(name, np.zeros(values.shape)), bool))
        middle = values.shape[1] / 2
        ax.set_xlim(middle - wide / 2 - 0.05, middle + wide / 2 + 0.05)
        ax.set_ylim(high + 0.05, -0.05)
        ax.set(aspect="equal", anchor="N")
        set_title(ax, name)
    in_words = ". ".join(f"{name}: {_row_by_row(text)}" for name, text in texts.items())
    figure.alt = f"Grids of numbers, row by row. {in_words}."
    return figure


def _check(arrays: Mapping, labels: Collection[str], outline: Mapping) -> None:
    unknown = ", ".join(sorted({*labels, *outline} - set(arrays)))
    if unknown:
        raise ValueError(f"numbers: there is no grid {unknown}; there are {', '.join(arrays)}")
    wrong = []
    for name, values in arrays.items():
        if values.ndim != 2 or np.shape(outline.get(name, values)) != values.shape:
            wrong.append(name)
    if wrong:
        raise ValueError(f"numbers: {', '.join(wrong)}: grids and their outlines must be (h, w)")


def _grid(texts: Collection, high: int, wide: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Return a figure and empty axes for grids of at most high x wide cells with these texts."""
    longest = max(len(text) for grid in texts for text in grid.flat)
    cell = max(0.42, 0.08 * longest + 0.12)  # inches, for letters of 9 points
    side = max(1.5, cell * wide + 0.2)
    columns = max(1, min(columns, len(texts), int(WIDTH / side)))
    rows = -(-len(texts) // columns)
    size = (side * columns, (cell * high + 0.35) * rows)
    figure, axes = new_figure(rows, columns, figsize=size)
    for ax in axes.flat:
        ax.axis("off")
    return figure, axes


def _written(values: np.ndarray, is_label_map: bool, fmt: str) -> np.ndarray:
    """Return the text of each cell, (h, w) str."""

    def text(value) -> str:
        if is_label_map and value == IGNORE:
            return "?"
        if values.dtype.kind != "f":
            return str(int(value))
        return "" if np.isnan(value) else format(float(value), fmt)

    texts = [[text(value) for value in row] for row in values]
    return np.array(texts, dtype=object).reshape(values.shape)


def _row_by_row(texts: Sequence) -> str:
    return "; ".join(" ".join(text or "empty" for text in row) for row in texts)


def _shades(values: np.ndarray, is_label_map: bool) -> np.ndarray:
    """Return a light colour for each cell, (h, w, 3); NaN means hatched."""
    if is_label_map:
        return np.array([[_label_shade(label) for label in row] for row in values])
    values = values.astype(float)
    low, high = np.nanmin(values, initial=0), np.nanmax(values, initial=1)
    scaled = np.nan_to_num(values - low) / (high - low or 1)
    shades = colormaps["YlOrBr"](0.5 * scaled)[..., :3]  # its lighter half: black reads well on it
    return np.where(np.isnan(values)[..., None], 1.0, shades)


def _label_shade(label: int) -> np.ndarray:
    if label == IGNORE:
        return np.full(3, np.nan)
    return 0.5 + 0.5 * colour(int(label) - 1) if label > 0 else np.ones(3)


def _draw_cells(ax: Axes, shades: np.ndarray, texts: np.ndarray) -> None:
    for (y, x), text in np.ndenumerate(texts):
        ignored = np.isnan(shades[y, x, 0])
        face, hatch = (IGNORED_CELL, "///") if ignored else (shades[y, x], None)
        edge = {"edgecolor": "#b0b0b0", "linewidth": 0.8}
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, hatch=hatch, **edge))
        box = {"facecolor": IGNORED_CELL, "edgecolor": "none", "pad": 1} if ignored else None
        font = {"size": 9, "ha": "center", "va": "center", "color": "black"}
        ax.text(x + 0.5, y + 0.5, text, bbox=box, **font)


def _draw_around(ax: Axes, region: np.ndarray) -> None:
    """Draw a thick line between the cells of the region and the others."""
    framed = np.pad(region, 1)
    pen = {"color": INK, "linewidth": 2.4, "capstyle": "projecting"}
    y, x = np.nonzero(np.diff(framed, axis=0))
    ax.hlines(y, x - 1, x, **pen)
    y, x = np.nonzero(np.diff(framed, axis=1))
    ax.vlines(x, y - 1, y, **pen)
