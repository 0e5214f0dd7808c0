"""A slider over the background threshold and the merge rule."""

from collections.abc import Callable, Sequence

import ipywidgets
import numpy as np

from ...datasets.base import Pictures, Truth
from ...masks import IGNORE, as_prediction
from ..plots import REGION
from ..tallies import one_size
from ..thresholds import MERGE_RULES, PseudoMaskQuality
from .skin import Shown, bars, legend, live_only, paint, picture_slider, skin, slider

WORDS = {
    "labelled": ("labelled", "of all pixels"),
    "foreground": ("foreground right", "of the pixels labelled with a class"),
    "background": ("background right", "of the pixels labelled background"),
    "objects": ("objects labelled right", "of all pixels of objects"),
}


@live_only
def background(
    pictures: Pictures,
    truth: Truth,
    saliency: Sequence[np.ndarray],
    mined: Sequence[np.ndarray],
    start: float = 0.4,
) -> ipywidgets.Widget | None:
    """Move the background threshold, change the merge rule, and see the mask S and how much of it
    is right over the whole set.

    Args:
        saliency: n of (H, W) uint8, 255 for 1.
        mined: regions, n of (C, H, W) bool.
        start: threshold where the slider starts, in [0, 1].
    """
    images, masks = one_size(pictures.images, 255), one_size(truth.masks, IGNORE)
    saliency, mined = one_size(saliency, 255), one_size(mined, False)
    quality = PseudoMaskQuality(saliency, mined, masks)

    def show(threshold: float, rule: Callable[..., np.ndarray], picture: int) -> Shown:
        i = picture - 1
        image, salience = images[i], saliency[i] / 255
        salient = (salience >= threshold).astype(np.uint8)
        grey = np.stack([saliency[i]] * 3, axis=2)
        title = f"picture {picture} of {len(images)}: mined regions"
        shown = {
            title: paint(image, as_prediction(mined[i])),
            f"saliency; in colour: {threshold:.2f} and above": paint(grey, salient, REGION),
            "S (hatched: ignored)": paint(image, rule(mined[i], salience, threshold)),
            "truth": paint(image, masks[i]),
        }
        rows = {}
        for key, share in quality(threshold, rule).items():
            name, words = WORDS[key]
            rows[name] = (share, words)
        return shown, bars(f"S over {len(images)} pictures, pixels pooled", rows)

    rules = list(MERGE_RULES.items())
    controls = {
        "threshold": slider("background below (0 to 1)", start, 0, 1),
        "rule": ipywidgets.Dropdown(options=rules, description="merge rule"),
        "picture": picture_slider(len(images)),
    }
    return skin(show, controls, legend(pictures.classes))
