"""VOC in the devkit's layout: tiny ones made here, and ../shared/voc when it is there."""

import json

import numpy as np
import pytest
from devkits import PICTURES, labels_of, make_devkit, xml
from PIL import Image

from aelib.datasets import voc
from aelib.datasets.base import sizes
from aelib.datasets.photos import save_mask
from aelib.datasets.voc import VOC
from aelib.support.files import ROOT

SHARED = ROOT.parent / "shared" / "voc"
CAT, DOG, SOFA = (voc.CLASSES.index(name) + 1 for name in ("cat", "dog", "sofa"))


@pytest.fixture
def root(tmp_path):
    return make_devkit(tmp_path)


@pytest.fixture
def devkit(root):
    return root / "VOCdevkit" / "VOC2012"


def annotate(devkit, **changes):
    (devkit / "Annotations").mkdir(exist_ok=True)
    for name, names in (PICTURES | changes).items():
        (devkit / "Annotations" / f"{name}.xml").write_text(xml(names))


@pytest.mark.parametrize("annotated", [False, True])
def test_a_split_is_read_with_its_labels(root, devkit, annotated):
    if annotated:
        annotate(devkit)
        (devkit / "image_labels.json").unlink()
    split = VOC(root).pictures("train")
    assert split.ids == ("a", "b", "c", "d") and split.classes == voc.CLASSES
    for name, image, row in zip(split.ids, split.images, split.labels, strict=True):
        assert image.shape == (6, 8, 3) and abs(int(image[0, 0, 0]) - ord(name)) < 4
        assert {voc.CLASSES[c] for c in np.flatnonzero(row)} == set(PICTURES[name])
    assert sizes(split.images) == [(6, 8)] * 4


def test_annotations_win_over_the_table_and_difficult_objects_count(root, devkit):
    annotate(devkit, c=["bird"])
    (devkit / "Annotations" / "a.xml").write_text(xml(["train"], difficult=1))
    labels = VOC(root).pictures("train").labels
    assert [voc.CLASSES[c] for row in labels[[0, 2]] for c in np.flatnonzero(row)] == [
        "train",
        "bird",
    ]


def test_no_mask_is_opened_for_pictures(root, devkit, monkeypatch):
    opened, open_ = [], Image.open
    monkeypatch.setattr(
        Image,
        "open",
        lambda file, *args, **options: opened.append(str(file)) or open_(file, *args, **options),
    )
    for mask in (devkit / "SegmentationClassAug").iterdir():
        mask.write_bytes(b"no mask")
    split = VOC(root, classes=("cat",)).pictures("train")
    assert len(list(split.images)) == len(opened) == 2 and all(
        "JPEGImages" in file for file in opened
    )
    with pytest.raises(ValueError, match="cannot be read"):
        VOC(root, classes=("cat",)).truth("train").masks[0]


def test_classes_that_are_left_out_become_void(root):
    dataset = VOC(root, classes=("dog", "cat"))
    split, truth = dataset.pictures("train"), dataset.truth("train")
    assert split.classes == dataset.classes == ("cat", "dog") and split.ids == ("a", "b", "c")
    np.testing.assert_array_equal(split.labels, [[True, False], [True, False], [False, True]])
    np.testing.assert_array_equal(
        truth.masks[1][:, 0], [0, 1, 255, 0, 0, 255]
    )  # background, cat, sofa, background, void
    np.testing.assert_array_equal(truth.masks[2][:, 0], [0, 2, 0, 0, 0, 255])
    assert truth.masks[0].dtype == np.uint8
    whole = VOC(root).truth("train")
    np.testing.assert_array_equal(whole.masks[1][:, 0], [0, CAT, SOFA, 0, 0, 255])


def test_the_limit_is_a_choice_by_seed_and_not_by_order(root, devkit):
    def chosen(limit, seed, name="train_aug"):
        dataset = VOC(root, lists={"train": name}, limits={"train": limit}, seed=seed)
        return dataset.pictures("train").ids

    two = chosen(2, 3)
    (devkit / "ImageSets/Segmentation/other.txt").write_text("d\nb\na\nc\n")
    assert chosen(2, 3, "other") == two and len(two) == 2
    assert len({chosen(2, seed) for seed in range(20)}) > 3
    assert set(two) < set(chosen(3, 3))
    truth = VOC(root, limits={"train": 2, "val": 0}, seed=3).truth("train")
    first = [mask[1, 0] for mask in truth.masks]
    assert first == [voc.CLASSES.index(PICTURES[name][0]) + 1 for name in two]


def test_lists_and_labels_are_read_once_and_anew_by_a_check(root, devkit):
    dataset = VOC(root)
    assert len(dataset.pictures("train")) == 4
    (devkit / "ImageSets/Segmentation/train_aug.txt").write_text("a\nb\n")
    assert len(dataset.pictures("train")) == len(dataset.truth("train").masks) == 4
    assert dataset.check().pictures == {"train_aug": 2, "val": 2}
    assert dataset.pictures("train").ids == ("a", "b")


def test_vocs_own_mask_wins(root, devkit):
    (devkit / "SegmentationClass").mkdir()
    save_mask(devkit / "SegmentationClass" / "a.png", labels_of(["dog"]))
    assert [mask[1, 0] for mask in VOC(root).truth("train").masks] == [DOG, CAT, DOG, SOFA]


def only(root, name):
    """One list, as the training split."""
    return VOC(root, lists={"train": name})


def test_a_good_set_passes_with_progress(root):
    seen = []
    dataset = VOC(root, limits={"train": 3})
    found = dataset.check(progress=lambda *counts: seen.append(counts))
    assert found.pictures == {"train_aug": 3, "val": 2}
    assert seen == [(n, 5) for n in range(1, 6)]


def test_workers_find_the_same(root, devkit):
    (devkit / "JPEGImages" / "c.jpg").write_bytes(b"")
    messages = set()
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"c\.jpg cannot be read") as error:
            only(root, "train_aug").check(workers=workers)
        messages.add(str(error.value))
    assert len(messages) == 1


def test_everything_wrong_is_named_at_once(root, devkit):
    photo = devkit / "JPEGImages" / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(photo)
    photo.write_bytes(photo.read_bytes()[:-500])  # truncated
    masks = devkit / "SegmentationClassAug"
    (masks / "b.png").unlink()
    Image.new("RGB", (8, 6)).save(masks / "c.png")
    save_mask(masks / "d.png", labels_of(["sofa"], (5, 8)))
    save_mask(masks / "e.png", np.full((6, 8), 21, np.uint8))
    (devkit / "ImageSets/Segmentation/train_aug.txt").write_text("a\nb\nc\nd\nd\ng\n../e\nh\ne\n")
    (devkit / "image_labels.json").write_text(
        json.dumps(PICTURES | {"g": ["cat"], "f": ["person", "dgo"]})
    )
    with pytest.raises(ValueError) as error:
        VOC(root).check()
    lines = str(error.value).splitlines()
    for what in (
        "d is listed more than once",
        "'../e' is no plain id",
        "h has no labels",
        "f: class 'dgo' is unknown (did you mean 'dog'?)",
        "e is in train_aug and in val",
        "a.jpg cannot be read as a picture (",
        "b.png is missing",
        "c.png is a picture of mode RGB",
        "d.png has 8 x 5 pixels (width x height), its photo 8 x 6",
        "e.png: labels 21 found where 0..20 and 255 belong",
        "g.jpg is missing",
        "g.png is missing",
    ):
        assert sum(what in line for line in lines) == 1, what
    assert lines[0].startswith("12 problem(s)") and len(lines) == 13


def test_an_unknown_class_does_not_hide_what_is_damaged(root, devkit):
    (devkit / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(
        ValueError,
        match=r"2 problem\(s\)[^$]*'dgo' is unknown \(did you mean 'dog'\?\)[^$]*a\.jpg is missing",
    ):
        VOC(root, classes=["cat", "dgo"]).check()
    (devkit / "JPEGImages" / "d.jpg").unlink()  # a sofa: not asked for
    with pytest.raises(ValueError, match=r"2 problem\(s\)") as error:
        VOC(root, classes=["cat", "dgo"]).check()
    assert "d.jpg" not in str(error.value)


def test_the_first_20_of_many_are_listed(root, devkit):
    (devkit / "ImageSets/Segmentation/train_aug.txt").write_text(
        "".join(f"{i}\n" for i in range(100))
    )
    with pytest.raises(ValueError, match="and 80 more") as error:
        only(root, "train_aug").check()
    assert len(str(error.value).splitlines()) == 22


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/b", "..", "a\\..\\b", "C:secret", ".hidden", "a\0b"]
)
def test_no_list_leads_out_of_the_folder(root, devkit, name):
    (devkit / "ImageSets/Segmentation/val.txt").write_text(f"{name}\n")
    for use in (VOC.check, lambda data: data.pictures("val"), lambda data: data.truth("val")):
        with pytest.raises(ValueError, match="is no plain id"):
            use(VOC(root))
    with pytest.raises(ValueError, match=r"is no plain name of a list|missing|null byte"):
        only(root, name).pictures("train")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("ImageSets/Segmentation/val.txt", "", r"val\.txt: no id in it"),
        ("ImageSets/Segmentation/val.txt", b"\xff\xfe\x00", r"val\.txt cannot be read"),
        ("image_labels.json", "{", r"image_labels\.json cannot be read"),
        ("image_labels.json", "[]", "is needed, not list"),
        ("image_labels.json", '{"e": ["cat"]}', "f has no labels"),
        ("image_labels.json", '{"e": [], "f": []}', "no picture has a label"),
        ("image_labels.json", '{"e": ["cat"], "f": "cat"}', "'cat' is no list of class names"),
        ("image_labels.json", '{"e": ["cat"], "f": [["cat"]]}', "is no list of class names"),
        (
            "image_labels.json",
            '{"e": ["cat"], "f": ["Cat"]}',
            r"'Cat' is unknown \(did you mean 'cat'",
        ),
        ("Annotations/e.xml", xml(["cat", "moose"]), r"e\.xml: class 'moose' is unknown"),
        ("Annotations/e.xml", "<annotation><object>", r"e\.xml cannot be read as XML"),
        ("Annotations/e.xml", "<a>" + " " * 1_000_001 + "</a>", "bytes are no annotation"),
        ("Annotations/g.xml", xml(["cat"]), r"e\.xml is missing"),
    ],
)
def test_bad_lists_and_labels(root, devkit, file, content, message):
    (devkit / "Annotations").mkdir() if "Annotations" in file else None
    (devkit / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    for use in (lambda data: data.check(), lambda data: data.pictures("train")):
        with pytest.raises(ValueError, match=message):
            use(only(root, "val"))


def test_what_is_not_there(root, devkit, tmp_path):
    with pytest.raises(ValueError, match=r"other\.txt is missing"):
        only(root, "other").pictures("train")
    with pytest.raises(ValueError, match=r"VOC2012 is no folder; `python -m aelib data voc --root"):
        VOC(tmp_path / "elsewhere").pictures("val")
    with pytest.raises(ValueError, match="'horze' is unknown"):
        VOC(root, lists={"val": "val"}, classes=("horze",)).check()
    with pytest.raises(ValueError, match="val: classes: no picture has one of horse"):
        VOC(root, lists={"val": "val"}, classes=("horse",)).check()


@pytest.mark.skipif(not SHARED.exists(), reason="no photographs in ../shared/voc")
def test_the_shared_subset():
    classes = ("cat", "dog", "horse", "sheep", "cow", "person")
    assert voc.splits(SHARED) == ("train_aug", "val")
    val = VOC(SHARED, classes=classes).pictures("val")
    assert len(val) == 150 and val.classes == ("cat", "cow", "dog", "horse", "person", "sheep")
    dataset = VOC(SHARED, limits={"train": 40, "val": 40}, classes=classes)
    assert dataset.check().pictures == {"train_aug": 40, "val": 40}
    few, truth = dataset.pictures("train"), dataset.truth("train")
    for image, mask, size, labels in zip(
        few.images, truth.masks, sizes(few.images), few.labels, strict=True
    ):
        assert image.shape[:2] == mask.shape == size
        assert set(np.unique(mask)) <= {*range(7), 255}
        present = set(np.unique(mask)) - {0, 255}
        assert present & {
            c + 1 for c in np.flatnonzero(labels)
        }  # masks and image-level labels speak of the same classes
