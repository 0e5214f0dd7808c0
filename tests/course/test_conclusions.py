"""aelib.course.conclusions: sentences that say what their numbers say, and no more."""

import pytest

from aelib.course import conclusions


def line(cell, difference, low=None, high=None, **more):
    known = {"cell": cell, "measure": "mIoU", "crf": True, "prohibited": True, "mean": 0.7}
    paired = {"against": "AE", "pairs": 3, "difference": difference, "low": low, "high": high}
    return known | paired | more


@pytest.mark.parametrize(
    ("difference", "low", "high", "words"),
    [
        (0.012, 0.003, 0.021, "1.2 points more (from +0.3 to +2.1)"),
        (-0.012, -0.021, -0.003, "1.2 points less (from -2.1 to -0.3)"),
        (0.012, -0.003, 0.027, "no difference seen (+1.2, from -0.3 to +2.7)"),
        (0.012, None, None, "1.2 points more (of one seed: no interval)"),
    ],
)
def test_an_interval_that_holds_zero_shows_no_difference(difference, low, high, words):
    assert conclusions.compared(line("PSL", difference, low, high)) == words


def test_a_sentence_a_cell_with_the_crf_first():
    lines = [
        line("AE", None, against=None),
        line("PSL", 0.02, 0.01, 0.03),
        line("PSL", 0.04, 0.03, 0.05, crf=False),
        line("PSL", 0.5, prohibited=False),
    ]
    assert conclusions.sentences(lines) == (
        "PSL against AE, with CRF (70.0 %): 2.0 points more (from +1.0 to +3.0); "
        "without CRF: 4.0 points more (from +3.0 to +5.0); 3 seeds."
    )
    assert conclusions.sentences([]) == ""


def test_gains_stand_beside_the_papers_with_crf():
    rows = [
        {"method": "AE-step3", "crf": True, "miou": 0.50},
        {"method": "AE+PSL", "crf": True, "miou": 0.51},
        {"method": "AE+PSL", "crf": False, "miou": 0.60},
    ]
    expected = "AE+PSL over AE-step3, with CRF: +1.0 here, +3.2 in the paper"
    assert conclusions.beside_the_paper(rows) == expected


def test_the_stop_rule_is_set_against_the_best_step():
    evidence = [{"measure": "evidence", "seed": 0, "value": v} for v in (0.9, 0.6, 0.3)]
    scores = [
        {"measure": "mIoU", "seed": 0, "crf": True, "prohibited": False, "value": value}
        | {"cell": f"{k} steps"}
        for k, value in ((1, 0.5), (2, 0.6), (3, 0.7))
    ]
    content = {"rows": [*evidence, *scores], "settings": {"stop_evidence": 0.5}}
    said = "seed 0: the stop rule keeps 2 steps: with CRF 60.0 %, the best, 3, 70.0 %"
    assert conclusions.stop_rule(content) == said


def test_training_pictures_choose_the_temperature():
    lines = []
    for t, miou, leak in ((1, 0.83, 0.05), (2, 0.86, 0.03), (3, 0.85, 0.04)):
        cell = f"AE-step3, training, T {t}"
        lines.append(line(cell, None, mean=miou, prohibited=False))
        lines += [line(cell, None, mean=leak, measure=m, crf=None) for m in ("leak", "missed")]
    said = conclusions.temperatures({"summary": lines}).splitlines()
    assert said[0] == "AE-step3, by masks: T 2 (T 1: 83.00, T 2: 86.00, T 3: 85.00; %)"
    assert said[1].startswith("AE-step3, by leak: T 2 ")


def test_a_study_that_is_not_shipped_says_how_it_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(conclusions, "SHIPPED", tmp_path)
    assert conclusions.load("question")["summary"] == []
    assert "python -m aelib study question" in capsys.readouterr().out
    with pytest.raises(ValueError, match="unknown"):
        conclusions.load("questions?")
