"""What docs/photographs.md says of the shipped networks, measured again: Markdown tables.

Choices are made on training photographs, by their masks; `val` is scored for what was chosen.

Usage: python benchmarks/photos.py [NAME...] [--run DIR] [--root ../shared/voc]
                                   [--maps ../shared/voc/saliency] [--count N] [--minutes M]

NAME is one of MEASURES; all of them without a name. Without --run the shipped networks mine and
answer; a whole run has its regions and scores stored. --root holds VOCdevkit, --maps the learned
saliency of training photographs; only photographs with a map are taken, in a random order (seed 0),
until M minutes of a measure are over.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import photo_steps
import torch
from photo_data import SHARES, Source, add, miou, quality, shares, table
from photo_masks import cues, pseudo_masks, views

from aelib import psl
from aelib.course import kept, photographs
from aelib.crf import refine_present
from aelib.evaluation import confusion
from aelib.masks import IGNORE
from aelib.pipeline import stages
from aelib.pipeline.bootstrap import DRAWS

TEMPERATURES = (1.0, 1.5, 2.0, 3.0)
CHOSEN = 3.0  # T for val: the best of `temperatures`, on 150 training photographs
LEAST = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)  # probabilities of the CRF's answer


def temperatures(source: Source) -> Iterator[str]:
    """The CRF at several temperatures among the labels' classes; masks with a least confidence."""
    run, train, matrices, sure = source.run, source.split("train", 150), {}, {}
    s, classes = run.settings, len(stages.classes_of(run)) + 1
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
    yield f"{train.seen} training photographs: mIoU in %, CRF among the classes of the labels"
    names = sorted({name for name, _ in matrices})
    rows = [[name, *(miou(matrices[name, t]) for t in (0, *TEMPERATURES))] for name in names]
    yield table("network, without CRF, " + ", ".join(f"T = {t:g}" for t in TEMPERATURES), rows)
    yield "masks of AE+PSL with CRF (T = 1) above a least probability, in % of pixels"
    yield table(f"least, {SHARES}", [[f"{least:g}", *shares(n)] for least, n in sure.items()])


def chosen_temperature(source: Source) -> Iterator[str]:
    """val: the CRF at T = 1 and at the T that `temperatures` chose, all prohibited at test."""
    run, val, matrices = source.run, source.split("val", 0), {}
    s, classes = run.settings, len(stages.classes_of(run)) + 1
    for one in val:
        v = stages.confidences(run, [one.image])
        allowed = psl.allowed(v, s.prohibit_threshold)[0].numpy()
        for name in photographs.networks(s):
            f = next(stages.probabilities(run, kept.network(run, name), [one.image])).numpy()
            for t in (1.0, CHOSEN):
                crf = replace(stages.crf_of(s), temperature=t)
                q = refine_present(one.image, f, allowed, crf, s.crf_engine)
                counted = confusion(one.mask, q.argmax(axis=0), classes)
                matrices.setdefault((name, f"T = {t:g}"), []).append(counted)
    yield f"{val.seen} val photographs, CRF, prohibited at test"
    yield from _compared({key: np.stack(counted) for key, counted in matrices.items()})


def scores(source: Source) -> Iterator[str]:
    """val: the networks of a whole run, from each photograph's stored confusion matrix."""
    run, matrices = source.run, {}
    for name in photographs.networks(run.settings):
        if not run.finished(f"scores-{name}"):
            yield "scores: not measured, a whole run (--run) holds them"
            return
        stored = run.tensors(f"scores-{name}", "confusions.safetensors")
        for how, counts in stored.items():
            matrices[name, how] = counts.numpy()
    yield f"{len(counts)} val photographs"
    yield from _compared(matrices)


def _compared(matrices: dict[tuple[str, str], np.ndarray]) -> Iterator[str]:
    """mIoU of each (network, how it was scored), and all differences in one of the two."""
    rows = [[*key, miou(n.sum(axis=0))] for key, n in matrices.items()]
    yield table("network, scored, mIoU in %", rows)
    rows = []
    for a, b in combinations(matrices, 2):
        if a[0] == b[0] or a[1] == b[1]:
            gap = miou(matrices[b].sum(axis=0)) - miou(matrices[a].sum(axis=0))
            ends = difference(matrices[b], matrices[a]).tolist()
            rows.append([" / ".join(b), " / ".join(a), f"{gap:+.1f}", *ends])
    yield "differences on the same photographs in points, 95 % intervals (paired bootstrap)"
    yield table("this, less this, difference, low, high", rows)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """95 % of the mIoU differences, in points, lie within: both see the same pictures drawn anew.

    first, second: each picture's confusion matrix, (n, C + 1, C + 1). See `bootstrap`.
    """
    drawn = np.random.default_rng(0).integers(0, len(first), (DRAWS, len(first)))
    gaps = [miou(first[i].sum(axis=0)) - miou(second[i].sum(axis=0)) for i in drawn]
    return np.percentile(gaps, [2.5, 97.5])


def steps(source: Source) -> Iterator[str]:
    """Seconds and memory of training steps, one thread: random input, whatever the run is."""
    yield "\n".join(photo_steps.report(threads=1, steps=3, device="cpu"))


MEASURES = {
    measure.__name__: measure
    for measure in (pseudo_masks, cues, temperatures, views, scores, chosen_temperature, steps)
}


def main() -> None:
    """Print the tables of each measure as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=(*MEASURES, []), default=[], metavar="NAME")
    parser.add_argument("--run", type=Path, help="default: the shipped networks")
    parser.add_argument("--root", type=Path, default=Path("../shared/voc"))
    parser.add_argument("--maps", type=Path, default=Path("../shared/voc/saliency"))
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf)
    a = parser.parse_args()
    torch.set_num_threads(1)
    run = photographs.finished(a.run) if a.run else photographs.shipped()
    source = Source(run, a.root, a.maps, a.count, a.minutes)
    for name in a.names or MEASURES:
        for text in MEASURES[name](source):
            print(f"{text}\n", flush=True)


if __name__ == "__main__":
    main()
