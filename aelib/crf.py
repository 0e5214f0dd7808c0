"""Dense CRF: every pixel is tied to every other one, more strongly the nearer they lie and the more alike their colours are.

Source: Krähenbühl & Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011. With p the
given probabilities and Potts compatibility, one mean-field update is

    Q_i(c)  ~  p_i(c) exp( sum_k w_k sum_j K_k(i, j) Q_j(c) ),      K_k(i, j) = exp(-|f_i - f_j|^2 / 2) / sqrt(d_i d_j),

with f = (x, y) / sxy for the Gaussian kernel, (x / sxy, y / sxy, rgb / srgb) for the bilateral one, and d_i the row sums.

Two engines. "lattice" is pydensecrf, the authors' C++: linear in the pixels, but its permutohedral lattice approximates the
kernels. "exact" is `mean_field`: quadratic, no approximation; it needs torch only. Both follow the C++ where it departs from the
paper: symmetric normalisation (the d above; the paper has none), and j = i is *kept* in sum and d (the paper drops it).

Seconds on one CPU core for 96 x 96 pixels, 3 or 7 labels alike / for 500 x 375, 21 labels: lattice 0.02 / 0.9; exact 3 by attention,
30 by pairs; `refine(engine="exact")`, which thins beyond 4096 pixels, 0.8 / 21. Pixels whose label is that of exact, default `CRF`,
creatures and a photograph, blurred masks for probabilities: lattice 98.7 to 99.98 %, thinned 99.6 to 99.98 %. Where probabilities
have nothing to do with the picture, lattice 96 to 98 %. In all of these Q may differ by up to 1 at single pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from .parallel import in_order

if TYPE_CHECKING:  # torch is imported where it is used: it takes seconds that refine_all's lattice workers need not spend
    from torch import Tensor

    Array = np.ndarray | Tensor

try:
    from pydensecrf.densecrf import DenseCRF2D

    HAVE_LATTICE = True
except ImportError:
    HAVE_LATTICE = False

ENGINES = ("auto", "lattice", "exact")
CLIP = 1e-5  # least probability: log 0 would veto a label for good. pydensecrf's unary_from_softmax has the same value
FLOOR = 1e-3  # least row sum: a pixel that resembles no other one gets no message instead of amplified rounding noise
ROWS = 1024  # pixels that look at the picture at a time: memory grows with ROWS * H * W, never with (H * W)^2


@dataclass(frozen=True)
class CRF:
    """What the model believes about pictures. The defaults are those of SEC, PSA and pydensecrf's README.

    Other public sets, as (bilateral weight, sxy, srgb) + (Gaussian weight, sxy): (4, 67, 3) + (3, 1) DeepLab v2 and EPS,
    (4, 121, 5) + (3, 3) L2G. All of them were chosen for photographs some 500 pixels wide.

    Args:
        gaussian_weight: reward for agreeing with near pixels, in nats, >= 0; 0 switches the kernel off.
        gaussian_sxy: how far "near" is, in pixels, > 0.
        bilateral_weight: reward for agreeing with near pixels of like colour, in nats, >= 0; 0 switches the kernel off.
        bilateral_sxy: how far "near" is there, in pixels, > 0.
        bilateral_srgb: how different "like" may be, in grey levels of 0..255, > 0.
        iterations: mean-field updates, >= 1.

    Raises:
        ValueError: a value is out of its range.
    """

    gaussian_weight: float = 3
    gaussian_sxy: float = 3
    bilateral_weight: float = 10
    bilateral_sxy: float = 80
    bilateral_srgb: float = 13
    iterations: int = 10

    def __post_init__(self) -> None:
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            if not isfinite(value) or value < 0:
                raise ValueError(f"{name}: {value} is not a finite number from 0 on")
            if name == "iterations" and (value != int(value) or value < 1):
                raise ValueError(f"iterations: {value} updates cannot be made; give a whole number from 1 on")
            if value == 0 and not name.endswith("weight"):
                raise ValueError(f"{name}: a width must be above 0; to switch a kernel off set its weight to 0")


def kernel_product(queries: Tensor, keys: Tensor, values: Tensor, method: str = "attention") -> Tensor:
    """sum_j exp(-|q_i - k_j|^2 / 2) v_j for every i: (N, D), (M, D), (M, C) -> (N, C). Costs N * M.

    "pairs" writes the sum out. "attention" is the same number from `scaled_dot_product_attention`, some ten times as fast on a CPU
    because it never writes the N x M kernel to memory: a mean-field update *is* attention whose queries and keys are fixed.
      * [q, 1, -|q|^2/2] . [k, -|k|^2/2, 1] = -|q - k|^2 / 2: the logits are the kernel's exponent.
      * Softmax divides each row by its sum. One more key, all zeros, has the logit 0 and so the weight 1 / row sum; a value that
        is 1 for it alone brings that weight out, and dividing by it undoes the softmax.

    Raises:
        ValueError: the method is unknown.
    """
    import torch
    from torch.nn import functional as F

    if method == "pairs":
        by_differences = "donot_use_mm_for_euclid_dist"  # |q|^2 + |k|^2 - 2 q.k loses digits
        distances = (torch.cdist(rows, keys, compute_mode=by_differences) for rows in queries.split(ROWS))
        return torch.cat([torch.exp(-distance.square() / 2) @ values for distance in distances])
    if method != "attention":
        raise ValueError(f"method: {method!r} is unknown; choose attention or pairs")

    center = keys.mean(0)  # differences stay, digits are saved
    q, k = queries - center, keys - center
    half_q, half_k = (x.square().sum(1, keepdim=True) / -2 for x in (q, k))
    q = torch.cat([q, torch.ones_like(half_q), half_q], 1)
    k = F.pad(torch.cat([k, half_k, torch.ones_like(half_k)], 1), (0, 0, 0, 1))
    v = F.pad(values, (0, 1, 0, 1))
    v[-1, -1] = 1
    # the fused kernels want one width for all three, a multiple of 8; zeros change no dot product
    width = 8 * ceil(max(q.shape[1], v.shape[1]) / 8)
    q, k, padded = (F.pad(x, (0, width - x.shape[1]))[None, None] for x in (q, k, v))
    out = torch.cat([F.scaled_dot_product_attention(rows, k, padded, scale=1.0)[0, 0] for rows in q.split(ROWS, dim=2)])
    return out[:, : v.shape[1] - 1] / out[:, v.shape[1] - 1, None]


def mean_field(
    image: Array,
    probabilities: Array,
    crf: CRF | None = None,
    method: str = "attention",
    self_term: bool = True,
    max_pixels: int | None = None,
) -> Tensor:
    """Mean-field inference without lattice: the oracle, the teaching tool, and the fallback where pydensecrf is missing.

    Args:
        image: RGB, (H, W, 3), uint8.
        probabilities: (C, H, W), floats in [0, 1]; they need not sum to one. Computed in their float type, on their device.
        crf: the model; `CRF()` if None.
        method: of `kernel_product`: "attention" or "pairs".
        self_term: whether a pixel sends a message to itself. True as in pydensecrf, False as in the paper.
        max_pixels: None is exact. Otherwise, in the bilateral kernel, every pixel looks at every n-th row and column only, with the
            least n that leaves at most about this many pixels; costs H * W * max_pixels instead of (H * W)^2. The Gaussian
            kernel stays exact, and nothing is resized, so edges stay sharp.

    Returns:
        Q, (C, H, W), in [0, 1], summing to one over C.

    Raises:
        ValueError: shape, type or range of an argument is wrong, or self_term is False where max_pixels thins the picture.
    """
    import torch

    crf = crf or CRF()
    _check(image, probabilities)
    p = torch.as_tensor(probabilities).detach()
    p = p if p.dtype == torch.float64 else p.float()
    pixels = torch.tensor(_array(image)).to(p)
    height, width = p.shape[1:]
    if max_pixels is not None and max_pixels < 1:
        raise ValueError(f"max_pixels: {max_pixels} pixels cannot be looked at; give 1 or more, or None")
    step = ceil(sqrt(height * width / max_pixels)) if max_pixels else 1
    if step > 1 and not self_term:
        raise ValueError("self_term: False is defined for all pairs of pixels only; give max_pixels=None")
    own = 0.0 if self_term else 1.0
    unary = p.clamp(CLIP, 1).log()
    x, y = torch.arange(width).to(p), torch.arange(height).to(p)

    # The Gaussian kernel is a product over the axes: two small matrices instead of one with (H * W)^2 entries.
    gaussian_y, gaussian_x = (torch.exp(-((a[:, None] - a) / crf.gaussian_sxy).square() / 2) for a in (y, x))

    def gaussian(maps: Tensor) -> Tensor:
        return gaussian_y @ maps @ gaussian_x - own * maps

    places = torch.stack(torch.meshgrid(y, x, indexing="ij")) / crf.bilateral_sxy
    features = torch.cat([places, pixels.permute(2, 0, 1) / crf.bilateral_srgb])

    def thin(maps: Tensor) -> Tensor:
        return maps[:, (height - 1) % step // 2 :: step, (width - 1) % step // 2 :: step].flatten(1).T

    def bilateral(maps: Tensor) -> Tensor:
        return kernel_product(features.flatten(1).T, thin(features), thin(maps), method).T.view_as(maps) - own * maps

    kernels = [(w, kernel) for w, kernel in ((crf.gaussian_weight, gaussian), (crf.bilateral_weight, bilateral)) if w]
    # d, the row sums, under the root; where pixels are thinned, the factor step^2 would cancel against the message's
    terms = [(w, kernel, kernel(torch.ones_like(p[:1])).clamp_min(FLOOR).sqrt()) for w, kernel in kernels]
    q = unary.softmax(0)
    for _ in range(crf.iterations):
        q = (unary + sum(w * kernel(q / root) / root for w, kernel, root in terms)).softmax(0)
    return q


def refine(image: Array, probabilities: Array, crf: CRF | None = None, engine: str = "auto", max_pixels: int = 4096) -> np.ndarray:
    """Probabilities that follow the picture's edges: (H, W, 3) uint8 and (C, H, W) in [0, 1] -> (C, H, W) float32, summing to one.

    Args:
        image, probabilities, crf: as for `mean_field`.
        engine: "lattice" (pydensecrf), "exact" (`mean_field`), "auto": lattice if pydensecrf imports, else exact.
        max_pixels: engine "exact" only: beyond it `mean_field` thins the picture that each pixel looks at.

    Raises:
        ValueError: shape, type or range of an argument is wrong, or the engine is unknown.
        ImportError: engine "lattice" without pydensecrf.
    """
    crf = crf or CRF()
    _check(image, probabilities)
    if _engine(engine) == "exact":
        return mean_field(image, probabilities, crf, max_pixels=max_pixels).cpu().numpy().astype(np.float32)
    image, probabilities = _array(image), _array(probabilities)
    labels, height, width = probabilities.shape
    model = DenseCRF2D(width, height, labels)
    model.setUnaryEnergy(np.ascontiguousarray(-np.log(probabilities.clip(CLIP, 1)).reshape(labels, -1), dtype=np.float32))
    if crf.gaussian_weight:
        model.addPairwiseGaussian(sxy=crf.gaussian_sxy, compat=crf.gaussian_weight)
    if crf.bilateral_weight:
        model.addPairwiseBilateral(sxy=crf.bilateral_sxy, srgb=crf.bilateral_srgb, rgbim=np.array(image, order="C"), compat=crf.bilateral_weight)
    return np.array(model.inference(int(crf.iterations)), dtype=np.float32).reshape(labels, height, width)


def refine_present(
    image: Array,
    probabilities: Array,
    present: Array,
    crf: CRF | None = None,
    engine: str = "auto",
) -> np.ndarray:
    """`refine` over the labels known to be in the picture: for training images, whose image-level labels may be used.

    Args:
        image, probabilities, crf, engine: as for `refine`; probabilities (C + 1, H, W), background first.
        present: (C + 1,) bool; its first entry is taken as True, background is always there.

    Returns:
        (C + 1, H, W) float32: 0 for absent labels, summing to one over the present ones.

    Raises:
        ValueError, ImportError: as `refine`, or present has another shape or type.
    """
    _check(image, probabilities)
    probabilities, present = _array(probabilities), _array(present).copy()
    if present.shape != probabilities.shape[:1] or present.dtype != bool:
        raise ValueError(f"present: {present.dtype} {present.shape} does not fit {len(probabilities)} labels; give bool ({len(probabilities)},)")
    present[0] = True
    out = np.zeros(probabilities.shape, np.float32)
    kept = probabilities[present].clip(CLIP, 1)  # before the division: all of a pixel's mass may be on absent labels
    out[present] = refine(image, kept / kept.sum(0), crf, engine)
    return out


def refine_all(
    images: Iterable[Array],
    probabilities: Iterable[Array],
    present: Iterable[Array],
    crf: CRF | None = None,
    workers: int = 1,
    engine: str = "auto",
    progress: Callable[[int], object] | None = None,
) -> Iterator[np.ndarray]:
    """`refine_present` over many pictures, in processes as pydensecrf holds the interpreter's lock. Yields results in order.

    What it yields does not depend on the number of workers; under engine "exact" but for torch's rounding, as workers use one
    thread. The three inputs may be generators: few pictures are held at a time.

    Args:
        images, probabilities, present, crf, engine: one of each per picture, as for `refine_present`.
        workers: processes; up to 1 works in this one. A script that asks for more needs `if __name__ == "__main__":`.
        progress: called with 1 after each picture, such as `tqdm(total=n).update`.

    Raises:
        ValueError, ImportError: as `refine_present`, with a note that names the picture; or the inputs differ in number.
        BrokenProcessPool: a worker died; the note says what may help.
    """
    jobs = ((i, (*map(_array, job), crf, engine)) for i, job in enumerate(zip(images, probabilities, present, strict=True)))
    for result in in_order(_job, jobs, workers):
        if progress is not None:
            progress(1)
        yield result


def _job(index: int, arguments: tuple) -> np.ndarray:
    try:
        return refine_present(*arguments)
    except Exception as error:
        error.add_note(f"aelib.crf.refine_all: in picture {index}, counted from 0")
        raise


def _engine(engine: str) -> str:
    if engine not in ENGINES:
        raise ValueError(f"engine: {engine!r} is unknown; choose one of {', '.join(ENGINES)}")
    if engine == "lattice" and not HAVE_LATTICE:
        raise ImportError('engine: "lattice" needs pydensecrf; pip install pydensecrf2, or use engine "exact"')
    return engine if engine != "auto" else "lattice" if HAVE_LATTICE else "exact"


def _array(x: Array) -> np.ndarray:
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def _check(image: Array, probabilities: Array) -> None:
    image, p = _array(image), _array(probabilities)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image: {image.dtype} {image.shape} is no picture; give RGB as uint8 (H, W, 3)")
    if p.ndim != 3 or p.shape[1:] != image.shape[:2] or not p.size or not np.issubdtype(p.dtype, np.floating):
        raise ValueError(f"probabilities: {p.dtype} {p.shape} does not fit the image {image.shape}; give floats (C, H, W)")
    if not (p.min() >= 0 and p.max() <= 1 + 1e-3):  # NaN fails it too; a little room for rounding
        raise ValueError(f"probabilities: {p.min()} to {p.max()} is outside [0, 1] or NaN; give a softmax's output, not scores")
