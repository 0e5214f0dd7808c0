"""Figures of studies: paired differences with their intervals; PSL's gain against S's coverage."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from .style import COLOURS, FAINT, WIDTH, Figure, new_figure, set_title, styled

_LOOKS = ((False, "without CRF", "o", "white"), (True, "with CRF", "D", COLOURS[0]))


@styled
def differences(lines: Sequence[Mapping], prohibited: bool = True) -> Figure:
    """Draw a study: each cell's mIoU, and its difference to the cell it is compared with.

    Sorted by the difference with CRF. Bars are one standard deviation over seeds on the left, the
    95 % interval of the mean of the paired differences on the right.

    Args:
        lines: as `pipeline.studies.table.summary` returns them.
        prohibited: whether to draw the scores with prohibition at test, or those without.
    """
    some = [x for x in lines if x["measure"] == "mIoU" and x["prohibited"] == prohibited]
    cells = _sorted_cells(some)
    figure, ((left, right),) = new_figure(
        1, 2, sharey=True, figsize=(WIDTH, 0.34 * len(cells) + 1.4)
    )
    for crf, label, marker, face in _LOOKS:
        shown = [line for line in some if line["crf"] == crf]
        look = {"marker": marker, "face": face, "label": label, "up": 0.14 if crf else -0.14}
        _draw(left, cells, [(x["cell"], x["mean"], *_spread(x)) for x in shown], **look)
        compared = [line for line in shown if line["difference"] is not None]
        points = [(x["cell"], x["difference"], x["low"], x["high"]) for x in compared]
        _draw(right, cells, points, **look)
    right.axvline(0, color=FAINT, linewidth=1.2, zorder=0.5)
    against = {x["cell"]: x["against"] for x in some if x["difference"] is not None}
    one = len({*against.values()}) == 1
    other = next(iter(against.values())) if one else "the cell in brackets"
    names = [cell if one or cell not in against else f"{cell} ({against[cell]})" for cell in cells]
    left.set(xlabel="mIoU, %", yticks=range(len(cells)), yticklabels=names)
    left.set_ylim(max(len(cells), 1) - 0.4, -0.6)
    right.set(xlabel="points of mIoU")
    seeds = max((line["n"] for line in some), default=0)
    set_title(left, f"mean and standard deviation, {seeds} seed{'s' if seeds != 1 else ''}")
    set_title(right, f"difference to {other}, 95 % interval")
    for ax in (left, right):
        ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        ax.set_axisbelow(True)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    listed = "; ".join(_in_words(line) for line in some)
    figure.alt = f"mIoU of each cell and its difference to {other}. {listed or 'no numbers yet'}."
    return figure


def _sorted_cells(lines: Sequence[Mapping]) -> list[str]:
    """The cells' labels: those compared with none first, then from the best difference down."""
    by_cell = {line["cell"]: line["difference"] for line in lines if line["crf"]}
    first = [cell for cell, value in by_cell.items() if value is None]
    others = [cell for cell in by_cell if cell not in first]
    return [*first, *sorted(others, key=lambda cell: -by_cell[cell])]


def _spread(line: Mapping) -> tuple[float | None, float | None]:
    if line["std"] is None:
        return None, None
    return line["mean"] - line["std"], line["mean"] + line["std"]


def _draw(
    ax: Axes,
    cells: Sequence[str],
    points: Sequence[tuple],
    marker: str,
    face: str,
    label: str,
    up: float,
) -> None:
    """Draw (cell, value, low, high) each, fractions, in %."""
    dot = {"s": 34, "edgecolor": COLOURS[0], "linewidth": 1.5, "zorder": 2.5}
    x = [100 * value for _, value, _, _ in points]
    y = [cells.index(cell) + up for cell, _, _, _ in points]
    for height, (_, _, low, high) in zip(y, points, strict=True):
        if low is not None:
            ax.plot([100 * low, 100 * high], [height, height], color=COLOURS[0], linewidth=1.4)
    ax.scatter(x, y, marker=marker, facecolor=face, label=label, **dot)


def _in_words(line: Mapping) -> str:
    words = f"{line['cell']} with{'' if line['crf'] else 'out'} CRF {100 * line['mean']:.1f}"
    if line["difference"] is not None:
        words += f", {100 * line['difference']:+.1f}"
    if line["low"] is not None:
        words += f" ({100 * line['low']:+.1f} to {100 * line['high']:+.1f})"
    return words


@styled
def gain_by_coverage(lines: Sequence[Mapping], prohibited: bool = True) -> Figure:
    """Draw PSL's gain over the same network without it against S's coverage of the objects.

    Args:
        lines: of the study `when`: cells "coverage, X" and "PSL, X".
        prohibited: as for `differences`.
    """
    coverage = {x["cell"]: x["mean"] for x in lines if x["measure"] == "coverage"}
    figure, ((ax,),) = new_figure(figsize=(0.62 * WIDTH, 3.6))
    listed = []
    for crf, label, marker, face in _LOOKS:
        points = []
        for line in lines:
            scored = (line["crf"], line["prohibited"]) == (crf, prohibited)
            at = coverage.get(line["cell"].replace("PSL, ", "coverage, "))
            if scored and line["cell"].startswith("PSL, ") and at is not None:
                points.append((100 * at, 100 * line["difference"], _half(line), line["cell"]))
        x, y, half, names = zip(*points, strict=True) if points else ((), (), (), ())
        ax.errorbar(x, y, yerr=half, color=COLOURS[0], linestyle="none", linewidth=1.2)
        dot = {"s": 40, "edgecolor": COLOURS[0], "linewidth": 1.5, "zorder": 2.5}
        ax.scatter(x, y, marker=marker, facecolor=face, label=label, **dot)
        if not crf:
            for at, name in zip(x, names, strict=True):  # above the axes, where nothing is drawn
                above = {"textcoords": "offset points", "xytext": (0, 3), "rotation": 35, "size": 8}
                place = {"xycoords": ax.get_xaxis_transform()}
                ax.annotate(name.removeprefix("PSL, "), (at, 1), **place, **above)
        listed += [f"{p[3]}, {label}: {p[0]:.0f} %, {p[1]:+.1f}" for p in points]
    ax.axhline(0, color=FAINT, linewidth=1.2, zorder=0.5)
    ax.set(xlabel="S labels rightly, % of the objects' pixels", ylabel="PSL's gain, points of mIoU")
    figure.legend(loc="outside lower left", ncols=2)
    figure.alt = f"PSL's gain against S's coverage. {'; '.join(listed) or 'no numbers yet'}."
    return figure


def _half(line: Mapping) -> float:
    """Half the interval's width, points; 0 of one seed."""
    return 0.0 if line["low"] is None else float(np.subtract(line["high"], line["low"]) * 50)
