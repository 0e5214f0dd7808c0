"""Trainings that test_distributed.py has one process make, and two under torchrun.

torchrun --nproc-per-node 2 two_processes.py FOLDER     # writes FOLDER/RANK.pt
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from aelib import psl
from aelib.erasing import classification_loss
from aelib.models import LargeFOV, classify
from aelib.pipeline.distributed import joined
from aelib.pipeline.stages.checkpoint import fit_resumably
from aelib.training import Recipe

EPOCHS = 3
#: Pictures, pictures a batch, crop, loaders. Shares: 2 + 1, 2 + 1, 1 + 0; or 1 + 0; or 2 + 2.
CASES = [(7, 3, 0, 0), (7, 3, 1, 0), (7, 3, 1, 2), (1, 4, 0, 0), (4, 4, 0, 0)]


class Noisy(Dataset):
    """Pictures that change at every access: by torch's stream or, as crops do, by their index."""

    def __init__(self, size: int, crop: int) -> None:
        g = torch.Generator().manual_seed(0)
        self.x = torch.randn(size, 3, 8, 8, generator=g, dtype=torch.float64)
        self.y = torch.randint(0, 2, (size,), generator=g)
        self.crop = crop

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        g = torch.Generator().manual_seed(torch.initial_seed() + i) if self.crop else None
        noise = torch.randn(3, 8, 8, generator=g, dtype=torch.float64)
        return self.x[i] + 0.3 * noise, self.y[i], torch.tensor(i)


class Segments(Dataset):
    """Three pictures with S, one of them ignored everywhere, and v."""

    crop = 1

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        g = torch.Generator().manual_seed(i)
        S = torch.randint(0, 3, (32, 32), generator=g).to(torch.uint8)
        S[torch.rand(32, 32, generator=g) < (1.0 if i == 1 else 0.4)] = 255
        return torch.rand(3, 32, 32, generator=g), S, torch.rand(2, generator=g)


def trained(model: nn.Module, data: Dataset, loss: Any, recipe: Recipe) -> dict[str, Any]:
    """Losses, weights, and the last step's gradients."""
    with TemporaryDirectory() as folder:
        losses = fit_resumably(model, data, loss, recipe, Path(folder))
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    return {"losses": losses, "weights": model.state_dict(), "gradients": gradients}


def noisy(size: int, batch: int, crop: int, loaders: int) -> dict[str, Any]:
    """A training in float64 with batch norm, and the pictures that the loss saw in each epoch."""
    torch.manual_seed(11)
    features = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*features)
    model.add_module("score", nn.Linear(288, 2))
    seen: list[list[int]] = [[] for _ in range(EPOCHS)]

    def loss(model: nn.Module, x: Tensor, y: Tensor, i: Tensor, progress: float) -> Tensor:
        seen[round(progress * EPOCHS)] += i.tolist()
        return F.cross_entropy(model(x), y)

    recipe = Recipe(EPOCHS, batch, 1e-2, 1e-3, seed=1, optimiser="sgd", loaders=loaders)
    return trained(model.double(), Noisy(size, crop), loss, recipe) | {"seen": seen}


def network(kind: str) -> dict[str, Any]:
    """One step of the small LargeFOV by the paper's losses, in float32."""
    torch.manual_seed(3)
    model = LargeFOV(2 if kind == "classifier" else 3, "small", dropout=0)

    def loss(model: nn.Module, image: Tensor, S: Tensor, v: Tensor, progress: float) -> Tensor:
        scores = model(image)
        if kind == "classifier":
            return classification_loss(classify(scores), v.round(), "sigmoid")
        return psl.psl_loss(scores, psl.shrink(S, scores.shape[-2:]), v)

    recipe = Recipe(1, 3, learning_rate=1e-2, weight_decay=0, seed=0, optimiser="sgd")
    return trained(model, Segments(), loss, recipe)


def dropped() -> dict[str, Any]:
    """Which of 64 equal pixels dropout leaves to each share of two batches, in two epochs."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten())
    model.add_module("score", nn.Linear(64, 1))
    masks: list[list[bool]] = []
    model[0].register_forward_hook(lambda module, given, out: masks.append((out > 0).tolist()))
    data = TensorDataset(torch.ones(4, 64))
    recipe = Recipe(2, 2, learning_rate=1e-3, weight_decay=0, seed=0)
    return trained(model, data, lambda m, x, p: m(x).square().mean(), recipe) | {"masks": masks}


def everything() -> dict[str, dict[str, Any]]:
    """All trainings, by name."""
    found = {str(case): noisy(*case) for case in CASES}
    found |= {kind: network(kind) for kind in ("classifier", "psl")}
    return found | {"dropout": dropped()}


if __name__ == "__main__":
    with joined():
        torch.save(everything(), Path(sys.argv[1]) / f"{dist.get_rank()}.pt")
