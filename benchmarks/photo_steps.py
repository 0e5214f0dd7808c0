"""Seconds and memory of a training step and of CAMs on photo-sized input: a Markdown table.

The networks are those of `voc_lite` and `voc`.

Usage: python benchmarks/photo_steps.py [--threads 2] [--steps 3] [--device cpu|cuda]
                                        [--only mobilenet_v2|vgg16]

Input and weights are random: neither changes the time. Each line is measured in a process of its
own, so its peak memory is its own. "CPU s" is the processor time of all threads: on a machine that
others use too it is the steadier of the two. Where the processor multiplies no bfloat16 (no
avx512_bf16, no amx), bfloat16 is emulated and slower.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.nn import functional as F

from aelib.cam import cam
from aelib.models import LargeFOV

TRAIN_AUG = 10_582  # pictures of VOC 2012's train_aug
CROPS = (129, 161, 225, 321)


class Case(NamedTuple):
    """What one line of the table measures."""

    backbone: str
    crop: int  # pixels
    batch: int
    frozen: int = 0  # layers
    bfloat16: bool = False
    job: str = "step"  # or "CAM"


def measure(case: Case, threads: int, steps: int, device: str) -> tuple[float, float, float]:
    """Returns (seconds, processor seconds, peak memory in GB) of one step, or of one CAM.

    The best of `steps` after a warm-up. Memory is what torch took of the GPU, or, on the CPU, the
    process's.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    last = torch.channels_last
    model = LargeFOV(21, case.backbone, frozen=case.frozen).to(device, memory_format=last).train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-5)
    image = torch.rand(case.batch, 3, case.crop, case.crop, device=device)
    image = image.contiguous(memory_format=last)
    side = -(-case.crop // 8)
    mask = torch.randint(0, 21, (case.batch, side, side), device=device)
    times = []
    for _ in range(steps + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.autocast(device, torch.bfloat16, enabled=case.bfloat16):
            if case.job == "CAM":
                cam(model, image[:1])
            else:
                optimiser.zero_grad()
                F.cross_entropy(model(image), mask).backward()
                optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return *min(times[1:]), _peak(device)


def _peak(device: str) -> float:
    """Returns GB."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def cases(only: str | None, gpu: bool) -> list[Case]:
    """Returns what to measure: all, or the cases of one backbone."""
    laptop = [Case("mobilenet_v2", crop, 8, frozen) for crop in CROPS for frozen in (0, 7, 14)]
    laptop += [
        Case("mobilenet_v2", 225, 16, 7),
        Case("mobilenet_v2", 225, 8, 7, bfloat16=True),
        Case("mobilenet_v2", 321, 1, job="CAM"),
    ]
    paper = [Case("vgg16", 321, batch) for batch in ((1, 4, 30) if gpu else (1, 2, 4))]
    paper += [Case("vgg16", 321, 4, 10), Case("vgg16", 321, 1, job="CAM")]
    if gpu:
        paper.append(Case("vgg16", 321, 30, bfloat16=True))
    return [case for case in laptop + paper if only in (None, case.backbone)]


def report(threads: int, steps: int, device: str, only: str | None = None) -> Iterator[str]:
    """The table, a line as soon as it is measured, each case in a process of its own."""
    where = f"{threads} threads, {torch.backends.cpu.get_cpu_capability()}"
    where = torch.cuda.get_device_name() if device == "cuda" else where
    yield f"torch {torch.__version__}, {where}\n"
    yield (
        "| network | job | crop | batch | frozen layers | type | s | CPU s | ms a picture "
        "| peak GB | epoch of 10,582 |"
    )
    yield "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|"
    for case in cases(only, device == "cuda"):
        with multiprocessing.get_context("spawn").Pool(1) as process:
            wall, cpu, peak = process.apply(measure, (case, threads, steps, device))
        yield _line(case, wall, cpu, peak)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--only", choices=("mobilenet_v2", "vgg16"))
    a = parser.parse_args()
    for line in report(a.threads, a.steps, a.device, a.only):
        print(line, flush=True)


def _line(case: Case, wall: float, cpu: float, peak: float) -> str:
    number = "bfloat16" if case.bfloat16 else "float32"
    each = wall / case.batch
    what = f"{case.backbone} | {case.job} | {case.crop} | {case.batch} | {case.frozen} | {number}"
    measured = f"{wall:.2f} | {cpu:.2f} | {1000 * each:.0f} | {peak:.1f}"
    return f"| {what} | {measured} | {TRAIN_AUG * each / 60:.0f} min |"


if __name__ == "__main__":
    main()
