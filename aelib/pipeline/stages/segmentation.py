"""Segmentation networks that learn from pseudo-masks, and what they answer, with a CRF."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ... import prediction, psl
from ...crf import CRF, refine_present
from ...datasets.base import Lazy, to_tensor
from ...datasets.photos import save_mask
from ...models import LargeFOV
from ...support.files import write_json
from ...support.parallel import in_order
from ...support.progress import watched
from .. import health
from ..run import Run, save_tensors
from ..settings import Settings
from .checkpoint import fit_resumably
from .data import mean_pixel
from .inputs import TRAIN, classes_of, pictures
from .mining import CONFIDENCES, confidences
from .networks import TRAINING, in_batches, recipe, samples, trained, untrained
from .stage import find, stage

#: Settings of `probabilities` and of the network that is asked.
VIEWS = ("backbone", "test_scales", "test_flip")
#: Settings of `train_on`, without and with the PSL loss.
PLAIN = (*TRAIN, *TRAINING, "network_epochs", "network_last_layer_factor")
PROHIBITIVE = (*PLAIN, *CONFIDENCES, "psl_warmup")
#: Settings of `refined`.
REFINING = (
    *("gaussian_weight", "gaussian_sxy", "bilateral_weight", "bilateral_sxy", "bilateral_srgb"),
    *("crf_iterations", "crf_engine"),
)


# --- training -------------------------------------------------------------------------------------


def train_network(run: Run, name: str) -> None:
    """Makes `network-NAME`, for NAME "AE-step1", "AE-step2", ..., "AE+PSL" or "AE+PSL++".

    "AE-stepK" learns from S of K steps by plain cross-entropy; "AE+PSL" from S of object_steps
    steps under the PSL loss; "AE+PSL++" is a new network under the PSL loss that learns from the
    `refined` masks. See `train_on`.

    Raises:
        ValueError: there is no network of this name.
    """
    maker, of = find(f"network-{name}")
    maker(run, *of)


@stage(
    "network-AE-step{step}",
    reads=lambda s, steps: ["data", f"pseudo-masks-{steps}"],
    settings=PLAIN,
)
def _train_plain(run: Run, made: Path, steps: int) -> None:
    train_on(run, made, _label_maps(run, f"pseudo-masks-{steps}"), prohibitive=False)


@stage(
    "network-AE+PSL",
    reads=lambda s: ["data", f"pseudo-masks-{s.object_steps}", "classifier-1"],
    settings=(*PROHIBITIVE, "object_steps"),
)
def _train_psl(run: Run, made: Path) -> None:
    train_on(
        run, made, _label_maps(run, f"pseudo-masks-{run.settings.object_steps}"), prohibitive=True
    )


@stage(
    "network-AE+PSL++", reads=lambda s: ["data", "refined", "classifier-1"], settings=PROHIBITIVE
)
def _train_psl_again(run: Run, made: Path) -> None:
    train_on(run, made, _label_maps(run, "refined"), prohibitive=True)


def train_on(run: Run, made: Path, masks: Sequence[np.ndarray], prohibitive: bool) -> None:
    """Train a network on label maps: weights.safetensors, log.json {"losses", "warnings"}.

    Args:
        made: the stage's folder.
        masks: one a training picture, (H, W) uint8: 0..C, 255 ignored.
        prohibitive: J(f, S) + J(f, S-hat) if true (after psl_warmup of the epochs), with v of
            `classifier-1`; J(f, S), plain cross-entropy, if not.
    """
    s, train = run.settings, pictures(run, "train")
    v = confidences(run, train.images) if prohibitive else torch.zeros(len(train), 0)

    def loss(model: LargeFOV, image: Tensor, mask: Tensor, v: Tensor, progress: float) -> Tensor:
        scores = model(image)
        mask = psl.shrink(mask, scores.shape[-2:])
        # S-hat is the network's own answer: it helps once the network has learned something
        if prohibitive and progress >= s.psl_warmup:
            return psl.psl_loss(scores, mask, v)
        return psl.cross_entropy(scores, mask).mean()

    offset = 50  # the same for all networks: first weights, order of pictures, mirroring
    torch.manual_seed(100 * s.seed + offset)
    model = untrained(run, len(train.classes) + 1)
    data = samples(s, train, lambda i: (v[i],), mean_pixel(run), masks=masks)
    numbers = recipe(s, s.network_epochs, s.network_last_layer_factor, offset)
    losses = fit_resumably(model, data, loss, numbers, made)
    save_tensors(made / "weights.safetensors", model.state_dict())
    some = _answers(model, train.images[:100], scales=(1.0,), flip=False)
    answers = [f.argmax(dim=0).numpy() for f in some]
    warnings = run.warn(made.stem, health.collapse(answers, train.classes))
    write_json(made / "log.json", {"losses": losses, "warnings": warnings})


def _label_maps(run: Run, stage_name: str) -> Lazy:
    return run.images(stage_name, pictures(run, "train").ids)


# --- answers --------------------------------------------------------------------------------------


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
    return watched(_answers(model, images, scales, flip), "network", len(images))


def _answers(
    model: LargeFOV, images: Sequence[np.ndarray], scales: tuple[float, ...], flip: bool
) -> Iterator[Tensor]:
    """`prediction.predict` for each picture, on the CPU."""
    return in_batches(
        lambda x: prediction.predict(model, x, scales=scales, flip=flip), map(to_tensor, images)
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
    crf, engine = crf_of(run.settings), run.settings.crf_engine
    waiting: deque[np.ndarray] = deque()  # f of the pictures that the workers have

    def jobs() -> Iterator[tuple]:
        for image, tensor, labels in zip(images, f, present, strict=True):
            waiting.append(tensor.numpy())
            yield image, waiting[-1], labels, crf, engine

    done = 0
    try:
        answers = in_order(refine_present, jobs(), run.settings.workers)
        for q in watched(answers, "CRF", len(images)):
            yield waiting.popleft(), q
            done += 1
    except Exception as error:
        error.add_note(f"CRF: {done} of {len(images)} pictures were refined before")
        raise


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
    )


def answer(run: Run, images: Sequence[np.ndarray], name: str) -> Iterator[np.ndarray]:
    """The whole method at test: a network, prohibition by v, CRF.

    Returns:
        (C + 1, H, W) float32 in [0, 1] for each picture: argmax is the answer.

    Raises:
        RunError: the run lacks the network; at once, before a picture is looked at.
    """
    model = network(run, name)
    v = confidences(run, images)
    present = psl.allowed(v, run.settings.prohibit_threshold).numpy()
    pairs = refined(run, images, probabilities(run, model, images), present)
    return (q for _, q in pairs)


@stage("refined", reads=lambda s: ["network-AE+PSL"], settings=(*TRAIN, *VIEWS, *REFINING))
def refine_training_masks(run: Run, made: Path) -> None:
    """Makes `refined`: the masks that PSL++ learns from, a palette PNG a training picture.

    They are the PSL network's answer over the classes of the picture's labels, refined by the CRF.
    """
    train = pictures(run, "train")
    present = np.pad(train.labels, ((0, 0), (1, 0)), constant_values=True)
    f = probabilities(run, network(run, "AE+PSL"), train.images)
    pairs = refined(run, train.images, f, present)
    for name, (_, q) in zip(train.ids, pairs, strict=True):
        mask = health.finite(q, f"the CRF's answer for {name}").argmax(axis=0)
        save_mask(made / f"{name}.png", mask.astype(np.uint8))
