"""Your own pictures: photographs, a table that says what is in each, and masks if there are any.

    ROOT/images/FILE       photographs (photos.FORMATS)
         labels.csv        file,labels[,split]    cat1.jpg,cat;sofa,train
         classes.txt       optional: the classes in order, one a line; without it the table's, sorted
         masks/ID.png      optional: label maps; ID is FILE without its suffix; 0 background, k the k-th class, 255 not counted

Without the column `split` a share of the pictures, chosen by the seed, is val.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import photos
from .data import Pictures, Truth, photo_pictures, photo_truth
from .files import nearest, plain, refuse
from .photos import Item

SPLITS = ("train", "val")
VAL_SHARE = 0.2


def pictures(
    root: str | os.PathLike, split: str, classes: Sequence[str] = (), limit: int = 0, seed: int = 0, longest: int = 0, val_share: float = VAL_SHARE
) -> Pictures:
    """A split as training sees it; no mask is opened.

    Args:
        root: the folder above.
        split: "train" or "val".
        classes: names of those to keep (none: all), in the data set's order; pictures that have none of them are left out.
        limit: so many pictures at random, if there are more; 0 takes all.
        seed: of that choice, and of the split where the table has none; neither depends on the table's order.
        longest: photographs with a longer side are reduced to it, pixels; 0 never.
        val_share: of the pictures, where the table has no column `split`; between 0 and 1. At least one picture is in each split.

    Raises:
        ValueError: all that is wrong with the table and classes.txt, at once (see `check`); an unknown class or split.
    """
    names, items, _ = _chosen(Path(root), split, classes, limit, seed, val_share)
    return photo_pictures(items, names, longest)


def truth(
    root: str | os.PathLike, split: str, classes: Sequence[str] = (), limit: int = 0, seed: int = 0, longest: int = 0, val_share: float = VAL_SHARE
) -> Truth | None:
    """The masks of `pictures(root, split, ...)`; classes that are not kept are 255 in them. None if no picture of them has a mask.

    Raises:
        ValueError: as `pictures`; or some of the pictures have a mask and others have none: a score over some would pass for one over all.
    """
    names, items, known = _chosen(Path(root), split, classes, limit, seed, val_share)
    if not any(item.mask.exists() for item in items):
        return None
    refuse(f"masks of {split} are missing", _unmasked(items))
    return photo_truth(items, names, known, longest)


def check(
    root: str | os.PathLike,
    splits: Mapping[str, int],
    classes: Sequence[str] = (),
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    val_share: float = VAL_SHARE,
) -> dict[str, int]:
    """Everything that is wrong with a data set, before any training; as `voc.check`.

    Args:
        splits: name -> limit, as in `pictures`; photos and masks are only checked of what is chosen.

    Returns:
        name -> pictures chosen.

    Raises:
        ValueError: a table that is missing, empty, without header or with an unknown column; a file that is listed twice, is no plain
            file name, or is missing; no labels; a class that is unknown or written in two ways; an unknown split; a photo or mask that is
            damaged; a mask that is no label map, has another size than its photo or labels outside 0..C and 255; masks for some pictures
            of a split only. All of them in one message.
    """
    known, table, problems = _read(Path(root), seed, val_share)
    chosen = {}
    if not problems:
        names, problems = photos.kept_at_all(classes, known)
        for split, limit in splits.items():
            try:
                chosen[split] = photos.choose(_of(table, split), names, limit, seed)
            except ValueError as error:
                problems.append(f"{split}: {error}")
    else:  # whatever can be read is looked at all the same
        chosen = {split: tuple(table.get(split, ())) for split in splits}
    jobs = []
    for items in chosen.values():
        masked = any(item.mask.exists() for item in items)
        problems += _unmasked(items) if masked else []
        jobs += [(item.photo, item.mask if item.mask.exists() else None, len(known)) for item in items]
    problems += photos.all_faults(jobs, workers, progress)
    refuse(f"problem(s) with the data in {root}", problems)
    return {split: len(items) for split, items in chosen.items()}


def _chosen(root: Path, split: str, classes: Sequence[str], limit: int, seed: int, val_share: float):
    """(kept classes, items, all classes)."""
    known, table, problems = _read(root, seed, val_share)
    refuse(f"problem(s) with the data in {root}", problems)
    names = photos.kept(classes, known)
    return names, photos.choose(_of(table, split), names, limit, seed), known


def _of(table: Mapping[str, list[Item]], split: str) -> list[Item]:
    if split not in SPLITS:
        raise ValueError(f"split: {split!r} is unknown{nearest(split, SPLITS)}; there are {', '.join(SPLITS)}")
    return table[split]


def _unmasked(items: Sequence[Item]) -> list[str]:
    return [f"{item.mask} is missing, though other pictures of its split have masks" for item in items if not item.mask.exists()]


def _read(root: Path, seed: int, val_share: float) -> tuple[tuple[str, ...], dict[str, list[Item]], list[str]]:
    """The classes, the pictures of each split, and all that is wrong."""
    if not 0 < val_share < 1:
        raise ValueError(f"val_share: {val_share} is not between 0 and 1")
    if not root.is_dir():
        raise ValueError(f"{root} is no folder; data/README.md says how your own pictures are laid out")
    rows, problems = _rows(root / "labels.csv")
    items, splits, seen = [], {}, Counter()
    for line, row in rows:
        where = f"{root / 'labels.csv'}, line {line}"
        file, name = row["file"], Path(row["file"]).stem
        labels = frozenset(filter(None, (label.strip() for label in row["labels"].split(";"))))
        if not plain(file):
            problems.append(f"{where}: file {file!r} is no plain file name of the folder images")
            continue
        seen[name] += 1
        if seen[name] > 1:
            problems.append(f"{where}: {name} is listed more than once (files must differ in more than their suffix)")
            continue
        if not labels:
            problems.append(f"{where}: {file} has no labels")
        split = row.get("split", "")
        if "split" in row and split not in SPLITS:
            problems.append(f"{where}: split {split!r} is unknown{nearest(split, SPLITS)}; there are {', '.join(SPLITS)}")
        splits[name] = split
        items.append(Item(name, root / "images" / file, root / "masks" / f"{name}.png", labels))
    known, more = _classes(root, items)
    problems += more
    if items and "split" not in rows[0][1]:
        held_out = max(1, min(len(items) - 1, round(val_share * len(items))))
        order = photos.seeded((item.id for item in items), seed)
        splits = dict.fromkeys(order[:held_out], "val") | dict.fromkeys(order[held_out:], "train")
    table = {split: [item for item in items if splits[item.id] == split] for split in SPLITS}
    if items and not problems:
        problems += [f"{root / 'labels.csv'}: no picture is in {split}" for split in SPLITS if not table[split]]
    return known, table, problems


def _rows(file: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """(line, column -> value) of the table, and what is wrong with it as a table."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:  # spreadsheets begin with a byte order mark
            reader = csv.reader(stream, strict=True)
            lines = [(reader.line_num, [value.strip() for value in row]) for row in reader if any(map(str.strip, row))]
    except FileNotFoundError:
        return [], [f"{file} is missing: a table with the columns file and labels (separated by semicolons), optionally split"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return [], [f"{file} cannot be read as a table in UTF-8, values separated by commas ({error})"]
    if len(lines) < 2:
        return [], [f"{file} is empty: a header (file,labels) and a line for each picture are needed"]
    header = lines[0][1]
    if not {"file", "labels"} <= {*header} <= {"file", "labels", "split"} or len({*header}) < len(header):
        return [], [f"{file}: the header must be file,labels or file,labels,split, and is {','.join(header)}"]
    problems = [f"{file}, line {n}: {len(row)} values where {len(header)} belong" for n, row in lines[1:] if len(row) != len(header)]
    return [(n, dict(zip(header, row, strict=True))) for n, row in lines[1:] if len(row) == len(header)], problems


def _classes(root: Path, items: Sequence[Item]) -> tuple[tuple[str, ...], list[str]]:
    """The classes in order, and what is wrong with their names."""
    used, file = sorted(frozenset().union(*(item.labels for item in items))), root / "classes.txt"
    try:
        classes = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        source = file
    except FileNotFoundError:
        classes, source = used, root / "labels.csv"
    except (OSError, UnicodeDecodeError) as error:
        return (), [f"{file} cannot be read ({error}); one class a line is needed"]
    problems = [f"{root / 'labels.csv'}: class {name!r} is not in classes.txt{nearest(name, classes)}" for name in used if name not in classes]
    spelt = Counter(name.casefold() for name in classes)
    problems += [f"{source}: class {name!r} is there more than once, perhaps in capitals" for name, count in spelt.items() if count > 1]
    if "background" in spelt:
        problems.append(f"{source}: 'background' is no class; every picture has one, and it is label 0")
    if not 1 <= len(classes) <= 254 and (items or source == file):
        problems.append(f"{source}: {len(classes)} classes; 1 to 254 can be told apart in masks of 8 bits")
    return tuple(classes), problems
