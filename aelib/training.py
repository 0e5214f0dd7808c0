"""fit(): a plain training loop that reports each epoch and can go on from an interrupted one."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW with a one-cycle schedule (ours: it is short), or SGD with momentum and
    one drop of the rate (the paper's)."""

    epochs: int
    batch_size: int  # the last, smaller batch of an epoch is used too
    learning_rate: float  # the one-cycle schedule's peak; for SGD the rate until the drop
    weight_decay: float  # of all parameters; AdamW's is decoupled, SGD adds it to the gradient
    seed: int  # for the order of the samples, their augmentation, and dropout
    last_layer_factor: float = 10.0  # how much faster score.* learns; the paper's factor
    features_factor: float = 1.0  # the same for features.*; below 1 if they come from ImageNet
    optimiser: str = "adamw"  # or "sgd"
    momentum: float = 0.9  # SGD's
    drop_epoch: int = 6  # after so many epochs SGD's rate is a tenth
    precision: str = "float32"  # or "bfloat16": autocast; weights and optimiser stay float32
    # Number of forked processes that read samples ahead; 0 reads them in this one. It changes no
    # number if samples are random by torch's seed and their index alone. Not on Windows: a sample's
    # target may be a closure, which cannot be pickled.
    loaders: int = 0


def fit(
    model: nn.Module,
    dataset: Dataset,
    loss: Callable[..., Tensor],
    recipe: Recipe,
    *,
    state: dict[str, Any] | None = None,
    until: int | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
    report: Callable[[int, int, float], None] | None = None,
) -> list[float]:
    """Trains the model in place and leaves it in eval mode.

    Each epoch seeds itself from (seed, epoch), so an interrupted training that continues has the
    same numbers as one that was not interrupted.

    Args:
        model: what `loss` calls; its parameters with requires_grad are trained.
        dataset: its items are tuples of tensors; `loss` gets a batch of them.
        loss: loss(model, *batch, progress) -> scalar tensor; progress is the share of the epochs
            that is done, in [0, 1).
        recipe: the numbers.
        state: what an interrupted fit last gave to `keep`, to continue from; None starts anew.
        until: stop after so many of the recipe's epochs; None trains all of them.
        keep: called after each epoch with {"model", "optimiser", "schedule": state dicts, "losses":
            list}. Training goes on in the same tensors: write or copy them before returning.
        report: called after each epoch as report(epoch, epochs, mean loss).

    Returns:
        Mean training loss of each epoch.

    Raises:
        FloatingPointError: the loss or a weight is NaN or infinite; names the epoch, and the step
            or the weight.
    """
    model.to(DEVICE, memory_format=torch.channels_last).train()
    optimiser, schedule = _optimiser(model, recipe, math.ceil(len(dataset) / recipe.batch_size))
    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    bfloat16 = recipe.precision == "bfloat16"
    losses: list[float] = []
    if state is not None:
        for name, part in parts.items():
            part.load_state_dict(copy.deepcopy(state[name]))  # optimisers keep tensors they load
        losses = list(state["losses"])
    for epoch in range(len(losses), recipe.epochs if until is None else until):
        where = f"epoch {epoch + 1} of {recipe.epochs}"
        total, done = 0.0, 0
        for step, batch in enumerate(_batches(dataset, recipe, epoch), start=1):
            batch = [part.to(DEVICE, non_blocking=True) for part in batch]
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bfloat16):
                value = loss(model, *batch, epoch / recipe.epochs)
            if not math.isfinite(value.item()):
                raise FloatingPointError(
                    f"the training loss became {value.item()} in {where}, step {step}; a smaller "
                    "learning_rate may help"
                )
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            total += value.item() * min(recipe.batch_size, len(dataset) - done)  # of all processes
            done += recipe.batch_size
        losses.append(total / len(dataset))
        for name, weight in model.state_dict().items():
            bad = int((~weight.isfinite()).sum())
            if bad:
                raise FloatingPointError(
                    f"weight {name} after {where}: {bad} of {weight.numel()} are NaN or infinite"
                )
        if keep is not None:
            states = {name: part.state_dict() for name, part in parts.items()}
            keep(states | {"losses": list(losses)})
        if report is not None:
            report(epoch + 1, recipe.epochs, losses[-1])
    model.eval()
    return losses


def _optimiser(
    model: nn.Module, recipe: Recipe, steps: int
) -> tuple[torch.optim.Optimizer, lr_scheduler.LRScheduler]:
    """The optimiser and its schedule, for so many steps an epoch."""
    factors = {"features": recipe.features_factor, "score": recipe.last_layer_factor}
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = recipe.learning_rate * factors.get(name.partition(".")[0], 1.0)
            by_rate.setdefault(rate, []).append(parameter)
    groups = [{"params": by_rate[rate], "lr": rate} for rate in sorted(by_rate) if rate]
    decay = recipe.weight_decay
    if recipe.optimiser == "sgd":
        optimiser = torch.optim.SGD(groups, momentum=recipe.momentum, weight_decay=decay)
        drop = [recipe.drop_epoch * steps]
        return optimiser, lr_scheduler.MultiStepLR(optimiser, drop, gamma=0.1)
    optimiser = torch.optim.AdamW(groups, weight_decay=decay)
    peaks = [group["lr"] for group in groups]
    return optimiser, lr_scheduler.OneCycleLR(optimiser, peaks, total_steps=recipe.epochs * steps)


def _batches(dataset: Dataset, recipe: Recipe, epoch: int) -> DataLoader:
    """An epoch's batches in random order. Seeds torch from (seed, epoch)."""
    seed = recipe.seed * 1_000 + epoch
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    processes = {}
    if recipe.loaders:
        # fork is safe here: the loaders' processes keep to one thread and only read pictures
        processes = {
            "num_workers": recipe.loaders,
            "multiprocessing_context": "fork",
            "worker_init_fn": partial(seed_worker, seed),
        }
    processes["pin_memory"] = DEVICE.type == "cuda"  # then copies run beside the network
    return DataLoader(dataset, recipe.batch_size, shuffle=True, generator=order, **processes)


def seed_worker(seed: int, worker: int) -> None:
    """Seeds torch in a DataLoader's process as here; DataLoader alone seeds each differently."""
    torch.manual_seed(seed)
