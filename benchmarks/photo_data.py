"""Photographs with their masks, counts and tables: what the measures of `photos` have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aelib.datasets.saliency_maps import map_file
from aelib.evaluation import iou
from aelib.masks import IGNORE
from aelib.pipeline.run import Run
from aelib.pipeline.stages.inputs import open_data

SHARES = "foreground right, background right, labelled, objects labelled right, background found"


class Photograph(NamedTuple):
    """A photograph with all that is known of it.

    Attributes:
        name: its id.
        image: (H, W, 3) uint8.
        labels: (C,) bool.
        mask: the true one, (H, W) uint8.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


class Split:
    """Photographs of a split, read on access: the first `count` of a random order, 0 for all."""

    def __init__(self, run: Run, root: Path, split: str, maps: Path | None, count: int) -> None:
        lists = {"train_list": "train_aug", "train_images": 100_000, "val_images": 100_000}
        data = open_data(replace(run.settings, data_root=str(root.absolute()), **lists))
        self.pictures, self.masks = data.pictures(split), data.truth(split).masks
        there = [i for i, name in enumerate(self.pictures.ids) if self._mapped(name, maps)]
        order = np.random.default_rng(0).permutation(there)
        self.chosen = order[: count or len(order)].tolist()

    def _mapped(self, name: str, maps: Path | None) -> bool:
        return maps is None or map_file(maps, name).exists()

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[Photograph]:
        p = self.pictures
        for i in self.chosen:
            yield Photograph(p.ids[i], p.images[i], p.labels[i], self.masks[i])


def miou(matrix: np.ndarray) -> float:
    """In %, of the classes that are there."""
    return 100 * float(np.nanmean(iou(matrix)))


def table(head: str, rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers with one digit."""
    names = head.split(", ")
    lines = [names, ["---", *["---:"] * (len(names) - 1)]]
    lines += [[f"{x:.1f}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def add(counts: dict[Any, np.ndarray], key: Any, more: np.ndarray) -> None:
    """counts[key] += more, from 0 on."""
    counts[key] = counts.get(key, 0) + more


def quality(mask: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Pixels: foreground of S, right; background of S, right; all, of objects, of background."""
    known = mask != IGNORE
    front, back = known & (S > 0) & (S != IGNORE), known & (S == 0)
    right = known & (mask == S)
    groups = (front, front & right, back, back & right, known, known & (mask > 0), mask == 0)
    return np.array([group.sum() for group in groups])


def shares(counts: np.ndarray) -> list[float]:
    """SHARES of what `quality` counted, in %."""
    front, front_right, back, back_right, known, objects, background = counts.tolist()
    parts = (front_right, back_right, front + back, front_right, back_right)
    return [
        100 * part / max(whole, 1)
        for part, whole in zip(parts, (front, back, known, objects, background), strict=True)
    ]
