"""The course under several seeds: mean and spread of every row of the table, as Markdown and as JSON.

Usage: python benchmarks/seeds.py [--seeds 0 1 2] [--profile classroom] [-p NAME VALUE]...
"""

import argparse
import json
import statistics
from pathlib import Path

from aelib.pipeline import run_course
from aelib.results import PAPER
from aelib.runs import ROOT, write_json
from aelib.settings import parse


def summary(contents: list[dict]) -> list[dict]:
    """For each (method, prohibited, crf): mean and spread (largest less smallest) over the seeds, in %."""
    values: dict[tuple, list[float]] = {}
    for content in contents:
        for row in content["rows"] + content["ablation"]:
            values.setdefault((row["method"], row.get("prohibited", False), row["crf"]), []).append(100 * row["miou"])
    return [
        {"method": m, "prohibited": p, "crf": c, "mean": statistics.mean(v), "spread": max(v) - min(v), "seeds": len(v)}
        for (m, p, c), v in values.items()
    ]


def main() -> None:
    """Run what is not finished, print the table, write runs/seeds-PROFILE.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", default="classroom")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    options = parser.parse_args()
    overrides = {name: parse(name, value) for name, value in options.p}
    contents = []
    for seed in options.seeds:
        directory = Path(ROOT / "runs" / (options.profile if seed == 0 and not overrides else f"{options.profile}-seed{seed}"))
        file = directory / "results.json"
        finished = json.loads(file.read_text()) if file.exists() else None
        contents.append(finished or run_course(directory, options.profile, seed=seed, **overrides))
    rows = summary(contents)
    write_json(ROOT / "runs" / f"seeds-{options.profile}.json", rows)
    print(
        f"| method | prohibited at test | CRF | mIoU, mean of {len(contents)} seeds | largest less smallest | the paper, VOC12 val |"
        "\n|---|---|---|---:|---:|---:|"
    )
    for row in rows:
        flags = ["yes" if row[key] else "no" for key in ("prohibited", "crf")]
        print(f"| {row['method']} | {' | '.join(flags)} | {row['mean']:.1f} | {row['spread']:.1f} | {PAPER.get(row['method'], '')} |")


if __name__ == "__main__":
    main()
