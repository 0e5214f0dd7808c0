"""The stages `data` and `data-val`: all inputs are checked, before anything is trained."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...datasets.base import fingerprint, full_sizes
from ...datasets.saliency_maps import check_maps
from ...datasets.summary import Summary
from ...datasets.unused import Unused
from ...models import LargeFOV
from ...support.errors import InputError
from ...support.files import ROOT, write_json
from ...support.progress import progress
from ..run import Run
from . import inputs
from .networks import load_weights
from .stage import stage


def prepare(run: Run) -> None:
    """Makes `data` and `data-val`: checks photographs, masks, saliency maps and weights, each once.

    What is checked decides whether there is a run, and no number of it. What the run begins with
    is remembered: of the training split in `data`, of the validation split in `data-val`.

    Raises:
        InputError: all that is wrong with weights, data and saliency maps (those of a right list),
            in one message; or a picture is in both splits.
    """
    _remember_train(run)
    _remember_val(run)


@stage("data", settings=(*inputs.TRAIN, "backbone", "weights", "fc_weights"))
def _remember_train(run: Run, made: Path) -> None:
    """Makes `data`, the facts of the training split.

    log.json {"pictures": their number, "mean_pixel": RGB in [0, 255], "weights": what the backbone
    starts from, or None, "warnings"}; of photographs also "classes" and "photographs":
    `fingerprint`.
    """
    check_inputs(run)
    s, train = run.settings, inputs.pictures(run, "train")
    mean = train.mean_pixel().tolist()
    log = {"pictures": len(train), "mean_pixel": mean, "weights": _weights(run)}
    log["warnings"] = run.warn(made.stem, run.inputs.summary.warnings("train"))
    if inputs.of_photographs(s):
        log |= {"classes": train.classes, "photographs": fingerprint(train)}
    write_json(made / "log.json", log)


@stage("data-val", settings=inputs.VAL)
def _remember_val(run: Run, made: Path) -> None:
    """Makes `data-val`: log.json {"pictures", "warnings"}; of photographs also "photographs"."""
    check_inputs(run)
    val = inputs.pictures(run, "val")
    log: dict[str, Any] = {"pictures": len(val)}
    log["warnings"] = run.warn(made.stem, run.inputs.summary.warnings("val"))
    if inputs.of_photographs(run.settings):
        log["photographs"] = fingerprint(val)
    write_json(made / "log.json", log)


def check_inputs(run: Run) -> None:
    """Look at all that a run begins with, once, and print what is there.

    `data` and `data-val` ask for it.

    Raises:
        InputError: as `prepare`.
    """
    if inputs.inputs(run).summary is not None:
        return
    s = run.settings
    problems: list[str] = []
    inputs.reopen(run)
    with _noted(problems):
        _weights(run, LargeFOV(1, s.backbone, s.dropout, s.frozen))
    with _noted(problems):
        found = inputs.dataset(run).check(s.workers, progress("data"))
    if s.loaders > 0 and "fork" not in get_all_start_methods():
        problems.append("loaders: this system has no fork, which they need; set it to 0")
    with _noted(problems):
        if s.saliency_maps:
            check_maps(ROOT / s.saliency_maps, _readable(run), s.workers)
    if problems:
        raise InputError("\n".join(problems))
    _tell(run, found)
    run.inputs.summary = found


def _tell(run: Run, found: Summary) -> None:
    """Print what is there, for a person to see before hours of training."""
    maps = ROOT / run.settings.saliency_maps
    for line in found.lines():
        print(line, flush=True)
    for place in found.unused:
        names = [name for name in place.names if place.folder / name != maps]
        if names:
            run.warn("data", [f"nothing reads {Unused(place.folder, names)}"])


def mean_pixel(run: Run) -> Tensor:
    """Mean RGB of the training split, (3,) float64 in [0, 1]: what erased pixels become.

    Makes `data` if it is not there.
    """
    prepare(run)
    return torch.tensor(inputs.from_data(run, "mean_pixel"), dtype=torch.float64) / 255


def _weights(run: Run, model: LargeFOV | None = None) -> dict[str, Any] | None:
    """What the backbone starts from, as `load_weights` says; the file is read once.

    Args:
        model: to read it into; a plain one by default.
    """
    s = run.settings
    if s.weights == "random":
        return None
    asked, known = (s.backbone, s.weights, s.fc_weights), run.inputs.weights
    if asked not in known:
        known[asked] = load_weights(s, model or LargeFOV(1, s.backbone))
    return known[asked]


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """A ValueError becomes one of the problems."""
    try:
        yield
    except ValueError as error:
        problems.append(str(error))


def _readable(run: Run) -> dict[str, tuple[int, int]]:
    """id -> (H, W), unreduced, of training pictures that can be read.

    The data set's own check has said what is wrong with the list and with the other pictures.
    """
    known = {}
    with suppress(ValueError):
        train = inputs.dataset(run).pictures("train")
        for i, name in enumerate(train.ids):
            with suppress(ValueError, FileNotFoundError):
                known[name] = full_sizes(train.images[i : i + 1])[0]
    return known
