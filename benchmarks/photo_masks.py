"""S and CAMs of training photographs under other settings: measures of `photos`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from photo_data import SHARES, Split, add, miou, quality, shares, table
from torch import Tensor
from torch.nn import functional as F

from aelib.cam import class_activation_maps, normalise
from aelib.course import follow, kept
from aelib.datasets.base import to_tensor
from aelib.datasets.saliency_maps import map_file, read_map
from aelib.evaluation import confusion
from aelib.masks import as_prediction, merge
from aelib.models import scaled
from aelib.pipeline import stages
from aelib.pipeline.relatives.merging import merge_by
from aelib.pipeline.run import Run
from aelib.saliency import robust_background

DELTAS = (0.4, 0.5, 0.6, 0.7)
VIEWS = {  # scales of the picture, and whether it is seen mirrored, too
    "one scale": ((0.75,), False),
    "and mirrored": ((0.75,), True),
    "3 scales, mirrored": ((0.5, 0.75, 1.0), True),
    "5 scales, mirrored": ((0.5, 0.75, 1.0, 1.25, 1.5), True),
}
RULES = ("region", "saliency", "smallest", "near")


def pseudo_masks(run: Run, root: Path, maps: Path, count: int) -> Iterator[str]:
    """S after 1 to 4 steps with both cues, and by every merge rule with the learned one."""
    train, s = Split(run, root, "train", maps, count or 200), run.settings
    counts: dict[tuple, np.ndarray] = {}
    for one in train:
        labels = torch.from_numpy(one.labels)
        steps = list(follow.mined(run, one.image, labels, s.delta))
        cues = {
            "learned": (read_map(map_file(maps, one.name), one.mask.shape), s.background_threshold),
            "computed": (
                robust_background(one.image, s.superpixels),
                follow.background_threshold(run),
            ),
        }
        for cue, saliency in cues.items():
            for k, step in enumerate(steps, start=1):
                add(counts, (cue, k, "doubt"), quality(one.mask, merge(step.found, *saliency)))
        found = steps[s.object_steps - 1].found
        for rule in RULES:
            S = merge_by(rule, found, *cues["learned"], one.labels)
            add(counts, ("learned", s.object_steps, rule), quality(one.mask, S))
    yield f"S of {len(train)} training photographs, in % of pixels"
    rows = [[*key, *shares(n)] for key, n in counts.items()]
    yield table(f"cue, steps, merge rule, {SHARES}", rows)


def views(run: Run, root: Path, maps: Path, count: int) -> Iterator[str]:
    """Step 1's CAMs of one view and of several, averaged before they are normalised."""
    train, classes = Split(run, root, "train", maps, count or 150), len(stages.classes_of(run)) + 1
    matrices: dict[tuple, np.ndarray] = {}
    hits = dict.fromkeys(VIEWS, 0)
    for one in train:
        seen = {key: _positive(run, one.image, *key) for key in _every_view()}
        for name, (scales, flip) in VIEWS.items():
            mirrored = (False, True) if flip else (False,)
            cams = normalise(sum(seen[scale, m] for scale in scales for m in mirrored)).numpy()
            for c in np.flatnonzero(one.labels):
                hits[name] += one.mask.flat[cams[c].argmax()] == c + 1
            for delta in DELTAS:
                region = (cams > delta) & one.labels[:, None, None]
                add(matrices, (name, delta), confusion(one.mask, as_prediction(region), classes))
    labels = int(train.pictures.labels[train.chosen].sum())
    yield f"step 1 on {len(train)} training photographs: mIoU of regions, maxima on objects, %"
    rows = [
        [name, *(miou(matrices[name, delta]) for delta in DELTAS), 100 * hits[name] / labels]
        for name in VIEWS
    ]
    yield table("views, " + ", ".join(f"delta {d:g}" for d in DELTAS) + ", maxima", rows)


def _every_view() -> list[tuple[float, bool]]:
    scales = {scale for scales, _ in VIEWS.values() for scale in scales}
    return [(scale, mirrored) for scale in sorted(scales) for mirrored in (False, True)]


@torch.no_grad()
def _positive(run: Run, image: np.ndarray, scale: float, mirrored: bool) -> Tensor:
    """Positive evidence of step 1's classifier at the picture's resolution, (C, H, W)."""
    model, picture = kept.classifier(run, 1), to_tensor(image)[None]
    view = scaled(picture, scale)
    features = model.embed(view.flip(-1) if mirrored else view)
    found = class_activation_maps(features, model.score.weight)
    found = found.flip(-1) if mirrored else found
    size = picture.shape[-2:]
    return F.interpolate(found, size=size, mode="bilinear", align_corners=False)[0].clamp(min=0)
