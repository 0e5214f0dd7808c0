"""Photographs with their masks, counts and tables: what the measures of `photos` have in common."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from aelib.course.follow import mined
from aelib.datasets.base import Lazy, Pictures
from aelib.datasets.saliency_maps import map_file, read_map
from aelib.evaluation import iou
from aelib.masks import IGNORE
from aelib.pipeline.finished import FinishedStages
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
    """Photographs read on access, in a random order (seed 0), until the time is up.

    Attributes:
        seen: how many the last pass over them saw.
    """

    def __init__(
        self, pictures: Pictures, masks: Lazy, chosen: Sequence[int], limit: float
    ) -> None:
        order = np.random.default_rng(0).permutation(len(chosen))
        self.pictures, self.masks, self.limit = pictures, masks, limit
        self.chosen = [chosen[i] for i in order]
        self.seen = 0

    def __iter__(self) -> Iterator[Photograph]:
        start, p, self.seen = time.monotonic(), self.pictures, 0
        for i in self.chosen:
            if time.monotonic() - start > self.limit:
                return
            self.seen += 1
            yield Photograph(p.ids[i], p.images[i], p.labels[i], self.masks[i])


@dataclass(eq=False)
class Source:
    """What is measured, and on which photographs.

    Attributes:
        run: the shipped one, or a whole one with the same stages and more.
        root: holds VOCdevkit.
        maps: learned saliency of training photographs; those without a map are left out.
        count: photographs; 0: as many as the measure asks for.
        minutes: for each measure; when they are over it says what it has seen.
    """

    run: FinishedStages
    root: Path
    maps: Path
    count: int
    minutes: float

    def split(self, name: str, count: int) -> Split:
        """Photographs of "train" or "val", `count` of them if `self.count` is not set; 0: all."""
        lists = {"train_list": "train_aug", "train_images": 100_000, "val_images": 100_000}
        data = open_data(replace(self.run.settings, data_root=str(self.root.absolute()), **lists))
        pictures, masks = data.pictures(name), data.truth(name).masks
        there = range(len(pictures))
        if name == "train":
            there = [i for i in there if map_file(self.maps, pictures.ids[i]).exists()]
        split = Split(pictures, masks, list(there), 60 * self.minutes)
        split.chosen = split.chosen[: self.count or count or None]
        return split

    def learned(self, one: Photograph) -> np.ndarray:
        """The photograph's learned saliency, (H, W) in [0, 1]."""
        return read_map(map_file(self.maps, one.name), one.mask.shape)

    def found(self, one: Photograph) -> list[np.ndarray]:
        """What each step and those before it mined, (C, H, W) bool each."""
        if self.run.finished("regions-1"):
            return self._stored(one)
        labels = torch.from_numpy(one.labels)
        return [step.found for step in mined(self.run, one.image, labels, self.run.settings.delta)]

    def _stored(self, one: Photograph) -> list[np.ndarray]:
        found, steps = np.zeros((len(one.labels), *one.mask.shape), bool), []
        for step in range(1, self.run.settings.erase_steps + 1):
            packed = _regions(self, step)
            for c in np.flatnonzero(one.labels):
                bits = packed[f"{one.name}/{c}"].numpy()
                found[c] |= np.unpackbits(bits, axis=1, count=found.shape[2]).astype(bool)
            steps.append(found.copy())
        return steps


@cache
def _regions(source: Source, step: int) -> dict[str, torch.Tensor]:
    return source.run.tensors(f"regions-{step}", "regions.safetensors")


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
