"""The course under several seeds, one run after the other: means and every seed's number, as the README has them.

Usage: python benchmarks/seeds.py [--seeds 0 1 2] [--profile classroom] [-p NAME VALUE]...
"""

import argparse
import json
from pathlib import Path
from statistics import mean

from aelib.pipeline import run_course
from aelib.results import PAPER
from aelib.runs import ROOT, write_json
from aelib.settings import parse


def spread(values: list[float], digits: int = 1, sign: str = "") -> str:
    """Mean, and in brackets each seed's value."""
    return f"{mean(values):{sign}.{digits}f} ({', '.join(f'{value:{sign}.{digits}f}' for value in values)})"


def scores(contents: list[dict]) -> dict[tuple[str, bool, bool], list[float]]:
    """(method, prohibited at test, with CRF) -> mIoU in % of each seed; the rows of the table and those beside it."""
    values: dict[tuple[str, bool, bool], list[float]] = {}
    for content in contents:
        for row in content["rows"] + content["ablation"] + content["mined"][1:]:
            values.setdefault((row["method"], row.get("prohibited", False), row["crf"]), []).append(100 * row["miou"])
    return values


def report(contents: list[dict]) -> str:
    """The README's tables and sentences as Markdown, from the results.json of each seed."""
    seeds, s = ", ".join(str(content["seed"]) for content in contents), contents[0]["settings"]
    values = scores(contents)
    best = f"AE-step{s['object_steps']}"
    lines = [f"| method | mIoU, mean (seeds {seeds}) | with CRF | the paper, VOC12 val |", "|---|---|---|---:|"]
    steps = range(1, s["erase_steps"] + 1)
    for method in ["CAM", *(f"AE-step{k}" for k in steps), "AE+PSL", "AE+PSL++", "full supervision"]:
        prohibited = "PSL" in method
        plain, crf = (values.get((method, prohibited, with_crf)) for with_crf in (False, True))
        lines.append(f"| {method} | {spread(plain)} | {spread(crf) if crf else ''} | {PAPER.get(method, '')} |")
    lines += ["", "| prohibited in training | prohibited at test | mIoU | with CRF |", "|---|---|---|---|"]
    for method, trained in ((best, "no"), ("AE+PSL", "yes")):
        for test in (False, True):
            plain, crf = (spread(values[method, test, with_crf]) for with_crf in (False, True))
            lines.append(f"| {trained} | {'yes' if test else 'no'} | {plain} | {crf} |")

    def gain(to: tuple, of: tuple) -> str:
        return spread([a - b for a, b in zip(values[to], values[of], strict=True)], sign="+")

    last = f"AE-step{s['erase_steps']}"
    lines += ["", f"* {best} over AE-step1: {gain((best, False, False), ('AE-step1', False, False))}; over CAM's regions: "
              f"{gain((best, False, False), ('CAM', False, False))}; {last} over {best}: {gain((last, False, False), (best, False, False))}",
              f"* mIoU of the mined regions by step: {', '.join(spread(values['CAM' if k == 1 else f'mined-step{k}', False, False]) for k in steps)}",
              f"* AE+PSL over {best}: {gain(('AE+PSL', True, False), (best, False, False))}; by training alone: "
              f"{gain(('AE+PSL', False, False), (best, False, False))}; with CRF: {gain(('AE+PSL', True, True), (best, False, True))}",
              f"* AE+PSL++ over AE+PSL: {gain(('AE+PSL++', True, False), ('AE+PSL', True, False))}; with CRF: "
              f"{gain(('AE+PSL++', True, True), ('AE+PSL', True, True))}"]  # fmt: skip
    for crf in (False, True):
        share = [100 * a / b for a, b in zip(values["AE+PSL++", True, crf], values["full supervision", False, crf], strict=True)]
        lines.append(f"* AE+PSL++ of full supervision, {'with' if crf else 'without'} CRF, in %: {spread(share, 0)}")
    for k in steps:
        found = (f"{part} {spread([c['parts'][k - 1][part] for c in contents], 2)}" for part in ("head", "body", "limbs", "prop"))
        lines.append(f"* found after step {k}: {', '.join(found)}; evidence {spread([c['evidence'][k - 1] for c in contents], 2)}")
    lines.append(f"* the stop rule keeps: {', '.join(str(c['stop_rule_keeps']) for c in contents)}")
    return "\n".join(lines)


def main() -> None:
    """Run what is not finished, print the report, write runs/seeds-PROFILE.json."""
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
    rows = [{"method": m, "prohibited": p, "crf": c, "miou": v, "mean": mean(v)} for (m, p, c), v in scores(contents).items()]
    write_json(ROOT / "runs" / f"seeds-{options.profile}.json", {"seeds": options.seeds, "rows": rows})
    print(report(contents))


if __name__ == "__main__":
    main()
