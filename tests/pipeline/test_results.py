"""results.json says what the numbers were made with: versions, machine, git, data."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY, finish

from aelib.datasets.creatures import Creatures
from aelib.pipeline import results
from aelib.pipeline.run import Run


@pytest.fixture(scope="module")
def content(tiny_runs):
    return json.loads((tiny_runs[0].directory / "results.json").read_text())


def test_versions_and_machine_are_there_without_a_name_or_a_path(content):
    assert content["versions"].keys() >= {"python", "torch", "torchvision", "numpy", "pydensecrf2"}
    assert all(value is None or value[0].isdigit() for value in content["versions"].values())
    known = {"system", "processor", "cores", "threads", "instructions", "device"}
    assert content["machine"].keys() == known
    assert content["settings"]["seed"] == content["seed"] == 0
    assert "/" not in json.dumps(content["machine"])


def test_git_state_follows_the_clone(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    assert results.git_state() is None

    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init")
    assert results.git_state() is None  # nothing committed
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "x")
    (tmp_path / "untracked").write_text("1")
    assert results.git_state() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a").write_text("2")
    assert results.git_state()["dirty"] is True


def test_the_data_hash_sees_every_bit_that_is_used(content):
    creatures = Creatures(0, 8, 8)
    pictures, truth = creatures.pictures("train"), creatures.truth("train")
    known = results.data_hash(pictures, truth)
    assert known == content["data"]["train"] != content["data"]["val"]

    def flipped(arrays):
        changed = [array.copy() for array in arrays]
        changed[7].flat[-1] ^= 1
        return changed

    labels = pictures.labels.copy()
    labels[3, 2] ^= True
    others = [
        (replace(pictures, images=flipped(pictures.images)), truth),
        (replace(pictures, labels=labels), truth),
        (replace(pictures, ids=(*pictures.ids[:-1], "other")), truth),
        (pictures, replace(truth, masks=flipped(truth.masks))),
        (pictures, replace(truth, parts=flipped(truth.parts))),
    ]
    for other in others:
        assert results.data_hash(*other) != known, other
    reordered = [np.asfortranarray(image) for image in pictures.images]
    assert results.data_hash(replace(pictures, images=reordered), truth) == known


def contents(run: Run) -> dict[str, bytes]:
    files = [file for file in run.directory.rglob("*") if file.is_file()]
    return {str(file.relative_to(run.directory)): file.read_bytes() for file in files}


def test_two_runs_of_one_seed_agree_in_every_file_but_the_times(tiny_runs, tmp_path):
    first = contents(tiny_runs[0])
    again = contents(finish(Run(tmp_path / "again", "smoke", seed=0, **TINY)))
    assert first.keys() == again.keys()
    differ = {name for name in first if first[name] != again[name]}
    # the run's own manifest holds the hash of the times
    assert differ <= {"timings.jsonl", "manifest.json"}
