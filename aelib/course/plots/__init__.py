"""The course's figures: pure functions from arrays to a Figure.

`panels` says what an image and a label map may be.
"""

from .answers import answers, extremes
from .charts import curves, parts_by_step, stop_signal
from .numbers import numbers  # the function; it takes the file's name in this package
from .pictures import (
    gallery,
    heat,
    masks,
    prohibition,
    pseudo_mask,
    sample,
    steps,
    superpixels,
)
from .scores import confusion_chart, ladder, per_class
from .studies import differences, gain_by_coverage
from .style import COLOURS, PARTS, REGION, STEPS, Figure
from .sweeps import sweep

__all__ = [
    "COLOURS",
    "PARTS",
    "REGION",
    "STEPS",
    "Figure",
    "answers",
    "confusion_chart",
    "curves",
    "differences",
    "extremes",
    "gain_by_coverage",
    "gallery",
    "heat",
    "ladder",
    "masks",
    "numbers",
    "parts_by_step",
    "per_class",
    "prohibition",
    "pseudo_mask",
    "sample",
    "steps",
    "stop_signal",
    "superpixels",
    "sweep",
]
