"""@stage: each stage declares the settings that it reads, all of them and no other."""

import json
from typing import ClassVar

import pytest
from safetensors.torch import save_file
from tiny import PHOTOS, TINY, make_devkit, make_everything, make_folder

from aelib.models import LargeFOV
from aelib.pipeline import stages
from aelib.pipeline.run import Run
from aelib.pipeline.settings import NUMBER_FREE, Settings, make
from aelib.pipeline.stages import data

SHORT = TINY | {"classifier_epochs": 1, "network_epochs": 1}
WARM = {"start": "warm", "classification_loss": "squared", "delta_rule": "share"}
MAPS = PHOTOS | {"dataset": "folder", "saliency_maps": "maps", "test_flip": "yes"}
#: Every alternative at once.
RELATIVES = {
    **{"network_loss": "psl+sec", "confidence": "normalised", "pooling": "lse", "fill": "noise"},
    **{"prohibition": "weigh", "merge_rule": "near", "background_cue": "cam"},
}
#: Kinds of runs that between them go every way through the stages.
VARIANTS = {
    "creatures": {},
    "warm": WARM,
    "folder": MAPS,
    "voc": PHOTOS | {"dataset": "voc", "classes": "cat,dog", "start": "warm"},
    "relatives": RELATIVES,
    "pretrained": {"backbone": "mobilenet_v2", "frozen": 14, "dropout": 0.5},
}


class WatchedSettings(Settings):
    """Settings that remember, in the class, which of them were read."""

    def __getattribute__(self, name):
        if name in Settings.__dataclass_fields__:
            WatchedSettings.read.add(name)
        return super().__getattribute__(name)

    def __eq__(self, other):
        return self.to_json() == other.to_json()

    __hash__ = None
    read: ClassVar[set[str]] = set()

    def to_json(self):
        return {name: object.__getattribute__(self, name) for name in Settings.__dataclass_fields__}


@pytest.fixture(scope="module")
def settings_read(tmp_path_factory):
    """(stage, settings that making it read, those declared), over all variants.

    Each stage is made on a fresh Run.
    """
    found = []
    for kind, more in VARIANTS.items():
        folder = tmp_path_factory.mktemp("run")
        more = more | _places(folder, kind, more)
        Run(folder / "run", "smoke", **SHORT | more)
        with pytest.MonkeyPatch.context() as patch:
            _watch(patch, found)
            run = Run(folder / "run", "smoke")
            if kind == "pretrained":
                stages.mine(run, 1)
                stages.train_ceiling(run)
            else:
                make_everything(run)
            if kind in ("relatives", "voc"):
                stages.make(run, "network-AE+PSL+++")  # which no course makes
        for file in run.directory.glob("*/manifest.json"):
            _records_what_is_declared(file, run)
    return found


def _places(folder, kind, more):
    """Settings that name files, which are made."""
    if kind == "pretrained":
        tensors = LargeFOV(1, "mobilenet_v2").state_dict()
        tensors = {n: t for n, t in tensors.items() if n.startswith("features.")}
        save_file(tensors, folder / "w.safetensors")
        return {"weights": str(folder / "w.safetensors")}
    if "dataset" not in more:
        return {}
    make = make_devkit if kind == "voc" else make_folder
    make(folder / "photos")
    maps = {"saliency_maps": str(folder / "photos" / "maps")} if "saliency_maps" in more else {}
    return {"data_root": str(folder / "photos")} | maps


def _watch(patch, found):
    """Each stage, as it is entered, sees settings that remember, and a data set not yet open.

    The check of all inputs is not watched: it decides whether there is a stage, not what is in it.
    """
    call, check = stages.Stage.__call__, data.check_inputs

    def watched(stage, run, *of):
        again = Run(run.directory, "smoke")
        name = stage.name(*of)
        if not again.finished("data") and name != "data":
            stages.prepare(run)
        for read in stage.reads(again.settings, *of):
            assert again.finished(read), (name, read)  # made before, on a run of its own
        again.settings = WatchedSettings(**again.settings.to_json())
        done, outer = again.finished(name), WatchedSettings.read
        WatchedSettings.read = set()
        call(stage, again, *of)
        if not done:
            declared = {*stage.settings_read(run.settings, *of)}
            found.append((name, WatchedSettings.read, declared))
        WatchedSettings.read = outer  # a stage may ask for another one

    def unwatched(run):
        before = set(WatchedSettings.read)
        check(run)
        WatchedSettings.read = before

    patch.setattr(stages.Stage, "__call__", watched)
    patch.setattr(data, "check_inputs", unwatched)


def _records_what_is_declared(file, run):
    values = run.settings.to_json()
    maker, of = stages.find(file.parent.name)
    declared = maker.settings_read(run.settings, *of)
    content = json.loads(file.read_text())
    assert content["settings"] == {name: values[name] for name in declared}, file


def test_a_stage_reads_no_setting_that_it_does_not_declare(settings_read):
    assert len({name for name, _, _ in settings_read}) == 25
    for name, read, declared in settings_read:
        assert read - {*NUMBER_FREE} <= declared, name


def test_a_stage_declares_no_setting_that_it_never_reads(settings_read):
    by_stage = {}
    for name, read, declared in settings_read:
        unions = by_stage.setdefault(stages.find(name)[0].pattern, (set(), set()))
        unions[0].update(read)
        unions[1].update(declared)
    for pattern, (read, declared) in by_stage.items():
        # of the networks, the ceiling alone was made from a file of weights
        network = "network" in pattern or pattern == "warmup"
        assert declared - read <= ({"fc_weights"} if network else set()), pattern


def test_what_changes_no_number_is_declared_by_no_stage(settings_read):
    declared = set().union(*(declared for _, _, declared in settings_read))
    assert not declared & {*NUMBER_FREE}
    # only read between the stages, when the numbers are put together
    unread = Settings.__dataclass_fields__.keys() - declared - {*NUMBER_FREE}
    assert unread == {"profile", "erase_steps", "stop_evidence"}


@pytest.mark.parametrize("steps", [1, 3])
def test_all_names_are_in_order_and_are_what_a_course_makes(tmp_path, steps):
    run = Run(tmp_path / "run", "smoke", **SHORT | {"erase_steps": steps, "object_steps": 1})
    names = stages.all_names(run.settings)
    for i, name in enumerate(names):
        maker, of = stages.find(name)
        assert {*maker.reads(run.settings, *of)} <= {*names[:i]}, name
    assert {*stages.all_names(Run(tmp_path / "two", "smoke", **TINY).settings)} == {
        *("data", "data-val", "saliency", "refined", "warmup"),
        *(f"{kind}-{k}" for k in (1, 2) for kind in ("classifier", "regions", "pseudo-masks")),
        *(f"scores-{name}" for name in ("mined-1", "mined-2", "AE-step1", "AE-step2")),
        *(f"network-{name}" for name in ("AE-step1", "AE-step2")),
        *(f"{kind}-AE+PSL{more}" for kind in ("network", "scores") for more in ("", "++")),
        *(f"{kind}-{stages.FULL}" for kind in ("network", "scores")),
    }


def test_a_folder_without_masks_has_no_ceiling(tmp_path):
    make_folder(tmp_path / "photos", masks=False)
    more = PHOTOS | {"dataset": "folder", "data_root": str(tmp_path / "photos")}
    names = stages.all_names(Run(tmp_path / "run", "smoke", **TINY | more).settings)
    assert "network-AE+PSL" in names and not any(stages.FULL in name for name in names)


def test_without_a_warmup_no_such_stage_is_made():
    settings = make("smoke", psl_warmup=0.0)
    assert "warmup" not in stages.all_names(settings)
    maker, of = stages.find("network-AE+PSL")
    assert "warmup" not in maker.reads(settings, *of)


def test_make_makes_what_is_read_first(tmp_path):
    run = Run(tmp_path / "run", "smoke", **SHORT)
    stages.make(run, "scores-mined-1")
    there = {file.parent.name for file in run.directory.glob("*/manifest.json")}
    assert there == {"data", "data-val", "classifier-1", "regions-1", "scores-mined-1"}
    with pytest.raises(ValueError, match="no stage makes a folder 'seeds-1'"):
        stages.make(run, "seeds-1")
