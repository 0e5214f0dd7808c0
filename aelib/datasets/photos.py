"""One photograph or one label map on disk: how it is read, and how a label map is written."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from ..support.files import picture
from ..support.kinds import kind_of
from .colours import label_of, moved, palette
from .found import missing

#: Pillow's names; of an animation, or of many pages, the first frame is read.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
_CURE = "save the labels themselves as an 8-bit palette or grey PNG"
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

    JPEG, PNG, WebP, TIFF or BMP; grey, palette, RGB, CMYK. Transparent pixels are laid over white,
    as on a page. Grey of 16 bits is scaled, 65535 to 255 (not stretched); of 16-bit colour Pillow
    reads the upper bytes. Colour profiles are not applied.

    Args:
        longest: a photograph with a longer side is reduced to it, pixels; 0 never.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged (a truncated JPEG, too), has another format, or more than
            files.LARGEST pixels; names the file. What Pillow decodes without complaint passes: a
            JPEG with nonsense in the middle, or zeros at the end instead of a cut.
    """
    return read_upright(file, longest)[0]


def read_upright(file: Path, longest: int = 0) -> tuple[np.ndarray, int]:
    """`read_photo`, and the EXIF orientation that it was stored in: 1 (upright) to 8."""
    with picture(Path(file), *FORMATS) as image:
        orientation = _orientation(image)
        turn = _UPRIGHT.get(orientation) if _to_turn(image) else None
        image.load()
        if image.mode == "F":
            raise ValueError("its pixels are fractions, whose range nobody knows: save 8 bits")
        upright = image if turn is None else image.transpose(turn)
        if upright.mode.startswith("I"):  # 0 to 65535, and 65535 = 257 * 255
            scaled = (np.asarray(upright).astype(np.int64) + 128) // 257
            upright = Image.fromarray(scaled.astype(np.uint8))
        elif upright.has_transparency_data:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
        rgb = shrunk(upright.convert("RGB"), longest, Image.Resampling.LANCZOS)
        return np.array(rgb), orientation


def size_of(file: Path, longest: int = 0) -> tuple[int, int]:
    """(H, W) of `read_photo(file, longest)`, without decoding the pixels.

    (A PNG is decoded: its EXIF data may lie behind the pixels.)

    Raises:
        FileNotFoundError, ValueError: as `read_photo`; damage behind the header is not seen.
    """
    with picture(Path(file), *FORMATS) as image:
        turned = _to_turn(image) and _orientation(image) >= 5
        size = image.size[::-1] if turned else image.size
        return reduced(size, longest)[::-1]


def reduced(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size in proportion, its longer side at most `longest` (0: any), no side under 1."""
    if not longest or max(size) <= longest:
        return size
    return tuple(max(1, round(side * longest / max(size))) for side in size)


def shrunk(image: Image.Image, longest: int, how: Image.Resampling) -> Image.Image:
    """The picture at its `reduced` size; the same object where that is the size it has."""
    size = reduced(image.size, longest)
    return image if size == image.size else image.resize(size, how)


def _to_turn(image: Image.Image) -> bool:
    return image.format != "TIFF"  # Pillow turns it itself


def _orientation(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings(action="ignore"):
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF data that cannot be read says nothing; the pixels are whole
        return 1
    return value if value in tuple(_UPRIGHT) else 1


class LabelMap(NamedTuple):
    """What a file holds.

    Attributes:
        labels: (H, W) uint8.
        grey: whether it is a grey picture, and no palette's.
        moved: see `colours.moved`; {} for a grey picture.
    """

    labels: np.ndarray
    grey: bool
    moved: dict[int, int]


def read_label_map(file: Path, longest: int = 0) -> LabelMap:
    """A palette or grey PNG of 8 bits.

    Args:
        longest: a map with a longer side is reduced to it, pixels, and each pixel takes the nearest
            label; 0 never.

    Raises:
        ValueError: it is missing, damaged, too large, or no label map (RGB, fewer or more bits, a
            JPEG); names the file and the cure.
    """
    file = Path(file)
    try:
        with picture(file, "PNG") as image:
            labels = np.array(shrunk(image, longest, Image.Resampling.NEAREST))
            wrong = _wrong(image, file)
            elsewhere = {} if wrong or image.mode != "P" else moved(labels, image)
            grey = image.mode == "L"
    except FileNotFoundError:
        raise ValueError(f"{missing(file)}; label maps are PNGs named after their ids") from None
    except ValueError as error:
        if kind_of(file) == "a JPEG":  # also under a PNG's name
            raise ValueError(f"{file} is a JPEG, which changes labels; {_CURE}") from error
        raise
    if wrong:
        raise ValueError(f"{file} is {wrong}")
    return LabelMap(labels, grey, elsewhere)


def read_labels(file: Path, relabel: bytes | None = None, longest: int = 0) -> np.ndarray:
    """The labels of `read_label_map`, (H, W) uint8.

    Args:
        relabel: 256 bytes, the new label of each label (see `selection.relabelling`); None
            leaves the labels as they are.

    Raises:
        ValueError: as `read_label_map`.
    """
    labels = read_label_map(file, longest).labels
    return labels if relabel is None else np.frombuffer(relabel, np.uint8)[labels]


def save_mask(file: Path, mask: np.ndarray) -> None:
    """Write a label map, (H, W) uint8, as a palette PNG in VOC's colours."""
    image = Image.fromarray(mask)
    image.putpalette(palette())
    image.save(file)


def from_colours(file: Path) -> np.ndarray:
    """The labels of a picture in VOC's colours (RGB, RGBA, or any palette), (H, W) uint8.

    Raises:
        ValueError: it cannot be read, or has a colour that is none of VOC's; names the file.
    """
    try:
        with picture(Path(file), "PNG") as image:
            rgb = np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise ValueError(missing(file)) from None
    colours, where = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    labels = [label_of(colour) for colour in colours.tolist()]
    if None in labels:
        strange = colours[labels.index(None)].tolist()
        raise ValueError(f"{file}: {strange} is no colour of VOC's; is it antialiased, or a JPEG?")
    return np.array(labels, np.uint8)[where.reshape(rgb.shape[:2])]


def _wrong(image: Image.Image, file: Path) -> str:
    """What the picture is, with the cure, if it is no label map."""
    depth = file.read_bytes()[24]  # of the header; Pillow scales grey of fewer bits
    if image.mode in ("1", "L") and depth < 8:
        return f"a grey PNG of {depth} bits, not of 8; {_CURE}"
    if image.mode in ("L", "P"):
        return ""
    what = f"a picture of mode {image.mode}, not a label map"
    if image.mode in ("RGB", "RGBA"):
        rgb = np.array(image.convert("RGB")).reshape(-1, 3)
        if all(label_of(colour) is not None for colour in np.unique(rgb, axis=0).tolist()):
            convert = "`python -m aelib data from-colours FOLDER OUT` makes label maps of them"
            return f"{what}: its colours are VOC's; {convert}"
    return f"{what}; {_CURE}"
