"""One process at a time makes stages, and whoever is refused learns whom to wait for."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from aelib.course import headless
from aelib.pipeline.run import Run, RunError, hold
from aelib.support.files import write_json

HOLDER = """
import pathlib, sys, time
from aelib.support.lock import locked
with locked(pathlib.Path(sys.argv[1]), "classifier-2"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run", "smoke")
    with run.making("stage") as folder:
        write_json(folder / "numbers.json", [1])
    return run


@pytest.fixture
def holder(run):
    """Another process that holds the run's stage lock."""
    command = [sys.executable, "-c", HOLDER, str(run.directory / ".stage.lock")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def files(run):
    return {file: file.read_bytes() for file in run.directory.rglob("*") if file.is_file()}


def test_a_second_process_is_refused_reads_all_the_same_and_goes_on_when_the_first_is_killed(
    run, holder
):
    before = files(run)
    who = f"process {holder.pid} on {socket.gethostname()}, classifier-2, since"
    with pytest.raises(RunError, match=rf"in use by {who} .*: wait"), run.making("next"):
        raise AssertionError("two make stages at once")
    assert run.finished("stage") and run.json("stage", "numbers.json") == [1]
    assert files(run) == before
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with run.making("next"):
        pass
    assert run.finished("next")


def test_a_whole_course_is_refused_before_it_touches_a_notebook(run, monkeypatch):
    monkeypatch.setattr(headless, "execute_notebooks", lambda _: pytest.fail("it ran"))
    refused = pytest.raises(RunError, match=f"process {os.getpid()} .*the whole course")
    with hold(run.directory, "course", "the whole course"), refused:
        headless.run_course(run.directory, "smoke")


def test_a_course_waits_for_the_kernel_of_a_killed_one(run, holder, monkeypatch):
    """That kernel takes a second to notice."""
    monkeypatch.setattr(headless, "execute_notebooks", lambda _: {"warnings": []})
    threading.Timer(0.3, holder.kill).start()
    assert headless.run_course(run.directory, "smoke") == {"warnings": []}


def test_two_stages_at_once_in_one_process_are_refused_too(run):
    refused = pytest.raises(RunError, match=f"process {os.getpid()} on")
    with run.making("a"), refused, run.making("b"):
        raise AssertionError
    assert run.finished("a") and not run.finished("b")


def test_the_lock_is_released_when_a_stage_raises(run):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), run.making("a"):
            raise ZeroDivisionError


@pytest.mark.skipif(sys.platform == "win32", reason="flock is not Windows'")
def test_a_file_system_without_locks_is_said_and_used(run, monkeypatch, capsys):
    import fcntl

    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with run.making("next"):
        pass
    assert run.finished("next") and "knows no locks" in capsys.readouterr().out


def test_settings_changed_behind_an_open_run_are_refused(run):
    other = Run(run.directory.with_name("other"), "smoke", seed=5).settings
    write_json(run.directory / "settings.json", other.to_json())
    with pytest.raises(RunError, match="has changed since this run was opened"), run.making("next"):
        raise AssertionError
    (run.directory / "settings.json").unlink()
    with pytest.raises(RunError, match=r"settings\.json cannot be read"), run.making("next"):
        raise AssertionError
