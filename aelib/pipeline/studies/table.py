"""From rows to a table: mean, spread, and the paired difference to another cell."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from .grids import Study

_KEYS = ("measure", "crf", "prohibited")


def summary(rows: Sequence[dict[str, Any]], study: Study) -> list[dict[str, Any]]:
    """A line for each cell and way of scoring, in the study's order.

    Args:
        rows: as `cells.rows_of`, of all seeds.

    Returns:
        {"cell", "measure", "crf", "prohibited", "n": seeds, "mean", "std": their spread (n - 1;
        None of one), "against", "pairs": seeds that both cells have, "difference": mean over them
        of this cell minus `against`, "low", "high": its 95 % interval (`interval`)}. "against" and
        what follows are None for a cell that is compared with none.
    """
    values: dict[tuple, dict[int, float]] = {}
    for row in rows:
        if row["value"] is not None:
            key = (row["cell"], *(row[name] for name in _KEYS))
            values.setdefault(key, {})[row["seed"]] = row["value"]
    lines = []
    for cell in study.cells:
        for key in [key for key in values if key[0] == cell.label]:
            against = _against(study, cell.label)
            other = values.get((against, *key[1:]), {})
            lines.append(_line(key, values[key], against, other))
    return lines


def _against(study: Study, label: str) -> str | None:
    """The label of the cell that a cell is compared with; None for that one itself."""
    cell = next(cell for cell in study.cells if cell.label == label)
    kind = cell.stage.split("-")[0]
    first = next(one for one in study.cells if one.stage.split("-")[0] == kind)
    against = cell.against or first.label
    return None if against == label else against


def _line(
    key: tuple, by_seed: dict[int, float], against: str | None, other: dict[int, float]
) -> dict[str, Any]:
    own = np.array(list(by_seed.values()))
    differences = [by_seed[seed] - other[seed] for seed in by_seed if seed in other]
    low, high = interval(differences)
    return {
        "cell": key[0],
        **dict(zip(_KEYS, key[1:], strict=True)),
        "n": len(own),
        "mean": float(own.mean()),
        "std": float(own.std(ddof=1)) if len(own) > 1 else None,
        "against": against,
        "pairs": len(differences),
        "difference": float(np.mean(differences)) if differences else None,
        "low": low,
        "high": high,
    }


def interval(differences: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % t interval of a mean; (None, None) for fewer than two values."""
    if len(differences) < 2:
        return None, None
    spread = stats.sem(differences)
    mean = float(np.mean(differences))
    if spread == 0:
        return mean, mean
    low, high = stats.t.interval(0.95, len(differences) - 1, loc=mean, scale=spread)
    return float(low), float(high)


def tidy(rows: Sequence[dict[str, Any]], study: Study, settings: dict[str, Any]) -> str:
    """The rows as CSV, one number a line, with a column for each setting that the study changes.

    Args:
        settings: the base run's, for the cells that do not change one.
    """
    changed = sorted({name for cell in study.cells for name in cell.changes})
    changes = {cell.label: cell.changes for cell in study.cells}
    stream = io.StringIO()
    fields = ["study", "cell", "stage", "seed", *_KEYS, "value", *changed]
    writer = csv.DictWriter(stream, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        own = {name: changes[row["cell"]].get(name, settings[name]) for name in changed}
        writer.writerow({"study": study.name} | row | own)
    return stream.getvalue()


def text(lines: Sequence[dict[str, Any]]) -> str:
    """The summary as lines to print: shares in %, differences in points, with their intervals."""
    wide = max((len(line["cell"]) for line in lines), default=0)
    return "\n".join(f"{line['cell']:{wide}}  {_words(line)}".rstrip() for line in lines)


def _words(line: dict[str, Any]) -> str:
    unit = 1 if line["measure"] == "entropy" else 100
    how = [line["measure"], "CRF" if line["crf"] else "", "proh." if line["prohibited"] else ""]
    spread = "" if line["std"] is None else f" +- {unit * line['std']:.2f}"
    numbers = f"{unit * line['mean']:6.2f}{spread} (n {line['n']})"
    if line["difference"] is not None:
        numbers += f"  {unit * line['difference']:+.2f}"
    if line["low"] is not None:
        numbers += f" [{unit * line['low']:+.2f}, {unit * line['high']:+.2f}]"
    return f"{' '.join(word for word in how if word):16} {numbers}"
