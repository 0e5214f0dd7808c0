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
from ..run import Run
from .inputs import TRAIN, pictures
from .mining import mined, regions
from .stage import stage


@stage("saliency", settings=(*TRAIN, "saliency_maps", "superpixels"))
def find_saliency(run: Run, made: Path) -> None:
    """Makes `saliency`: a grey PNG for each training picture, log.json {"warnings"}.

    Raises:
        InputError: all that is wrong with the maps, where they are given.
    """
    s, train = run.settings, pictures(run, "train")
    files = [made / f"{name}.png" for name in train.ids]
    if s.saliency_maps:
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
    settings=(*TRAIN, "background_threshold"),
)
def make_pseudo_masks(run: Run, made: Path, steps: int) -> None:
    """Makes `pseudo-masks-STEPS`: S of each training picture, from the regions of `steps` steps.

    ID.png: a palette PNG: 0 background, c + 1 for class c, 255 ignored; log.json {"warnings"}.
    """
    train = pictures(run, "train")
    found, saliency = regions(run, steps), run.images("saliency", train.ids)
    files = [made / f"{name}.png" for name in train.ids]
    for file, region, gray in zip(files, found, saliency, strict=True):
        save_mask(file, merge(region, gray / 255, run.settings.background_threshold))
    warnings = health.mostly_ignored(Lazy(read_labels, files))
    write_json(made / "log.json", {"warnings": run.warn(made.stem, warnings)})
