"""aelib.pipeline.bootstrap against scipy's bootstrap, and where classes are missing."""

import numpy as np
import pytest
from scipy import stats

from aelib.evaluation import confusion, iou
from aelib.pipeline.bootstrap import intervals
from aelib.pipeline.results import results
from aelib.pipeline.table import class_table


def split(pictures: int, labels: int, rng: np.random.Generator) -> np.ndarray:
    """Matrices of pictures of very different sizes, with void."""
    matrices = []
    for _ in range(pictures):
        truth = rng.choice([*range(labels), 255], rng.integers(20, 400))
        right = rng.random(len(truth)) < rng.random()
        guess = np.where(right & (truth < labels), truth, rng.integers(0, labels, len(truth)))
        matrices.append(confusion(truth, guess, labels))
    return np.array(matrices, np.int32)


def test_intervals_are_scipys():
    matrices = split(25, 4, np.random.default_rng(0))
    found = intervals(matrices, draws=200, level=0.9, seed=7)

    def scores(pictures):
        values = iou(sum(matrices[i].astype(int) for i in pictures))
        return [*values, np.mean(values)]

    for c in range(5):
        theirs = stats.bootstrap(
            (np.arange(25),),
            lambda pictures, c=c: scores(pictures)[c],
            vectorized=False,
            n_resamples=200,
            confidence_level=0.9,
            method="percentile",
            rng=np.random.default_rng(7),
        )
        assert found[c] == pytest.approx([*theirs.confidence_interval], abs=1e-12)


def test_equal_pictures_leave_no_doubt_and_a_class_that_is_nowhere_has_no_interval():
    matrices = np.repeat([[[6, 2, 0], [0, 4, 0], [0, 0, 0]]], 9, axis=0)
    values = [6 / 8, 4 / 6]
    wanted = [*values, np.nan, np.mean(values)]
    np.testing.assert_allclose(intervals(matrices), np.transpose([wanted, wanted]))


def test_a_class_that_some_draws_lack_counts_where_it_is():
    matrices = np.zeros((3, 2, 2), np.int32)
    matrices[:, 0, 0] = 5
    matrices[0, 1] = [1, 3]  # only this picture has class 1
    low, high = intervals(matrices)[1]
    assert low == high == pytest.approx(3 / 4)


def test_results_hold_intervals_of_what_was_summed_up(tiny_runs):
    run = tiny_runs[0]
    for row in results(run)["rows"]:
        if row["kind"] == "mined regions" or row["method"] == "AE":
            continue
        key = ("prohibited" if row["prohibited"] else "all") + ("+crf" if row["crf"] else "")
        stored = run.tensors(f"scores-{row['method']}", "confusions.safetensors")[key].numpy()
        assert run.json(f"scores-{row['method']}", "scores.json")[key] == stored.sum(0).tolist()
        assert row["interval"]["miou"] == pytest.approx(intervals(stored)[-1])
        assert row["interval"]["per_class"].keys() == row["per_class"].keys()


def test_the_table_of_classes_holds_each_networks_numbers():
    rows = []
    for method, crf, value in (("AE", True, 0.1), ("AE+PSL", False, 0.2), ("AE+PSL", True, 0.5)):
        interval = {"miou": [0.4, 0.6], "per_class": {"background": [0.3, 0.7], "cat": None}}
        classes = {"background": value, "cat": 0.25}
        rows += [{"method": method, "crf": crf, "split": "val", "miou": value}]
        rows[-1] |= {"per_class": classes, "interval": interval}
    rows.append(rows[-1] | {"method": "of an older run", "interval": None})
    assert class_table({"rows": rows}).splitlines() == [
        "| IoU, % | AE+PSL | of an older run |",
        "|---|---:|---:|",
        "| background | 50.0 (30.0 to 70.0) | 50.0 |",
        "| cat | 25.0 | 25.0 |",
        "| mean | 50.0 (40.0 to 60.0) | 50.0 |",
    ]
