"""A whole run, without notebooks, in seconds: shared by the tests that need a finished one."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from aelib.datasets import voc
from aelib.datasets.photos import save_mask
from aelib.pipeline import results, stages
from aelib.pipeline.run import Run

TINY = {
    "train_images": 8,
    "val_images": 8,
    "classifier_epochs": 2,
    "network_epochs": 2,
    "erase_steps": 2,
    "object_steps": 2,
    "workers": 1,
    "superpixels": 40,
    "crf_iterations": 2,
}
#: What more a run on photographs needs.
PHOTOS = {
    "crop": 32,
    "scale_low": 0.5,
    "scale_high": 1.5,
    "batch_size": 4,
    "optimiser": "sgd",
    "learning_rate": 1e-3,
    "test_scales": "0.75,1",
}
NETWORKS = ("AE-step1", "AE-step2", "AE+PSL", "AE+PSL++", stages.FULL)
LABELS = [[[0], [1], [0, 1]][i % 3] for i in range(12)]  # of a dozen pictures


def photo(
    rng: np.random.Generator, classes: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A noisy picture of 40 to 60 pixels a side, its mask with a void rim, a saliency map.

    It has a bright disc for class 0 and a dark square for class 1.
    """
    height, width = rng.integers(40, 61, 2)
    y, x = np.mgrid[:height, :width]
    image = rng.integers(90, 140, (height, width, 3))
    mask = np.zeros((height, width), np.uint8)
    for c in classes:
        cy, cx = rng.integers(14, height - 14), rng.integers(14, width - 14)
        away = np.hypot(y - cy, x - cx) if c == 0 else np.maximum(abs(y - cy), abs(x - cx))
        image[away <= 9] = (230, 60 * c, 20) if c == 0 else (20, 60 * c, 230)
        mask[away <= 10] = 255
        mask[away <= 9] = c + 1
    return image.astype(np.uint8), mask, np.where(mask == 0, 30, 220).astype(np.uint8)


def make_folder(root: Path, masks: bool = True) -> Path:
    """Eight pictures to train on and four to score on, as `datasets.folder` reads them.

    Their saliency maps are in the folder `maps`.
    """
    rng = np.random.default_rng(0)
    rows = ["file,labels,split"]
    for name in ("images", "masks", "maps"):
        (root / name).mkdir(parents=True)
    for i, classes in enumerate(LABELS):
        image, mask, saliency = photo(rng, classes)
        Image.fromarray(image).save(root / "images" / f"p{i}.png")
        Image.fromarray(saliency).save(root / "maps" / f"p{i}.png")
        if masks:
            save_mask(root / "masks" / f"p{i}.png", mask)
        names = ";".join(("disc", "square")[c] for c in classes)
        rows.append(f"p{i}.png,{names},{'train' if i < 8 else 'val'}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def make_devkit(root: Path, masks: bool = True) -> Path:
    """The same pictures in VOC's layout, as cats and dogs."""
    rng, devkit = np.random.default_rng(0), root / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (devkit / name).mkdir(parents=True)
    numbers = [voc.CLASSES.index(name) + 1 for name in ("cat", "dog")]
    table = np.array([0, *numbers, *[255] * 253], np.uint8)
    labels = {}
    for i, classes in enumerate(LABELS):
        image, mask, _ = photo(rng, classes)
        labels[f"p{i}"] = [("cat", "dog")[c] for c in classes]
        Image.fromarray(image).save(devkit / "JPEGImages" / f"p{i}.jpg", quality=95)
        save_mask(devkit / "SegmentationClass" / f"p{i}.png", table[mask])
    (devkit / "image_labels.json").write_text(json.dumps(labels))
    for name, ids in (("train_aug", range(8)), ("val", range(8, 12))):
        lines = "".join(f"p{i}\n" for i in ids)
        (devkit / "ImageSets" / "Segmentation" / f"{name}.txt").write_text(lines)
    return root


def make_everything(run: Run) -> None:
    """All stages of a run, as the notebooks make them."""
    stages.prepare(run)
    steps = range(1, run.settings.erase_steps + 1)
    for step in steps:
        stages.mine(run, step)
        stages.score_mined(run, step)
    stages.find_saliency(run)
    for step in steps:
        stages.make_pseudo_masks(run, step)
        stages.train_network(run, f"AE-step{step}")
        stages.score_network(run, f"AE-step{step}")
    stages.train_network(run, "AE+PSL")
    stages.refine_training_masks(run)
    stages.train_network(run, "AE+PSL++")
    stages.train_ceiling(run)
    ceiling = [stages.FULL] if stages.has_truth(run) else []
    for name in ("AE+PSL", "AE+PSL++", *ceiling):
        stages.score_network(run, name)


def finish(run: Run) -> Run:
    """What `python -m aelib run` does, with stand-ins for the executed notebooks and the report."""
    make_everything(run)
    results.write_results(run)
    for name in ("notebooks/01_cam.ipynb", "report/index.html"):
        (run.directory / name).parent.mkdir(exist_ok=True)
        (run.directory / name).write_text(f"{name} of seed {run.settings.seed}\n")
    run.seal()
    return run
