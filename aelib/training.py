"""fit(): a plain training loop that reports each epoch, can be killed and goes on where it was."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

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
    seed: int,
    checkpoint: Path | None = None,
    report: Callable[[int, int, float], None] | None = None,
) -> list[float]:
    """Train in place with AdamW under a one-cycle schedule (our choice: a short schedule from random weights).

    Each epoch seeds itself from (seed, epoch), so a training resumed after a kill gives the numbers of one that was not.

    Args:
        model: called by `loss`; its parameters are trained, and it is left in eval mode.
        dataset: items are tuples of tensors; a batch of them is what `loss` gets.
        loss: loss(model, *batch, progress) -> scalar tensor; progress is the share of the epochs that is done, in [0, 1).
        epochs, batch_size: counts; the last, smaller batch of an epoch is used too.
        learning_rate: the schedule's peak.
        last_layer_factor: how much faster the parameters named score.* learn; the paper's last layer has ten times the rate.
        weight_decay: decoupled, on all parameters, in proportion to their learning rate.
        seed: for the order of the samples, their augmentation, and dropout.
        checkpoint: file for the state after each epoch; continued from when it exists, removed by the caller when the result is safe.
        report: called as report(epoch, epochs, mean loss) after each epoch.

    Returns:
        Mean training loss of each epoch.

    Raises:
        FloatingPointError: the loss is NaN or infinite; names the epoch.
    """
    model.to(DEVICE, memory_format=torch.channels_last).train()
    last = [p for name, p in model.named_parameters() if name.startswith("score.")]
    rest = [p for name, p in model.named_parameters() if not name.startswith("score.")]
    groups = [{"params": p, "lr": lr} for p, lr in ((rest, learning_rate), (last, last_layer_factor * learning_rate)) if p]
    optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=epochs * math.ceil(len(dataset) / batch_size))
    losses: list[float] = []
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
        for part, name in ((model, "model"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        losses = state["losses"]
    for epoch in range(len(losses), epochs):
        torch.manual_seed(seed * 1_000 + epoch)
        order = torch.Generator().manual_seed(seed * 1_000 + epoch)
        total = 0.0
        for batch in DataLoader(dataset, batch_size, shuffle=True, generator=order):
            batch = [part.to(DEVICE) for part in batch]
            value = loss(model, *batch, epoch / epochs)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            total += value.item() * len(batch[0])
        losses.append(total / len(dataset))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the training loss became {losses[-1]} in epoch {epoch + 1} of {epochs}; a smaller learning_rate may help")
        if checkpoint is not None:
            parts = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
            torch.save(parts | {"losses": losses}, checkpoint.with_suffix(".tmp"))
            os.replace(checkpoint.with_suffix(".tmp"), checkpoint)
        if report is not None:
            report(epoch + 1, epochs, losses[-1])
    model.eval()
    return losses
