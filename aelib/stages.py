"""The stages of the method, each reading what earlier ones left in the run directory and adding its own folder.

    data           what was checked of the data set before any training; the training split's mean pixel
    classifier-K   one round of adversarial erasing: weights, mined regions of the training split, losses
    saliency       a saliency map for each training picture
    seeds-K        S from the regions of K steps and the saliency
    network-NAME   a segmentation network: weights, losses
    refined        the training split as the PSL network labels it and the CRF refines it: what PSL++ learns from
    scores-NAME    a network's confusion matrices on val, without and with CRF

A finished stage returns at once, so a notebook may be run again at no cost. No stage but `score_*` and `train_ceiling` touches a mask.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby, islice, tee
from multiprocessing import get_all_start_methods
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from . import checks, data, folder, prediction, psl, voc
from .augment import CropSet
from .cam import cam
from .crf import CRF, refine_all
from .data import Pictures, TrainingSet, Truth, to_tensor
from .erasing import discriminative_regions, erase, evidence, steps_worth_keeping
from .evaluation import confusion, part_recall
from .files import refuse
from .masks import as_prediction, merge
from .models import LargeFOV, classify, scaled
from .notebook import count_report, epoch_report
from .photos import Lazy, full_sizes, read_labels, sizes
from .runs import ROOT, Run, RunError, save_mask, save_tensors, write_json
from .saliency import check_maps, map_file, read_map, saliency_all
from .settings import Settings
from .training import DEVICE, fit
from .weights import load_pretrained

FULL = "full supervision"


def _source(s: Settings, split: str) -> tuple[ModuleType, tuple]:
    """The module that knows photographs on disk, and what its `pictures` and `truth` are asked for."""
    name = {"train": s.train_list, "val": s.val_list}[split] if s.dataset == "voc" else split
    count = s.train_images if split == "train" else s.val_images
    return {"voc": voc, "folder": folder}[s.dataset], (ROOT / s.data_root, name, s.class_names, count, s.seed, s.longest_side)


def pictures(run: Run, split: str) -> Pictures:
    """A split, "train" or "val", as training sees it: no masks.

    Raises:
        RunError: photographs or labels are others than those that the run began with (see `data.fingerprint`; masks are not compared).
    """
    s = run.settings
    if s.dataset == "creatures":
        return data.creature_pictures(s.seed, split, s.train_images if split == "train" else s.val_images)
    source, asked = _source(s, split)
    found = source.pictures(*asked)
    if run.finished("data") and data.fingerprint(found) != _begun_with(run, "photographs")[split]:
        gone = [f"\n  {file} is missing" for file in found.images.files if not file.exists()]
        raise _others(run, f"the photographs or labels of {split} in {ROOT / s.data_root}", "".join(gone[:20]))
    return found


def classes_of(run: Run) -> tuple[str, ...]:
    """The C classes, in order; once `data` is made they are read from it, and the photographs are not needed."""
    if run.settings.dataset != "creatures" and run.finished("data"):
        return tuple(_begun_with(run, "classes"))
    return pictures(run, "train").classes


def _begun_with(run: Run, what: str) -> Any:
    """What `data` says that the run began with. Raises RunError if it does not say: it was made before aelib remembered it."""
    log = run.json("data", "log.json")
    if what not in log:
        raise RunError(f"{run.directory / 'data'} says nothing of its {what}, an older aelib made it: choose another run directory")
    return log[what]


def _others(run: Run, what: str, more: str = "") -> RunError:
    return RunError(f"{what} are not what {run.directory} began with: bring them back, or choose another run directory{more}")


def truth(run: Run, split: str) -> Truth:
    """A split's masks and part maps: for evaluation and for the fully supervised ceiling only. All void where there are none."""
    s = run.settings
    if s.dataset == "creatures":
        return data.creature_truth(s.seed, split, s.train_images if split == "train" else s.val_images)
    source, asked = _source(s, split)
    return source.truth(*asked) or data.no_truth(pictures(run, split))


def prepare(run: Run) -> None:
    """Makes `data`, before anything is trained: all photographs, masks, saliency maps and weights are looked at once.

    log.json {"pictures": {split: count}, "mean_pixel": RGB in [0, 255], "weights": what the backbone starts from, or None}; of
    photographs also "classes" and "photographs": {split: `data.fingerprint`}

    Raises:
        ValueError: all that is wrong with the weights, the data and the saliency maps (of a list and classes that are right), in one
            message; or a picture is in both splits.
    """
    if run.finished("data"):
        return
    s, problems, weights = run.settings, [], None
    with run.making("data") as made:
        with _noted(problems):
            weights = load_pretrained(LargeFOV(1, s.backbone, s.dropout, s.frozen), _weights(s), s.fc_weights) if s.weights != "random" else None
        with _noted(problems):
            if s.dataset != "creatures":
                (source, (root, *_)), limits = _source(s, "train"), (s.train_images, s.val_images)
                lists = (s.train_list, s.val_list) if s.dataset == "voc" else ("train", "val")
                source.check(root, dict(zip(lists, limits, strict=True)), s.class_names, s.seed, s.workers, count_report("data"))
        if s.loaders and "fork" not in get_all_start_methods():
            problems.append("loaders: on this system there is no fork, which they need; set it to 0")
        with _noted(problems):
            if s.saliency_maps:
                check_maps(ROOT / s.saliency_maps, _readable(run), s.workers)
        if problems:
            raise ValueError("\n".join(problems))
        train, val = pictures(run, "train"), pictures(run, "val")
        shared = [f"{name} is trained on and scored on" for name in sorted({*train.ids} & {*val.ids})]
        refuse(f"picture(s) are in {s.train_list} and in {s.val_list}", shared)  # voc's lists: those of a folder cannot share one
        seen = {"pictures": {"train": len(train), "val": len(val)}, "mean_pixel": train.mean_pixel().tolist(), "weights": weights}
        if s.dataset != "creatures":
            seen |= {"classes": train.classes, "photographs": {"train": data.fingerprint(train), "val": data.fingerprint(val)}}
        write_json(made / "log.json", seen)


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        problems.append(str(error))


def _readable(run: Run) -> dict[str, tuple[int, int]]:
    """id -> (H, W), unreduced, of the training pictures that can be read; what is wrong with the list and the others, the data's check has said."""
    known = {}
    with suppress(ValueError):
        train = pictures(run, "train")
        for i, name in enumerate(train.ids):
            with suppress(ValueError, FileNotFoundError):
                known[name] = full_sizes(train.images[i : i + 1])[0]
    return known


def mean_pixel(run: Run) -> Tensor:
    """Mean RGB of the training split, (3,) in [0, 1]: what erased pixels become. Makes `data` if need be."""
    prepare(run)
    return torch.tensor(_begun_with(run, "mean_pixel"), dtype=torch.float64) / 255


def needs(stage: str, settings: Settings) -> list[str]:
    """The stages that a stage reads. Made anew with another outcome, they make it out of date: `Run.finished`."""
    read = _method_needs(stage, settings)
    if settings.dataset == "creatures" or stage == "data":
        return read
    return ["data", *(name for name in read if name != "data")]  # `pictures` holds the photographs against those that `data` saw


def _method_needs(stage: str, settings: Settings) -> list[str]:
    kind, _, name = stage.partition("-")
    match kind:
        case "classifier":
            return ["data", *(f"classifier-{k}" for k in range(1, int(name)))]
        case "seeds":
            return [*(f"classifier-{k}" for k in range(1, int(name) + 1)), "saliency"]
        case "refined":
            return ["network-AE+PSL"]
        case "network" if name.startswith("AE-step"):
            return ["data", f"seeds-{name.removeprefix('AE-step')}"]
        case "network" if name.startswith("AE+PSL"):
            return ["data", "refined" if name == "AE+PSL++" else f"seeds-{settings.object_steps}", "classifier-1"]
        case "network":
            return ["data"]
        case "scores" if name.startswith("mined-"):
            return [f"classifier-{k}" for k in range(1, int(name.removeprefix("mined-")) + 1)]
        case "scores":
            return [f"network-{name}", "classifier-1"]
    return []


# --- mining ----------------------------------------------------------------------------------------------------------------


def mine(run: Run, step: int) -> None:
    """Step `step` (1, 2, ...) of adversarial erasing: erase, train a classifier, take its CAMs, threshold them into regions.

    Makes `classifier-STEP`: weights.safetensors, regions.safetensors (bits, see `regions`), log.json {"losses", "evidence", "warnings"}.
    """
    name = f"classifier-{step}"
    if run.finished(name):
        return
    mean = mean_pixel(run)
    s, train = run.settings, pictures(run, "train")
    gone = regions(run, step - 1)  # what the steps so far found
    weights = run.tensors(f"classifier-{step - 1}", "weights.safetensors") if s.start == "warm" and step > 1 else None
    labels = torch.from_numpy(train.labels)

    def erased(i: int) -> Tensor:
        return erase(to_tensor(train.images[i]), torch.from_numpy(gone[i]), mean)

    def loss(model: LargeFOV, image: Tensor, label: Tensor, progress: float) -> Tensor:
        return classification_loss(classify(model(image)), label, s.classification_loss)

    with run.making(name, needs(name, run.settings)) as made:
        torch.manual_seed(100 * s.seed + step)
        classifier = _first(run, len(train.classes))
        if weights is not None:
            classifier.load_state_dict(weights)
        dataset = _samples(s, train, lambda i: (labels[i].float(),), mean, gone=lambda i: torch.from_numpy(gone[i]))
        recipe = _recipe(s, s.classifier_epochs, step, s.last_layer_factor)
        losses = fit(classifier, dataset, loss, **recipe, checkpoint=made / ".checkpoint", report=epoch_report(name))
        found, pixels = {}, np.zeros(len(train.classes), int)
        for i, maps in enumerate(_cams(classifier, (erased(i) for i in range(len(train))), s.cam_scale)):
            new = discriminative_regions(maps, labels[i], s.delta, s.delta_rule)
            pixels += new.sum(dim=(1, 2)).numpy()
            for c in np.flatnonzero(train.labels[i]):
                found[f"{train.ids[i]}/{c}"] = torch.from_numpy(np.packbits(new[c].numpy(), axis=1))
        save_tensors(made / "weights.safetensors", classifier.state_dict())
        save_tensors(made / "regions.safetensors", found)
        seen = evidence(losses[-1], labels.float().mean(dim=0), s.classification_loss)
        warnings = run.warn(name, checks.never_mined(pixels, train.labels.sum(axis=0), train.classes))
        write_json(made / "log.json", {"losses": losses, "evidence": seen, "warnings": warnings})


def classification_loss(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Mean over images and classes of the sigmoid cross-entropy ("sigmoid") or of the paper's squared error ("squared").

    Args:
        logits, labels: (N, C); labels 0 or 1. "squared" compares them as they are: a label vector is what the score should be.
    """
    if kind == "squared":
        return F.mse_loss(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels)


class Regions(Sequence[np.ndarray]):
    """Regions of each picture, (C, H, W) bool, kept as bits and unpacked on access: 10,582 photographs of 20 classes are 40 GB of bool.

    Args:
        shapes: (H, W) of each picture.
        classes: C.
        packed: for each picture, (class, rows of bits as numpy.packbits makes them) any number of times; their union counts.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], classes: int, packed: Sequence[list[tuple[int, np.ndarray]]]) -> None:
        self.shapes, self.classes, self.packed = shapes, classes, packed

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return Regions(self.shapes[i], self.classes, self.packed[i])
        union = np.zeros((self.classes, *self.shapes[i]), bool)
        for c, bits in self.packed[i]:
            union[c] |= np.unpackbits(bits, axis=1, count=union.shape[2]).astype(bool)
        return union


def regions(run: Run, steps: int, first: int = 1) -> Regions:
    """The union of the regions mined by steps `first` to `steps`: for each training picture (C, H, W) bool. No step: all False."""
    train = pictures(run, "train")
    packed: list[list[tuple[int, np.ndarray]]] = [[] for _ in train.ids]
    place = {name: i for i, name in enumerate(train.ids)}
    for step in range(first, steps + 1):
        for key, bits in run.tensors(f"classifier-{step}", "regions.safetensors").items():
            name, c = key.rsplit("/", 1)
            packed[place[name]].append((int(c), bits.numpy()))
    return Regions(sizes(train.images), len(train.classes), packed)


def classifier(run: Run, step: int = 1) -> LargeFOV:
    """The trained classifier of a step, in eval mode."""
    return _load(run, f"classifier-{step}", len(classes_of(run)))


def cams(run: Run, images: Sequence[np.ndarray], step: int = 1) -> Iterator[Tensor]:
    """A step's normalised CAMs of each picture, whole and unerased: (C, H, W) in [0, 1] on the CPU, for all C classes; see `cam.cam`."""
    return _cams(classifier(run, step), map(to_tensor, images), run.settings.cam_scale)


def _cams(model: LargeFOV, images: Iterator[Tensor], scale: float) -> Iterator[Tensor]:
    return _in_batches(lambda x: cam(model, x, scale), images)


def confidences(run: Run, split: str) -> Tensor:
    """v of a split: see `confidences_of`."""
    return confidences_of(run, pictures(run, split).images)


def confidences_of(run: Run, images: Sequence[np.ndarray]) -> Tensor:
    """v: how sure the step-1 classifier is of each class on the whole, unerased picture, (n, C) in [0, 1]."""
    model, s = classifier(run), run.settings
    logits = torch.stack(list(_in_batches(lambda x: classify(model(scaled(x, s.cam_scale))), map(to_tensor, images))))
    return logits.clamp(0, 1) if s.classification_loss == "squared" else logits.sigmoid()


def evidences(run: Run) -> list[float]:
    """Share of the labels that each step's classifier could still read off its erased training pictures, so far as steps are mined."""
    seen = []
    while run.finished(f"classifier-{len(seen) + 1}"):
        seen.append(run.json(f"classifier-{len(seen) + 1}", "log.json")["evidence"])
    return seen


def stop_step(run: Run) -> int:
    """Steps the stop rule keeps: from the classifiers' own training signal, no mask."""
    return steps_worth_keeping(evidences(run), run.settings.stop_evidence)


# --- background and S ------------------------------------------------------------------------------------------------------


def find_saliency(run: Run) -> None:
    """Makes `saliency`: a grey PNG for each training picture, log.json {"warnings"}."""
    if run.finished("saliency"):
        return
    prepare(run)
    s, train = run.settings, pictures(run, "train")
    given = zip(train.ids, full_sizes(train.images), strict=True)
    maps = (read_map(map_file(ROOT / s.saliency_maps, name), size, s.longest_side) for name, size in given)
    if not s.saliency_maps:
        maps = saliency_all(train.images, s.superpixels, s.workers, count_report("saliency", len(train)))
    with run.making("saliency", needs("saliency", run.settings)) as made:
        files = [made / f"{name}.png" for name in train.ids]
        for file, saliency in zip(files, maps, strict=True):
            Image.fromarray((checks.finite(saliency, f"saliency of {file.stem}") * 255).round().astype(np.uint8)).save(file)
        write_json(made / "log.json", {"warnings": run.warn("saliency", checks.upside_down(Lazy(read_labels, files)))})


def merge_seeds(run: Run, steps: int) -> None:
    """Makes `seeds-STEPS`: S as a palette PNG for each training picture, from the regions of `steps` steps; log.json {"warnings"}."""
    name = f"seeds-{steps}"
    if run.finished(name):
        return
    train = pictures(run, "train")
    mined, saliency = regions(run, steps), run.images("saliency", train.ids)
    with run.making(name, needs(name, run.settings)) as made:
        files = [made / f"{image_id}.png" for image_id in train.ids]
        for file, region, gray in zip(files, mined, saliency, strict=True):
            save_mask(file, merge(region, gray / 255, run.settings.background_threshold))
        write_json(made / "log.json", {"warnings": run.warn(name, checks.mostly_ignored(Lazy(read_labels, files)))})


# --- segmentation ----------------------------------------------------------------------------------------------------------


def train_network(run: Run, name: str, masks: Sequence[np.ndarray], prohibitive: bool) -> None:
    """Makes `network-NAME`: a segmentation LargeFOV trained on label maps, with the PSL loss or with plain cross-entropy J(f, S).

    weights.safetensors, log.json {"losses", "warnings"}.

    Args:
        run: the run; the PSL loss needs `classifier-1` for v.
        name: of the network, such as "AE-step3".
        masks: one a training picture, (H, W) uint8: 0..C, 255 ignored.
        prohibitive: J(f, S) + J(f, S-hat) if true (after psl_warmup of the epochs), J(f, S) if not.
    """
    stage = f"network-{name}"
    if run.finished(stage):
        return
    s, train, mean = run.settings, pictures(run, "train"), mean_pixel(run)
    v = confidences(run, "train") if prohibitive else torch.zeros(len(train), 0)

    def loss(model: LargeFOV, image: Tensor, mask: Tensor, v: Tensor, progress: float) -> Tensor:
        scores = model(image)
        mask = psl.shrink(mask, scores.shape[-2:])
        # S-hat is the network's own answer: worth hearing once the network has one
        if prohibitive and progress >= s.psl_warmup:
            return psl.psl_loss(scores, mask, v)
        return psl.cross_entropy(scores, mask).mean()

    with run.making(stage, needs(stage, run.settings)) as made:
        torch.manual_seed(100 * s.seed + 50)  # the same for all networks: first weights, order of pictures, mirroring
        network = _first(run, len(train.classes) + 1)
        dataset = _samples(s, train, lambda i: (v[i],), mean, masks=masks)
        recipe = _recipe(s, s.network_epochs, 50, s.network_last_layer_factor)
        losses = fit(network, dataset, loss, **recipe, checkpoint=made / ".checkpoint", report=epoch_report(stage))
        save_tensors(made / "weights.safetensors", network.state_dict())
        answers = [f.argmax(dim=0).numpy() for f in predict(run, network, train.images[:100])]
        write_json(made / "log.json", {"losses": losses, "warnings": run.warn(stage, checks.collapse(answers, train.classes))})


def train_on_seeds(run: Run, steps: int) -> None:
    """`network-AE-stepSTEPS`: plain cross-entropy on S from `steps` steps."""
    train_network(run, f"AE-step{steps}", _label_maps(run, f"seeds-{steps}"), prohibitive=False)


def train_psl(run: Run) -> None:
    """`network-AE+PSL`: the PSL loss on S from object_steps steps."""
    train_network(run, "AE+PSL", _label_maps(run, f"seeds-{run.settings.object_steps}"), prohibitive=True)


def train_psl_again(run: Run) -> None:
    """`network-AE+PSL++`: a new network under the PSL loss, on the refined masks."""
    train_network(run, "AE+PSL++", _label_maps(run, "refined"), prohibitive=True)


def train_ceiling(run: Run) -> None:
    """`network-full supervision`: the same network on the true masks. The one training that sees them; none without masks."""
    if has_truth(run):
        train_network(run, FULL, truth(run, "train").masks, prohibitive=False)
    else:
        print(f"no masks: no {FULL}")


def has_truth(run: Run) -> bool:
    """Whether the data set has masks, as all but a folder of one's own must."""
    return run.settings.dataset != "folder" or all(folder.truth(*_source(run.settings, split)[1]) for split in ("train", "val"))


def network(run: Run, name: str) -> LargeFOV:
    """A trained segmentation network, in eval mode."""
    return _load(run, f"network-{name}", len(classes_of(run)) + 1)


def predict(run: Run, model: LargeFOV, images: Sequence[np.ndarray]) -> Iterator[Tensor]:
    """f at each picture's own resolution: (C + 1, H, W) in [0, 1], background first; seen at test_scales, and mirrored with test_flip."""
    views = {"scales": run.settings.scales, "flip": run.settings.test_flip == "yes"}
    return _in_batches(lambda x: prediction.predict(model, x, **views), map(to_tensor, images))


def answer(run: Run, images: Sequence[np.ndarray], name: str) -> Iterator[np.ndarray]:
    """The method at test, whole: a network, prohibition by v, CRF. For each picture (C + 1, H, W) float32 in [0, 1]: argmax is the answer."""
    model = network(run, name)  # first: a wrong name is said before the classifier looks at a thousand photographs
    present = psl.allowed(confidences_of(run, images), run.settings.prohibit_threshold).numpy()
    return refined(run, images, predict(run, model, images), present)


def refined(run: Run, images: Sequence[np.ndarray], f: Iterable[Tensor], present: np.ndarray) -> Iterator[np.ndarray]:
    """The CRF's answer for each picture from f, over the labels that are present ((n, C + 1) bool): (C + 1, H, W) in [0, 1]; see `crf.refine_all`."""
    return refine_all(images, f, present, crf_of(run.settings), run.settings.workers, run.settings.crf_engine)


def crf_of(settings: Settings) -> CRF:
    """The CRF that the settings describe."""
    s = settings
    return CRF(s.gaussian_weight, s.gaussian_sxy, s.bilateral_weight, s.bilateral_sxy, s.bilateral_srgb, s.crf_iterations)


def refine_training_masks(run: Run) -> None:
    """Makes `refined`: the PSL network's answer on the training split, over the classes of the image's labels, refined by the CRF."""
    if run.finished("refined"):
        return
    train = pictures(run, "train")
    present = np.pad(train.labels, ((0, 0), (1, 0)), constant_values=True)
    f = predict(run, network(run, "AE+PSL"), train.images)
    with run.making("refined", needs("refined", run.settings)) as made:
        for name, q in zip(train.ids, refined(run, train.images, f, present), strict=True):
            save_mask(made / f"{name}.png", checks.finite(q, f"the CRF's answer for {name}").argmax(axis=0).astype(np.uint8))


def story(run: Run) -> tuple[np.ndarray, dict[str, np.ndarray], tuple[str, ...]]:
    """One training picture through all stages, for `plots.masks`: the image, label maps by name, the classes."""
    s, train = run.settings, pictures(run, "train")
    i = int(train.labels.sum(axis=1).argmax())  # the first of the pictures that show most classes
    one = (train.ids[i],)
    steps = {f"step {k}: mined": as_prediction(regions(run, k)[i]) for k in (1, s.object_steps)}
    v = confidences(run, "train")[i : i + 1]

    def answer(name: str) -> np.ndarray:
        return psl.prohibit(next(predict(run, network(run, name), [train.images[i]]))[None], v)[0].byte().numpy()

    panels = steps | {"S": run.images(f"seeds-{s.object_steps}", one)[0], "PSL": answer("AE+PSL"), "CRF": run.images("refined", one)[0]}
    return train.images[i], panels | {"second round": answer("AE+PSL++"), "truth": truth(run, "train").masks[i]}, train.classes


# --- scores ----------------------------------------------------------------------------------------------------------------


def score_mined(run: Run, steps: int) -> None:
    """Makes `scores-mined-STEPS`: the regions of `steps` steps against the training split's masks, and recall by part."""
    name = f"scores-mined-{steps}"
    if run.finished(name):
        return
    t, classes = truth(run, "train"), len(pictures(run, "train").classes) + 1
    mined = regions(run, steps)
    with run.making(name, needs(name, run.settings)) as made:
        matrix = sum(confusion(mask, as_prediction(region), classes) for mask, region in zip(t.masks, mined, strict=True))
        counts = sum(part_recall(region.any(axis=0), parts, len(t.part_names)) for region, parts in zip(mined, t.parts, strict=True))
        parts = {part: counts[i].tolist() for i, part in enumerate(t.part_names)}
        write_json(made / "scores.json", {"matrix": matrix.tolist(), "parts": parts})


def prohibits(name: str) -> bool:
    """Whether a network's rows of the table include prohibition at test: those trained with PSL, as in the paper."""
    return "PSL" in name


def score_network(run: Run, name: str) -> None:
    """Makes `scores-NAME`: a network's confusion matrices on val.

    "all" as it is, "prohibited" without the classes whose v is under prohibit_threshold; each again with the CRF, "+crf", over the
    labels that are left.
    """
    stage = f"scores-{name}"
    if run.finished(stage):
        return
    s, val = run.settings, pictures(run, "val")
    masks, classes = truth(run, "val").masks, len(val.classes) + 1
    with run.making(stage, needs(stage, run.settings)) as made:
        model, v, matrices = network(run, name), confidences(run, "val"), {}
        for label, threshold in (("all", 0.0), ("prohibited", s.prohibit_threshold)):
            present = psl.allowed(v, threshold).numpy()
            f, f_too = tee(predict(run, model, val.images))  # one after the other: a split's f does not fit in memory
            plain, crf = np.zeros((2, classes, classes), np.int64)
            for mask, p, allowed, q in zip(masks, f_too, present, refined(run, val.images, f, present), strict=True):
                plain += confusion(mask, (p.numpy() * allowed[:, None, None]).argmax(axis=0), classes)
                crf += confusion(mask, checks.finite(q, "the CRF's answer").argmax(axis=0), classes)
            matrices |= {label: plain.tolist(), f"{label}+crf": crf.tolist()}
        write_json(made / "scores.json", matrices)


def _weights(s: Settings) -> str | Path:
    return s.weights if s.weights == "torchvision" else ROOT / s.weights


def _first(run: Run, outputs: int) -> LargeFOV:
    """A network as it is before training. Raises RunError if the file of weights is another than the run began with."""
    s = run.settings
    model = LargeFOV(outputs, s.backbone, s.dropout, s.frozen)
    if s.weights != "random" and (loaded := load_pretrained(model, _weights(s), s.fc_weights)) != _begun_with(run, "weights"):
        raise _others(run, f"the weights in {loaded['file']}")
    return model


def _samples(s: Settings, train: Pictures, target: Callable[[int], tuple[Tensor, ...]], mean: Tensor, **more: Any) -> Dataset:
    """What fit() takes: crops of photographs, whole creatures."""
    if s.crop:
        return CropSet(train, target, fill=mean.float(), size=s.crop, scales=(s.scale_low, s.scale_high), **more)
    return TrainingSet(train, target, fill=mean, **more)


def _recipe(s: Settings, epochs: int, offset: int, last_layer_factor: float) -> dict[str, Any]:
    """fit()'s numbers; `offset` keeps the random numbers of different trainings apart."""
    return {
        "epochs": epochs,
        "batch_size": s.batch_size,
        "learning_rate": s.learning_rate,
        "weight_decay": s.weight_decay,
        "last_layer_factor": last_layer_factor,
        "features_factor": s.features_factor,
        "optimiser": s.optimiser,
        "momentum": s.momentum,
        "drop_epoch": s.drop_epoch,
        "precision": s.precision,
        "loaders": s.loaders,
        "seed": 100 * s.seed + offset,
    }


def _load(run: Run, stage: str, outputs: int) -> LargeFOV:
    model = LargeFOV(outputs, run.settings.backbone)
    try:
        model.load_state_dict(run.tensors(stage, "weights.safetensors"))
    except RuntimeError as error:
        raise RunError(f"{run.directory / stage / 'weights.safetensors'} does not fit the network: {error}") from error
    return model.to(DEVICE).eval()


def _label_maps(run: Run, stage: str) -> list[np.ndarray]:
    return run.images(stage, pictures(run, "train").ids)


@torch.no_grad()
def _in_batches(function: Callable[[Tensor], Tensor], images: Iterator[Tensor], pixels: int = 50 * 96 * 96) -> Iterator[Tensor]:
    """function over images, those of one size that follow each other together, up to so many pixels; yields one result an image, on the CPU.

    FloatingPointError: one is not finite.
    """
    for (_, height, width), alike in groupby(images, key=lambda image: image.shape):
        while batch := list(islice(alike, max(1, pixels // (height * width)))):
            yield from checks.finite(
                function(torch.stack(batch).to(DEVICE, memory_format=torch.channels_last)).cpu(), "a network's answer to these pictures"
            )
