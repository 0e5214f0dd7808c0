"""manifest.json: what a folder of a run holds, and what it belongs to.

    {"stage": its name,
     "settings": the run's,
     "reads": {stage: hash over that stage's files},
     "files": {name: hash},
     "sha256": of all this}

The hashes find a damaged file, "stage" and "settings" a folder of another run, "reads" a stage that
was made from something which has been made again since, with another outcome.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..support.files import read_json, sha256, write_json

NAME = "manifest.json"
MISSING = "is missing"
CHANGED = "is not what was written (truncated or changed)"
STRANGE = "was not written by the run"
FOREIGN = "belongs to another run or stage"
_PARTS = {"stage", "settings", "reads", "files", "sha256"}


class ForeignError(ValueError):
    """A manifest of another run or stage."""


def write(
    folder: Path, stage: str, settings: dict[str, Any], reads: dict[str, str], names: Iterable[str]
) -> None:
    """Hash the files of these names (relative, with /) and write the folder's manifest."""
    files = {name: sha256(folder / name) for name in sorted(names)}
    content = {"stage": stage, "settings": settings, "reads": reads, "files": files}
    write_json(folder / NAME, content | {"sha256": digest(content)})


def read(folder: Path) -> dict[str, Any]:
    """A folder's manifest, checked against its own hash.

    Raises:
        ValueError: it is missing or damaged; names the file.
    """
    file = folder / NAME
    content = read_json(file)
    if not isinstance(content, dict) or content.keys() != _PARTS:
        raise ValueError(f"{file} is no manifest of this version of aelib")
    if content.pop("sha256") != digest(content):
        raise ValueError(f"{file} {CHANGED}")
    for part in ("reads", "files"):
        table = content[part]
        if not isinstance(table, dict) or not all(_plain(*entry) for entry in table.items()):
            raise ValueError(f"{file} names what cannot be in a run")
    return content


def read_belonging(directory: Path, stage: str, settings: Any) -> dict[str, Any]:
    """The manifest of a run's stage, or of the run itself (stage ""), which must belong to it.

    Raises:
        ValueError: as `read`.
        ForeignError: it is of another stage, or of a run with other settings.
    """
    folder = directory / stage
    content = read(folder)
    if (content["stage"], content["settings"]) != (stage, settings):
        raise ForeignError(f"{folder / NAME} {FOREIGN}")
    return content


def fault(folder: Path, name: str, files: dict[str, str]) -> str:
    """What is wrong with a file of a folder whose manifest lists `files`; "" if nothing is."""
    if name not in files:
        return STRANGE
    try:
        intact = sha256(folder / name) == files[name]
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
            known[stage] = digest(read(directory / stage)["files"])
    return known


def changed(directory: Path, content: dict[str, Any]) -> list[str]:
    """The stages that this one read and that are now other ones; a missing one has not changed."""
    now = hashes(directory, content["reads"])
    return [stage for stage, known in now.items() if known != content["reads"][stage]]


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of JSON content, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(name: str, known: Any) -> bool:
    """Whether this is a hash, by a relative name that does not lead out of the folder."""
    if not isinstance(known, str) or len(name) >= 200:
        return False
    return not Path(name).is_absolute() and ".." not in Path(name).parts
