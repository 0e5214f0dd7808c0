"""One training shared out by torch.distributed: each process takes its share of every batch.

All processes draw the same order, so the batches are those of one process. The gradient is that of
the mean over the whole batch, whatever the shares' sizes; weights, and so checkpoints, are the same
in all. Batch norm and dropout see the whole batch, too.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from functools import cache, partial
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from ..training import DEVICE
from .directory import RunError

_PATIENCE = timedelta(days=1)  # the first process may compute saliency while the others wait
_LOST = (
    "another process of this training ended; what is finished, and a training up to its last "
    "epoch, is kept: the same command goes on from there"
)

Loss = Callable[..., Tensor]


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun started, each with a GPU of its own where there are GPUs.

    Of what they print only the first's is shown. Without torchrun it does nothing.

    Raises:
        RunError: another process ended; the first two say so.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    if DEVICE.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(dist.get_default_backend_for_device(DEVICE), timeout=_PATIENCE)
    signal.signal(signal.SIGTERM, _stop)  # torchrun sends it when a process has ended
    try:
        with open(os.devnull, "w") as nothing, redirect_stdout(sys.stdout if first() else nothing):
            yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "/gloo/" in str(error):  # gloo has no class for it
            _stop(error)
        raise
    dist.destroy_process_group()  # not after an error: it would wait for the others


def _stop(*why: Any) -> None:
    if dist.get_rank() > 1:
        sys.exit(2)
    raise RunError(_LOST)


def first() -> bool:
    """Whether this is the first of the joined processes, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait() -> None:
    """Go on when all joined processes are here."""
    if dist.is_initialized():
        dist.barrier()


def shared(model: nn.Module, dataset: Dataset, loss: Loss) -> tuple[Dataset, Loss]:
    """What `training.fit` needs to train the model in all joined processes.

    Args:
        model: its batch norm becomes `SharedBatchNorm`.
        dataset: its items are tuples of tensors, the picture first.
        loss: a mean over the pictures of its batch; it calls the model once.

    Returns:
        The data set and the loss for `fit`; in one process the given ones.
    """
    if not dist.is_initialized():
        return dataset, loss
    wait()  # until all have seen the checkpoint: where no epoch is left, the first soon removes it
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:  # FixedBatchNorm needs no statistics
            module.__class__ = SharedBatchNorm  # parameters and names stay as they are
    # made at the first step: by then `fit` has put the model on its device
    return Shares(dataset), partial(_shared_loss, loss, cache(DistributedDataParallel))


def _shared_loss(loss: Loss, parallel: Callable, model: nn.Module, *given: Any) -> Tensor:
    """The loss of the whole batch. DistributedDataParallel averages what this sums: no factor."""
    *batch, index, weight, progress = given
    with _own_dropout(int(index[0])):
        if weight.any():
            part = loss(parallel(model), *batch, progress) * float(weight.sum())
        else:  # no share of this batch: its gradient is 0, but the others wait for it
            part = parallel(model)(batch[0][:0]).sum()
    return _Sum.apply(part)


@contextmanager
def _own_dropout(index: int) -> Iterator[None]:
    """Draw dropout by torch's seed and a share's first picture, and from no other's stream."""
    state = np.random.SeedSequence((torch.initial_seed(), index)).generate_state(1, np.uint64)
    with torch.random.fork_rng([DEVICE] if DEVICE.type == "cuda" else []):
        torch.manual_seed(int(state[0]))
        yield


class Shares(Dataset):
    """A data set of which this process sees every n-th picture of each batch.

    An item has two tensors more: its index, and its weight in the mean over the batch. Where there
    are fewer pictures than processes, some get one that weighs 0.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.rank, self.processes = dist.get_rank(), dist.get_world_size()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, batch: Sequence[int]) -> list[tuple[Tensor, ...]]:
        """This process's share of a batch; DataLoader asks for it by this name."""
        own = batch[self.rank :: self.processes]
        weight = torch.tensor(1 / len(batch) if own else 0.0, dtype=torch.float64)
        seen = own or batch[:1]
        # crops are random by their index; what else is random draws from torch's stream in turn,
        # which must be the same in all processes
        read = seen if getattr(self.dataset, "crop", 0) else batch
        items = {i: self.dataset[i] for i in read}
        return [(*items[i], torch.tensor(i), weight) for i in seen]


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm by the statistics of all processes (torch's SyncBatchNorm is for GPUs only)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes, shape = (0, 2, 3), (1, -1, 1, 1)
        wide = x if x.dtype == torch.float64 else x.float()  # of bfloat16
        count = wide.new_tensor([x.numel() / self.num_features])
        total, count = _Sum.apply(torch.cat([wide.sum(axes), count])).split(self.num_features)
        mean = total / count
        centred = wide - mean.view(shape)
        var = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * (var + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes, the same bits in each; so is the gradient."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)
