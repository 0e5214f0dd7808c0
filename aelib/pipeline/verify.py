"""Every file of a run checked against the manifests; a repair costs no more than the damage."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from ..support.files import read_json, write_json, write_whole
from . import manifest
from .directory import RunError, hold, loose_files
from .manifest import CHANGED, FOREIGN, MISSING, STRANGE

ASIDE = "damaged"
STALE = "is out of date, the next run makes it again: it was made from another "


def verify(directory: Path) -> list[tuple[str, str]]:
    """All that is wrong with a run; nothing is changed.

    Files beside the stages (results, notebooks, report) are checked from the end of
    `python -m aelib run` on.

    Returns:
        (file or missing folder, relative to the run with /; what is wrong), sorted.

    Raises:
        RunError: this is no run directory.
    """
    begun = (directory / "settings.json").exists() or any(directory.glob(f"*/{manifest.NAME}"))
    if not directory.is_dir() or not begun:
        what = "there is neither settings.json nor a finished stage in it"
        raise RunError(f"{directory} is no run directory: {what}")
    settings = _settings(directory)
    problems = {}
    if _json(directory / "settings.json") != settings:
        there = (directory / "settings.json").exists()
        problems["settings.json"] = CHANGED if there else MISSING
    for stage in _stages(directory):
        problems |= _folder(directory, stage, (directory / stage).glob("[!.]*"), settings)
    if (directory / manifest.NAME).exists() or (directory / "report").exists():
        others = [file for file in directory.glob("[!.]*") if file.is_file()]
        whole = _folder(directory, "", [*loose_files(directory), *others], settings)
        problems = whole | problems
    return sorted(problems.items())


def repair(directory: Path) -> list[str]:
    """Set aside, in RUN/damaged, every damaged file and its stage: the next run makes them again.

    A stage made from a damaged one stays, for it read the undamaged files. If that one comes out
    otherwise this time (on another machine), `Run.finished` finds it and it is made again, too.
    settings.json is restored from the manifests; lost times become NaN.

    Returns:
        What was done, in lines.

    Raises:
        RunError: this is no run directory, it is in use, or settings.json is lost and no manifest
            knows it.
    """
    command = "verify --repair"
    with hold(directory, "course", command), hold(directory, "stage", command):
        problems, settings = verify(directory), _settings(directory)
        tried = (directory / ASIDE / str(number) for number in count(1))
        aside = next(folder for folder in tried if not folder.exists())
        lines = []
        for name, what in problems:
            if not what.startswith(STALE):
                lines += _mend(directory, name, what, settings, aside)
        if problems:  # what the run's own manifest says is no longer so
            (directory / manifest.NAME).unlink(missing_ok=True)
    return lines


def _mend(directory: Path, name: str, what: str, settings: Any, aside: Path) -> list[str]:
    """Restore a file or set it aside; says what was done, or nothing if there is nothing to do."""
    if name == "settings.json":
        if settings is None:
            lost = f"{directory / name} is lost, and no manifest knows what was in it"
            raise RunError(f"{lost}: delete the run")
        write_json(directory / name, settings)
        return [f"{name}: restored from the manifests"]
    if name == "timings.jsonl":
        unknown = {"seconds": float("nan"), "peak_memory_mb": float("nan")}
        times = [json.dumps({"name": stage} | unknown) + "\n" for stage in _stages(directory)]
        write_whole(directory / name, "".join(times).encode())
        return [f"{name}: written again without the times, which are lost"]
    stage = name.split("/")[0]
    target = stage if stage in _stages(directory) and what != STRANGE else name
    if not (directory / target).exists():
        return []
    (aside / target).parent.mkdir(parents=True, exist_ok=True)
    os.replace(directory / target, aside / target)
    return [f"{target}: set aside in {ASIDE}/{aside.name}"]


def _folder(directory: Path, name: str, there: Iterable[Path], settings: Any) -> dict[str, str]:
    """What is wrong with the files `there` of a stage, or of the run itself (""), by path."""
    folder = directory / name
    before = f"{name}/" if name else ""
    manifest_file = before + manifest.NAME
    try:
        content = manifest.read_belonging(directory, name, settings)
    except manifest.ForeignError:
        return {manifest_file: FOREIGN}
    except ValueError:
        return {manifest_file: CHANGED if (folder / manifest.NAME).exists() else MISSING}
    files = content["files"]
    found = {file.relative_to(folder).as_posix() for file in there} - {manifest.NAME}
    faults = {before + file: manifest.fault(folder, file, files) for file in found | files.keys()}
    problems = {file: what for file, what in faults.items() if what}
    changed = ", ".join(manifest.changed(directory, content))
    if changed:
        problems[manifest_file] = STALE + changed
    if not name:
        lost = [stage for stage in content["reads"] if not (directory / stage).exists()]
        problems |= dict.fromkeys(lost, MISSING)
    return problems


def _stages(directory: Path) -> list[str]:
    """Every folder that ought to be a finished stage."""
    folders = {file.name for file in directory.glob("[!.]*") if file.is_dir()}
    others = {"notebooks", "report", ASIDE}
    return sorted(name for name in folders - others if not name.endswith(".partial"))


def _settings(directory: Path) -> Any:
    """The settings on which most manifests and settings.json agree; None if none can be read."""
    found = [_json(directory / "settings.json")]
    found += [_json(file).get("settings") for file in directory.glob(f"*/{manifest.NAME}")]
    votes = Counter(json.dumps(content) for content in found if content)
    return json.loads(votes.most_common(1)[0][0]) if votes else None


def _json(file: Path) -> dict[str, Any]:
    """A JSON file's object; empty if it is none."""
    try:
        content = read_json(file)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
