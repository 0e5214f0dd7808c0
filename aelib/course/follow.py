"""One new picture through all stages, as notebook 7 shows it: its labels and mask are not known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
import torch
from matplotlib.cbook import get_sample_data
from torch import Tensor

from .. import psl
from ..cam import cam
from ..crf import refine_present
from ..datasets.base import to_tensor
from ..datasets.photos import read_photo
from ..erasing import discriminative_regions, erase
from ..masks import merge
from ..pipeline import stages
from ..pipeline.run import Run
from ..pipeline.settings import make
from ..pipeline.stages.feeding import in_batches
from ..pipeline.stages.segmentation import prohibited
from ..saliency import robust_background
from ..support.errors import InputError
from . import lesson, photographs
from .kept import classifier, network

#: Pictures that are installed with skimage and matplotlib.
SHOWN = ("chelsea.png", "astronaut.png", "grace_hopper.jpg")
FAILING = ("coffee.png", "camera.png", "horse.png")
SURE = 0.5  # a class whose confidence reaches it counts as a label of the picture


class Step(NamedTuple):
    """A step of adversarial erasing on one picture.

    Attributes:
        seen: what its classifier saw, (H, W, 3) in [0, 1].
        maps: its normalised CAMs, (C, H, W) in [0, 1].
        region: what it mined, of any class, (H, W) bool.
        found: what all steps up to it mined, (C, H, W) bool.
    """

    seen: np.ndarray
    maps: np.ndarray
    region: np.ndarray
    found: np.ndarray


@dataclass(frozen=True)
class Followed:
    """A picture and what every stage makes of it.

    Attributes:
        image: (H, W, 3) uint8.
        classes: names of the C classes.
        v: the confidences of step 1's classifier, (C,) in [0, 1].
        labels: the classes that are taken to be there, (C,) bool: those of `labels_of`.
        steps: of adversarial erasing, all that the run has.
        saliency: computed, (H, W) in [0, 1].
        threshold: saliency below it is background.
        S: label map, from the steps that the run's networks learn from.
        answers: label maps by name: the networks', without and (the last) with CRF.
    """

    image: np.ndarray
    classes: tuple[str, ...]
    v: np.ndarray
    labels: np.ndarray
    steps: list[Step]
    saliency: np.ndarray
    threshold: float
    S: np.ndarray
    answers: dict[str, np.ndarray]

    @property
    def present(self) -> list[int]:
        """Indices of the classes that are taken to be there."""
        return np.flatnonzero(self.labels).tolist()


def follow(run: Run, image: np.ndarray) -> Followed:
    """Show a picture to every network of a run.

    A training picture has labels. This one has none: `labels_of` the classifier stands for them.

    Args:
        run: with classifiers and the networks of `photographs.networks`.
        image: (H, W, 3) uint8; larger ones than longest_side should be reduced before.

    Raises:
        RunError: the run lacks a network.
    """
    s = run.settings
    v = stages.confidences(run, [image])
    labels = labels_of(v[0])
    steps = list(mined(run, image, labels, s.delta))
    saliency, threshold = robust_background(image, s.superpixels), background_threshold(run)
    found = steps[s.object_steps - 1].found
    return Followed(
        image,
        stages.classes_of(run),
        v[0].numpy(),
        labels.numpy(),
        steps,
        saliency,
        threshold,
        merge(found, saliency, threshold),
        answers_of(run, image, v),
    )


def labels_of(v: Tensor) -> Tensor:
    """The classes whose confidence is SURE or more, or the surest one: (C,) in [0, 1] -> bool."""
    return v >= min(SURE, float(v.max()))


def in_words(classes: Sequence[str], v: Tensor) -> str:
    """Returns the confidences, (C,), as a line, the surest first; labels are marked."""
    labels, words = labels_of(v), []
    for c in v.argsort(descending=True, stable=True).tolist():
        taken = " (taken as label)" if labels[c] else ""
        words.append(f"{classes[c]} {v[c]:.2f}{taken}")
    return ", ".join(words)


def mined(run: Run, image: np.ndarray, labels: Tensor, delta: float) -> Iterator[Step]:
    """Erase and mine step by step, with the run's classifiers, as `stages.find_regions` does."""
    s, picture = run.settings, to_tensor(image)
    mean = stages.mean_pixel(run).float()
    found = torch.zeros(len(labels), *image.shape[:2], dtype=torch.bool)
    for step in range(1, s.erase_steps + 1):
        seen = erase(picture, found, mean)
        maps = next(in_batches(partial(cam, classifier(run, step), scale=s.cam_scale), [seen]))
        region = discriminative_regions(maps, labels, delta, s.delta_rule)
        found = found | region
        shown = seen.permute(1, 2, 0).numpy()
        yield Step(shown, maps.numpy(), region.any(dim=0).numpy(), found.numpy())


def background_threshold(run: Run) -> float:
    """The run's; a run with learned saliency maps has one for those, and the profile's is taken."""
    s = run.settings
    return (make(s.profile) if s.saliency_maps else s).background_threshold


def answers_of(run: Run, image: np.ndarray, v: Tensor) -> dict[str, np.ndarray]:
    """Label maps of the networks, and of the last one with CRF; those with PSL prohibit at test.

    v: confidences, (1, C).
    """
    answers = {}
    for name in photographs.networks(run.settings):
        f, allowed = at_test(run, image, name, v)
        answers[name] = (f * allowed[:, None, None]).argmax(axis=0).astype(np.uint8)
    q = refine_present(image, f, allowed, stages.crf_of(run.settings), run.settings.crf_engine)
    return answers | {f"{name}, CRF": q.argmax(axis=0).astype(np.uint8)}


def at_test(run: Run, image: np.ndarray, name: str, v: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A network's answer for one picture, with the run's prohibition if it learned by PSL.

    v: confidences, (1, C).

    Returns:
        f, (C + 1, H, W) in [0, 1], and the labels that may be answered, (C + 1,) bool.
    """
    f = stages.probabilities(run, network(run, name), [image])
    if not stages.prohibits(name):
        return next(f).numpy(), psl.allowed(v, 0.0)[0].numpy()
    f, allowed = prohibited(run.settings, f, v)
    return next(iter(f)).numpy(), allowed[0]


# --- which pictures -------------------------------------------------------------------------------


def pictures(run: Run, photograph: str = "") -> tuple[Run, dict[str, np.ndarray]]:
    """The networks for photographs that go with a run, and three photographs to show them.

    Args:
        run: on creatures: the shipped networks are taken, and photographs that skimage and
            matplotlib bring along; on photographs: its own networks and val pictures.
        photograph: a file of the reader's, shown before the others; "" for none.

    Returns:
        The run with the networks; name -> image, (H, W, 3) uint8.

    Raises:
        ValueError: the reader's file cannot be read.
        RunError: as `photographs.shipped`.
    """
    networks = photographs.shipped() if on_creatures(run) else run
    longest, shown = networks.settings.longest_side, {}
    if photograph:
        shown[Path(photograph).name] = read_own(photograph, longest)
    if on_creatures(run):
        return networks, shown | {name: read_photo(bundled(name), longest) for name in SHOWN}
    val = stages.pictures(run, "val").first(3)
    return networks, shown | dict(zip(val.ids, val.images, strict=True))


def failures(run: Run, network: str = "AE+PSL++") -> dict[str, np.ndarray]:
    """Three pictures that go wrong: FAILING, or of a run on photographs the worst of its val.

    The worst are those with the smallest share of right pixels, with CRF.
    """
    if on_creatures(run):
        longest = photographs.shipped().settings.longest_side
        return {name: read_photo(bundled(name), longest) for name in FAILING}
    val = stages.pictures(run, "val")
    counts = run.tensors(f"scores-{network}", "confusions.safetensors")["prohibited+crf"].double()
    right = counts.diagonal(dim1=1, dim2=2).sum(dim=1) / counts.sum(dim=(1, 2)).clamp(min=1)
    return {val.ids[i]: val.images[i] for i in right.argsort()[:3].tolist()}


def creature(run: Run) -> tuple[Run, np.ndarray]:
    """A run on creatures, this one or the one that the course ships; its first val picture."""
    beside = run if on_creatures(run) else Run(lesson.unpack(), "classroom")
    return beside, stages.pictures(beside, "val").images[0]


def on_creatures(run: Run) -> bool:
    """Whether a run is on creatures, and so has no network for photographs."""
    return run.settings.dataset == "creatures"


def bundled(name: str) -> Path:
    """The file of a picture that skimage or matplotlib installs; nothing is downloaded."""
    file = Path(skimage.__file__).parent / "data" / name
    return file if file.exists() else Path(get_sample_data(name, asfileobj=False))


def read_own(file: str, longest: int) -> np.ndarray:
    """A reader's photograph; the path may begin with ~. Raises InputError: it cannot be read."""
    try:
        return read_photo(Path(file).expanduser(), longest)
    except FileNotFoundError:
        raise InputError(f"photograph: {file} is missing") from None
    except OSError as error:
        raise InputError(f"photograph: {file} cannot be read ({error.strerror})") from error
