"""The checks of sheet 06, exercise 20: a failure explained, and an experiment of three seeds."""

import statistics
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ... import psl
from ...evaluation import iou
from ...pipeline import settings, stages
from ...pipeline.run import Run, opened
from ...support.files import ROOT
from . import say

NETWORK = "AE+PSL++"

# --- a creature with another one's body -----------------------------------------------------------


class Failure(NamedTuple):
    """A validation picture of one creature, part of which is answered as another class.

    Attributes:
        index: of the picture in val.
        answer: the network's label map, (H, W) uint8, prohibited at the run's threshold.
        other: the class that most of the creature's wrong pixels are answered as.
        share: the share of the creature's pixels that are.
        v: the classifier's confidence of each class, by name.
    """

    index: int
    answer: np.ndarray
    other: str
    share: float
    v: dict[str, float]


@lru_cache(maxsize=8)
def worst(run: Run, name: str) -> Failure:
    """The failure of class `name` with the largest share, among pictures that show it alone."""
    val, masks = stages.pictures(run, "val"), stages.truth(run, "val").masks
    own = val.classes.index(name)
    alone = val.labels[:, own] & (val.labels.sum(axis=1) == 1)
    indices = np.flatnonzero(alone)
    images = [val.images[i] for i in indices]
    v = stages.confidences(run, images)
    allowed = psl.allowed(v, run.settings.prohibit_threshold)
    f = stages.probabilities(run, stages.network(run, NETWORK), images)
    failures = []
    for i, p, keep, sure in zip(indices, f, allowed, v.tolist(), strict=True):
        answer = (p * keep[:, None, None]).argmax(dim=0).byte().numpy()
        inside = answer[masks[i] == own + 1]
        counts = np.bincount(inside, minlength=len(val.classes) + 1)[1:]
        counts[own] = 0
        other = val.classes[counts.argmax()]
        by_name = dict(zip(val.classes, sure, strict=True))
        share = counts.max() / max(len(inside), 1)
        failures.append(Failure(int(i), answer, other, float(share), by_name))
    return max(failures, key=lambda failure: failure.share)


def check_threshold(run: Run, threshold: float) -> None:
    """A threshold on v that takes the ram from the hare, and leaves the hare."""
    value = say.one_number("threshold", threshold, 0, 1)
    failure = worst(run, "hare")
    if failure.share < 0.1:
        say.wrong("threshold", "this run has no hare with another body; take the course's run")
    hare, other = failure.v["hare"], failure.v[failure.other]
    if value <= other:
        stays = f"a class goes where its v is below the threshold, and the {failure.other}'s is not"
        say.wrong(f"threshold {value:.4g}", f"the {failure.other} stays: {stays}")
    if value > hare:
        say.wrong(f"threshold {value:.4g}", "this removes the hare as well, and leaves background")


# --- an experiment of three seeds -----------------------------------------------------------------

LEAST_WORDS = 40
HARMLESS = ("workers", "loaders")  # they change no number
OF_THE_TASK = ("dataset", "data_root", "val_list", "val_images", "classes", "longest_side")


def collected(
    folders: Sequence[str | Path], method: str = NETWORK, crf: bool = False
) -> list[dict[str, Any]]:
    """What exercise 20 hands in, read from finished runs.

    Args:
        folders: run directories; relative ones count from the project's folder.
        method: a network, as in results.json. If trained with PSL, it is prohibited at test.

    Returns:
        {"seed", "settings": those that differ from the profile's, "miou": per cent} of each run.
    """
    runs = []
    for folder in folders:
        run = opened(ROOT / folder)
        used, defaults = run.settings.to_json(), settings.make(run.settings.profile).to_json()
        differ = {k: used[k] for k in defaults if k != "seed" and used[k] != defaults[k]}
        key = ("prohibited" if stages.prohibits(method) else "all") + ("+crf" if crf else "")
        matrix = run.json(f"scores-{method}", "scores.json")[key]
        miou = round(100 * float(np.nanmean(iou(matrix))), 2)
        runs.append({"seed": used["seed"], "settings": differ, "miou": miou})
    return runs


def check_experiment(
    runs: list[dict[str, Any]], chosen_on: str, mean_gain: float, spread: float, why: str
) -> None:
    """Runs of three seeds or more with and without one change; the value of a score is not judged.

    Args:
        runs: as `collected` returns them, the runs without the change first.
        chosen_on: how the new value was chosen: "train", or "beforehand".
        mean_gain: mean over the seeds of (changed - unchanged), points of mIoU.
        spread: sample standard deviation (n - 1) of these differences.
        why: the explanation and what the experiment says about it.
    """
    say.all_given(runs=runs, chosen_on=chosen_on, mean_gain=mean_gain, spread=spread, why=why)
    before, after = _two_groups(runs)
    if chosen_on == "val":
        say.wrong("chosen_on", "a value that was chosen on val cannot be judged on val; take train")
    say.one_of("chosen_on", chosen_on, ("train", "beforehand"))
    gains = [after[seed] - before[seed] for seed in sorted(before)]
    mean = statistics.mean(gains)
    reversed_sign = "the sign is reversed: a gain is changed minus unchanged"
    fraction = "this is a fraction; runs are in points"
    hints = [(-mean, reversed_sign), (mean / 100, fraction), (sum(gains), "this is the sum")]
    say.number("mean_gain", mean_gain, mean, 0.011, hints)
    say.number("spread", spread, statistics.stdev(gains), 0.011, _mistakes(gains, before, after))
    if not isinstance(why, str) or len(why.split()) < LEAST_WORDS:
        say.wrong(
            "why", f"write at least {LEAST_WORDS} words: the cause, its evidence, the outcome"
        )


def _mistakes(gains: list[float], before: dict[int, float], after: dict[int, float]) -> say.Hints:
    n = len(gains)
    yield statistics.pstdev(gains), f"this divides by n; of {n} seeds divide by n - 1"
    error = "this is the standard error; hand in the standard deviation, not divided by sqrt(n)"
    yield statistics.stdev(gains) / n**0.5, error
    yield statistics.variance(gains), "this is the variance; take its square root"
    yield max(gains) - min(gains), "this is the range; take the standard deviation"
    pair = "this is the spread of one side; take the difference of each seed first"
    for scores in (before, after):
        yield statistics.stdev(scores.values()), pair
        yield statistics.pstdev(scores.values()), pair
    yield statistics.stdev([*before.values(), *after.values()]), pair


def _two_groups(runs: Any) -> tuple[dict[int, float], dict[int, float]]:
    """Returns mIoU by seed, unchanged and changed; says what keeps them from being compared."""
    if not isinstance(runs, list) or not all(isinstance(one, dict) for one in runs) or not runs:
        say.wrong("runs", "this must be the list that `collected` prints")
    groups: list[tuple[dict, dict[int, float]]] = []
    for one in runs:
        used, seed, miou = _entry(one)
        if used not in [others for others, _ in groups]:
            groups.append((used, {}))
        (scores,) = [scores for others, scores in groups if others == used]
        if seed in scores:
            say.wrong("runs", f"seed {seed} occurs twice with the settings {used}")
        scores[seed] = miou
    changed = {k for used, _ in groups for k in used if any(u.get(k) != used[k] for u, _ in groups)}
    _one_change(groups, sorted(changed))
    (_, before), (_, after) = groups
    _same_seeds(before, after)
    return before, after


def _entry(one: dict) -> tuple[dict[str, Any], int, float]:
    missing = [key for key in ("seed", "settings", "miou") if key not in one]
    if missing:
        say.wrong("runs", f"{one!r:.80} has no {missing[0]!r}")
    used, seed = one["settings"], one["seed"]
    if not isinstance(used, dict) or isinstance(seed, bool) or not isinstance(seed, int):
        say.wrong("runs", f"{one!r:.80}: the seed must be an integer, the settings a dict")
    for name, value in used.items():
        try:
            settings.checked(name, value)
        except (KeyError, ValueError):
            say.wrong("runs", f"there is no setting {name} with the value {value!r:.40}")
    miou = say.one_number(f"miou of seed {seed}", one["miou"], 0, 100)
    if miou <= 1:
        say.wrong("runs", f"miou of seed {seed}: {miou:g} is a fraction; write per cent")
    return used, seed, miou


def _one_change(groups: list, changed: list[str]) -> None:
    if len(groups) == 1:
        say.wrong("runs", "nothing was changed: all have the same settings")
    if len(changed) > 1:
        names = " and ".join(changed)
        say.wrong("runs", f"{names} differ: with more than one change nobody knows which did it")
    if len(groups) > 2:
        tuned = "choose one on train, then score that one on val"
        values = f"{len(groups) - 1} changed values of {changed[0]}"
        say.wrong("runs", f"{values} were scored on val: {tuned}")
    if changed[0] == "seed":
        say.wrong("runs", "the seed is not the change: it is what is repeated")
    if changed[0] in HARMLESS:
        say.wrong("runs", f"{changed[0]} changes no number")
    if changed[0] in OF_THE_TASK:
        say.wrong("runs", f"{changed[0]} changes the pictures that are scored, not the method")


def _same_seeds(before: dict[int, float], after: dict[int, float]) -> None:
    if before.keys() != after.keys():
        alone = min(before.keys() ^ after.keys())
        say.wrong("runs", f"seed {alone} is there with one of the two settings only")
    if len(before) < 3:
        say.wrong("runs", f"{len(before)} of at least 3 seeds: one or two cannot show a spread")
    if len(set(before.values())) == 1 or len(set(after.values())) == 1:
        say.wrong("runs", "all seeds have the same score: is it one run, copied?")
