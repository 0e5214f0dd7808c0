"""The command line, and what it says when the input is wrong."""

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from tiny import PHOTOS, make_folder

from aelib.__main__ import main
from aelib.course import headless
from aelib.course.commands.run import overrides
from aelib.datasets.photos import save_mask
from aelib.pipeline import stages
from aelib.pipeline.run import Run
from aelib.pipeline.settings import Settings
from aelib.support.files import ROOT


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
    assert lines[2:5] == ["    0  50.00", "    1  50.00", "    2 nowhere"]
    assert lines[5] == " mIoU  50.00 %, 1 images, list list.txt"


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
        (["-p", "delta=1.5"], "delta: 1.5 is outside"),
        (["-p", "delta"], "-p delta: give a setting as NAME VALUE, or as NAME=VALUE"),
        (["-p", "delta", "0.3", "0.4"], "give a setting as NAME VALUE"),
    ],
)
def test_run_refuses_wrong_settings_before_any_work(tmp_path, capsys, arguments, message):
    assert main(["run", "--out", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_run_refuses_a_directory_made_with_other_settings(tmp_path, capsys):
    run = Run(tmp_path / "run", "smoke", seed=3)
    stages.prepare(run)
    files = {f: f.read_bytes() for f in run.directory.rglob("*") if f.is_file()}
    asked = ["--profile", "smoke", "--out", str(tmp_path / "run"), "-p", "seed", "4"]
    assert main(["run", *asked]) == 2
    assert "seed = 3, not 4" in capsys.readouterr().err
    assert {f: f.read_bytes() for f in run.directory.rglob("*") if f.is_file()} == files


def test_settings_lists_every_setting(capsys):
    assert main(["settings"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [f.name for f in fields(Settings) if f.name != "profile"]


FORMS = ([["delta", "0.3"]], [["delta=0.3"]], [["seed=1", "delta=0.3"]])
FORMS += ([["delta", "=", "0.3"]], [["delta = 0.3"]])


@pytest.mark.parametrize("given", FORMS)
def test_a_setting_is_two_words_or_one(given):
    assert overrides(given)["delta"] == 0.3
    assert overrides([["test_scales=1,2"]]) == {"test_scales": "1,2"}


def test_paths_count_from_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    given = [["data_root", "mine"], ["saliency_maps=~/maps"], ["weights", str(ROOT / "data/w.pth")]]
    expected = {"data_root": f"{tmp_path}/mine", "saliency_maps": f"{tmp_path}/home/maps"}
    assert overrides(given) == expected | {"weights": "data/w.pth"}  # as without the command line
    assert overrides([["weights", "random"], ["saliency_maps", ""]]) == {
        "weights": "random",
        "saliency_maps": "",
    }
    monkeypatch.chdir(ROOT)
    assert overrides([["data_root=data"]]) == {"data_root": Settings.data_root}


def test_a_home_is_expanded_in_every_path(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    Run(tmp_path / "run", "smoke")
    assert main(["verify", "~/run"]) == 0
    assert main(["runs", "rm", "~/run"]) == 0
    assert not (tmp_path / "run").exists()


def test_run_says_what_is_wrong_with_data_before_a_kernel_and_takes_the_cure(
    tmp_path, monkeypatch, capsys
):
    executed = []
    monkeypatch.setattr(headless, "execute_notebooks", lambda run: executed.append(run) or {})
    words = ["run", "--profile", "smoke", "--out", str(tmp_path / "run"), "-p", "dataset", "folder"]
    words += [word for name, value in PHOTOS.items() for word in ("-p", f"{name}={value}")]
    assert main([*words, "-p", f"data_root={tmp_path / 'mine'}"]) == 2
    assert str(tmp_path / "mine") in capsys.readouterr().err
    assert executed == [] and not (tmp_path / "run").exists()
    make_folder(tmp_path / "right")
    assert main([*words, "-p", f"data_root={tmp_path / 'right'}", "-p", "workers=1"]) == 0
    assert executed[0].finished("data")


def test_output_that_cannot_be_encoded_ends_no_work(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", output)
    assert main(["runs", "rm", "猫"]) == 2
    output.flush()
    assert rb"\u732b" in output.buffer.getvalue()


@pytest.mark.parametrize("command", ["run", "publish"])
def test_an_installed_package_refuses_what_needs_the_project(tmp_path, command):
    """A copy of the package alone stands for one that pip has put somewhere."""
    shutil.copytree(ROOT / "aelib", tmp_path / "installed" / "aelib")
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "aelib", command],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "pip install -e ." in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert set((tmp_path / "installed").iterdir()) == {tmp_path / "installed" / "aelib"}


@pytest.mark.parametrize("words", [["--version"], ["settings"], ["runs"], ["verify", "nothing"]])
def test_small_commands_start_without_torch(words):
    command = [sys.executable, "-X", "importtime", "-m", "aelib", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "argparse" in done.stderr and "torch" not in done.stderr
