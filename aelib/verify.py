"""Every file of a run held against the manifests; and the cure, which costs no more than what is damaged."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from . import manifest
from .files import read_json, sha256, write_json, write_whole
from .runs import RunError, hold, loose_files

ASIDE = "damaged"
CHANGED, MISSING, STRANGE = "is not what was written (truncated or changed)", "is missing", "was not written by the run"
OTHERS, STALE = "belongs to another run or stage", "is out of date, the next run makes it again: it was made from another "


def verify(directory: Path) -> list[tuple[str, str]]:
    """All that is wrong with a run: (file, or folder that is not there; what is wrong), relative to the run with /. Nothing is changed.

    Files beside the stages (results, notebooks, report) are known, and checked, from the end of `python -m aelib run` on.

    Raises:
        RunError: this is no run directory.
    """
    if not directory.is_dir() or not ((directory / "settings.json").exists() or any(directory.glob(f"*/{manifest.NAME}"))):
        raise RunError(f"{directory} is no run directory: there is neither settings.json nor a finished stage in it")
    settings, problems = _settings(directory), {}
    if _json(directory / "settings.json") != settings:
        problems["settings.json"] = CHANGED if (directory / "settings.json").exists() else MISSING
    for stage in _stages(directory):
        problems |= _folder(directory, stage, (directory / stage).glob("[!.]*"), settings)
    if (directory / manifest.NAME).exists() or (directory / "report").exists():
        loose = [*loose_files(directory), *(file for file in directory.glob("[!.]*") if file.is_file())]
        problems |= _folder(directory, "", loose, settings) | problems
    return sorted(problems.items())


def repair(directory: Path) -> list[str]:
    """Set aside, in RUN/damaged, every damaged file and the stage it is of: the next run makes them again, and nothing else.

    A stage that was made from a damaged one stays: it had read the undamaged files. Should that one come out otherwise this time (on
    another machine), `Run.finished` says so and it is made again, too. settings.json is restored from the manifests; lost times become NaN.

    Returns:
        What was done, in lines.

    Raises:
        RunError: this is no run directory, it is in use, or settings.json is lost and no manifest knows it.
    """
    with hold(directory, "course", "verify --repair"), hold(directory, "stage", "verify --repair"):
        problems, settings, lines = verify(directory), _settings(directory), []
        aside = next(folder for n in count(1) if not (folder := directory / ASIDE / str(n)).exists())
        for name, what in problems:
            stage = name.split("/")[0]
            if name == "settings.json":
                if settings is None:
                    raise RunError(f"{directory / name} is lost, and no manifest knows what was in it: delete the run")
                write_json(directory / name, settings)
                lines.append(f"{name}: restored from the manifests")
            elif name == "timings.jsonl":
                times = [{"name": stage, "seconds": float("nan"), "peak_memory_mb": float("nan")} for stage in _stages(directory)]
                write_whole(directory / name, "".join(json.dumps(line) + "\n" for line in times).encode())
                lines.append(f"{name}: written again without the times, which are lost")
            elif not what.startswith(STALE):
                target = stage if stage in _stages(directory) and what != STRANGE else name
                if (directory / target).exists():
                    (aside / target).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(directory / target, aside / target)
                    lines.append(f"{target}: set aside in {ASIDE}/{aside.name}")
        if problems:  # what it says is no longer so
            (directory / manifest.NAME).unlink(missing_ok=True)
    return lines


def _folder(directory: Path, name: str, there: Iterable[Path], settings: Any) -> dict[str, str]:
    """What is wrong with the files `there` of a stage, or ("") of the run itself, by path."""
    before = f"{name}/" if name else ""
    try:
        content = manifest.read(directory / name)
    except ValueError:
        return {before + manifest.NAME: CHANGED if (directory / name / manifest.NAME).exists() else MISSING}
    if (content["stage"], content["settings"]) != (name, settings):
        return {before + manifest.NAME: OTHERS}
    problems, known = {}, content["files"]
    found = {file.relative_to(directory / name).as_posix() for file in there} - {manifest.NAME}
    for file in known.keys() | found:
        if file not in known:
            problems[before + file] = STRANGE
        elif file not in found:
            problems[before + file] = MISSING
        elif not (directory / name / file).is_file() or sha256(directory / name / file) != known[file]:
            problems[before + file] = CHANGED
    if changed := manifest.changed(directory, content):
        problems[before + manifest.NAME] = STALE + ", ".join(changed)
    return problems | ({} if name else {stage: MISSING for stage in content["reads"] if not (directory / stage).exists()})


def _stages(directory: Path) -> list[str]:
    """Every folder that ought to be a finished stage."""
    folders = (file.name for file in directory.glob("[!.]*") if file.is_dir() and not file.name.endswith(".partial"))
    return sorted(set(folders) - {"notebooks", "report", ASIDE})


def _settings(directory: Path) -> Any:
    """The settings that most of the manifests and settings.json agree on; None if none can be read."""
    votes = Counter()
    for content in (_json(directory / "settings.json"), *(_json(file).get("settings") for file in directory.glob(f"*/{manifest.NAME}"))):
        if content:
            votes[json.dumps(content)] += 1
    return json.loads(votes.most_common(1)[0][0]) if votes else None


def _json(file: Path) -> dict[str, Any]:
    """A JSON file's object; empty if it is none."""
    try:
        content = read_json(file)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
