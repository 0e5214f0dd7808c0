"""Creatures: a small procedural world in which one can see what adversarial erasing does.

A teaching instrument, not a benchmark: no number measured on it compares with VOC's. Every picture
shows one or two animals whose parts are not equally telling, and the sample says which pixel
belongs to which part:

* the **head** names the class at a glance (its own ornament and face colour),
* the **body** tells it with some effort (its own coat pattern, in any colour),
* the **limbs** hardly do (but for a small sock in the class's colour),
* the **surroundings** tempt: each class has a favourite habitat and a favourite prop, and only
  some of its pictures show them.

A sample depends on (seed, split, index) alone, not on the order of access or on who asks.
`bodies` holds what all this looks like, `canvas` how it is drawn.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .base import Pictures, Truth
from .bodies import COATS, FACES, PATTERNS, SOCKS, Look, animal, prop
from .canvas import BODY, HEAD, LIMBS, PARTS, PIXELS, SIZE, Canvas
from .summary import Summary

CLASSES = ("hare", "stag", "ram", "rhino", "tusker", "lynx")

# How much each thing tells of the class.
HABITAT_TELLS = 0.2  # share of pictures whose habitat is the favourite of a class in it
PROP_TELLS = 0.55  # share of creatures beside which their class's favourite prop stands
COAT_TELLS = 0.9  # share of creatures that wear their class's coat pattern; others a random one
SOCK_TELLS = 0.85  # share of creatures that wear socks of their class's colour; likewise
TWO_CREATURES = 0.45  # share of pictures with two creatures
LIGHT, GRAIN = 0.13, 0.05  # spread of light and shade (a factor), of grain (added; 1 is white)

_SPLITS = {"train": 0, "val": 1}
_OBJECT_PARTS = tuple(PARTS[part] for part in (HEAD, BODY, LIMBS))
# one habitat a class: sky at the horizon, sky above, ground near, ground far
_HABITATS = np.array(
    [
        [[0.80, 0.90, 0.95], [0.56, 0.77, 0.92], [0.42, 0.62, 0.30], [0.58, 0.74, 0.42]],  # meadow
        [[0.93, 0.84, 0.70], [0.72, 0.72, 0.62], [0.45, 0.35, 0.22], [0.60, 0.48, 0.31]],  # autumn
        [[0.90, 0.91, 0.94], [0.70, 0.76, 0.86], [0.66, 0.68, 0.72], [0.80, 0.82, 0.85]],  # scree
        [[0.98, 0.90, 0.74], [0.90, 0.77, 0.60], [0.78, 0.66, 0.42], [0.87, 0.77, 0.55]],  # dry
        [[0.96, 0.80, 0.72], [0.74, 0.62, 0.74], [0.55, 0.42, 0.38], [0.68, 0.54, 0.46]],  # dusk
        [[0.86, 0.92, 0.98], [0.62, 0.74, 0.90], [0.88, 0.92, 0.97], [0.80, 0.86, 0.93]],  # snow
    ]
)


class Creature(NamedTuple):
    """One sample. Of these, training may see `image` and `labels` only."""

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
            f"creature(seed={seed}, split={split!r}, index={index}): "
            f"the split is one of {', '.join(_SPLITS)}, seed and index are 0 or more"
        )
    rng = np.random.default_rng((seed, _SPLITS[split], index))
    count = 1 + (rng.random() < TWO_CREATURES)
    kinds = rng.integers(len(CLASSES), size=count)
    canvas = Canvas(_landscape(rng, kinds))
    length = rng.uniform(15, 22) if count == 1 else rng.uniform(12, 15)  # half a body, pixels
    spots = [rng.uniform(24, 72)] if count == 1 else [rng.uniform(14, 30), rng.uniform(66, 82)]
    feet = rng.uniform(70, 90, size=count)
    clutter = rng.integers(len(CLASSES), size=rng.integers(0, 2))  # tells nothing
    for kind in clutter:
        prop(canvas, rng, kind, rng.uniform(6, 90), rng.uniform(60, 92))
    for i in np.argsort(feet):  # the nearer one last
        side = rng.choice([-1, 1])
        if rng.random() < PROP_TELLS:
            x = float(np.clip(spots[i] - side * length * rng.uniform(2.1, 2.8), 9, 87))
            prop(canvas, rng, kinds[i], x, feet[i] + rng.uniform(-1, 5))
        half = length * rng.uniform(0.92, 1.08)
        animal(canvas, rng, _dressed(rng, int(kinds[i])), spots[i], feet[i], half, side)
    canvas.image *= 1 + _smooth(rng, 4, LIGHT)
    grain = _smooth(rng, SIZE // 2, GRAIN)
    canvas.image += grain + 0.016 * rng.standard_normal(canvas.image.shape, np.float32)
    image = (canvas.image.clip(0, 1) * 255).round().astype(np.uint8)
    labels = np.zeros(len(CLASSES), bool)
    labels[np.unique(canvas.mask[canvas.mask > 0]) - 1] = True
    return Creature(image, labels, canvas.mask, canvas.parts)


def _dressed(rng: np.random.Generator, kind: int) -> Look:
    """Coat, face and socks of a creature of class `kind`."""
    base = np.clip(COATS[rng.integers(len(COATS))] + rng.normal(0, 0.06, 3), 0.2, 1)
    face = np.clip(FACES[kind] + rng.normal(0, 0.03, 3), 0, 1)
    pattern = kind if rng.random() < COAT_TELLS else rng.integers(len(PATTERNS))
    sock = SOCKS[kind if rng.random() < SOCK_TELLS else rng.integers(len(SOCKS))]
    return Look(kind, base, face, pattern, sock)


def _smooth(rng: np.random.Generator, knots: int, spread: float) -> np.ndarray:
    """Random values at knots x knots points, bilinear between them: (96, 96, 1) float32."""
    values = rng.normal(0, spread, (knots, knots)).astype(np.float32)
    at = np.linspace(0, knots - 1, SIZE, dtype=np.float32)
    i = np.minimum(at.astype(int), knots - 2)
    t = at - i
    rows = values[i] * (1 - t)[:, None] + values[i + 1] * t[:, None]
    return (rows[:, i] * (1 - t) + rows[:, i + 1] * t)[..., None]


def _landscape(rng: np.random.Generator, kinds: np.ndarray) -> np.ndarray:
    """Sky and ground of a habitat, (96, 96, 3) float32."""
    tells = rng.random() < HABITAT_TELLS
    habitat = rng.choice(kinds) if tells else rng.integers(len(CLASSES))
    colours = (_HABITATS[habitat] + rng.normal(0, 0.03, (4, 3))).clip(0, 1).astype(np.float32)
    horizon_sky, high_sky, near, far = colours
    height, swing = rng.uniform(38, 58), rng.uniform(1, 4)  # of the horizon, pixels
    wave = np.sin(PIXELS / rng.uniform(9, 22) + rng.uniform(0, 6))
    horizon = (height + swing * wave).astype(np.float32)
    y = PIXELS[:, None]
    up = (y / horizon).clip(0, 1)[..., None]
    down = ((y - horizon) / (SIZE - horizon)).clip(0, 1)[..., None]
    rough = rng.normal(0, 0.022, (SIZE // 3, SIZE // 3)).astype(np.float32)
    rough = rough.repeat(3, 0).repeat(3, 1)[..., None]
    ground = far + down * (near - far) + rough
    sky = high_sky + up * (horizon_sky - high_sky) + 0.25 * rough
    return np.where((y > horizon)[..., None], ground, sky)


@lru_cache(maxsize=4)
def _drawn(seed: int, split: str, count: int) -> list[Creature]:
    return [creature(seed, split, i) for i in range(count)]


class Creatures:
    """A data set (see `base.DataSet`): the first so many creatures of each split of a world."""

    classes = CLASSES
    has_truth = True

    def __init__(self, seed: int, train_images: int, val_images: int) -> None:
        self.seed = seed
        self.counts = {"train": train_images, "val": val_images}

    def _samples(self, split: str) -> list[Creature]:
        return _drawn(self.seed, split, self.counts[split])

    def pictures(self, split: str) -> Pictures:
        samples = self._samples(split)
        ids = tuple(f"{split}-{i:05d}" for i in range(len(samples)))
        labels = np.stack([sample.labels for sample in samples])
        return Pictures(CLASSES, ids, [sample.image for sample in samples], labels)

    def truth(self, split: str) -> Truth:
        samples = self._samples(split)
        masks = [sample.mask for sample in samples]
        return Truth(masks, [sample.parts for sample in samples], PARTS, _OBJECT_PARTS)

    def check(
        self, workers: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> Summary:
        """Nothing can be wrong with what is drawn."""
        return Summary(dict(self.counts))
