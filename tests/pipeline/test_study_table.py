"""Studies before and after the computing: the grids, the plan, the table."""

import csv
import io
from collections import Counter

import pytest
from tiny import TINY

from aelib.pipeline import stages
from aelib.pipeline.settings import make
from aelib.pipeline.studies.grids import PSL, STUDIES, Cell, Study
from aelib.pipeline.studies.plan import closure, jobs_of, missing
from aelib.pipeline.studies.study import find, run_study
from aelib.pipeline.studies.table import interval, summary, tidy

AE = "scores-AE-step2"
THIRDS = [0.70, 0.72, 0.77]


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_cell_of_every_study_has_valid_settings_a_stage_and_a_partner(study):
    labels = [cell.label for cell in study.cells]
    assert len({*labels}) == len(labels)
    for cell in study.cells:
        settings = make("study", **cell.changes)
        assert closure(settings, cell.stage)[-1] == cell.stage
        assert not cell.against or cell.against in labels


def test_the_reduced_study_trains_nothing_that_a_whole_run_has_not():
    for cell in STUDIES["reduced"].cells:
        trained = {name for name in closure(make("study"), cell.stage) if "scores" not in name}
        assert trained <= {*stages.all_names(make("study"))}
        changed = make("study", **cell.changes)
        other = [name for name in trained if _own(changed, name) != _own(make("study"), name)]
        assert other == []


def _own(settings, name):
    return [getattr(settings, setting) for setting in stages.find(name)[0].settings]


def jobs(folder, cells, seeds=(0,)):
    return jobs_of(cells, "smoke", seeds, folder, **TINY)


def test_a_job_is_a_run_and_the_base_makes_what_others_share(tmp_path):
    cells = [
        Cell("default"),
        Cell("same", PSL, {"object_steps": 2}),
        Cell("warm", PSL, {"psl_warmup": 0.0}),
        Cell("bg", AE, {"background_threshold": 0.3}),
        Cell("bg, PSL", PSL, {"background_threshold": 0.3, "psl_warmup": 0.0}),
    ]
    found = jobs(tmp_path, cells, (0, 1))
    by_labels = {tuple(cell.label for cell in job.cells): job for job in found[:4]}
    assert list(by_labels) == [("default", "same"), ("warm",), ("bg",), ("bg, PSL",)]
    assert len({job.directory for job in found}) == 8
    base, *others = by_labels.values()
    assert base.directory == base.base and base.after == ()
    assert {"regions-2", "pseudo-masks-2"} <= {*base.stages}
    assert all(base.directory in job.after for job in others)
    # S of another threshold is what two of them need: the second waits for the first
    assert others[1].directory in others[2].after and others[1].directory not in others[0].after
    todo = missing(found[:4])
    made = Counter(name for names in todo.values() for name in names)
    once = {"classifier-1", "classifier-2", "saliency", "network-AE-step2"}
    assert {made[name] for name in once} == {1}
    assert made["pseudo-masks-2"] == 2 and made["network-AE+PSL"] == 3


def test_what_is_wrong_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match="did you mean 'question'"):
        find("qestion")
    for seeds in ([], [0, 0]):
        with pytest.raises(ValueError, match="--seeds"):
            run_study(STUDIES["question"], "smoke", seeds)
    with pytest.raises(ValueError, match="did you mean 'delta'"):
        run_study(STUDIES["question"], "smoke", [0], detla=0.3)
    with pytest.raises(ValueError, match="object_steps"):
        run_study(STUDIES["when"], "smoke", [0], erase_steps=2, object_steps=2)
    assert list(tmp_path.iterdir()) == []


def rows(label, values, stage=PSL):
    head = {"cell": label, "stage": stage, "measure": "mIoU", "crf": True, "prohibited": False}
    return [head | {"seed": seed, "value": value} for seed, value in values.items()]


def test_the_interval_is_the_t_interval():
    mean, n = sum(THIRDS) / 3, 3
    spread = (sum((x - mean) ** 2 for x in THIRDS) / (n - 1)) ** 0.5
    half = 4.302652729911275 * spread / n**0.5  # t of 2 degrees of freedom, 97.5 %
    assert interval(THIRDS) == pytest.approx((mean - half, mean + half))
    assert interval([0.5]) == (None, None)
    assert interval([0.25, 0.25]) == (0.25, 0.25)


def test_the_summary_pairs_by_seed():
    study = Study("s", "?", (Cell("default"), Cell("other"), Cell("third", against="other")))
    default, other = dict(enumerate(THIRDS)), {0: 0.75, 2: 0.80}
    lines = summary(rows("other", other) + rows("default", default), study)
    assert [line["cell"] for line in lines] == ["default", "other"]
    assert lines[0]["n"] == 3 and lines[0]["difference"] is None and lines[0]["against"] is None
    second = lines[1]
    assert (second["n"], second["pairs"], second["against"]) == (2, 2, "default")
    assert second["difference"] == pytest.approx((0.05 + 0.03) / 2)
    assert second["std"] == pytest.approx(0.05 / 2**0.5)
    assert second["low"] < 0.03 and second["high"] > 0.05


def test_the_csv_has_a_number_a_line_with_the_settings_that_change():
    study = Study("s", "?", (Cell("default"), Cell("low", PSL, {"delta": 0.1})))
    text = tidy(rows("default", {0: 0.5}) + rows("low", {0: 0.25}), study, {"delta": 0.2})
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["cell"], first["delta"], first["value"]) == ("default", "0.2", "0.5")
    assert (second["delta"], second["crf"], second["seed"]) == ("0.1", "True", "0")
