"""Figures: pure functions from arrays to a matplotlib Figure, which pyplot no longer holds, so that a notebook shows it once.

The same everywhere (tensors on the CPU are as welcome as arrays):
* an image is RGB, (H, W, 3) uint8 or float in [0, 1], or (3, H, W) as torch has it;
* a label map is (H, W), 0 background, c + 1 for classes[c], 255 ignored: `classes` never contains the background;
* a region is told by its outline and its name as well as by its colour (Okabe and Ito's, safe for the colour-blind);
* a figure's `alt` says in words what it shows, and Jupyter saves it beside the picture.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from itertools import takewhile
from textwrap import fill

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from scipy import ndimage

from .masks import IGNORE

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
DASHES, TINTS = ("-", "--", ":"), ((0.0, 0.0), (0.0, 0.4), (1.0, 0.35))  # for classes 8 to 14 and 15 to 21: darker, paler
MARKERS = "osD^vPX"
INK, FAINT = "#222222", "#8a8a8a"
WIDTH, PICTURE = 10.6, 2.2  # inches: the widest figure, the largest picture
STYLE = {
    "figure.dpi": 90, "savefig.dpi": 90, "figure.facecolor": "white", "font.size": 9, "axes.titlesize": 9.5, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "hatch.color": "#5a5a5a", "hatch.linewidth": 0.8, "legend.frameon": False,
}  # fmt: skip
LADDER = ("CAM", "AE-step1", "AE-step2", "AE-step3", "AE-step4", "AE", "AE+PSL", "AE+PSL++", "full supervision")


class Figure(matplotlib.figure.Figure):
    """A matplotlib Figure with words for those who do not see it. In a notebook file they are `metadata["image/png"]["alt"]` of the output."""

    alt = ""

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """The words alone: the picture comes, once, from Jupyter's own way with figures."""
        return {}, {"image/png": {"alt": self.alt}}


def _figure(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """The course's style inside, whatever the notebook's is; the figure comes out closed."""

    @wraps(draw)
    def styled(*args, **kwargs) -> Figure:
        with style.context(["default", STYLE]):
            figure = draw(*args, **kwargs)
            plt.close(figure)
        return figure

    return styled


def _axes(rows: int = 1, columns: int = 1, **kwargs) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, (rows, columns)."""
    return plt.subplots(rows, columns, FigureClass=Figure, squeeze=False, layout="constrained", **kwargs)


def _colour(index: int) -> np.ndarray:
    """Colour number `index`, RGB in [0, 1]."""
    towards, much = TINTS[index // len(COLOURS) % len(TINTS)]
    return (1 - much) * np.array(to_rgb(COLOURS[index % len(COLOURS)])) + much * towards


def _line(index: int) -> dict:
    return {"color": _colour(index), "linestyle": DASHES[index // len(COLOURS) % 3], "marker": MARKERS[index % len(MARKERS)]}


def _rgb(image) -> np.ndarray:
    """A new (H, W, 3) float array in [0, 1]."""
    image = np.asarray(image)
    if image.shape[0] == 3 and image.shape[-1] != 3:
        image = image.transpose(1, 2, 0)
    return image / 255 if image.dtype == np.uint8 else image.clip(0, 1).astype(float)


def _grey(image, pale: float = 0.25) -> np.ndarray:
    """The image as a grey ground, (H, W, 3), black lifted to `pale`."""
    return np.repeat(pale + (1 - pale) * (_rgb(image) @ [[0.299], [0.587], [0.114]]), 3, axis=2)


def _grid(rows: int, columns: int, images: Sequence, wider: float = 0, higher: float = 0) -> tuple[Figure, np.ndarray]:
    """Empty axes for pictures of the images' shapes and their titles, (rows, columns), with inches to spare."""
    side, tall = min(PICTURE, WIDTH / columns), max((picture.shape[0] / picture.shape[1] for picture in map(_rgb, images)), default=1)
    size = (side * columns + wider, (side * min(tall, 1.5) + 0.3) * rows + higher)
    figure, axes = _axes(rows, columns, figsize=size)
    for ax in axes.flat:
        ax.axis("off")
    return figure, axes


def _column(ax: Axes) -> float:
    """Width of the axes' column, inches."""
    return ax.figure.get_figwidth() / ax.get_gridspec().ncols


def _title(ax: Axes, text: str) -> None:
    """The title, in lines no wider than the column."""
    ax.set_title(fill(text, int((9.5 if ax.axison else 12.5) * _column(ax))))


def _show(ax: Axes, picture: np.ndarray, title: str = "", **kwargs):
    shown = ax.imshow(picture, interpolation="nearest", **kwargs)
    ax.set_autoscale_on(False)  # outlines don't move the frame
    _title(ax, title)
    return shown


def _framed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and the values, 0 or more, with a frame of zeros, so that outlines close at the picture's border."""
    return np.arange(-1, values.shape[1] + 1), np.arange(-1, values.shape[0] + 1), np.pad(values.astype(float), 1)


def _outline(ax: Axes, values: np.ndarray, level: float, colour, dash: str = "-") -> None:
    if (values > level).any():
        lines = ax.contour(*_framed(values), levels=[level], colors=[colour], linestyles=[dash], linewidths=1.6)
        lines.set_path_effects([withStroke(linewidth=3.2, foreground="white")])


def _label_map(ax: Axes, image, labels, names: Sequence[str], title: str = "") -> None:
    """Every label map of the course: colour over the grey image, outline, name; 255 hatched; background left as it is."""
    labels, ground = np.asarray(labels), _grey(image)
    present = [int(k) for k in np.unique(labels) if 0 < k < IGNORE]
    for k in present:
        ground[labels == k] = 0.45 * ground[labels == k] + 0.55 * _colour(k - 1)
    ignored = labels == IGNORE
    ground[ignored] = 0.3 * ground[ignored] + 0.5
    _show(ax, ground, title)
    if ignored.any():
        ax.contourf(*_framed(ignored), levels=[0.5, 1.5], colors="none", hatches=["////"])
    for k in present:
        _outline(ax, labels == k, 0.5, _colour(k - 1), _line(k - 1)["linestyle"])
    placed: list[tuple[float, float, float]] = []
    for k in sorted(present, key=lambda k: -(labels == k).sum()):
        placed.append(_name(ax, labels == k, names[k - 1], _colour(k - 1), placed))


def _name(ax: Axes, region: np.ndarray, name: str, colour: np.ndarray, placed: Sequence[tuple]) -> tuple[float, float, float]:
    """Write the name at the centre of the region's largest piece, inside the picture and clear of the names placed before.

    Returns (x, y, half its width), like `placed` in picture widths.
    """
    pieces, _ = ndimage.label(region)
    scale, tall = region.shape[1], region.shape[0] / region.shape[1]
    half, high = (0.034 * len(name) + 0.06) / _column(ax), 0.17 / _column(ax)
    y, x = (centre / scale for centre in ndimage.center_of_mass(pieces == np.bincount(pieces[region]).argmax()))
    x = float(np.clip(x, half, max(1 - half, half)))
    for shift in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        z = y + shift * high
        if high / 2 <= z <= tall - high / 2 and all(abs(x - u) > half + w or abs(z - t) > 0.95 * high for u, t, w in placed):
            y = z
            break
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": colour, "alpha": 0.9}
    ax.text(x * scale, y * scale, name, size=8, ha="center", va="center", color="black", bbox=box)
    return x, y, half


def _explain_ignored(figure: Figure, *label_maps) -> None:
    """A legend for the hatching, with room for it, if there is any."""
    if any((np.asarray(labels) == IGNORE).any() for labels in label_maps):
        figure.set_figheight(figure.get_figheight() + 0.3)
        patch = Patch(facecolor="#c0c0c0", edgecolor="#5a5a5a", hatch="////", label="ignored (255)")
        figure.legend(handles=[patch], loc="outside lower center")


def _share(region) -> str:
    return f"{np.mean(region):.0%}"


def _in_words(labels, names: Sequence[str]) -> str:
    """What a label map holds, with each label's share of the pixels."""
    labels = np.asarray(labels)
    present = [int(k) for k in np.unique(labels) if 0 < k < IGNORE]
    words = [f"{names[k - 1]} {_share(labels == k)}" for k in present] or ["nothing"]
    return ", ".join(words + [f"ignored {_share(labels == IGNORE)}"] * bool((labels == IGNORE).any()))


def _courses(losses: Mapping[str, Sequence[float]]) -> str:
    return "; ".join(f"{name} {values[0]:.2f} to {values[-1]:.2f} in {len(values)} epochs" for name, values in losses.items() if len(values))


def _end_labels(ax: Axes, ends: Sequence[tuple[float, float, str, np.ndarray]]) -> None:
    """Direct labels for lines that end at (x, y, name, colour), moved apart where they would overlap."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    ax.set(xlim=(left, right), ylim=(low, high))
    gap, ends = 0.22 * (high - low) / ax.figure.get_figheight(), sorted(ends, key=lambda end: end[1])
    at = [end[1] for end in ends]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + gap)
    for i in reversed(range(len(at))):
        at[i] = min(at[i], high - gap * (len(at) - 1 - i))
    for (x, y, name, colour), place in zip(ends, at, strict=True):
        ax.annotate(name, (x, y), (right + 0.02 * (right - left), place), va="center", annotation_clip=False,
                    arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 3})  # fmt: skip


def _beside(ax: Axes, x: float, y: float, text: str, left: bool = False) -> None:
    ax.annotate(text, (x, y), (-8 if left else 8, 0), textcoords="offset points", ha="right" if left else "left", va="center")


def _by_step(ax: Axes, count: int, title: str) -> None:
    ax.set(xlabel="erasing step", xticks=range(1, count + 1), xlim=(0.5, count + 0.5))
    _title(ax, title)


def _curves(ax: Axes, losses: Mapping[str, Sequence[float]], title: str) -> None:
    for i, (name, values) in enumerate(losses.items()):
        ax.plot(np.arange(1, len(values) + 1), values, **_line(i), markersize=4, label=name)
    ax.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    _title(ax, title)
    _end_labels(ax, [(len(values), values[-1], name, _colour(i)) for i, (name, values) in enumerate(losses.items()) if len(values)])


@_figure
def gallery(images: Sequence, titles: Sequence[str] | None = None, columns: int = 6) -> Figure:
    """Pictures in rows of `columns`, each under its title."""
    columns = max(1, min(columns, len(images)))
    figure, axes = _grid(max(1, -(-len(images) // columns)), columns, images)
    for ax, image, title in zip(axes.flat, images, titles or [""] * len(images), strict=False):
        _show(ax, _rgb(image), title)
    figure.alt = f"{len(images)} pictures" + (": " + "; ".join(titles) if titles else "") + "."
    return figure


@_figure
def sample(image, labels_text: str, mask, parts, classes: Sequence[str], part_names: Sequence[str]) -> Figure:
    """One creature: picture and image-level labels (all that training sees), mask, parts: (H, W), an index into part_names."""
    figure, (axes,) = _grid(1, 3, [image], wider=0.9, higher=0.15)
    _show(axes[0], _rgb(image), f"image-level labels: {labels_text}")
    _label_map(axes[1], image, mask, classes, "mask, for evaluation only")
    _label_map(axes[2], image, parts, part_names[1:], "parts, for evaluation only")
    handles = [Patch(color=_colour(i), alpha=0.7, label=name) for i, name in enumerate(part_names[1:])]
    figure.legend(handles=handles, title="parts", loc="outside right center")
    _explain_ignored(figure, mask)
    figure.alt = (
        f"A picture with the image-level labels {labels_text}, its mask and its parts, in share of the pixels. "
        f"Mask: {_in_words(mask, classes)}. Parts: {_in_words(parts, part_names[1:])}."
    )
    return figure


@_figure
def numbers(
    grids: Mapping[str, np.ndarray],
    *,
    labels: Collection[str] = (),
    outline: Mapping[str, np.ndarray] | None = None,
    fmt: str = ".2f",
    columns: int = 5,
) -> Figure:
    """Small grids side by side under their names, every number written in its cell: worked examples to follow by hand.

    Numbers are the darker the larger, each grid on its own scale of at least 0 to 1; NaN is left empty. All cells of a figure are of one size.

    Args:
        grids: name -> (h, w) float, int or bool (written 1 and 0).
        labels: names of the grids that are label maps, int, 0 background: in the colours of the classes; 255 is hatched and written "?".
        outline: name -> (h, w) bool: cells to draw a line around.
        fmt: format of the floats.
        columns: most grids in a row; wide grids get fewer.

    Raises:
        ValueError: a grid is not (h, w), an outline has another shape, or `labels` or `outline` name what is not in `grids`.
    """
    arrays, outline = {name: np.asarray(values) for name, values in grids.items()}, outline or {}
    if unknown := {*labels, *outline} - set(arrays):
        raise ValueError(f"numbers: there is no grid {', '.join(sorted(unknown))}; there are {', '.join(arrays)}")
    if wrong := [name for name, values in arrays.items() if values.ndim != 2 or np.shape(outline.get(name, values)) != values.shape]:
        raise ValueError(f"numbers: {', '.join(wrong)}: grids and their outlines must be (h, w)")
    texts = {name: _written(values, name in labels, fmt) for name, values in arrays.items()}
    high, wide = np.max([values.shape for values in arrays.values()], axis=0)
    cell = max(0.42, 0.08 * max(len(text) for grid in texts.values() for text in grid.flat) + 0.12)  # inches; 9 points
    side = max(1.5, cell * wide + 0.2)
    columns = max(1, min(columns, len(arrays), int(WIDTH / side)))
    rows = -(-len(arrays) // columns)
    figure, axes = _axes(rows, columns, figsize=(side * columns, (cell * high + 0.35) * rows))
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, values) in zip(axes.flat, arrays.items(), strict=False):
        _cells(ax, _shades(values, name in labels), texts[name])
        _around(ax, np.asarray(outline.get(name, np.zeros(values.shape)), bool))
        middle = values.shape[1] / 2
        ax.set(xlim=(middle - wide / 2 - 0.05, middle + wide / 2 + 0.05), ylim=(high + 0.05, -0.05), aspect="equal", anchor="N")
        _title(ax, name)
    in_words = (f"{name}: {'; '.join(' '.join(text or 'empty' for text in row) for row in grid)}" for name, grid in texts.items())
    figure.alt = f"Grids of numbers, row by row. {'. '.join(in_words)}."
    return figure


def _written(values: np.ndarray, label_map: bool, fmt: str) -> np.ndarray:
    """What stands in each cell, (h, w) str."""

    def text(value) -> str:
        if label_map and value == IGNORE:
            return "?"
        if values.dtype.kind != "f":
            return str(int(value))
        return "" if np.isnan(value) else format(float(value), fmt)

    return np.array([[text(value) for value in row] for row in values], dtype=object).reshape(values.shape)


def _shades(values: np.ndarray, label_map: bool) -> np.ndarray:
    """A light colour for each cell, (h, w, 3); NaN where a cell is to be hatched."""
    if label_map:
        colours = {k: 0.5 + 0.5 * _colour(int(k) - 1) if 0 < k < IGNORE else np.full(3, np.nan if k == IGNORE else 1.0) for k in np.unique(values)}
        return np.array([[colours[k] for k in row] for row in values])
    values = values.astype(float)
    low, high = np.nanmin(values, initial=0), np.nanmax(values, initial=1)  # from 0 to 1 at least: probabilities are told alike everywhere
    shades = colormaps["YlOrBr"](0.5 * np.nan_to_num(values - low) / (high - low or 1))[..., :3]  # its lighter half: black reads well on all of it
    return np.where(np.isnan(values)[..., None], 1.0, shades)


def _cells(ax: Axes, shades: np.ndarray, texts: np.ndarray) -> None:
    for (y, x), text in np.ndenumerate(texts):
        ignored = np.isnan(shades[y, x, 0])
        face = "#dddddd" if ignored else shades[y, x]
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="#b0b0b0", linewidth=0.8, hatch="///" if ignored else None))
        box = {"facecolor": "#dddddd", "edgecolor": "none", "pad": 1} if ignored else None
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", size=9, color="black", bbox=box)


def _around(ax: Axes, region: np.ndarray) -> None:
    """A thick line between the cells of the region and the others."""
    framed = np.pad(region, 1)
    y, x = np.nonzero(np.diff(framed, axis=0))
    ax.hlines(y, x - 1, x, color=INK, linewidth=2.4, capstyle="projecting")
    y, x = np.nonzero(np.diff(framed, axis=1))
    ax.vlines(x, y - 1, y, color=INK, linewidth=2.4, capstyle="projecting")


@_figure
def heat(image, maps, names: Sequence[str], delta: float | None = None) -> Figure:
    """The image, then normalised CAMs, (n, H, W) in [0, 1], over it in grey; outlined: above `delta` times the map's own maximum."""
    maps = np.asarray(maps)
    figure, (axes,) = _grid(1, len(maps) + 1, [image], wider=0.9)
    _show(axes[0], _rgb(image), "image")
    for ax, values, name in zip(axes[1:], maps, names, strict=True):
        _show(ax, _grey(image, pale=0))
        shown = _show(ax, values, name, cmap="YlOrBr", vmin=0, vmax=1, alpha=0.6)
        if delta is not None:
            _outline(ax, values, delta * values.max(), INK)
    bar = figure.colorbar(shown, ax=list(axes), shrink=0.8, pad=0.02, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.set_label("share of the map's maximum" + ("" if delta is None else f"\nline: {delta:g}"))
    figure.alt = f"A picture, and over it the class activation map of {', '.join(names)}."
    if delta is not None:
        figure.alt += f" Above {delta:g} of its maximum: {', '.join(_share(values > delta * values.max()) for values in maps)} of the pixels."
    return figure


@_figure
def steps(image, erased_images: Sequence, regions_by_step: Sequence) -> Figure:
    """Adversarial erasing: above what each step's classifier saw (the first, the image itself), below what was found so far.

    regions_by_step: (H, W) bool, mined by each step; what an earlier step had already is not counted again.
    """
    numbers = [str(t + 1) for t in range(len(regions_by_step))]
    figure, axes = _grid(2, len(numbers), [image])
    found, gains = np.zeros(np.shape(regions_by_step[0]), np.uint8), []
    for t, (seen, region) in enumerate(zip(erased_images, regions_by_step, strict=True)):
        added = np.asarray(region, bool) & (found == 0)
        found[added] = t + 1
        gains.append(f"step {t + 1} adds {added.mean():.1%} of pixels")
        _show(axes[0, t], _rgb(seen), f"step {t + 1} saw")
        _label_map(axes[1, t], image, found, numbers, gains[-1])
    figure.alt = f"Above, the picture as each step's classifier saw it, what was found before erased; below, what was found: {', '.join(gains)}."
    return figure


@_figure
def seeds(image, saliency, regions_any, S, classes: Sequence[str], background_threshold: float | None = None) -> Figure:
    """How S comes about: image, saliency, (H, W) in [0, 1], outlined from the threshold on, regions of any class, bool, the label map S."""
    figure, (axes,) = _grid(1, 4, [image])
    saliency, line = np.asarray(saliency), background_threshold
    _show(axes[0], _rgb(image), "image")
    _show(axes[1], saliency, "saliency" + ("" if line is None else f" (line: {line:g})"), cmap="gray", vmin=0, vmax=1)
    if line is not None:
        _outline(axes[1], saliency, line, COLOURS[1])
    _label_map(axes[2], image, np.asarray(regions_any, np.uint8), ["mined"], "mined, all classes")
    _label_map(axes[3], image, S, classes, "S, the mask to learn from")
    _explain_ignored(figure, S)
    salient = "" if line is None else f", {line:g} or more on {_share(saliency >= line)} of the pixels"
    figure.alt = f"A picture; its saliency{salient}; mined of all classes: {_share(regions_any)}; the mask S: {_in_words(S, classes)}."
    return figure


@_figure
def masks(image, named_masks: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """The image and label maps of it under their names, in one row or, from seven panels on, in two."""
    panels = 1 + len(named_masks)
    rows = 1 if panels < 7 else 2
    figure, axes = _grid(rows, -(-panels // rows), [image])
    _show(axes.flat[0], _rgb(image), "image")
    for ax, (name, labels) in zip(axes.flat[1:], named_masks.items(), strict=False):
        _label_map(ax, image, labels, classes, name)
    _explain_ignored(figure, *named_masks.values())
    listed = "; ".join(f"{name}: {_in_words(labels, classes)}" for name, labels in named_masks.items())
    figure.alt = f"A picture and label maps of it, in share of the pixels. {listed}."
    return figure


@_figure
def prohibition(image, f_argmax, s_hat, S, v, classes: Sequence[str], most: int = 8) -> Figure:
    """The image and its label maps: S, the network's own, the same after prohibition; and v, (C,) in [0, 1], of the `most` likeliest classes."""
    v = np.asarray(v)
    chosen = np.sort(np.argsort(-v, kind="stable")[:most])
    figure, ((first, *axes),) = _grid(1, 5, [image], higher=0.15)
    figure.set_figheight(max(figure.get_figheight(), 0.2 * len(chosen) + 0.7))
    _show(first, _rgb(image), "image")
    named = {"S, the mined mask": S, "argmax f, the network's own": f_argmax, "Ŝ = argmax [1, v] f": s_hat}
    for ax, (name, labels) in zip(axes, named.items(), strict=False):
        _label_map(ax, image, labels, classes, name)
    bars = axes[3].barh([classes[c] for c in chosen], v[chosen], color=[_colour(c) for c in chosen], height=0.7)
    axes[3].bar_label(bars, [f"{v[c]:.2f}" for c in chosen], padding=3)
    axes[3].set(xlim=(0, 1.3), xticks=[0, 0.5, 1])
    axes[3].axis("on")
    axes[3].invert_yaxis()
    _title(axes[3], f"v, the {most} highest" if most < len(v) else "v, image-level")
    _explain_ignored(figure, *named.values())
    listed = "; ".join(f"{name}: {_in_words(labels, classes)}" for name, labels in named.items())
    confident = ", ".join(f"{classes[c]} {v[c]:.2f}" for c in chosen)
    figure.alt = f"A picture and three label maps of it, in share of the pixels. {listed}. Bars: the classifier's confidences v: {confident}."
    return figure


@_figure
def extremes(images: Sequence, truths: Sequence, predictions: Sequence, scores: Sequence[float], classes: Sequence[str]) -> Figure:
    """Successes and failures in the order given: a column a picture under its own mean IoU (`scores`, in [0, 1]), truth, prediction."""
    figure, axes = _grid(3, len(images), images, higher=-0.4)
    for column, image, truth, prediction, score in zip(axes.T, images, truths, predictions, scores, strict=True):
        _show(column[0], _rgb(image), f"mIoU {score:.0%}")
        _label_map(column[1], image, truth, classes)
        _label_map(column[2], image, prediction, classes)
    for ax, name in zip(axes[:, 0], ("image", "truth", "prediction"), strict=True):
        ax.text(-0.06, 0.5, name, rotation=90, ha="right", va="center", transform=ax.transAxes)
    _explain_ignored(figure, *truths, *predictions)
    listed = [
        f"mIoU {score:.0%}: truth {_in_words(truth, classes)}; predicted {_in_words(prediction, classes)}."
        for truth, prediction, score in zip(truths, predictions, scores, strict=True)
    ]
    figure.alt = f"Columns of picture, truth and prediction, in share of the pixels. {' '.join(listed)}"
    return figure


@_figure
def part_recall(recall, parts: Sequence[str], pixels) -> Figure:
    """How much of each part was mined up to each step, and what each step's addition consists of, counted in pixels.

    Args:
        recall: share of each part mined up to and with each step, (steps, parts) in [0, 1]; it cannot fall (ValueError).
        parts: names, as `creatures.PARTS[1:]`, for the colours of `sample`.
        pixels: pixels of each part over the split, (parts,).
    """
    recall, pixels = np.asarray(recall, float), np.asarray(pixels, float)
    added = np.diff(recall, axis=0, prepend=0) * pixels
    if (added < -1e-6 * pixels).any():
        raise ValueError("recall falls from a step to the next: give what was mined up to each step, not by it alone")
    total, at = added.sum(axis=1), np.arange(1, len(recall) + 1)
    shares = 100 * np.divide(added, total[:, None], out=np.zeros_like(added), where=total[:, None] > 0).clip(min=0)
    figure, ((left, right),) = _axes(1, 2, figsize=(WIDTH, 3.6))
    for p, name in enumerate(parts):
        left.plot(at, 100 * recall[:, p], **_line(p), label=name)
        bars = right.bar(at, shares[:, p], bottom=shares[:, :p].sum(axis=1), color=_colour(p), edgecolor="white", width=0.85, label=name)
        words = [f"{name}\n{share:.0f}%" if share >= 8 else "" for share in shares[:, p]]
        right.bar_label(bars, words, label_type="center", size=8, color="white" if _colour(p) @ [0.3, 0.6, 0.1] < 0.4 else "black")
    for step in at[total <= 0]:
        right.text(step, 2, "nothing", ha="center")
    left.set(ylabel="share of the part's pixels, %", ylim=(0, 104))
    right.set(ylabel="share of the pixels added, %", ylim=(0, 100))
    _by_step(left, len(at), "mined up to this step, by part")
    _by_step(right, len(at), "what each step added")
    _end_labels(left, [(at[-1], 100 * recall[-1, p], name, _colour(p)) for p, name in enumerate(parts)])
    found = "; ".join(f"{name} {', '.join(f'{share:.0%}' for share in recall[:, p])}" for p, name in enumerate(parts))
    consists = "; ".join(f"{name} {', '.join(f'{share:.0f}%' for share in shares[:, p])}" for p, name in enumerate(parts))
    figure.alt = f"By step, of {len(at)}. Lines, share of each part mined so far: {found}. Bars, what the pixels that a step adds are: {consists}."
    return figure


@_figure
def evidence(evidences: Sequence[float], threshold: float, losses_by_step: Sequence[Sequence[float]]) -> Figure:
    """The stop signal, `erasing.evidence` of each step (at most 1), and the training losses by epoch it comes from, a list a step.

    The first step below the threshold and all later ones are dropped; step 1 never is.
    """
    at, seen = np.arange(1, len(evidences) + 1), np.asarray(evidences, float)
    kept = max(1, len(list(takewhile(lambda value: value >= threshold, seen))))
    figure, ((left, right),) = _axes(1, 2, figsize=(WIDTH, 3.4))
    left.axhline(threshold, color=INK, linestyle="--", linewidth=1)
    left.annotate(f"threshold {threshold:g}", (0, threshold), (3, -4), ("axes fraction", "data"), "offset points", va="top")
    left.plot(at, seen, color=FAINT, zorder=1)
    left.scatter(at[:kept], seen[:kept], s=45, color=COLOURS[0])
    left.scatter(at[kept:], seen[kept:], s=45, facecolor="white", edgecolor=COLOURS[1], linewidth=1.6, marker="s")
    for x, y in zip(at, seen, strict=True):
        left.annotate(f"{y:.2f}\n{'kept' if x <= kept else 'dropped'}", (x, y), (7, 7), textcoords="offset points",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip
    left.set(ylabel="evidence (1: all labels, 0: none)", ylim=(min(0, *seen, threshold) - 0.08, max(1, *seen) + 0.2))
    _by_step(left, len(at), "labels still read off the training pictures")
    courses = {f"step {t + 1}": losses for t, losses in enumerate(losses_by_step)}
    _curves(right, courses, "training loss of each step's classifier")
    verdicts = ", ".join(f"step {x} {y:.2f} {'kept' if x <= kept else 'dropped'}" for x, y in zip(at, seen, strict=True))
    figure.alt = f"Evidence by step, against a threshold of {threshold:g}: {verdicts}. Training loss: {_courses(courses)}."
    return figure


@_figure
def curves(losses: Mapping[str, Sequence[float]], title: str = "training loss") -> Figure:
    """Training losses by epoch, a line a name."""
    figure, ((ax,),) = _axes(figsize=(6.6, 3.4))
    _curves(ax, losses, title)
    figure.alt = f"Lines by epoch, {title}: {_courses(losses)}."
    return figure


def _row_name(row: Mapping) -> str:
    return row["method"] + (", CRF" if row["crf"] else "")


@_figure
def ladder(rows: Sequence[Mapping], paper: Mapping[str, float], title: str = "this run") -> Figure:
    """mIoU of every rung, without and with CRF; beside it, on an axis of its own, the paper's.

    Args:
        rows: as in results.json ("method", "crf", "miou" a fraction), of one run and one split: ValueError if a rung comes twice.
        paper: method -> mIoU in %.
    """
    if len({_row_name(row) for row in rows}) < len(rows):
        raise ValueError("rows: a method appears twice with the same CRF setting; choose one split and one run")
    names = list(dict.fromkeys([*(row["method"] for row in rows), *paper]))
    names.sort(key=lambda name: LADDER.index(name) if name in LADDER else len(LADDER))
    figure, ((left, right),) = _axes(1, 2, figsize=(WIDTH, 0.36 * len(names) + 1.5))
    for crf, mark, face in ((False, "o", "white"), (True, "D", COLOURS[0])):
        points = [(100 * row["miou"], names.index(row["method"])) for row in rows if row["crf"] == crf]
        left.scatter(*np.reshape(points, (-1, 2)).T, s=48, marker=mark, facecolor=face, edgecolor=COLOURS[0], linewidth=1.6,
                     label="with CRF" if crf else "without CRF")  # fmt: skip
    known = [name for name in names if name in paper]
    right.scatter([paper[name] for name in known], [names.index(name) for name in known], s=48, marker="s", color=COLOURS[1], label="the paper")
    rungs = []
    for y, name in enumerate(names):
        own = {row["crf"]: 100 * row["miou"] for row in rows if row["method"] == name}
        pair = sorted(own.values())
        left.plot(pair, [y] * len(pair), color=FAINT, linewidth=1.5, zorder=0.8)
        for i, value in enumerate(pair):
            _beside(left, value, y, f"{value:.1f}", left=i < len(pair) - 1)
        said = [f"{own[crf]:.1f} with{'' if crf else 'out'} CRF" for crf in sorted(own)]
        if name in paper:
            _beside(right, paper[name], y, f"{paper[name]:.1f}")
            said.append(f"the paper {paper[name]:.1f}")
        rungs.append(f"{name}: {', '.join(said)}")
    other = "the paper: PASCAL VOC 2012 val, 20 classes - not comparable in value, only in shape"
    for ax, words in ((left, title), (right, other)):
        ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6), xlabel="mIoU, %")
        ax.set_xlim(0, 108)  # the same for both: it is the shape that is compared
        ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        ax.set_axisbelow(True)
        _title(ax, words)
    figure.legend(loc="outside lower left", ncols=3)
    figure.alt = f"mIoU in % by method: {title}; beside it the paper's on PASCAL VOC 2012 val, comparable in shape only. {'; '.join(rungs)}."
    return figure


@_figure
def per_class(rows: Sequence[Mapping], methods: Sequence[str]) -> Figure:
    """IoU of every class for a few methods: "AE+PSL" is the row without CRF, "AE+PSL, CRF" the one with it (ValueError if there is none).

    rows: as in results.json ("method", "crf", "per_class" with fractions, None or NaN for a class that is nowhere).
    """
    by_name = {_row_name(row): row["per_class"] for row in rows}
    if missing := [method for method in methods if method not in by_name]:
        raise ValueError(f"methods: {'; '.join(missing)} not in the rows, which have {'; '.join(by_name)}")
    names, wide, listed = list(by_name[methods[0]]), 0.8 / len(methods), []
    few = len(names) < 10
    figure, ((ax,),) = _axes(figsize=(WIDTH, 3.6))
    for i, method in enumerate(methods):
        values = 100 * np.array([by_name[method].get(name) for name in names], float)
        at = np.arange(len(names)) + (i - (len(methods) - 1) / 2) * wide
        bars = ax.bar(at, np.nan_to_num(values), wide, color=_colour(i), edgecolor="white", label=method)
        words = ["none" if np.isnan(value) else f"{value:.0f}" for value in values]
        listed.append(f"{method}: " + ", ".join(f"{name} {word}" for name, word in zip(names, words, strict=True)))
        if len(names) * len(methods) <= 32:
            ax.bar_label(bars, words, size=8, padding=1)
    ax.set_xticks(range(len(names)), names, rotation=0 if few else 45, ha="center" if few else "right", rotation_mode="anchor")
    ax.set(ylabel="IoU, %", ylim=(0, 104), xlim=(-0.6, len(names) - 0.4))
    figure.legend(title="bars from left to right", loc="outside upper center", ncols=len(methods))
    figure.alt = f"Bars: IoU in % of each class. {'; '.join(listed)}."
    return figure


@_figure
def confusion(matrix, names: Sequence[str]) -> Figure:
    """Where the pixels of each class went, row by row in %: `evaluation.confusion`, (C + 1, C + 1); names: C + 1, background first."""
    matrix = np.asarray(matrix, float)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(100 * matrix, total, out=np.full_like(matrix, np.nan), where=total > 0)
    side = float(np.clip(0.62 * len(names), 3, 8.5))
    figure, ((ax,),) = _axes(figsize=(side + 1.2, side + 0.9))
    ax.imshow(np.nan_to_num(share), cmap="Blues", vmin=0, vmax=100)
    for (i, j), value in np.ndenumerate(share):
        word = "" if np.isnan(value) else f"{value:.0f}"
        ax.text(j, i, word, ha="center", va="center", size=9 if len(names) < 12 else 8, color="white" if value > 55 else INK)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel="predicted", ylabel="true")
    ax.spines[:].set_visible(False)
    _title(ax, "predicted as, % of the true class's pixels")
    right = ", ".join(f"{name} {share[i, i]:.0f}%" for i, name in enumerate(names) if total[i])
    wrong = np.where(np.eye(len(names), dtype=bool), 0, np.nan_to_num(share))
    i, j = np.unravel_index(wrong.argmax(), wrong.shape)
    most = f" The largest share gone wrong: {names[i]} taken for {names[j]}, {wrong[i, j]:.0f}%." if wrong.any() else ""
    figure.alt = f"Confusion matrix. Of each true class's pixels are right: {right}.{most}"
    return figure
