"""Adversarial erasing: a classifier a step, and the regions that it finds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...cam import cam
from ...datasets.base import sizes
from ...datasets.samples import Samples
from ...erasing import (
    classification_loss,
    discriminative_regions,
    evidence,
    steps_worth_keeping,
)
from ...models import LargeFOV, classify, scaled
from ...support.files import write_json
from ...support.progress import watched
from .. import health
from ..relatives import fills, ilp
from ..run import Run, save_tensors
from ..settings import Settings
from .checkpoint import fit_resumably
from .data import mean_pixel
from .feeding import in_batches, loaders_of, read_ahead, tensors
from .inputs import TRAIN, classes_of, pictures
from .networks import TRAINING, recipe, samples, trained, untrained
from .stage import stage

#: Settings of `confidences`.
CONFIDENCES = ("backbone", "cam_scale", "classification_loss", "pooling")


def mine(run: Run, step: int) -> None:
    """Step 1, 2, ... of adversarial erasing: erase, train a classifier, threshold its CAMs.

    Makes `classifier-STEP`, and `regions-STEP`, which the thresholds decide.
    """
    train_classifier(run, step)
    find_regions(run, step)


def mined(steps: int) -> list[str]:
    """The stages that hold the regions of steps 1 to `steps`."""
    return [f"regions-{step}" for step in range(1, steps + 1)]


def _classifier_reads(s: Settings, step: int) -> list[str]:
    warm = step > 1 and s.start == "warm"
    return ["data", *mined(step - 1), *([f"classifier-{step - 1}"] if warm else [])]


@stage(
    "classifier-{step}",
    reads=_classifier_reads,
    settings=(
        *(*TRAIN, *TRAINING, "classifier_epochs", "last_layer_factor", "classification_loss"),
        "pooling",
    ),
    also=lambda s, step: ("start", "fill") if step > 1 else (),
)
def train_classifier(run: Run, made: Path, step: int) -> None:
    """Makes `classifier-STEP`, trained on pictures without the regions of the steps before.

    weights.safetensors, log.json {"losses", "evidence", "warnings"}.
    """
    s, train = run.settings, pictures(run, "train")
    labels = torch.from_numpy(train.labels)
    erased = samples(s, train, lambda i: (labels[i].float(),), mean_pixel(run), **_holes(run, step))
    pool = pooling(s)

    def loss(model: LargeFOV, image: Tensor, label: Tensor, progress: float) -> Tensor:
        return classification_loss(pool(model(image)), label, s.classification_loss)

    torch.manual_seed(100 * s.seed + step)
    model = untrained(run, len(train.classes))
    if step > 1 and s.start == "warm":
        model.load_state_dict(run.tensors(f"classifier-{step - 1}", "weights.safetensors"))
    numbers = recipe(s, s.classifier_epochs, s.last_layer_factor, step)
    losses = fit_resumably(model, erased, loss, numbers, made)
    save_tensors(made / "weights.safetensors", model.state_dict())
    seen = evidence(losses[-1], labels.float().mean(dim=0), s.classification_loss)
    write_json(made / "log.json", {"losses": losses, "evidence": seen, "warnings": []})


@stage(
    "regions-{step}",
    reads=lambda s, step: ["data", *mined(step - 1), f"classifier-{step}"],
    settings=(*TRAIN, "backbone", "cam_scale", "delta", "delta_rule"),
    also=lambda s, step: ("fill",) if step > 1 else (),
)
def find_regions(run: Run, made: Path, step: int) -> None:
    """Makes `regions-STEP`: the thresholded CAMs of its classifier, on the pictures it trained on.

    regions.safetensors (bits, see `regions`), log.json {"warnings"}.
    """
    s, train = run.settings, pictures(run, "train")
    fill = mean_pixel(run).float()
    erased = Samples(train, lambda i: (), fill=fill, **_holes(run, step))
    images = read_ahead(erased.erased, len(train), loaders_of(s))
    packed = {}
    pixels = np.zeros(len(train.classes), int)
    found = _cams(classifier(run, step), images, s.cam_scale)
    for i, maps in enumerate(watched(found, made.stem, len(train))):
        labels = torch.from_numpy(train.labels[i])
        new = discriminative_regions(maps, labels, s.delta, s.delta_rule)
        pixels += new.sum(dim=(1, 2)).numpy()
        for c in np.flatnonzero(train.labels[i]):
            packed[f"{train.ids[i]}/{c}"] = torch.from_numpy(np.packbits(new[c].numpy(), axis=1))
    save_tensors(made / "regions.safetensors", packed)
    lost = health.never_mined(pixels, train.labels.sum(axis=0), train.classes)
    write_json(made / "log.json", {"warnings": run.warn(made.stem, lost)})


def _holes(run: Run, step: int) -> dict[str, Any]:
    """What the steps before this one mined, and what becomes of it: arguments of `Samples`."""
    if step == 1:
        return {}
    found = regions(run, step - 1)
    return {"regions": lambda i: torch.from_numpy(found[i]), "paint": _paint(run)}


def _paint(run: Run) -> fills.Painter | None:
    """What erased pixels become; None for the mean pixel, which is the paper's."""
    s = run.settings
    if s.fill == "mean":
        return None
    mean = mean_pixel(run)
    std = fills.pixel_std(pictures(run, "train").images, mean) if s.fill == "noise" else mean
    return fills.painter(s.fill, mean.float(), std, s.seed)


class MinedRegions(Sequence[np.ndarray]):
    """Regions of each picture, (C, H, W) bool, kept as bits and unpacked on access.

    (As bool, 10,582 photographs of 20 classes would be 40 GB.)

    Args:
        shapes: (H, W) of each picture.
        classes: C.
        packed: for each picture (class, rows of bits as numpy.packbits makes them), any number of
            times; their union counts.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        classes: int,
        packed: Sequence[list[tuple[int, np.ndarray]]],
    ) -> None:
        self.shapes = shapes
        self.classes = classes
        self.packed = packed

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return MinedRegions(self.shapes[i], self.classes, self.packed[i])
        union = np.zeros((self.classes, *self.shapes[i]), bool)
        for c, bits in self.packed[i]:
            union[c] |= np.unpackbits(bits, axis=1, count=union.shape[2]).astype(bool)
        return union


def regions(run: Run, steps: int, first: int = 1) -> MinedRegions:
    """What steps `first` to `steps` mined, their union for each training picture.

    Returns:
        (C, H, W) bool each; all False if there is no such step.
    """
    train = pictures(run, "train")
    packed: list[list[tuple[int, np.ndarray]]] = [[] for _ in train.ids]
    place = {name: i for i, name in enumerate(train.ids)}
    for stage_name in mined(steps)[first - 1 :]:
        for key, bits in run.tensors(stage_name, "regions.safetensors").items():
            name, c = key.rsplit("/", 1)
            packed[place[name]].append((int(c), bits.numpy()))
    return MinedRegions(sizes(train.images), len(train.classes), packed)


def classifier(run: Run, step: int = 1) -> LargeFOV:
    """The trained classifier of a step, in eval mode."""
    return trained(run, f"classifier-{step}", len(classes_of(run)))


def cams(run: Run, images: Sequence[np.ndarray], step: int = 1) -> Iterator[Tensor]:
    """A step's normalised CAMs of whole, unerased pictures.

    Args:
        images: (H, W, 3) uint8 each.

    Returns:
        (C, H, W) in [0, 1] each, on the CPU, for all C classes; see `cam.cam`.
    """
    s = run.settings
    maps = _cams(classifier(run, step), tensors(images, loaders_of(s)), s.cam_scale)
    return watched(maps, "CAMs", len(images))


def _cams(model: LargeFOV, images: Iterable[Tensor], scale: float) -> Iterator[Tensor]:
    return in_batches(lambda x: cam(model, x, scale), images)


def pooling(s: Settings) -> Callable[[Tensor], Tensor]:
    """What makes image-level logits (N, C) of score maps (N, C, h, w)."""
    return classify if s.pooling == "mean" else ilp.log_sum_exp


def image_scores(run: Run, images: Sequence[np.ndarray]) -> Tensor:
    """The step-1 classifier's logits of whole, unerased pictures, (n, C)."""
    model, s = classifier(run), run.settings
    pool = pooling(s)

    def logits_of(batch: Tensor) -> Tensor:
        return pool(model(scaled(batch, s.cam_scale)))

    answers = in_batches(logits_of, tensors(images, loaders_of(s)))
    return torch.stack(list(watched(answers, "confidences", len(images))))


def confidences(run: Run, images: Sequence[np.ndarray]) -> Tensor:
    """v: how sure the step-1 classifier is of each class on the whole, unerased picture.

    Args:
        images: (H, W, 3) uint8 each.

    Returns:
        (n, C) in [0, 1].
    """
    logits = image_scores(run, images)
    return logits.clamp(0, 1) if run.settings.classification_loss == "squared" else logits.sigmoid()


def evidences(run: Run) -> list[float]:
    """Evidence that each step's classifier still found, for the steps that are mined so far."""
    found = []
    while run.finished(f"classifier-{len(found) + 1}"):
        found.append(run.json(f"classifier-{len(found) + 1}", "log.json")["evidence"])
    return found


def stop_step(run: Run) -> int:
    """Steps that the stop rule keeps: by the classifiers' own training signal, without a mask."""
    return steps_worth_keeping(evidences(run), run.settings.stop_evidence)
