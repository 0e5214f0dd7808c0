"""Studies computed by Dask workers: shared once, gone on with, a failed cell, a killed worker."""

import csv
import json
import os
import re
import signal
import threading
import time
from collections import Counter

import numpy as np
import pytest
from tiny import TINY

from aelib.pipeline import stages
from aelib.pipeline.run import opened
from aelib.pipeline.studies.cells import rows_of
from aelib.pipeline.studies.cluster import connected
from aelib.pipeline.studies.grids import PSL, Cell, Study
from aelib.pipeline.studies.study import run_study

#: As TINY, but something is mined.
LIVELY = TINY | {"train_images": 12, "classifier_epochs": 1}
AE = "scores-AE-step2"
BAD = Cell("bad", AE, {"saliency_maps": "no-such-folder"})
CELLS = (
    Cell("default"),
    Cell("AE", AE),
    Cell("coverage", "coverage-2"),
    Cell("entropy", "entropy-AE+PSL"),
    Cell("training", "scores-train-AE-step2"),
    Cell("late", PSL, {"prohibit_threshold": 0.9}),
    Cell("background", AE, {"background_threshold": 0.3}, "AE"),
    Cell("true background", AE, {"saliency_maps": "true-background"}, "AE"),
)


@pytest.fixture(scope="module")
def client():
    with connected(workers=2) as client:
        yield client


def computed(client, folder, cells):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AELIB_RUNS", str(folder))
        address = client.scheduler.address
        study = Study("small", "what for?", tuple(cells))
        return run_study(study, "smoke", [0], address, **LIVELY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def content(client, folder):
    return computed(client, folder, (*CELLS, BAD))


def made(folder):
    """How often each stage was made, not shared, over all runs."""
    files = folder.rglob("timings.jsonl")
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return Counter(line["name"] for line in lines if "shared" not in line)


def test_stages_that_cells_share_are_made_once(content, folder):
    counts = made(folder)
    for name in ("data", "classifier-1", "regions-2", "network-AE+PSL", "coverage-2"):
        assert counts[name] == 1, name
    assert counts["network-AE-step2"] == 3 and counts[PSL] == 2


def test_a_failed_cell_is_told_and_loses_no_other(content):
    assert [(one["cell"], one["seed"]) for one in content["failed"]] == [("bad", 0)]
    assert "no-such-folder" in content["failed"][0]["message"]
    assert {row["cell"] for row in content["rows"]} == {cell.label for cell in CELLS}


def test_files_hold_settings_versions_and_every_number(content, folder):
    written = json.loads((folder / "studies" / "small-smoke.json").read_text())
    assert written == json.loads(json.dumps(content))
    assert written["versions"]["torch"] and written["machine"]["cores"]
    assert written["settings"]["train_images"] == LIVELY["train_images"]
    with open(folder / "studies" / "small-smoke.csv") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["value"]) for line in lines] == [row["value"] for row in content["rows"]]
    assert {line["background_threshold"] for line in lines} == {"0.4", "0.3"}


def test_a_cluster_leaves_this_process_as_it_was(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with connected(workers=1) as client:
        assert client.submit(os.environ.get, "OMP_NUM_THREADS").result() == "1"
    assert dict(os.environ) == before


def test_a_second_call_makes_nothing_again(content, client, folder):
    before = made(folder)
    assert computed(client, folder, CELLS)["rows"] == content["rows"]
    assert made(folder) == before


def test_measures_beside_the_scores_are_those_of_a_loop(content, folder):
    run = opened(next((folder / "studies").glob("smoke-seed0,*/coverage-2")).parent)
    values = {row["measure"]: row["value"] for row in content["rows"] if row["crf"] is None}
    masks = stages.truth(run, "train").masks
    found = run.images("pseudo-masks-2", stages.pictures(run, "train").ids)
    objects, hit = 0, 0
    for mask, s in zip(masks, found, strict=True):
        for true, label in zip(mask.ravel().tolist(), s.ravel().tolist(), strict=True):
            objects += 0 < true < 255
            hit += 0 < true < 255 and true == label
    assert values["coverage"] == pytest.approx(hit / objects)
    f = stages.probabilities(run, stages.network(run, "AE+PSL"), stages.pictures(run, "val").images)
    entropies = [-(p * np.log(np.clip(p, 1e-30, 1))).sum(axis=0).mean() for p in map(np.array, f)]
    assert values["entropy"] == pytest.approx(np.mean(entropies), rel=1e-4)
    folders = [*(folder / "studies").glob("*true-background/pseudo-masks-2")]
    s_true = opened(folders[0].parent).images("pseudo-masks-2", stages.pictures(run, "train").ids)
    for mask, s in zip(masks, s_true, strict=True):
        assert (s[mask == 0] == 0).sum() == ((s == 0) & (mask != 255)).sum()


def test_a_killed_worker_is_replaced_and_its_cell_tried_again(client, tmp_path, content):
    """Killed while it makes a stage of the base run, on which all others wait."""
    killed = []
    watcher = threading.Thread(target=_kill_a_maker, args=(tmp_path, killed), daemon=True)
    watcher.start()
    again = computed(client, tmp_path, CELLS[:2])
    watcher.join(timeout=10)
    assert len(killed) == 1 and killed[0] != os.getpid()
    assert again["failed"] == []
    labels = [cell.label for cell in CELLS[:2]]
    assert again["rows"] == [row for row in content["rows"] if row["cell"] in labels]


def _kill_a_maker(folder, killed, patience=120):
    """SIGKILL the first process that makes a network, as its run's lock names it."""
    end = time.monotonic() + patience
    while time.monotonic() < end and not killed:
        for partial in folder.glob("studies/*/network-*.partial"):
            text = (partial.parent / ".stage.lock").read_text(errors="replace")
            holder = re.search(r"process (\d+)", text)
            if holder:
                os.kill(int(holder[1]), signal.SIGKILL)
                killed.append(int(holder[1]))
                return
        time.sleep(0.005)


def test_rows_are_read_from_what_a_run_has(tiny_run):
    rows = rows_of(tiny_run, Cell("mine", AE))
    conditions = [(row["crf"], row["prohibited"]) for row in rows]
    assert conditions == [(False, False), (True, False), (False, True), (True, True)]
    matrix = np.array(tiny_run.json(AE, "scores.json")["all+crf"])
    shares = []
    for c in range(len(matrix)):
        union = matrix[c].sum() + matrix[:, c].sum() - matrix[c, c]
        shares += [matrix[c, c] / union] if union else []
    assert rows[1]["value"] == pytest.approx(np.mean(shares))
