"""What docs/photographs.md says of the shipped networks, measured again: Markdown tables.

Choices are made on training photographs, by their masks; `val` is scored for what was chosen.

Usage: python benchmarks/photos.py [NAME...] [--root ../shared/voc] [--maps ../shared/voc/saliency]
                                   [--count N]

NAME is one of MEASURES; all of them without a name. --root holds VOCdevkit, --maps the learned
saliency of training photographs; only photographs with a map are taken, in a random order (seed 0).
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from photo_data import SHARES, Split, add, miou, quality, shares, table
from photo_masks import pseudo_masks, views

from aelib import psl
from aelib.course import kept, photographs
from aelib.crf import refine_present
from aelib.evaluation import confusion
from aelib.masks import IGNORE
from aelib.pipeline import stages
from aelib.pipeline.bootstrap import DRAWS
from aelib.pipeline.run import Run

TEMPERATURES = (1.0, 1.5, 2.0, 3.0)
CHOSEN = 1.5  # by `temperatures`
LEAST = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)  # probabilities of the CRF's answer


def temperatures(run: Run, root: Path, maps: Path, count: int) -> Iterator[str]:
    """The CRF at several temperatures among the labels' classes; masks with a least confidence."""
    train, s = Split(run, root, "train", maps, count or 150), run.settings
    classes, matrices, sure = len(stages.classes_of(run)) + 1, {}, {}
    for one in train:
        known = np.pad(one.labels, (1, 0), constant_values=True)
        for name in ("AE-step3", "AE+PSL"):
            f = next(stages.probabilities(run, kept.network(run, name), [one.image])).numpy()
            plain = (f * known[:, None, None]).argmax(axis=0)
            add(matrices, (name, 0), confusion(one.mask, plain, classes))
            for t in TEMPERATURES:
                crf = replace(stages.crf_of(s), temperature=t)
                q = refine_present(one.image, f, known, crf, s.crf_engine)
                add(matrices, (name, t), confusion(one.mask, q.argmax(axis=0), classes))
                for least in LEAST if (name, t) == ("AE+PSL", s.crf_temperature) else ():
                    S = np.where(q.max(axis=0) < least, IGNORE, q.argmax(axis=0))
                    add(sure, least, quality(one.mask, S))
    yield f"{len(train)} training photographs: mIoU in %, CRF among the classes of the labels"
    names = sorted({name for name, _ in matrices})
    rows = [[name, *(miou(matrices[name, t]) for t in (0, *TEMPERATURES))] for name in names]
    yield table("network, without CRF, " + ", ".join(f"T = {t:g}" for t in TEMPERATURES), rows)
    yield "masks of AE+PSL with CRF (T = 1) above a least probability, in % of pixels"
    yield table(f"least, {SHARES}", [[f"{least:g}", *shares(n)] for least, n in sure.items()])


def scores(run: Run, root: Path, maps: Path, count: int) -> Iterator[str]:
    """val: the networks, and their differences on the same photographs with 95 % intervals."""
    val, s = Split(run, root, "val", None, count), run.settings
    classes, matrices = len(stages.classes_of(run)) + 1, {}
    for one in val:
        v = stages.confidences(run, [one.image])
        for name in photographs.networks(s):
            f = next(stages.probabilities(run, kept.network(run, name), [one.image])).numpy()
            for prohibited in (False, True) if name == "AE-step3" else (True,):
                allowed = psl.allowed(v, s.prohibit_threshold if prohibited else 0.0)[0].numpy()
                label = f"{name}{', prohibited' if prohibited else ''}"
                answers = {"": f * allowed[:, None, None]}
                for t in (1.0, CHOSEN) if prohibited else (1.0,):
                    crf = replace(stages.crf_of(s), temperature=t)
                    q = refine_present(one.image, f, allowed, crf, s.crf_engine)
                    answers[f", CRF T = {t:g}"] = q
                for how, q in answers.items():
                    counted = confusion(one.mask, q.argmax(axis=0), classes)
                    matrices.setdefault(f"{label}{how}", []).append(counted)
    stacked = {name: np.stack(counted) for name, counted in matrices.items()}
    yield f"{len(val)} val photographs, mIoU in %"
    yield table("network, mIoU", [[name, miou(n.sum(axis=0))] for name, n in stacked.items()])
    yield "differences on the same photographs, in points, with 95 % intervals (paired bootstrap)"
    yield table("first - second, difference, low, high", list(_differences(stacked)))


def _differences(stacked: dict[str, np.ndarray]) -> Iterator[list[object]]:
    """Of each two networks that were scored alike, and of T alone."""
    names = list(stacked)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            alike = first.partition(", CRF")[2] == second.partition(", CRF")[2]
            same = first.partition(", CRF")[0] == second.partition(", CRF")[0]
            if alike or (same and ", CRF" in first):
                ends = difference(stacked[first], stacked[second]).tolist()
                gap = miou(stacked[first].sum(axis=0)) - miou(stacked[second].sum(axis=0))
                yield [f"{first} - {second}", gap, *ends]


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """95 % of the mIoU differences, in points, lie within: both see the same pictures drawn anew.

    first, second: each picture's confusion matrix, (n, C + 1, C + 1). See `bootstrap`.
    """
    drawn = np.random.default_rng(0).integers(0, len(first), (DRAWS, len(first)))
    gaps = [miou(first[i].sum(axis=0)) - miou(second[i].sum(axis=0)) for i in drawn]
    return np.percentile(gaps, [2.5, 97.5])


MEASURES = {
    "temperatures": temperatures,
    "pseudo_masks": pseudo_masks,
    "views": views,
    "scores": scores,
}


def main() -> None:
    """Print the tables of each measure as it is done, and seconds and memory of a training step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=(*MEASURES, []), default=[], metavar="NAME")
    parser.add_argument("--root", type=Path, default=Path("../shared/voc"))
    parser.add_argument("--maps", type=Path, default=Path("../shared/voc/saliency"))
    parser.add_argument("--count", type=int, default=0, help="photographs; default: as documented")
    a = parser.parse_args()
    torch.set_num_threads(1)
    run = photographs.shipped()
    for name in a.names or MEASURES:
        for text in MEASURES[name](run, a.root, a.maps, a.count):
            print(f"{text}\n", flush=True)


if __name__ == "__main__":
    main()
