"""@stage: each stage declares the settings that it reads, all of them and no other."""

from typing import ClassVar

import pytest
from safetensors.torch import save_file
from tiny import PHOTOS, TINY, make_everything, make_folder

from aelib.models import LargeFOV
from aelib.pipeline import stages
from aelib.pipeline.run import Run
from aelib.pipeline.settings import Settings

SHORT = {"classifier_epochs": 1, "network_epochs": 1}


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


VARIANTS = {
    "creatures": {"start": "warm", "classification_loss": "squared"},
    "photographs": PHOTOS | {"dataset": "folder", "test_flip": "yes", "saliency_maps": "maps"},
}


@pytest.fixture(scope="module")
def settings_read(tmp_path_factory):
    """stage -> settings that making it read, over all variants; each stage on a fresh Run."""
    found = {}
    for kind, more in VARIANTS.items():
        folder = tmp_path_factory.mktemp(kind)
        if "dataset" in more:
            make_folder(folder / "photos")
            more = more | {"data_root": str(folder / "photos")}
        if "saliency_maps" in more:
            more = more | {"saliency_maps": str(folder / "photos" / "maps")}
        Run(folder / "run", "smoke", **TINY | SHORT | more)
        with pytest.MonkeyPatch.context() as patch:
            _watch(patch, found)
            make_everything(Run(folder / "run", "smoke"))
            if kind == "creatures":
                stages.prepare(Run(folder / "weights", "smoke", **TINY | _weights(folder)))
    return found


def _weights(folder):
    """Settings of a run that starts from a file of weights."""
    model = LargeFOV(1, "mobilenet_v2")
    tensors = {n: t for n, t in model.state_dict().items() if n.startswith("features.")}
    save_file(tensors, folder / "w.safetensors")
    return {"backbone": "mobilenet_v2", "weights": str(folder / "w.safetensors")}


def _watch(patch, found):
    """Each stage, as it is entered, sees settings that remember, and a data set not yet open."""
    call = stages.Stage.__call__

    def watched(stage, run, *of):
        again = Run(run.directory, "smoke")
        name = stage.name(*of)
        for read in stage.reads(again.settings, *of):
            assert again.finished(read), (name, read)  # made before, on a run of its own
        again.settings = WatchedSettings(**again.settings.to_json())
        done, outer = again.finished(name), WatchedSettings.read
        WatchedSettings.read = set()
        call(stage, again, *of)
        if not done:
            found.setdefault(name, set()).update(WatchedSettings.read)
        WatchedSettings.read = outer  # a stage may ask for another one

    patch.setattr(stages.Stage, "__call__", watched)


def test_a_stage_reads_no_setting_that_it_does_not_declare(settings_read):
    assert len(settings_read) == 19
    for name, read in settings_read.items():
        assert read <= set(stages.find(name)[0].settings), name


def test_a_stage_declares_no_setting_that_it_never_reads(settings_read):
    by_stage = {}
    for name, read in settings_read.items():
        by_stage.setdefault(stages.find(name)[0], set()).update(read)
    elsewhere = {"train_list", "val_list", "fc_weights"}  # VOC's; with a file of weights
    for stage, read in by_stage.items():
        assert set(stage.settings) - read <= elsewhere, stage.pattern
