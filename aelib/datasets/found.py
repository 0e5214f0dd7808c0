"""Finding a file by its name, and saying what lies there instead where it is missing."""

from functools import lru_cache
from pathlib import Path

from ..support.kinds import pruned

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")


def with_suffix(folder: Path, stem: str, suffixes: tuple[str, ...]) -> Path:
    """FOLDER/STEM with the first of these suffixes, in small letters or capitals, that is there.

    The first suffix in small letters if none is.
    """
    for suffix in suffixes:
        for written in (suffix, suffix.upper()):
            file = folder / f"{stem}{written}"
            if file.exists():
                return file
    return folder / f"{stem}{suffixes[0]}"


def missing(file: Path) -> str:
    """Says that a file is missing, and what of nearly that name is there."""
    if not file.parent.is_dir():
        name = file.parent.name
        near = [other for other in pruned(file.parent.parent) if other.casefold() == name]
        also = f" ({near[0]} is there)" if near else ""
        return f"{file} is missing: there is no folder {name}{also}"
    there = _by_stem(file.parent, file.parent.stat().st_mtime_ns)
    stem = file.name.casefold()
    near = there.get(stem) or there.get(_stem(stem))
    return f"{file} is missing" + (f" ({near} is there)" if near else "")


@lru_cache(maxsize=8)
def _by_stem(folder: Path, _changed: int) -> dict[str, str]:
    """Names in a folder by what they are without capitals and suffix."""
    return {_stem(name.casefold()): name for name in pruned(folder)}


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix}" in PHOTO_SUFFIXES else name
