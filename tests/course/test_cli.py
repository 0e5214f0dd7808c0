"""The command line, and what it says when the input is wrong."""

import json
from dataclasses import fields

import numpy as np
import pytest

from aelib.__main__ import main
from aelib.datasets.photos import save_mask
from aelib.pipeline.run import Run
from aelib.pipeline.settings import Settings


def evaluate(folder, *more):
    places = {"--predictions": "predictions", "--masks": "masks", "--list": "list.txt"}
    options = [word for name, place in places.items() for word in (name, str(folder / place))]
    return main(["evaluate", *options, "--classes", "3", *more])


@pytest.fixture
def folders(tmp_path):
    """One prediction and its mask: one pixel each is right of two, class 2 is in neither."""
    pixels = {"predictions": [[0, 0, 1, 1]], "masks": [[0, 1, 1, 255]]}
    for name, labels in pixels.items():
        (tmp_path / name).mkdir()
        save_mask(tmp_path / name / "a.png", np.array(labels, np.uint8))
    (tmp_path / "list.txt").write_text("a\n")
    return tmp_path


def test_evaluate_prints_the_table_and_writes_the_numbers(folders, capsys):
    assert evaluate(folders, "--json", str(folders / "scores.json")) == 0
    scores = json.loads((folders / "scores.json").read_text())
    assert scores["per_class"] == {"0": 1 / 2, "1": 1 / 2, "2": None}
    assert scores["matrix"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["    0  50.00", "    1  50.00", "    2 nowhere"]
    assert lines[3] == " mIoU  50.00 %, 1 images, list list.txt"


def test_evaluate_refuses_what_is_wrong_with_its_message_and_status_2(folders, capsys):
    (folders / "list.txt").write_text("")
    assert evaluate(folders) == 2
    assert "no id in it" in capsys.readouterr().err


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
    file = Run(tmp_path / "run", "smoke", seed=3).directory / "settings.json"
    before = file.read_bytes()
    asked = ["--profile", "smoke", "--out", str(tmp_path / "run"), "-p", "seed", "4"]
    assert main(["run", *asked]) == 2
    assert "seed = 3, not 4" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert [f.name for f in (tmp_path / "run").glob("[!.]*")] == ["settings.json"]


def test_settings_lists_every_setting(capsys):
    assert main(["settings"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [f.name for f in fields(Settings) if f.name != "profile"]
