"""Seconds and memory of a training step and of CAMs on photo-sized input, for the networks of `voc_lite` and `voc`, as a Markdown table.

Usage: python benchmarks/photos.py [--threads 2] [--steps 3] [--device cpu|cuda] [--only mobilenet_v2|vgg16]

Random input and weights: neither changes the time. Each line is measured in a process of its own, so its peak memory is its own. "CPU s"
is the processor time of all threads: on a machine that others use too it is the steadier of the two. Where the processor multiplies no
bfloat16 (no avx512_bf16, no amx), bfloat16 is emulated and slower.
"""

import argparse
import multiprocessing
import resource
import time

import torch
from torch.nn import functional as F

from aelib.cam import cam
from aelib.models import LargeFOV

TRAIN_AUG = 10_582  # pictures of VOC 2012's train_aug
CROPS = (129, 161, 225, 321)


def measure(backbone: str, crop: int, batch: int, frozen: int, bf16: bool, job: str, threads: int, steps: int, device: str) -> tuple[float, ...]:
    """(seconds, processor seconds, peak memory in GB) of one step, or of the CAMs of one picture: the best of `steps` after a warm-up.

    Memory is the process's, on the CPU, or what torch took of the GPU.
    """
    torch.set_num_threads(threads)
    gpu = device == "cuda"
    torch.manual_seed(0)
    model = LargeFOV(21, backbone, frozen=frozen).to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-5)
    image = torch.rand(batch, 3, crop, crop, device=device).contiguous(memory_format=torch.channels_last)
    mask = torch.randint(0, 21, (batch, -(-crop // 8), -(-crop // 8)), device=device)
    times = []
    for _ in range(steps + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            if job == "CAM":
                cam(model, image[:1])
            else:
                optimiser.zero_grad()
                F.cross_entropy(model(image), mask).backward()
                optimiser.step()
        if gpu:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    peak = torch.cuda.max_memory_allocated() / 2**30 if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return *min(times[1:]), peak


def cases(only: str | None, gpu: bool) -> list[tuple]:
    """(backbone, crop, batch, frozen, bfloat16, job)."""
    laptop = [("mobilenet_v2", crop, 8, frozen, False, "step") for crop in CROPS for frozen in (0, 7, 14)]
    laptop += [("mobilenet_v2", 225, 16, 7, False, "step"), ("mobilenet_v2", 225, 8, 7, True, "step"), ("mobilenet_v2", 321, 1, 0, False, "CAM")]
    paper = [("vgg16", 321, batch, 0, False, "step") for batch in ((1, 4, 30) if gpu else (1, 2, 4))]
    paper += [("vgg16", 321, 4, 10, False, "step"), ("vgg16", 321, 1, 0, False, "CAM")] + ([("vgg16", 321, 30, 0, True, "step")] if gpu else [])
    return [case for case in laptop + paper if only in (None, case[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", choices=("mobilenet_v2", "vgg16"))
    a = parser.parse_args()
    where = torch.cuda.get_device_name() if a.device == "cuda" else f"{a.threads} threads, {torch.backends.cpu.get_cpu_capability()}"
    print(f"torch {torch.__version__}, {where}\n")
    print("| network | job | crop | batch | frozen layers | type | s | CPU s | ms a picture | peak GB | epoch of 10,582 |")
    print("|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|")
    for case in cases(a.only, a.device == "cuda"):
        backbone, crop, batch, frozen, bf16, job = case
        with multiprocessing.get_context("spawn").Pool(1) as process:
            wall, cpu, peak = process.apply(measure, (*case, a.threads, a.steps, a.device))
        each = wall / batch
        line = (
            f"| {backbone} | {job} | {crop} | {batch} | {frozen} | {'bfloat16' if bf16 else 'float32'} | {wall:.2f} | {cpu:.2f} | {1000 * each:.0f} "
        )
        print(line + f"| {peak:.1f} | {TRAIN_AUG * each / 60:.0f} min |", flush=True)


if __name__ == "__main__":
    main()
