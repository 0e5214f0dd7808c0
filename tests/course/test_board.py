"""The board: what numbers score, and how often val was looked at."""

import numpy as np
import pytest

from aelib.course.exercises.board import Board
from aelib.course.exercises.scores import WORDS, Scores
from aelib.evaluation import confusion, iou
from aelib.masks import IGNORE
from aelib.pipeline import stages
from aelib.pipeline.run import Run
from aelib.psl import allowed
from aelib.support.errors import InputError

NUMBERS = {"delta": 0.3, "background_threshold": 0.2, "prohibit_threshold": 0.1}


def test_prohibition_is_scored_as_the_pipeline_does_it(tiny_run):
    pictures, truth = stages.pictures(tiny_run, "val"), stages.truth(tiny_run, "val")
    v = stages.confidences(tiny_run, pictures.images)
    f = stages.probabilities(tiny_run, stages.network(tiny_run, "AE+PSL"), pictures.images)
    matrix = np.zeros((len(pictures.classes) + 1,) * 2, np.int64)
    for mask, one, labels in zip(truth.masks, f, allowed(v, 0.4), strict=True):
        answer = (one * labels[:, None, None]).argmax(dim=0).numpy()
        matrix += confusion(mask, answer, len(matrix))
    found = Scores(tiny_run, "val")("prohibit_threshold", 0.4)
    assert found == pytest.approx(np.nanmean(iou(matrix)))


def test_the_background_is_found_or_the_score_is_zero(tiny_run):
    scores = Scores(tiny_run, "train")
    saliency = tiny_run.images("saliency", scores.ids)
    mined = stages.regions(tiny_run, tiny_run.settings.object_steps)
    for threshold in (0.05, 0.2, 0.6):
        right = called = background = 0
        for i, mask in enumerate(scores.truth.masks):
            low = (saliency[i] / 255 < threshold) & ~mined[i].any(axis=0) & (mask != IGNORE)
            right += (low & (mask == 0)).sum()
            called += low.sum()
            background += (mask == 0).sum()
        expected = right / background if called and right / called >= 0.997 else 0
        assert scores("background_threshold", threshold) == pytest.approx(expected)


def test_the_best_of_a_sweep_is_at_least_as_good_as_any(tiny_run):
    scores = Scores(tiny_run, "train")
    for name, number in NUMBERS.items():
        value, best = scores.best(name)
        assert best == scores(name, value) >= scores(name, number)


def test_only_handing_in_looks_at_val(tiny_run, capsys):
    board = Board(tiny_run)
    board.try_(**NUMBERS, bilateral_srgb=13)
    assert board.looks == 0 and "behind" not in capsys.readouterr().out
    board.hand_in(**NUMBERS)
    said = capsys.readouterr().out
    assert board.looks == 1 and said.count("points behind") == 3 and "looked at once" in said
    again = Board(Run(tiny_run.directory, "smoke"))
    again.hand_in(delta=0.3)
    assert again.looks == 2 and "looked at 2 times" in capsys.readouterr().out


@pytest.mark.parametrize(
    "numbers", [{}, {"epsilon": 0.1}, {"delta": ...}, {"delta": 3}, {"crf": 1}]
)
def test_a_mistake_costs_no_look(numbers, tiny_run):
    board = Board(tiny_run)
    with pytest.raises(InputError):
        board.hand_in(**numbers)
    assert board.looks == 0


def test_a_broken_rule_is_said_with_the_share_that_is_right(tiny_run):
    scores = Scores(tiny_run, "train")
    broken = [t for t in np.arange(1, 101) / 100 if scores("background_threshold", t) == 0]
    salient, is_background, _ = scores._unmined
    right = 100 * is_background[salient < broken[-1]].mean()
    words = scores.words("background_threshold", broken[-1]).split()
    assert words[:2] == ["rule", "broken:"] and words[-1] == "right"
    assert 0 <= right - float(words[2]) < 0.01


def test_each_number_has_words():
    assert {*NUMBERS, "crf"} == WORDS.keys()
