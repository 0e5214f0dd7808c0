"""The checks of exercise 10 (sheet 02), open: a rule that says when to stop erasing.

A rule sees a `World`: what four rounds of erasing show without a mask. worlds.json holds those
of seeds 0 to 4 (profile classroom), and apart from them the mIoU of the mined regions on the
training pictures, by which a rule is judged. benchmarks/worlds.py made the file, so that a
class needs no training.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ...pipeline import stages
from ...pipeline.run import Run
from ...support.files import read_json
from . import say

FILE = Path(__file__).with_name("worlds.json")
LEAST_WORDS = 30
WANTED = "which signal, why it should tell harm, and where it would fail"
Rule = Callable[["World"], int]


@dataclass(frozen=True)
class World:
    """What rounds 1, 2, ... of erasing show without a mask: a list with an entry a round.

    Attributes:
        losses: training loss of the round's classifier, a list with an entry an epoch.
        evidence: see exercise 9, on the training pictures.
        unseen: evidence on 200 new pictures of the world, erased in the same way; their image-level
            labels are known, nothing was trained on them.
        area: share of the training pictures' pixels that is mined so far, in [0, 1].
        low: share of the round's new pixels whose saliency is low (background, says the cue).
    """

    losses: list[list[float]]
    evidence: list[float]
    unseen: list[float]
    area: list[float]
    low: list[float]

    def __len__(self) -> int:
        return len(self.evidence)


def worlds() -> dict[int, World]:
    """Returns the worlds by seed."""
    return {int(seed): World(**entry["signals"]) for seed, entry in read_json(FILE).items()}


def scores(seed: int) -> list[float]:
    """Returns the mIoU in [0, 1] of what is mined after round 1, 2, ...: made with masks."""
    return read_json(FILE)[str(seed)]["miou"]


# --- the checks -----------------------------------------------------------------------------------


def check_stop(stop: Rule) -> None:
    """stop(world) -> rounds to keep, 1 to len(world), from the signals alone."""
    longest, shorter = _made_up(4), [*_made_up(3), *_made_up(2)]
    kept = {_answer(stop, world) for world in [*worlds().values(), *longest]}
    if len(kept) == 1:
        k = kept.pop()
        say.wrong("stop", f"it keeps {k} whatever the signals say: a rule must look at the world")
    for world in shorter:
        _answer(stop, world)


def check_stop_outcome(stop: Rule) -> None:
    """The rule loses less to the best stop, on average over the worlds, than three does."""
    check_stop(stop)
    mine, three = (np.mean([row.lost for row in judge(rule)]) for rule in (stop, lambda world: 3))
    if mine >= three:
        # no numbers: each would be a look at the masks, and nobody counts those of a check
        say.wrong("stop", "not better than always keeping three rounds, on average over the worlds")


def check_words(looks: int, words: str) -> None:
    """How often the outcome was looked at, and the reasons: a teacher reads them."""
    say.all_given(looks=looks, words=words)
    if isinstance(looks, bool) or not isinstance(looks, int) or looks < 0:
        say.wrong("looks", f"this must be a whole number, 0 or more, and it is {looks!r:.40}")
    if not isinstance(words, str):
        say.wrong("words", f"this must be a text, and it is {words!r:.40}")
    if len(words.split()) < LEAST_WORDS:
        written = f"{len(words.split())} of at least {LEAST_WORDS} words"
        say.wrong("words", f"{written}; a teacher reads them: {WANTED}")
    signals = [field.name for field in fields(World)]
    if not any(signal in words for signal in signals):
        say.wrong("words", f"name the signal that your rule uses: {', '.join(signals)}")


def course_rule(world: World) -> int:
    """The rule of `aelib.erasing.steps_worth_keeping` at its default."""
    kept = 0
    while kept < len(world) and world.evidence[kept] >= 0.5:
        kept += 1
    return max(kept, 1)


@dataclass(frozen=True)
class Judged:
    """What a rule did in one world: rounds kept, the best number, points of mIoU lost to it."""

    seed: int
    kept: int
    best: int
    lost: float


def judge(stop: Rule) -> list[Judged]:
    """Returns how the rule fares in each world; it must have passed `check_stop`."""
    rows = []
    for seed, world in worlds().items():
        kept, miou = _answer(stop, world), scores(seed)
        lost = 100 * (max(miou) - miou[kept - 1])
        rows.append(Judged(seed, kept, int(np.argmax(miou)) + 1, lost))
    return rows


def show(stop: Rule) -> None:
    """Print how a rule fares beside the course's and beside always keeping 2, 3 or 4 rounds."""
    try:
        check_stop(stop)
    except AssertionError as problem:
        print(problem)
        return
    rules = {"yours": stop, "evidence >= 0.5": course_rule}
    rules |= {f"always {k}": lambda world, k=k: k for k in (2, 3, 4)}
    print(
        "rounds kept under seed", "".join(f"{seed:4}" for seed in worlds()), "  points lost, mean"
    )
    for name, rule in rules.items():
        rows = judge(rule)
        kept = "".join(f"{row.kept:4}" for row in rows)
        print(f"{name:22} {kept} {np.mean([row.lost for row in rows]):8.1f}")
    print(f"{'best, by the masks':22} {''.join(f'{row.best:4}' for row in judge(stop))} {0:8.1f}")


# --- inside ---------------------------------------------------------------------------------------


def _answer(stop: Rule, world: World) -> int:
    with _masks_withheld():
        kept = say.call("stop", stop, world)
    if isinstance(kept, (bool, np.bool_)) or not isinstance(kept, (int, np.integer)):
        say.wrong("stop", f"it must return a whole number of rounds, and it returned {kept!r:.40}")
    if not 1 <= kept <= len(world):
        say.wrong("stop", f"it keeps {kept} of {len(world)} rounds; keep 1 to len(world)")
    return int(kept)


def _made_up(rounds: int) -> list[World]:
    """Returns two worlds whose signals all agree: to go on to the end, and to stop at once."""
    curve, flat = [0.5, 0.3, 0.1], [0.5, 0.5, 0.5]
    later = rounds - 1
    going, growing = [0.9] * rounds, [0.2 * (k + 1) for k in range(rounds)]
    go_on = World([curve] * rounds, going, going, growing, [0.05] * rounds)
    sinking, still = [0.9] + [0.02] * later, [0.2 + 0.01 * k for k in range(rounds)]
    losses, low = [curve] + [flat] * later, [0.05] + [0.95] * later
    return [go_on, World(losses, sinking, sinking, still, low)]


@contextmanager
def _masks_withheld() -> Iterator[None]:
    """Let what leads to a mask, or to a score made with one, raise while a rule is asked."""
    doors = [(stages, "truth"), (Run, "json"), (sys.modules[__name__], "read_json")]
    before = [getattr(owner, name) for owner, name in doors]
    for owner, name in doors:
        setattr(owner, name, _refuse)
    try:
        yield
    finally:
        for (owner, name), function in zip(doors, before, strict=True):
            setattr(owner, name, function)


def _refuse(*arguments: object, **keywords: object) -> None:
    raise PermissionError("masks and their scores are withheld; a rule sees the signals alone")
