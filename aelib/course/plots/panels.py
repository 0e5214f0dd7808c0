"""Panels with a picture: the picture itself, outlines, label maps, and label maps in words.

The same in every figure; tensors on the CPU work as arrays do:
* an image is RGB, (H, W, 3) uint8 or float in [0, 1], or (3, H, W) as in torch;
* a label map is (H, W): 0 background, c + 1 for classes[c], 255 ignored; `classes` never contains
  the background;
* an outline and a name tell a region as well as its colour.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from scipy import ndimage

from ...masks import IGNORE
from .style import COLOURS, WIDTH, Figure, colour, column_width, dash, new_figure, set_title

PICTURE = 2.2  # inches: the largest picture


def picture_grid(
    rows: int, columns: int, images: Sequence, wider: float = 0, higher: float = 0
) -> tuple[Figure, np.ndarray]:
    """Return a figure and empty axes, (rows, columns), for titled pictures of the images' shapes.

    wider, higher: inches to spare.
    """
    side = min(PICTURE, WIDTH / columns)
    shapes = [rgb(image).shape for image in images]
    tallest = max((height / width for height, width, _ in shapes), default=1)
    size = (side * columns + wider, (side * min(tallest, 1.5) + 0.3) * rows + higher)
    figure, axes = new_figure(rows, columns, figsize=size)
    for ax in axes.flat:
        ax.axis("off")
    return figure, axes


def rgb(image) -> np.ndarray:
    """Return a new (H, W, 3) float array in [0, 1]."""
    image = np.asarray(image)
    if image.shape[0] == 3 and image.shape[-1] != 3:
        image = image.transpose(1, 2, 0)
    return image / 255 if image.dtype == np.uint8 else image.clip(0, 1).astype(float)


def grey(image, darkest: float = 0.25) -> np.ndarray:
    """Return the image in grey, (H, W, 3), with black lifted to `darkest`."""
    luma = rgb(image) @ [[0.299], [0.587], [0.114]]
    return np.repeat(darkest + (1 - darkest) * luma, 3, axis=2)


def show(ax: Axes, picture: np.ndarray, title: str = "", **kwargs):
    """Show a picture, pixel by pixel. Returns the AxesImage."""
    shown = ax.imshow(picture, interpolation="nearest", **kwargs)
    ax.set_autoscale_on(False)  # outlines do not move the frame
    set_title(ax, title)
    return shown


def outline(ax: Axes, values: np.ndarray, level: float, ink, dashes: str = "-") -> None:
    """Draw a line around the pixels whose value is above `level`, if there are any."""
    if not (values > level).any():
        return
    style = {"colors": [ink], "linestyles": [dashes], "linewidths": 1.6}
    lines = ax.contour(*_framed(values), levels=[level], **style)
    lines.set_path_effects([withStroke(linewidth=3.2, foreground="white")])


def _framed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and the values in a frame of zeros: outlines close at the picture's border."""
    height, width = values.shape
    return np.arange(-1, width + 1), np.arange(-1, height + 1), np.pad(values.astype(float), 1)


def label_map(
    ax: Axes,
    image,
    labels,
    names: Sequence[str],
    title: str = "",
    palette: Sequence[str] = COLOURS,
) -> None:
    """Draw a label map over the grey image: colour, outline and name; 255 hatched."""
    labels, ground = np.asarray(labels), grey(image)
    present = _present(labels)
    for k in present:
        ground[labels == k] = 0.45 * ground[labels == k] + 0.55 * colour(k - 1, palette)
    ignored = labels == IGNORE
    ground[ignored] = 0.3 * ground[ignored] + 0.5
    show(ax, ground, title)
    if ignored.any():
        ax.contourf(*_framed(ignored), levels=[0.5, 1.5], colors="none", hatches=["////"])
    for k in present:
        outline(ax, labels == k, 0.5, colour(k - 1, palette), dash(k - 1, palette))
    placed: list[tuple[float, float, float]] = []
    for k in sorted(present, key=lambda k: -(labels == k).sum()):
        ink = colour(k - 1, palette)
        placed.append(_write_name(ax, labels == k, names[k - 1], ink, placed))


def _present(labels: np.ndarray) -> list[int]:
    """Return the labels in the map, without background and ignored."""
    return [int(k) for k in np.unique(labels) if 0 < k < IGNORE]


def _write_name(ax, region, name, ink, placed) -> tuple[float, float, float]:
    """Write the name over the region's largest piece, inside the picture, clear of `placed`.

    A piece that the name would hide gets it above or below.

    Returns (x, y, half its width), in picture widths; `placed` holds those of earlier names.
    """
    height, width = region.shape
    half_width = (0.034 * len(name) + 0.06) / column_width(ax)
    name_height = 0.17 / column_width(ax)
    piece = _largest_piece(region)
    y, x = (centre / width for centre in ndimage.center_of_mass(piece))
    if piece.sum() / width**2 < 2 * half_width * name_height:
        reach = piece.any(axis=1).sum() / width / 2 + 0.7 * name_height
        y += reach if y - reach < name_height / 2 else -reach
    x = float(np.clip(x, half_width, max(1 - half_width, half_width)))
    y = _free_height(x, y, half_width, name_height, height / width, placed)
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": ink, "alpha": 0.9}
    font = {"size": 8, "ha": "center", "va": "center", "color": "black"}
    ax.text(x * width, y * width, name, bbox=box, **font)
    return x, y, half_width


def _largest_piece(region: np.ndarray) -> np.ndarray:
    pieces, _ = ndimage.label(region)
    return pieces == np.bincount(pieces[region]).argmax()


def _free_height(x, y, half_width, name_height, picture_height, placed) -> float:
    """Return the height next to y at which the name touches no other; y if there is none."""
    for shift in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        height = y + shift * name_height
        inside = name_height / 2 <= height <= picture_height - name_height / 2
        if inside and all(
            abs(x - other_x) > half_width + other_half or abs(height - other_y) > 0.95 * name_height
            for other_x, other_y, other_half in placed
        ):
            return height
    return y


def explain_ignored(figure: Figure, *label_maps) -> None:
    """Add a legend for the hatching, and room for it, where a map has ignored pixels."""
    if any((np.asarray(labels) == IGNORE).any() for labels in label_maps):
        figure.set_figheight(figure.get_figheight() + 0.3)
        patch = Patch(facecolor="#c0c0c0", edgecolor="#5a5a5a", hatch="////")
        patch.set_label("ignored (255)")
        figure.legend(handles=[patch], loc="outside lower center")


# --- words --------------------------------------------------------------------------------------


def share(region) -> str:
    """Return the share of the pixels that are True, such as "12%"."""
    return f"{np.mean(region):.0%}"


def in_words(labels, names: Sequence[str]) -> str:
    """Return what a label map holds: each label's name and share of the pixels."""
    labels = np.asarray(labels)
    words = [f"{names[k - 1]} {share(labels == k)}" for k in _present(labels)] or ["nothing"]
    if (labels == IGNORE).any():
        words.append(f"ignored {share(labels == IGNORE)}")
    return ", ".join(words)
