"""Kill a run again and again, start it again each time, and see what was lost.

The harness of reliability/test_kill.py and long/test_kill.py.
"""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

MARK = "AELIB_KILL_TEST"  # every process of a run carries it in its environment


def family(mark: str) -> list[psutil.Process]:
    """All processes of a run, kernels and workers included, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kernels(mark: str) -> list[psutil.Process]:
    """The run's notebook kernels."""
    return [p for p in family(mark) if "ipykernel_launcher" in " ".join(p.cmdline())]


def group(sign: signal.Signals) -> Callable:
    """Ctrl-C in a terminal, or a scheduler that ends a job: the command and its process group.

    Kernels have a group of their own.
    """
    return lambda process, mark: os.killpg(process.pid, sign)


def alone(sign: signal.Signals) -> Callable:
    """The command's own process, papermill with it; its kernel is left behind."""
    return lambda process, mark: process.send_signal(sign)


def kernel(process: subprocess.Popen, mark: str) -> None:
    """The kernel dies, papermill goes on: the out-of-memory killer's way."""
    for one in kernels(mark):
        one.kill()


def everything(process: subprocess.Popen, mark: str) -> None:
    """The power goes out."""
    for one in family(mark):
        one.kill()


WAYS = {f"{s.name} to the group": group(s) for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)}
WAYS |= {f"{s.name} to papermill alone": alone(s) for s in (signal.SIGKILL, signal.SIGTERM)}
WAYS |= {"the kernel alone": kernel, "everything": everything}


def attempt(
    command: list[str],
    mark: str,
    log: Path,
    when: Callable[[str], bool] | None = None,
    way: Callable | None = None,
    delay: float = 0,
) -> tuple[list[str], int]:
    """Run the command; kill it `delay` seconds after the first line for which `when` is true.

    Args:
        command: what to run; its output goes to `log`.
        mark: of all its processes.
        way: how to kill it.

    Returns:
        Its lines until its own process ended (a kernel may live on for a second), and its exit
        status.
    """
    # a shell's background jobs ignore SIGINT, and so would their children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = os.environ | {MARK: mark, "PYTHONUNBUFFERED": "1"}
    with open(log, "w") as sink:
        streams = {"stdout": sink, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, **streams, env=environment, start_new_session=True)
    lines, rest = [], ""
    with open(log) as source:
        while True:
            ended = process.poll() is not None
            *new, rest = (rest + source.read()).split("\n")
            lines += new
            if when and any(map(when, new)):
                time.sleep(delay)
                way(process, mark)
                when = None
            if ended:
                return lines, process.returncode
            time.sleep(0.02)


def place(line: str, names: list[str]) -> tuple[int, int]:
    """Where in a run a line of its output is: (number of the stage, epochs done).

    (-1, 0) for a line that is neither a stage's begin nor an epoch's end.
    """
    found = re.fullmatch(r"(.*) \.\.\.|  (.*): epoch (\d+)/.*", line)
    name = (found[1] or found[2]) if found else None
    return (names.index(name), int(found[3] or 0)) if name in names else (-1, 0)


def manifests(run: Path) -> dict[str, tuple[int, bytes]]:
    """Of each finished stage: when its manifest was written, and what is in it."""
    files = run.glob("*/manifest.json")
    return {file.parent.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def survive(
    command: list[str], run: Path, reference: Path, ways: dict[str, Callable], count: int, seed: int
) -> int:
    """Kill `command`, which makes `run`, `count` times, let it end, and compare with `reference`.

    Returns:
        How many of the kills ended a process.

    Raises:
        AssertionError: a finished stage was made again, an epoch was trained twice, a process was
            left over, or a file differs.
    """
    chance, mark, log = random.Random(seed), f"{seed}-{os.getpid()}", run.with_name("log.txt")
    names, places = _places(reference)
    finished, trained, killed = {}, [], 0
    for number, target in enumerate(sorted(chance.choices(places, k=count)), start=1):
        name, way = list(ways.items())[number % len(ways)]

        def due(line: str, target: tuple[int, int] = target) -> bool:
            return place(line, names) >= target

        output, status = attempt(command, mark, log, due, way, chance.uniform(0, 0.9))
        killed += status != 0
        case = f"kill {number}, {name}, at {names[target[0]]!r} epoch {target[1]}, status {status}"
        print(case, flush=True)
        _nothing_twice(output, finished, trained, case)
        # else the next one starts at once, beside a kernel that has not noticed yet
        if chance.random() < 0.5:
            _all_gone(mark, case)
        now = manifests(run)
        assert all(now[stage] == known for stage, known in finished.items()), case
        finished = now
    output, status = attempt(command, mark, log)
    assert status == 0, "\n".join(output[-30:])
    _nothing_twice(output, finished, trained, "the last attempt")
    _same(run, reference)
    return killed


def _places(reference: Path) -> tuple[list[str], list[tuple[int, int]]]:
    """The stages of a run in order, and all places where it can be killed; see `place`."""
    lines = (reference / "timings.jsonl").read_text().splitlines()
    names = [json.loads(line)["name"] for line in lines]
    settings = json.loads((reference / "settings.json").read_text())
    places = []
    for number, name in enumerate(names):
        epochs = settings.get(f"{name.partition('-')[0]}_epochs", 0)
        places += [(number, epoch) for epoch in range(epochs + 1)]
    return names, places


def _all_gone(mark: str, case: str) -> None:
    """Wait until no process of a killed run is left, 20 seconds at most."""
    deadline = time.monotonic() + 20
    left = family(mark)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = family(mark)
    assert not left, f"{case}: left over: {[process.cmdline() for process in left]}"


def _nothing_twice(output: list[str], finished: dict, trained: list[str], case: str) -> None:
    begun = {line.removesuffix(" ...") for line in output if line.endswith(" ...")}
    assert not begun & finished.keys(), (case, begun)
    for line in output:
        found = re.match(r"  (\S.*: epoch \d+)/", line)
        if found:
            assert found[1] not in trained, (case, found[1])
            trained.append(found[1])


def _same(run: Path, reference: Path) -> None:
    """Both hold the same stages with the same bytes, and nothing is half-made."""
    made, known = manifests(run), manifests(reference)
    assert made.keys() == known.keys()
    for stage in known:
        assert made[stage][1] == known[stage][1], stage
        for file in (reference / stage).iterdir():
            assert (run / stage / file.name).read_bytes() == file.read_bytes(), file
    assert not list(run.glob("*.partial"))
