"""Sliders over mining: delta, and adversarial erasing step by step."""

from collections.abc import Sequence
from typing import Any

import ipywidgets
import numpy as np
import torch

from ...datasets.base import Pictures, Truth, to_tensor
from ...erasing import erase
from ...masks import IGNORE, as_prediction
from ..plots import STEPS
from ..tallies import Tally, covered_share, mean_iou, one_size, part_recall, region_scores
from ..thresholds import RegionsAtDelta
from .skin import Shown, bars, enlarged, legend, live_only, paint, picture_slider, skin, slider

READINGS = {"max": "max: share of the maximum", "share": "share of the pixels"}


@live_only
def delta(
    pictures: Pictures, truth: Truth, maps: Any, start: float = 0.2
) -> ipywidgets.Widget | None:
    """Move delta and its reading over the regions of a picture, and see precision, recall and
    parts over the whole set.

    Args:
        maps: normalised CAMs, n of (C, H, W) in [0, 1], arrays or tensors.
        start: delta where the slider starts, 0.05 to 0.95.
    """
    labels, classes = pictures.labels, pictures.classes
    covered = covered_share(pictures.images)
    images, masks = one_size(pictures.images, 255), one_size(truth.masks, IGNORE)
    regions, tally = RegionsAtDelta(maps, labels), Tally(truth, classes)
    numbers = {"all classes": None}
    indices = {"all classes": np.arange(len(images))}  # of the pictures that show a class
    for c, name in enumerate(classes):
        if labels[:, c].any():
            numbers[name], indices[name] = c, np.flatnonzero(labels[:, c])

    def show(delta: float, rule: str, name: str, picture: int) -> Shown:
        c, chosen = numbers[name], indices[name]
        picture = min(picture, len(chosen))  # the class may have changed before the slider's range
        i = chosen[picture - 1]
        prediction = regions(delta, rule)
        found, true = _only(prediction[i], c), _only(masks[i], c)
        share = (found > 0).mean() / covered[i]
        shown = {
            f"picture {picture} of {len(chosen)}": enlarged(images[i]),
            f"regions: {share:.0%} of the picture": paint(images[i], found),
            "truth": paint(images[i], true),
        }
        counts = tally(prediction, chosen)
        return shown, _region_bars(counts, len(chosen), classes, truth.part_names, c)

    readings = [(words, rule) for rule, words in READINGS.items()]
    controls = {
        "delta": slider("delta (fraction, 0 to 1)", start, 0.05, 0.95),
        "rule": ipywidgets.Dropdown(options=readings, description="delta is read as"),
        "name": ipywidgets.Dropdown(options=list(numbers), description="class (name)"),
        "picture": picture_slider(len(images)),
    }

    def limit(change: Any) -> None:
        controls["picture"].max = len(indices[change.new])

    controls["name"].observe(limit, "value")
    return skin(show, controls, legend(classes))


def _only(labels: np.ndarray, c: int | None) -> np.ndarray:
    """Returns a label map with class c and void alone; all of it if c is None."""
    if c is None:
        return labels
    return np.where((labels == c + 1) | (labels == IGNORE), labels, 0).astype(np.uint8)


@live_only
def step_player(
    pictures: Pictures,
    truth: Truth,
    regions_by_step: Sequence[Sequence[np.ndarray]],
    mean_pixel: np.ndarray,
) -> ipywidgets.Widget | None:
    """Play adversarial erasing step by step: what each classifier saw, what is mined so far, and
    what that is worth over the whole set.

    Args:
        regions_by_step: for each step n of (C, H, W) bool, mined by that step alone.
        mean_pixel: what erased pixels become, (3,) in [0, 1].
    """
    classes, steps = pictures.classes, len(regions_by_step)
    covered, images = covered_share(pictures.images), one_size(pictures.images, 255)
    mean_pixel = torch.as_tensor(mean_pixel, dtype=torch.float32)
    found_in, counts = _step_by_step(regions_by_step, Tally(truth, classes))

    def show(step: int, picture: int) -> Shown:
        i = picture - 1
        erased = torch.from_numpy((found_in[i] > 0) & (found_in[i] < step))
        seen = erase(to_tensor(images[i]), erased[None], mean_pixel)
        seen = (seen * 255).round().byte().permute(1, 2, 0).numpy()
        found = np.where(found_in[i] <= step, found_in[i], 0).astype(np.uint8)
        added = (found == step).mean() / covered[i]
        names = ", ".join(classes[c] for c in np.flatnonzero(pictures.labels[i]))
        shown = {
            f"picture {picture} of {len(images)}: {names}": enlarged(images[i]),
            f"step {step} saw": enlarged(seen),
            f"mined so far; step {step} adds {added:.1%}": paint(images[i], found, STEPS),
        }
        return shown, _region_bars(counts[step - 1], len(images), classes, truth.part_names)

    controls = {
        "step": ipywidgets.IntSlider(1, 1, steps, description="erasing step (number)"),
        "picture": picture_slider(len(images)),
    }
    interval, description = 1500, "play (1.5 s a step)"
    play = ipywidgets.Play(value=1, min=1, max=steps, interval=interval, description=description)
    ipywidgets.jslink((play, "value"), (controls["step"], "value"))
    names = [f"found by step {step}" for step in range(1, steps + 1)]
    return skin(show, controls, legend(names, STEPS), play=play)


def _step_by_step(
    regions_by_step: Sequence[Sequence[np.ndarray]], tally: Tally
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the step that found each pixel, (n, H, W) uint8, 0 for none; counts by step."""
    by_step = [one_size(regions, False) for regions in regions_by_step]
    mined = np.zeros_like(by_step[0])
    found_in, counts = np.zeros((len(mined), *mined.shape[2:]), np.uint8), []
    for step, regions in enumerate(by_step, start=1):
        mined |= regions
        found_in[(found_in == 0) & mined.any(axis=1)] = step
        counts.append(tally(np.stack([as_prediction(region) for region in mined])))
    return found_in, counts


def _region_bars(
    counts: np.ndarray,
    pictures: int,
    classes: Sequence[str],
    part_names: Sequence[str],
    c: int | None = None,
) -> str:
    """Returns the numbers of regions as HTML, of class c or of all classes."""
    scores = region_scores(counts, c)
    rows = {
        "precision": (scores["precision"], "of a region is its class"),
        "recall": (scores["recall"], "of the objects is in their region"),
        "IoU": (scores["IoU"], "right / (region or object)"),
    }
    if c is None:
        rows["mIoU"] = (mean_iou(counts[:-1].sum(axis=1)), f"of background, {len(classes)} classes")
    who = "all classes" if c is None else classes[c]
    html = bars(f"{who}: pixels of {pictures} pictures, pooled", rows)
    recall = dict(zip(part_names, part_recall(counts, c), strict=True))
    del recall[part_names[0]]  # it is no part
    rows = {name: (share, "") for name, share in recall.items()}
    return html + bars("recall of each part", rows)
