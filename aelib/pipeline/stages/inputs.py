"""The data set of a run, opened once; its photographs stay those that `data` saw."""

from dataclasses import dataclass, field
from typing import Any

from ...datasets.base import DataSet, Pictures, fingerprint
from ...datasets.creatures import CLASSES, Creatures
from ...datasets.folder import Folder
from ...datasets.summary import Summary
from ...datasets.voc import VOC
from ...support.files import ROOT
from ..run import Run, RunError
from ..settings import Settings

_BOTH = ("dataset", "data_root", "classes", "longest_side", "seed")
#: Settings that say which pictures a split has: a stage that looks at one reads them.
TRAIN = (*_BOTH, "train_list", "train_images")
VAL = (*_BOTH, "val_list", "val_images")


@dataclass
class Inputs:
    """A run's open data sets, and what was done with them.

    Attributes:
        opened: by split; "" for the whole, which only checks open.
        compared: the splits that were compared with what `data` and `data-val` saw.
        weights: what a backbone starts from, by the settings that say so.
        summary: what is there, once all has been checked.
    """

    opened: dict[str, DataSet] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)
    weights: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    summary: Summary | None = None


def inputs(run: Run) -> Inputs:
    """The run's open inputs; `reopen` opens them anew."""
    if run.inputs is None:
        reopen(run)
    return run.inputs


def reopen(run: Run) -> None:
    """Open the run's data sets anew: lists or labels may have been mended."""
    run.inputs = Inputs()


def dataset(run: Run, split: str = "") -> DataSet:
    """The run's data set, opened once.

    Args:
        split: "train" or "val", to ask for this split only: no setting of the other is read.
    """
    opened = inputs(run).opened
    if split not in opened:
        opened[split] = open_data(run.settings, (split,) if split else ("train", "val"))
    return opened[split]


def open_data(s: Settings, splits: tuple[str, ...] = ("train", "val")) -> DataSet:
    """The data set that the settings describe, with these splits."""
    counts = {split: getattr(s, f"{split}_images") for split in splits}
    if s.dataset == "creatures":
        return Creatures(s.seed, counts.get("train", 0), counts.get("val", 0))
    chosen = {
        "limits": counts,
        "classes": s.class_names,
        "seed": s.seed,
        "longest": s.longest_side,
    }
    if s.dataset == "voc":
        lists = {split: getattr(s, f"{split}_list") for split in splits}
        return VOC(ROOT / s.data_root, lists=lists, **chosen)
    return Folder(ROOT / s.data_root, **chosen)


def of_photographs(settings: Settings) -> bool:
    """Whether the pictures are files, which can change while a run is made."""
    return settings.dataset != "creatures"


def pictures(run: Run, split: str) -> Pictures:
    """A split, "train" or "val", as training sees it: no masks.

    Raises:
        RunError: photographs or labels are not those that the run began with. They are compared
            when first asked for, and again by each stage; masks are not compared.
    """
    try:
        found = dataset(run, split).pictures(split)
    except ValueError:
        run.forget()
        raise
    if not of_photographs(run.settings) or split in inputs(run).compared:
        return found
    stage = "data" if split == "train" else "data-val"
    if run.finished(stage):
        if fingerprint(found) != from_data(run, "photographs", stage):
            what = f"the photographs or labels of {split} in {ROOT / run.settings.data_root}"
            missing = [file for file in found.images.files if not file.exists()]
            raise changed(run, what, "".join(f"\n  {file} is missing" for file in missing[:20]))
        inputs(run).compared.add(split)
    return found


def compare(run: Run, split: str) -> None:
    """Compare photographs and labels with what `data` or `data-val` saw; each stage begins so.

    Raises:
        RunError: they are not those that the run began with.
    """
    if of_photographs(run.settings):
        inputs(run).compared.discard(split)
        pictures(run, split)


def classes_of(run: Run) -> tuple[str, ...]:
    """The C classes, in order. Once `data` is made no photograph is needed to know them."""
    if not of_photographs(run.settings):
        return CLASSES
    if run.finished("data"):
        return tuple(from_data(run, "classes"))
    return pictures(run, "train").classes


def from_data(run: Run, what: str, stage: str = "data") -> Any:
    """What `data` or `data-val` remembers: an entry of its log.json.

    Raises:
        RunError: it does not remember this: an older aelib made it.
    """
    log = run.json(stage, "log.json")
    if what not in log:
        lacks = f"{run.directory / stage} says nothing of its {what}, an older aelib made it"
        raise RunError(f"{lacks}: choose another run directory")
    return log[what]


def changed(run: Run, what: str, more: str = "") -> RunError:
    """The error for an input that is not what it was when the run began."""
    cure = "bring them back, or choose another run directory"
    return RunError(f"{what} are not what {run.directory} began with: {cure}{more}")
