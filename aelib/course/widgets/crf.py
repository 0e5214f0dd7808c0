"""Sliders over the CRF's parameters."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import ipywidgets
import numpy as np

from ...crf import CRF, refine_present
from ...datasets.base import Pictures, Truth
from ...evaluation import confusion
from ...masks import IGNORE
from ..tallies import mean_iou, one_size, share
from .skin import Shown, bars, enlarged, legend, live_only, paint, picture_slider, skin, slider

#: CRF parameter: (description with unit, least, largest, step)
RANGES = {
    "gaussian_weight": ("Gaussian weight (nats)", 0, 20, 0.5),
    "gaussian_sxy": ("Gaussian reach sxy (pixels)", 0.5, 20, 0.5),
    "bilateral_weight": ("bilateral weight (nats)", 0, 20, 0.5),
    "bilateral_sxy": ("bilateral reach sxy (pixels)", 1, 100, 1),
    "bilateral_srgb": ("bilateral colour srgb (grey levels)", 1, 60, 1),
    "iterations": ("mean-field updates (number)", 1, 20, 1),
    "temperature": ("temperature T of f (number)", 0.5, 8, 0.5),
}


@live_only
def crf(
    pictures: Pictures,
    truth: Truth,
    probabilities: Sequence[Any],
    present: np.ndarray,
    start: CRF,
    engine: str = "auto",
) -> ipywidgets.Widget | None:
    """Move the CRF's parameters and see what it makes of the network's answer to a picture.

    Args:
        probabilities: n of (C + 1, H, W) in [0, 1], background first, arrays or tensors.
        present: labels that may be answered, (n, C + 1) bool.
        start: the CRF where the sliders start.
        engine: of crf.refine.
    """
    labels, present = len(pictures.classes) + 1, np.asarray(present, bool)
    images, masks = one_size(pictures.images, 255), one_size(truth.masks, IGNORE)
    probabilities = one_size(probabilities, 1 / labels)

    def show(picture: int, **values: float) -> Shown:
        i = picture - 1
        image, f, allowed = images[i], probabilities[i], present[i]
        refined = refine_present(image, f, allowed, CRF(**values), engine)
        answers = {
            "network": (f * allowed[:, None, None]).argmax(axis=0).astype(np.uint8),
            "with CRF": refined.argmax(axis=0).astype(np.uint8),
        }
        shown = {f"picture {picture} of {len(images)}": enlarged(image)}
        for name, answer in (answers | {"truth": masks[i]}).items():
            shown[name] = paint(image, answer)
        return shown, bars("this picture", _scores(masks[i], answers, labels))

    controls = {"picture": picture_slider(len(images), continuous=False)}
    for field in fields(CRF):
        controls[field.name] = parameter(field.name, getattr(start, field.name))
    return skin(show, controls, legend(pictures.classes))


def _scores(
    mask: np.ndarray, answers: dict[str, np.ndarray], labels: int
) -> dict[str, tuple[float, str]]:
    """Returns rows for `bars`: pixels right, then mIoU, of each answer."""
    matrices = {name: confusion(mask, answer, labels) for name, answer in answers.items()}
    rows = {}
    for name, matrix in matrices.items():
        right = share(np.trace(matrix), matrix.sum())
        rows[f"{name}: pixels right"] = (right, "of this picture")
    for name, matrix in matrices.items():
        rows[f"{name}: mIoU"] = (mean_iou(matrix), "of the labels in truth or answer")
    return rows


def parameter(name: str, value: float) -> ipywidgets.Widget:
    """Returns the slider of a parameter of the CRF."""
    words, low, high, step = RANGES[name]
    if name != "iterations":
        return slider(words, value, low, high, step, continuous=False)
    high = max(high, value)
    return ipywidgets.IntSlider(value, low, high, description=words, continuous_update=False)
