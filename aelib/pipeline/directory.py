"""A run directory seen from outside: its settings, its lock, its folders, its times."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from ..support.errors import Told
from ..support.files import IN_CLONE, ROOT, read_json, write_json
from ..support.lock import LockedError, locked
from . import manifest
from .settings import Settings, make

SETTINGS = "settings.json"
COPY = ".settings.json"  # from which `verify --repair` restores the other
ORIGIN = "origin.json"  # of a derived run: see sharing.py


class RunError(Told, RuntimeError):
    """A run directory cannot be used as asked; the message names the file and the cure."""


def runs_folder() -> Path:
    """Where runs lie: the folder that the environment's AELIB_RUNS names, or ROOT/runs."""
    return ROOT / Path(os.environ.get("AELIB_RUNS") or "runs").expanduser()


@contextmanager
def hold(
    directory: Path, kind: str, what: str, wait: float = 0.0, held: bool = False
) -> Iterator[None]:
    """Hold one of a run's locks. Reading needs none.

    Args:
        directory: the run's.
        kind: "stage" to change its stages, "course" to go through the notebooks.
        what: what it is held for; whoever is refused reads it.
        wait: seconds to wait for another holder.
        held: whether the process that started this one holds it, for both.

    Raises:
        RunError: somebody else holds it, or a file cannot be read or written meanwhile.
    """
    again = "the same command then goes on from there"
    try:
        with nullcontext() if held else locked(directory / f".{kind}.lock", what, wait):
            yield
    except LockedError as holder:
        cure = f"wait until it is done, or end that process; {again}"
        raise RunError(f"{directory} is in use by {holder}: {cure}") from None
    except OSError as error:
        kept = f"what is finished, and a training up to its last epoch, is kept; {again}"
        raise RunError(f"{what} stopped: {error} (run directory {directory}); {kept}") from error


def begin(directory: Path, settings: Settings) -> None:
    """Write settings.json, with which a run begins."""
    for name in (COPY, SETTINGS):
        write_json(directory / name, settings.to_json())


def empty(directory: Path) -> bool:
    """Whether nothing was made with a run's settings: they may still become others."""
    return not stage_folders(directory) and not (directory / ORIGIN).exists()


def forget(directory: Path) -> None:
    """Remove the settings of a run whose inputs were refused before it made anything.

    They would refuse the mended ones. A run whose lock somebody holds is left as it is.
    """
    with suppress(RunError), hold(directory, "stage", "its settings"):
        if empty(directory):
            for name in (SETTINGS, COPY):
                (directory / name).unlink(missing_ok=True)


def read_settings(file: Path) -> Settings:
    """The settings in a run's settings.json.

    Raises:
        RunError: it cannot be read, or holds other settings than this version of aelib has.
    """
    cure = f"choose another run directory, or delete {file.parent}"
    try:
        content = read_json(file)
    except ValueError as error:
        raise RunError(f"{error}; {cure}") from error
    try:
        settings = make(content.pop("profile"), **content)
        missing = settings.to_json().keys() - content - {"profile"}
        if missing:
            raise ValueError(f"missing: {', '.join(sorted(missing))}")
        return settings
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{file} does not hold settings of this version of aelib ({error})"
        raise RunError(f"{what}; {cure}") from error


def refuse_strange(directory: Path) -> None:
    """Raises RunError unless a new run may begin here: in no folder, or in an empty one."""
    # all that a kill at the beginning can leave, or inputs that were refused
    left = {COPY, f".{COPY}.tmp", f".{SETTINGS}.tmp", ".stage.lock", ".course.lock", "data.partial"}
    if not directory.exists():
        return
    if not directory.is_dir() or {file.name for file in directory.iterdir()} - left:
        what = f"{directory} is not empty and has no settings.json, so it is no run directory"
        raise RunError(f"{what}; choose another one")


def refuse_installed() -> None:
    """Raises RunError where aelib is installed without what the course ships."""
    if not IN_CLONE:
        package = Path(__file__).parents[1]
        cure = "run from a clone of the project, installed with `pip install -e .`"
        raise RunError(f"there are no notebooks beside the package {package}: {cure}")


def stage_folders(directory: Path) -> list[Path]:
    """The folders of a run's finished stages, by name."""
    folders = [file.parent for file in directory.glob(f"*/{manifest.NAME}")]
    return sorted(folder for folder in folders if not folder.name.endswith(".partial"))


def loose_files(directory: Path) -> list[Path]:
    """The files of a run that are there and belong to no stage, in order; not its manifest."""
    names = (SETTINGS, ORIGIN, "timings.jsonl", "results.json", "notebooks/*", "report/*")
    return sorted(file for name in names for file in directory.glob(name) if file.is_file())


def cure(folder: Path) -> str:
    """What to do about a damaged stage."""
    repair = "or all that is damaged by `python -m aelib verify --repair RUN`"
    return f"delete the folder {folder}, {repair}, and run the notebook that makes it again"


def note_time(directory: Path, stage: str, times: dict[str, Any]) -> None:
    """Add a line to timings.jsonl: "seconds", "peak_memory_mb", "shared" (if it was not made)."""
    log = directory / "timings.jsonl"
    torn = log.exists() and not log.read_bytes().endswith(b"\n")  # a kill can leave half a line
    with open(log, "a") as file:
        file.write(("\n" if torn else "") + json.dumps({"name": stage} | times) + "\n")


def read_times(directory: Path) -> list[dict[str, Any]]:
    """timings.jsonl: of a stage that was made twice, the last line."""
    file = directory / "timings.jsonl"
    lines = {}
    for text in file.read_bytes().splitlines() if file.exists() else []:
        try:
            line = json.loads(text)
            names = ("name", "seconds", "peak_memory_mb")
            times = {name: line[name] for name in names}
            lines[line["name"]] = times | ({"shared": True} if line.get("shared") else {})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # half a line
            continue
    return list(lines.values())


def peak_memory_mb() -> int:
    """Most memory this process has held so far, in MB (10^6 bytes); 0 where it is not known."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6)
