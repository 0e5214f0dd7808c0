"""Creatures: a small procedural world in which one can see what adversarial erasing does.

A teaching instrument, not a benchmark: no number measured on it compares with VOC's. Every picture shows one or two
animals whose parts are not equally telling, and the sample says which pixel belongs to which part:

* the **head** names the class at a glance (its own ornament and face colour),
* the **body** tells it with some effort (its own coat pattern, in any colour),
* the **limbs** hardly do (but for a small sock in the class's colour),
* the **surroundings** tempt: each class has a favourite habitat and a favourite prop, and meets them only partly.

A sample depends on (seed, split, index) alone: not on the order of access, nor on the number of workers.
"""

from typing import NamedTuple

import numpy as np

CLASSES = ("hare", "stag", "ram", "rhino", "tusker", "lynx")
PARTS = ("background", "head", "body", "limbs", "prop")
SIZE = 96  # pixels, height and width

# How far the world lets a classifier get away without the object.
HABITAT_TELLS = 0.2  # share of pictures whose habitat is the favourite of a class in it
PROP_TELLS = 0.55  # share of creatures beside which their class's favourite prop stands
COAT_TELLS = 0.9  # share of creatures that wear their class's coat pattern, not another's
COAT_CONTRAST = 0.45  # how much darker the pattern is than the coat, 0 to 1
SOCK_TELLS = 0.85  # share of creatures that wear socks of their class's colour
TWO_CREATURES = 0.45  # share of pictures with two creatures
LIGHT, GRAIN = 0.13, 0.05  # spread of light and shade (a factor), and of the paper's grain (added; 1 is white)

HEAD, BODY, LIMBS, PROP = 1, 2, 3, 4
INK = np.array([0.13, 0.10, 0.12], np.float32)  # outlines
_PIXELS = np.arange(SIZE, dtype=np.float32) + 0.5  # pixel centres
_SPLITS = {"train": 0, "val": 1}

# (sky at the horizon, sky above, ground near, ground far); one habitat a class
_HABITATS = np.array(
    [
        [[0.80, 0.90, 0.95], [0.56, 0.77, 0.92], [0.42, 0.62, 0.30], [0.58, 0.74, 0.42]],  # meadow
        [[0.93, 0.84, 0.70], [0.72, 0.72, 0.62], [0.45, 0.35, 0.22], [0.60, 0.48, 0.31]],  # autumn wood
        [[0.90, 0.91, 0.94], [0.70, 0.76, 0.86], [0.66, 0.68, 0.72], [0.80, 0.82, 0.85]],  # scree under cloud
        [[0.98, 0.90, 0.74], [0.90, 0.77, 0.60], [0.78, 0.66, 0.42], [0.87, 0.77, 0.55]],  # savannah
        [[0.96, 0.80, 0.72], [0.74, 0.62, 0.74], [0.55, 0.42, 0.38], [0.68, 0.54, 0.46]],  # dusk
        [[0.86, 0.92, 0.98], [0.62, 0.74, 0.90], [0.88, 0.92, 0.97], [0.80, 0.86, 0.93]],  # snow
    ]
)
_FACES = np.array([[0.93, 0.88, 0.84], [0.66, 0.36, 0.18], [0.95, 0.82, 0.36], [0.38, 0.62, 0.58], [0.60, 0.62, 0.90], [0.95, 0.58, 0.20]])
_SOCKS = np.array([[0.95, 0.55, 0.62], [0.45, 0.26, 0.14], [0.98, 0.95, 0.84], [0.22, 0.24, 0.30], [0.36, 0.34, 0.66], [0.86, 0.42, 0.14]])
_COATS = np.array([[0.76, 0.62, 0.46], [0.55, 0.45, 0.38], [0.62, 0.64, 0.68], [0.80, 0.72, 0.58], [0.50, 0.56, 0.52], [0.70, 0.50, 0.40]])
_BONE = np.array([0.95, 0.91, 0.80])


class Creature(NamedTuple):
    """One sample. `labels` is all that training may see beside `image`."""

    image: np.ndarray  # (96, 96, 3) uint8, RGB
    labels: np.ndarray  # (6,) bool, classes present
    mask: np.ndarray  # (96, 96) uint8: 0 background, c + 1 for class c
    parts: np.ndarray  # (96, 96) uint8, an index into PARTS


def creature(seed: int, split: str, index: int) -> Creature:
    """Draw sample `index` of `split` ("train" or "val") of the world `seed`.

    Raises:
        ValueError: an unknown split, or a negative seed or index.
    """
    if split not in _SPLITS or seed < 0 or index < 0:
        raise ValueError(
            f"creature(seed={seed}, split={split!r}, index={index}): the split is one of {', '.join(_SPLITS)}, seed and index are 0 or more"
        )
    rng = np.random.default_rng((seed, _SPLITS[split], index))
    count = 1 + (rng.random() < TWO_CREATURES)
    kinds = rng.integers(len(CLASSES), size=count)
    canvas = _Canvas(_landscape(rng, kinds))
    length = rng.uniform(15, 22) if count == 1 else rng.uniform(12, 15)  # half a body, pixels
    spots = [rng.uniform(24, 72)] if count == 1 else [rng.uniform(14, 30), rng.uniform(66, 82)]
    feet = rng.uniform(70, 90, size=count)
    for kind in rng.integers(len(CLASSES), size=rng.integers(0, 2)):  # clutter that tells nothing
        _prop(canvas, rng, kind, rng.uniform(6, 90), rng.uniform(60, 92))
    for i in np.argsort(feet):  # the nearer one last
        side = rng.choice([-1, 1])
        if rng.random() < PROP_TELLS:
            away = spots[i] - side * length * rng.uniform(2.1, 2.8)
            _prop(canvas, rng, kinds[i], float(np.clip(away, 9, 87)), feet[i] + rng.uniform(-1, 5))
        _animal(canvas, rng, kinds[i], spots[i], feet[i], length * rng.uniform(0.92, 1.08), side)
    canvas.image *= 1 + _smooth(rng, 4, LIGHT)
    canvas.image += _smooth(rng, SIZE // 2, GRAIN) + 0.016 * rng.standard_normal(canvas.image.shape, np.float32)
    image = (canvas.image.clip(0, 1) * 255).round().astype(np.uint8)
    labels = np.zeros(len(CLASSES), bool)
    labels[np.unique(canvas.mask[canvas.mask > 0]) - 1] = True
    return Creature(image, labels, canvas.mask, canvas.parts)


def _smooth(rng: np.random.Generator, knots: int, spread: float) -> np.ndarray:
    """Random values on knots x knots points and bilinear between them, (96, 96, 1) float32."""
    values = rng.normal(0, spread, (knots, knots)).astype(np.float32)
    at = np.linspace(0, knots - 1, SIZE, dtype=np.float32)
    i = np.minimum(at.astype(int), knots - 2)
    t = at - i
    rows = values[i] * (1 - t)[:, None] + values[i + 1] * t[:, None]
    return (rows[:, i] * (1 - t) + rows[:, i + 1] * t)[..., None]


class _Canvas:
    """Image, mask and part map, painted together so that they cannot disagree."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.mask = np.zeros((SIZE, SIZE), np.uint8)
        self.parts = np.zeros((SIZE, SIZE), np.uint8)

    def _paint(self, x0, y0, x1, y1, distance, colour, part, label, outline) -> None:
        """Blend a shape in: `distance(x, y)` is signed, in pixels, negative inside; one pixel of soft edge."""
        left, top = max(int(x0) - 2, 0), max(int(y0) - 2, 0)
        right, bottom = min(int(x1) + 3, SIZE), min(int(y1) + 3, SIZE)
        if left >= right or top >= bottom:
            return
        x, y = _PIXELS[left:right], _PIXELS[top:bottom, None]
        d = distance(x, y)
        paint = colour(x, y) if callable(colour) else np.asarray(colour, np.float32)
        if outline:
            paint = paint + (d + 1.5).clip(0, 1)[..., None] * (INK - paint)
        window = self.image[top:bottom, left:right]
        window += (0.5 - d).clip(0, 1)[..., None] * (paint - window)
        inside = d < 0
        self.parts[top:bottom, left:right][inside] = part
        self.mask[top:bottom, left:right][inside] = label

    def ellipse(self, cx, cy, rx, ry, colour, part, label, angle=0.0, outline=True) -> None:
        c, s, reach = np.cos(angle), np.sin(angle), max(rx, ry)

        def distance(x, y):
            u, v = (x - cx) * c + (y - cy) * s, (y - cy) * c - (x - cx) * s
            return (np.hypot(u / rx, v / ry) - 1) * min(rx, ry)

        self._paint(cx - reach, cy - reach, cx + reach, cy + reach, distance, colour, part, label, outline)

    def limb(self, ax, ay, bx, by, ra, rb, colour, part, label, outline=True) -> None:
        """A capsule from a to b whose radius goes from ra to rb."""
        dx, dy = bx - ax, by - ay
        reach, squared = max(ra, rb), dx * dx + dy * dy + 1e-9

        def distance(x, y):
            u, v = x - ax, y - ay
            t = ((u * dx + v * dy) / squared).clip(0, 1)
            return np.hypot(u - t * dx, v - t * dy) - (ra + t * (rb - ra))

        self._paint(min(ax, bx) - reach, min(ay, by) - reach, max(ax, bx) + reach, max(ay, by) + reach, distance, colour, part, label, outline)


def _landscape(rng: np.random.Generator, kinds: np.ndarray) -> np.ndarray:
    """Sky and ground of a habitat, (96, 96, 3) float32."""
    habitat = rng.choice(kinds) if rng.random() < HABITAT_TELLS else rng.integers(len(CLASSES))
    horizon_sky, high_sky, near, far = (_HABITATS[habitat] + rng.normal(0, 0.03, (4, 3))).clip(0, 1).astype(np.float32)
    y = _PIXELS[:, None]
    horizon = (rng.uniform(38, 58) + rng.uniform(1, 4) * np.sin(_PIXELS / rng.uniform(9, 22) + rng.uniform(0, 6))).astype(np.float32)
    up = (y / horizon).clip(0, 1)[..., None]
    down = ((y - horizon) / (SIZE - horizon)).clip(0, 1)[..., None]
    ground = (y > horizon)[..., None]
    rough = rng.normal(0, 0.022, (SIZE // 3, SIZE // 3)).astype(np.float32).repeat(3, 0).repeat(3, 1)[..., None]
    return np.where(ground, far + down * (near - far) + rough, high_sky + up * (horizon_sky - high_sky) + 0.25 * rough)


def _prop(canvas: _Canvas, rng: np.random.Generator, kind: int, x: float, y: float) -> None:
    """A thing of the surroundings on the ground at (x, y), `kind`'s favourite: it belongs to no class in the mask."""
    h = rng.uniform(16, 23)  # height, pixels

    def ball(dx: float, dy: float, rx: float, ry: float, colour: tuple, outline: bool = True) -> None:
        canvas.ellipse(x + dx * h, y - dy * h, rx * h, ry * h, colour, PROP, 0, outline=outline)

    def rod(dx: float, dy: float, ex: float, ey: float, ra: float, rb: float, colour: tuple, outline: bool = True) -> None:
        canvas.limb(x + dx * h, y - dy * h, x + ex * h, y - ey * h, ra * h, rb * h, colour, PROP, 0, outline=outline)

    if kind == 0:  # flower
        rod(0, 0, 0, 0.8, 0.06, 0.05, (0.25, 0.50, 0.20), False)
        for a in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
            ball(0.22 * np.cos(a), 0.75 + 0.22 * np.sin(a), 0.19, 0.19, (0.92, 0.36, 0.56), False)
        ball(0, 0.75, 0.15, 0.15, (0.99, 0.85, 0.30), False)
    elif kind == 1:  # mushroom
        rod(0, 0, 0, 0.5, 0.17, 0.13, (0.95, 0.90, 0.80))
        ball(0, 0.65, 0.46, 0.30, (0.82, 0.20, 0.16))
        ball(-0.18, 0.72, 0.09, 0.08, (1, 1, 1), False)
        ball(0.16, 0.66, 0.08, 0.07, (1, 1, 1), False)
    elif kind == 2:  # pile of rock
        ball(-0.25, 0.22, 0.36, 0.26, (0.40, 0.43, 0.50))
        ball(0.25, 0.20, 0.32, 0.24, (0.48, 0.50, 0.58))
        ball(0, 0.56, 0.30, 0.24, (0.34, 0.37, 0.45))
    elif kind == 3:  # cactus
        rod(0, 0, 0, 0.9, 0.17, 0.15, (0.22, 0.52, 0.34))
        rod(-0.33, 0.55, 0, 0.38, 0.11, 0.11, (0.22, 0.52, 0.34))
        rod(0.33, 0.70, 0, 0.48, 0.11, 0.11, (0.22, 0.52, 0.34))
    elif kind == 4:  # lantern
        rod(0, 0, 0, 0.7, 0.08, 0.07, (0.25, 0.20, 0.24), False)
        ball(0, 0.75, 0.26, 0.30, (1.00, 0.80, 0.25))
    else:  # fir
        for k, w in enumerate((0.40, 0.32, 0.22)):
            rod(0, 0.1 + 0.25 * k, 0, 0.4 + 0.25 * k, w, 0.03, (0.10, 0.36, 0.36), False)


def _coat(kind: int, base: np.ndarray, dark: np.ndarray, cx: float, cy: float, rng: np.random.Generator):
    """The class's pattern, in a colour that tells nothing."""
    period, phase = rng.uniform(5.0, 6.5), rng.uniform(0, 6)

    def colour(x, y):
        u, v = (x - cx) * (2 * np.pi / period) + phase, (y - cy) * (2 * np.pi / period)
        wave = [
            lambda: np.full(np.broadcast_shapes(u.shape, v.shape), -1.0),  # plain
            lambda: np.cos(u) * np.cos(v) * 2 - 0.6,  # spots
            lambda: np.cos(v) + 0 * u,  # bands
            lambda: np.maximum(np.cos(u), np.cos(v)) - 0.55 + 0 * u * v,  # plates
            lambda: np.cos(u) + 0 * v,  # stripes
            lambda: np.cos((u + v) * 0.75),  # slanting
        ][kind]()
        blend = np.clip(wave * 1.6 + 0.5, 0, 1)[..., None]
        shade = 1.06 - 0.30 * np.clip((y - cy + 10) / 20, 0, 1)[..., None]
        return (base + blend * (dark - base)) * shade

    return colour


def _animal(canvas: _Canvas, rng: np.random.Generator, kind: int, x: float, foot: float, s: float, side: int) -> None:
    """One creature with its feet at (x, foot), half a body length `s` in pixels, looking to `side` (-1 left, 1 right)."""
    label = int(kind) + 1
    base = np.clip(_COATS[rng.integers(len(_COATS))] + rng.normal(0, 0.06, 3), 0.2, 1)
    dark = base * (1 - COAT_CONTRAST)
    face = np.clip(_FACES[kind] + rng.normal(0, 0.03, 3), 0, 1)
    coat = kind if rng.random() < COAT_TELLS else rng.integers(len(CLASSES))
    sock = _SOCKS[kind if rng.random() < SOCK_TELLS else rng.integers(len(CLASSES))]
    y = foot - 1.25 * s  # the body's centre
    hx, hy, r = x + side * 1.10 * s, y - 0.68 * s + rng.uniform(-0.15, 0.15) * s, 0.60 * s

    def leg(at: float, tone: float) -> None:
        lx, sway = x + at * s, rng.uniform(-0.14, 0.14) * s
        canvas.limb(lx, y + 0.25 * s, lx + sway, foot, 0.20 * s, 0.16 * s, base * tone, LIMBS, label)
        canvas.limb(lx + sway * 0.6, foot - 0.38 * s, lx + sway, foot, 0.17 * s, 0.18 * s, sock * tone, LIMBS, label)

    for at in (-0.52, 0.68):  # the far side, in shade
        leg(at, 0.72)
    canvas.limb(x - side * 0.9 * s, y - 0.15 * s, x - side * 1.45 * s, y + rng.uniform(-0.6, 0.5) * s, 0.14 * s, 0.10 * s, base * 0.85, LIMBS, label)
    canvas.ellipse(x, y, s, 0.62 * s, _coat(coat, base, dark, x, y, rng), BODY, label)
    for at in (-0.72, 0.48):
        leg(at, 0.95)
    canvas.limb(x + side * 0.7 * s, y - 0.2 * s, hx, hy, 0.34 * s, 0.30 * s, base * 0.95, BODY, label)
    _head(canvas, kind, hx, hy, r, side, face, label)


def _head(canvas: _Canvas, kind: int, x: float, y: float, r: float, side: int, face: np.ndarray, label: int) -> None:
    part = (HEAD, label)
    if kind == 0:  # hare: two long ears
        for back in (0.55, 0.0):
            canvas.limb(x - side * back * r, y - 0.6 * r, x - side * (back + 0.5) * r, y - 2.3 * r, 0.30 * r, 0.22 * r, face, *part)
            canvas.limb(
                x - side * (back + 0.1) * r,
                y - 1.0 * r,
                x - side * (back + 0.42) * r,
                y - 2.0 * r,
                0.12 * r,
                0.10 * r,
                (0.95, 0.62, 0.66),
                *part,
                outline=False,
            )
    elif kind == 1:  # stag: antlers
        for lean in (-0.8, 0.5):
            tip = (x + side * lean * r - side * 0.3 * r, y - 2.2 * r)
            canvas.limb(x + side * 0.2 * lean * r, y - 0.7 * r, *tip, 0.16 * r, 0.11 * r, _BONE * 0.75, *part)
            canvas.limb(
                x + side * 0.6 * lean * r - side * 0.15 * r,
                y - 1.4 * r,
                x + side * (0.6 * lean + 0.6) * r,
                y - 1.9 * r,
                0.12 * r,
                0.10 * r,
                _BONE * 0.75,
                *part,
            )
    elif kind == 5:  # lynx: pointed ears with tufts
        for back in (0.7, -0.25):
            canvas.limb(x - side * back * r, y - 0.5 * r, x - side * back * r, y - 1.5 * r, 0.42 * r, 0.06 * r, face, *part)
            canvas.limb(x - side * back * r, y - 1.4 * r, x - side * back * r, y - 1.8 * r, 0.09 * r, 0.07 * r, INK, *part, outline=False)
    if kind == 4:  # tusker: the ear behind the head
        canvas.ellipse(x - side * 0.75 * r, y - 0.1 * r, 0.7 * r, 1.0 * r, face * 0.85, *part)
    canvas.ellipse(x, y, r, 0.9 * r, face, *part)
    muzzle = 0.55 if kind != 5 else 0.3
    canvas.ellipse(x + side * 0.8 * r, y + 0.25 * r, muzzle * r, 0.45 * r, np.clip(face * 1.08, 0, 1), *part)
    if kind == 2:  # ram: a curled horn
        for radius, tone in ((0.72, 0.72), (0.50, 0.98), (0.26, 0.72)):
            canvas.ellipse(x - side * 0.35 * r, y - 0.25 * r, radius * r, radius * r, _BONE * tone, *part)
    elif kind == 3:  # rhino: two horns on the nose
        canvas.limb(x + side * 0.95 * r, y - 0.1 * r, x + side * 1.5 * r, y - 1.3 * r, 0.28 * r, 0.06 * r, _BONE, *part)
        canvas.limb(x + side * 0.4 * r, y - 0.6 * r, x + side * 0.6 * r, y - 1.3 * r, 0.20 * r, 0.06 * r, _BONE, *part)
    elif kind == 4:  # trunk and tusk
        canvas.limb(x + side * 0.9 * r, y + 0.2 * r, x + side * 1.5 * r, y + 1.7 * r, 0.34 * r, 0.20 * r, face, *part)
        canvas.limb(x + side * 0.7 * r, y + 0.6 * r, x + side * 1.2 * r, y + 1.0 * r, 0.14 * r, 0.08 * r, (1, 1, 1), *part, outline=False)
    elif kind == 5:  # cheeks
        canvas.ellipse(x + side * 0.3 * r, y + 0.45 * r, 0.4 * r, 0.3 * r, (0.98, 0.95, 0.90), *part, outline=False)
    canvas.ellipse(x + side * 0.28 * r, y - 0.2 * r, 0.20 * r, 0.24 * r, (1, 1, 1), *part, outline=False)
    canvas.ellipse(x + side * 0.34 * r, y - 0.18 * r, 0.11 * r, 0.14 * r, (0.05, 0.05, 0.08), *part, outline=False)
