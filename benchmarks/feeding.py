"""How fast photographs reach a network that costs nothing: a Markdown table.

Usage: python benchmarks/feeding.py [--data-root FOLDER] [--pictures 120] [--crop 321]
                                    [--loaders 0 1 2 ...]

The photographs are those of train_aug in FOLDER/VOCdevkit, or creatures drawn as photographs of 500
x 375 pixels. The first table is of one core, in processor time, which other work on the machine
disturbs least; beside each rate stand the cores that feed a GPU of 1,290 samples a second (half the
bfloat16 rate of an H100, for LargeFOV-VGG16 at 321 pixels). The second is the wall clock of `fit`
and of `in_batches`, with so many loaders.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from aelib.datasets.base import Lazy, Pictures, photo_pictures, sizes
from aelib.datasets.creatures import CLASSES, creature
from aelib.datasets.photos import read_labels, save_mask
from aelib.datasets.samples import Samples
from aelib.datasets.selection import Item
from aelib.datasets.voc import VOC
from aelib.pipeline.stages import MinedRegions
from aelib.pipeline.stages.feeding import in_batches, tensors
from aelib.training import Recipe, fit

GOAL = 1_290  # samples a second, of LargeFOV-VGG16 at 321 pixels
SECONDS = 2.0  # that each rate is measured for, at least


@contextmanager
def photographs(root: str, number: int) -> Iterator[tuple[Pictures, Lazy]]:
    """The pictures, with a label map each: the devkit's, or creatures drawn into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        if root:
            lists, limits = {"train": "train_aug", "val": "val"}, {"train": number}
            train = VOC(Path(root).absolute(), lists=lists, limits=limits).pictures("train")
        else:
            train = _drawn(Path(folder), number)
        files = [Path(folder) / f"{name}.png" for name in train.ids]
        for file, (height, width) in zip(files, sizes(train.images), strict=True):
            save_mask(file, np.arange(width, dtype=np.uint8)[None].repeat(height, axis=0) // 100)
        yield train, Lazy(read_labels, files)


def _drawn(folder: Path, number: int) -> Pictures:
    items = []
    for i in range(number):
        drawn = creature(0, "train", i)
        file = folder / f"{i}.jpg"
        Image.fromarray(drawn.image).resize((500, 375)).save(file, quality=95)
        names = frozenset(np.array(CLASSES)[drawn.labels])
        items.append(Item(str(i), file, file, names))
    return photo_pictures(items, CLASSES, longest=500)


def mined(train: Pictures) -> MinedRegions:
    """A random rectangle, a quarter of the picture, for each class that is there."""
    rng = np.random.default_rng(0)
    packed = []
    for (height, width), labels in zip(sizes(train.images), train.labels, strict=True):
        region = np.zeros((height, width), bool)
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        region[top : top + height // 2, left : left + width // 2] = True
        bits = np.packbits(region, axis=1)
        packed.append([(int(c), bits) for c in np.flatnonzero(labels)])
    return MinedRegions(sizes(train.images), len(train.classes), packed)


def jobs(train: Pictures, masks: Lazy, crop: int) -> dict[str, Callable[[int], object]]:
    """What is measured: name -> its work for picture i."""
    fill, labels = torch.full((3,), 0.45), torch.from_numpy(train.labels).float()
    regions = mined(train)
    erasing = {"regions": lambda i: torch.from_numpy(regions[i])}

    def crops(**more: object) -> Callable[[int], object]:
        return Samples(train, lambda i: (labels[i],), fill=fill, crop=crop, **more).__getitem__

    return {
        "photograph decoded": train.images.__getitem__,
        "label map decoded": masks.__getitem__,
        "classifier, step 1": crops(),
        "classifier, step 1, scales 0.5 to 1.5": crops(scales=(0.5, 1.5)),
        "classifier, step 2 and later (erased)": crops(**erasing),
        "segmentation network": crops(masks=masks),
    }


def of_one_core(job: Callable[[int], object], pictures: int) -> float:
    """Pictures a second of processor time."""
    job(0)
    start = time.process_time()
    for done in count(1):
        job(done % pictures)
        seconds = time.process_time() - start
        if seconds >= SECONDS:
            return done / seconds


class Free(nn.Module):
    """A network without work: one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


def trained(samples: Samples, loaders: int) -> float:
    """Samples a second that `fit` sees, in batches of 30."""

    def loss(model: Free, image: Tensor, *more: object) -> Tensor:
        return model.weight.sum()

    recipe = Recipe(1, 30, learning_rate=1e-3, weight_decay=0.0, seed=0, loaders=loaders)
    start = time.perf_counter()
    fit(Free(), samples, loss, recipe)
    return len(samples) / (time.perf_counter() - start)


def answered(train: Pictures, loaders: int) -> float:
    """Whole pictures a second that `in_batches` gives to a network."""
    start = time.perf_counter()
    number = sum(1 for _ in in_batches(lambda x: x[:, :1], tensors(train.images, loaders)))
    return number / (time.perf_counter() - start)


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="", metavar="FOLDER")
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--crop", type=int, default=321)
    parser.add_argument("--loaders", type=int, nargs="*", default=[0, 1, 2])
    a = parser.parse_args()
    torch.set_num_threads(1)
    with photographs(a.data_root, a.pictures) as (train, masks):
        median = sorted(sizes(train.images))[len(train) // 2]
        print(f"{len(train)} photographs, the median {median[1]} x {median[0]}; crops {a.crop}\n")
        print(f"| what is read | pictures a second and core | cores for {GOAL:,} a second |")
        print("|---|---:|---:|")
        for name, job in jobs(train, masks, a.crop).items():
            rate = of_one_core(job, len(train))
            print(f"| {name} | {rate:.0f} | {math.ceil(GOAL / rate)} |", flush=True)
        print("\n| loaders | samples a second, training | photographs a second, CAMs |")
        print("|---:|---:|---:|")
        labels = torch.from_numpy(train.labels).float()
        samples = Samples(train, lambda i: (labels[i],), fill=torch.zeros(3), crop=a.crop)
        trained(samples, 0)  # torch imports a lot with its first optimiser
        for loaders in a.loaders:
            rates = trained(samples, loaders), answered(train, loaders)
            print(f"| {loaders} | {rates[0]:.0f} | {rates[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
