"""One holder at a time, and whoever is refused learns whom to wait for."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from aelib.support.lock import LockedError, locked

HOLDER = """
import pathlib, sys, time
from aelib.support.lock import locked
with locked(pathlib.Path(sys.argv[1]), "classifier-2"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / ".lock"


@pytest.fixture
def holder(file):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_another_process_is_refused_by_name_and_goes_on_when_the_holder_is_killed(file, holder):
    before = file.read_bytes()
    who = rf"^process {holder.pid} on {socket.gethostname()}, classifier-2, since \d{{4}}-\S+ \S+$"
    for _ in range(2):
        with pytest.raises(LockedError, match=who), locked(file, "classifier-3"):
            raise AssertionError("two hold it at once")
    assert file.read_bytes() == before
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(file, "classifier-3"):
        assert f"process {os.getpid()} on" in file.read_text()
    assert file.read_text() == ""


def test_the_same_process_is_refused_too(file):
    mine = f"process {os.getpid()} .*the whole course"
    with (
        locked(file, "the whole course"),
        pytest.raises(LockedError, match=mine),
        locked(file, "a stage"),
    ):
        raise AssertionError
    with locked(file, "a stage"):
        pass


def test_a_holder_that_ends_soon_is_waited_for(file, holder):
    threading.Timer(0.3, holder.kill).start()
    start = time.monotonic()
    with locked(file, "the whole course", wait=30):
        assert time.monotonic() - start < 20


def test_it_is_released_when_the_block_raises(file):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(file, "a"):
            raise ZeroDivisionError


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)), locked(tmp_path / "a" / "b", "c"):
        raise AssertionError


@pytest.mark.skipif(sys.platform == "win32", reason="flock is not Windows'")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_said_and_used(file, monkeypatch, capsys, code):
    def flock(*_):
        raise OSError(code, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    if code == errno.EIO:
        with pytest.raises(OSError, match="not implemented"), locked(file, "next"):
            raise AssertionError
        return
    with locked(file, "next"):
        assert "next" in file.read_text()
    said = capsys.readouterr().out
    assert said == (
        f"{file}: this file system knows no locks (Function not implemented); "
        "take care that nothing else makes stages here\n"
    )
