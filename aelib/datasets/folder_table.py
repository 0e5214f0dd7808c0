"""labels.csv and classes.txt of a folder of your own pictures; see `folder` for what they hold."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from ..support.files import nearest, plain
from ..support.kinds import pruned
from .found import missing, with_suffix
from .lists import read_text
from .selection import Item, seeded
from .suspicions import joined

SPLITS = ("train", "val")


class Listing(NamedTuple):
    """What labels.csv and classes.txt say."""

    classes: tuple[str, ...]
    table: dict[str, list[Item]]  # by split
    problems: list[str]


def unknown_split(split: str) -> str:
    """What is said of a split that is none."""
    return f"{split!r} is unknown{nearest(split, SPLITS)}; there are {', '.join(SPLITS)}"


def read_listing(root: Path, seed: int, val_share: float) -> Listing:
    """Read both files; see `folder.Folder` for the arguments.

    Raises:
        ValueError: there is no such folder.
    """
    if not root.is_dir():
        hint = "data/README.md says how your own pictures are laid out"
        raise ValueError(f"{root} is no folder; {hint}")
    file = root / "labels.csv"
    rows, problems = _rows(file)
    items = []
    splits = {}
    seen = Counter()
    for line, row in rows:
        where = f"{file}, line {line}"
        name = Path(row["file"]).stem
        labels = frozenset(filter(None, (label.strip() for label in row["labels"].split(";"))))
        if not plain(row["file"]):
            rule = "is no plain file name of the folder images"
            problems.append(f"{where}: file {row['file']!r} {rule}")
            continue
        seen[name] += 1
        if seen[name] > 1:
            rule = "(files must differ in more than their suffix)"
            problems.append(f"{where}: {name} is listed more than once {rule}")
            continue
        splits[name] = row.get("split", "").casefold()
        if "split" in row and splits[name] not in SPLITS:
            problems.append(f"{where}: split {unknown_split(row['split'])}")
        mask = with_suffix(root / "masks", name, (".png",))
        items.append(Item(name, root / "images" / row["file"], mask, labels))
    if items and not any(item.labels for item in items):
        problems.append(f"{file}: no picture has a label")
    classes, more = _classes(root, items)
    problems += more
    if items and "split" not in rows[0][1]:
        held_out = max(1, min(len(items) - 1, round(val_share * len(items))))
        order = seeded(splits, seed)
        splits = dict.fromkeys(order[:held_out], "val") | dict.fromkeys(order[held_out:], "train")
    table = {split: [item for item in items if splits[item.id] == split] for split in SPLITS}
    if items and not problems:
        problems += [f"{file}: no picture is in {split}" for split in SPLITS if not table[split]]
    return Listing(classes, table, problems)


def _rows(file: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """(line, column -> value) of the table, and what is wrong with it as a table."""
    root = file.parent
    try:
        lines, comma = _cells(read_text(file))
    except FileNotFoundError:
        rule = "a table with the columns file and labels (separated by semicolons), optionally"
        others = [name for name in pruned(root) if name.startswith("labels.")]
        said = f" ({others[0]} is there: save it as CSV UTF-8)" if others else ""
        return [], [f"{missing(file)}{said}: {rule} split"]
    except ValueError as error:
        return [], [str(error)]
    except csv.Error as error:
        rule = "as a table in UTF-8, values separated by commas"
        return [], [f"{file} cannot be read {rule} ({error})"]
    if len(lines) < 2:
        rule = "a header (file,labels) and a line for each picture are needed"
        return [], [f"{file} is empty: {rule}"]
    header = [name.casefold() for name in lines[0][1]]
    while not header[-1]:
        header.pop()
    known = {"file", "labels"} <= {*header} <= {"file", "labels", "split"}
    if not known or len({*header}) < len(header):
        rule = "the header must be file,labels or file,labels,split"
        return [], [f"{file}: {rule}, and is {','.join(lines[0][1])}"]
    rows = []
    problems = []
    for number, row in lines[1:]:
        values = row[: len(header)] if not any(row[len(header) :]) else row  # Excel's empty ones
        if len(values) == len(header):
            rows.append((number, dict(zip(header, values, strict=True))))
        else:
            rule = f"{len(row)} values where {len(header)} belong"
            cure = f"; put a value with {comma!r} in it between quotes" if comma != "," else ""
            problems.append(f"{file}, line {number}: {rule}{cure}")
    return rows, problems


def _cells(text: str) -> tuple[list[tuple[int, list[str]]], str]:
    """(line, values) of each line that is not empty, and what separates them.

    Excel writes semicolons or tabs where its language has a comma in numbers, may say so in a
    first line ("sep=;"), and adds empty columns. Raises csv.Error.
    """
    first, _, rest = text.partition("\n")
    named = re.fullmatch(r'"?sep=(.)"?\s*', first.casefold())
    header = rest.partition("\n")[0] if named else first
    comma = named[1] if named else next((c for c in ",;\t|" if c in header), ",")
    body = rest if named else text
    reader = csv.reader(StringIO(body, newline=""), strict=True, delimiter=comma)
    lines = []
    for row in reader:
        values = [value.strip() for value in row]
        if any(values):
            lines.append((reader.line_num + bool(named), values))
    return lines, comma


def _classes(root: Path, items: Sequence[Item]) -> tuple[tuple[str, ...], list[str]]:
    """The classes in order, and what is wrong with their names."""
    table = root / "labels.csv"
    file = root / "classes.txt"
    used = sorted(frozenset().union(*(item.labels for item in items)))
    try:
        lines = read_text(file).splitlines()
        classes = [line.strip() for line in lines if line.strip()]
        source = file
    except FileNotFoundError:
        classes = used
        source = table
    except ValueError as error:
        return (), [f"{error}; one class a line is needed"]
    listed = classes if source == file else []
    problems = [f"{table}: {problem}" for problem in joined(used, listed)]
    empty = "(leave the cell of labels empty where a picture shows none of the classes)"
    problems += [
        f"{table}: class {name!r} is not in classes.txt{nearest(name, classes) or ' ' + empty}"
        for name in used
        if name not in classes
    ]
    spelt = Counter(name.casefold() for name in classes)
    for name, count in spelt.items():
        if count > 1:
            rule = "is there more than once, perhaps in capitals"
            problems.append(f"{source}: class {name!r} {rule}")
    if "background" in spelt:
        rule = "is no class; every picture has one, and it is label 0"
        problems.append(f"{source}: 'background' {rule}")
    if not 1 <= len(classes) <= 254 and (items or source == file):
        rule = "1 to 254 can be told apart in masks of 8 bits"
        problems.append(f"{source}: {len(classes)} classes; {rule}")
    return tuple(classes), problems
