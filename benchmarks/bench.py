"""Beside its peers: each row calls ours and a peer in turn, after their results were compared.

Prints Markdown tables; a whole run writes JSON, too, with versions and hardware. Stops at a row
whose results do not agree.

Usage: python benchmarks/bench.py [--repeats 5] [--quick] [--only NAME ...] [--write]
                                  [--out benchmarks/bench.json]
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from cases import CASES, Case, photographs

from aelib.pipeline.results import machine
from aelib.saliency import robust_background
from aelib.support.files import write_json, write_whole
from aelib.training import DEVICE

HERE = Path(__file__).parent
PACKAGES = ("torch", "torchvision", "numpy", "scikit-image", "pydensecrf2")
PACKAGES += ("grad-cam", "torchcam", "torchmetrics")
ALONE = ("saliency", "widgets")  # the second table's parts
BEGIN, END = "<!-- bench.py writes from here -->", "<!-- to here -->"


@dataclass
class Row:
    """A line of the first table: median seconds, peer / ours, its goal, how far both agree."""

    name: str
    ours: float
    peer: float
    ratio: float
    goal: float
    agreement: str


@dataclass
class Alone:
    """A line of the second table: what has no peer, and its goal, in words."""

    name: str
    value: float
    unit: str
    goal: str


def measure(case: Case, repeats: int) -> Row:
    """Compares, then times both in turn.

    Raises:
        SystemExit: they do not agree; it names the row.
    """
    agree, words = case.compare(case.ours(), case.peer())
    if not agree:
        raise SystemExit(f"{case.name}: ours and the peer's result do not agree: {words}")
    ours, peer = [], []
    for _ in range(repeats):
        case.before()
        ours.append(seconds(case.ours))
        peer.append(seconds(case.peer))
    ratio = median(peer) / median(ours)
    print(f"{case.name}: {ratio:.2f} ({words})", file=sys.stderr, flush=True)
    return Row(case.name, median(ours), median(peer), ratio, case.goal, words)


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes, the GPU's work included."""
    began = time.perf_counter()
    call()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def saliency_rate(repeats: int) -> Alone:
    """Photographs of 375 pixels a second and core: by processor time, so of one core."""
    taken = []
    for image in photographs(max(2, repeats)):
        began = time.process_time()
        robust_background(image, 200)
        taken.append(time.process_time() - began)
    return Alone("saliency", 1 / median(taken), "photographs a second and core", "3 or more")


def alone(parts: list[str], repeats: int, quick: bool) -> list[Alone]:
    """The second table."""
    found = [saliency_rate(repeats)] if "saliency" in parts else []
    if "widgets" in parts:
        from widgets import answers  # takes seconds to import

        for name, ms, _, _ in answers(20 if quick else 200, 5 if quick else 100):
            found.append(Alone(f"widget `{name}`, median", ms, "ms", "below 100"))
    return found


def tables(rows: list[Row], others: list[Alone], about: str) -> str:
    """Both as Markdown."""
    lines = [about, "", "| what: against | ours | peer | ratio | goal | checked before |"]
    lines.append("|---|---:|---:|---:|---:|---|")
    for one in rows:
        times = f"{1000 * one.ours:.1f} ms | {1000 * one.peer:.1f} ms"
        line = f"| {one.name} | {times} | {one.ratio:.2f} | {one.goal:.2g} | {one.agreement} |"
        lines.append(line)
    lines += ["", "| on its own | measured | goal |", "|---|---:|---:|"]
    lines += [f"| {one.name} | {one.value:.3g} {one.unit} | {one.goal} |" for one in others]
    return "\n".join(lines)


def described(where: dict[str, Any], versions: dict[str, str], repeats: int) -> str:
    """One paragraph: what measured."""
    hardware = f"{where['cores']} cores ({where['instructions']}), {where['threads']} threads"
    used = ", ".join(f"{name} {number}" for name, number in versions.items())
    load = where["load"]
    return f"Medians of {repeats} on {where['device']}, {hardware}, load {load:.1f} before. {used}."


def write_into(readme: Path, text: str) -> None:
    """Puts the text between the two marker lines."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_whole(readme, f"{before}{BEGIN}\n{text}\n{END}{after}".encode())


def main() -> None:
    del sys.modules["__main__"].__file__  # or workers would import this script, peers and all
    names = sorted({*CASES, *ALONE})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few, small, once: to try it")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    parser.add_argument("--out", type=Path, default=HERE / "bench.json")
    options = parser.parse_args()
    repeats = 1 if options.quick else options.repeats
    where = machine() | {"load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0}
    versions = {name: version(name) for name in PACKAGES}
    chosen = [cases for name, cases in CASES.items() if name in options.only]
    rows = [measure(case, repeats) for cases in chosen for case in cases(options.quick)]
    others = alone(options.only, repeats, options.quick)
    text = tables(rows, others, described(where, versions, repeats))
    print(text)
    if options.quick or set(options.only) != set(names):
        print("\nNot a whole run: bench.json and README.md stay as they are.")
        return
    content = {"machine": where, "versions": versions, "repeats": repeats}
    content |= {"rows": [asdict(one) for one in rows], "alone": [asdict(one) for one in others]}
    write_json(options.out, content)
    if options.write:
        write_into(HERE / "README.md", text)


if __name__ == "__main__":
    main()
