"""What can be read and cannot be meant: masks against labels, labels against each other."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from ..masks import IGNORE
from .colours import as_grey
from .looks import Seen
from .selection import Item

_RARE = 0.1  # share of masks that disagree with the labels: of VOC and SBD some 7 % do
_NOTHING = {"none", "nothing", "empty", "negative", "no", "nan", "null", "n/a", "na", "-", "other"}
_BETWEEN = r"[,|/\t\[\]{}<>\\，、；｜]"  # what other tables write between labels, or around them
_JOINTS = r"(?:[\W_]|and|und|et|y)+"  # what may stand between the names of two other classes


def joined(names: Collection[str], listed: Collection[str] = ()) -> list[str]:
    """What is wrong with class names that hold several labels: semicolons separate them.

    Args:
        names: as the table has them.
        listed: those that classes.txt has, which are meant.
    """
    problems = []
    for name in sorted({*names} - {*listed}):
        if re.search(_BETWEEN, name) or _of_others(name, names):
            cure = "separate labels by semicolons: cat;dog"
            problems.append(f"class {name!r} looks like several labels in one; {cure}")
    return problems


def _of_others(name: str, names: Collection[str]) -> bool:
    """Whether a name is made of other names, and of nothing but what stands between them."""
    others = sorted({*names} - {name}, key=len, reverse=True)
    if not others:
        return False
    either = "|".join(map(re.escape, others))
    return bool(re.fullmatch(f"(?:{either})(?:{_JOINTS}(?:{either}))+", name, re.IGNORECASE))


def classes(labels: Sequence[frozenset[str]], kept: Sequence[str]) -> list[str]:
    """Classes that image-level labels cannot teach.

    Args:
        labels: of each training picture.
        kept: the classes.
    """
    counts = Counter(name for names in labels for name in names)
    warnings = []
    absent = [name for name in kept if not counts[name]]
    if absent:
        what = "not to be learned, and 0 in the mIoU wherever it is to be found"
        cure = "add pictures with it, or keep the other classes only (-p classes)"
        warnings.append(f"in no training picture: {', '.join(absent)}; {what}: {cure}")
    everywhere = [name for name in kept if counts[name] == len(labels)]
    if everywhere:
        why = "image labels cannot teach what no picture lacks"
        cure = "add pictures without it (in labels.csv an empty cell means: nothing in it)"
        warnings.append(f"in every training picture: {', '.join(everywhere)}; {why}: {cure}")
    return warnings


def named_nothing(names: Iterable[str]) -> list[str]:
    """Classes that seem to say that nothing is there: a picture of nothing has no label."""
    cure = "leave the cell of labels empty where a picture shows nothing, so that it stays as such"
    return [f"class {name!r}: is it none? {cure}" for name in names if name.casefold() in _NOTHING]


def no_labels(labels: Iterable[Collection[int]], where: str) -> list[str]:
    """Masks that hold 0 and 255 only, 255 somewhere: objects were painted white."""
    found = frozenset[int]().union(*labels)
    if not found or found - {0, IGNORE} or IGNORE not in found:
        return []
    cure = "write the k-th class as k (one class: mask[mask == 255] = 1)"
    return [f"{where} hold no label but 0 and 255, and 255 is not counted; {cure}"]


def no_background(labels: Iterable[Collection[int]], where: str) -> list[str]:
    """Masks of which none holds 0, and some hold 255: background is to be 0."""
    found = frozenset[int]().union(*labels)
    if 0 in found or IGNORE not in found:
        return []
    cure = "is it background? write that as 0 (mask[mask == 255] = 0)"
    return [
        f"{where} hold no 0, background, and {IGNORE} in its place, which is not counted; {cure}"
    ]


def turned_grey(labels: set[int], known: set[int], where: str) -> list[str]:
    """Grey label maps whose numbers are the brightness of VOC's colours."""
    greys = as_grey(labels, known)
    if not greys:
        return []
    grey, label = next(iter(greys.items()))
    what = f"label {grey} found, the brightness of VOC's colour of label {label}"
    cure = "a palette was turned grey, by convert('L') or a copy: save the palette's indices"
    return [f"{where}: {what}; {cure}"]


def impossible(items: Sequence[Item], seen: Sequence[Seen], known: Sequence[str]) -> list[str]:
    """What is wrong with all masks of a list: for a check to refuse."""
    pairs = [(item, look) for item, look in zip(items, seen, strict=True) if look.labels]
    shown = [(item, look) for item, look in pairs if item.labels]
    if not shown:
        return []
    where = f"the masks in {shown[0][0].mask.parent}"
    numbers = {known.index(name) + 1 for item, _ in shown for name in item.labels & {*known}}
    grey = {label for _, look in shown if look.grey for label in look.labels}
    problems = no_labels((look.labels for _, look in shown), where)
    return problems + turned_grey(grey, numbers, where)


def masks(items: Sequence[Item], seen: Sequence[Seen], known: Sequence[str]) -> list[str]:
    """What the masks of a list cannot mean, beside its labels and photographs."""
    pairs = [(item, look) for item, look in zip(items, seen, strict=True) if look.labels]
    if not pairs:
        return []
    return [
        *no_background([look.labels for _, look in pairs], "the masks"),
        *_never(pairs, known),
        *_disagreeing(pairs, known),
        *_moved(pairs),
        *_turned(pairs),
    ]


def _never(pairs: list[tuple[Item, Seen]], known: Sequence[str]) -> list[str]:
    """Classes of the labels that no mask has, and the other way round."""
    warnings = []
    order = "is the order of the classes that of the masks? Class k must be k"
    for number, name in enumerate(known, start=1):
        labelled = [look for item, look in pairs if name in item.labels]
        drawn = [item for item, look in pairs if number in look.labels]
        if labelled and not any(number in look.labels for look in labelled):
            where = f"labelled in {len(labelled)} pictures with masks, and in none of these masks"
            warnings.append(f"{name} (label {number}) is {where}; {order}")
        elif drawn and not any(name in item.labels for item in drawn):
            where = f"in {len(drawn)} masks, and labelled in none of these pictures"
            warnings.append(f"{name} (label {number}) is {where}; {order}")
    return warnings


def _disagreeing(pairs: list[tuple[Item, Seen]], known: Sequence[str]) -> list[str]:
    """Pictures whose mask lacks a labelled class, or has one that is not labelled."""
    wrong = []
    for item, look in pairs:
        drawn = {name for number, name in enumerate(known, start=1) if number in look.labels}
        if drawn != item.labels:
            wrong.append(item.id)
    if len(wrong) < _RARE * len(pairs) or not wrong:
        return []
    names = f"{', '.join(wrong[:3])}{' and others' if len(wrong) > 3 else ''}"
    what = f"in {len(wrong)} of {len(pairs)} pictures ({names})"
    return [f"labels and masks speak of different classes {what}; look at one of them"]


def _moved(pairs: list[tuple[Item, Seen]]) -> list[str]:
    """Palettes in VOC's colours and another order."""
    found = [(item.mask, look.moved) for item, look in pairs if look.moved]
    return moved([(file.name, shown) for file, shown in found], "masks")


def moved(found: Sequence[tuple[str, dict[int, int]]], what: str) -> list[str]:
    """Warns of palettes in VOC's colours and another order, given each file's `colours.moved`."""
    if not found:
        return []
    name, shown = found[0]
    index, label = next(iter(shown.items()))
    one = f"in {name} index {index} has the colour of label {label}"
    cure = "indices count, not colours: `python -m aelib data from-colours FOLDER OUT` mends it"
    return [f"{len(found)} {what} have VOC's colours in another order ({one}); {cure}"]


def _turned(pairs: list[tuple[Item, Seen]]) -> list[str]:
    """Photographs turned by EXIF whose masks have the right size either way."""
    turned = [item for item, look in pairs if _either_way(look)]
    if not turned:
        return []
    what = f"{len(turned)} photographs with masks are turned by their EXIF orientation"
    cure = "the masks must be upright, as viewers show the photograph; look at one"
    return [f"{what} ({turned[0].photo.name}), which no size can tell; {cure}"]


def _either_way(look: Seen) -> bool:
    square = look.size is not None and look.size[0] == look.size[1]
    return look.orientation in (2, 3, 4) or (look.orientation >= 5 and square)
