"""Figures of results: mIoU by method, IoU by class, the confusion matrix."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from .style import FAINT, INK, METHODS, WIDTH, Figure, colour, new_figure, set_title, styled

LADDER = (
    "CAM",
    "AE-step1",
    "AE-step2",
    "AE-step3",
    "AE-step4",
    "AE",
    "AE+PSL",
    "AE+PSL++",
    "full supervision",
)


def _row_name(row: Mapping) -> str:
    return row["method"] + (", CRF" if row["crf"] else "")


@styled
def ladder(rows: Sequence[Mapping], paper: Mapping[str, float], title: str = "this run") -> Figure:
    """Draw the mIoU of every method, without and with CRF; beside it the paper's.

    Args:
        rows: as in results.json ("method", "crf", "miou" a fraction), of one run and one split.
        paper: method -> mIoU in %.

    Raises:
        ValueError: a method comes twice with the same CRF setting.
    """
    if len({_row_name(row) for row in rows}) < len(rows):
        raise ValueError(
            "rows: a method appears twice with the same CRF setting; choose one split and one run"
        )
    names = _in_order([*(row["method"] for row in rows), *paper])
    figure, ((left, right),) = new_figure(1, 2, figsize=(WIDTH, 0.36 * len(names) + 1.5))
    _draw_run(left, rows, names)
    _draw_paper(right, paper, names)
    other = "the paper: PASCAL VOC 2012 val, 20 classes - not comparable in value, only in shape"
    for ax, words in ((left, title), (right, other)):
        ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
        ax.set(xlabel="mIoU, %", xlim=(0, 100))  # equal scales: it is the shape that is compared
        ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        ax.set_axisbelow(True)
        set_title(ax, words)
    figure.legend(loc="outside lower left", ncols=3)
    in_words = "; ".join(f"{name}: {_rung_in_words(rows, paper, name)}" for name in names)
    figure.alt = (
        f"mIoU in % by method: {title}; beside it the paper's on PASCAL VOC 2012 val, comparable "
        f"in shape only. {in_words}."
    )
    return figure


def _in_order(methods: Sequence[str]) -> list[str]:
    """Return the methods once each, the known ones in the ladder's order, then the others."""
    known = [name for name in LADDER if name in methods]
    return [*known, *dict.fromkeys(name for name in methods if name not in LADDER)]


def _draw_run(ax: Axes, rows: Sequence[Mapping], names: Sequence[str]) -> None:
    points = {"s": 48, "edgecolor": METHODS[1], "linewidth": 1.6}
    for crf, marker, face in ((False, "o", "white"), (True, "D", METHODS[1])):
        at = [(100 * row["miou"], names.index(row["method"])) for row in rows if row["crf"] == crf]
        x, y = np.reshape(at, (-1, 2)).T
        label = "with CRF" if crf else "without CRF"
        ax.scatter(x, y, marker=marker, facecolor=face, label=label, **points)
    for y, name in enumerate(names):
        values = sorted(100 * row["miou"] for row in rows if row["method"] == name)
        ax.plot(values, [y] * len(values), color=FAINT, linewidth=1.5, zorder=0.8)
        for i, value in enumerate(values):
            _write_beside(ax, value, y, left=i < len(values) - 1)


def _draw_paper(ax: Axes, paper: Mapping[str, float], names: Sequence[str]) -> None:
    known = [name for name in names if name in paper]
    heights = [names.index(name) for name in known]
    values = [paper[name] for name in known]
    ax.scatter(values, heights, s=48, marker="D", color=METHODS[3], label="the paper, with CRF")
    for value, y in zip(values, heights, strict=True):
        _write_beside(ax, value, y)


def _write_beside(ax: Axes, value: float, y: float, left: bool = False) -> None:
    side = {"xytext": (-8 if left else 8, 0), "ha": "right" if left else "left"}
    ax.annotate(f"{value:.1f}", (value, y), textcoords="offset points", va="center", **side)


def _rung_in_words(rows: Sequence[Mapping], paper: Mapping[str, float], name: str) -> str:
    by_crf = {row["crf"]: 100 * row["miou"] for row in rows if row["method"] == name}
    words = [f"{by_crf[crf]:.1f} with{'' if crf else 'out'} CRF" for crf in sorted(by_crf)]
    if name in paper:
        words.append(f"the paper {paper[name]:.1f}")
    return ", ".join(words)


@styled
def per_class(rows: Sequence[Mapping], methods: Sequence[str]) -> Figure:
    """Draw the IoU of every class for a few methods.

    Args:
        rows: as in results.json ("method", "crf", "per_class" with fractions, None or NaN for a
            class that no picture has).
        methods: such as "AE+PSL", the row without CRF, and "AE+PSL, CRF", the row with it.

    Raises:
        ValueError: there is no row of that name.
    """
    by_name = {_row_name(row): row["per_class"] for row in rows}
    missing = [method for method in methods if method not in by_name]
    if missing:
        raise ValueError(
            f"methods: {'; '.join(missing)} not in the rows, which have {'; '.join(by_name)}"
        )
    names, width, listed = list(by_name[methods[0]]), 0.8 / len(methods), []
    figure, ((ax,),) = new_figure(figsize=(WIDTH, 3.6))
    for i, method in enumerate(methods):
        values = 100 * np.array([by_name[method].get(name) for name in names], float)
        at = np.arange(len(names)) + (i - (len(methods) - 1) / 2) * width
        style = {"color": colour(i, METHODS), "edgecolor": "white", "label": method}
        bars = ax.bar(at, np.nan_to_num(values), width, **style)
        words = ["none" if np.isnan(value) else f"{value:.0f}" for value in values]
        pairs = zip(names, words, strict=True)
        listed.append(f"{method}: " + ", ".join(f"{name} {word}" for name, word in pairs))
        if len(names) * len(methods) <= 32:
            ax.bar_label(bars, words, size=8, padding=1)
    slanted = {"rotation": 45, "ha": "right"} if len(names) >= 10 else {"rotation": 0}
    ax.set_xticks(range(len(names)), names, rotation_mode="anchor", **slanted)
    ax.set(ylabel="IoU, %", ylim=(0, 100), xlim=(-0.6, len(names) - 0.4))
    title = "bars from left to right"
    figure.legend(title=title, loc="outside upper center", ncols=len(methods))
    figure.alt = f"Bars: IoU in % of each class. {'; '.join(listed)}."
    return figure


@styled
def confusion_chart(matrix, names: Sequence[str]) -> Figure:
    """Draw where the pixels of each class went, row by row in %.

    Args:
        matrix: `evaluation.confusion`, (C + 1, C + 1).
        names: C + 1, background first.
    """
    matrix = np.asarray(matrix, float)
    total = matrix.sum(axis=1, keepdims=True)
    share = np.divide(100 * matrix, total, out=np.full_like(matrix, np.nan), where=total > 0)
    side = float(np.clip(0.62 * len(names), 3, 8.5))
    figure, ((ax,),) = new_figure(figsize=(side + 1.2, side + 0.9))
    ax.imshow(np.nan_to_num(share), cmap="Blues", vmin=0, vmax=100)
    size = 9 if len(names) < 12 else 8
    for (i, j), value in np.ndenumerate(share):
        word = "" if np.isnan(value) else f"{value:.0f}"
        ink = "white" if value > 55 else INK
        ax.text(j, i, word, ha="center", va="center", size=size, color=ink)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel="predicted", ylabel="true")
    ax.spines[:].set_visible(False)
    set_title(ax, "predicted as, % of the true class's pixels")
    right = ", ".join(f"{name} {share[i, i]:.0f}%" for i, name in enumerate(names) if total[i])
    worst = _largest_confusion(share, names)
    figure.alt = f"Confusion matrix. Of each true class's pixels are right: {right}.{worst}"
    return figure


def _largest_confusion(share: np.ndarray, names: Sequence[str]) -> str:
    wrong = np.where(np.eye(len(names), dtype=bool), 0, np.nan_to_num(share))
    if not wrong.any():
        return ""
    i, j = np.unravel_index(wrong.argmax(), wrong.shape)
    taken = f"{names[i]} taken for {names[j]}, {wrong[i, j]:.0f}%"
    return f" The largest share gone wrong: {taken}."
