"""Dense CRF: every pixel is tied to every other one, more strongly the nearer they lie and the more
alike their colours are.

Source: Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials", NIPS 2011. With p the given probabilities and Potts compatibility, one update is

    Q_i(c)  ~  p_i(c) exp( sum_k w_k sum_j K_k(i, j) Q_j(c) ),
    K_k(i, j) = exp(-|f_i - f_j|^2 / 2) / sqrt(d_i d_j),

with f = (x, y) / sxy for the Gaussian kernel, (x / sxy, y / sxy, rgb / srgb) for the bilateral one,
and d_i the row sums. With a temperature T, p^(1/T) takes the place of p (Guo et al., ICML 2017).

Two engines. "lattice" is pydensecrf, the authors' C++: linear in the pixels, but its permutohedral
lattice approximates the kernels. "exact" is `mean_field.mean_field`: quadratic, no approximation.
Both follow the C++ where it departs from the paper: it normalises symmetrically (the d above; the
paper has none), and it keeps j = i in the sum and in d (the paper drops it).

Seconds on one CPU core for 96 x 96 pixels, 3 or 7 labels alike / for 500 x 375, 21 labels: lattice
0.02 / 0.9; exact 3 by attention, 30 by pairs; exact by `refine`, thinned beyond 4096 pixels, 0.8 /
21. Share of pixels with the exact label (default `CRF`, creatures and a photograph, blurred masks
as probabilities): lattice 98.7 to 99.98 %, thinned 99.6 to 99.98 %; lattice 96 to 98 % where the
probabilities are unrelated to the picture. Q may differ by up to 1 at single pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import, and worker processes of the lattice need none
    from torch import Tensor

    Array = np.ndarray | Tensor

try:
    from pydensecrf.densecrf import DenseCRF2D

    HAVE_LATTICE = True
except ImportError:
    HAVE_LATTICE = False

ENGINES = ("auto", "lattice", "exact")
# least probability: log 0 would rule out a label for good; pydensecrf's unary_from_softmax has 1e-5
CLIP = 1e-5
MAX_PIXELS = 4096  # beyond it, `refine` thins the exact engine's bilateral kernel


@dataclass(frozen=True)
class CRF:
    """The model. The defaults are those of SEC, PSA and pydensecrf's README, for photographs some
    500 pixels wide.

    Others, as (bilateral weight, sxy, srgb) + (Gaussian weight, sxy): (4, 67, 3) + (3, 1) DeepLab
    v2 and EPS, (4, 121, 5) + (3, 3) L2G.

    Raises:
        ValueError: a value is out of its range.
    """

    gaussian_weight: float = 3  # reward for agreeing with near pixels, in nats; 0 = kernel off
    gaussian_sxy: float = 3  # how far "near" is, in pixels, > 0
    bilateral_weight: float = 10  # reward for agreeing with near pixels of like colour; 0 = off
    bilateral_sxy: float = 80  # how far "near" is there, in pixels, > 0
    bilateral_srgb: float = 13  # how different "like" may be, in grey levels of 0..255, > 0
    iterations: int = 10  # mean-field updates, >= 1
    temperature: float = 1  # T: p^(1/T) in place of p; above 1 for networks that are too sure, > 0

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if not isfinite(value) or value < 0:
                raise ValueError(f"{name}: {value} is not a finite number from 0 on")
            if name == "iterations" and (value != int(value) or value < 1):
                raise ValueError(
                    f"iterations: {value} updates cannot be made; give a whole number from 1 on"
                )
            if value == 0 and not name.endswith("weight"):
                raise ValueError(
                    f"{name}: a width must be above 0; to switch a kernel off set its weight to 0"
                )


def refine(
    image: Array,
    probabilities: Array,
    crf: CRF | None = None,
    engine: str = "auto",
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Probabilities that follow the picture's edges.

    Args:
        image: RGB, (H, W, 3), uint8.
        probabilities: (C, H, W), floats in [0, 1]; they need not sum to one.
        crf: the model; `CRF()` if None.
        engine: "lattice", "exact", or "auto": lattice if pydensecrf is installed, else exact.
        max_pixels: of `mean_field.mean_field`; used by engine "exact" only.

    Returns:
        (C, H, W) float32 in [0, 1], summing to one over C.

    Raises:
        ValueError: shape, type or range of an argument is wrong, or the engine is unknown.
        ImportError: engine "lattice" without pydensecrf.
    """
    check(image, probabilities)
    return _refine(image, probabilities, crf or CRF(), engine, max_pixels)


def refine_present(
    image: Array, probabilities: Array, present: Array, crf: CRF | None = None, engine: str = "auto"
) -> np.ndarray:
    """`refine` over the labels known to be in the picture, as those of training images are.

    Args:
        image, probabilities, crf, engine: as for `refine`; the labels are background and C classes.
        present: (C + 1,) bool; its first entry is taken as True: background is always there.

    Returns:
        (C + 1, H, W) float32: 0 for absent labels, summing to one over the present ones.

    Raises:
        ValueError, ImportError: as `refine`, or present has another shape or type.
    """
    check(image, probabilities)
    probabilities, present = as_array(probabilities), as_array(present).copy()
    labels = len(probabilities)
    if present.shape != (labels,) or present.dtype != bool:
        raise ValueError(
            f"present: {present.dtype} {present.shape} does not fit {labels} labels; give bool "
            f"({labels},)"
        )
    present[0] = True
    kept = probabilities[present].clip(CLIP, 1)  # a pixel's whole mass may be on absent labels
    out = np.zeros(probabilities.shape, np.float32)
    out[present] = _refine(image, kept / kept.sum(0), crf or CRF(), engine, MAX_PIXELS)
    return out


def _refine(image: Array, p: Array, crf: CRF, engine: str, max_pixels: int) -> np.ndarray:
    """`refine` without its check of image and p, the probabilities."""
    if engine not in ENGINES:
        raise ValueError(f"engine: {engine!r} is unknown; choose one of {', '.join(ENGINES)}")
    if engine == "lattice" and not HAVE_LATTICE:
        raise ImportError(
            'engine: "lattice" needs pydensecrf; pip install pydensecrf2, or use engine "exact"'
        )
    if engine == "exact" or not HAVE_LATTICE:
        from .mean_field import infer

        q = infer(image, p, crf, "attention", True, max_pixels)
        return q.cpu().numpy().astype(np.float32)
    image, p = as_array(image), as_array(p)
    labels, height, width = p.shape
    model = DenseCRF2D(width, height, labels)
    unary = -np.log(p.clip(CLIP, 1)).reshape(labels, -1) / crf.temperature
    model.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    if crf.gaussian_weight:
        model.addPairwiseGaussian(sxy=crf.gaussian_sxy, compat=crf.gaussian_weight)
    if crf.bilateral_weight:
        sxy, srgb, rgb = crf.bilateral_sxy, crf.bilateral_srgb, np.array(image, order="C")
        model.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=rgb, compat=crf.bilateral_weight)
    q = model.inference(int(crf.iterations))
    return np.array(q, dtype=np.float32).reshape(labels, height, width)


def as_array(x: Array) -> np.ndarray:
    """A tensor or an array as an array, on the CPU."""
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def check(image: Array, probabilities: Array) -> None:
    """Raises ValueError unless shape, type and range are those that `refine` asks for."""
    image, p = as_array(image), as_array(probabilities)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f"image: {image.dtype} {image.shape} is no picture; give RGB as uint8 (H, W, 3)"
        )
    fits = p.ndim == 3 and p.shape[1:] == image.shape[:2] and p.size
    if not fits or not np.issubdtype(p.dtype, np.floating):
        raise ValueError(
            f"probabilities: {p.dtype} {p.shape} does not fit the image {image.shape}; give floats "
            "(C, H, W)"
        )
    if not (p.min() >= 0 and p.max() <= 1 + 1e-3):  # NaN fails, too; a little room for rounding
        raise ValueError(
            f"probabilities: {p.min()} to {p.max()} is outside [0, 1] or NaN; give a softmax's "
            "output, not scores"
        )
