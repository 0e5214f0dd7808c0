"""Stages made side by side: the numbers of one thread, whatever dies meanwhile."""

import os
import signal
import threading

import psutil
import pytest
import torch
from tiny import TINY, make_everything

from aelib.pipeline import stages
from aelib.pipeline.jobs import make_all, ranks
from aelib.pipeline.run import Run, RunError, hold
from aelib.pipeline.settings import make
from aelib.pipeline.verify import verify

MORE = TINY | {"network_epochs": 4}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run made by one process on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run = Run(tmp_path_factory.mktemp("alone") / "run", "smoke", **MORE)
    make_everything(run)
    torch.set_num_threads(threads)
    return run


def same(run, other):
    files = [file.relative_to(other.directory) for file in other.directory.glob("*/[!.]*")]
    assert len(files) > 40
    for file in files:
        assert (run.directory / file).read_bytes() == (other.directory / file).read_bytes(), file


def test_two_jobs_give_every_file_of_one_thread_although_a_worker_is_killed(
    alone, tmp_path, capsys
):
    run = Run(tmp_path / "run", "smoke", **MORE)
    stages.prepare(run)
    killed, over = [], threading.Event()
    watcher = threading.Thread(target=_kill_a_training, args=(run.directory, killed, over))
    watcher.start()
    try:
        make_all(run, 2)
    finally:
        over.set()
        watcher.join()
    assert len(killed) == 1
    same(run, alone)
    assert verify(run.directory) == []
    assert "\nclassifier-1: " in capsys.readouterr().out
    make_all(run, 2)
    assert capsys.readouterr().out == ""


def _kill_a_training(directory, killed, over):
    """SIGKILL a worker once a network has a checkpoint."""
    while not killed and not over.wait(0.005):
        if [*directory.glob("network-*.partial/.checkpoint")]:
            busiest = max(_workers(), key=lambda one: sum(one.cpu_times()[:2]))
            os.kill(busiest.pid, signal.SIGKILL)
            killed.append(busiest.pid)


def _workers():
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "spawn_main" in " ".join(one.cmdline())]


def test_a_run_in_use_is_refused(tmp_path):
    run = Run(tmp_path / "run", "smoke", **TINY)
    with hold(run.directory, "stage", "a test"), pytest.raises(RunError, match="in use"):
        make_all(run, 2)


def test_the_longest_row_of_stages_goes_first():
    settings = make("smoke", erase_steps=3, object_steps=2, psl_warmup=0.5)
    names = stages.all_names(settings)
    behind = ranks(settings, names)
    assert behind["scores-AE-step1"] == 0 and behind["network-AE-step1"] == 1
    # classifier-1, regions-1, classifier-2, regions-2, pseudo-masks-2, warmup, AE+PSL, refined,
    # AE+PSL++, its scores
    assert behind["classifier-1"] == 9 and behind["saliency"] == 6
    for name in names:
        maker, of = stages.find(name)
        assert all(behind[read] > behind[name] for read in maker.reads(settings, *of))
