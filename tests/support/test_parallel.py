"""The same results in the same order, however many processes work."""

import operator
import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

import psutil
import pytest

from aelib.support.parallel import in_order

AT_WORK = """
import signal, time
from aelib.support.parallel import in_order

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have started the tests
signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    for number, _ in enumerate(in_order(time.sleep, ((0.2,) for _ in range(500)), workers=2)):
        print(number, flush=True)
"""


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


def process_ids(calls: int) -> set[int]:
    """The processes that worked, in this many calls."""
    return {number for _ in range(calls) for number in in_order(os.getpid, [()] * 20, workers=2)}


def test_workers_stay_for_the_next_call():
    assert len(process_ids(calls=5) - {os.getpid()}) <= 2


def test_workers_that_died_between_two_calls_are_replaced():
    died = [psutil.Process(number) for number in process_ids(calls=1)]
    for one in died:
        with suppress(psutil.NoSuchProcess):  # the pool ends the others once one has died
            one.kill()
    psutil.wait_procs(died, timeout=20)
    assert list(in_order(divmod, [(7, 2), (9, 4)], workers=2)) == [(3, 1), (2, 1)]


@pytest.fixture
def at_work(tmp_path):
    """A process with two workers and what serves them, at work; none outlives the test."""
    script = tmp_path / "at_work.py"
    script.write_text(AT_WORK)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        children = psutil.Process(process.pid).children(recursive=True)
        yield process, children
        for one in (process, *children):
            with suppress(psutil.NoSuchProcess):
                one.kill()


@pytest.mark.skipif(os.name != "posix", reason="signals as on Linux and macOS")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_nothing_outlives_a_process_that_is_killed(at_work, name):
    process, children = at_work
    assert len(children) >= 3  # one of them starts the others
    process.send_signal(getattr(signal, name))
    _, left = psutil.wait_procs(children, timeout=10)
    assert left == []
    process.stdout.read()  # returns: nobody holds the pipe
