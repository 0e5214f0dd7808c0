"""manifest.json: what a folder of a run holds, and what it belongs to.

    {"stage": its name, "settings": the run's, "reads": {stage: hash over that stage's files}, "files": {name: hash}, "sha256": of all this}

The hashes find a damaged file, "stage" and "settings" one of another run, "reads" a stage made from something that has been made anew since.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .files import read_json, sha256, write_json

NAME = "manifest.json"


def write(folder: Path, stage: str, settings: dict[str, Any], reads: dict[str, str], names: Iterable[str]) -> None:
    """Hash the files of these names (relative, with /) and write the folder's manifest."""
    content = {"stage": stage, "settings": settings, "reads": reads, "files": {name: sha256(folder / name) for name in sorted(names)}}
    write_json(folder / NAME, content | {"sha256": _digest(content)})


def read(folder: Path) -> dict[str, Any]:
    """A folder's manifest, checked against its own hash.

    Raises:
        ValueError: it is missing or damaged; names the file.
    """
    content = read_json(folder / NAME)
    if not isinstance(content, dict) or content.keys() != {"stage", "settings", "reads", "files", "sha256"}:
        raise ValueError(f"{folder / NAME} is no manifest of this version of aelib")
    if content.pop("sha256") != _digest(content):
        raise ValueError(f"{folder / NAME} is not what was written (truncated or changed)")
    if not all(isinstance(content[part], dict) and all(map(_plain, content[part].items())) for part in ("reads", "files")):
        raise ValueError(f"{folder / NAME} names what cannot be in a run")
    return content


def hashes(directory: Path, stages: Iterable[str]) -> dict[str, str]:
    """One hash over all the files of each of these stages of a run, as far as they can be told: what a stage that reads them is bound to."""
    known = {}
    for stage in stages:
        with suppress(ValueError):
            known[stage] = _digest(read(directory / stage)["files"])
    return known


def changed(directory: Path, content: dict[str, Any]) -> list[str]:
    """Stages that came out otherwise when they were made anew since this one read them. One that is not there has not changed."""
    return [stage for stage, known in hashes(directory, content["reads"]).items() if known != content["reads"][stage]]


def _plain(entry: tuple[str, Any]) -> bool:
    """A hash, by a relative name that does not lead out of the folder."""
    name, known = entry
    return isinstance(known, str) and len(name) < 200 and not Path(name).is_absolute() and ".." not in Path(name).parts


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
