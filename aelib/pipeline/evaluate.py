"""Scores of anyone's label PNGs against masks, and what in either folder cannot be meant."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..datasets import suspicions
from ..datasets.devkit import CLASSES
from ..datasets.found import with_suffix
from ..datasets.lists import read_ids, read_text
from ..datasets.photos import LabelMap, read_label_map
from ..datasets.unused import unused
from ..evaluation import confusion, iou
from ..masks import IGNORE
from ..support.errors import InputError
from ..support.files import refuse


class Maps(NamedTuple):
    """What was seen of a folder's label maps.

    Attributes:
        folder: that of ID.png.
        labels: of each file that is listed.
        grey: those in grey pictures.
        moved: file name -> `colours.moved`, where there is any.
    """

    folder: Path
    labels: list[frozenset[int]]
    grey: set[int]
    moved: dict[str, dict[int, int]]

    def note(self, file: Path, found: LabelMap) -> None:
        labels = frozenset(np.unique(found.labels).tolist())
        self.labels.append(labels)
        if found.grey:
            self.grey.update(labels)
        if found.moved:
            self.moved[file.name] = found.moved

    def all(self) -> set[int]:
        """Labels of any file, without 0 and 255."""
        return set().union(*self.labels) - {0, IGNORE}


def class_names(source: str) -> tuple[str, ...]:
    """Names of the labels, background first.

    Args:
        source: "voc", or a file with a class a line; background may be the first or be left out.

    Raises:
        InputError: the file is missing, is no text, or names no class, more than 254, or one twice.
    """
    if source.casefold() == "voc":
        return ("background", *CLASSES)
    file = Path(source).expanduser()
    try:
        names = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"--names: {source!r} is no file; give voc, or a class a line") from None
    classes = names[1:] if names and names[0].casefold() == "background" else names
    if not 1 <= len(classes) <= 254 or len({*classes}) < len(classes):
        raise InputError(f"--names: {file} must hold 1 to 254 classes, each once, one a line")
    return ("background", *classes)


def evaluate_folders(
    predictions: Path,
    masks: Path,
    list_file: Path,
    classes: int,
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the mIoU of anyone's label PNGs (palette or grey) against masks.

    Args:
        predictions, masks: folders of ID.png; predictions hold 0..classes - 1, masks also 255,
            which is not counted (and predictions where their mask has it).
        list_file: ids as `lists.read_ids` reads them.
        classes: labels, background included, 1 to 255.
        names: of the labels, for the summary; none: their numbers.

    Returns:
        {"miou", "per_class": {label: IoU, or None if neither folder has it}, "images", "list",
        "matrix", "summary": lines, "warnings"}; fractions.

    Raises:
        ValueError: all that is wrong with the files, in one message.
    """
    if not 1 <= classes <= 255:
        raise ValueError(f"classes: {classes} is outside 1 to 255")
    try:
        ids, problems = read_ids(list_file)
    except FileNotFoundError:
        raise ValueError(f"{list_file} is missing: a list of ids, one a line, is needed") from None
    matrix = np.zeros((classes, classes), np.int64)
    true, guessed = (Maps(folder, [], set(), {}) for folder in (masks, predictions))
    for name in ids:
        try:
            matrix += _compared(name, true, guessed, classes)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    refuse("of the files to evaluate are wrong", _impossible(true, guessed) + problems)
    values = [None if np.isnan(x) else float(x) for x in iou(matrix)]
    counted = [x for x in values if x is not None]
    return {
        "miou": sum(counted) / len(counted) if counted else float("nan"),
        "per_class": {str(label): value for label, value in enumerate(values)},
        "images": len(ids),
        "list": list_file.name,
        "matrix": matrix.tolist(),
        "summary": [
            _line("masks", true, names),
            _line("predictions", guessed, names),
            *_unlisted((true, guessed), ids),
        ],
        "warnings": _warnings(true, guessed, names),
    }


def _compared(name: str, true: Maps, guessed: Maps, classes: int) -> np.ndarray:
    """The confusion matrix of one picture."""
    files = [with_suffix(maps.folder, name, (".png",)) for maps in (true, guessed)]
    found = [read_label_map(file) for file in files]
    for maps, file, one in zip((true, guessed), files, found, strict=True):
        maps.note(file, one)
    truth, guess = (one.labels for one in found)
    if truth.shape != guess.shape:
        sizes = [f"{one.shape[1]} x {one.shape[0]}" for one in (truth, guess)]
        turned = "; is it transposed?" if truth.shape == guess.shape[::-1] else ""
        what = f"the mask has {sizes[0]} pixels (width x height), the prediction {sizes[1]}"
        raise ValueError(f"{what}: sizes disagree{turned}")
    for what, file, labels in (("mask", files[0], truth), ("prediction", files[1], guess)):
        strange = sorted({*np.unique(labels[truth != IGNORE]).tolist()} - {*range(classes)})
        if strange:
            shown = ", ".join(map(str, strange[:5]))
            rule = f"where 0..{classes - 1} {'or 255 belong' if what == 'mask' else 'belong'}"
            white = "; write the k-th class as k" if IGNORE in strange else ""
            raise ValueError(f"{file} ({what}): labels {shown} found {rule}{white}")
    return confusion(truth, np.where(truth == IGNORE, 0, guess), classes)


def _impossible(true: Maps, guessed: Maps) -> list[str]:
    """What is wrong with a folder as a whole; told first."""
    problems = suspicions.no_labels(true.labels, f"the masks in {true.folder}")
    for maps, others in ((guessed, true), (true, guessed)):
        where = f"the label maps in {maps.folder}"
        problems += suspicions.turned_grey(maps.grey, others.all(), where)
    return problems


def _warnings(true: Maps, guessed: Maps, names: Sequence[str]) -> list[str]:
    """What can be scored and may not be meant."""
    warnings = []
    for maps in (true, guessed):
        warnings += suspicions.moved([*maps.moved.items()], f"files of {maps.folder}")
        warnings += suspicions.no_background(maps.labels, f"the files of {maps.folder}")
        if not maps.all():
            warnings.append(f"no file of {maps.folder} holds any class: background only")
    only_guessed, only_true = guessed.all() - true.all(), true.all() - guessed.all()
    if only_guessed and only_true:
        both = f"{_named(only_guessed, names)} in predictions only, {_named(only_true, names)}"
        cure = "do both folders number the classes alike?"
        warnings.append(f"{both} in masks only (each counts as 0): {cure}")
    return warnings


def _unlisted(both: Sequence[Maps], ids: Sequence[str]) -> list[str]:
    """What lies in either folder and is not scored."""
    lines = []
    for maps in both:
        used = {with_suffix(maps.folder, name, (".png",)).name for name in ids}
        lines += [f"not in the list, not scored: {place}" for place in unused(maps.folder, used)]
    return lines


def _line(what: str, maps: Maps, names: Sequence[str]) -> str:
    counts = Counter(label for labels in maps.labels for label in labels)
    shown = [f"{_named([label], names)} in {counts[label]:,}" for label in sorted(counts)]
    return f"{what}: {len(maps.labels):,} files, label {', '.join(shown)}"


def _named(labels: Sequence[int] | set[int], names: Sequence[str]) -> str:
    """Labels with their names, where there are any."""
    known = {**dict(enumerate(names)), IGNORE: "not counted"}
    return ", ".join(f"{label} {known.get(label, '')}".strip() for label in sorted(labels))
