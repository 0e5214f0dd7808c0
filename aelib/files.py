"""Writing whole files or none; reading JSON and pictures that may be damaged or hostile."""

import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

LARGEST = 50_000_000  # pixels of a picture; a file of a few kB can claim to hold billions


def write_whole(file: Path, content: bytes) -> None:
    """Write so that after a kill, a full disk or a power cut the file is either the old one or the whole new one.

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


def write_json(file: Path, content: Any) -> None:
    """`write_whole` of JSON, indented by one space."""
    write_whole(file, (json.dumps(content, indent=1) + "\n").encode())


def read_json(file: Path) -> Any:
    """Content of a JSON file.

    Raises:
        ValueError: it cannot be read, or is no JSON; names the file.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
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
        formats: Pillow's names of those that are welcome, such as "PNG".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another format, more than LARGEST pixels (told by its header, before any is decoded), or is damaged.
    """
    try:
        with Image.open(file, formats=formats) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(f"it has {image.width} x {image.height} pixels, more than {LARGEST:,}")
            yield image
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged picture raises nearly anything in Pillow
        raise ValueError(f"{file} cannot be read as a picture ({error})") from error


def plain(name: str) -> bool:
    """Whether a name from a list or a table stays in the folder it is put into, on any system."""
    return bool(name) and not any(mark in name for mark in "/\\:\0") and not name.startswith(".")


def nearest(name: object, known: Iterable[str]) -> str:
    """ " (did you mean ...?)" with the known name that is most alike; "" if none is."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def refuse(what: str, problems: Sequence[str]) -> None:
    """Nothing, if there are no problems.

    Raises:
        ValueError: there are; the message is their number, `what`, and the first 20 of them, a line each.
    """
    if problems:
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ValueError(f"{len(problems)} {what}:\n  " + "\n  ".join(problems[:20]) + more)
