"""Which pictures and classes of a data set a run takes."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..masks import IGNORE
from ..support.files import nearest

ALL: Mapping[str, int] = MappingProxyType({"train": 0, "val": 0})  # limits that take everything


class Item(NamedTuple):
    """A picture on disk."""

    id: str
    photo: Path
    mask: Path  # this file need not exist
    labels: frozenset[str]  # names of the classes in the picture; empty: it shows none


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

    Items without any label show that there is nothing: they are among them.

    Raises:
        ValueError: limit is negative, or no item has any of the classes.
    """
    if limit < 0:
        raise ValueError(f"limit: {limit} pictures were asked for; 0 takes all")
    found = {item.id: item for item in items if is_kept(item, classes)}
    if not any(item.labels for item in found.values()):
        raise ValueError(f"classes: no picture has one of {', '.join(classes)}")
    names = sorted(found) if not limit else seeded(found, seed)[:limit]
    return tuple(found[name] for name in sorted(names))


def is_kept(item: Item, classes: Sequence[str]) -> bool:
    """Whether a picture shows one of the classes, or nothing at all."""
    return not item.labels or not item.labels.isdisjoint(classes)


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
