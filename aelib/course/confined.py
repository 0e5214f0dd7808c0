"""A command in a process of its own, with limits on time, memory, disk and processes; all of it is
ended with it. Files elsewhere and the network are out of reach of this: that needs a container.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "AELIB_CONFINED"  # in the environment of every process that belongs to a command
EVERY = 0.25  # seconds between two looks
# a limit on each process, in the system's own hands; then the module takes this one's place
_BEGIN = """
import resource, runpy, sys
seconds, memory, disk = map(int, sys.argv[1:4])
for name, value in (("CPU", 2 * seconds), ("AS", memory + (8 << 30)), ("FSIZE", disk), ("CORE", 0)):
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    except (OSError, ValueError):  # some systems know it and refuse it
        pass
sys.argv = sys.argv[4:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    Attributes:
        seconds: wall time.
        cell: seconds that a cell of a sheet may compute.
        memory: bytes, of all its processes together.
        disk: bytes in its folder, more than at the start; and of any one file.
        files: in its folder, more than at the start.
        processes: at the same time.
    """

    seconds: int = 600
    cell: int = 60
    memory: int = 3_000_000_000
    disk: int = 500_000_000
    files: int = 20_000
    processes: int = 60


def confine(
    module: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    limits: Limits,
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """Run `python -m MODULE ARGUMENTS` in `folder` until it ends or passes a limit.

    Its output goes to FOLDER/out.txt and err.txt. No process of it is left.

    Args:
        environment: all of its variables.
        stop: asked at every look; the command ends when it says True.

    Returns:
        Which limit it passed, or "".
    """
    mark = uuid.uuid4().hex
    sizes = [str(int(size)) for size in (limits.seconds, limits.memory, limits.disk)]
    command = [sys.executable, "-c", _BEGIN, *sizes, *module]
    before = _usage(folder, limits.files + 1_000_000)
    with open(folder / "out.txt", "wb") as out, open(folder / "err.txt", "wb") as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            return _watch(process, folder, mark, limits, before, stop)
        finally:
            _end(process, mark)


def _watch(
    process: subprocess.Popen,
    folder: Path,
    mark: str,
    limits: Limits,
    before: tuple[int, int],
    stop: Callable[[], bool],
) -> str:
    """Returns which limit was passed, or "" when the process has ended."""
    start = looked = time.monotonic()
    while process.poll() is None:
        time.sleep(EVERY)
        now = time.monotonic()
        if stop():
            return "grading was interrupted"
        if now - start > limits.seconds:
            return f"it took longer than {limits.seconds:g} seconds"
        processes = _processes(process.pid, mark)
        if len(processes) > limits.processes:
            return f"it started more than {limits.processes} processes"
        if sum(map(_memory, processes)) > limits.memory:
            return f"it used more than {limits.memory / 1e6:,.0f} MB of memory"
        if now - looked > 1:  # many files take a while to count
            looked = now
            size, files = _usage(folder, before[1] + limits.files)
            if size - before[0] > limits.disk or files - before[1] > limits.files:
                allowed = f"{limits.disk / 1e6:,.0f} MB or {limits.files:,} files"
                return f"it wrote more than {allowed}"
    return ""


def _end(process: subprocess.Popen, mark: str) -> None:
    """Kill all processes of a command, also those that have left its session."""
    for _ in range(20):  # one may start another meanwhile
        left = [one for one in _processes(process.pid, mark) if _alive(one)]
        if not left:
            break
        for one in left:
            try:
                one.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(left, timeout=1)
    process.wait()


def _processes(root: int, mark: str) -> list[psutil.Process]:
    """The process `root`, its children, and all others that carry the mark."""
    found = {}
    try:
        parent = psutil.Process(root)
        found = {one.pid: one for one in [parent, *parent.children(recursive=True)]}
    except psutil.Error:
        pass
    for one in psutil.process_iter():
        try:
            if one.pid not in found and one.environ().get(MARK) == mark:
                found[one.pid] = one
        except (psutil.Error, OSError):
            continue
    return list(found.values())


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _usage(folder: Path, most: int) -> tuple[int, int]:
    """Bytes and number of files below a folder; stops counting after `most` files."""
    size = files = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(where, name)).st_size
            except OSError:
                continue
            files += 1
        if files > most:
            break
    return size, files
