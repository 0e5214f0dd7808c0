"""What `bench.py` times: ours, a peer, and how the two results are compared before."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import peers
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from scipy import ndimage
from skimage import data, transform
from skimage.segmentation import slic

from aelib.cam import cam, class_activation_maps, normalise
from aelib.crf import CRF, refine
from aelib.evaluation import confusion, iou
from aelib.mean_field import mean_field
from aelib.models import LargeFOV
from aelib.pipeline.stages.segmentation import refine_all
from aelib.saliency import COMPACTNESS, robust_background
from aelib.support import parallel
from aelib.training import DEVICE

PHOTOGRAPHS = (data.astronaut, data.chelsea, data.coffee, data.rocket)  # scikit-image brings them
SIDE = 375  # pixels


class Case(NamedTuple):
    """One row.

    Attributes:
        name: what is computed, and against whom.
        ours, peer: the two calls.
        compare: takes both results; returns whether they agree, and how far, in words.
        goal: what seconds of peer / seconds of ours is to be at least.
        before: called before each call of ours, not timed.
    """

    name: str
    ours: Callable[[], Any]
    peer: Callable[[], Any]
    compare: Callable[[Any, Any], tuple[bool, str]]
    goal: float
    before: Callable[[], None] = lambda: None


def photographs(count: int, side: int = SIDE) -> list[np.ndarray]:
    """(H, W, 3) uint8 each, `side` the longer one; each second one is a mirror image."""
    found = []
    for i in range(count):
        image = PHOTOGRAPHS[i // 2 % len(PHOTOGRAPHS)]()
        image = image[:, ::-1] if i % 2 else image
        size = [round(side * length / max(image.shape)) for length in image.shape[:2]]
        small = transform.resize(image, size, anti_aliasing=True)
        found.append((255 * small).round().astype(np.uint8))
    return found


def blurred_answer(image: np.ndarray, present: np.ndarray, seed: int) -> np.ndarray:
    """What a network may answer: (C + 1, H, W) probabilities of smooth random regions."""
    noise = np.random.default_rng(seed).standard_normal((len(present), *image.shape[:2]))
    scores = ndimage.gaussian_filter(noise, (0, 9, 9))
    scores = 4 * scores / scores.std() - 16 * ~present[:, None, None]  # mostly sure of absence
    return torch.from_numpy(scores).softmax(0).numpy().astype(np.float32)


# --- rows -----------------------------------------------------------------------------------------


def cams(quick: bool) -> Iterator[Case]:
    """CAMs of 2 present classes of 8 pictures, on the same network."""
    count = 2 if quick else 8
    for backbone, side, classes, goal in (("small", 96, 6, 10), ("mobilenet_v2", 321, 20, 20)):
        if not quick or side == 96:
            yield from cams_of(backbone, side, classes, goal, count)


def cams_of(backbone: str, side: int, classes: int, goal: float, count: int) -> Iterator[Case]:
    """The rows of one network."""
    torch.manual_seed(0)
    model = LargeFOV(classes, backbone).eval().to(DEVICE)
    torch.nn.init.normal_(model.score.weight, std=3)  # scores on both sides of 0
    images = torch.rand(count, 3, side, side, device=DEVICE)
    present = [(i % classes, (i + 1) % classes) for i in range(count)]

    def of_present(maps: torch.Tensor) -> torch.Tensor:
        return torch.stack([maps[i, list(two)] for i, two in enumerate(present)])

    def ours() -> np.ndarray:
        return of_present(cam(model, images)).cpu().numpy()

    @torch.no_grad()
    def coarse() -> torch.Tensor:
        return of_present(class_activation_maps(model.embed(images), model.score.weight)).cpu()

    def as_gradcam(ours: np.ndarray, theirs: np.ndarray) -> tuple[bool, str]:
        # it sets negative evidence to 0 and stretches before it resizes, and stretches once more
        maps = coarse().clamp(min=0).flatten(0, 1).numpy()
        stretched = scale_cam_image(scale_cam_image(maps, (side, side)))
        return close(stretched.reshape(ours.shape), theirs)

    def as_torchcam(ours: np.ndarray, theirs: np.ndarray) -> tuple[bool, str]:
        return close(ours, normalise(torch.from_numpy(theirs)).numpy())

    @torch.no_grad()
    def forward() -> torch.Tensor:
        return of_present(model(images) - model.score.bias[:, None, None]).cpu()

    def as_forward(ours: np.ndarray, theirs: torch.Tensor) -> tuple[bool, str]:
        maps = torch.nn.functional.interpolate(theirs, size=(side, side), mode="bilinear")
        return close(ours, normalise(maps).numpy())

    def theirs(library: Callable, one_by_one: bool = False) -> Callable[[], np.ndarray]:
        parts = [slice(i, i + 1) for i in range(count)] if one_by_one else [slice(count)]
        return lambda: np.concatenate([library(model, images[p], present[p]) for p in parts])

    what = f"CAM, {backbone} at {side}, {count} pictures"
    gradcam, torchcam = theirs(peers.by_gradcam), theirs(peers.by_torchcam)
    yield Case(f"{what}: grad-cam", ours, gradcam, as_gradcam, goal)
    if find_spec("torchcam"):  # `make bench` installs it
        single = theirs(peers.by_torchcam, one_by_one=True)
        yield Case(f"{what}: torchcam", ours, torchcam, as_torchcam, goal)
        yield Case(f"{what}: torchcam, one by one", ours, single, as_torchcam, goal)
    yield Case(f"{what}: one forward pass", ours, forward, as_forward, 1 / 1.1)


def close(ours: np.ndarray, theirs: np.ndarray) -> tuple[bool, str]:
    """Whether two sets of maps in [0, 1] are equal up to rounding."""
    worst = float(np.abs(ours - theirs).max())
    return bool(worst < 1e-3 and ours.max() > 0.5), f"maps differ by at most {worst:.0e}"


def crfs(quick: bool) -> Iterator[Case]:
    """Photographs of 375 pixels, 3 of 21 labels present, against the usual loop over 21 labels."""
    count, side = (2, 60) if quick else (8, SIDE)
    images, crf = photographs(count, side), CRF()
    present = np.zeros((count, 21), bool)
    present[:, [0, 3, 7]] = True
    f = [blurred_answer(image, present[i], i) for i, image in enumerate(images)]

    def refined(workers: int) -> list[np.ndarray]:
        tensors = map(torch.from_numpy, f)
        return [q for _, q in refine_all(images, tensors, present, crf, "lattice", workers)]

    def loop() -> list[np.ndarray]:
        return [peers.crf_by_loop(*one, crf) for one in zip(images, f, present, strict=True)]

    what = f"dense CRF, {count} photographs"
    yield Case(f"{what}, 1 worker: pydensecrf's loop", lambda: refined(1), loop, labels_agree, 2)
    if not quick:
        two, name = lambda: refined(2), f"{what}, 2 workers"
        yield Case(f"{name}, running: pydensecrf's loop", two, loop, labels_agree, 4)
        yield Case(f"{name}, started: pydensecrf's loop", two, loop, labels_agree, 4, end_workers)
    yield exact(8 if not quick else 1, 96 if not quick else 40)


def labels_agree(
    ours: list[np.ndarray], theirs: list[np.ndarray], least: float = 0.9999
) -> tuple[bool, str]:
    """Whether two lists of (C + 1, H, W) have the same label at nearly all pixels."""
    pairs = zip(ours, theirs, strict=True)
    share = np.concatenate([(a.argmax(0) == b.argmax(0)).ravel() for a, b in pairs]).mean()
    return share >= least, f"{100 * share:.4f} % of the labels equal"


def end_workers() -> None:
    """Ends the workers and the process they come from: the next call starts both anew."""
    from multiprocessing import forkserver  # not on Windows

    parallel._pool(2).shutdown()
    parallel._pool.cache_clear()
    forkserver._forkserver._stop()


def exact(count: int, side: int) -> Case:
    """The exact mean field of small pictures, 3 labels, against pydensecrf's approximation."""
    images = [transform.resize(image, (side, side)) for image in photographs(count)]
    images = [(255 * image).round().astype(np.uint8) for image in images]
    f = [blurred_answer(image, np.ones(3, bool), i) for i, image in enumerate(images)]
    crf = CRF(gaussian_sxy=1, bilateral_sxy=20)
    pairs = list(zip(images, f, strict=True))

    def ours() -> list[np.ndarray]:
        on_device = [(image, torch.from_numpy(one).to(DEVICE)) for image, one in pairs]
        return [mean_field(image, one, crf).cpu().numpy() for image, one in on_device]

    def lattice() -> list[np.ndarray]:
        return [refine(image, one, crf, "lattice") for image, one in pairs]

    goal = 50 if DEVICE.type == "cuda" else 0.1
    name = f"exact CRF, {count} pictures of {side} x {side}: pydensecrf, which approximates"
    return Case(name, ours, lattice, lambda a, b: labels_agree(a, b, 0.95), goal)


def evaluation(quick: bool) -> Iterator[Case]:
    """mIoU of masks of 375 x 281 pixels, 21 classes, against torchmetrics image by image."""
    rng, count = np.random.default_rng(0), 2 if quick else 100
    truths = [rng.integers(0, 21, (281, SIDE), dtype=np.uint8) for _ in range(count)]
    for truth in truths:
        truth[:9] = 255
    answers = [np.where(rng.random(t.shape) < 0.8, t % 255, 0).astype(np.uint8) for t in truths]

    def ours() -> float:
        pairs = zip(truths, answers, strict=True)
        return float(np.nanmean(iou(sum(confusion(t, a, 21) for t, a in pairs))))

    def theirs() -> float:
        return peers.miou_by_torchmetrics(truths, answers, 21)

    def equal(a: float, b: float) -> tuple[bool, str]:
        return abs(a - b) < 1e-6, f"mIoU differs by {abs(a - b):.0e}"

    yield Case(f"mIoU of {count} masks: torchmetrics", ours, theirs, equal, 100)


def saliency(quick: bool) -> Iterator[Case]:
    """Saliency against its first step alone, scikit-image's SLIC."""
    images = photographs(1, 60) if quick else photographs(8)

    def ours() -> list[np.ndarray]:
        return [robust_background(image, 200) for image in images]

    def superpixels() -> list[np.ndarray]:
        return [slic(image, 200, compactness=COMPACTNESS, start_label=0) for image in images]

    def constant(maps: list[np.ndarray], labels: list[np.ndarray]) -> tuple[bool, str]:
        flat = all(
            np.array_equal(ndimage.maximum(one, cut, cut), ndimage.minimum(one, cut, cut))
            for one, cut in zip(maps, labels, strict=True)
        )
        return flat, f"{'' if flat else 'not '}constant on each superpixel"

    name = f"saliency, {len(images)} photographs: SLIC, its first step"
    yield Case(name, ours, superpixels, constant, 0.5)


CASES = {"cam": cams, "crf": crfs, "evaluation": evaluation, "saliency": saliency}
