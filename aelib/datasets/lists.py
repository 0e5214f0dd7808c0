"""Lists of ids as they circulate: one id a line, two columns of paths, ids with 1 and -1."""

import re
from collections import Counter
from pathlib import Path

from ..support.files import plain
from .found import PHOTO_SUFFIXES

_UTF_8 = "save it in UTF-8 (Excel: 'CSV UTF-8'; Notepad: Encoding)"
#: A mark lies also in the middle, where files were joined; copies from web pages hold the others.
_UNSEEN = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u2060"))
_MARKED = re.compile(r"(.*\S)(\s+)(-1|0|1)")  # "ID  1": ImageSets/Main; "ID -1": psa


def read_text(file: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it has another encoding, or cannot be read; names the file and the cure.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error})") from error
    zeros = content.count(b"\0")  # of UTF-16 about every second byte
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or 0 < len(content) < 3 * zeros:
        raise ValueError(f"{file} cannot be read as text: it is UTF-16; {_UTF_8}")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        found = f"byte {content[error.start]:#x} is no UTF-8"
        raise ValueError(f"{file} cannot be read as text: {found}; {_UTF_8}") from error
    return text.translate(_UNSEEN)


def read_ids(file: Path) -> tuple[list[str], list[str]]:
    """The ids of a list, each once, and what is wrong with it.

    An id may hold blanks and dots. Of `/JPEGImages/ID.jpg /SegmentationClassAug/ID.png` the id is
    the first name without its suffix. Of `ID 1` and `ID -1`, as in ImageSets/Main, only the lines
    with 1 count; where all have one number it says nothing, and all count.

    Raises:
        FileNotFoundError, ValueError: as `read_text`.
    """
    lines = [line.strip() for line in read_text(file).splitlines()]
    names = [_id(line) for line in _unmarked([line for line in lines if line])]
    problems = [] if names else [f"{file}: no id in it"]
    counts = Counter(names)
    for name, times in counts.items():
        if not plain(name):
            rule = "one a line is needed, without folder"
            problems.append(f"{file}: {name!r} is no plain id; {rule}")
        elif times > 1:
            problems.append(f"{file}: {name} is listed more than once ({times} times)")
    return [name for name in counts if plain(name)], problems


def _unmarked(lines: list[str]) -> list[str]:
    """The lines without their 1 or -1, if all have one."""
    marked = [_MARKED.fullmatch(line) for line in lines]
    if not lines or not all(marked):
        return lines
    names = [match[1] for match in marked]
    numbers = [match[3] for match in marked]
    aligned = "-1" in numbers or any(len(match[2]) > 1 for match in marked)
    if not aligned or len({*names}) < len(names):  # ids such as "IMG 0" and "IMG 1"
        return lines
    if len({*numbers}) == 1:
        return names
    return [name for name, number in zip(names, numbers, strict=True) if number == "1"]


def _id(line: str) -> str:
    """The id in a line: of two paths, or two names of one picture, the first one's."""
    path = line.replace("\\", "/")
    columns = re.split(r"[\s,]+(?=\S*/)", path)
    words = re.split(r"[\s,]+", path)
    if len(columns) == 1 and len(words) == 2 and len({_stem(word) for word in words}) == 1:
        columns = words
    first = columns[0]
    name = _stem(first)
    of_one = all(_stem(column) == name for column in columns)
    is_file = len(columns) > 1 or not first.endswith(name)
    return name if is_file and of_one and ".." not in first.split("/") else line


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.casefold()}" in PHOTO_SUFFIXES else name
