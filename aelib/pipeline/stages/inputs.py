"""The data set of a run, opened once; its photographs stay those that `data` saw."""

from dataclasses import dataclass, field
from typing import Any

from ...datasets.base import DataSet, Pictures, fingerprint
from ...datasets.creatures import Creatures
from ...datasets.folder import Folder
from ...datasets.voc import VOC
from ...support.files import ROOT
from ..run import Run, RunError
from ..settings import Settings

#: Settings that say which pictures there are: every stage that looks at a picture reads them.
DATA = (
    *("dataset", "data_root", "train_list", "val_list", "classes", "longest_side"),
    *("seed", "train_images", "val_images"),
)


@dataclass
class Inputs:
    """A run's open data set, and the splits that were compared with what `data` saw."""

    data: DataSet
    compared: set[str] = field(default_factory=set)


def dataset(run: Run) -> DataSet:
    """The run's data set, opened once; `reopen` reads its lists and labels anew."""
    if run.inputs is None:
        reopen(run)
    return run.inputs.data


def reopen(run: Run) -> None:
    """Open the run's data set anew: its lists or labels may have been mended."""
    run.inputs = Inputs(_open(run.settings))


def _open(s: Settings) -> DataSet:
    if s.dataset == "creatures":
        return Creatures(s.seed, s.train_images, s.val_images)
    chosen = {
        "limits": {"train": s.train_images, "val": s.val_images},
        "classes": s.class_names,
        "seed": s.seed,
        "longest": s.longest_side,
    }
    if s.dataset == "voc":
        lists = {"train": s.train_list, "val": s.val_list}
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
    found = dataset(run).pictures(split)
    if not of_photographs(run.settings) or split in run.inputs.compared:
        return found
    if run.finished("data"):
        if fingerprint(found) != from_data(run, "photographs")[split]:
            what = f"the photographs or labels of {split} in {ROOT / run.settings.data_root}"
            missing = [file for file in found.images.files if not file.exists()]
            raise changed(run, what, "".join(f"\n  {file} is missing" for file in missing[:20]))
        run.inputs.compared.add(split)
    return found


def compare(run: Run) -> None:
    """Compare photographs and labels with what `data` saw; each stage begins so.

    Raises:
        RunError: they are not those that the run began with.
    """
    if of_photographs(run.settings):
        dataset(run)
        run.inputs.compared.clear()
        for split in ("train", "val"):
            pictures(run, split)


def classes_of(run: Run) -> tuple[str, ...]:
    """The C classes, in order. Once `data` is made no photograph is needed to know them."""
    if of_photographs(run.settings) and run.finished("data"):
        return tuple(from_data(run, "classes"))
    return pictures(run, "train").classes


def from_data(run: Run, what: str) -> Any:
    """What `data` remembers: an entry of its log.json.

    Raises:
        RunError: it does not remember this: an older aelib made it.
    """
    log = run.json("data", "log.json")
    if what not in log:
        lacks = f"{run.directory / 'data'} says nothing of its {what}, an older aelib made it"
        raise RunError(f"{lacks}: choose another run directory")
    return log[what]


def changed(run: Run, what: str, more: str = "") -> RunError:
    """The error for an input that is not what it was when the run began."""
    cure = "bring them back, or choose another run directory"
    return RunError(f"{what} are not what {run.directory} began with: {cure}{more}")
