"""The stage `data`: all inputs are checked at once, before anything is trained."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_all_start_methods
from pathlib import Path

import torch
from torch import Tensor

from ...datasets.base import Pictures, fingerprint, full_sizes
from ...datasets.saliency_maps import check_maps
from ...support.files import ROOT, refuse, write_json
from ...support.progress import progress
from ..run import Run
from . import inputs
from .networks import UNTRAINED, pretrained
from .stage import stage


@stage("data", settings=(*inputs.DATA, *UNTRAINED, "loaders", "workers", "saliency_maps"))
def prepare(run: Run, made: Path) -> None:
    """Makes `data`: checks photographs, masks, saliency maps and weights, each once.

    log.json {"pictures": {split: count}, "mean_pixel": RGB in [0, 255], "weights": what the
    backbone starts from, or None}; of photographs also "classes" and
    "photographs": {split: `fingerprint`}.

    Raises:
        ValueError: all that is wrong with weights, data and saliency maps (those of a right list),
            in one message; or a picture is in both splits.
    """
    s = run.settings
    problems: list[str] = []
    weights = None
    with _noted(problems):
        if s.weights != "random":
            weights = pretrained(s, outputs=1)[1]
    with _noted(problems):
        inputs.reopen(run)
        inputs.dataset(run).check(s.workers, progress("data"))
    if s.loaders and "fork" not in get_all_start_methods():
        problems.append("loaders: this system has no fork, which they need; set it to 0")
    with _noted(problems):
        if s.saliency_maps:
            check_maps(ROOT / s.saliency_maps, _readable(run), s.workers)
    if problems:
        raise ValueError("\n".join(problems))
    train, val = inputs.pictures(run, "train"), inputs.pictures(run, "val")
    _refuse_shared(run, train, val)
    log = {
        "pictures": {"train": len(train), "val": len(val)},
        "mean_pixel": train.mean_pixel().tolist(),
        "weights": weights,
    }
    if inputs.of_photographs(s):
        log["classes"] = train.classes
        log["photographs"] = {"train": fingerprint(train), "val": fingerprint(val)}
    write_json(made / "log.json", log)


def mean_pixel(run: Run) -> Tensor:
    """Mean RGB of the training split, (3,) float64 in [0, 1]: what erased pixels become.

    Makes `data` if it is not there.
    """
    prepare(run)
    return torch.tensor(inputs.from_data(run, "mean_pixel"), dtype=torch.float64) / 255


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


def _refuse_shared(run: Run, train: Pictures, val: Pictures) -> None:
    """VOC's lists may share pictures, whatever their names; those of a folder cannot."""
    s = run.settings
    names = sorted({*train.ids} & {*val.ids})
    shared = [f"{name} is trained on and scored on" for name in names]
    refuse(f"picture(s) are in {s.train_list} and in {s.val_list}", shared)
