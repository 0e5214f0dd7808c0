"""Every file of a run checked against the manifests; a repair costs no more than the damage."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from ..support.files import read_json, write_json, write_whole
from . import manifest
from .directory import COPY, SETTINGS, RunError, hold, loose_files
from .manifest import CHANGED, FOREIGN, MISSING, STRANGE
from .sharing import relatives

ASIDE = "damaged"
STALE = "is out of date, the next run makes it again: it was made from another "


def verify(directory: Path) -> list[tuple[str, str]]:
    """All that is wrong with a run; nothing is changed.

    Files beside the stages (results, notebooks, report) are checked from the end of
    `python -m aelib run` on.

    Returns:
        (file or missing folder, relative to the run with /; what is wrong, and which other runs
        share the file), sorted.

    Raises:
        RunError: this is no run directory, or another version of aelib made it.
    """
    manifest.forget()
    begun = (directory / SETTINGS).exists() or any(directory.glob(f"*/{manifest.NAME}"))
    if not directory.is_dir() or not begun:
        what = "there is neither settings.json nor a finished stage in it"
        raise RunError(f"{directory} is no run directory: {what}")
    settings = _settings(directory)
    problems = {}
    if _json(directory / SETTINGS) != settings:
        problems[SETTINGS] = CHANGED if (directory / SETTINGS).exists() else MISSING
    for stage in _stages(directory):
        problems |= _folder(directory, stage, (directory / stage).glob("[!.]*"), settings)
    if (directory / manifest.NAME).exists() or (directory / "report").exists():
        others = [file for file in directory.glob("[!.]*") if file.is_file()]
        whole = _folder(directory, "", [*loose_files(directory), *others], settings)
        problems = whole | problems
    for name, others in _sharers(directory, problems).items():
        problems[name] += f", shared with {', '.join(others)}"
    return sorted(problems.items())


def repair(directory: Path) -> list[str]:
    """Set aside, in RUN/damaged, every damaged file and its stage: the next run makes them again.

    A stage made from a damaged one stays, for it read the undamaged files. If that one comes out
    otherwise this time (on another machine), `Run.finished` finds it and it is made again, too.
    A derived run takes a stage from another run first, where that has it undamaged; what is set
    aside here stays in other runs that share it. settings.json is restored; lost times become NaN.

    Returns:
        What was done, in lines.

    Raises:
        RunError: this is no run directory, it is in use, another version of aelib made it, or
            settings.json is lost and so is its copy.
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
    if name == SETTINGS:
        if not settings:
            lost = f"{directory / name} is lost, and nothing else knows what was in it"
            raise RunError(f"{lost}: delete the run")
        write_json(directory / name, settings)
        return [f"{name}: restored"]
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
    except manifest.FormatError as error:
        cure = "delete the run, or go on with that version"
        raise RunError(f"{error}: {cure}") from error
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


def _sharers(directory: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Of these files of a run: the names of other runs in which the same file is linked."""
    linked = [name for name in names if _links(directory / name) > 1]
    found: dict[str, list[str]] = {}
    with suppress(RunError):  # origin.json is damaged: the relatives are not known
        for other in relatives(directory) if linked else ():
            for name in linked:
                if (other / name).exists() and (other / name).samefile(directory / name):
                    found.setdefault(name, []).append(other.name)
    return found


def _links(file: Path) -> int:
    """How many names a file has; 0 if there is none."""
    return file.stat().st_nlink if file.is_file() else 0


def _settings(directory: Path) -> dict[str, Any]:
    """The run's settings: settings.json's, if its copy and the manifests do not say otherwise.

    Empty if none can be read.
    """
    candidates = [_json(directory / COPY), _json(directory / SETTINGS)]
    with suppress(ValueError):
        candidates.insert(0, manifest.read(directory)["settings"])
    stages = []
    for file in directory.glob(f"*/{manifest.NAME}"):
        with suppress(ValueError):
            stages.append(manifest.read(file.parent))

    def agreeing(settings: dict[str, Any]) -> int:
        return sum(manifest.agrees(content, settings) for content in stages)

    return max([one for one in candidates if one], key=agreeing, default={})


def _json(file: Path) -> dict[str, Any]:
    """A JSON file's object; empty if it is none."""
    try:
        content = read_json(file)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
