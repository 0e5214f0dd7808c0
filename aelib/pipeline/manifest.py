"""manifest.json: what a folder of a run holds, and what it belongs to.

    {"format": 2,
     "stage": its name,
     "settings": those that the stage declares; all of them in the run's own manifest,
     "reads": {stage: hash over that stage's files},
     "files": {name: hash},
     "sha256": of all this}

The hashes find a damaged file, "stage" and "settings" a folder of another run, "reads" a stage that
was made from something which has been made again since, with another outcome. Two stages whose
settings and reads agree are the same, whatever runs they are in.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..support.files import read_json, sha256, write_json

NAME = "manifest.json"
FORMAT = 2
MISSING = "is missing"
CHANGED = "is not what was written (truncated or changed)"
STRANGE = "was not written by the run"
FOREIGN = "belongs to another run or stage"
_PARTS = {"format", "stage", "settings", "reads", "files", "sha256"}
_TICK = 100_000_000  # ns: a change so soon after another may not show in a file's time

# What this process has read: nothing is hashed or parsed twice while its file stays as it is.
_hashed: dict[tuple[int, ...], str] = {}
_parsed: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}


class ForeignError(ValueError):
    """A manifest of another run or stage."""


class FormatError(ValueError):
    """A manifest that another version of aelib wrote."""


def write(
    folder: Path, stage: str, settings: dict[str, Any], reads: dict[str, str], names: Iterable[str]
) -> None:
    """Hash the files of these names (relative, with /) and write the folder's manifest."""
    files = {name: _hash(folder / name) for name in sorted(names)}
    content = {"format": FORMAT, "stage": stage, "settings": settings}
    content |= {"reads": reads, "files": files}
    write_json(folder / NAME, content | {"sha256": digest(content)})


def read(folder: Path) -> dict[str, Any]:
    """A folder's manifest, checked against its own hash; "digest" is a hash over all its files.

    What is returned is not to be changed: it is kept for the next call.

    Raises:
        ValueError: it is missing or damaged; names the file.
        FormatError: another version of aelib wrote it.
    """
    file = folder / NAME
    identity = _identity(file)
    known = _parsed.get(file)
    if known and known[0] == identity:
        return known[1]
    content = _read(file)
    if identity:
        _parsed[file] = (identity, content)
    return content


def _read(file: Path) -> dict[str, Any]:
    content = read_json(file)
    if not isinstance(content, dict) or "sha256" not in content:
        raise ValueError(f"{file} is no manifest")
    if content.pop("sha256") != digest(content):
        raise ValueError(f"{file} {CHANGED}")
    if content.get("format") != FORMAT:
        raise FormatError(f"{file} was written by another version of aelib")
    if content.keys() != _PARTS - {"sha256"} or not isinstance(content["settings"], dict):
        raise ValueError(f"{file} is no manifest")
    for part in ("reads", "files"):
        table = content[part]
        if not isinstance(table, dict) or not all(_plain(*entry) for entry in table.items()):
            raise ValueError(f"{file} names what cannot be in a run")
    return content | {"digest": digest(content["files"])}


def read_belonging(directory: Path, stage: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a run's stage, or of the run itself (stage ""), which must belong to it.

    Args:
        settings: all of the run's.

    Raises:
        ValueError, FormatError: as `read`.
        ForeignError: it is of another stage, or of a run with other settings.
    """
    folder = directory / stage
    content = read(folder)
    if content["stage"] != stage or not agrees(content, settings):
        raise ForeignError(f"{folder / NAME} {FOREIGN}")
    return content


def agrees(content: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether all settings that a manifest holds have these values."""
    held = content["settings"]
    return all(name in settings and settings[name] == value for name, value in held.items())


def fault(folder: Path, name: str, files: dict[str, str]) -> str:
    """What is wrong with a file of a folder whose manifest lists `files`; "" if nothing is."""
    if name not in files:
        return STRANGE
    try:
        intact = _hash(folder / name) == files[name]
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if intact else CHANGED


def hashes(directory: Path, stages: Iterable[str]) -> dict[str, str]:
    """One hash over all files of each of these stages of a run: what a reader of it is bound to.

    A stage whose manifest is missing or damaged is left out.
    """
    known = {}
    for stage in stages:
        with suppress(ValueError):
            known[stage] = read(directory / stage)["digest"]
    return known


def changed(directory: Path, content: dict[str, Any]) -> list[str]:
    """The stages that this one read and that are now other ones; a missing one has not changed."""
    now = hashes(directory, content["reads"])
    return [stage for stage, known in now.items() if known != content["reads"][stage]]


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of JSON content, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def forget() -> None:
    """Read everything anew from now on: a disk may damage a file and leave its time alone."""
    _hashed.clear()
    _parsed.clear()


def _hash(file: Path) -> str:
    """`sha256`, once for each state of a file, under whatever name."""
    identity = _identity(file)
    if identity not in _hashed:
        found = sha256(file)
        if not identity:
            return found
        _hashed[identity] = found
    return _hashed[identity]


def _identity(file: Path) -> tuple[int, ...]:
    """What tells a file's state from others; () if there is none, or if it changed just now."""
    try:
        state = file.stat()
    except OSError:
        return ()
    if time.time_ns() - state.st_mtime_ns < _TICK:
        return ()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _plain(name: str, known: Any) -> bool:
    """Whether this is a hash, by a relative name that does not lead out of the folder."""
    if not isinstance(known, str) or len(name) >= 200:
        return False
    return not Path(name).is_absolute() and ".." not in Path(name).parts
