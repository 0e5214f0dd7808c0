"""Saliency, and S: the pseudo-masks that segmentation networks learn from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...datasets.base import Lazy, full_sizes
from ...datasets.photos import read_labels, save_mask
from ...datasets.saliency_maps import check_maps, map_file, read_map
from ...masks import merge
from ...saliency import robust_background
from ...support.files import ROOT, write_json
from ...support.parallel import in_order
from ...support.progress import progress
from .. import health
from ..relatives.merging import merge_by
from ..run import Run
from ..settings import Settings
from .inputs import TRAIN, pictures
from .mining import cams, mined, regions
from .stage import stage


def _cam_is_cue(s: Settings) -> bool:
    return s.background_cue == "cam"


@stage(
    "saliency",
    reads=lambda s: ["classifier-1"] if _cam_is_cue(s) else [],
    settings=(*TRAIN, "background_cue"),
    also=lambda s: (
        ("backbone", "cam_scale") if _cam_is_cue(s) else ("saliency_maps", "superpixels")
    ),
)
def find_saliency(run: Run, made: Path) -> None:
    """Makes `saliency`: a grey PNG for each training picture, log.json {"warnings"}.

    With background_cue "cam" it is the maximum of step 1's CAMs over the picture's classes.

    Raises:
        InputError: all that is wrong with the maps, where they are given.
    """
    s, train = run.settings, pictures(run, "train")
    files = [made / f"{name}.png" for name in train.ids]
    if _cam_is_cue(s):
        maps = _highest_cams(run)
    elif s.saliency_maps:
        given = dict(zip(train.ids, full_sizes(train.images), strict=True))
        folder = ROOT / s.saliency_maps
        check_maps(folder, given, s.workers)  # a derived run may have begun with others
        maps = (
            read_map(map_file(folder, name), size, s.longest_side) for name, size in given.items()
        )
    else:
        maps = _computed(train.images, s.superpixels, s.workers)
    for file, saliency in zip(files, maps, strict=True):
        gray = health.finite(saliency, f"saliency of {file.stem}") * 255
        Image.fromarray(gray.round().astype(np.uint8)).save(file)
    warnings = health.upside_down(Lazy(read_labels, files))
    write_json(made / "log.json", {"warnings": run.warn(made.stem, warnings)})


def _highest_cams(run: Run) -> Iterator[np.ndarray]:
    """The maximum of the present classes' CAMs, (H, W) in [0, 1]; 0 where no class is present."""
    train = pictures(run, "train")
    for maps, labels in zip(cams(run, train.images), train.labels, strict=True):
        yield (maps.numpy() * labels[:, None, None]).max(axis=0)


def _computed(images: Sequence[np.ndarray], superpixels: int, workers: int) -> Iterator[np.ndarray]:
    """The saliency of each picture, (H, W) float32 in [0, 1]."""
    report = progress("saliency", len(images))
    jobs = ((image, superpixels) for image in images)
    for done, saliency in enumerate(in_order(robust_background, jobs, workers), start=1):
        report(done)
        yield saliency


@stage(
    "pseudo-masks-{step}",
    reads=lambda s, steps: [*mined(steps), "saliency"],
    settings=(*TRAIN, "background_threshold", "merge_rule"),
)
def make_pseudo_masks(run: Run, made: Path, steps: int) -> None:
    """Makes `pseudo-masks-STEPS`: S of each training picture, from the regions of `steps` steps.

    ID.png: a palette PNG: 0 background, c + 1 for class c, 255 ignored; log.json {"warnings"}.
    """
    s, train = run.settings, pictures(run, "train")
    found, saliency = regions(run, steps), run.images("saliency", train.ids)
    files = [made / f"{name}.png" for name in train.ids]
    for file, region, gray, labels in zip(files, found, saliency, train.labels, strict=True):
        if s.merge_rule == "doubt":
            mask = merge(region, gray / 255, s.background_threshold)
        else:
            mask = merge_by(s.merge_rule, region, gray / 255, s.background_threshold, labels)
        save_mask(file, mask)
    warnings = health.mostly_ignored(Lazy(read_labels, files))
    write_json(made / "log.json", {"warnings": run.warn(made.stem, warnings)})
