"""A run with pictures that show nothing, and what it says of classes that labels cannot teach."""

import numpy as np
import pytest
from PIL import Image
from tiny import PHOTOS, TINY

from aelib.datasets.photos import save_mask
from aelib.pipeline import stages
from aelib.pipeline.run import Run
from aelib.pipeline.stages import mining

ONE_STEP = {"erase_steps": 1, "object_steps": 1, "train_images": 8, "val_images": 8}


def a_run(folder, labels):
    """A run on sixteen pictures, half of them val; a red square is what a label stands for."""
    rng = np.random.default_rng(15)
    for name in ("images", "masks"):
        (folder / "mine" / name).mkdir(parents=True)
    rows = ["file,labels,split"]
    for i, label in enumerate(labels):
        image = rng.integers(60, 120, (40, 44, 3)).astype(np.uint8)
        mask = np.zeros((40, 44), np.uint8)
        if label:
            image[8:28, 6:26] = (220, 60, 40)
            mask[8:28, 6:26] = 1
        Image.fromarray(image).save(folder / "mine" / "images" / f"p{i}.png")
        save_mask(folder / "mine" / "masks" / f"p{i}.png", mask)
        rows.append(f"p{i}.png,{label},{'train' if i < 8 else 'val'}")
    (folder / "mine" / "labels.csv").write_text("\n".join(rows) + "\n")
    place = {"dataset": "folder", "data_root": str(folder / "mine")}
    return Run(folder / "run", "smoke", **TINY | PHOTOS | ONE_STEP | place)


def test_pictures_of_nothing_go_through_a_whole_run(tmp_path, capsys):
    run = a_run(tmp_path, ["lesion", ""] * 8)
    stages.prepare(run)
    assert "train: 8 pictures: lesion 4; several classes 0, no label 4" in capsys.readouterr().out
    assert run.json("data", "log.json")["warnings"] == []
    stages.mine(run, 1)
    stages.find_saliency(run)
    stages.make_pseudo_masks(run, 1)
    stages.train_network(run, "AE-step1")
    stages.score_network(run, "AE-step1")
    for i in range(1, 8, 2):  # of what shows nothing S holds background, or nobody knows
        found = np.unique(np.array(Image.open(run.file("pseudo-masks-1", f"p{i}.png"))))
        assert {*found.tolist()} <= {0, 255}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["lesion"] * 16, "in every training picture: lesion"),
        (["lesion", ""] * 7 + ["zebra", ""], "in no training picture: zebra"),
    ],
)
def test_what_cannot_be_learned_is_said_before_training_and_kept(tmp_path, capsys, labels, said):
    run = a_run(tmp_path, labels)
    stages.prepare(run)
    assert f"WARNING data: train: {said}" in capsys.readouterr().out
    assert any(said in text for text in run.warnings())
    mining.train_classifier(run, 1)
    assert all(0 <= value <= 1 for value in stages.evidences(run))
