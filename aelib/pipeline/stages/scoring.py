"""Scores against the true masks, and the one network that learns from them.

No other stage sees a mask.
"""

from pathlib import Path

import numpy as np
import torch

from ... import psl
from ...datasets.base import Truth
from ...evaluation import confusion, part_counts
from ...masks import as_prediction
from ...support.files import write_json
from .. import health
from ..run import Run, save_tensors
from ..settings import Settings
from .inputs import TRAIN, VAL, dataset, of_photographs, open_data, pictures
from .mining import CONFIDENCES, confidences, mined, regions
from .segmentation import PLAIN, REFINING, VIEWS, network, probabilities, refined, train_on
from .stage import stage

FULL = "full supervision"


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
    settings=(*VAL, *VIEWS, *CONFIDENCES, *REFINING, "prohibit_threshold"),
)
def score_network(run: Run, made: Path, name: str) -> None:
    """Makes `scores-NAME`: a network's confusion matrices on val.

    scores.json: "all" as it answers, "prohibited" without the classes whose v is below
    prohibit_threshold; "all+crf" and "prohibited+crf" after the CRF over the labels that are left.
    confusions.safetensors: the same for each picture, (n, C + 1, C + 1) int32, for `bootstrap`.
    """
    model, val = network(run, name), pictures(run, "val")
    v = confidences(run, val.images)
    matrices = {}
    for label, threshold in (("all", 0.0), ("prohibited", run.settings.prohibit_threshold)):
        present = psl.allowed(v, threshold).numpy()
        f = probabilities(run, model, val.images)
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
