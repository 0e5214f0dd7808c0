"""What classifiers and segmentation networks have in common: first weights, samples, recipe."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...datasets.base import Pictures
from ...datasets.samples import Samples
from ...models import LargeFOV
from ...support.files import ROOT
from ...training import DEVICE, Recipe
from ..run import Run, RunError
from ..settings import Settings
from ..weights import load_pretrained
from . import inputs
from .feeding import loaders_of

#: Settings of a network as it is before training.
UNTRAINED = ("backbone", "dropout", "frozen", "weights", "fc_weights")
#: Settings of every training, beside its epochs and its last layer's factor.
TRAINING = (
    *UNTRAINED,
    *("seed", "crop", "scale_low", "scale_high", "batch_size", "optimiser", "learning_rate"),
    *("features_factor", "weight_decay", "momentum", "drop_epoch", "precision"),
)


def load_weights(s: Settings, model: LargeFOV) -> dict[str, Any] | None:
    """Fill a network with the weights that it starts from, if those are not random.

    Returns:
        What `load_pretrained` says of them, or None.

    Raises:
        ValueError: as `load_pretrained`.
    """
    if s.weights == "random":
        return None
    source = s.weights if s.weights == "torchvision" else ROOT / s.weights
    return load_pretrained(model, source, s.fc_weights)


def untrained(run: Run, outputs: int) -> LargeFOV:
    """A network as it is before training.

    Raises:
        RunError: the file of weights is another one than the run began with.
    """
    s = run.settings
    model = LargeFOV(outputs, s.backbone, s.dropout, s.frozen)
    loaded = load_weights(s, model)
    if loaded and loaded != inputs.from_data(run, "weights"):
        raise inputs.changed(run, f"the weights in {loaded['file']}")
    return model


def trained(run: Run, stage: str, outputs: int) -> LargeFOV:
    """The network that a stage has trained, in eval mode.

    Raises:
        RunError: the stage is not finished, or its weights are damaged or do not fit.
    """
    model = LargeFOV(outputs, run.settings.backbone)
    try:
        model.load_state_dict(run.tensors(stage, "weights.safetensors"))
    except RuntimeError as error:
        file = run.directory / stage / "weights.safetensors"
        raise RunError(f"{file} does not fit the network: {error}") from error
    return model.to(DEVICE).eval()


def samples(
    s: Settings,
    train: Pictures,
    target: Callable[[int], tuple[Tensor, ...]],
    mean: Tensor,
    **more: Any,
) -> Samples:
    """The training pictures for `fit`: crops of photographs, whole creatures.

    Args:
        mean: (3,) in [0, 1], fills what is erased, and the padding.
        target, more: as for `Samples`.
    """
    scales = (s.scale_low, s.scale_high)
    return Samples(train, target, fill=mean.float(), crop=s.crop, scales=scales, **more)


def recipe(s: Settings, epochs: int, last_layer_factor: float, offset: int) -> Recipe:
    """How to train; `offset` keeps the random numbers of different trainings apart."""
    return Recipe(
        epochs=epochs,
        batch_size=s.batch_size,
        learning_rate=s.learning_rate,
        weight_decay=s.weight_decay,
        seed=100 * s.seed + offset,
        last_layer_factor=last_layer_factor,
        features_factor=s.features_factor,
        optimiser=s.optimiser,
        momentum=s.momentum,
        drop_epoch=s.drop_epoch,
        precision=s.precision,
        loaders=loaders_of(s, 4 * 4 * s.batch_size * s.crop**2),  # 3 colours, labels; float32
    )
