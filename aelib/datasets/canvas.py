"""Where a creature is drawn: image, mask and part map, painted together so they cannot disagree."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

SIZE = 96  # pixels, height and width
PARTS = ("background", "head", "body", "limbs", "prop")
HEAD, BODY, LIMBS, PROP = 1, 2, 3, 4  # their places in PARTS
INK = np.array([0.13, 0.10, 0.12], np.float32)  # outlines
PIXELS = np.arange(SIZE, dtype=np.float32) + 0.5  # pixel centres


class Ball(NamedTuple):
    """An ellipse of a figure (see `Canvas.figure`), in units of the figure's size.

    x runs the way the figure looks, y upwards. The colour is RGB in [0, 1], or a number: the
    figure's own colour, so many times as bright.
    """

    x: float
    y: float
    rx: float
    ry: float
    colour: Any
    outline: bool = True


class Rod(NamedTuple):
    """A capsule from (ax, ay) to (bx, by) with radius ra at one end and rb at the other.

    Units and colour are as for `Ball`.
    """

    ax: float
    ay: float
    bx: float
    by: float
    ra: float
    rb: float
    colour: Any
    outline: bool = True


class Canvas:
    """Image (96, 96, 3) float32 in [0, 1], mask and part map (96, 96) uint8.

    In its methods lengths are pixels, y runs downwards, `part` and `label` are what the part map
    and the mask get. A colour is RGB in [0, 1], or a function colour(x, y) of pixel centres.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.mask = np.zeros((SIZE, SIZE), np.uint8)
        self.parts = np.zeros((SIZE, SIZE), np.uint8)

    def ellipse(self, cx, cy, rx, ry, colour, part: int, label: int, outline: bool = True) -> None:
        """An ellipse around (cx, cy) with its axes along the picture's sides."""
        reach = max(rx, ry)

        def distance(x, y):
            u, v = np.float64(x - cx), np.float64(y - cy)
            return (np.hypot(u / rx, v / ry) - 1) * min(rx, ry)

        box = (cx - reach, cy - reach, cx + reach, cy + reach)
        self._paint(box, distance, colour, part, label, outline)

    def limb(
        self, ax, ay, bx, by, ra, rb, colour, part: int, label: int, outline: bool = True
    ) -> None:
        """A capsule from a to b whose radius goes from ra to rb."""
        dx, dy = bx - ax, by - ay
        squared = dx * dx + dy * dy + 1e-9
        reach = max(ra, rb)

        def distance(x, y):
            u, v = x - ax, y - ay
            t = ((u * dx + v * dy) / squared).clip(0, 1)
            return np.hypot(u - t * dx, v - t * dy) - (ra + t * (rb - ra))

        left, right = min(ax, bx) - reach, max(ax, bx) + reach
        top, bottom = min(ay, by) - reach, max(ay, by) + reach
        self._paint((left, top, right, bottom), distance, colour, part, label, outline)

    def figure(
        self,
        shapes: Iterable[Ball | Rod],
        x: float,
        y: float,
        size: float,
        part: int,
        label: int,
        side: int = 1,
        colour: np.ndarray | None = None,
    ) -> None:
        """Shapes from a table, the first one farthest away.

        Args:
            x, y: where the figure's (0, 0) is.
            size: pixels that stand for 1 in the table.
            side: 1 to look right, -1 to look left.
            colour: what numbers in place of colours are multiples of.
        """

        def place(dx: float, dy: float) -> tuple[float, float]:
            return x + side * dx * size, y - dy * size

        for shape in shapes:
            paint = shape.colour
            if isinstance(paint, float):
                paint = np.clip(colour * paint, 0, 1)
            look = (paint, part, label, shape.outline)
            if isinstance(shape, Ball):
                self.ellipse(*place(shape.x, shape.y), shape.rx * size, shape.ry * size, *look)
            else:
                ends = (*place(shape.ax, shape.ay), *place(shape.bx, shape.by))
                self.limb(*ends, shape.ra * size, shape.rb * size, *look)

    def _paint(
        self,
        box: tuple[float, float, float, float],
        distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
        colour: Any,
        part: int,
        label: int,
        outline: bool,
    ) -> None:
        """Blend a shape in, with one pixel of soft edge.

        Args:
            box: left, top, right, bottom of what it can reach.
            distance: signed distance to its edge, pixels, negative inside.
        """
        left, top = (max(int(low) - 2, 0) for low in box[:2])
        right, bottom = (min(int(high) + 3, SIZE) for high in box[2:])
        if left >= right or top >= bottom:
            return
        x, y = PIXELS[left:right], PIXELS[top:bottom, None]
        d = distance(x, y)
        paint = colour(x, y) if callable(colour) else np.asarray(colour, np.float32)
        if outline:
            paint = paint + (d + 1.5).clip(0, 1)[..., None] * (INK - paint)
        window = self.image[top:bottom, left:right]
        window += (0.5 - d).clip(0, 1)[..., None] * (paint - window)
        inside = d < 0
        self.parts[top:bottom, left:right][inside] = part
        self.mask[top:bottom, left:right][inside] = label
