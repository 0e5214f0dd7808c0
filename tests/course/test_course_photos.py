"""The whole course on real photographs, where there are some.

They are `shared/voc` beside the project, a devkit's subset with image_labels.json.
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aelib.__main__ import main
from aelib.support.files import ROOT

SHARED = ROOT.parent / "shared"
WEIGHTS = SHARED / "weights" / "mobilenet_v2_imagenet.safetensors"
DEVKIT = SHARED / "voc" / "VOCdevkit" / "VOC2012"
SMALL = {
    "weights": WEIGHTS,
    "train_images": 60,
    "val_images": 8,
    "longest_side": 224,
    "frozen": 18,
    "crop": 113,
    "scale_low": 0.7,
    "classifier_epochs": 3,
    "network_epochs": 3,
    "learning_rate": 3e-3,
    "erase_steps": 2,
    "object_steps": 2,
}
pytestmark = pytest.mark.skipif(
    not (DEVKIT.exists() and WEIGHTS.exists()),
    reason="no shared/voc and shared/weights beside the project",
)


@pytest.fixture(scope="module")
def devkit(tmp_path_factory) -> Path:
    """The photographs there are, with a list `test` of ten of them beside theirs."""
    devkit = tmp_path_factory.mktemp("data") / "VOCdevkit" / "VOC2012"
    lists = devkit / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for file in (DEVKIT / "ImageSets" / "Segmentation").glob("*.txt"):
        (lists / file.name).write_bytes(file.read_bytes())
    (lists / "test.txt").write_text("\n".join((lists / "val.txt").read_text().split()[:10]))
    for name in ("JPEGImages", "SegmentationClassAug", "image_labels.json"):
        (devkit / name).symlink_to(DEVKIT / name)
    return devkit


@pytest.fixture(scope="module")
def course(devkit, tmp_path_factory) -> Path:
    """60 photographs at random through all notebooks, as users do it."""
    directory = tmp_path_factory.mktemp("photos") / "run"
    settings = [
        word
        for name, value in (SMALL | {"data_root": devkit.parents[1]}).items()
        for word in ("-p", name, str(value))
    ]
    assert main(["run", "--profile", "voc_lite", "--out", str(directory), *settings]) == 0
    return directory


def test_every_row_is_there_with_its_classes_and_its_initialisation(course):
    content = json.loads((course / "results.json").read_text())
    methods = {row["method"] for row in content["rows"]}
    assert methods == {
        "CAM",
        "AE-step1",
        "AE-step2",
        "AE",
        "AE+PSL",
        "AE+PSL++",
        "full supervision",
    }
    for row in content["rows"]:
        assert set(row["per_class"]) == {
            "background",
            "cat",
            "cow",
            "dog",
            "horse",
            "person",
            "sheep",
        }
        assert row["init"].startswith("ImageNet, mobilenet_v2_imagenet.safetensors")
        assert row["images"] == (60 if row["split"] == "train" else 8)


def test_the_classifier_knows_more_than_the_frequencies(course):
    """A wiring fault (normalisation, labels, frozen layers) would leave no evidence."""
    log = json.loads((course / "classifier-1" / "log.json").read_text())
    assert log["evidence"] > 0.1


def test_answers_for_new_photographs_have_their_size_and_classes(course, tmp_path, capsys):
    photos = sorted((DEVKIT / "JPEGImages").glob("*.jpg"))[:3]
    assert main(["predict", "--run", str(course), "--out", str(tmp_path), *map(str, photos)]) == 0
    assert "cat, cow, dog, horse, person, sheep" in capsys.readouterr().out
    for photo in photos:
        with (
            Image.open(photo) as image,
            Image.open(tmp_path / f"{photo.stem}.png") as labels,
            Image.open(tmp_path / f"{photo.stem}-overlay.jpg") as over,
        ):
            assert labels.mode == "P" and labels.size == over.size == image.size
            assert set(np.unique(labels)) <= set(range(7))


def test_the_submission_is_the_test_servers_layout_in_vocs_numbers(course, devkit, tmp_path):
    ids = (devkit / "ImageSets" / "Segmentation" / "test.txt").read_text().split()
    assert main(["submission", "--run", str(course), "--out", str(tmp_path)]) == 0
    with tarfile.open(tmp_path / "results.tgz") as archive:
        names = {name for name in archive.getnames() if name.endswith(".png")}
    assert names == {f"results/VOC2012/Segmentation/comp6_test_cls/{name}.png" for name in ids}
    labels = set()
    for file in tmp_path.rglob("*.png"):
        labels |= set(np.unique(Image.open(file)).tolist())
    assert labels <= {0, 8, 10, 12, 13, 15, 17}  # background, cat, cow, dog, horse, person, sheep


def test_damaged_photographs_are_named_and_counted_and_the_others_answered(
    course, tmp_path, capsys
):
    whole = next((DEVKIT / "JPEGImages").glob("*.jpg"))
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:3000])
    photos = [str(whole), str(tmp_path / "cut.jpg"), str(tmp_path / "gone.jpg")]
    out = tmp_path / "out"
    assert main(["predict", "--run", str(course), "--out", str(out), *photos]) == 2
    said = capsys.readouterr().err
    assert "cut.jpg" in said and "gone.jpg" in said
    assert {f.name for f in out.iterdir()} == {f"{whole.stem}.png", f"{whole.stem}-overlay.jpg"}
