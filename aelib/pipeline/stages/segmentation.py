"""What segmentation networks answer, with prohibition at test and a CRF."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ... import prediction, psl
from ...crf import CRF, refine_present
from ...datasets.photos import save_mask
from ...models import LargeFOV
from ...support.parallel import in_order
from ...support.progress import watched
from .. import health
from ..relatives import ilp
from ..run import Run
from ..settings import Settings
from .feeding import in_batches, loaders_of, tensors
from .inputs import TRAIN, classes_of, pictures
from .mining import confidences
from .networks import trained
from .stage import stage

#: Settings of `probabilities` and of the network that is asked.
VIEWS = ("backbone", "test_scales", "test_flip")
#: Settings of `crf_of`, and of `refined`.
MODEL = (
    *("gaussian_weight", "gaussian_sxy", "bilateral_weight", "bilateral_sxy", "bilateral_srgb"),
    *("crf_iterations", "crf_temperature"),
)
REFINING = (*MODEL, "crf_engine")
#: Settings of `prohibited`.
PROHIBITION = ("prohibition", "prohibit_threshold")


def network(run: Run, name: str) -> LargeFOV:
    """A trained segmentation network, in eval mode."""
    return trained(run, f"network-{name}", len(classes_of(run)) + 1)


def probabilities(run: Run, model: LargeFOV, images: Sequence[np.ndarray]) -> Iterator[Tensor]:
    """f of each picture, seen at test_scales, and mirrored with test_flip.

    Args:
        images: (H, W, 3) uint8 each.

    Returns:
        (C + 1, H, W) in [0, 1] each, background first, at the picture's own resolution.
    """
    scales, flip = run.settings.scales, run.settings.test_flip == "yes"
    answers = answers_of(model, images, scales, flip, loaders_of(run.settings))
    return watched(answers, "network", len(images))


def answers_of(
    model: LargeFOV,
    images: Sequence[np.ndarray],
    scales: tuple[float, ...],
    flip: bool,
    loaders: int = 0,
) -> Iterator[Tensor]:
    """`prediction.predict` for each picture, on the CPU; so many processes read them ahead."""
    return in_batches(
        lambda x: prediction.predict(model, x, scales=scales, flip=flip), tensors(images, loaders)
    )


def refined(
    run: Run, images: Sequence[np.ndarray], f: Iterable[Tensor], present: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The CRF's answer for each picture, in worker processes; few pictures are held at a time.

    Args:
        images: (H, W, 3) uint8 each.
        f: a network's probabilities, (C + 1, H, W) in [0, 1] each; may be a generator.
        present: labels that may be answered, (n, C + 1) bool.

    Yields:
        (f, q): each (C + 1, H, W) float32 in [0, 1].

    Raises:
        ValueError, ImportError: as `crf.refine_present`; a note says how many pictures were done.
        BrokenProcessPool: a worker died; the note says what may help.
    """
    s, done = run.settings, 0
    pairs = refine_all(images, f, present, crf_of(s), s.crf_engine, s.workers)
    try:
        for pair in watched(pairs, "CRF", len(images)):
            yield pair
            done += 1
    except Exception as error:
        error.add_note(f"CRF: {done} of {len(images)} pictures were refined before")
        raise


def refine_all(
    images: Iterable[np.ndarray],
    f: Iterable[Tensor],
    present: np.ndarray,
    crf: CRF,
    engine: str,
    workers: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`refined` without a run; each q equals `refine_present`'s, bit by bit."""
    waiting: deque[tuple[np.ndarray, np.ndarray]] = deque()  # what the workers have

    def jobs() -> Iterator[tuple]:
        for image, tensor, labels in zip(images, f, present, strict=True):
            here = labels.copy()
            here[0] = True
            waiting.append((tensor.numpy(), here))
            # only the present labels travel: all of VOC's would take as long as the CRF itself
            yield image, waiting[-1][0][here], here[here], crf, engine

    for rows in in_order(refine_present, jobs(), workers):
        one, here = waiting.popleft()
        q = np.zeros(one.shape, np.float32)
        q[here] = rows
        yield one, q


def crf_of(settings: Settings) -> CRF:
    """The CRF that the settings describe."""
    s = settings
    return CRF(
        gaussian_weight=s.gaussian_weight,
        gaussian_sxy=s.gaussian_sxy,
        bilateral_weight=s.bilateral_weight,
        bilateral_sxy=s.bilateral_sxy,
        bilateral_srgb=s.bilateral_srgb,
        iterations=s.crf_iterations,
        temperature=s.crf_temperature,
    )


def prohibited(s: Settings, f: Iterable[Tensor], v: Tensor) -> tuple[Iterable[Tensor], np.ndarray]:
    """Prohibition at test: unlikely classes are removed, or (`relatives.ilp`) all are weighed.

    Args:
        f: of each picture, (C + 1, H, W) in [0, 1].
        v: confidences, (n, C) in [0, 1].

    Returns:
        f, weighed by [1, v] if that is asked for, and the labels that may be answered,
        (n, C + 1) bool.
    """
    if s.prohibition == "weigh":
        return map(ilp.weigh, f, v), psl.allowed(v, 0.0).numpy()
    return f, psl.allowed(v, s.prohibit_threshold).numpy()


def answer(
    run: Run, images: Sequence[np.ndarray], name: str, v: Tensor | None = None
) -> Iterator[np.ndarray]:
    """The whole method at test: a network, prohibition by v, CRF.

    Args:
        v: the pictures' `confidences`, where they are known already.

    Returns:
        (C + 1, H, W) float32 in [0, 1] for each picture: argmax is the answer.

    Raises:
        RunError: the run lacks the network; at once, before a picture is looked at.
    """
    model = network(run, name)
    v = confidences(run, images) if v is None else v
    f, present = prohibited(run.settings, probabilities(run, model, images), v)
    pairs = refined(run, images, f, present)
    return (q for _, q in pairs)


@stage("refined", reads=lambda s: ["network-AE+PSL"], settings=(*TRAIN, *VIEWS, *REFINING))
def refine_training_masks(run: Run, made: Path) -> None:
    """Makes `refined`: the masks that PSL++ learns from, a palette PNG a training picture.

    They are the PSL network's answer over the classes of the picture's labels, refined by the CRF.
    """
    _refine(run, made, "AE+PSL")


@stage("refined-again", reads=lambda s: ["network-AE+PSL++"], settings=(*TRAIN, *VIEWS, *REFINING))
def refine_again(run: Run, made: Path) -> None:
    """Makes `refined-again`: the same of PSL++, for a third round; only when it is asked for."""
    _refine(run, made, "AE+PSL++")


def _refine(run: Run, made: Path, name: str) -> None:
    train = pictures(run, "train")
    present = np.pad(train.labels, ((0, 0), (1, 0)), constant_values=True)
    f = probabilities(run, network(run, name), train.images)
    pairs = refined(run, train.images, f, present)
    for picture, (_, q) in zip(train.ids, pairs, strict=True):
        mask = health.finite(q, f"the CRF's answer for {picture}").argmax(axis=0)
        save_mask(made / f"{picture}.png", mask.astype(np.uint8))
