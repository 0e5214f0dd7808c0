"""The same results in the same order, however many processes work."""

import operator
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from aelib.support.parallel import in_order


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_order(workers):
    assert list(in_order(divmod, ((i, 3) for i in range(20)), workers)) == [
        divmod(i, 3) for i in range(20)
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_jobs_are_made_as_they_are_needed(workers):
    asked = []

    def jobs():
        for i in range(40):
            asked.append(i)
            yield i, 1

    results = in_order(operator.add, jobs(), workers)
    assert next(results) == 1
    assert len(asked) <= 4 * workers + 1
    results.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_from_any_process(workers):
    with pytest.raises(ZeroDivisionError):
        list(in_order(operator.truediv, [(1, 1), (1, 0)], workers))


def test_workers_have_a_thread_each_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    jobs = [("OMP_NUM_THREADS",), ("MKL_NUM_THREADS",)]
    assert list(in_order(os.getenv, jobs, workers=2)) == ["1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


def test_a_worker_that_dies_is_an_error_with_the_likely_cause():
    with pytest.raises(BrokenProcessPool) as error:
        list(in_order(os._exit, [(1,)], workers=2))
    assert any("workers=1 needs neither" in note for note in error.value.__notes__)
