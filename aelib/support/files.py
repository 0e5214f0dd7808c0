"""Writing whole files or none; reading JSON and pictures that may be damaged or hostile."""

import difflib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from .errors import InputError
from .kinds import kind_of

_ABOVE = Path(__file__).resolve().parents[2]
#: Whether the package lies in the project, or in a copy of it that a sheet is graded in.
IN_CLONE = any((_ABOVE / name).is_file() for name in ("pyproject.toml", "data/lesson.json"))
#: Where relative folders start: the project's root, or, of an installed package, where one is.
ROOT = _ABOVE if IN_CLONE else Path.cwd()
LARGEST = 50_000_000  # pixels of a picture; a file of a few kB can claim to hold billions
_LISTED = 20  # problems that a message spells out


def write_whole(file: Path, content: bytes) -> None:
    """Write the file as a whole: a kill, a full disk or a power cut leaves the old one or the new.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source` (a hard link), or a copy where that cannot be.

    Missing folders are made.

    Raises:
        OSError: it cannot be read or written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, a file of somebody else's, a file system without links
        shutil.copyfile(source, target)


def write_json(file: Path, content: Any) -> None:
    """`write_whole` of JSON, indented by one space."""
    write_whole(file, (json.dumps(content, indent=1) + "\n").encode())


def read_json(file: Path) -> Any:
    """Content of a JSON file.

    Raises:
        ValueError: it cannot be read, or is no JSON; names the file.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read ({error})") from error


def sha256(file: Path) -> str:
    """The hash of a file's bytes, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def picture(file: Path, *formats: str) -> Iterator[Image.Image]:
    """A picture, open: decode it within the block.

    Args:
        formats: Pillow's names of the formats that are accepted, such as "PNG".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another format, is damaged, or has more than LARGEST pixels (read from
            its header, before any pixel is decoded).
    """
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            opened = Image.open(
                file, formats=formats
            )  # it may warn of EXIF data: they are not read
        with opened as image:
            if image.width * image.height > LARGEST:
                size = f"{image.width} x {image.height}"
                raise ValueError(f"it has {size} pixels, more than {LARGEST:,}")
            yield image
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged picture raises nearly anything in Pillow
        raise ValueError(_unreadable(file, formats, error)) from error


def _unreadable(file: Path, formats: Sequence[str], error: Exception) -> str:
    """What is wrong with a picture: it is of another kind, or what Pillow says of it."""
    kind = kind_of(file)
    if not kind or kind.split()[-1].upper() in formats:
        return f"{file} cannot be read as a picture ({error})"
    wanted = ", ".join(formats[:-1]) + f" or {formats[-1]}" if formats[1:] else formats[0]
    cure = "" if ":" in kind else f"; {wanted} is needed: convert it"
    return f"{file} cannot be read as a picture: it is {kind}{cure}"


def plain(name: str) -> bool:
    """Whether a name from a list or a table stays in its folder, on any operating system."""
    return bool(name) and not any(mark in name for mark in "/\\:\0") and not name.startswith(".")


def nearest(name: object, known: Iterable[str]) -> str:
    """Returns " (did you mean ...?)" with the known name that is most alike; "" if none is."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def refuse(what: str, problems: Sequence[str]) -> None:
    """Raise one error for all problems; do nothing if there are none.

    Raises:
        InputError: with their number, `what`, and the first 20 of them, one a line.
    """
    if not problems:
        return
    lines = [f"{len(problems)} {what}:", *problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"and {len(problems) - _LISTED} more")
    raise InputError("\n  ".join(lines))
