"""Figures by erasing step and by epoch: what was mined, the stop signal, training losses."""

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np
from matplotlib.axes import Axes

from .style import (
    FAINT,
    INK,
    METHODS,
    PARTS,
    STEPS,
    WIDTH,
    Figure,
    colour,
    line,
    new_figure,
    set_title,
    styled,
)

# --- by step ------------------------------------------------------------------------------------


@styled
def parts_by_step(recall, parts: Sequence[str], pixels) -> Figure:
    """Draw how much of each part was mined up to each step, and what each step's addition is.

    Args:
        recall: share of each part mined up to and with each step, (steps, parts) in [0, 1].
        parts: names, as `creatures.PARTS[1:]`, for the colours of `sample`.
        pixels: pixels of each part over the split, (parts,).

    Raises:
        ValueError: recall falls from a step to the next.
    """
    recall = np.asarray(recall, float)
    shares, idle = _shares_added(recall, np.asarray(pixels, float))
    at = np.arange(1, len(recall) + 1)
    figure, ((left, right),) = new_figure(1, 2, figsize=(WIDTH, 3.6))
    for p, name in enumerate(parts):
        left.plot(at, 100 * recall[:, p], **line(p, PARTS), label=name, clip_on=False)
    _stacked_bars(right, at, shares, parts)
    for step in at[idle]:
        right.text(step, 2, "nothing", ha="center")
    left.set(ylabel="share of the part's pixels, %", ylim=(0, 100))
    right.set(ylabel="share of the pixels added, %", ylim=(0, 100))
    _by_step(left, len(at), "mined up to this step, by part")
    _by_step(right, len(at), "what each step added")
    ends = [(at[-1], 100 * recall[-1, p], name, colour(p, PARTS)) for p, name in enumerate(parts)]
    end_labels(left, ends)
    figure.alt = (
        f"By step, of {len(at)}. Lines, share of each part mined so far: "
        f"{_percents(100 * recall, parts)}. Bars, what the pixels that a step adds are: "
        f"{_percents(shares, parts)}."
    )
    return figure


def _shares_added(recall: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each part's share of what each step adds, (steps, parts) in %, and the idle steps.

    The idle steps, (steps,) bool, are those that add nothing; their shares are 0.
    """
    added = np.diff(recall, axis=0, prepend=0) * pixels
    if (added < -1e-6 * pixels).any():
        raise ValueError(
            "recall falls from a step to the next: "
            "give what was mined up to each step, not by it alone"
        )
    total = added.sum(axis=1, keepdims=True)
    shares = np.divide(added, total, out=np.zeros_like(added), where=total > 0)
    return 100 * shares.clip(min=0), total[:, 0] <= 0


def _stacked_bars(ax: Axes, at: np.ndarray, shares: np.ndarray, parts: Sequence[str]) -> None:
    for p, name in enumerate(parts):
        style = {"color": colour(p, PARTS), "edgecolor": "white", "width": 0.85, "label": name}
        bars = ax.bar(at, shares[:, p], bottom=shares[:, :p].sum(axis=1), **style)
        words = [_bar_words(name, share) for share in shares[:, p]]
        dark = colour(p, PARTS) @ [0.3, 0.6, 0.1] < 0.4
        ink = "white" if dark else "black"
        ax.bar_label(bars, words, label_type="center", size=8, color=ink)


def _bar_words(name: str, share: float) -> str:
    """Return what is written in a bar of this height, %: two lines, one, or nothing."""
    if share < 5:
        return ""
    return f"{name}{chr(10) if share >= 12 else ' '}{share:.0f}%"


def _percents(shares: np.ndarray, parts: Sequence[str]) -> str:
    """Return what each part's column holds, in words; shares: (steps, parts) in %."""
    columns = zip(parts, shares.T, strict=True)
    return "; ".join(f"{part} {', '.join(f'{x:.0f}%' for x in column)}" for part, column in columns)


@styled
def stop_signal(
    evidences: Sequence[float], threshold: float, losses_by_step: Sequence[Sequence[float]]
) -> Figure:
    """Draw the stop signal of each step, and the training losses it comes from.

    The first step below the threshold and all later ones are dropped. Step 1 is always kept.

    Args:
        evidences: `erasing.evidence` of each step, at most 1.
        threshold: the least evidence that keeps a step.
        losses_by_step: for each step, the classifier's training losses by epoch.
    """
    at, seen = np.arange(1, len(evidences) + 1), np.asarray(evidences, float)
    kept = max(1, len(list(takewhile(lambda value: value >= threshold, seen))))
    verdicts = ["kept" if x <= kept else "dropped" for x in at]
    figure, ((left, right),) = new_figure(1, 2, figsize=(WIDTH, 3.4))
    _draw_threshold(left, threshold)
    left.plot(at, seen, color=FAINT, zorder=1)
    left.scatter(at[:kept], seen[:kept], s=45, color=INK, clip_on=False)
    hollow = {"facecolor": "white", "edgecolor": INK, "linewidth": 1.6, "marker": "s"}
    left.scatter(at[kept:], seen[kept:], s=45, **hollow)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for x, y, verdict in zip(at, seen, verdicts, strict=True):
        # inside the axes, and clear of the threshold and of the falling line
        above = y < 0.2 or threshold <= y < threshold + 0.2
        place = {"xytext": (7, 4) if above else (-7, -7), "textcoords": "offset points"}
        place |= {"ha": "left", "va": "bottom"} if above else {"ha": "right", "va": "top"}
        left.annotate(f"{y:.2f}\n{verdict}", (x, y), bbox=box, **place)
    left.set_ylabel("evidence (1: all labels, 0: none)")
    left.set_ylim(min(0, *seen), 1)
    _by_step(left, len(at), "labels still read off the training pictures")
    losses = {f"step {t + 1}": values for t, values in enumerate(losses_by_step)}
    _loss_lines(right, losses, "training loss of each step's classifier", STEPS)
    said = zip(at, seen, verdicts, strict=True)
    in_words = ", ".join(f"step {x} {y:.2f} {verdict}" for x, y, verdict in said)
    figure.alt = (
        f"Evidence by step, against a threshold of {threshold:g}: {in_words}. "
        f"Training loss: {_losses_in_words(losses)}."
    )
    return figure


def _draw_threshold(ax: Axes, threshold: float) -> None:
    ax.axhline(threshold, color=INK, linestyle="--", linewidth=1)
    at_left_edge = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    ax.annotate(f"threshold {threshold:g}", (0, threshold), (3, -4), va="top", **at_left_edge)


def _by_step(ax: Axes, count: int, title: str) -> None:
    ax.set(xlabel="erasing step", xticks=range(1, count + 1), xlim=(0.5, count + 0.5))
    set_title(ax, title)


# --- by epoch -----------------------------------------------------------------------------------


@styled
def curves(losses: Mapping[str, Sequence[float]], title: str = "training loss") -> Figure:
    """Draw training losses by epoch, one line for each name."""
    figure, ((ax,),) = new_figure(figsize=(6.6, 3.4))
    _loss_lines(ax, losses, title)
    figure.alt = f"Lines by epoch, {title}: {_losses_in_words(losses)}."
    return figure


def _loss_lines(
    ax: Axes,
    losses: Mapping[str, Sequence[float]],
    title: str,
    palette: Sequence[str] = METHODS,
) -> None:
    ends = []
    for i, (name, values) in enumerate(losses.items()):
        ax.plot(np.arange(1, len(values) + 1), values, **line(i, palette), markersize=4, label=name)
        if len(values):
            ends.append((len(values), values[-1], name, colour(i, palette)))
    ax.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    set_title(ax, title)
    end_labels(ax, ends)


def _losses_in_words(losses: Mapping[str, Sequence[float]]) -> str:
    return "; ".join(
        f"{name} {values[0]:.2f} to {values[-1]:.2f} in {len(values)} epochs"
        for name, values in losses.items()
        if len(values)
    )


def end_labels(ax: Axes, ends: Sequence[tuple[float, float, str, np.ndarray]]) -> None:
    """Name lines where they end, at (x, y, name, colour), and move overlapping names apart."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    ax.set(xlim=(left, right), ylim=(low, high))
    ends = sorted(ends, key=lambda end: end[1])
    gap = 0.22 * (high - low) / ax.figure.get_figheight()
    heights = [end[1] for end in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], high - gap * (len(heights) - 1 - i))
    for (x, y, name, ink), height in zip(ends, heights, strict=True):
        arrow = {"arrowstyle": "-", "color": ink, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 3}
        place = (right + 0.02 * (right - left), height)
        ax.annotate(name, (x, y), place, va="center", annotation_clip=False, arrowprops=arrow)
