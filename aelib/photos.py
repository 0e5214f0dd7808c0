"""Photographs and their label maps on disk: opened when asked for, a split of them never held in memory.

`aelib.voc` and `aelib.folder` say which files there are (`Item`); what a run takes of them, and how it is read, is here.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from .files import nearest, picture
from .masks import IGNORE
from .parallel import in_order

FORMATS = ("JPEG", "PNG", "WEBP")  # Pillow's names; of an animation the first frame is read
_UPRIGHT = {  # EXIF orientation -> what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_photo(file: Path, longest: int = 0) -> np.ndarray:
    """A photograph as (H, W, 3) uint8 RGB, upright (EXIF orientation applied).

    JPEG, PNG or WebP; grey, palette, RGB, CMYK. Transparency is laid over white, as a page would show it. Grey of 16 bits is scaled,
    65535 to 255 (not stretched); of 16-bit colour Pillow reads the upper bytes. Colour profiles are not applied.

    Args:
        longest: a photograph with a longer side is reduced to it, pixels; 0 never.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged (a truncated JPEG, too), of another format, or has more than files.LARGEST pixels; names the file. What
            Pillow decodes without complaint passes: a JPEG with nonsense in the middle, or zeros at the end instead of a cut.
    """
    with picture(Path(file), *FORMATS) as image:
        turn = _UPRIGHT.get(_orientation(image))
        image.load()
        upright = image if turn is None else image.transpose(turn)
        if upright.mode.startswith("I"):  # 0 to 65535, and 65535 = 257 * 255
            upright = Image.fromarray(((np.asarray(upright).astype(np.int64) + 128) // 257).astype(np.uint8))
        elif upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return np.array(shrunk(upright.convert("RGB"), longest, Image.Resampling.LANCZOS))


def size_of(file: Path, longest: int = 0) -> tuple[int, int]:
    """(H, W) of `read_photo(file, longest)`, without decoding it (but a PNG: its EXIF data may lie behind the pixels).

    Raises:
        FileNotFoundError, ValueError: as `read_photo`; damage behind the header is not seen.
    """
    with picture(Path(file), *FORMATS) as image:
        size = image.size[::-1] if _orientation(image) >= 5 else image.size
        return reduced(size, longest)[::-1]


def reduced(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """A size whose longer side is at most `longest` (0: any), in proportion, no side under 1."""
    if not longest or max(size) <= longest:
        return size
    return tuple(max(1, round(side * longest / max(size))) for side in size)


def shrunk(image: Image.Image, longest: int, how: Image.Resampling) -> Image.Image:
    """The picture at its `reduced` size; itself if that is its own."""
    size = reduced(image.size, longest)
    return image if size == image.size else image.resize(size, how)


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in _UPRIGHT else 1


def read_labels(file: Path, become: bytes | None = None, longest: int = 0) -> np.ndarray:
    """A label map: a palette or grey PNG of 8 bits, (H, W) uint8.

    Args:
        become: 256 bytes: the label that each label turns into (see `relabelling`); None leaves them.
        longest: as for `read_photo`; each pixel takes the nearest label.

    Raises:
        ValueError: it is missing, damaged, too large, or no label map (RGB for example); names the file.
    """
    try:
        with picture(Path(file), "PNG") as image:
            labels, mode = np.array(shrunk(image, longest, Image.Resampling.NEAREST)), image.mode
    except FileNotFoundError:
        raise ValueError(f"{file} is missing") from None
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"{file} is a picture of mode {mode}, not a label map; save it as an 8-bit palette or grey PNG")
    return labels if become is None else np.frombuffer(become, np.uint8)[labels]


class Lazy(Sequence[np.ndarray]):
    """read(file) of each file, on access and every time anew; read must be a module's function for worker processes to get it.

    A slice is Lazy too. Raises on access what `read` raises. size(file) is (H, W) of what is read, told at less cost.
    """

    def __init__(self, read: Callable[[Path], np.ndarray], files: Iterable[Path], size: Callable[[Path], tuple[int, int]] = size_of) -> None:
        self.read, self.files, self.size = read, tuple(files), size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i):
        return Lazy(self.read, self.files[i], self.size) if isinstance(i, slice) else self.read(self.files[i])


def sizes(images: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """(H, W) of every image or mask; of files (`Lazy`) by their headers. Raises as `size_of`."""
    if isinstance(images, Lazy):
        return [images.size(file) for file in images.files]
    return [image.shape[:2] for image in images]


def full_sizes(images: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """`sizes` of photographs upright and whole, not reduced to a longest side."""
    return sizes(Lazy(read_photo, images.files) if isinstance(images, Lazy) else images)


# --- what a run takes of a data set -----------------------------------------------------------------------------------------


class Item(NamedTuple):
    """A picture on disk: its id, its file, its mask's file (which need not exist), the names of the classes in it."""

    id: str
    photo: Path
    mask: Path
    labels: frozenset[str]


def seeded(names: Iterable[str], seed: int) -> list[str]:
    """The names in an order at random that depends on the names and the seed alone, not on the order they come in.

    A name's place is decided by its hash: of two names the same one comes first whatever others there are, so the first
    60 of a data set are among its first 600.
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())


def kept(classes: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Those of the known classes that are asked for, in their known order; all of them if none is.

    Raises:
        ValueError: a class is unknown; says which is nearest.
    """
    asked = {classes} if isinstance(classes, str) else set(classes)
    if unknown := sorted(asked.difference(known)):
        wrong = ", ".join(f"{name!r} is unknown{nearest(name, known)}" for name in unknown)
        raise ValueError(f"classes: {wrong}; there are {', '.join(known)}")
    return tuple(name for name in known if not asked or name in asked)


def kept_at_all(classes: Iterable[str], known: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """For a check that goes on: `kept` of the classes that are known (all of them if none is), and what is wrong with the others."""
    asked = {classes} if isinstance(classes, str) else set(classes)
    try:
        return kept(asked, known), []
    except ValueError as error:
        return kept(asked.intersection(known), known), [str(error)]


def choose(items: Iterable[Item], classes: Sequence[str], limit: int, seed: int) -> tuple[Item, ...]:
    """Of the items with one or more of the classes `limit` at random (0: all), sorted by id.

    Raises:
        ValueError: limit is negative, or no item has any of the classes.
    """
    if limit < 0:
        raise ValueError(f"limit: {limit} pictures were asked for; 0 takes all")
    found = {item.id: item for item in items if not item.labels.isdisjoint(classes)}
    if not found:
        raise ValueError(f"classes: no picture has one of {', '.join(classes)}")
    names = sorted(found) if not limit else seeded(found, seed)[:limit]
    return tuple(found[name] for name in sorted(names))


def relabelling(classes: Sequence[str], known: Sequence[str]) -> bytes:
    """The table from labels of the known classes to labels of the kept ones: k -> j where known[k - 1] is classes[j - 1]; 0 stays 0.

    The classes left out become 255 (not counted, not learned from): a sofa is not background, and not a class that the network could answer.
    """
    table = bytearray([IGNORE] * 256)
    table[0] = 0
    for j, name in enumerate(classes, start=1):
        table[known.index(name) + 1] = j
    return bytes(table)


def faults(photo: Path, mask: Path | None, highest: int) -> list[str]:
    """All that is wrong with a photo and its mask; both are decoded, for nothing less finds a truncated file.

    Args:
        mask: a label map of the photo's size, 0..highest and 255; None if it needs none.
    """
    problems, size = [], None
    try:
        size = read_photo(photo).shape[:2]
    except FileNotFoundError:
        problems.append(f"{photo} is missing")
    except ValueError as error:
        problems.append(str(error))
    if mask is None:
        return problems
    try:
        labels = read_labels(mask)
    except ValueError as error:
        return [*problems, str(error)]
    if size is not None and labels.shape != size:
        problems.append(f"{mask} has {labels.shape[1]} x {labels.shape[0]} pixels (width x height), its photo {size[1]} x {size[0]}")
    if strange := sorted(set(np.unique(labels).tolist()) - {*range(highest + 1), IGNORE}):
        problems.append(f"{mask}: labels {', '.join(map(str, strange[:5]))} found where 0..{highest} and {IGNORE} belong")
    return problems


def all_faults(jobs: Sequence[tuple[Path, Path | None, int]], workers: int = 1, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """`faults` of every job, in worker processes; progress is called with the number done and of all."""
    problems = []
    for done, found in enumerate(in_order(faults, jobs, workers), start=1):
        problems += found
        if progress is not None:
            progress(done, len(jobs))
    return problems
