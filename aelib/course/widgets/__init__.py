"""Sliders over the method: thin skins, so that everything they show can be had without them.

Each widget is a pure `show(**values)` -> ({caption: RGB picture}, HTML), drawn again in place when
a control moves. The costly part is done once, when the widget is made, so that a control answers
at once over a whole validation set.

A widget needs somebody to move it (`progress.live`). Anywhere else its function prints a line and
returns None: a widget in a saved notebook is a stub, and one was seen to hang papermill.
"""

from .background import background
from .crf import crf
from .mining import delta, step_player
from .photographs import photographs
from .psl import prohibit_threshold, psl_by_hand

__all__ = [
    "background",
    "crf",
    "delta",
    "photographs",
    "prohibit_threshold",
    "psl_by_hand",
    "step_player",
]
