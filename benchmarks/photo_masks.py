"""S and CAMs of training photographs under other settings: measures of `photos`."""

from collections.abc import Iterator

import numpy as np
import torch
from photo_data import SHARES, Source, add, miou, quality, shares, table
from torch import Tensor
from torch.nn import functional as F

from aelib.cam import class_activation_maps, normalise
from aelib.course import kept
from aelib.course.follow import background_threshold
from aelib.datasets.base import to_tensor
from aelib.evaluation import confusion
from aelib.masks import as_prediction, merge
from aelib.models import scaled
from aelib.pipeline import stages
from aelib.pipeline.finished import FinishedStages
from aelib.pipeline.relatives.merging import merge_by
from aelib.saliency import robust_background

DELTAS = (0.4, 0.5, 0.6, 0.7)
VIEWS = {  # scales of the picture, and whether it is seen mirrored, too
    "one scale": ((0.75,), False),
    "and mirrored": ((0.75,), True),
    "3 scales, mirrored": ((0.5, 0.75, 1.0), True),
    "5 scales, mirrored": ((0.5, 0.75, 1.0, 1.25, 1.5), True),
}
RULES = ("region", "saliency", "smallest", "near")


def pseudo_masks(source: Source) -> Iterator[str]:
    """S after 1 to 4 steps, and by every merge rule, with the learned cue."""
    train, s, counts = source.split("train", 0), source.run.settings, {}
    for one in train:
        found, saliency = source.found(one), source.learned(one)
        for k, regions in enumerate(found, start=1):
            S = merge(regions, saliency, s.background_threshold)
            add(counts, (k, "doubt"), quality(one.mask, S))
        regions = found[s.object_steps - 1]
        for rule in RULES:
            S = merge_by(rule, regions, saliency, s.background_threshold, one.labels)
            add(counts, (s.object_steps, rule), quality(one.mask, S))
    yield f"S of {train.seen} training photographs, learned cue, in % of pixels"
    rows = [[*key, *shares(n)] for key, n in counts.items()]
    yield table(f"steps, merge rule, {SHARES}", rows)


def cues(source: Source) -> Iterator[str]:
    """S of the same regions with the learned and with the computed cue."""
    train, s, counts = source.split("train", 0), source.run.settings, {}
    for one in train:
        regions = source.found(one)[s.object_steps - 1]
        computed = robust_background(one.image, s.superpixels)
        for cue, saliency, threshold in (
            ("learned", source.learned(one), s.background_threshold),
            ("computed", computed, background_threshold(source.run)),
        ):
            S = merge(regions, saliency, threshold)
            add(counts, (cue, f"{threshold:g}"), quality(one.mask, S))
    yield f"S of {train.seen} training photographs, {s.object_steps} steps, in % of pixels"
    rows = [[*key, *shares(n)] for key, n in counts.items()]
    yield table(f"cue, background below, {SHARES}", rows)


def views(source: Source) -> Iterator[str]:
    """Step 1's CAMs of one view and of several, averaged before they are normalised."""
    run, train, matrices = source.run, source.split("train", 150), {}
    classes, hits, labels = len(stages.classes_of(run)) + 1, dict.fromkeys(VIEWS, 0), 0
    for one in train:
        seen = {key: _positive(run, one.image, *key) for key in _every_view()}
        labels += int(one.labels.sum())
        for name, (scales, flip) in VIEWS.items():
            mirrored = (False, True) if flip else (False,)
            cams = normalise(sum(seen[scale, m] for scale in scales for m in mirrored)).numpy()
            for c in np.flatnonzero(one.labels):
                hits[name] += one.mask.flat[cams[c].argmax()] == c + 1
            for delta in DELTAS:
                region = (cams > delta) & one.labels[:, None, None]
                add(matrices, (name, delta), confusion(one.mask, as_prediction(region), classes))
    yield f"step 1 on {train.seen} training photographs: mIoU of regions, maxima on objects, %"
    rows = [
        [name, *(miou(matrices[name, delta]) for delta in DELTAS), 100 * hits[name] / labels]
        for name in VIEWS
    ]
    yield table("views, " + ", ".join(f"delta {d:g}" for d in DELTAS) + ", maxima", rows)


def _every_view() -> list[tuple[float, bool]]:
    scales = {scale for scales, _ in VIEWS.values() for scale in scales}
    return [(scale, mirrored) for scale in sorted(scales) for mirrored in (False, True)]


@torch.no_grad()
def _positive(run: FinishedStages, image: np.ndarray, scale: float, mirrored: bool) -> Tensor:
    """Positive evidence of step 1's classifier at the picture's resolution, (C, H, W)."""
    model, picture = kept.classifier(run, 1), to_tensor(image)[None]
    view = scaled(picture, scale)
    features = model.embed(view.flip(-1) if mirrored else view)
    found = class_activation_maps(features, model.score.weight)
    found = found.flip(-1) if mirrored else found
    size = picture.shape[-2:]
    return F.interpolate(found, size=size, mode="bilinear", align_corners=False)[0].clamp(min=0)
