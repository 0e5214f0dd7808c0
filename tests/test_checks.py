"""aelib.checks: constructed failures, each found; and the same numbers in good health, not complained about."""

import json

import numpy as np
import pytest
import torch
from tiny import TINY, make_everything

from aelib import checks, results, stages
from aelib.runs import Run, RunError

CLASSES = ("hare", "stag")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_is_found_counted_and_named(bad):
    good = np.arange(12.0).reshape(3, 4)
    for values in (good, torch.from_numpy(good)):
        assert checks.finite(values, "maps") is values
    good[1, 2] = bad
    for values in (good, torch.from_numpy(good)):
        with pytest.raises(FloatingPointError, match=r"^saliency of a: 1 of 12 are NaN or infinite"):
            checks.finite(values, "saliency of a")


def test_whole_numbers_are_finite():
    for values in (np.arange(3), torch.arange(3), torch.tensor([True])):
        assert checks.finite(values, "") is values


def test_collapse():
    healthy = np.zeros((10, 20), np.uint8)
    healthy[:2, :2] = 1  # 2 % hare
    assert checks.collapse([healthy, healthy], CLASSES) == []
    [text] = checks.collapse([np.zeros((10, 20), np.uint8)] * 2, CLASSES)
    assert "answers background at 100.0%" in text
    [text] = checks.collapse([np.full((4, 4), 2)], CLASSES)
    assert "answers stag" in text


def test_a_class_never_mined():
    assert checks.never_mined(np.array([5, 1]), np.array([3, 3]), CLASSES) == []
    assert checks.never_mined(np.array([5, 0]), np.array([3, 0]), CLASSES) == []  # in no picture
    assert checks.never_mined(np.array([5, 0]), np.array([3, 4]), CLASSES) == ["nothing was mined of: stag (4 pictures)"]


def test_mostly_ignored():
    half = np.array([[0, 1], [255, 255]], np.uint8)
    assert checks.mostly_ignored([half]) == []
    nearly = np.full((10, 10), 255, np.uint8)
    nearly[0, :2] = 0, 1
    [text] = checks.mostly_ignored([nearly])
    assert text.startswith("98.0% of S is ignored")
    assert len(checks.mostly_ignored([np.full((3, 3), 255, np.uint8)])) == 2  # and no object
    assert checks.mostly_ignored([np.array([[0, 255]], np.uint8)]) == ["S holds no object pixel: a network can only learn background from it"]


def test_saliency_upside_down():
    centred = np.zeros((16, 24))
    centred[5:11, 8:16] = 1.0
    assert checks.upside_down([centred, centred]) == checks.upside_down([np.zeros((16, 24))]) == []
    [text] = checks.upside_down([1 - centred])
    assert "inverted?" in text


# --- in the stages ------------------------------------------------------------------------------------------------------------


def test_warnings_are_printed_stored_with_the_stage_and_collected_in_the_results(tmp_path, monkeypatch, capsys):
    run = Run(tmp_path / "run", "smoke", **TINY)
    monkeypatch.setattr(checks, "upside_down", lambda maps: ["upside down"])
    monkeypatch.setattr(checks, "never_mined", lambda *_: [])
    monkeypatch.setattr(checks, "collapse", lambda answers, classes: ["asleep"] if len(answers) == TINY["train_images"] else [])
    make_everything(run)
    assert "WARNING saliency: upside down\n" in capsys.readouterr().out
    assert run.json("saliency", "log.json") == {"warnings": ["upside down"]}
    content = results.results(run)
    networks = ("AE+PSL", "AE+PSL++", "AE-step1", "AE-step2", "full supervision")
    assert {f"network-{name}: asleep" for name in networks} | {"saliency: upside down"} <= set(content["warnings"])
    assert json.loads(json.dumps(content)) == content
    assert "**Warning**, saliency: upside down." in results.caption(content)


@pytest.mark.parametrize(("place", "stage"), [("saliency_all", "saliency"), ("cam", "classifier-1")])
def test_nan_in_the_maps_stops_the_stage_and_says_which(tmp_path, monkeypatch, place, stage):
    run = Run(tmp_path / "run", "smoke", **TINY)
    nan = {"saliency_all": lambda images, *_: (np.full(i.shape[:2], np.nan) for i in images), "cam": lambda model, x, *_: x[:, :1] * torch.nan}
    monkeypatch.setattr(stages, place, nan[place])
    with pytest.raises(RunError, match=f"^{stage} stopped: .*are NaN or infinite"):
        stages.find_saliency(run) if stage == "saliency" else stages.mine(run, 1)
    assert not run.finished(stage)


def test_nan_in_the_loss_stops_the_stage_and_says_where(tmp_path, monkeypatch):
    run = Run(tmp_path / "run", "smoke", **TINY)
    monkeypatch.setattr(stages, "classification_loss", lambda logits, *_: logits.sum() * torch.nan)
    with pytest.raises(RunError, match=r"^classifier-1 stopped: the training loss became nan in epoch 1 of 2, step 1"):
        stages.mine(run, 1)
