"""Runs of one origin share their stages: a folder of one that fits is linked into another.

    runs/classroom/               the root run
    runs/classroom,delta=0.5/     derived from it: origin.json names the root and its settings

A stage fits if it has the same settings and was made from the same files. Its files are hard links,
or copies where the file system has none; a file of a run is never changed, only replaced.
"""

import os
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..support.files import link, read_json, write_json
from . import manifest
from .directory import ORIGIN, SETTINGS, RunError, hold, note_time, read_times, runs_folder

_WAIT = 5  # seconds for another process that changes the run


def note_origin(directory: Path, root: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Write origin.json.

    Args:
        directory: where to write it.
        root: the run that the derived one shares with.
        folder: the folder that the derived run will lie in.
        settings: the root's.
    """
    beside = root.parent == folder  # then both can be moved together
    place = f"../{root.name}" if beside else str(root)
    content = {"root": place, "settings": settings, "aelib": version("aelib")}
    write_json(directory / ORIGIN, content)


def origin(directory: Path) -> tuple[Path, dict[str, Any]] | None:
    """The root of a derived run, which need not be there any more, and its settings; or None.

    Raises:
        RunError: origin.json is damaged.
    """
    file = directory / ORIGIN
    if not file.exists():
        return None
    try:
        content = read_json(file)
        root, settings = directory / content["root"], dict(content["settings"])
    except (ValueError, KeyError, TypeError) as error:
        instead = "without that file the run is one like any other, which shares nothing more"
        raise RunError(f"{file} is damaged ({error}): delete it; {instead}") from error
    return Path(os.path.normpath(root)), settings


def relatives(directory: Path) -> list[Path]:
    """The runs that share with this one: its root first, then those derived from the same root."""
    derived = origin(directory)
    root = derived[0] if derived else directory
    found = [root] if (root / SETTINGS).exists() else []
    for folder in dict.fromkeys((directory.parent, root.parent, runs_folder())):
        for file in sorted(folder.glob(f"*/{ORIGIN}")):
            with suppress(RunError):  # a damaged one is no relative
                if origin(file.parent)[0] == root:
                    found.append(file.parent)
    return [one for one in dict.fromkeys(found) if one != directory]


def share(directory: Path, stage: str, settings: dict[str, Any], reads: dict[str, str]) -> bool:
    """Take a stage over from a relative that has it, undamaged; False if there is none.

    Args:
        directory: the run's, which lacks the stage.
        settings: of the stage.
        reads: hashes of what it reads in this run.

    Raises:
        RunError: another process makes a stage of this run, or a file cannot be written.
    """
    wanted = (settings, reads)
    for relative in relatives(directory):
        if _made_from(relative / stage) != wanted:
            continue
        with hold(directory, "stage", f"sharing {stage}", _WAIT):
            # the first, where another process has just done it
            if _made_from(directory / stage) == wanted or _taken(relative, directory, stage):
                return True
    return False


def _made_from(folder: Path) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Settings and reads of a stage; None if there is none, or its manifest is damaged."""
    try:
        content = manifest.read(folder)
    except ValueError:
        return None
    return content["settings"], content["reads"]


def _taken(relative: Path, directory: Path, stage: str) -> bool:
    """Link the relative's stage into the run, as a whole, or not at all if it is damaged."""
    final, folder = directory / stage, directory / f".{stage}.partial"
    shutil.rmtree(folder, ignore_errors=True)  # of a kill
    try:
        link(relative / stage / manifest.NAME, folder / manifest.NAME)
        files = manifest.read(folder)["files"]
        for name in files:
            link(relative / stage / name, folder / name)
        damaged = any(manifest.fault(folder, name, files) for name in files)
    except (FileNotFoundError, ValueError):
        damaged = True
    if damaged:
        shutil.rmtree(folder, ignore_errors=True)
        return False
    shutil.rmtree(final, ignore_errors=True)  # out of date
    os.replace(folder, final)
    shutil.rmtree(directory / f"{stage}.partial", ignore_errors=True)
    times = {line.pop("name"): line for line in read_times(relative)}
    lost = {"seconds": float("nan"), "peak_memory_mb": float("nan")}
    note_time(directory, stage, times.get(stage, lost) | {"shared": True})
    return True
