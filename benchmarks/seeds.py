"""The course under several seeds, one run after the other: means and every seed's number.

Prints what the README holds.

Usage: python benchmarks/seeds.py [--seeds 0 1 2] [--profile classroom] [-p NAME VALUE]...
"""

import argparse
import json
from statistics import mean
from typing import Any

from aelib.course.headless import run_course
from aelib.pipeline.settings import parse
from aelib.pipeline.table import PAPER
from aelib.support.files import ROOT, write_json

Row = tuple[str, bool, bool]  # method, prohibited at test, with CRF
Scores = dict[Row, list[float]]  # mIoU in % of each seed


def spread(values: list[float], digits: int = 1, sign: str = "") -> str:
    """Mean, and in brackets each seed's value."""
    each = ", ".join(f"{value:{sign}.{digits}f}" for value in values)
    return f"{mean(values):{sign}.{digits}f} ({each})"


def scores(contents: list[dict]) -> Scores:
    """The rows of the table and those beside it, over all seeds."""
    values: Scores = {}
    for content in contents:
        for row in content["rows"] + content["ablation"] + content["mined"][1:]:
            key = (row["method"], row.get("prohibited", False), row["crf"])
            values.setdefault(key, []).append(100 * row["miou"])
    return values


def report(contents: list[dict]) -> str:
    """The README's tables and sentences as Markdown, from the results.json of each seed."""
    values, settings = scores(contents), contents[0]["settings"]
    steps = range(1, settings["erase_steps"] + 1)
    best, last = f"AE-step{settings['object_steps']}", f"AE-step{settings['erase_steps']}"
    seeds = ", ".join(str(content["seed"]) for content in contents)
    lines = [
        *_table(values, steps, seeds),
        "",
        *_ablation(values, best),
        "",
        *_gains(values, steps, best, last),
        *_of_full_supervision(values),
        *_found(contents, steps),
    ]
    return "\n".join(lines)


def _table(values: Scores, steps: range, seeds: str) -> list[str]:
    lines = [f"| method | mIoU, mean (seeds {seeds}) | with CRF | the paper, VOC12 val |"]
    lines.append("|---|---|---|---:|")
    networks = [f"AE-step{k}" for k in steps]
    for method in ["CAM", *networks, "AE+PSL", "AE+PSL++", "full supervision"]:
        prohibited = "PSL" in method
        crf = values.get((method, prohibited, True))
        plain, crf = spread(values[method, prohibited, False]), spread(crf) if crf else ""
        lines.append(f"| {method} | {plain} | {crf} | {PAPER.get(method, '')} |")
    return lines


def _ablation(values: Scores, best: str) -> list[str]:
    lines = [
        "| prohibited in training | prohibited at test | mIoU | with CRF |",
        "|---|---|---|---|",
    ]
    for method, trained in ((best, "no"), ("AE+PSL", "yes")):
        for test in (False, True):
            plain, crf = (spread(values[method, test, with_crf]) for with_crf in (False, True))
            lines.append(f"| {trained} | {'yes' if test else 'no'} | {plain} | {crf} |")
    return lines


def _gains(values: Scores, steps: range, best: str, last: str) -> list[str]:
    """Differences between rows, seed by seed."""

    def gain(of: Row, over: Row) -> str:
        differences = [a - b for a, b in zip(values[of], values[over], strict=True)]
        return spread(differences, sign="+")

    cam, first = ("CAM", False, False), ("AE-step1", False, False)
    plain, with_crf = (best, False, False), (best, False, True)
    psl, psl_crf = ("AE+PSL", True, False), ("AE+PSL", True, True)
    again, again_crf = ("AE+PSL++", True, False), ("AE+PSL++", True, True)
    trained = ("AE+PSL", False, False)
    mined = [spread(values["CAM" if k == 1 else f"mined-step{k}", False, False]) for k in steps]
    return [
        f"* {best} over AE-step1: {gain(plain, first)}; over CAM's regions: {gain(plain, cam)}; "
        f"{last} over {best}: {gain((last, False, False), plain)}",
        f"* mIoU of the mined regions by step: {', '.join(mined)}",
        f"* AE+PSL over {best}: {gain(psl, plain)}; by training alone: {gain(trained, plain)}; "
        f"with CRF: {gain(psl_crf, with_crf)}",
        f"* AE+PSL++ over AE+PSL: {gain(again, psl)}; with CRF: {gain(again_crf, psl_crf)}",
    ]


def _of_full_supervision(values: Scores) -> list[str]:
    lines = []
    for crf in (False, True):
        pairs = zip(
            values["AE+PSL++", True, crf], values["full supervision", False, crf], strict=True
        )
        share = spread([100 * a / b for a, b in pairs], 0)
        words = f"AE+PSL++ of full supervision, {'with' if crf else 'without'} CRF, in %"
        lines.append(f"* {words}: {share}")
    return lines


def _found(contents: list[dict], steps: range) -> list[str]:
    """What each step found of the parts, and the stop rule."""
    lines = []
    for k in steps:
        found = []
        for part in ("head", "body", "limbs", "prop"):
            found.append(f"{part} {spread([c['parts'][k - 1][part] for c in contents], 2)}")
        evidence = spread([c["evidence"][k - 1] for c in contents], 2)
        lines.append(f"* found after step {k}: {', '.join(found)}; evidence {evidence}")
    kept = ", ".join(str(c["stop_rule_keeps"]) for c in contents)
    return [*lines, f"* the stop rule keeps: {kept}"]


def finished_or_run(seed: int, profile: str, overrides: dict[str, Any]) -> dict:
    """The results of a seed's run, which is made if there is none."""
    name = profile if seed == 0 and not overrides else f"{profile}-seed{seed}"
    file = ROOT / "runs" / name / "results.json"
    if file.exists():
        return json.loads(file.read_text())
    return run_course(file.parent, profile, seed=seed, **overrides)


def main() -> None:
    """Run what is not finished, print the report, write runs/seeds-PROFILE.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", default="classroom")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    options = parser.parse_args()
    overrides = {name: parse(name, value) for name, value in options.p}
    contents = [finished_or_run(seed, options.profile, overrides) for seed in options.seeds]
    rows = []
    for (method, prohibited, crf), values in scores(contents).items():
        row = {"method": method, "prohibited": prohibited, "crf": crf}
        rows.append(row | {"miou": values, "mean": mean(values)})
    file = ROOT / "runs" / f"seeds-{options.profile}.json"
    write_json(file, {"seeds": options.seeds, "rows": rows})
    print(report(contents))


if __name__ == "__main__":
    main()
