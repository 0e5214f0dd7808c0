"""results.json says what the numbers were made with: versions, machine, git, data."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from aelib import data, results


@pytest.fixture(scope="module")
def content(tiny_runs):
    return json.loads((tiny_runs[0].directory / "results.json").read_text())


def test_versions_and_machine_are_there_without_a_name_or_a_path(content):
    assert content["versions"].keys() >= {"python", "torch", "torchvision", "numpy", "pydensecrf2"}
    assert all(value is None or value[0].isdigit() for value in content["versions"].values())
    assert content["machine"].keys() == {"system", "processor", "cores", "threads", "instructions", "device"}
    assert content["settings"]["seed"] == content["seed"] == 0
    assert "/" not in json.dumps(content["machine"])


def test_git_state_follows_the_clone(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    assert results.git_state() is None

    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
        return subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True, text=True).stdout.strip()

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
    pictures, truth = data.creature_pictures(0, "train", 8), data.creature_truth(0, "train", 8)
    known = results.data_hash(pictures, truth)
    assert known == content["data"]["train"] != content["data"]["val"]
    for part, values in (("images", pictures.images), ("masks", truth.masks), ("parts", truth.parts)):
        changed = [v.copy() for v in values]
        changed[7].flat[-1] ^= 1
        other = (replace(pictures, images=changed), truth) if part == "images" else (pictures, replace(truth, **{part: changed}))
        assert results.data_hash(*other) != known, part
    labels = pictures.labels.copy()
    labels[3, 2] ^= True
    assert results.data_hash(replace(pictures, labels=labels), truth) != known
    assert results.data_hash(replace(pictures, ids=(*pictures.ids[:-1], "other")), truth) != known
    assert results.data_hash(replace(pictures, images=[np.asfortranarray(i) for i in pictures.images]), truth) == known


def test_two_runs_of_one_seed_agree_in_every_file_but_the_times(tiny_runs, tmp_path):
    from tiny import TINY, finish

    from aelib.runs import Run

    again = finish(Run(tmp_path / "again", "smoke", seed=0, **TINY))
    files = {f.relative_to(tiny_runs[0].directory) for f in tiny_runs[0].directory.rglob("*") if f.is_file()}
    assert files == {f.relative_to(again.directory) for f in again.directory.rglob("*") if f.is_file()}
    differ = {str(f) for f in files if (tiny_runs[0].directory / f).read_bytes() != (again.directory / f).read_bytes()}
    assert differ <= {"timings.jsonl", "manifest.json"}  # the run's own manifest holds the hash of the times
