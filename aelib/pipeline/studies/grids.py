"""The studies, as plain data: each cell changes a few settings and reads one stage's numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Stands for the folder of saliency maps made from the true masks of a cell's own pictures.
TRUE_BACKGROUND = "true-background"
PSL = "scores-AE+PSL"
AE = "scores-AE-step3"


@dataclass(frozen=True)
class Cell:
    """One line of a study's table, for each seed.

    Attributes:
        label: its name, unique in the study.
        stage: what is read: "scores-NETWORK", "scores-train-NETWORK", "entropy-NETWORK",
            "coverage-STEPS" or "classifier-STEP" (its evidence).
        changes: settings that differ from the default run's.
        against: label of the cell it is compared with; "" for the first that reads this kind.
    """

    label: str
    stage: str = PSL
    changes: Mapping[str, Any] = field(default_factory=dict)
    against: str = ""


@dataclass(frozen=True)
class Study:
    """A question, and the cells that answer it. Labels and cells as for `Cell`."""

    name: str
    question: str
    cells: tuple[Cell, ...]


def _sweep(setting: str, *values: Any, stage: str = PSL, **more: Any) -> list[Cell]:
    """A cell for each value of one setting, named after it."""
    return [Cell(f"{setting} {value}", stage, {setting: value} | more) for value in values]


def _both(label: str, against: str = "default", **changes: Any) -> list[Cell]:
    """AE and AE+PSL under the same changes, each against its own `against`."""
    return [
        Cell(f"{name}, {label}", stage, changes, f"{name}, {against}" if against != label else "")
        for name, stage in (("AE", AE), ("AE+PSL", PSL))
    ]


def _question() -> list[Cell]:
    losses = ("S", "S-hat", "kl", "reverse-kl", "literal")
    confidences = ("one", "labels", "softmax", "normalised")
    return [
        Cell("default: S and S-hat"),
        *_sweep("network_loss", *losses),
        *_sweep("confidence", *confidences),
        *_sweep("psl_warmup", 0.0, 0.25, 0.75),
    ]


def _temperature() -> list[Cell]:
    """On val; on training pictures, where T is chosen; PSL's gain at each T; how sure f is."""
    cells = _both("T 1", "T 1")
    for value in (1.5, 2.0, 3.0, 5.0):
        changes = {"crf_temperature": value}
        cells += _both(f"T {value:g}", "T 1", **changes)
        cells.append(Cell(f"PSL's gain, T {value:g}", PSL, changes, f"AE, T {value:g}"))
    for name in ("AE-step3", "AE+PSL"):
        for value in (1.0, 1.5, 2.0, 3.0, 5.0):
            label, changes = f"{name}, training, T {value:g}", {"crf_temperature": value}
            cells.append(Cell(label, f"scores-train-{name}", changes, f"{name}, training, T 1"))
    for name in ("AE+PSL++", "full supervision"):  # both learned from whole masks
        cells.append(Cell(f"{name}, T 1", f"scores-{name}"))
        changes = {"crf_temperature": 2.0}
        cells.append(Cell(f"{name}, T 2", f"scores-{name}", changes, f"{name}, T 1"))
    cells.append(Cell("entropy, AE", "entropy-AE-step3"))
    cells.append(Cell("entropy, AE+PSL", "entropy-AE+PSL", {}, "entropy, AE"))
    return cells


def _when() -> list[Cell]:
    """PSL's gain against the coverage of the objects by S (of so many steps): PSL minus AE."""
    cells = []
    for steps in (1, 2, 3, 4):
        cells += _gain(f"S of {steps}", steps)
    for delta in (0.1, 0.4):
        cells += _gain(f"S of 1, delta {delta}", 1, delta=delta)
    for steps in (1, 3):
        changes = {"confidence": "normalised", "object_steps": steps}
        cells.append(Cell(f"PSL, v / max v, S of {steps}", PSL, changes, f"AE, S of {steps}"))
    return cells


def _gain(label: str, steps: int, **changes: Any) -> list[Cell]:
    changes = changes | {"object_steps": steps}
    return [
        Cell(f"AE, {label}", f"scores-AE-step{steps}", changes),
        Cell(f"PSL, {label}", PSL, changes, f"AE, {label}"),
        Cell(f"coverage, {label}", f"coverage-{steps}", changes),
    ]


def _erasing() -> list[Cell]:
    cells = [Cell("3 steps", AE)]
    cells += [Cell(f"{k} steps", f"scores-AE-step{k}") for k in (1, 2, 4, 5)]
    for k in (2, 3):
        cells.append(
            Cell(f"{k} steps, warm", f"scores-AE-step{k}", {"start": "warm"}, f"{k} steps")
        )
    for fill in ("zero", "noise", "blur"):
        cells.append(Cell(f"2 steps, {fill}", "scores-AE-step2", {"fill": fill}, "2 steps"))
    return cells + [Cell(f"evidence, step {k}", f"classifier-{k}") for k in (1, 2, 3, 4, 5)]


def _regions() -> list[Cell]:
    one = "scores-AE-step1"
    rules = ("region", "saliency", "smallest", "near")
    true = {"saliency_maps": TRUE_BACKGROUND, "background_threshold": 0.5}
    return [
        Cell("default", AE),
        *_sweep("background_threshold", 0.2, 0.3, 0.5, stage=AE),
        *_sweep("merge_rule", *rules, stage=AE),
        Cell("background: low CAM", AE, {"background_cue": "cam"}),
        Cell("background: true", AE, true),
        Cell("1 step, > 0.2 max", one),
        Cell("1 step, > 0.8 max", one, {"delta": 0.8}, "1 step, > 0.2 max"),
        Cell("1 step, top 20 %", one, {"delta_rule": "share"}, "1 step, > 0.2 max"),
    ]


def _ilp() -> list[Cell]:
    return [
        *_both("default"),
        *_both("weigh", prohibition="weigh"),
        *_both("lse", pooling="lse"),
        *_both("lse and weigh", pooling="lse", prohibition="weigh"),
    ]


def _sec() -> list[Cell]:
    losses = ("S", "expand", "constrain", "sec", "psl+sec")
    return [Cell("default: S and S-hat"), *_sweep("network_loss", *losses)]


def _crf(bilateral: tuple[float, ...], gaussian: tuple[float, ...]) -> Cell:
    """AE+PSL with a CRF (weight, pixels, grey levels) + (weight, pixels)."""
    names = (
        *("bilateral_weight", "bilateral_sxy", "bilateral_srgb"),
        *("gaussian_weight", "gaussian_sxy"),
    )
    values = (*bilateral, *gaussian)
    words = [", ".join(f"{value:g}" for value in part) for part in (bilateral, gaussian)]
    label = f"CRF ({words[0]}) + ({words[1]})"
    return Cell(label, PSL, dict(zip(names, values, strict=True)))


def _test() -> list[Cell]:
    again = "scores-AE+PSL++"
    return [
        Cell("default"),
        *_sweep("prohibit_threshold", 0.0, 0.05, 0.2, 0.4),
        _crf((10.0, 80.0, 13.0), (3.0, 3.0)),  # SEC's, PSA's
        _crf((4.0, 67.0, 3.0), (3.0, 1.0)),  # DeepLab v2's, EPS's
        _crf((4.0, 121.0, 5.0), (3.0, 3.0)),  # L2G's
        _crf((4.0, 17.0, 3.0), (3.0, 0.25)),  # the last two for pictures a quarter as wide
        _crf((4.0, 30.0, 5.0), (3.0, 0.75)),
        Cell("PSL++", again),
        Cell("PSL++, warm-up 0.75", again, {"psl_warmup": 0.75}, "PSL++"),
        Cell("PSL++, S only", again, {"network_loss": "S"}, "PSL++"),
        Cell("PSL++, 12 epochs", again, {"network_epochs": 12}, "PSL++"),  # default: 6
        Cell("PSL++ twice", "scores-AE+PSL+++"),
        Cell("full supervision", "scores-full supervision"),
    ]


def _reduced() -> list[Cell]:
    """Only scores are made, on networks that a finished run has."""
    cells = [
        *_both("default"),
        *_both("T 2", crf_temperature=2.0),
        *_both("weigh", prohibition="weigh"),
    ]
    for value in (0.0, 0.2):
        changes = {"prohibit_threshold": value}
        cells.append(Cell(f"AE+PSL, threshold {value}", PSL, changes, "AE+PSL, default"))
    return cells


_QUESTIONS = {
    "question": ("why S and S-hat both, and how sure of the classes?", _question),
    "temperature": ("does PSL survive the CRF, at which temperature?", _temperature),
    "when": ("when does PSL help: its gain against what S covers", _when),
    "erasing": ("how many steps, from which weights, erased with what?", _erasing),
    "regions": ("delta, background and merge rule", _regions),
    "ilp": ("the image-level prior at test against PSL in the loss", _ilp),
    "sec": ("SEC's expand and constrain in place of PSL and with it", _sec),
    "test": ("prohibition at test, the CRF, second rounds, masks", _test),
    "reduced": ("scores only, on the networks that a run has", _reduced),
}
#: name -> study, in the order of the notebook.
STUDIES = {name: Study(name, words, tuple(cells())) for name, (words, cells) in _QUESTIONS.items()}


def listing() -> str:
    """The studies, a line each: name, cells, question."""
    return "\n".join(
        f"{study.name:12} {len(study.cells):3} cells a seed  {study.question}"
        for study in STUDIES.values()
    )
