"""Which pictures and classes of a data set a run takes, and what is wrong with their files."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..masks import IGNORE
from ..support.files import nearest
from ..support.parallel import in_order
from .photos import read_labels, read_photo

ALL: Mapping[str, int] = MappingProxyType({"train": 0, "val": 0})  # limits that take everything


class Item(NamedTuple):
    """A picture on disk."""

    id: str
    photo: Path
    mask: Path  # this file need not exist
    labels: frozenset[str]  # names of the classes in the picture


def seeded(names: Iterable[str], seed: int) -> list[str]:
    """The names in a random order that depends on them and the seed alone, not on their order.

    Each name is placed by its own hash. So the order of two names does not depend on the others,
    and the first 60 of a data set are among its first 600.
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())


def kept(classes: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The classes that are asked for, in the order they are known in; all if none is asked for.

    Raises:
        ValueError: a class is unknown; says which is nearest.
    """
    names, problems = kept_at_all(classes, known)
    if problems:
        raise ValueError(problems[0])
    return names


def kept_at_all(classes: Iterable[str], known: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """For a check that goes on: `kept` of the known ones, and what is wrong with the others."""
    asked = {classes} if isinstance(classes, str) else set(classes)
    unknown = sorted(asked.difference(known))
    names = tuple(name for name in known if name in asked) or tuple(known)
    if not unknown:
        return names, []
    wrong = ", ".join(f"{name!r} is unknown{nearest(name, known)}" for name in unknown)
    return names, [f"classes: {wrong}; there are {', '.join(known)}"]


def choose(
    items: Iterable[Item], classes: Sequence[str], limit: int, seed: int
) -> tuple[Item, ...]:
    """`limit` random ones (0: all) of the items that show a class of these, sorted by id.

    Raises:
        ValueError: limit is negative, or no item has any of the classes.
    """
    if limit < 0:
        raise ValueError(f"limit: {limit} pictures were asked for; 0 takes all")
    found = {item.id: item for item in items if not item.labels.isdisjoint(classes)}
    if not found:
        raise ValueError(f"classes: no picture has one of {', '.join(classes)}")
    names = sorted(found) if not limit else seeded(found, seed)[:limit]
    return tuple(found[name] for name in sorted(names))


def relabelling(classes: Sequence[str], known: Sequence[str]) -> bytes:
    """The table from labels of the known classes to labels of the kept ones, 256 bytes.

    k becomes j where known[k - 1] is classes[j - 1]; 0 stays 0. Classes that are left out become
    255, neither counted nor learned from: a sofa is not background, and not a class that the
    network could answer.
    """
    table = bytearray([IGNORE] * 256)
    table[0] = 0
    for j, name in enumerate(classes, start=1):
        table[known.index(name) + 1] = j
    return bytes(table)


def faults(photo: Path, mask: Path | None, highest: int) -> list[str]:
    """All that is wrong with a photo and its mask.

    Both are decoded, for nothing less finds a truncated file.

    Args:
        mask: a label map of the photo's size, 0..highest and 255; None if it needs none.
    """
    problems = []
    size = None
    try:
        size = read_photo(photo).shape[:2]
    except FileNotFoundError:
        problems.append(f"{photo} is missing")
    except ValueError as error:
        problems.append(str(error))
    if mask is None:
        return problems
    try:
        labels = read_labels(mask)
    except ValueError as error:
        return [*problems, str(error)]
    if size is not None and labels.shape != size:
        height, width = labels.shape
        found = f"{width} x {height} pixels (width x height)"
        problems.append(f"{mask} has {found}, its photo {size[1]} x {size[0]}")
    strange = sorted(set(np.unique(labels).tolist()) - {*range(highest + 1), IGNORE})
    if strange:
        shown = ", ".join(map(str, strange[:5]))
        problems.append(f"{mask}: labels {shown} found where 0..{highest} and {IGNORE} belong")
    return problems


def all_faults(
    jobs: Sequence[tuple[Path, Path | None, int]],
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """`faults` of every job, in worker processes.

    Args:
        progress: called with the number of jobs done and of all.
    """
    problems = []
    for done, found in enumerate(in_order(faults, jobs, workers), start=1):
        problems += found
        if progress is not None:
            progress(done, len(jobs))
    return problems
