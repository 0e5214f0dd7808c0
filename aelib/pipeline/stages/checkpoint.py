"""A training that can be killed: its state after each epoch in a file, from which it goes on."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ...support.files import write_json, write_whole
from ...support.progress import progress
from ...training import DEVICE, Recipe, fit
from ..distributed import shared
from ..run import Run, save_tensors

NAME = ".checkpoint"  # Run.making keeps files with a dot until the stage is finished
_HASH = 32  # bytes of a SHA-256


def fit_resumably(
    model: nn.Module,
    dataset: Dataset,
    loss: Callable[..., Tensor],
    recipe: Recipe,
    made: Path,
    start: dict[str, Any] | None = None,
    until: int | None = None,
) -> list[float]:
    """`training.fit` for the stage whose folder is `made`: keeps a checkpoint there, and reports.

    A checkpoint that is damaged or of another training is not used; a line says so. Processes that
    are `distributed.joined` share the training out.

    Args:
        model, dataset, loss, recipe, until: as for `training.fit`.
        made: its name is what the report calls the training.
        start: the state to go on from where there is no checkpoint.

    Returns:
        Mean training loss of each epoch.

    Raises:
        FloatingPointError: as `training.fit`.
        OSError: the checkpoint cannot be written.
    """
    training = asdict(recipe)
    del training["loaders"]  # changes no number
    training["samples"] = len(dataset)
    training["shapes"] = {name: list(value.shape) for name, value in model.state_dict().items()}
    file = made / NAME
    dataset, loss = shared(model, dataset, loss)
    report = progress(made.stem, unit="epoch")  # STAGE.partial
    return fit(
        model,
        dataset,
        loss,
        recipe,
        state=load_checkpoint(file, training) or start,
        until=until,
        keep=lambda state: save_checkpoint(file, state | {"recipe": training}),
        report=lambda epoch, epochs, value: report(epoch, epochs, note=f"loss {value:.4f}"),
    )


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and texts, nested in dicts and lists, behind their SHA-256.

    Raises:
        OSError: the file cannot be written; an older one is left as it was.
    """
    stream = io.BytesIO()
    torch.save(state, stream)
    content = stream.getvalue()
    write_whole(file, hashlib.sha256(content).digest() + content)


def load_checkpoint(file: Path, recipe: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The state that was saved, on DEVICE; None if there is no file.

    Also None if the file is damaged or state["recipe"] is not `recipe`: a printed line says why.
    """
    if not file.exists():
        return None
    content = file.read_bytes()
    try:
        if hashlib.sha256(content[_HASH:]).digest() != content[:_HASH]:
            raise ValueError("its hash is another")
        stream = io.BytesIO(content[_HASH:])
        state = torch.load(stream, map_location=DEVICE, weights_only=True)
    except Exception as error:  # torch has many errors for a foreign file; it unpickles no code
        print(f"  {file} is damaged ({error}): the training begins again", flush=True)
        return None
    if recipe is not None and (not isinstance(state, dict) or state.get("recipe") != recipe):
        print(f"  {file} is of another training: this one begins again", flush=True)
        return None
    return state


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write a training's state as a stage's files: state.safetensors and state.json."""
    tensors: dict[str, Tensor] = {}
    write_json(folder / "state.json", _packed(state, "", tensors))
    save_tensors(folder / "state.safetensors", tensors)


def load_state(run: Run, stage: str) -> dict[str, Any]:
    """The state that a stage wrote with `save_state`, for `training.fit`.

    Raises:
        RunError: the stage is not finished, or a file is damaged.
    """
    tensors = run.tensors(stage, "state.safetensors")
    return _unpacked(run.json(stage, "state.json"), tensors)


def _packed(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors go into `tensors`, each under its place."""
    if isinstance(value, Tensor):
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, dict):  # as pairs: some keys are numbers
        pairs = [[key, _packed(part, f"{place}/{key}", tensors)] for key, part in value.items()]
        return {"pairs": pairs}
    if isinstance(value, list | tuple):
        return [_packed(part, f"{place}/{i}", tensors) for i, part in enumerate(value)]
    return value


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if "pairs" in value:
        return {key: _unpacked(part, tensors) for key, part in value["pairs"]}
    found = tensors[value["tensor"]]
    if found.dim() == 4:  # as `fit` lays out weights: the same order of sums, the same bits
        found = found.contiguous(memory_format=torch.channels_last)
    return found
