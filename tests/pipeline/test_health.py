"""aelib.pipeline.health: constructed failures, each found, and no complaint about good numbers."""

import json

import numpy as np
import pytest
import torch
from tiny import TINY, make_everything

from aelib.pipeline import health, stages
from aelib.pipeline.results import results
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.stages import mining, pseudo_masks
from aelib.pipeline.table import caption

CLASSES = ("hare", "stag")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_is_found_counted_and_named(bad):
    good = np.arange(12.0).reshape(3, 4)
    for values in (good, torch.from_numpy(good)):
        assert health.finite(values, "maps") is values
    good[1, 2] = bad
    for values in (good, torch.from_numpy(good)):
        message = r"^saliency of a: 1 of 12 are NaN or infinite"
        with pytest.raises(FloatingPointError, match=message):
            health.finite(values, "saliency of a")


def test_whole_numbers_are_finite():
    for values in (np.arange(3), torch.arange(3), torch.tensor([True])):
        assert health.finite(values, "") is values


def test_collapse():
    healthy = np.zeros((10, 20), np.uint8)
    healthy[:2, :2] = 1  # 2 % hare
    assert health.collapse([healthy, healthy], CLASSES) == []
    [text] = health.collapse([np.zeros((10, 20), np.uint8)] * 2, CLASSES)
    assert "answers background at 100.0%" in text
    [text] = health.collapse([np.full((4, 4), 2)], CLASSES)
    assert "answers stag" in text


def test_a_class_never_mined():
    assert health.never_mined(np.array([5, 1]), np.array([3, 3]), CLASSES) == []
    assert health.never_mined(np.array([5, 0]), np.array([3, 0]), CLASSES) == []  # in no picture
    [text] = health.never_mined(np.array([5, 0]), np.array([3, 4]), CLASSES)
    assert text == "nothing was mined of: stag (4 pictures)"


def test_mostly_ignored():
    half = np.array([[0, 1], [255, 255]], np.uint8)
    assert health.mostly_ignored([half]) == []
    nearly = np.full((10, 10), 255, np.uint8)
    nearly[0, :2] = 0, 1
    [text] = health.mostly_ignored([nearly])
    assert text.startswith("98.0% of S is ignored")
    assert len(health.mostly_ignored([np.full((3, 3), 255, np.uint8)])) == 2  # and no object
    [text] = health.mostly_ignored([np.array([[0, 255]], np.uint8)])
    assert text == "S holds no object pixel: a network can only learn background from it"


def test_saliency_upside_down():
    centred = np.zeros((16, 24))
    centred[5:11, 8:16] = 1.0
    assert health.upside_down([centred, centred]) == health.upside_down([np.zeros((16, 24))]) == []
    [text] = health.upside_down([1 - centred])
    assert "inverted?" in text


# --- in the stages --------------------------------------------------------------------------------


def test_warnings_are_printed_stored_with_the_stage_and_collected_in_the_results(
    tmp_path, monkeypatch, capsys
):
    def collapse(answers, classes):
        return ["asleep"] if len(answers) == TINY["train_images"] else []

    run = Run(tmp_path / "run", "smoke", **TINY)
    monkeypatch.setattr(health, "upside_down", lambda maps: ["upside down"])
    monkeypatch.setattr(health, "never_mined", lambda *_: [])
    monkeypatch.setattr(health, "collapse", collapse)
    make_everything(run)
    assert "WARNING saliency: upside down\n" in capsys.readouterr().out
    assert run.json("saliency", "log.json") == {"warnings": ["upside down"]}
    content = results(run)
    networks = ("AE+PSL", "AE+PSL++", "AE-step1", "AE-step2", "full supervision")
    assert {f"network-{name}: asleep" for name in networks} <= {*content["warnings"]}
    assert "saliency: upside down" in content["warnings"]
    assert json.loads(json.dumps(content)) == content
    assert "**Warning**, saliency: upside down." in caption(content)


def test_nan_in_the_saliency_stops_the_stage_and_says_which(tmp_path, monkeypatch):
    run = Run(tmp_path / "run", "smoke", **TINY)

    def nan(image, *_, **__):
        return np.full(image.shape[:2], np.nan)

    monkeypatch.setattr(pseudo_masks, "robust_background", nan)
    with pytest.raises(RunError, match=r"^saliency stopped: .*are NaN or infinite"):
        stages.find_saliency(run)
    assert not run.finished("saliency")


def test_nan_in_the_cams_stops_the_stage_and_says_which(tmp_path, monkeypatch):
    run = Run(tmp_path / "run", "smoke", **TINY)
    monkeypatch.setattr(mining, "cam", lambda model, x, *_: x[:, :1] * torch.nan)
    with pytest.raises(RunError, match=r"^regions-1 stopped: .*are NaN or infinite"):
        stages.mine(run, 1)
    assert not run.finished("regions-1")


def test_nan_in_the_loss_stops_the_stage_and_says_where(tmp_path, monkeypatch):
    run = Run(tmp_path / "run", "smoke", **TINY)
    monkeypatch.setattr(mining, "classification_loss", lambda logits, *_: logits.sum() * torch.nan)
    where = "the training loss became nan in epoch 1 of 2, step 1"
    with pytest.raises(RunError, match=rf"^classifier-1 stopped: {where}"):
        stages.mine(run, 1)
