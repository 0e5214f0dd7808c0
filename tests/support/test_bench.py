"""benchmarks/bench.py: its comparisons on small pictures, and that a wrong result ends it. Nothing
here is timed."""

import os
from pathlib import Path

import pytest

from aelib.support.files import ROOT


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import bench

    return bench


@pytest.mark.parametrize("name", ["cam", "crf", "evaluation", "saliency"])
def test_ours_and_the_peers_agree(bench, name):
    for case in bench.CASES[name](quick=True):
        agree, words = case.compare(case.ours(), case.peer())
        assert agree, f"{case.name}: {words}"


def test_a_disagreement_ends_the_run_with_the_rows_name_before_anything_is_timed(bench):
    calls = []
    case = bench.Case("a row", lambda: calls.append(1), os.getpid, lambda a, b: (False, "far"), 1)
    with pytest.raises(SystemExit, match=r"^a row: .* do not agree: far$"):
        bench.measure(case, 5)
    assert len(calls) == 1


def test_the_ratio_is_that_of_the_medians(bench, monkeypatch):
    """Ours takes 2, 4, 99 seconds and the peer 10, 8, 1."""
    taken = iter([2, 10, 4, 8, 99, 1])
    monkeypatch.setattr(bench, "seconds", lambda call: next(taken))
    row = bench.measure(bench.Case("a row", int, int, lambda a, b: (True, "equal"), 1), 3)
    assert (row.ours, row.peer, row.ratio) == (4, 8, 2)


def test_the_tables_go_between_the_markers(bench, tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n", encoding="utf-8")
    bench.write_into(readme, "new")
    text = readme.read_text(encoding="utf-8")
    assert text == f"before\n{bench.BEGIN}\nnew\n{bench.END}\nafter\n"
