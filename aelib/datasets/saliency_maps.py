"""Saliency maps made elsewhere (DRFI's, a network's): read from a folder, and checked."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ..support.files import picture, refuse
from ..support.parallel import in_order
from .found import with_suffix
from .photos import shrunk

ENOUGH = 20  # maps from which on one can tell whether they are inverted


def map_file(folder: str | os.PathLike, name: str) -> Path:
    """Where the map of the picture `name` is: NAME.png, or NAME.jpg if only that is there."""
    return with_suffix(Path(folder), name, (".png", ".jpg", ".jpeg"))


def read_map(path: str | os.PathLike, size: tuple[int, int], longest: int = 0) -> np.ndarray:
    """A saliency map; white is salient.

    Args:
        path: a grey PNG of 8 or 16 bits, or a grey JPEG; colour files pass if their channels are
            equal.
        size: (height, width) of the picture it belongs to, pixels, upright and whole: a wrong
            size is a wrong file.
        longest: a map with a longer side is reduced to it, as its picture is
            (`photos.read_photo`), pixels; 0 never.

    Returns:
        (H, W) float32 in [0, 1]: 0 to 255, or 0 to 65535, divided by its greatest; not stretched.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a picture or is damaged, is not grey, or has another size.
    """
    path = Path(path)
    try:
        with picture(path, "PNG", "JPEG") as file:
            mode = file.mode
            values = np.asarray(file if mode.startswith("I;16") else file.convert("RGB"))
    except FileNotFoundError:
        rule = "there must be one for each image, named after its id"
        raise FileNotFoundError(f"{path}: no such saliency map; {rule}") from None
    except ValueError as error:
        raise ValueError(f"{error}; copy or make this map again") from error
    if mode not in ("1", "L", "P", "RGB") and not mode.startswith("I;16"):
        cure = "save saliency maps as grey PNG of 8 or 16 bits"
        raise ValueError(f"{path}: pixels of mode {mode}; {cure}")
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            hint = "is this the folder of the photographs, or of heat maps?"
            raise ValueError(f"{path}: a colour picture, not a grey saliency map; {hint}")
        values = values[..., 0]
    if values.shape != tuple(size):
        found, wanted = (f"{w}x{h} (width x height)" for h, w in (values.shape, size))
        cure = "make the map from this picture, at its full size"
        raise ValueError(f"{path}: the map is {found}, its picture {wanted}; {cure}")
    saliency = (values / np.iinfo(values.dtype).max).astype(np.float32)
    return np.array(shrunk(Image.fromarray(saliency), longest, Image.Resampling.BOX))


def check_maps(
    folder: str | os.PathLike,
    sizes: Mapping[str, tuple[int, int]],
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Look for everything that is wrong with a folder of saliency maps, before any training.

    Args:
        folder: `map_file`s, as `read_map` reads them.
        sizes: id of each picture -> its (H, W).
        workers: processes.
        progress: called with the number of maps done and of all.

    Raises:
        ValueError: maps that are missing, damaged, not grey or of another size; or, told from 20
            readable ones on, maps with white for background (`inverted`). All in one message.
    """
    problems = []
    excess = []
    jobs = [(map_file(folder, name), size) for name, size in sizes.items()]
    for done, (problem, value) in enumerate(in_order(_look_at, jobs, workers), start=1):
        if problem:
            problems.append(problem)
        else:
            excess.append(value)
        if progress is not None:
            progress(done, len(jobs))
    if len(excess) >= ENOUGH and np.mean(excess) > 0:
        what = "the maps are inverted, borders whiter than centres on average"
        problems.insert(0, f"{folder}: {what}; white must be salient: save 255 - map")
    refuse(f"problem(s) with the saliency maps in {folder}", problems)


def _look_at(path: Path, size: tuple[int, int]) -> tuple[str, float]:
    """What is wrong with a map; if nothing is, its `_border_excess`."""
    try:
        return "", _border_excess(read_map(path, size))
    except (ValueError, FileNotFoundError) as error:
        return str(error), 0.0


def inverted(maps: Iterable[np.ndarray]) -> bool:
    """Whether the maps look inverted: borders more salient, on average, than centres.

    A single picture may be so (a view through a window); the average of some twenty photographs
    of things is not. White for background is the usual mistake with maps read from a folder. Not
    in the paper: a guard of ours.

    Args:
        maps: one or more (H, W) in [0, 1], sizes may differ. Border: the outer 10 % on each side;
            centre: the middle half of each side.

    Raises:
        ValueError: there is no map.
    """
    excess = [_border_excess(saliency) for saliency in maps]
    if not excess:
        need = "at least 1 is needed to tell whether they are inverted"
        raise ValueError(f"maps: none were given; {need}")
    return bool(np.mean(excess) > 0)


def _border_excess(saliency: np.ndarray) -> float:
    """Mean of the border less mean of the centre."""
    height, width = saliency.shape
    ring = np.ones((height, width), bool)
    y, x = max(height // 10, 1), max(width // 10, 1)
    ring[y : height - y, x : width - x] = False
    centre = saliency[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return float(saliency[ring].mean() - centre.mean())
