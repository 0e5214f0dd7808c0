"""Kill a run again and again, start it again each time, and see what was lost: the harness of test_kill.py and long/test_kill.py."""

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
    return [process for process in family(mark) if "ipykernel_launcher" in " ".join(process.cmdline())]


def group(sign: signal.Signals) -> Callable:
    """Ctrl-C in a terminal, or a scheduler that ends a job: the command and all of its process group (kernels have one of their own)."""
    return lambda process, mark: os.killpg(process.pid, sign)


def alone(sign: signal.Signals) -> Callable:
    """The command's own process, papermill with it; its kernel is left behind."""
    return lambda process, mark: process.send_signal(sign)


def kernel(process: subprocess.Popen, mark: str) -> None:
    """The kernel dies, papermill goes on: the out-of-memory killer's way."""
    for one in kernels(mark):
        one.kill()


def everything(process: subprocess.Popen, mark: str) -> None:
    """The lights go out."""
    for one in family(mark):
        one.kill()


WAYS = {f"{s.name} to the group": group(s) for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)}
WAYS |= {f"{s.name} to papermill alone": alone(s) for s in (signal.SIGKILL, signal.SIGTERM)}
WAYS |= {"the kernel alone": kernel, "everything": everything}


def attempt(
    command: list[str], mark: str, log: Path, when: Callable[[str], bool] | None = None, way: Callable | None = None, delay: float = 0
) -> tuple[list[str], int]:
    """Run the command, its output going to `log`; `delay` seconds after the first line for which `when` is true, kill it in this way.

    Returns:
        Its lines until its own process ended (a kernel may live on for a second), and its exit status.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would their children
    environment = os.environ | {MARK: mark, "PYTHONUNBUFFERED": "1"}
    with open(log, "w") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
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


def place(line: str, names: list[str]) -> tuple[int, int] | None:
    """Where in a run a line of its output is: (number of the stage, 0 at its begin or the epoch that is done); None for other lines."""
    if found := re.fullmatch(r"(.*) \.\.\.|  (.*): epoch (\d+)/.*", line):
        name, epoch = found[1] or found[2], int(found[3] or 0)
        return (names.index(name), epoch) if name in names else None
    return None


def manifests(run: Path) -> dict[str, tuple[int, bytes]]:
    """Of each finished stage: when its manifest was written, and what is in it."""
    return {file.parent.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in run.glob("*/manifest.json")}


def survive(command: list[str], run: Path, reference: Path, ways: dict[str, Callable], count: int, seed: int) -> int:
    """Kill `command`, which makes `run`, `count` times and let it end; assert that nothing was lost against `reference`.

    Returns:
        How many of the kills ended a process.

    Raises:
        AssertionError: a finished stage was made again, an epoch was trained twice, a process was left over, or a file differs.
    """
    chance, mark, log = random.Random(seed), f"{seed}-{os.getpid()}", run.with_name("log.txt")
    names = [json.loads(line)["name"] for line in (reference / "timings.jsonl").read_text().splitlines()]
    settings = json.loads((reference / "settings.json").read_text())
    epochs = {name: settings.get(f"{name.partition('-')[0]}_epochs", 0) for name in names}
    places = [(number, epoch) for number, name in enumerate(names) for epoch in range(epochs[name] + 1)]
    finished, trained, killed = {}, [], 0
    for number, target in enumerate(sorted(chance.choices(places, k=count)), start=1):
        name, way = list(ways.items())[number % len(ways)]
        output, status = attempt(command, mark, log, lambda line, t=target: (place(line, names) or (-1, 0)) >= t, way, chance.uniform(0, 0.9))
        killed += status != 0
        case = f"kill {number}, {name}, at {names[target[0]]!r} epoch {target[1]}, status {status}"
        print(case, flush=True)
        _nothing_twice(output, finished, trained, case)
        if chance.random() < 0.5:  # else the next one starts at once, beside a kernel that has not noticed yet
            deadline = time.monotonic() + 20
            while (left := family(mark)) and time.monotonic() < deadline:
                time.sleep(0.2)
            assert not left, f"{case}: left over: {[p.cmdline() for p in left]}"
        now = manifests(run)
        assert all(now[s] == was for s, was in finished.items()), case
        finished = now
    output, status = attempt(command, mark, log)
    assert status == 0, "\n".join(output[-30:])
    _nothing_twice(output, finished, trained, "the last attempt")
    assert {s: content for s, (_, content) in manifests(run).items()} == {s: content for s, (_, content) in manifests(reference).items()}
    for file in reference.glob("*/*"):
        if (file.parent / "manifest.json").exists():
            assert (run / file.relative_to(reference)).read_bytes() == file.read_bytes(), file
    assert not list(run.glob("*.partial"))
    return killed


def _nothing_twice(output: list[str], finished: dict, trained: list[str], case: str) -> None:
    begun = {line.removesuffix(" ...") for line in output if line.endswith(" ...")}
    assert not begun & finished.keys(), (case, begun)
    for line in output:
        if found := re.match(r"  (\S.*: epoch \d+)/", line):
            assert found[1] not in trained, (case, found[1])
            trained.append(found[1])
