"""Scores against the true masks, and the one network that learns from them.

No other stage sees a mask.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ... import psl
from ...datasets.base import Truth, full_sizes
from ...evaluation import confusion, part_counts
from ...masks import IGNORE, as_prediction
from ...support.files import write_json
from .. import health
from ..run import Run, save_tensors
from ..settings import Settings
from .inputs import TRAIN, VAL, dataset, of_photographs, open_data, pictures
from .learning import PLAIN, train_on
from .mining import CONFIDENCES, confidences, mined, regions
from .segmentation import (
    PROHIBITION,
    REFINING,
    VIEWS,
    network,
    probabilities,
    prohibited,
    refined,
)
from .stage import stage

FULL = "full supervision"
CHOOSING = 200  # training pictures on which the CRF's numbers are chosen


def truth(run: Run, split: str) -> Truth:
    """A split's masks and part maps; all void where the data set has none."""
    return dataset(run, split).truth(split)


def has_truth(run: Run) -> bool:
    """Whether the data set has masks, as all but a folder of one's own must."""
    return dataset(run).has_truth


def truth_there(settings: Settings) -> bool:
    """Whether the data set has masks, as all but a folder of one's own must.

    Raises:
        ValueError: all that is wrong with the data set's lists and labels.
    """
    return settings.dataset != "folder" or open_data(settings).has_truth


def train_ceiling(run: Run) -> None:
    """`network-full supervision`: the same network on the true masks; none if there are none."""
    if has_truth(run):
        _train_ceiling(run)
    else:
        print(f"no masks: no {FULL}")


@stage(f"network-{FULL}", reads=lambda s: ["data"], settings=PLAIN)
def _train_ceiling(run: Run, made: Path) -> None:
    train_on(run, made, truth(run, "train").masks, prohibitive=False)


@stage("scores-mined-{step}", reads=lambda s, steps: mined(steps), settings=TRAIN)
def score_mined(run: Run, made: Path, steps: int) -> None:
    """Makes `scores-mined-STEPS`: regions of `steps` steps against the training split's masks.

    scores.json {"matrix": confusion, "parts": {part: [mined pixels, all its pixels]}}
    """
    true = truth(run, "train")
    found, classes = regions(run, steps), len(pictures(run, "train").classes) + 1
    matrix = np.zeros((classes, classes), np.int64)
    counts = np.zeros((len(true.part_names), 2), np.int64)
    for mask, parts, region in zip(true.masks, true.parts, found, strict=True):
        matrix += confusion(mask, as_prediction(region), classes)
        counts += part_counts(region.any(axis=0), parts, len(true.part_names))
    by_part = dict(zip(true.part_names, counts.tolist(), strict=True))
    write_json(made / "scores.json", {"matrix": matrix.tolist(), "parts": by_part})


def prohibits(name: str) -> bool:
    """Whether the table's rows of a network include prohibition at test: those trained with PSL."""
    return "PSL" in name


@stage(
    "scores-{name}",
    reads=lambda s, name: [
        *(["data-val"] if of_photographs(s) else []),
        *(f"network-{name}", "classifier-1"),
    ],
    settings=(*VAL, *VIEWS, *CONFIDENCES, *REFINING, *PROHIBITION),
)
def score_network(run: Run, made: Path, name: str) -> None:
    """Makes `scores-NAME`: a network's confusion matrices on val.

    scores.json: "all" as it answers, "prohibited" with prohibition at test (see `prohibited`);
    "all+crf" and "prohibited+crf" after the CRF over the labels that are left.
    confusions.safetensors: the same for each picture, (n, C + 1, C + 1) int32, for `bootstrap`.
    """
    model, val = network(run, name), pictures(run, "val")
    v = confidences(run, val.images)
    matrices = {}
    for label in ("all", "prohibited"):
        f, present = probabilities(run, model, val.images), psl.allowed(v, 0.0).numpy()
        if label == "prohibited":
            f, present = prohibited(run.settings, f, v)
        pairs = refined(run, val.images, f, present)
        plain, crf = _confusions(truth(run, "val"), pairs, present)
        matrices |= {label: plain, f"{label}+crf": crf}
    counts = {name: torch.from_numpy(counted) for name, counted in matrices.items()}
    save_tensors(made / "confusions.safetensors", counts)
    sums = {name: counted.sum(axis=0).tolist() for name, counted in matrices.items()}
    write_json(made / "scores.json", sums)


def _confusions(true: Truth, pairs, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each picture's matrix, (n, C + 1, C + 1) int32, of the network's f and of the CRF's q."""
    classes = present.shape[1]
    plain, crf = np.zeros((2, len(present), classes, classes), np.int32)
    for i, (mask, labels, (f, q)) in enumerate(zip(true.masks, present, pairs, strict=True)):
        plain[i] = confusion(mask, (f * labels[:, None, None]).argmax(axis=0), classes)
        crf[i] = confusion(mask, health.finite(q, "the CRF's answer").argmax(axis=0), classes)
    return plain, crf


# --- for studies, on demand -----------------------------------------------------------------------


@stage("coverage-{step}", reads=lambda s, steps: [f"pseudo-masks-{steps}"], settings=TRAIN)
def cover(run: Run, made: Path, steps: int) -> None:
    """Makes `coverage-STEPS`: how much of the objects S labels, on the training split.

    log.json {"coverage": share of the true objects' pixels that S labels rightly, "right": share of
    the pixels with a label in S whose label is right}; void is not counted; None of no pixel.
    """
    counts = np.zeros((2, 2), np.int64)
    masks = run.images(f"pseudo-masks-{steps}", pictures(run, "train").ids)
    for mask, s in zip(truth(run, "train").masks, masks, strict=True):
        known, right = mask != IGNORE, s == mask
        for row, pixels in enumerate((known & (mask > 0), known & (s != IGNORE))):
            counts[row] += (pixels & right).sum(), pixels.sum()
    shares = [int(some) / int(all_) if all_ else None for some, all_ in counts]
    write_json(made / "log.json", {"coverage": shares[0], "right": shares[1]})


@stage("true-background", settings=TRAIN)
def draw_true_background(run: Run, made: Path) -> None:
    """Makes `true-background`: saliency maps ID.png, white where the true mask has no background.

    For saliency_maps: the upper bound of a background cue.
    """
    train = pictures(run, "train")
    given = zip(train.ids, full_sizes(train.images), truth(run, "train").masks, strict=True)
    for name, (height, width), mask in given:
        drawn = Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8))
        whole = drawn.resize((width, height), Image.Resampling.NEAREST)
        whole.save(made / f"{name}.png")


@stage(
    "entropy-{name}",
    reads=lambda s, name: [*(["data-val"] if of_photographs(s) else []), f"network-{name}"],
    settings=(*VAL, *VIEWS),
)
def measure_entropy(run: Run, made: Path, name: str) -> None:
    """Makes `entropy-NAME`: log.json {"entropy": of f, mean over val's pixels, nats}."""
    val = pictures(run, "val")
    total, pixels = 0.0, 0
    for f in probabilities(run, network(run, name), val.images):
        total += float(torch.special.entr(f).sum())
        pixels += f[0].numel()
    write_json(made / "log.json", {"entropy": total / pixels})


@stage(
    "scores-train-{name}",
    reads=lambda s, name: [f"network-{name}"],
    settings=(*TRAIN, *VIEWS, *REFINING),
)
def score_training(run: Run, made: Path, name: str) -> None:
    """Makes `scores-train-NAME`: the CRF on training pictures, where its numbers are chosen.

    scores.json: of the first CHOOSING training pictures "all" and "all+crf", confusion matrices
    among the classes of their labels; and a criterion that needs no mask, of the CRF's answers
    among all classes: "leak", the share of the object pixels whose class is not in the picture's
    labels.
    """
    train = pictures(run, "train")
    images, labels = train.images[:CHOOSING], train.labels[:CHOOSING]
    known = np.pad(labels, ((0, 0), (1, 0)), constant_values=True)
    f = list(probabilities(run, network(run, name), images))
    true = truth(run, "train")
    some = replace(true, masks=true.masks[:CHOOSING])
    plain, crf = _confusions(some, refined(run, images, f, known), known)
    leak = _leak(refined(run, images, f, np.ones_like(known)), known)
    scores = {"all": plain.sum(axis=0).tolist(), "all+crf": crf.sum(axis=0).tolist(), "leak": leak}
    write_json(made / "scores.json", scores)


def _leak(pairs, known: np.ndarray) -> float:
    """`leak` of the CRF's answers; `known`: each picture's labels, (n, C + 1) bool."""
    objects, wrong = 0, 0
    for labels, (_, q) in zip(known, pairs, strict=True):
        counts = np.bincount(q.argmax(axis=0).ravel(), minlength=known.shape[1])
        objects += counts[1:].sum()
        wrong += counts[~labels].sum()
    return float(wrong / max(objects, 1))
