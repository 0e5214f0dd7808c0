"""VOC's colours, and label maps that only look like ones: colours moved, colours turned grey."""

import numpy as np
from PIL import Image

from ..masks import IGNORE


def palette(count: int = 256) -> list[int]:
    """VOC's colour map: RGB of each label in turn, 3 * count numbers.

    The bits of a label go to the high bits of R, G, B, R, G, B and so on.
    """
    colours = []
    for label in range(count):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colours += rgb
    return colours


_VOC = np.array(palette(), np.uint8).reshape(-1, 3)
_COLOURS = {tuple(colour): label for label, colour in enumerate(_VOC.tolist())}
#: VOC's colours as grey, by Pillow's convert("L"): grey -> labels.
_GREYS: dict[int, list[int]] = {}
for _label, _grey in enumerate(np.array(Image.fromarray(_VOC[None]).convert("L"))[0].tolist()):
    _GREYS.setdefault(_grey, []).append(_label)


def as_grey(labels: set[int], known: set[int]) -> dict[int, int]:
    """Grey value -> label among `known`, if all these labels are VOC's colours turned grey.

    Args:
        labels: those found in grey files.
        known: those that may be there.

    Returns:
        {} if a label is one of `known` itself, or is no such grey.
    """
    found = labels - {0, IGNORE}
    there = known | {IGNORE}
    of = {grey: [label for label in _GREYS.get(grey, ()) if label in there] for grey in found}
    if not found or found & known or not all(of.values()):
        return {}
    return {grey: of[grey][0] for grey in sorted(found)}


def label_of(colour: list[int]) -> int | None:
    """The label, 0 to 20 or 255, whose colour this RGB is in VOC; None if it is none's."""
    label = _COLOURS.get(tuple(colour))
    return label if label is None or label <= 20 or label == IGNORE else None


def moved(labels: np.ndarray, image: Image.Image) -> dict[int, int]:
    """Palette index -> the label whose colour it shows, of the indices that show another label's.

    Args:
        labels: the indices, (H, W) uint8.
        image: of mode P.

    Returns:
        {} if all is well, or a colour is none of VOC's: the palette is one's own.
    """
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3).tolist()
    used = [index for index in np.unique(labels).tolist() if index < len(colours)]
    shown = {index: label_of(colours[index]) for index in used}
    if None in shown.values() or all(index == label for index, label in shown.items()):
        return {}
    return {index: label for index, label in shown.items() if index != label}
