"""fit(): a plain training loop that reports each epoch, can be killed and goes on where it was."""

import hashlib
import io
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .checks import finite
from .files import write_whole

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    model: nn.Module,
    dataset: Dataset,
    loss: Callable[..., Tensor],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    last_layer_factor: float = 10.0,
    features_factor: float = 1.0,
    optimiser: str = "adamw",
    momentum: float = 0.9,
    drop_epoch: int = 6,
    precision: str = "float32",
    loaders: int = 0,
    seed: int,
    checkpoint: Path | None = None,
    report: Callable[[int, int, float], None] | None = None,
) -> list[float]:
    """Train in place: AdamW under a one-cycle schedule (our choice: a short schedule), or SGD with momentum and one drop (the paper's).

    Each epoch seeds itself from (seed, epoch), so a training resumed after a kill gives the numbers of one that was not.

    Args:
        model: called by `loss`; its parameters are trained, and it is left in eval mode.
        dataset: items are tuples of tensors; a batch of them is what `loss` gets.
        loss: loss(model, *batch, progress) -> scalar tensor; progress is the share of the epochs that is done, in [0, 1).
        epochs, batch_size: counts; the last, smaller batch of an epoch is used too.
        learning_rate: the one-cycle schedule's peak; SGD's until the drop.
        last_layer_factor: how much faster the parameters named score.* learn; the paper's last layer has ten times the rate.
        features_factor: the same for those named features.*, the backbone's; less than 1 where they come from ImageNet.
        weight_decay: on all parameters; AdamW's is decoupled, in proportion to their learning rate, SGD's is added to the gradient.
        optimiser: "adamw" or "sgd".
        momentum, drop_epoch: SGD's; after so many epochs its rate is a tenth.
        precision: "bfloat16" computes the network under autocast; weights, loss and optimiser stay float32.
        loaders: processes that read the samples ahead, forked (a sample's target is a closure, which cannot be sent), so not on Windows; 0 reads
            them here. The numbers are the same if items are random by torch's seed and their own index alone, as augment.CropSet's.
        seed: for the order of the samples, their augmentation, and dropout.
        checkpoint: file for the state after each epoch; continued from when it exists, removed by the caller when the result is safe.
            One that is damaged or of another training is said and not used: the training begins again.
        report: called as report(epoch, epochs, mean loss) after each epoch.

    Returns:
        Mean training loss of each epoch.

    Raises:
        FloatingPointError: the loss or a weight is NaN or infinite; names the epoch, and the step or the weight.
        OSError: the checkpoint cannot be written.
    """
    model.to(DEVICE, memory_format=torch.channels_last).train()
    factors = {"features": features_factor, "score": last_layer_factor}
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(learning_rate * factors.get(name.partition(".")[0], 1.0), []).append(parameter)
    groups = [{"params": parameters, "lr": rate} for rate, parameters in sorted(groups.items()) if rate]
    rates, steps = torch.optim.lr_scheduler, math.ceil(len(dataset) / batch_size)
    if optimiser == "sgd":
        method = torch.optim.SGD(groups, momentum=momentum, weight_decay=weight_decay)
        schedule = rates.MultiStepLR(method, [drop_epoch * steps], gamma=0.1)
    else:
        method = torch.optim.AdamW(groups, weight_decay=weight_decay)
        schedule = rates.OneCycleLR(method, [g["lr"] for g in groups], total_steps=epochs * steps)
    losses: list[float] = []
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    recipe = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay}
    recipe |= {"last_layer_factor": last_layer_factor, "seed": seed, "samples": len(dataset), "shapes": shapes}
    recipe |= {"features_factor": features_factor, "optimiser": optimiser, "momentum": momentum, "drop_epoch": drop_epoch, "precision": precision}
    if checkpoint is not None and (state := load_checkpoint(checkpoint, recipe)):
        for part, name in ((model, "model"), (method, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        losses = state["losses"]
    for epoch in range(len(losses), epochs):
        torch.manual_seed(seed * 1_000 + epoch)
        order = torch.Generator().manual_seed(seed * 1_000 + epoch)
        total = 0.0
        same_seed = partial(seed_worker, seed * 1_000 + epoch)
        # fork, which parallel.py avoids: DataLoader's workers keep to one thread, and read pictures only
        processes = {"num_workers": loaders, "multiprocessing_context": "fork", "worker_init_fn": same_seed} if loaders else {}
        batches = DataLoader(dataset, batch_size, shuffle=True, generator=order, **processes)
        for step, batch in enumerate(batches, start=1):
            batch = [part.to(DEVICE, non_blocking=True) for part in batch]
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bfloat16"):
                value = loss(model, *batch, epoch / epochs)
            if not math.isfinite(value.item()):
                where = f"epoch {epoch + 1} of {epochs}, step {step}"
                raise FloatingPointError(f"the training loss became {value.item()} in {where}; a smaller learning_rate may help")
            method.zero_grad()
            value.backward()
            method.step()
            schedule.step()
            total += value.item() * len(batch[0])
        losses.append(total / len(dataset))
        for name, weight in model.state_dict().items():
            finite(weight, f"weight {name} after epoch {epoch + 1} of {epochs}")
        if checkpoint is not None:
            parts = {"model": model.state_dict(), "optimiser": method.state_dict(), "schedule": schedule.state_dict()}
            save_checkpoint(checkpoint, parts | {"losses": losses, "recipe": recipe})
        if report is not None:
            report(epoch + 1, epochs, losses[-1])
    model.eval()
    return losses


def seed_worker(seed: int, worker: int) -> None:
    """All of a DataLoader's processes seed torch as the main process does: DataLoader itself would give each another seed."""
    torch.manual_seed(seed)


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Tensors, numbers and texts, nested in dicts and lists: their SHA-256 (32 bytes), then what torch.save makes of them.

    Raises:
        OSError: the file cannot be written; an older one is left as it was.
    """
    torch.save(state, stream := io.BytesIO())
    write_whole(file, hashlib.sha256(stream.getvalue()).digest() + stream.getvalue())


def load_checkpoint(file: Path, recipe: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The state that was saved, on DEVICE; None, and a line that says why, if the file is damaged or state["recipe"] is not `recipe`.

    None without a word if there is no file.
    """
    if not file.exists():
        return None
    content = file.read_bytes()
    try:
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise ValueError("its hash is another")
        state = torch.load(io.BytesIO(content[32:]), map_location=DEVICE, weights_only=True)
    except Exception as error:  # torch names a stranger's file in many ways; nothing but tensors and plain values is ever unpickled
        print(f"  {file} is damaged ({error}): the training begins again", flush=True)
        return None
    if recipe is not None and (not isinstance(state, dict) or state.get("recipe") != recipe):
        print(f"  {file} is of another training: this one begins again", flush=True)
        return None
    return state
