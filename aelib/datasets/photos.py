"""One photograph or one label map on disk: how it is read, and how a label map is written."""

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from ..support.files import picture

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

    JPEG, PNG or WebP; grey, palette, RGB, CMYK. Transparent pixels are laid over white, as on a
    page. Grey of 16 bits is scaled, 65535 to 255 (not stretched); of 16-bit colour Pillow reads
    the upper bytes. Colour profiles are not applied.

    Args:
        longest: a photograph with a longer side is reduced to it, pixels; 0 never.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged (a truncated JPEG, too), has another format, or more than
            files.LARGEST pixels; names the file. What Pillow decodes without complaint passes: a
            JPEG with nonsense in the middle, or zeros at the end instead of a cut.
    """
    with picture(Path(file), *FORMATS) as image:
        turn = _UPRIGHT.get(_orientation(image))
        image.load()
        upright = image if turn is None else image.transpose(turn)
        if upright.mode.startswith("I"):  # 0 to 65535, and 65535 = 257 * 255
            scaled = (np.asarray(upright).astype(np.int64) + 128) // 257
            upright = Image.fromarray(scaled.astype(np.uint8))
        elif upright.has_transparency_data:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
        return np.array(shrunk(upright.convert("RGB"), longest, Image.Resampling.LANCZOS))


def size_of(file: Path, longest: int = 0) -> tuple[int, int]:
    """(H, W) of `read_photo(file, longest)`, without decoding the pixels.

    (A PNG is decoded: its EXIF data may lie behind the pixels.)

    Raises:
        FileNotFoundError, ValueError: as `read_photo`; damage behind the header is not seen.
    """
    with picture(Path(file), *FORMATS) as image:
        size = image.size[::-1] if _orientation(image) >= 5 else image.size
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


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in _UPRIGHT else 1


def read_labels(file: Path, relabel: bytes | None = None, longest: int = 0) -> np.ndarray:
    """A label map: a palette or grey PNG of 8 bits, (H, W) uint8.

    Args:
        relabel: 256 bytes, the new label of each label (see `selection.relabelling`); None
            leaves the labels as they are.
        longest: as for `read_photo`; each pixel takes the nearest label.

    Raises:
        ValueError: it is missing, damaged, too large, or no label map (RGB for example); names
            the file.
    """
    try:
        with picture(Path(file), "PNG") as image:
            labels = np.array(shrunk(image, longest, Image.Resampling.NEAREST))
            mode = image.mode
    except FileNotFoundError:
        raise ValueError(f"{file} is missing") from None
    if labels.ndim != 2 or labels.dtype != np.uint8:
        cure = "save it as an 8-bit palette or grey PNG"
        raise ValueError(f"{file} is a picture of mode {mode}, not a label map; {cure}")
    return labels if relabel is None else np.frombuffer(relabel, np.uint8)[labels]


def save_mask(file: Path, mask: np.ndarray) -> None:
    """Write a label map, (H, W) uint8, as a palette PNG in VOC's colours."""
    image = Image.fromarray(mask)
    image.putpalette(palette())
    image.save(file)


def palette(count: int = 256) -> list[int]:
    """VOC's colour map: RGB of each label in turn, 3 * count numbers.

    The bits of a label go to the high bits of R, G, B, R, G, B and so on.
    """
    colours = []
    for label in range(count):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colours += rgb
    return colours
