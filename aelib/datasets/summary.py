"""What is in a data set, in a few lines that a person can hold against what it should be."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import fill

from ..masks import IGNORE
from . import suspicions
from .looks import Seen
from .selection import Item, is_kept
from .unused import Unused

_CURE = "give it the name that data/README.md says, or take it away"


@dataclass(frozen=True)
class Split:
    """The pictures of a list, and what was seen of them.

    Attributes:
        name: of the list.
        listed: all pictures in it.
        items: those that are chosen.
        seen: of each of them; `looks.look`.
    """

    name: str
    listed: Sequence[Item]
    items: Sequence[Item]
    seen: Sequence[Seen]


@dataclass(frozen=True)
class Summary:
    """What a data set's `check` found.

    Attributes:
        pictures: how many are chosen, by the name of their list.
        classes: those that are kept.
        known: all classes: the k-th is label k in the masks.
        splits: "train" or "val" -> its pictures; none of what is drawn.
        unused: what lies there and nothing reads.
    """

    pictures: dict[str, int]
    classes: Sequence[str] = ()
    known: Sequence[str] = ()
    splits: dict[str, Split] = field(default_factory=dict)
    unused: list[Unused] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Of each list: pictures, classes, sizes; masks and the labels in them."""
        found = []
        for split in self.splits.values():
            found.append(_pictures(split, self.classes))
            found.append(_masks(split, self.known))
        return [fill(line, 100, subsequent_indent="    ") for line in found if line]

    def warnings(self, split: str) -> list[str]:
        """What cannot be meant, of "train" or "val"."""
        if split not in self.splits:
            return []
        found = self.splits[split]
        warnings = suspicions.masks(found.items, found.seen, self.known)
        if split == "train":
            warnings += suspicions.classes([item.labels for item in found.items], self.classes)
            warnings += suspicions.named_nothing(self.known)
        return [f"{found.name}: {text}" for text in warnings]

    def all_warnings(self) -> list[str]:
        """Those of all splits, and what lies there unused."""
        found = [text for split in self.splits for text in self.warnings(split)]
        return found + [f"nothing reads {place}; {_CURE}" for place in self.unused]


def _pictures(split: Split, classes: Sequence[str]) -> str:
    counts = Counter(name for item in split.items for name in item.labels)
    several = sum(len(item.labels.intersection(classes)) > 1 for item in split.items)
    none = sum(not item.labels for item in split.items)
    sizes = [seen.size for seen in split.seen if seen.size]
    least, most = (tuple(map(bound, zip(*sizes, strict=True))) for bound in (min, max))
    shown = ", ".join(f"{name} {counts[name]:,}" for name in classes if counts[name])
    absent = [name for name in classes if not counts[name]]
    shown += f", none with {', '.join(absent)}" if absent else ""
    pixels = f"{least[1]} x {least[0]}"
    if most != least:
        pixels += f" to {most[1]} x {most[0]}"
    return (
        f"{split.name}: {len(split.items):,} pictures{_left_out(split, classes)}: {shown}; "
        f"several classes {several:,}, no label {none:,}; {pixels} pixels (width x height)"
    )


def _left_out(split: Split, classes: Sequence[str]) -> str:
    """How many of the list are not taken, and why."""
    others = sum(not is_kept(item, classes) for item in split.listed)
    surplus = len(split.listed) - others - len(split.items)
    why = [f"{others:,} show other classes only"] if others else []
    why += [f"{surplus:,} more than were asked for"] if surplus else []
    return f" of {len(split.listed):,} (left out: {', '.join(why)})" if why else ""


def _masks(split: Split, known: Sequence[str]) -> str:
    masks = [seen.labels for seen in split.seen if seen.labels is not None]
    if not masks:
        return f"{split.name}: no masks"
    names = {0: "0 background", IGNORE: f"{IGNORE} not counted"}
    names |= {label: f"{label} {name}" for label, name in enumerate(known, start=1)}
    counts = Counter(label for labels in masks for label in labels)
    shown = ", ".join(f"{names.get(label, label)} in {counts[label]:,}" for label in sorted(counts))
    return f"{split.name}: {len(masks):,} masks, label {shown}"
