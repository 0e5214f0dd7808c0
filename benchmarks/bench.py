"""Beside its peers: each row times ours and a peer in turn, in one run, after both were compared.

Prints a Markdown table and writes JSON with versions and hardware.

Usage: python benchmarks/bench.py [--repeats 5] [--only NAME ...] [--out benchmarks/bench.json]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from peers import cams_by_gradcam, cams_by_torchcam, crf_by_loop, mean_iou_by_torchmetrics
from scipy import ndimage

from aelib.cam import cam
from aelib.crf import CRF, refine_present
from aelib.datasets.creatures import Creatures
from aelib.datasets.samples import Samples
from aelib.evaluation import confusion, iou
from aelib.mean_field import mean_field
from aelib.models import LargeFOV
from aelib.pipeline.results import machine
from aelib.saliency import robust_background
from aelib.support.files import write_json
from aelib.support.parallel import in_order
from aelib.training import DEVICE, Recipe, fit

PACKAGES = ("torch", "torchvision", "grad-cam", "torchcam", "pydensecrf2", "torchmetrics")


@dataclass
class Row:
    """One line of the table.

    Attributes:
        name: what is computed.
        ours, peer: median seconds.
        ratio: peer / ours.
        agreement: how far the two results agree, in words.
        goal: what the ratio is to be.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    agreement: str
    goal: str


def side_by_side(
    ours: Callable[[], Any], peer: Callable[[], Any], repeats: int
) -> tuple[float, float]:
    """Median seconds of both, called in turn, after one call of each that is not counted."""
    calls = (ours, peer)
    for call in calls:
        call()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, times in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return median(seconds[0]), median(seconds[1])


def row(name: str, ours: Callable, peer: Callable, repeats: int, agreement: str, goal: str) -> Row:
    """Times both and returns the line."""
    seconds = side_by_side(ours, peer, repeats)
    return Row(name, *seconds, seconds[1] / seconds[0], agreement, goal)


# --- rows -----------------------------------------------------------------------------------------


def cams(repeats: int) -> list[Row]:
    """CAMs of 2 present classes of 8 pictures, against both libraries on the same network."""
    rows = []
    for backbone, side, classes, goal in (("small", 96, 6, "10"), ("mobilenet_v2", 321, 20, "20")):
        torch.manual_seed(0)
        model = LargeFOV(classes, backbone).eval().to(DEVICE)
        torch.nn.init.normal_(model.score.weight, std=3)
        images = torch.rand(8, 3, side, side, device=DEVICE)
        present = [(i % classes, (i + 1) % classes) for i in range(len(images))]

        def ours(model=model, images=images, present=present) -> np.ndarray:
            maps = cam(model, images)
            return np.stack([maps[i, list(two)].cpu().numpy() for i, two in enumerate(present)])

        for peer in (cams_by_gradcam, cams_by_torchcam):

            def theirs(peer=peer, model=model, images=images, present=present) -> np.ndarray:
                return peer(model, images, present)

            worst = correlation(ours(), theirs())
            name = f"CAM, {backbone} {side}, against {peer.__name__.removeprefix('cams_by_')}"
            words = f"correlation of maps at least {worst:.4f}"
            rows.append(row(name, ours, theirs, repeats, words, goal))

        def forward(model=model, images=images) -> None:
            with torch.no_grad():
                model(images)

        name = f"CAM, {backbone} {side}, against one forward pass"
        rows.append(row(name, ours, forward, repeats, "", "0.91"))
    return rows


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The least correlation of two sets of maps, (n, k, H, W), over those that are not flat."""
    pairs = zip(one.reshape(-1, one[0, 0].size), other.reshape(-1, one[0, 0].size), strict=True)
    return min(np.corrcoef(a, b)[0, 1] for a, b in pairs if a.std() > 0 and b.std() > 0)


def scene(height: int, width: int, labels: int, seed: int) -> tuple[np.ndarray, ...]:
    """A picture with smooth colours, f of so many labels, and which 3 of them are present."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((height, width, 3))
    image = ndimage.gaussian_filter(noise, (6, 6, 0))
    image = (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8)
    scores = 8 * ndimage.gaussian_filter(rng.standard_normal((labels, height, width)), (0, 9, 9))
    present = np.zeros(labels, bool)
    present[[0, 3, 7]] = True
    scores[~present] -= 1
    f = torch.from_numpy(20 * scores).softmax(0).numpy().astype(np.float32)
    return image, f, present


def dense_crfs(repeats: int) -> list[Row]:
    """8 photographs of 375 x 281 pixels, 3 of 21 labels, against the usual loop over 21 labels."""
    scenes = [scene(281, 375, 21, seed) for seed in range(8)]
    crf = CRF()
    jobs = [(image, f, present, crf, "lattice") for image, f, present in scenes]
    rows = []
    for workers in (1, 2):

        def ours(workers=workers) -> list[np.ndarray]:
            return [q.argmax(0) for q in in_order(refine_present, jobs, workers)]

        def theirs() -> list[np.ndarray]:
            return [crf_by_loop(*one, crf).argmax(0) for one in scenes]

        same = np.mean([a == b for a, b in zip(ours(), theirs(), strict=True)])
        name = f"dense CRF, 8 photographs, {workers} worker(s), against the loop over 21 labels"
        words = f"{100 * same:.4f} % of the pixels alike"
        rows.append(row(name, ours, theirs, repeats, words, "4" if workers == 2 else "2"))
    image, f, _ = scene(96, 96, 7, 0)
    small = CRF(gaussian_sxy=1, bilateral_sxy=20)
    every = np.ones(7, bool)

    def exact() -> np.ndarray:
        return mean_field(image, torch.from_numpy(f).to(DEVICE), small).cpu().numpy()

    def lattice() -> np.ndarray:
        return refine_present(image, f, every, small, "lattice")

    same = (exact().argmax(0) == lattice().argmax(0)).mean()
    words = f"{100 * same:.2f} % of the pixels alike"
    name = "exact CRF, 96 x 96, against pydensecrf's approximation"
    rows.append(row(name, exact, lattice, repeats, words, "0.1"))
    return rows


def evaluation(repeats: int) -> list[Row]:
    """mIoU of 200 masks of 375 x 281 pixels, 21 classes, against torchmetrics image by image."""
    rng = np.random.default_rng(0)
    truths = [rng.integers(0, 21, (281, 375), dtype=np.uint8) for _ in range(200)]
    answers = [np.where(rng.random(t.shape) < 0.8, t, 0).astype(np.uint8) for t in truths]

    def ours() -> float:
        pairs = zip(truths, answers, strict=True)
        return float(np.nanmean(iou(sum(confusion(t, a, 21) for t, a in pairs))))

    def theirs() -> float:
        return mean_iou_by_torchmetrics(truths, answers, 21)

    words = f"mIoU differs by {abs(ours() - theirs()):.1e}"
    return [row("mIoU of 200 masks, against torchmetrics", ours, theirs, repeats, words, "100")]


# --- rates, without a peer ------------------------------------------------------------------------


def rates(repeats: int) -> dict[str, float]:
    """What this machine does a second, on its own."""
    images = [scene(281, 375, 8, seed)[0] for seed in range(6)]
    robust_background(images[0], 200)
    start = time.perf_counter()
    for image in images:
        robust_background(image, 200)
    saliency = len(images) / (time.perf_counter() - start)
    train = Creatures(0, 256, 1).pictures("train")
    labels = torch.from_numpy(train.labels).float()
    data = Samples(train, lambda i: (labels[i],), fill=torch.zeros(3))
    recipe = Recipe(1, 16, 1e-3, 0.0, 0)

    def loss(model: LargeFOV, image: torch.Tensor, label: torch.Tensor, _: float) -> torch.Tensor:
        return (model(image).mean(dim=(2, 3)) - label).square().mean()

    seconds = []
    for _ in range(max(3, repeats)):
        start = time.perf_counter()
        fit(LargeFOV(train.labels.shape[1], "small"), data, loss, recipe)
        seconds.append(time.perf_counter() - start)
    return {
        "saliency, photographs of 375 pixels a second": saliency,
        "training small LargeFOV at 96, images a second": len(train) / median(seconds),
        "threads": torch.get_num_threads(),
    }


ROWS = {"cam": cams, "crf": dense_crfs, "evaluation": evaluation}


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| what | ours | peer | ratio | goal | agreement |", "|---|---:|---:|---:|---:|---|"]
    for one in rows:
        times = f"{1000 * one.ours:.1f} ms | {1000 * one.peer:.1f} ms"
        ratio = f"{one.ratio:.2f}"
        lines.append(f"| {one.name} | {times} | {ratio} | {one.goal} | {one.agreement} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=[*ROWS, "rates"], default=[*ROWS, "rates"])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("bench.json"))
    options = parser.parse_args()
    found = [one for name in options.only if name in ROWS for one in ROWS[name](options.repeats)]
    print(table(found))
    alone = rates(options.repeats) if "rates" in options.only else {}
    for name, value in alone.items():
        print(f"{name}: {value:.1f}")
    content = {
        "machine": machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "repeats": options.repeats,
        "rows": [asdict(one) for one in found],
        "rates": alone,
    }
    write_json(options.out, content)


if __name__ == "__main__":
    main()
