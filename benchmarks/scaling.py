"""How seconds and memory grow with the number of pictures, and of processes: straight lines?

Usage: python benchmarks/scaling.py [--quick] [--out scaling.json]

Each measurement is a process of its own, so its peak memory is its own. A line through the points
is fitted by least squares; beside it stand its largest residual, as a share of the longest time,
and the memory a thousand pictures more take. Creatures are drawn into memory (36 kB each, with
mask and parts 55 kB), so theirs grows by that; photographs are read one at a time.

The parts: drawing creatures, an epoch of training, CAMs of all pictures, reading photographs, and
saliency of a fixed number of creatures with 1, 2, ... processes.
"""

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from aelib.cam import cam
from aelib.datasets.base import Lazy
from aelib.datasets.creatures import Creatures
from aelib.datasets.photos import read_photo
from aelib.datasets.samples import Samples
from aelib.erasing import classification_loss
from aelib.models import LargeFOV, classify
from aelib.pipeline.directory import peak_memory_mb
from aelib.pipeline.stages.feeding import in_batches, tensors
from aelib.saliency import robust_background
from aelib.support.parallel import in_order
from aelib.training import Recipe, fit

FULL = (500, 1000, 2000, 4000, 8000)
QUICK = (64, 128, 256)
DIFFERENT = 32  # photographs on disk, read again and again


@cache
def creatures(number: int) -> Any:
    """The training pictures of a world of so many."""
    return Creatures(0, number, 0).pictures("train")


def drawn(number: int) -> None:
    """Draw them: the part that the others are measured without."""
    creatures(number)


def trained(number: int) -> None:
    """One epoch of the small classifier."""
    train = creatures(number)
    labels = torch.from_numpy(train.labels).float()

    def loss(model: LargeFOV, image: torch.Tensor, label: torch.Tensor, progress: float) -> Any:
        return classification_loss(classify(model(image)), label, "sigmoid")

    recipe = Recipe(1, 16, learning_rate=1e-3, weight_decay=1e-2, seed=0)
    samples = Samples(train, lambda i: (labels[i],), fill=torch.zeros(3))
    fit(LargeFOV(len(train.classes), "small"), samples, loss, recipe)


def mapped(number: int) -> None:
    """CAMs of all, one after the other."""
    train = creatures(number)
    model = LargeFOV(len(train.classes), "small").eval()
    for _ in in_batches(lambda x: cam(model, x), tensors(train.images, 0)):
        pass


def read(number: int) -> None:
    """Photographs of 500 x 375 pixels from disk, as a network gets them."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.jpg" for i in range(DIFFERENT)]
        for file, image in zip(files, creatures(DIFFERENT).images, strict=True):
            Image.fromarray(image).resize((500, 375)).save(file, quality=95)
        images = Lazy(read_photo, [files[i % DIFFERENT] for i in range(number)])
        for _ in in_batches(lambda x: x[:, :1], tensors(images, 0)):
            pass


def salient(processes: int, pictures: int) -> None:
    """Saliency of so many creatures; the processes are there before."""
    jobs = [(image, 250) for image in creatures(pictures).images]
    for _ in in_order(robust_background, jobs, processes):
        pass


def measured(part: Callable[..., None], before: Callable[[], Any], *of: int) -> dict[str, float]:
    """Seconds and peak memory of part(*of), after `before`, in this process."""
    torch.set_num_threads(1)
    before()
    start, cpu = time.perf_counter(), time.process_time()
    part(*of)
    seconds = time.perf_counter() - start, time.process_time() - cpu
    return {"seconds": seconds[0], "cpu_seconds": seconds[1], "peak_memory_mb": peak_memory_mb()}


def alone(part: Callable[..., None], *of: int, pictures: int) -> dict[str, float]:
    """`measured` in a process of its own, with so many creatures drawn before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measured, part.__name__, of, pictures).result()


def _measured(name: str, of: tuple[int, ...], pictures: int) -> dict[str, float]:
    def before() -> None:
        if pictures:
            creatures(pictures)
        if name == "trained":  # torch imports a lot with its first optimiser
            trained(DIFFERENT)
        if name == "salient":
            salient(of[0], 8 * of[0])

    return measured(globals()[name], before, *of)


def line(points: list[dict[str, float]], at: str, what: str) -> dict[str, float]:
    """The least-squares line: slope and start, and its largest residual as a share of the most."""
    x = np.array([point[at] for point in points])
    y = np.array([point[what] for point in points])
    slope, start = np.polyfit(x, y, 1)
    residual = np.abs(y - slope * x - start).max() / y.max()
    return {"slope": slope, "start": start, "residual": residual}


def of_pictures(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Each part over the numbers of pictures, printed as a table's lines."""
    found = {}
    print("| part | ms a picture (CPU) | residual | MB a thousand pictures more |")
    print("|---|---:|---:|---:|")
    for part, in_memory in ((drawn, 0), (trained, 1), (mapped, 1), (read, 0)):
        points = [
            {"pictures": n} | alone(part, n, pictures=n * in_memory or DIFFERENT) for n in sizes
        ]
        seconds = line(points, "pictures", "cpu_seconds")
        memory = line(points, "pictures", "peak_memory_mb")
        found[part.__name__] = {"points": points, "seconds": seconds, "memory": memory}
        rates = f"{1000 * seconds['slope']:.2f} | {100 * seconds['residual']:.0f} %"
        print(f"| {part.__name__} | {rates} | {1000 * memory['slope']:.0f} |", flush=True)
    return found


def of_processes(most: int, pictures: int) -> list[dict[str, float]]:
    """Saliency with 1 to `most` processes, printed as a table's lines."""
    found = []
    print(f"\n| processes | seconds, saliency of {pictures} | times one process |")
    print("|---:|---:|---:|")
    for processes in range(1, most + 1):
        one = alone(salient, processes, pictures, pictures=pictures)
        found.append({"processes": processes} | one)
        times = found[0]["seconds"] / one["seconds"]
        print(f"| {processes} | {one['seconds']:.1f} | {times:.2f} |", flush=True)
    return found


def main() -> None:
    """Measure, print both tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, half a minute")
    parser.add_argument("--out", type=Path, default=Path("scaling.json"))
    a = parser.parse_args()
    sizes = QUICK if a.quick else FULL
    machine = {"cores": os.cpu_count(), "processor": platform.machine()}
    content = {"torch": torch.__version__, "python": platform.python_version(), "machine": machine}
    content["pictures"] = of_pictures(sizes)
    content["processes"] = of_processes(os.cpu_count() or 1, sizes[0])
    a.out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"\n{a.out}")


if __name__ == "__main__":
    main()
