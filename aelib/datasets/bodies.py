"""What creatures and their props look like: tables of heads, coats, props, in order of CLASSES."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .canvas import BODY, HEAD, INK, LIMBS, PROP, Ball, Canvas, Rod

WHITE = (1, 1, 1)
BONE = np.array([0.95, 0.91, 0.80])
COAT_CONTRAST = 0.45  # how much darker the pattern is than the coat, 0 to 1

# Heads. Unit: the head's radius; (0, 0) is its centre; a number is a brightness of the face.

MUZZLES = (0.55, 0.55, 0.55, 0.55, 0.55, 0.3)  # radius
BEHIND = (  # drawn before the head
    (  # hare: two long ears
        Rod(-0.55, 0.6, -1.05, 2.3, 0.30, 0.22, 1.0),
        Rod(-0.65, 1.0, -0.97, 2.0, 0.12, 0.10, (0.95, 0.62, 0.66), False),
        Rod(0, 0.6, -0.5, 2.3, 0.30, 0.22, 1.0),
        Rod(-0.1, 1.0, -0.42, 2.0, 0.12, 0.10, (0.95, 0.62, 0.66), False),
    ),
    (  # stag: antlers
        Rod(-0.16, 0.7, -1.1, 2.2, 0.16, 0.11, BONE * 0.75),
        Rod(-0.63, 1.4, 0.12, 1.9, 0.12, 0.10, BONE * 0.75),
        Rod(0.1, 0.7, 0.2, 2.2, 0.16, 0.11, BONE * 0.75),
        Rod(0.15, 1.4, 0.9, 1.9, 0.12, 0.10, BONE * 0.75),
    ),
    (),
    (),
    (Ball(-0.75, 0.1, 0.7, 1.0, 0.85),),  # tusker: an ear
    (  # lynx: pointed ears with tufts
        Rod(-0.7, 0.5, -0.7, 1.5, 0.42, 0.06, 1.0),
        Rod(-0.7, 1.4, -0.7, 1.8, 0.09, 0.07, INK, False),
        Rod(0.25, 0.5, 0.25, 1.5, 0.42, 0.06, 1.0),
        Rod(0.25, 1.4, 0.25, 1.8, 0.09, 0.07, INK, False),
    ),
)
BEFORE = (  # drawn over head and muzzle
    (),
    (),
    (  # ram: a curled horn
        Ball(-0.35, 0.25, 0.72, 0.72, BONE * 0.72),
        Ball(-0.35, 0.25, 0.50, 0.50, BONE * 0.98),
        Ball(-0.35, 0.25, 0.26, 0.26, BONE * 0.72),
    ),
    (  # rhino: two horns on the nose
        Rod(0.95, 0.1, 1.5, 1.3, 0.28, 0.06, BONE),
        Rod(0.4, 0.6, 0.6, 1.3, 0.20, 0.06, BONE),
    ),
    (  # tusker: trunk and tusk
        Rod(0.9, -0.2, 1.5, -1.7, 0.34, 0.20, 1.0),
        Rod(0.7, -0.6, 1.2, -1.0, 0.14, 0.08, WHITE, False),
    ),
    (Ball(0.3, -0.45, 0.4, 0.3, (0.98, 0.95, 0.90), False),),  # lynx: cheeks
)
EYE = (
    Ball(0.28, 0.2, 0.20, 0.24, WHITE, False),
    Ball(0.34, 0.18, 0.11, 0.14, (0.05, 0.05, 0.08), False),
)
FACES = np.array(
    [
        [0.93, 0.88, 0.84],
        [0.66, 0.36, 0.18],
        [0.95, 0.82, 0.36],
        [0.38, 0.62, 0.58],
        [0.60, 0.62, 0.90],
        [0.95, 0.58, 0.20],
    ]
)
SOCKS = np.array(
    [
        [0.95, 0.55, 0.62],
        [0.45, 0.26, 0.14],
        [0.98, 0.95, 0.84],
        [0.22, 0.24, 0.30],
        [0.36, 0.34, 0.66],
        [0.86, 0.42, 0.14],
    ]
)

# Coats. Their colours belong to no class; the pattern does: how dark the coat is at (u, v), phases
# in the pattern's period.

COATS = np.array(
    [
        [0.76, 0.62, 0.46],
        [0.55, 0.45, 0.38],
        [0.62, 0.64, 0.68],
        [0.80, 0.72, 0.58],
        [0.50, 0.56, 0.52],
        [0.70, 0.50, 0.40],
    ]
)
PATTERNS = (
    lambda u, v: np.full_like(u + v, -1.0),  # plain
    lambda u, v: np.cos(u) * np.cos(v) * 2 - 0.6,  # spots
    lambda u, v: np.cos(v) + 0 * u,  # bands
    lambda u, v: np.maximum(np.cos(u), np.cos(v)) - 0.55,  # plates
    lambda u, v: np.cos(u) + 0 * v,  # stripes
    lambda u, v: np.cos((u + v) * 0.75),  # slanting
)

# Props. Unit: the prop's height; (0, 0) is where it stands. The flower is below: its petals turn.

GREEN, FIR = (0.22, 0.52, 0.34), (0.10, 0.36, 0.36)
PROPS = (
    (),
    (  # mushroom
        Rod(0, 0, 0, 0.5, 0.17, 0.13, (0.95, 0.90, 0.80)),
        Ball(0, 0.65, 0.46, 0.30, (0.82, 0.20, 0.16)),
        Ball(-0.18, 0.72, 0.09, 0.08, WHITE, False),
        Ball(0.16, 0.66, 0.08, 0.07, WHITE, False),
    ),
    (  # pile of rock
        Ball(-0.25, 0.22, 0.36, 0.26, (0.40, 0.43, 0.50)),
        Ball(0.25, 0.20, 0.32, 0.24, (0.48, 0.50, 0.58)),
        Ball(0, 0.56, 0.30, 0.24, (0.34, 0.37, 0.45)),
    ),
    (  # cactus
        Rod(0, 0, 0, 0.9, 0.17, 0.15, GREEN),
        Rod(-0.33, 0.55, 0, 0.38, 0.11, 0.11, GREEN),
        Rod(0.33, 0.70, 0, 0.48, 0.11, 0.11, GREEN),
    ),
    (  # lantern
        Rod(0, 0, 0, 0.7, 0.08, 0.07, (0.25, 0.20, 0.24), False),
        Ball(0, 0.75, 0.26, 0.30, (1.00, 0.80, 0.25)),
    ),
    (  # fir
        Rod(0, 0.1, 0, 0.4, 0.40, 0.03, FIR, False),
        Rod(0, 0.35, 0, 0.65, 0.32, 0.03, FIR, False),
        Rod(0, 0.6, 0, 0.9, 0.22, 0.03, FIR, False),
    ),
)


def flower(turn: float) -> tuple[Ball | Rod, ...]:
    """The first class's prop.

    Args:
        turn: how far its petals are turned, radians.
    """
    angles = np.arange(5) * 2 * np.pi / 5 + turn
    stem = Rod(0, 0, 0, 0.8, 0.06, 0.05, (0.25, 0.50, 0.20), False)
    petals = [
        Ball(0.22 * np.cos(a), 0.75 + 0.22 * np.sin(a), 0.19, 0.19, (0.92, 0.36, 0.56), False)
        for a in angles
    ]
    return stem, *petals, Ball(0, 0.75, 0.15, 0.15, (0.99, 0.85, 0.30), False)


def prop(canvas: Canvas, rng: np.random.Generator, kind: int, x: float, y: float) -> None:
    """A thing on the ground at (x, y), the favourite of class `kind`: no class in the mask."""
    height = rng.uniform(16, 23)  # pixels
    shapes = flower(rng.uniform(0, 1)) if kind == 0 else PROPS[kind]
    canvas.figure(shapes, x, y, height, PROP, 0)


class Look(NamedTuple):
    """What one creature is dressed in; colours are RGB in [0, 1]."""

    kind: int  # its class
    base: np.ndarray  # colour of the coat
    face: np.ndarray  # colour
    pattern: int  # of the coat: a place in PATTERNS
    sock: np.ndarray  # colour


def animal(
    canvas: Canvas,
    rng: np.random.Generator,
    look: Look,
    x: float,
    foot: float,
    s: float,
    side: int,
) -> None:
    """One creature.

    Args:
        x, foot: where its feet are.
        s: half a body length, pixels.
        side: -1 to look left, 1 to look right.
    """
    base = look.base
    limbs, body = (LIMBS, look.kind + 1), (BODY, look.kind + 1)
    y = foot - 1.25 * s  # the body's centre
    hx, hy = x + side * 1.10 * s, y - 0.68 * s + rng.uniform(-0.15, 0.15) * s  # the head's

    def leg(at: float, tone: float) -> None:
        top, sway = x + at * s, rng.uniform(-0.14, 0.14) * s
        end = (top + sway, foot)
        canvas.limb(top, y + 0.25 * s, *end, 0.20 * s, 0.16 * s, base * tone, *limbs)
        sock = (0.17 * s, 0.18 * s, look.sock * tone)
        canvas.limb(top + sway * 0.6, foot - 0.38 * s, *end, *sock, *limbs)

    for at in (-0.52, 0.68):  # the far side, in shade
        leg(at, 0.72)
    tail = (x - side * 1.45 * s, y + rng.uniform(-0.6, 0.5) * s)
    start = (x - side * 0.9 * s, y - 0.15 * s)
    canvas.limb(*start, *tail, 0.14 * s, 0.10 * s, base * 0.85, *limbs)
    canvas.ellipse(x, y, s, 0.62 * s, _coat(look, x, y, rng), *body)
    for at in (-0.72, 0.48):
        leg(at, 0.95)
    neck = (x + side * 0.7 * s, y - 0.2 * s)
    canvas.limb(*neck, hx, hy, 0.34 * s, 0.30 * s, base * 0.95, *body)
    face = (Ball(0, 0, 1.0, 0.9, 1.0), Ball(0.8, -0.25, MUZZLES[look.kind], 0.45, 1.08))
    shapes = (*BEHIND[look.kind], *face, *BEFORE[look.kind], *EYE)
    canvas.figure(shapes, hx, hy, 0.60 * s, HEAD, look.kind + 1, side, look.face)


def _coat(look: Look, cx: float, cy: float, rng: np.random.Generator) -> Callable:
    """The coat's colour at pixel centres (x, y), darker towards the belly."""
    period, phase = rng.uniform(5.0, 6.5), rng.uniform(0, 6)
    dark = look.base * (1 - COAT_CONTRAST)

    def colour(x, y):
        u, v = (x - cx) * (2 * np.pi / period) + phase, (y - cy) * (2 * np.pi / period)
        wave = PATTERNS[look.pattern](u, v)
        blend = np.clip(wave * 1.6 + 0.5, 0, 1)[..., None]
        shade = 1.06 - 0.30 * np.clip((y - cy + 10) / 20, 0, 1)[..., None]
        return (look.base + blend * (dark - look.base)) * shade

    return colour
