"""Segmentation networks that learn from pseudo-masks: by cross-entropy, and by PSL."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import psl
from ...datasets.base import Lazy, Pictures
from ...models import LargeFOV
from ...support.files import write_json
from .. import health
from ..relatives import targets
from ..run import Run, save_tensors
from ..settings import Settings
from .checkpoint import NAME, fit_resumably, load_checkpoint, load_state, save_state
from .data import mean_pixel
from .inputs import TRAIN, pictures
from .mining import CONFIDENCES, confidences, image_scores
from .networks import TRAINING, recipe, samples, untrained
from .segmentation import MODEL, answers_of, crf_of
from .stage import find, stage

#: Settings of `train_on`, without and with the PSL loss.
PLAIN = (*TRAIN, *TRAINING, "network_epochs", "network_last_layer_factor")
PROHIBITIVE = (*PLAIN, *CONFIDENCES, "psl_warmup", "network_loss", "confidence")

Loss = Callable[..., Tensor]


def train_network(run: Run, name: str) -> None:
    """Makes `network-NAME`, for NAME "AE-step1", "AE-step2", ..., "AE+PSL" or "AE+PSL++".

    "AE-stepK" learns from S of K steps by plain cross-entropy; "AE+PSL" from S of object_steps
    steps under the PSL loss, after the `warmup`, which is made where it is missing; "AE+PSL++" is a
    new network under the PSL loss that learns from the `refined` masks; "AE+PSL+++" is one more,
    from `refined-again`. See `train_on`.

    Raises:
        ValueError: there is no network of this name.
    """
    maker, of = find(f"network-{name}")
    if "warmup" in maker.reads(run.settings, *of):
        warm_up(run)
    maker(run, *of)


# --- stages ---------------------------------------------------------------------------------------


@stage(
    "network-AE-step{step}",
    reads=lambda s, steps: ["data", f"pseudo-masks-{steps}"],
    settings=PLAIN,
)
def _train_plain(run: Run, made: Path, steps: int) -> None:
    train_on(run, made, _label_maps(run, f"pseudo-masks-{steps}"), prohibitive=False)


def warmup_epochs(s: Settings) -> int:
    """Epochs of AE+PSL before S-hat joins."""
    return sum(epoch / s.network_epochs < s.psl_warmup for epoch in range(s.network_epochs))


@stage(
    "warmup",
    reads=lambda s: ["data", f"pseudo-masks-{s.object_steps}"],
    settings=(*PLAIN, "object_steps", "psl_warmup"),
)
def warm_up(run: Run, made: Path) -> None:
    """Makes `warmup`: AE+PSL's training before S-hat joins, the same whatever comes after.

    state.safetensors and state.json: weights, optimiser, schedule and losses, see `save_state`.
    """
    s = run.settings
    masks = _label_maps(run, f"pseudo-masks-{s.object_steps}")
    _train(run, made, masks, _plain_loss, until=warmup_epochs(s))
    state = load_checkpoint(made / NAME)
    del state["recipe"]
    save_state(made, state)
    write_json(made / "log.json", {"losses": state["losses"], "warnings": []})


def _psl_reads(s: Settings) -> list[str]:
    warmup = ["warmup"] if warmup_epochs(s) else []
    return ["data", f"pseudo-masks-{s.object_steps}", "classifier-1", *warmup]


def _constrained(s: Settings) -> tuple[str, ...]:
    """The CRF's settings, where the loss has one."""
    return MODEL if "constrain" in targets.TERMS[s.network_loss] else ()


@stage(
    "network-AE+PSL",
    reads=_psl_reads,
    settings=(*PROHIBITIVE, "object_steps"),
    also=_constrained,
)
def _train_psl(run: Run, made: Path) -> None:
    s = run.settings
    start = load_state(run, "warmup") if warmup_epochs(s) else None
    train_on(run, made, _label_maps(run, f"pseudo-masks-{s.object_steps}"), True, start)


@stage(
    "network-AE+PSL++",
    reads=lambda s: ["data", "refined", "classifier-1"],
    settings=PROHIBITIVE,
    also=_constrained,
)
def _train_psl_again(run: Run, made: Path) -> None:
    train_on(run, made, _label_maps(run, "refined"), prohibitive=True)


@stage(
    "network-AE+PSL+++",
    reads=lambda s: ["data", "refined-again", "classifier-1"],
    settings=PROHIBITIVE,
    also=_constrained,
)
def _train_psl_once_more(run: Run, made: Path) -> None:
    train_on(run, made, _label_maps(run, "refined-again"), prohibitive=True)


def _label_maps(run: Run, stage_name: str) -> Lazy:
    return run.images(stage_name, pictures(run, "train").ids)


# --- training -------------------------------------------------------------------------------------


def train_on(
    run: Run,
    made: Path,
    masks: Sequence[np.ndarray],
    prohibitive: bool,
    start: dict[str, Any] | None = None,
) -> None:
    """Train a network on label maps: weights.safetensors, log.json {"losses", "warnings"}.

    Args:
        made: the stage's folder.
        masks: one a training picture, (H, W) uint8: 0..C, 255 ignored.
        prohibitive: J(f, S) + J(f, S-hat) if true (after psl_warmup of the epochs), with v of
            `classifier-1`; J(f, S), plain cross-entropy, if not.
        start: the state of this training to go on from.
    """
    train = pictures(run, "train")
    v = loss_confidences(run, train) if prohibitive else None
    loss = _psl_loss(run.settings) if prohibitive else _plain_loss
    model, losses = _train(run, made, masks, loss, v=v, start=start)
    save_tensors(made / "weights.safetensors", model.state_dict())
    some = answers_of(model, train.images[:100], scales=(1.0,), flip=False)
    answers = [f.argmax(dim=0).numpy() for f in some]
    warnings = run.warn(made.stem, health.collapse(answers, train.classes))
    write_json(made / "log.json", {"losses": losses, "warnings": warnings})


def _train(
    run: Run,
    made: Path,
    masks: Sequence[np.ndarray],
    loss: Loss,
    v: Tensor | None = None,
    **more: Any,
) -> tuple[LargeFOV, list[float]]:
    """Train a new network; `more` is as for `fit_resumably`."""
    s, train = run.settings, pictures(run, "train")
    labels = torch.from_numpy(train.labels).float()
    v = torch.zeros(len(train), 0) if v is None else v
    offset = 50  # the same for all networks: first weights, order of pictures, mirroring
    torch.manual_seed(100 * s.seed + offset)
    model = untrained(run, len(train.classes) + 1)
    data = samples(s, train, lambda i: (v[i], labels[i]), mean_pixel(run), masks=masks)
    numbers = recipe(s, s.network_epochs, s.network_last_layer_factor, offset)
    return model, fit_resumably(model, data, loss, numbers, made, **more)


def _plain_loss(
    model: LargeFOV, image: Tensor, mask: Tensor, v: Tensor, labels: Tensor, progress: float
) -> Tensor:
    scores = model(image)
    return psl.cross_entropy(scores, psl.shrink(mask, scores.shape[-2:])).mean()


def _psl_loss(s: Settings) -> Loss:
    """J(f, S) + J(f, S-hat), or the sum that network_loss asks for."""
    kind, crf = s.network_loss, crf_of(s) if _constrained(s) else None

    def loss(
        model: LargeFOV, image: Tensor, mask: Tensor, v: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        # S-hat is the network's own answer: it helps once the network has learned something
        if progress < s.psl_warmup:
            return _plain_loss(model, image, mask, v, labels, progress)
        scores = model(image)
        mask = psl.shrink(mask, scores.shape[-2:])
        if kind == "psl":
            return psl.psl_loss(scores, mask, v)
        return targets.loss(kind, scores, mask, v, labels, image, crf)

    return loss


def loss_confidences(run: Run, train: Pictures) -> Tensor:
    """v of the loss, (n, C) in [0, 1]: `confidences`, or what the setting confidence asks for.

    "softmax" is of the classifier's scores, "one" makes S-hat plain self-training, "labels" are the
    image's true labels, "normalised" is v / max v.
    """
    kind, labels = run.settings.confidence, torch.from_numpy(train.labels).float()
    if kind == "one":
        return torch.ones_like(labels)
    if kind == "labels":
        return labels
    if kind == "softmax":
        return image_scores(run, train.images).softmax(dim=1)
    v = confidences(run, train.images)
    return targets.normalised(v) if kind == "normalised" else v
