"""What studies say, in sentences with their numbers; the full tables that the course ships."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..erasing import steps_worth_keeping
from ..pipeline.run import Run
from ..pipeline.studies.study import find, reduced
from ..pipeline.studies.table import summary
from ..pipeline.table import PAPER
from ..support.files import ROOT, read_json

SHIPPED = ROOT / "data" / "studies"


def load(name: str) -> dict[str, Any]:
    """The content of a study's JSON, as shipped in data/studies; without numbers where it is not.

    Args:
        name: a study's, or STUDY-PROFILE of another profile than `study`.

    Raises:
        InputError: there is no such study.
    """
    study, _, profile = name.partition("-")
    study, file = find(study).name, SHIPPED / f"{name}.json"
    if file.exists():
        return read_json(file)
    command = f"python -m aelib study {study}" + (f" --profile {profile}" if profile else "")
    print(f"no {file.name} is shipped; `{command}` computes it")
    return {"study": study, "summary": [], "rows": [], "settings": {}}


def reduced_summary(run: Run) -> list[dict[str, Any]]:
    """The study `reduced`, computed on a run's own networks: as `table.summary`."""
    return summary(reduced(run), find("reduced"))


def sentences(lines: Sequence[Mapping], prohibited: bool = True) -> str:
    """A sentence for each cell that is compared with another, with CRF and without.

    Args:
        lines: as `pipeline.studies.table.summary` returns them.
        prohibited: whether the scores are those with prohibition at test.
    """
    cells: dict[str, dict[bool, Mapping]] = {}
    for line in lines:
        scored = line["measure"] == "mIoU" and line["prohibited"] == prohibited
        if scored and line["difference"] is not None:
            cells.setdefault(line["cell"], {})[line["crf"]] = line
    return "\n".join(_sentence(by_crf[True], by_crf[False]) for by_crf in cells.values())


def _sentence(crf: Mapping, plain: Mapping) -> str:
    pairs = f"{crf['pairs']} seed{'s' if crf['pairs'] != 1 else ''}"
    start = f"{crf['cell']} against {crf['against']}, with CRF ({100 * crf['mean']:.1f} %)"
    return f"{start}: {compared(crf)}; without CRF: {compared(plain)}; {pairs}."


def compared(line: Mapping, unit: str = "points") -> str:
    """Says a paired difference: "1.2 points more (0.3 to 2.1)", or that no difference was seen."""
    value = 100 * line["difference"]
    words = f"{abs(value):.1f} {unit} {'more' if value >= 0 else 'less'}"
    if line["low"] is None:
        return f"{words} (of one seed: no interval)"
    low, high = 100 * line["low"], 100 * line["high"]
    if low <= 0 <= high:
        return f"no difference seen ({value:+.1f}, from {low:+.1f} to {high:+.1f})"
    return f"{words} (from {low:+.1f} to {high:+.1f})"


def beside_the_paper(rows: Sequence[Mapping]) -> str:
    """The gains of results.json's rows *with CRF*, as the paper's are reported, beside its own.

    Args:
        rows: as in results.json: "method", "crf", "miou", "prohibited".
    """
    scores = {row["method"]: 100 * row["miou"] for row in rows if row["crf"] and row["miou"]}
    steps = [name for name in PAPER if name.startswith("AE-step")]
    pairs = [*zip(steps[1:], steps, strict=False), ("AE+PSL", "AE-step3"), ("AE+PSL++", "AE+PSL")]
    lines = []
    for better, worse in pairs:
        if {better, worse} <= scores.keys():
            ours, paper = scores[better] - scores[worse], PAPER[better] - PAPER[worse]
            lines.append(
                f"{better} over {worse}, with CRF: {ours:+.1f} here, {paper:+.1f} in the paper"
            )
    return "\n".join(lines)


def stop_rule(content: Mapping[str, Any]) -> str:
    """Of the study `erasing`: the step that the stop rule keeps, and the best one, of each seed.

    Args:
        content: of the study's JSON.
    """
    evidence: dict[int, list[float]] = {}
    scores: dict[int, dict[str, float]] = {}
    for row in content["rows"]:
        if row["measure"] == "evidence":
            evidence.setdefault(row["seed"], []).append(row["value"])
        elif row["crf"] and not row["prohibited"] and row["cell"].endswith(" steps"):
            scores.setdefault(row["seed"], {})[row["cell"].split()[0]] = 100 * row["value"]
    lines = []
    for seed, found in evidence.items():
        kept = str(steps_worth_keeping(found, content["settings"]["stop_evidence"]))
        best = max(scores[seed], key=scores[seed].get)
        words = f"{scores[seed][kept]:.1f} %, the best, {best}, {scores[seed][best]:.1f} %"
        lines.append(f"seed {seed}: the stop rule keeps {kept} steps: with CRF {words}")
    return "\n".join(lines)


def temperatures(content: Mapping[str, Any]) -> str:
    """Of the study `temperature`: the T that training pictures choose, with masks and without.

    Args:
        content: of the study's JSON.
    """
    lines = [line for line in content["summary"] if ", training, " in line["cell"]]
    text = []
    for name in dict.fromkeys(line["cell"].split(",")[0] for line in lines):
        own = [line for line in lines if line["cell"].startswith(f"{name},")]
        by_measure = {
            "masks": (max, [x for x in own if x["measure"] == "mIoU" and x["crf"]]),
            "leak": (min, [x for x in own if x["measure"] == "leak"]),
        }
        for criterion, (best, found) in by_measure.items():
            chosen = best(found, key=lambda line: line["mean"])
            values = ", ".join(f"{_temperature(x)}: {100 * x['mean']:.2f}" for x in found)
            text.append(f"{name}, by {criterion}: {_temperature(chosen)} ({values}; %)")
    return "\n".join(text)


def _temperature(line: Mapping) -> str:
    return line["cell"].rsplit(", ", 1)[1]


def entropies(content: Mapping[str, Any]) -> str:
    """Of the study `temperature`: how sure of its answers each network is."""
    lines = [line for line in content["summary"] if line["measure"] == "entropy"]
    return "\n".join(f"{x['cell']}: {x['mean']:.3f} nats, {x['n']} seeds" for x in lines)
