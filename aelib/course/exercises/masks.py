"""Checks of sheet 3: the merge rule, the background threshold, three merge rules compared."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...pipeline import stages
from ...pipeline.run import Run
from . import say

SHOWN = 200  # training pictures that exercises 12 and 13 count on
ENOUGH = 0.997  # share of S's background that must be right in exercise 12
GRID = np.arange(1, 100) / 100  # thresholds of the sweep
COUNTS = ("labelled", "foreground", "background", "objects")
RULES = ("paper", "mined", "saliency")

_CLAIMS = ("no class", "one class", "two classes or more")


# --- exercise 11 ----------------------------------------------------------------------------------


def check_merge(merge: Any) -> None:
    """merge(regions, saliency, background_threshold) -> S, as masks.merge; no loop over pixels."""
    random = np.random.default_rng(11)
    cases = [(1, 4, 5, 0.4), (3, 8, 6, 0.06), (5, 7, 9, 0.5), (2, 6, 6, 0.0), (2, 6, 6, 1.0)]
    for classes, height, width, threshold in cases:
        regions = random.random((classes, height, width)) < 1 / classes
        saliency = random.integers(0, 11, (height, width)) / 10
        saliency[random.random((height, width)) < 0.2] = threshold
        found = say.call("merge", merge, regions, saliency, threshold)
        expected = _slow_merge(regions, saliency, threshold)
        _compare_cells(found, expected, regions, saliency, threshold)
    _refuse_loop(merge)


def _slow_merge(regions: np.ndarray, saliency: np.ndarray, threshold: float) -> np.ndarray:
    S = np.full(saliency.shape, 255)
    for place in np.ndindex(saliency.shape):
        classes = [c for c in range(len(regions)) if regions[c][place]]
        if saliency[place] < threshold:
            S[place] = 255 if classes else 0
        elif len(classes) == 1:
            S[place] = classes[0] + 1
    return S


def _compare_cells(
    found: Any,
    expected: np.ndarray,
    regions: np.ndarray,
    saliency: np.ndarray,
    threshold: float,
) -> None:
    """Say which of the rule's six cells is filled wrongly; a saliency at the threshold is last."""
    if np.shape(found) != expected.shape:
        say.same("merge", found, expected)
    found, claims = _integers(found), regions.sum(axis=0).clip(max=2)
    differs, at_threshold = found != expected, saliency == threshold
    for place in [*np.argwhere(differs & ~at_threshold), *np.argwhere(differs & at_threshold)]:
        place = tuple(int(k) for k in place)
        got, right = f"{found[place]:g}", expected[place]
        if at_threshold[place]:
            sentence = "a saliency that equals the threshold is not below it, so it is salient"
        elif found[place] == right - 1:
            sentence = f"class number {got} is written {got}: it must be c + 1, for 0 is background"
        else:
            low = "low saliency" if saliency[place] < threshold else "salient"
            sentence = f"{low}, claimed by {_CLAIMS[claims[place]]}: {got} instead of {right}"
        say.wrong("merge", f"{sentence} (pixel {place}; the picture is {_size(saliency)})")


def _integers(found: Any) -> np.ndarray:
    """Returns the labels as an array; they must be integers of a type that holds 0 to 255."""
    found = np.asarray(found)
    if found.dtype.kind not in "iu":
        say.wrong("merge", f"the labels must be integers, and they are {found.dtype}: take uint8")
    if np.iinfo(found.dtype).max < 255:
        say.wrong("merge", f"{found.dtype} cannot hold 255: take uint8 or int64")
    return found


def _size(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape))


def _refuse_loop(merge: Callable) -> None:
    """Say so if the function is not much faster than a loop over pixels on this machine."""
    random = np.random.default_rng(12)
    regions, saliency = random.random((3, 80, 80)) < 0.3, random.random((80, 80))
    mine = min(_seconds(merge, regions.copy(), saliency.copy(), 0.4) for _ in range(3))
    loop = min(_seconds(_slow_merge, regions, saliency, 0.4) for _ in range(2))
    if mine > loop / 3:
        times = f"it takes {1000 * mine:.1f} ms for 80 x 80 pixels, a loop {1000 * loop:.1f} ms"
        say.wrong("merge", f"all labels are right, but {times}: let numpy go over the pixels")


def _seconds(function: Callable, *arguments: Any) -> float:
    start = time.process_time()
    say.call("merge", function, *arguments)
    return time.process_time() - start


# --- exercises 12 and 13 --------------------------------------------------------------------------


def _pixels(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns saliency, number of claims, claimed label and true label of SHOWN pictures' pixels.

    Void pixels are left out.
    """
    train = stages.pictures(run, "train")
    masks = stages.truth(run, "train").masks[:SHOWN]
    maps = run.images("saliency", train.ids[:SHOWN])
    mined = stages.regions(run, run.settings.object_steps)
    parts = []
    for i, mask in enumerate(masks):
        counted = mask != 255
        claims, label = np.zeros(mask.shape, int), np.zeros(mask.shape, int)
        for c, region in enumerate(mined[i]):
            claims += region
            label[region] = c + 1
        columns = (maps[i] / 255, claims, label, mask)
        parts.append(np.stack([column[counted].astype(float) for column in columns]))
    saliency, claims, label, truth = np.concatenate(parts, axis=1)
    return saliency, claims.astype(int), label.astype(int), truth.astype(int)


def check_background_threshold(run: Run, background_threshold: Any) -> None:
    """The highest of 0.01, 0.02 ... 0.99 at which ENOUGH of S's background is right, on train."""
    name = "background_threshold"
    value = say.one_number(name, background_threshold, 0, 1)
    saliency, claims, _, truth = _pixels(run)
    free = claims == 0
    right = _right_below(GRID, saliency[free], truth[free])
    if not (right >= ENOUGH).any():
        return  # a run of one's own may have no such threshold
    best = GRID[right >= ENOUGH].max()
    (here,) = _right_below(np.array([value]), saliency[free], truth[free])
    if value > best - 0.0101 and here >= ENOUGH:
        return
    all_pixels = GRID[_right_below(GRID, saliency, truth) >= ENOUGH].max(initial=0)
    if abs(value - all_pixels) < 0.0051:
        say.wrong(
            name,
            f"{value:g} is right for all pixels of low saliency; S's background are only those "
            "that no class claims",
        )
    share = f"{100 * here:.3f} % of S's background is right"
    if here < ENOUGH:
        say.wrong(name, f"{value:g} is too high: only {share} there")
    say.wrong(name, f"at {value:g} {share}, but a higher threshold reaches 99.7 % too")


def _right_below(thresholds: np.ndarray, saliency: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns the share of background among the pixels below each threshold, 1 if none is."""
    levels = np.round(255 * saliency).astype(int)
    ground = np.bincount(levels, weights=truth == 0, minlength=256)
    every = np.bincount(levels, minlength=256)
    below = np.arange(256) / 255 < thresholds[:, None]
    return (below @ ground) / (below @ every).clip(min=1) + (below @ every == 0)


def rule_shares(run: Run) -> dict[str, dict[str, float]]:
    """Returns the four shares, by count and rule, at the run's own background threshold."""
    saliency, claims, label, truth = _pixels(run)
    low = saliency < run.settings.background_threshold
    paper = np.where(low & (claims == 0), 0, 255)
    paper[~low & (claims == 1)] = label[~low & (claims == 1)]
    rules = (paper, np.where(claims == 1, label, paper), np.where(low, 0, paper))
    shares: dict[str, dict[str, float]] = {count: {} for count in COUNTS}
    for rule, S in zip(RULES, rules, strict=True):
        ground, objects = S == 0, (S > 0) & (S < 255)
        right = truth == S
        shares["labelled"][rule] = float((S != 255).mean())
        shares["foreground"][rule] = float(right[objects].mean())
        shares["background"][rule] = float(right[ground].mean())
        shares["objects"][rule] = float(right[truth > 0].mean())
    return shares


def reveal(run: Run, **predicted: Any) -> None:
    """Print the four shares under each rule beside the prediction, once there is one.

    Args:
        predicted: labelled, foreground, background and objects, each "one > other = third".
    """
    try:
        ranked = _rankings("prediction", predicted)
    except AssertionError as error:
        print(f"The shares are shown once you have predicted. {error}.")
        return
    print(f"{'share':11}" + "".join(f"{rule:>10}" for rule in RULES) + "   you predicted")
    for count, shares in rule_shares(run).items():
        numbers = "".join(f"{shares[rule]:10.1%}" for rule in RULES)
        words = " > ".join(" = ".join(sorted(group)) for group in ranked[count])
        print(f"{count:11}{numbers}   {words}")


def check_rules(run: Run, predicted: Any, measured: Any) -> None:
    """Rankings of the three rules on four counts: predicted (any), and measured (right)."""
    _rankings("predicted", predicted)
    ranked = _rankings("measured", measured)
    first = set.intersection(*(set(groups[0]) for groups in ranked.values()))
    if first:
        winner = first.pop()
        say.wrong("measured", f"{winner} is first on every count here; no rule wins everywhere")
    for count, shares in rule_shares(run).items():
        place = {rule: k for k, group in enumerate(ranked[count]) for rule in group}
        for one in RULES:
            for other in RULES:
                gap = shares[one] - shares[other]
                # shares within 0.2 points may also be called equal
                if place[one] > place[other] and gap > 0.0001:
                    say.wrong("measured", f"{count}: {one} is above {other}, not below")
                if place[one] == place[other] and gap > 0.002:
                    say.wrong("measured", f"{count}: {one} and {other} are not equal")
                if place[one] < place[other] and gap == 0:
                    say.wrong("measured", f"{count}: {one} and {other} are equal, write =")


def _rankings(name: str, answers: Any) -> dict[str, list[list[str]]]:
    """Returns the groups of equal rules, best first, by count: "a > b = c" -> [[a], [b, c]]."""
    say.given(name, answers)
    if not isinstance(answers, dict) or set(answers) != set(COUNTS):
        say.wrong(name, f"there must be one ranking each for {', '.join(COUNTS)}")
    ranked = {}
    for count in COUNTS:
        text = say.given(f"{name}, {count}", answers[count])
        groups = [[rule.strip() for rule in part.split("=")] for part in str(text).split(">")]
        rules = sorted(rule for group in groups for rule in group)
        if rules != sorted(RULES):
            example = " > ".join(RULES)
            say.wrong(f"{name}, {count}", f"write all three rules, as in '{example}', not {text!r}")
        ranked[count] = groups
    return ranked
