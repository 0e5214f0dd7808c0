"""What runs there are, how they differ, how much room they take; and how one is removed."""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .directory import ORIGIN, SETTINGS, RunError, hold, read_settings
from .settings import make
from .sharing import origin


@dataclass(frozen=True)
class Row:
    """A run in a list.

    Attributes:
        name: of its directory.
        differs: the settings that differ from its root run's; from its profile's if it has none.
        bytes: on disk; a file that several runs share counts for one of them, the root if it can.
        date: when it last changed, as YYYY-MM-DD HH:MM.
    """

    name: str
    differs: dict[str, Any]
    bytes: int
    date: str


def list_runs(folder: Path) -> list[Row]:
    """The runs in a folder, by name; none if there is no such folder."""
    runs = [file.parent for file in folder.glob(f"[!.]*/{SETTINGS}")]
    counted: set[tuple[int, int]] = set()
    rows = []
    for run in sorted(runs, key=lambda run: ((run / ORIGIN).exists(), run.name)):
        size = _size(run, counted)
        last = max(file.stat().st_mtime for file in run.glob("[!.]*"))
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(last))
        rows.append(Row(run.name, _differences(run), size, date))
    return sorted(rows, key=lambda row: row.name)


def table(folder: Path) -> str:
    """`list_runs` as lines to print, with the sum in the last."""
    rows = list_runs(folder)
    wide = max((len(row.name) for row in rows), default=0)
    lines = []
    for row in rows:
        differs = ", ".join(f"{name} = {value}" for name, value in row.differs.items())
        line = f"{row.name:{wide}}  {row.bytes / 1e6:7.1f} MB  {row.date}  {differs}"
        lines.append(line.rstrip())
    together = sum(row.bytes for row in rows) / 1e6
    return "\n".join([*lines, f"{len(rows)} runs in {folder}, {together:.1f} MB"])


def remove(directory: Path) -> None:
    """Delete a run. Runs that share with it keep their files, and can be continued.

    Raises:
        RunError: this is no run directory, or it is in use.
    """
    if not (directory / SETTINGS).is_file():
        raise RunError(f"{directory} is no run directory: it holds no {SETTINGS}")
    last = directory / SETTINGS  # as long as it is there, this can be called again
    with hold(directory, "course", "removing it"), hold(directory, "stage", "removing it"):
        for file in directory.iterdir():
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            elif file != last and not file.name.endswith(".lock"):
                file.unlink()
    shutil.rmtree(directory)


def _size(directory: Path, counted: set[tuple[int, int]]) -> int:
    """Bytes of the files in a directory that were not counted before."""
    size = 0
    for file in directory.rglob("*"):
        with suppress(FileNotFoundError):  # a stage is being made
            state = file.stat()
            if file.is_file() and (state.st_dev, state.st_ino) not in counted:
                counted.add((state.st_dev, state.st_ino))
                size += state.st_size
    return size


def _differences(directory: Path) -> dict[str, Any]:
    try:
        settings = read_settings(directory / SETTINGS)
        known = origin(directory)
    except RunError:
        return {SETTINGS: "not of this version of aelib"}
    own = make(settings.profile)
    base = known[1] if known else own.to_json()
    numbers = settings.numbers()
    differs = {name: value for name, value in numbers.items() if value != base.get(name)}
    return ({} if known else {"profile": settings.profile}) | differs
