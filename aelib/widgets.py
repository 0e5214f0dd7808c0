"""Sliders over the method: thin skins, so that everything they show can be had without them.

Each widget is a pure `show(**values)` -> ({caption: RGB picture}, HTML), drawn again in place when a control moves. What is costly
is done once, when the widget is made, so that a control answers at once over a whole validation set.

A widget exists only where somebody can move it (`notebook.live`); anywhere else its function prints a line and returns None: a
widget in a saved notebook is a stub, and under papermill one was even seen to hang.

The same everywhere: a label map is 0 background, c + 1 for classes[c], 255 ignored or void. Photographs, of many sizes, are shown and
counted reduced to CANVAS pixels (`one_size`): near to the numbers of results.json, which are counted at full size, and not the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from html import escape
from io import BytesIO
from typing import Any

import ipywidgets
import numpy as np
import torch
from PIL import Image, ImageColor
from scipy import ndimage
from torch import Tensor

from . import psl
from .crf import CRF, refine_present
from .data import to_tensor
from .erasing import erase
from .evaluation import confusion, iou
from .masks import IGNORE, as_prediction, merge
from .notebook import live
from .photos import sizes
from .plots import COLOURS

SIDE = 288  # pixels on the screen, about: small pictures are enlarged
PALETTE = np.array([ImageColor.getrgb(colour) for colour in COLOURS])

Shown = tuple[dict[str, np.ndarray], str]


# --- the skin ----------------------------------------------------------------------------------------------------------------


def _live(make: Callable[..., ipywidgets.Widget]) -> Callable[..., ipywidgets.Widget | None]:
    """The widget where somebody can move it, elsewhere the first line of its docstring."""

    @wraps(make)
    def made(*args: Any, **kwargs: Any) -> ipywidgets.Widget | None:
        if live():
            return make(*args, **kwargs)
        print(f"A widget, live in Jupyter only. {make.__doc__.splitlines()[0]} The figure above is its static version.")
        return None

    return made


def _skin(
    show: Callable[..., Shown], controls: Mapping[str, ipywidgets.Widget], legend: str = "", play: ipywidgets.Play | None = None
) -> ipywidgets.VBox:
    """The controls, pictures under their captions, the legend, the numbers; `show(**values of the controls)` fills it in place."""
    wide = 0.52 * max(len(control.description) for control in controls.values()) + 1
    for control in controls.values():
        control.style.description_width = f"{wide:.1f}em"
        control.layout.width = f"{wide + 30:.1f}em"
        control.layout.max_width = "100%"
    panels: list[ipywidgets.VBox] = []
    numbers = ipywidgets.HTML()

    def draw(_: Any = None) -> None:
        pictures, text = show(**{name: control.value for name, control in controls.items()})
        if not panels:
            panels.extend(_panel() for _ in pictures)
        for panel, (caption, picture) in zip(panels, pictures.items(), strict=True):
            title, image = panel.children
            title.value, image.value = f"<div style='{INK}; line-height: 1.4'>{escape(caption)}</div>", png(picture)
        numbers.value = f"<div style='{INK}; line-height: 1.5'>{text}</div>"

    draw()
    for control in controls.values():
        control.observe(draw, "value")
    row = ipywidgets.HBox(panels, layout={"grid_gap": "0 12px", "align_items": "flex-end"})
    top = []
    if play:  # its own description is not shown
        label = ipywidgets.Label(play.description, layout={"width": f"{wide:.1f}em", "justify_content": "flex-end"})
        top = [ipywidgets.HBox([label, play])]
    key = [ipywidgets.HTML(f"<div style='{INK}'>{legend}</div>")] if legend else []
    return ipywidgets.VBox([*top, *controls.values(), row, *key, numbers])


def _panel() -> ipywidgets.VBox:
    """Caption and picture: as wide as the picture at most, narrower where the page is."""
    layout = {"flex": "1 1 0", "max_width": f"{SIDE}px", "min_width": "0"}
    return ipywidgets.VBox([ipywidgets.HTML(), ipywidgets.Image(format="png", layout={"width": "100%"})], layout=layout)


def _slider(description: str, value: float, low: float, high: float, step: float = 0.01, continuous: bool = True) -> ipywidgets.FloatSlider:
    """continuous: answers while it moves, not only where it rests. The range grows to hold the value."""
    kwargs = {"description": description, "step": step, "continuous_update": continuous}
    return ipywidgets.FloatSlider(value, min=min(low, value), max=max(high, value), readout_format=".2f", **kwargs)


def _picture_slider(count: int, continuous: bool = True) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(1, 1, count, description="picture (number)", continuous_update=continuous)


# --- pictures ----------------------------------------------------------------------------------------------------------------


def png(picture: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a PNG, compressed for speed."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


CANVAS = 128  # pixels


def one_size(arrays: Iterable[Any], fill: float) -> np.ndarray:
    """A set's pictures or maps as one array: photographs reduced to at most CANVAS pixels a side, the smaller ones filled up.

    Args:
        arrays: n of (..., H, W), or (H, W, 3) uint8; arrays, or tensors on the CPU. Read one at a time.
        fill: beyond the smaller ones; 255 for label maps.

    Returns:
        (n, ...), the same type. Of a photograph every second, third ... pixel is kept, so pictures, label maps and maps stay aligned.
    """
    reduced = [_reduced(np.asarray(array)) for array in arrays]
    if len({array.shape for array in reduced}) == 1:
        return np.stack(reduced)
    shape = list(reduced[0].shape)
    rows = len(shape) - (3 if _colour(reduced[0]) else 2)
    shape[rows : rows + 2] = CANVAS, CANVAS
    canvas = np.full((len(reduced), *shape), fill, reduced[0].dtype)
    for whole, array in zip(canvas, reduced, strict=True):
        whole[tuple(slice(side) for side in array.shape)] = array
    return canvas


def _covered(images: Sequence[np.ndarray]) -> np.ndarray:
    """The share of `one_size`'s canvas that each picture covers, (n,) in (0, 1]."""
    return one_size((np.ones(size, bool) for size in sizes(images)), False).mean(axis=(1, 2))


def _colour(array: np.ndarray) -> bool:
    return array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8


def _reduced(array: np.ndarray) -> np.ndarray:
    if _colour(array):
        return array[:: -(-max(array.shape[:2]) // CANVAS), :: -(-max(array.shape[:2]) // CANVAS)]
    every = -(-max(array.shape[-2:]) // CANVAS)
    return array[..., ::every, ::every]


def _enlarged(picture: np.ndarray) -> np.ndarray:
    factor = max(1, SIDE // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def paint(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A label map in colour over the grey picture, regions outlined with a white edge, 255 hatched: (H, W, 3) uint8, enlarged."""
    tinted = np.repeat(64 + 0.75 * (image @ [[0.299], [0.587], [0.114]]), 3, axis=2)
    coloured, ignored = (labels > 0) & (labels != IGNORE), labels == IGNORE
    tinted[coloured] = 0.45 * tinted[coloured] + 0.55 * PALETTE[(labels[coloured] - 1) % len(PALETTE)]
    tinted[ignored] = 0.3 * tinted[ignored] + 128
    picture, labels = _enlarged(tinted.astype(np.uint8)), _enlarged(labels)
    coloured = (labels > 0) & (labels != IGNORE)
    stripes = np.add.outer(np.arange(labels.shape[0]), np.arange(labels.shape[1])) % 9 < 2
    picture[(labels == IGNORE) & stripes] = 110
    frame = {"size": 5, "mode": "constant"}  # outside the picture is background: outlines close at its border
    line = coloured & (ndimage.minimum_filter(labels, **frame) != ndimage.maximum_filter(labels, **frame))
    picture[line] = PALETTE[(labels[line] - 1) % len(PALETTE)]
    picture[ndimage.maximum_filter(coloured, **frame) & ~coloured] = 255
    return picture


# --- HTML: colours of the notebook's theme, dark or not ------------------------------------------------------------------------

INK = "color: var(--jp-ui-font-color1, inherit)"


def _percent(share: float) -> str:
    return "none" if np.isnan(share) else f"{100 * share:.1f} %"


def _bars(title: str, rows: Mapping[str, tuple[float, str]]) -> str:
    """A table of {name: (share in [0, 1] or NaN, what it is a share of)}, each share a number and a bar."""
    track = "width: 120px; height: 9px; background: var(--jp-layout-color3, #8884)"
    lines = "".join(
        f"<tr><td style='padding-right: 1em; min-width: 9em'>{escape(name)}</td>"
        f"<td><div style='{track}'><div style='width: {100 * np.nan_to_num(share):.1f}%; height: 9px; background: {COLOURS[0]}'></div></div></td>"
        f"<td style='padding: 0 1em; text-align: right; white-space: nowrap'>{_percent(share)}</td><td>{escape(words)}</td></tr>"
        for name, (share, words) in rows.items()
    )
    return f"<b>{escape(title)}</b><table style='border-collapse: collapse'>{lines}</table>"


def _legend(names: Sequence[str]) -> str:
    square = "display: inline-block; width: 0.8em; height: 0.8em; margin: 0 0.4em 0 0; background"
    return " ".join(
        f"<span style='margin-right: 1em; white-space: nowrap'><span style='{square}: {COLOURS[i % len(COLOURS)]}'></span>{escape(name)}</span>"
        for i, name in enumerate(names)
    )


# --- numbers of a whole set ----------------------------------------------------------------------------------------------------


class Tally:
    """Pixels of a set by (true label, part, predicted label), one `bincount` for any prediction.

    Args:
        masks: n of (H, W) uint8: 0..C, 255 void.
        parts: n of (H, W) uint8, 0..part_count - 1, or None: a single part.
        labels: C + 1.
        part_count: number of parts, what is no part included.
    """

    def __init__(self, masks: Sequence[np.ndarray], parts: Sequence[np.ndarray] | None, labels: int, part_count: int) -> None:
        self.shape = (labels + 1, part_count if parts is not None else 1, labels)
        truth = one_size(masks, IGNORE).astype(np.intp)
        truth[truth == IGNORE] = labels
        self.cells = (truth * self.shape[1] + (0 if parts is None else one_size(parts, 0))) * labels

    def __call__(self, prediction: np.ndarray, chosen: Any = slice(None)) -> np.ndarray:
        """(C + 2, parts, C + 1) int64, void truth last, from (n, H, W) uint8, over the `chosen` pictures."""
        cells = self.cells[chosen] + prediction[chosen]
        return np.bincount(cells.ravel(), minlength=np.prod(self.shape)).reshape(self.shape)


def region_scores(counts: np.ndarray, c: int | None = None) -> dict[str, float]:
    """Precision, recall and IoU of regions from a `Tally`'s counts, pixels pooled: of all classes, or of class c (0..C - 1).

    Right is a pixel in the region of its own class. Precision: right / in a region. Recall: right / object. IoU: right / (in a
    region + object - right). NaN where there is nothing to divide by.
    """
    matrix = counts[:-1].sum(axis=1)
    which = slice(1, None) if c is None else slice(c + 1, c + 2)
    right, claimed, objects = np.diag(matrix)[which].sum(), matrix[:, which].sum(), matrix[which].sum()
    return {"precision": _share(right, claimed), "recall": _share(right, objects), "IoU": _share(right, claimed + objects - right)}


def part_recall(counts: np.ndarray, c: int | None = None) -> np.ndarray:
    """Share of each part's pixels that are in a region, (parts,) in [0, 1] or NaN, from a `Tally`'s counts.

    For class c: of the parts of its own objects, and of what belongs to no object, in its own region.
    """
    rows, columns = (slice(None), slice(1, None)) if c is None else ([0, c + 1], slice(c + 1, c + 2))
    of_parts = counts[rows].sum(axis=0)
    return np.array([_share(found, total) for found, total in zip(of_parts[:, columns].sum(axis=1), of_parts.sum(axis=1), strict=True)])


def mean_iou(matrix: np.ndarray) -> float:
    """Mean IoU over the labels that occur, background among them, from a confusion matrix; NaN if none does."""
    values = iou(matrix)
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _region_bars(counts: np.ndarray, pictures: int, classes: Sequence[str], part_names: Sequence[str], c: int | None = None) -> str:
    """The numbers of regions, as HTML."""
    who = "all classes" if c is None else classes[c]
    words = ("of the pixels in a region are of its class", "of the objects' pixels are in their class's region", "right / (in a region or object)")
    rows = {name: (value, word) for (name, value), word in zip(region_scores(counts, c).items(), words, strict=True)}
    if c is None:
        rows["mIoU"] = (mean_iou(counts[:-1].sum(axis=1)), f"regions read as a segmentation: mean over background and {len(classes)} classes")
    html = _bars(f"{who}: pixels of {pictures} pictures, pooled", rows)
    recall = dict(zip(part_names, part_recall(counts, c), strict=True)) if counts.shape[1] > 1 else {}
    recall = {name: (share, "") for name, share in list(recall.items())[1:]}  # the first is what is no part
    return html + (_bars("recall of each part: share of its pixels in a region", recall) if recall else "")


# --- delta -------------------------------------------------------------------------------------------------------------------


class Regions:
    """`erasing.discriminative_regions` of a whole set at any delta, read as a segmentation: `masks.as_prediction`.

    Args:
        maps: normalised CAMs, (n, C, H, W) in [0, 1].
        labels: (n, C) bool.
    """

    def __init__(self, maps: Any, labels: np.ndarray) -> None:
        maps = one_size(maps, OUTSIDE).astype(np.float32, copy=False)
        self.shape = (len(maps), *maps.shape[2:])
        owners = [np.flatnonzero(labels[:, c]) for c in range(maps.shape[1])]
        flat = [maps[own, c].reshape(len(own), self.shape[1] * self.shape[2]) for c, own in enumerate(owners)]
        self.by_class = []
        for own, values in zip(owners, flat, strict=True):
            ordered = np.sort(values, axis=1)
            self.by_class.append((own, values, ordered, (ordered == OUTSIDE).sum(axis=1)))

    def __call__(self, delta: float, rule: str) -> np.ndarray:
        """(n, H, W) uint8, 0 background, c + 1; delta in (0, 1), rule one of erasing.RULES."""
        prediction = np.zeros((self.shape[0], self.shape[1] * self.shape[2]), np.uint8)
        for c, (own, values, ordered, outside) in reversed(list(enumerate(self.by_class))):  # the first class comes last: it wins a tie
            threshold = delta * ordered[:, -1] if rule == "max" else _quantile(ordered, 1 - delta, outside)
            region = values > np.maximum(threshold, 0)[:, None]
            prediction[own] = np.where(region, np.uint8(c + 1), prediction[own])
        return prediction.reshape(self.shape)


OUTSIDE = -1.0  # where a photograph does not reach on its canvas: no map is below 0


def _quantile(ordered: np.ndarray, q: float, skip: np.ndarray) -> np.ndarray:
    """torch.quantile of rows that are sorted already, to the last bit, each without its first `skip` values."""
    rank = np.float32(q) * (ordered.shape[1] - 1 - skip).astype(np.float32)
    rows, floor = np.arange(len(ordered)), np.floor(rank)
    low, high = (torch.from_numpy(ordered[rows, skip + at.astype(int)]) for at in (floor, np.ceil(rank)))
    return low.lerp(high, torch.from_numpy(rank - floor)).numpy()


READINGS = {"max": "max: above delta x the map's maximum", "share": "share: the highest delta of the picture's pixels"}


@_live
def delta(
    images: Sequence[np.ndarray],
    maps: Any,
    labels: np.ndarray,
    masks: Sequence[np.ndarray],
    parts: Sequence[np.ndarray] | None,
    classes: Sequence[str],
    part_names: Sequence[str],
    start: float = 0.2,
) -> ipywidgets.Widget | None:
    """Move delta and its reading over the regions of a picture, and see precision, recall and parts over the whole set.

    Args:
        images: n of (H, W, 3) uint8.
        maps: normalised CAMs, (n, C, H, W) in [0, 1], array or tensor.
        labels: image-level labels, (n, C) bool.
        masks: n of (H, W) uint8, 0..C, 255 void.
        parts: n of (H, W) uint8, an index into part_names, or None.
        classes: names of the C classes.
        part_names: names of the parts; the first is what is no part.
        start: delta where the slider starts, 0.05 to 0.95.
    """
    covered, labels, images, masks = _covered(images), np.asarray(labels, bool), one_size(images, 255), one_size(masks, IGNORE)
    regions, tally = Regions(maps, labels), Tally(masks, parts, len(classes) + 1, len(part_names))
    number = {"all classes": None} | {name: c for c, name in enumerate(classes) if labels[:, c].any()}
    of_class = {name: np.arange(len(images)) if c is None else np.flatnonzero(labels[:, c]) for name, c in number.items()}

    def show(delta: float, rule: str, name: str, picture: int) -> Shown:
        c, chosen = number[name], of_class[name]
        picture = min(picture, len(chosen))  # the class may have changed before the slider's range has
        i = chosen[picture - 1]
        prediction = regions(delta, rule)
        found, truth = prediction[i], masks[i]
        if c is not None:
            found, truth = (np.where((x == c + 1) | (x == IGNORE), x, 0).astype(np.uint8) for x in (found, truth))
        pictures = {f"picture {picture} of {len(chosen)}": _enlarged(images[i])}
        pictures |= {f"regions: {(found > 0).mean() / covered[i]:.0%} of the picture": paint(images[i], found), "truth": paint(images[i], truth)}
        return pictures, _region_bars(tally(prediction, chosen), len(chosen), classes, part_names, c)

    controls = {
        "delta": _slider("delta (fraction, 0 to 1)", start, 0.05, 0.95),
        "rule": ipywidgets.Dropdown(options=[(words, rule) for rule, words in READINGS.items()], description="delta is read as"),
        "name": ipywidgets.Dropdown(options=list(number), description="class (name)"),
        "picture": _picture_slider(len(images)),
    }
    controls["name"].observe(lambda change: controls["picture"].set_trait("max", len(of_class[change.new])), "value")
    return _skin(show, controls, _legend(classes))


# --- erasing, step by step -----------------------------------------------------------------------------------------------------


@_live
def step_player(
    images: Sequence[np.ndarray],
    regions_by_step: Sequence[Sequence[np.ndarray]],
    mean_pixel: np.ndarray,
    labels: np.ndarray,
    masks: Sequence[np.ndarray],
    parts: Sequence[np.ndarray] | None,
    classes: Sequence[str],
    part_names: Sequence[str],
) -> ipywidgets.Widget | None:
    """Play adversarial erasing step by step: what each classifier saw, what is mined so far, and what that is worth over the whole set.

    Args:
        images: n of (H, W, 3) uint8.
        regions_by_step: for each step n of (C, H, W) bool, mined by that step alone.
        mean_pixel: what erased pixels become, (3,) in [0, 1].
        labels: image-level labels, (n, C) bool.
        masks, parts, classes, part_names: as for `delta`.
    """
    covered, images, masks = _covered(images), one_size(images, 255), one_size(masks, IGNORE)
    regions_by_step = [one_size(regions, False) for regions in regions_by_step]
    steps, mean_pixel = len(regions_by_step), torch.as_tensor(mean_pixel, dtype=torch.float32)
    tally = Tally(masks, parts, len(classes) + 1, len(part_names))
    counts, mined, found_in = [], [np.zeros_like(region) for region in regions_by_step[0]], np.zeros((len(images), *images[0].shape[:2]), np.uint8)
    for step, regions in enumerate(regions_by_step, 1):
        mined = [so_far | np.asarray(new, bool) for so_far, new in zip(mined, regions, strict=True)]
        found_in[(found_in == 0) & np.stack([region.any(axis=0) for region in mined])] = step
        counts.append(tally(np.stack([as_prediction(region) for region in mined])))

    def show(step: int, picture: int) -> Shown:
        image, found, labelled = images[picture - 1], found_in[picture - 1], labels[picture - 1]
        gone, found = torch.from_numpy((found > 0) & (found < step)), np.where(found <= step, found, 0).astype(np.uint8)
        seen = (erase(to_tensor(image), gone[None], mean_pixel) * 255).round().byte().permute(1, 2, 0).numpy()
        names = ", ".join(name for name, here in zip(classes, labelled, strict=True) if here)
        pictures = {
            f"picture {picture} of {len(images)}: {names}": _enlarged(image),
            f"step {step} saw": _enlarged(seen),
            f"mined so far; step {step} adds {(found == step).mean() / covered[picture - 1]:.1%}": paint(image, found),
        }
        return pictures, _region_bars(counts[step - 1], len(images), classes, part_names)

    controls = {"step": ipywidgets.IntSlider(1, 1, steps, description="erasing step (number)"), "picture": _picture_slider(len(images))}
    play = ipywidgets.Play(value=1, min=1, max=steps, interval=1500, description="play (1.5 s a step)")
    ipywidgets.jslink((play, "value"), (controls["step"], "value"))
    return _skin(show, controls, _legend([f"found by step {step}" for step in range(1, steps + 1)]), play=play)


# --- background and S ----------------------------------------------------------------------------------------------------------


def mined_wins(regions: np.ndarray, saliency: np.ndarray, background_threshold: float) -> np.ndarray:
    """`masks.merge`, but a pixel mined by one class keeps its class where its saliency is low. Arguments and result as there."""
    seeds = merge(regions, saliency, background_threshold)
    return np.where(regions.sum(axis=0) == 1, regions.argmax(axis=0) + 1, seeds).astype(np.uint8)


def low_saliency_wins(regions: np.ndarray, saliency: np.ndarray, background_threshold: float) -> np.ndarray:
    """`masks.merge`, but low saliency is background, mined or not. Arguments and result as there."""
    return np.where(saliency < background_threshold, 0, merge(regions, saliency, background_threshold)).astype(np.uint8)


MERGE_RULES = {
    "the paper's: doubtful pixels are ignored": merge,
    "mined wins over low saliency": mined_wins,
    "low saliency wins over mined": low_saliency_wins,
}


BLOCK = 4096  # pixels


class SeedCounts:
    """How much of S is right over a whole set, at any threshold and under any merge rule that looks at single pixels.

    To such a rule there are few kinds of pixels: low saliency or not, claimed by no class, by one of C or by several. So the set's
    pixels are counted by kind and truth, and the rule is applied to a picture with one pixel of each kind.

    Args:
        saliency: n of (H, W) uint8, 255 for 1.
        mined: n of (C, H, W) bool.
        masks: n of (H, W) uint8, 0..C, 255 void: not counted.
    """

    def __init__(self, saliency: Sequence[np.ndarray], mined: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> None:
        self.classes = len(mined[0])
        self.kinds = self.classes + (2 if self.classes > 1 else 1)  # claimed by none, by one of the C, by several
        claims = one_size((np.where(region.sum(axis=0) > 1, self.classes + 1, as_prediction(region)) for region in mined), 0)
        truth, salience = one_size(masks, IGNORE), one_size(saliency, 255) / 255
        counted = truth != IGNORE
        order = np.argsort(salience[counted])  # sorted, the pixels of low saliency are the first k: whole blocks and a rest
        self.saliency = salience[counted][order]
        self.cells = (claims[counted].astype(np.uint16) * (self.classes + 1) + truth[counted])[order]
        blocks = [self._count(self.cells[start : start + BLOCK]) for start in range(0, len(self.cells), BLOCK)]
        self.before = np.cumsum([np.zeros_like(self._count(self.cells[:0])), *blocks], axis=0)

    def _count(self, cells: np.ndarray) -> np.ndarray:
        return np.bincount(cells, minlength=self.kinds * (self.classes + 1)).reshape(self.kinds, self.classes + 1)

    def __call__(self, background_threshold: float, rule: Callable[..., np.ndarray] = merge) -> dict[str, float]:
        """Shares in [0, 1], or NaN: "labelled", "foreground" and "background" (of what is labelled so: right), "objects" (labelled right)."""
        k = np.searchsorted(self.saliency, self.saliency.dtype.type(background_threshold))
        low = self.before[k // BLOCK] + self._count(self.cells[k // BLOCK * BLOCK : k])
        counts = np.stack([low, self.before[-1] - low])  # (low or not, claims, truth)
        claimed = np.eye(self.kinds, self.classes, -1, dtype=bool)
        if self.classes > 1:
            claimed[-1, :2] = True
        regions = np.stack([claimed.T] * 2, axis=1)
        label = rule(regions, np.repeat([[-1.0], [2.0]], self.kinds, axis=1), background_threshold)  # (low or not, claims)
        right = np.where(label == IGNORE, 0, np.take_along_axis(counts, np.where(label == IGNORE, 0, label)[..., None].astype(int), 2)[..., 0])
        pixels, behind, ahead = counts.sum(axis=2), label == 0, (label != 0) & (label != IGNORE)
        return {
            "labelled": _share(pixels[behind | ahead].sum(), pixels.sum()),
            "foreground": _share(right[ahead].sum(), pixels[ahead].sum()),
            "background": _share(right[behind].sum(), pixels[behind].sum()),
            "objects": _share(right[ahead].sum(), counts[..., 1:].sum()),
        }


@_live
def background(
    images: Sequence[np.ndarray],
    saliency: Sequence[np.ndarray],
    mined: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    classes: Sequence[str],
    start: float = 0.4,
) -> ipywidgets.Widget | None:
    """Move the background threshold, change the merge rule, and see the mask S and how much of it is right over the whole set.

    Args:
        images: n of (H, W, 3) uint8.
        saliency: n of (H, W) uint8, 255 for 1.
        mined: regions, n of (C, H, W) bool.
        masks: n of (H, W) uint8, 0..C, 255 void.
        classes: names of the C classes.
        start: threshold where the slider starts, in [0, 1].
    """
    images, masks, saliency, mined = one_size(images, 255), one_size(masks, IGNORE), one_size(saliency, 255), one_size(mined, False)
    counts = SeedCounts(saliency, mined, masks)
    words = {
        "labelled": ("labelled", "of all pixels; the rest is ignored"),
        "foreground": ("foreground right", "of the pixels labelled with a class"),
        "background": ("background right", "of the pixels labelled background"),
        "objects": ("objects labelled right", "of all pixels of objects"),
    }

    def show(threshold: float, rule: Callable[..., np.ndarray], picture: int) -> Shown:
        image, standing_out, regions, mask = (of[picture - 1] for of in (images, saliency, mined, masks))
        grey, standing_out = np.stack([standing_out] * 3, axis=2), standing_out / 255
        pictures = {
            f"picture {picture} of {len(images)}: mined regions": paint(image, as_prediction(regions)),
            f"saliency; in colour: {threshold:.2f} and above": paint(grey, (standing_out >= threshold) * np.uint8(len(PALETTE))),
            "S (hatched: ignored)": paint(image, rule(regions, standing_out, threshold)),
            "truth": paint(image, mask),
        }
        rows = {words[name][0]: (share, words[name][1]) for name, share in counts(threshold, rule).items()}
        return pictures, _bars(f"S over {len(images)} pictures, pixels pooled", rows)

    controls = {
        "threshold": _slider("background below (saliency, 0 to 1)", start, 0, 1),
        "rule": ipywidgets.Dropdown(options=list(MERGE_RULES.items()), description="merge rule"),
        "picture": _picture_slider(len(images)),
    }
    return _skin(show, controls, _legend(classes))


# --- PSL ---------------------------------------------------------------------------------------------------------------------


def _grid(title: str, values: np.ndarray, labels: np.ndarray | None = None, marked: np.ndarray | None = None) -> str:
    """A table of numbers, (h, w): coloured by label, bold and framed where marked."""
    cells = []
    for (y, x), value in np.ndenumerate(values):
        label = 0 if labels is None else int(labels[y, x])
        tint = f"; background: {COLOURS[(label - 1) % len(COLOURS)]}66" if 0 < label < IGNORE else ""
        frame = "; font-weight: bold; outline: 2px solid; outline-offset: -2px" if marked is not None and marked[y, x] else ""
        text = "&middot;" if value == IGNORE else f"{value:.2f}" if values.dtype.kind == "f" else str(value)
        cells.append(f"<td style='width: 2.6em; height: 2.2em; text-align: center; border: 1px solid #8886{frame}{tint}'>{text}</td>")
    rows = "".join(f"<tr>{''.join(cells[i : i + values.shape[1]])}</tr>" for i in range(0, len(cells), values.shape[1]))
    return (
        f"<div style='display: inline-block; margin: 0 1.6em 0.6em 0; vertical-align: top'>{title}"
        f"<table style='border-collapse: collapse'>{rows}</table></div>"
    )


@_live
def confidences(f: Tensor, S: Tensor, classes: Sequence[str], start: Sequence[float]) -> ipywidgets.Widget | None:
    """Move the image-level confidences v and see S-hat flip, pixel by pixel, and the terms of the PSL loss follow.

    Args:
        f: probabilities, background first, (1, C + 1, h, w) in [0, 1]; few pixels.
        S: (1, h, w) int64: 0..C, 255 ignored.
        classes: names of the C classes.
        start: v where the sliders start, C numbers in [0, 1].
    """
    scores = f.clamp(min=torch.finfo(f.dtype).tiny).log()  # softmax(log f) = f
    own, S_map = f.argmax(dim=1)[0].numpy(), S[0].numpy()

    def show(**v: float) -> Shown:
        given = torch.tensor([list(v.values())], dtype=f.dtype)
        s_hat = psl.prohibit(f, given)
        j_seeds, j_hat = (psl.cross_entropy(scores, mask).item() for mask in (S, s_hat))
        answer = s_hat[0].numpy()
        html = _grid("S, mined (&middot; ignored)", S_map, S_map) + _grid("argmax f, the network's own", own, own)
        html += _grid("S-hat (framed: prohibition changed it)", answer, answer, answer != own) + "<br>"
        for c, name in enumerate(["background", *classes]):
            weight = 1.0 if c == 0 else float(given[0, c - 1])
            weighed, label = weight * f[0, c].numpy(), np.full(answer.shape, c)
            html += _grid(f"{weight:.2f} x f of {escape(name)} (framed: largest)", weighed, label, answer == c)
        total = f"<b>PSL loss = J(f, S) + J(f, S-hat) = {j_seeds + j_hat:.4f}</b>"
        return {}, f"{html}<div>J(f, S) = {j_seeds:.4f} &emsp; J(f, S-hat) = {j_hat:.4f} &emsp; {total}</div>"

    controls = {
        f"v{c}": _slider(f"v of {name} (probability, 0 to 1)", value, 0, 1) for c, (name, value) in enumerate(zip(classes, start, strict=True), 1)
    }
    return _skin(show, controls, _legend([f"{c} {name}" for c, name in enumerate(classes, 1)]))


class Prohibited:
    """A set's confusion matrix and removals at any test-time threshold on v.

    A picture has only C + 1 different answers, one for each number of classes removed in the order of v: each one's confusion
    matrix is counted once, and any threshold is a sum of matrices.

    Args:
        probabilities: n of (C + 1, H, W), background first, array or tensor.
        v: image-level confidences, (n, C) in [0, 1].
        masks: n of (H, W) uint8, 0..C, 255 void.
    """

    def __init__(self, probabilities: Sequence[Any], v: np.ndarray, masks: Sequence[np.ndarray]) -> None:
        self.v, labels = v, v.shape[1] + 1
        self.there = np.array([[(mask == c).any() for c in range(1, labels)] for mask in masks])
        self.matrices = np.zeros((len(v), labels, labels, labels), np.int64)
        for i, (f, mask) in enumerate(zip(probabilities, masks, strict=True)):
            left = np.array(f, copy=True)
            for removed, c in enumerate([None, *np.argsort(v[i], kind="stable")]):
                if c is not None:
                    left[c + 1] = 0
                self.matrices[i, removed] = confusion(mask, left.argmax(axis=0), labels)

    def __call__(self, threshold: float) -> tuple[np.ndarray, int, int]:
        """The confusion matrix, (C + 1, C + 1), the classes rightly removed (not in the mask), those wrongly removed."""
        removed = self.v < threshold
        matrix = self.matrices[np.arange(len(self.v)), removed.sum(axis=1)].sum(axis=0)
        return matrix, int((removed & ~self.there).sum()), int((removed & self.there).sum())


@_live
def prohibit_threshold(
    images: Sequence[np.ndarray], probabilities: Sequence[Any], v: np.ndarray, masks: Sequence[np.ndarray], classes: Sequence[str], start: float = 0.1
) -> ipywidgets.Widget | None:
    """Move the confidence below which a class is removed at test, and see masks before and after, and mIoU over the whole set.

    Args:
        images: n of (H, W, 3) uint8.
        probabilities: n of (C + 1, H, W) in [0, 1], background first, arrays or tensors.
        v: image-level confidences, (n, C) in [0, 1].
        masks: n of (H, W) uint8, 0..C, 255 void.
        classes: names of the C classes.
        start: threshold where the slider starts, in [0, 1].
    """
    v, images, masks, probabilities = np.asarray(v), one_size(images, 255), one_size(masks, IGNORE), one_size(probabilities, 0)
    prohibited = Prohibited(probabilities, v, masks)
    before = mean_iou(prohibited(0)[0])

    def show(threshold: float, picture: int) -> Shown:
        matrix, right, wrong = prohibited(threshold)
        image, f, sure, mask = images[picture - 1], np.asarray(probabilities[picture - 1]), v[picture - 1], masks[picture - 1]
        out = sure < threshold
        after = (f * np.r_[True, ~out][:, None, None]).argmax(axis=0)
        pictures = {
            f"picture {picture} of {len(images)}": _enlarged(image),
            "before": paint(image, f.argmax(axis=0).astype(np.uint8)),
            "after": paint(image, after.astype(np.uint8)),
            "truth": paint(image, mask),
        }
        here = ", ".join(
            f"<s>{escape(name)} {value:.2f}</s>" if gone else f"{escape(name)} {value:.2f}"
            for name, value, gone in zip(classes, sure, out, strict=True)
        )
        miou = mean_iou(matrix)
        words = f"{100 * (miou - before):+.1f} points; mean over background and {len(classes)} classes"
        rows = {"mIoU before": (before, "nothing removed"), "mIoU after": (miou, words)}
        removed = f"removed: {right + wrong} of {v.size} classes in pictures; {right} rightly (not in the mask), {wrong} wrongly (in it)"
        return pictures, f"v here (struck out: removed): {here}<br>{_bars(f'{len(images)} pictures, pixels pooled', rows)}{removed}"

    controls = {"threshold": _slider("remove classes with v below (0 to 1)", start, 0, 1), "picture": _picture_slider(len(images))}
    return _skin(show, controls, _legend(classes))


# --- the CRF -----------------------------------------------------------------------------------------------------------------

#: CRF parameter: (description with unit, least, largest, step)
CRF_RANGES = {
    "gaussian_weight": ("Gaussian weight (nats)", 0, 20, 0.5),
    "gaussian_sxy": ("Gaussian reach sxy (pixels)", 0.5, 20, 0.5),
    "bilateral_weight": ("bilateral weight (nats)", 0, 20, 0.5),
    "bilateral_sxy": ("bilateral reach sxy (pixels)", 1, 100, 1),
    "bilateral_srgb": ("bilateral colour srgb (grey levels)", 1, 60, 1),
    "iterations": ("mean-field updates (number)", 1, 20, 1),
}


@_live
def crf(
    images: Sequence[np.ndarray],
    probabilities: Sequence[Any],
    present: np.ndarray,
    masks: Sequence[np.ndarray],
    classes: Sequence[str],
    start: CRF,
    engine: str = "auto",
) -> ipywidgets.Widget | None:
    """Move the CRF's parameters and see what it makes of the network's answer to a picture.

    Args:
        images: n of (H, W, 3) uint8.
        probabilities: n of (C + 1, H, W) in [0, 1], background first, arrays or tensors.
        present: labels that may be answered, (n, C + 1) bool.
        masks: n of (H, W) uint8, 0..C, 255 void.
        classes: names of the C classes.
        start: the CRF where the sliders start.
        engine: of crf.refine.
    """
    present = np.asarray(present, bool)
    images, masks, probabilities = one_size(images, 255), one_size(masks, IGNORE), one_size(probabilities, 1 / (len(classes) + 1))

    def show(picture: int, **values: float) -> Shown:
        image, f, allowed, truth = (of[picture - 1] for of in (images, probabilities, present, masks))
        f = np.asarray(f)
        answers = {
            "network": (f * allowed[:, None, None]).argmax(axis=0).astype(np.uint8),
            "with CRF": refine_present(image, f, allowed, CRF(**values), engine).argmax(axis=0).astype(np.uint8),
        }
        matrices = {name: confusion(truth, answer, len(classes) + 1) for name, answer in answers.items()}
        pictures = {f"picture {picture} of {len(images)}": _enlarged(image)}
        pictures |= {name: paint(image, labels) for name, labels in (answers | {"truth": truth}).items()}
        rows = {f"{name}: pixels right": (_share(np.trace(m), m.sum()), "of this picture") for name, m in matrices.items()}
        rows |= {f"{name}: mIoU": (mean_iou(m), "mean over the labels in this picture's truth or answer") for name, m in matrices.items()}
        return pictures, _bars("this picture", rows)

    sliders = {field.name: _crf_slider(field.name, getattr(start, field.name)) for field in fields(CRF)}
    return _skin(show, {"picture": _picture_slider(len(images), continuous=False)} | sliders, _legend(classes))


def _crf_slider(name: str, value: float) -> ipywidgets.Widget:
    words, low, high, step = CRF_RANGES[name]
    if name == "iterations":
        return ipywidgets.IntSlider(value, low, max(high, value), description=words, continuous_update=False)
    return _slider(words, value, low, high, step, continuous=False)
