"""Pictures on their way to a network: read ahead by other processes, put together in batches."""

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...datasets.base import to_tensor
from ...training import DEVICE
from ..health import finite
from ..settings import Settings

_CUDA = DEVICE.type == "cuda"
_PIXELS = (400 if _CUDA else 50) * 96 * 96  # of the pictures that a network sees together
_HELD = 8 * _PIXELS  # of those that wait for others of their size, or for an earlier answer
_MOST_LOADERS = 16  # feed any one GPU, see benchmarks/feeding.py
_SHARED_MEMORY = "/dev/shm"  # through which loaders hand their batches over
_PHOTOGRAPH = 12 * 1000**2  # bytes of a large one: three colours, float32
_BATCHES = 4  # that a loader has there at most: torch's two ahead, those in use and in the making
_FEW = 8  # pictures a loader that are not worth its start


# --- reading ahead --------------------------------------------------------------------------------


def loaders_of(s: Settings, batch: int = _PHOTOGRAPH) -> int:
    """Processes that read photographs ahead of the network: the setting, or by the machine.

    By the machine it is one a core but one, and no more than shared memory has room for. None for
    creatures, which are in memory; in a worker process, beside which others have the cores; and
    where a fork may fail (macOS) or there is none (Windows).

    Args:
        batch: bytes that a loader hands over at once.
    """
    if s.loaders >= 0:
        return s.loaders
    worker = multiprocessing.current_process().daemon
    if s.dataset == "creatures" or worker or sys.platform != "linux":
        return 0
    room = shutil.disk_usage(_SHARED_MEMORY).free // (_BATCHES * batch)
    return min(_MOST_LOADERS, len(os.sched_getaffinity(0)) - 1, room)


class _Items(Dataset):
    """item(0), ..., item(count - 1)."""

    def __init__(self, item: Callable[[int], Tensor], count: int) -> None:
        self.item = item
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Tensor:
        return self.item(i)


def read_ahead(item: Callable[[int], Tensor], count: int, loaders: int) -> Iterable[Tensor]:
    """item(0), ..., item(count - 1), in order, read by so many processes where that is worth it.

    Args:
        item: draws no random number from torch's own stream.
        count: how many there are.
        loaders: 0 reads in this process.
    """
    some = min(loaders, count // _FEW)
    if not some:
        return map(item, range(count))
    own = torch.Generator()  # or it would draw from torch's own stream
    context = {"num_workers": some, "multiprocessing_context": "fork", "generator": own}
    return DataLoader(_Items(item, count), batch_size=None, pin_memory=_CUDA, **context)


def tensors(images: Sequence[np.ndarray], loaders: int) -> Iterable[Tensor]:
    """The pictures, (H, W, 3) uint8, as (3, H, W) float32 in [0, 1], read as by `read_ahead`."""
    return read_ahead(lambda i: to_tensor(images[i]), len(images), loaders)


# --- answers --------------------------------------------------------------------------------------


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], images: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yields one result an image, in order, on the CPU; images of one size go together.

    Few are held at a time, however many there are.

    Args:
        function: (N, 3, H, W) -> N results.
        images: (3, H, W) each.

    Raises:
        FloatingPointError: a result is not finite.
    """
    waiting: dict[torch.Size, list[tuple[int, Tensor]]] = {}  # the oldest image's size comes first
    answers: dict[int, Tensor] = {}
    told = 0
    for i, image in enumerate(images):
        alike = waiting.setdefault(image.shape, [])
        alike.append((i, image))
        pixels = image.shape[1] * image.shape[2]
        if (len(alike) + 1) * pixels > _PIXELS:
            answers |= _answered(function, waiting.pop(image.shape))
        elif (i - told) * pixels > _HELD:
            answers |= _answered(function, waiting.pop(next(iter(waiting))))
        while told in answers:
            yield answers.pop(told)
            told += 1
    for alike in waiting.values():
        answers |= _answered(function, alike)
    yield from (answers[i] for i in sorted(answers))


def _answered(
    function: Callable[[Tensor], Tensor], alike: list[tuple[int, Tensor]]
) -> dict[int, Tensor]:
    """The results for images of one size, by their numbers."""
    numbers, images = zip(*alike, strict=True)
    batch = torch.stack(images).to(DEVICE, memory_format=torch.channels_last)
    results = finite(function(batch).cpu(), "a network's answer to these pictures")
    return dict(zip(numbers, results, strict=True))
