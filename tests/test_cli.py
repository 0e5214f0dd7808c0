"""The command line, and what it says when the input is wrong."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.classification import MulticlassJaccardIndex

from aelib.__main__ import main
from aelib.runs import save_mask


@pytest.fixture
def folders(tmp_path):
    """Six random predictions and masks of differing sizes, with void, and their list."""
    rng = np.random.default_rng(0)
    for name in ("predictions", "masks"):
        (tmp_path / name).mkdir()
    ids = [f"2007_{i:06d}" for i in range(6)]
    for i, name in enumerate(ids):
        truth = rng.integers(0, 5, (20 + i, 30))
        truth[rng.random(truth.shape) < 0.1] = 255
        save_mask(tmp_path / "masks" / f"{name}.png", truth.astype(np.uint8))
        guess = np.where(rng.random(truth.shape) < 0.5, truth % 5, rng.integers(0, 5, truth.shape))
        save_mask(tmp_path / "predictions" / f"{name}.png", guess.astype(np.uint8))
    (tmp_path / "list.txt").write_text("\n".join(ids) + "\n")
    return tmp_path


def evaluate(folder, *more):
    paths = ["--predictions", str(folder / "predictions"), "--masks", str(folder / "masks"), "--list", str(folder / "list.txt")]
    return main(["evaluate", *paths, "--classes", "5", *more])


def test_evaluate_agrees_with_torchmetrics(folders, capsys):
    assert evaluate(folders, "--json", str(folders / "scores.json")) == 0
    scores = json.loads((folders / "scores.json").read_text())
    oracle = MulticlassJaccardIndex(5, ignore_index=255, average=None)
    for name in (folders / "list.txt").read_text().split():
        guess, truth = (torch.from_numpy(np.array(Image.open(folders / kind / f"{name}.png"))) for kind in ("predictions", "masks"))
        oracle.update(guess.flatten(), truth.flatten())
    np.testing.assert_allclose(list(scores["per_class"].values()), oracle.compute().numpy(), rtol=1e-6)
    assert scores["miou"] == pytest.approx(oracle.compute().mean().item())
    assert f"{100 * scores['miou']:.2f} %, 6 images" in capsys.readouterr().out


def test_evaluate_names_all_wrong_files_at_once(folders, capsys):
    predictions = sorted((folders / "predictions").iterdir())
    predictions[0].unlink()
    predictions[1].write_bytes(predictions[1].read_bytes()[:60])
    Image.new("RGB", (30, 22)).save(predictions[2])
    save_mask(predictions[3], np.full((23, 30), 7, np.uint8))
    save_mask(predictions[4], np.zeros((2, 2), np.uint8))
    assert evaluate(folders) == 2
    error = capsys.readouterr().err
    assert "5 of the files" in error
    for file, what in zip(predictions, ("missing", "cannot be read", "mode RGB", "labels 7..7", "disagree"), strict=False):
        assert any(file.stem in line and what in line for line in error.splitlines()), (file, what)


@pytest.mark.parametrize(("text", "message"), [("", "no id in it"), ("a\na\n", "listed 2 times"), ("../masks/a\n", "no plain id")])
def test_evaluate_refuses_a_bad_list(folders, capsys, text, message):
    (folders / "list.txt").write_text(text)
    assert evaluate(folders) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "clasroom"], "did you mean 'classroom'"),
        (["-p", "detla", "0.4"], "did you mean 'delta'"),
        (["-p", "delta", "1.5"], "delta: 1.5 is outside"),
        (["-p", "classifier_epochs", "two"], "'two' is no int"),
    ],
)
def test_run_refuses_wrong_settings_before_any_work(tmp_path, capsys, arguments, message):
    assert main(["run", "--out", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_run_refuses_a_directory_made_with_other_settings(tmp_path, capsys):
    from aelib.runs import Run

    before = Run(tmp_path / "run", "smoke", seed=3).directory.joinpath("settings.json").read_bytes()
    assert main(["run", "--profile", "smoke", "--out", str(tmp_path / "run"), "-p", "seed", "4"]) == 2
    assert "seed = 3, not 4" in capsys.readouterr().err
    assert (tmp_path / "run" / "settings.json").read_bytes() == before
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["settings.json"]


def test_settings_lists_every_setting(capsys):
    from dataclasses import fields

    from aelib.settings import Settings

    assert main(["settings"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [f.name for f in fields(Settings) if f.name != "profile"]
