"""The background cue: what does not stand out, and runs along the picture's border, is background.

Source: Zhu, Liang, Wei, Sun, "Saliency Optimization from Robust Background Detection" (RBD), CVPR 2014. Wei et al. (CVPR 2017)
take DRFI's maps for this job; DRFI is trained on pixel masks and its code is not at hand, RBD is trained on nothing. Whoever has
DRFI's maps, or any others, reads them with `read_map`.

"Paper" below is Zhu et al., "public code" their MATLAB release. The code adds to the paper: a two-ring neighbourhood, distances clipped
at a per-picture noise level, a per-picture sigma_clr, an Otsu cut of the contrast, background weighted 5 or more times. They sharpen the
maps, but rank the pixels no better: all together they moved the area under the ROC curve by +0.005 on creatures and by -0.011 on
photographs (150 and 60 train pictures), so this is the paper's plain form.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist
from skimage.color import rgb2lab
from skimage.segmentation import slic

from .files import picture, refuse
from .parallel import in_order
from .photos import shrunk

COMPACTNESS = 20.0  # of SLIC: the larger, the squarer the superpixels (public code)
SIGMA_CLR = 10.0  # Lab units: how far a colour may drift and still count as the same region (paper; public code: 5 to 10 by picture)
SIGMA_BNDCON = 1.0  # boundary connectivity at which a region is background with probability 0.39 (paper and public code)
SIGMA_SPA = 0.25  # share of the picture's side: the reach of contrast (paper; public code: 0.4)
MU = 0.1  # least smoothness between neighbours, however different their colours (paper and public code)


def robust_background(image: np.ndarray, superpixels: int = 150) -> np.ndarray:
    """Saliency of every pixel: 0 is background, 1 the most salient superpixel of this picture.

    Args:
        image: (H, W, 3) uint8, RGB; any size from 1x1 on.
        superpixels: about how many pieces SLIC cuts the picture into, 1 or more.

    Returns:
        (H, W) float32 in [0, 1], constant on each superpixel; min-max normalised per picture, so 1 says "the most salient here", not
        "certainly an object". All 0 for a picture in which nothing stands out, a single colour for example.

    Raises:
        ValueError: the image is not (H, W, 3) uint8, or superpixels is below 1.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image: (H, W, 3) uint8 RGB is needed, got {image.shape} {image.dtype}; a grey picture is repeated 3 times")
    if superpixels < 1:
        raise ValueError(f"superpixels: {superpixels} were asked for; at least 1 is needed")
    labels, colour, position = superpixel_means(image, superpixels)
    adjacent, border = adjacency(labels)
    distance = cdist(colour, colour)  # d_app(p, q), Lab
    connectivity = boundary_connectivity(distance, adjacent, border)
    w_bg = 1 - np.exp(-(connectivity**2) / (2 * SIGMA_BNDCON**2))  # background probability
    w_fg = weighted_contrast(distance, cdist(position, position), w_bg)
    smooth = adjacent * (np.exp(-(distance**2) / (2 * SIGMA_CLR**2)) + MU)  # w_ij of eq. 9
    return stretch(optimise(w_bg, w_fg, smooth)).astype(np.float32)[labels]


def superpixel_means(image: np.ndarray, superpixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SLIC, and each piece's mean Lab colour (N, 3) and mean (y, x) (N, 2) in shares of height and width; labels (H, W) in 0 ... N - 1."""
    height, width = image.shape[:2]
    # 10 iterations; SLIC stretches the picture's range first, which only moves the cuts: colours are measured on the picture as it is
    labels = slic(image, superpixels, compactness=COMPACTNESS, start_label=0)
    labels = np.unique(labels, return_inverse=True)[1].reshape(height, width)  # no gaps
    y, x = np.mgrid[:height, :width]
    features = [*np.moveaxis(rgb2lab(image), 2, 0), y / height, x / width]
    means = np.stack([np.bincount(labels.ravel(), f.ravel()) for f in features], axis=1) / np.bincount(labels.ravel())[:, None]
    return labels, means[:, :3], means[:, 3:]


def adjacency(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The superpixels' graph: (N, N) bool, symmetric, who touches whom (8 neighbours); (N,) bool, who touches the picture's border."""
    count = labels.max() + 1
    adjacent = np.zeros((count, count), bool)
    for a, b in [
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ]:
        adjacent[a, b] = adjacent[b, a] = True
    np.fill_diagonal(adjacent, False)
    border = np.zeros(count, bool)
    border[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    return adjacent, border


def boundary_connectivity(distance: np.ndarray, adjacent: np.ndarray, border: np.ndarray) -> np.ndarray:
    """How much of the region around a superpixel lies along the picture's border, against the region's size.

    Both are counted in superpixels, so the ratio keeps its value when a picture is cut finer.

    Args:
        distance: (N, N), colour distance of every two superpixels, Lab.
        adjacent: (N, N) bool, symmetric. border: (N,) bool.

    Returns:
        (N,), 0 or more: near 0 for an object inside the picture, 1 and more for background.
    """
    linked = adjacent | np.outer(border, border)  # one background, though an object cuts it: border superpixels are neighbours
    p, q = np.nonzero(linked)
    graph = coo_array((distance[p, q], (p, q)), shape=distance.shape)  # keeps edges of length 0
    geodesic = shortest_path(graph.tocsr(), method="D", directed=False)  # d_geo(p, q): least sum of d_app along a path
    same = np.exp(-(geodesic**2) / (2 * SIGMA_CLR**2))  # S(p, q) = exp(-d_geo^2 / 2 sigma_clr^2)
    area = same.sum(axis=1)  # spanning area: Area(p) = sum_q S(p, q)
    length = same[:, border].sum(axis=1)  # Len_bnd(p) = sum_q S(p, q) [q on the border]
    return length / np.sqrt(area)  # BndCon(p)


def weighted_contrast(distance: np.ndarray, apart: np.ndarray, w_bg: np.ndarray) -> np.ndarray:
    """wCtr: how unlike the background around it a superpixel looks, min-max to [0, 1] so that it weighs as much as w_bg.

    Args:
        distance: (N, N), Lab. apart: (N, N), distance of centres in shares of the picture's side. w_bg: (N,) in [0, 1].
    """
    near = np.exp(-(apart**2) / (2 * SIGMA_SPA**2))  # w_spa(p, q)
    return stretch((distance * near) @ w_bg)  # sum_q d_app(p, q) w_spa(p, q) w_bg(q)


def optimise(w_bg: np.ndarray, w_fg: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """The saliency s (N,) that is least in cost: sum_i w_bg_i s_i^2 + sum_i w_fg_i (s_i - 1)^2 + sum_{i<j} w_ij (s_i - s_j)^2. Eq. 9.

    Setting the gradient to 0 gives (D - W + diag(w_bg + w_fg)) s = w_fg where D holds the row sums of W = smooth,
    (N, N) and symmetric. w_bg and w_fg are (N,) in [0, 1]; then so is s.
    """
    laplacian = np.diag(smooth.sum(axis=1)) - smooth
    return np.linalg.solve(laplacian + np.diag(w_bg + w_fg), w_fg)


def stretch(values: np.ndarray) -> np.ndarray:
    """Min-max to [0, 1]; all 0 where the range is under 1e-6: rounding noise is not a salient thing."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high - low > 1e-6 else np.zeros_like(values)


def saliency_all(
    images: Iterable[np.ndarray], superpixels: int = 150, workers: int = 1, progress: Callable[[int], None] | None = None
) -> Iterator[np.ndarray]:
    """`robust_background` of every image, in order; the maps are the same however many processes make them.

    Args:
        images: (H, W, 3) uint8 RGB, of any and of differing sizes. May be a generator: only a few per worker are held at a time.
        superpixels: as for `robust_background`.
        workers: processes; 1 or less works in this one.
        progress: called with the number of maps done, before each is handed over.

    Yields:
        (H, W) float32 in [0, 1].

    Raises:
        ValueError: as `robust_background`, once the map at fault is due.
    """
    for done, saliency in enumerate(in_order(robust_background, ((image, superpixels) for image in images), workers), start=1):
        if progress is not None:
            progress(done)
        yield saliency


def read_map(path: str | os.PathLike, size: tuple[int, int], longest: int = 0) -> np.ndarray:
    """A saliency map made elsewhere (DRFI's, a network's): white is salient.

    Args:
        path: a grey PNG of 8 or 16 bits, or a grey JPEG; colour files pass if their channels are equal.
        size: (height, width) of the picture it belongs to, pixels, upright and whole: a wrong size is a wrong file.
        longest: a map with a longer side is reduced to it, as its picture is (`photos.read_photo`), pixels; 0 never.

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
        raise FileNotFoundError(f"{path}: no such saliency map; there must be one for each image, named after its id") from None
    except ValueError as error:
        raise ValueError(f"{error}; copy or make this map again") from error
    if mode not in ("1", "L", "P", "RGB") and not mode.startswith("I;16"):
        raise ValueError(f"{path}: pixels of mode {mode}; save saliency maps as grey PNG of 8 or 16 bits")
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise ValueError(f"{path}: a colour picture, not a grey saliency map; is this the folder of the photographs, or of heat maps?")
        values = values[..., 0]
    if values.shape != tuple(size):
        found, wanted = (f"{w}x{h} (width x height)" for h, w in (values.shape, size))
        raise ValueError(f"{path}: the map is {found}, its picture {wanted}; make the map from this picture, at its full size")
    saliency = (values / np.iinfo(values.dtype).max).astype(np.float32)
    return np.array(shrunk(Image.fromarray(saliency), longest, Image.Resampling.BOX))


def inverted(maps: Iterable[np.ndarray]) -> bool:
    """True if the maps look upside down in value: the pictures' borders more salient, on average, than their centres.

    A single picture may well be so (a view through a window); of some twenty photographs of things, the average is not. White for
    background is the usual mistake with maps read from a folder. Not in the paper: a guard of ours.

    Args:
        maps: one or more (H, W) in [0, 1], sizes may differ. Border: the outer 10 % on each side; centre: the middle half of each side.

    Raises:
        ValueError: there is no map.
    """
    excess = [_border_excess(saliency) for saliency in maps]
    if not excess:
        raise ValueError("maps: none were given; at least 1 is needed to tell whether they are inverted")
    return bool(np.mean(excess) > 0)


def _border_excess(saliency: np.ndarray) -> float:
    """Mean of the border less mean of the centre."""
    height, width = saliency.shape
    ring = np.ones((height, width), bool)
    y, x = max(height // 10, 1), max(width // 10, 1)
    ring[y : height - y, x : width - x] = False
    centre = saliency[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return float(saliency[ring].mean() - centre.mean())


def map_file(folder: str | os.PathLike, name: str) -> Path:
    """Where the map of the picture `name` is: folder/NAME.png, or NAME.jpg if only that is there."""
    files = [Path(folder) / f"{name}{suffix}" for suffix in (".png", ".jpg")]
    return files[1] if files[1].exists() and not files[0].exists() else files[0]


def check_maps(
    folder: str | os.PathLike, sizes: Mapping[str, tuple[int, int]], workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> None:
    """Everything that is wrong with a folder of saliency maps, before any training.

    Args:
        folder: `map_file`s, as `read_map` reads them.
        sizes: id of each picture -> its (H, W).
        workers: processes. progress: called with the number of maps done and of all.

    Raises:
        ValueError: maps that are missing, damaged, not grey or of another size; or, told from 20 readable ones on, maps with white for
            background (`inverted`). All in one message.
    """
    problems, excess = [], []
    jobs = [(map_file(folder, name), size) for name, size in sizes.items()]
    for done, (problem, value) in enumerate(in_order(_look_at, jobs, workers), start=1):
        if problem:
            problems.append(problem)
        else:
            excess.append(value)
        if progress is not None:
            progress(done, len(jobs))
    if len(excess) >= 20 and np.mean(excess) > 0:
        problems.insert(0, f"{folder}: the maps are inverted, borders whiter than centres on average; white must be salient: save 255 - map")
    refuse(f"problem(s) with the saliency maps in {folder}", problems)


def _look_at(path: Path, size: tuple[int, int]) -> tuple[str, float]:
    try:
        return "", _border_excess(read_map(path, size))
    except (ValueError, FileNotFoundError) as error:
        return str(error), 0.0
