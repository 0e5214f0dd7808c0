"""What can be read and cannot be meant: a data set says so before anything is trained."""

import numpy as np
import pytest
from PIL import Image

from aelib.datasets.folder import Folder
from aelib.datasets.photos import palette, save_mask

LABELS = ["cat", "dog", "cat;dog", "cat", "", "dog"] * 2
NUMBERS = {"cat": 1, "dog": 2}


def a_mask(labels, size=(20, 24)):
    values = np.zeros(size, np.uint8)
    for name in filter(None, labels.split(";")):
        values[5 * NUMBERS[name] : 5 * NUMBERS[name] + 4, 3:12] = NUMBERS[name]
    return values


@pytest.fixture
def root(tmp_path):
    """Twelve right pictures of cats and dogs, and of neither, with masks; nine to train on."""
    write(tmp_path, LABELS)
    for i, labels in enumerate(LABELS):
        Image.new("RGB", (24, 20), (9 * i, 0, 0)).save(tmp_path / "images" / f"p{i}.png")
        save_mask(tmp_path / "masks" / f"p{i}.png", a_mask(labels))
    return tmp_path


def write(root, labels):
    for name in ("images", "masks"):
        (root / name).mkdir(exist_ok=True)
    rows = [f"p{i}.png,{text},{'train' if i < 9 else 'val'}" for i, text in enumerate(labels)]
    (root / "labels.csv").write_text("\n".join(["file,labels,split", *rows]) + "\n")


def change(root, values_of):
    for file in (root / "masks").iterdir():
        Image.fromarray(values_of(np.array(Image.open(file)))).save(file)


def test_a_right_folder_is_summed_up_without_a_warning(root):
    for litter in (".DS_Store", "images/Thumbs.db", "masks/._p0.png", "images/desktop.ini"):
        (root / litter).touch()
    summary = Folder(root).check()
    assert summary.all_warnings() == []
    text = " ".join(" ".join(summary.lines()).split())
    cats = sum("cat" in labels for labels in LABELS[:9])
    dogs = sum("dog" in labels for labels in LABELS[:9])
    assert f"train: 9 pictures: cat {cats}, dog {dogs}; several classes 2, no label 1" in text
    assert f"train: 9 masks, label 0 background in 9, 1 cat in {cats}, 2 dog in {dogs}" in text
    assert "24 x 20 pixels" in text


def white(values):
    return np.where(values > 0, 255, 0).astype(np.uint8)


def brightness(values):
    return np.array(
        Image.fromarray(np.array(palette(), np.uint8).reshape(-1, 3)[values]).convert("L")
    )


@pytest.mark.parametrize(
    ("values_of", "said"),
    [
        (white, "no label but 0 and 255"),
        (brightness, "the brightness of VOC's colour of label 1"),
        (lambda m: m[::2], "24 x 10 pixels .width x height., its photo 24 x 20"),
        (lambda m: m.T, "20 x 24 pixels .width x height., its photo 24 x 20: is the mask transpo"),
        (lambda m: m * 100, "labels 100"),
    ],
)
def test_masks_that_cannot_be_are_refused(root, values_of, said):
    change(root, values_of)
    with pytest.raises(ValueError, match=said):
        Folder(root).check()


def swapped(values):
    return np.array([0, 2, 1], np.uint8)[values]


@pytest.mark.parametrize(
    ("values_of", "said"),
    [
        (lambda m: np.where(m == 2, 0, m), "dog (label 2) is labelled in 5 pictures with masks"),
        (lambda m: np.minimum(m, 1), "dog (label 2) is labelled in 5 pictures with masks"),
        (lambda m: m * 0, "cat (label 1) is labelled in 5 pictures with masks"),
        (
            lambda m: np.where(m == 0, 255, m),
            "the masks hold no 0, background, and 255 in its place",
        ),
        (swapped, "labels and masks speak of different classes in 6 of 9 pictures"),
    ],
)
def test_masks_that_disagree_with_the_labels_are_named(root, values_of, said):
    change(root, lambda values: values_of(values).astype(np.uint8))
    assert any(said in text for text in Folder(root).check().warnings("train"))


def test_a_class_of_the_masks_that_no_picture_is_labelled_with_is_named(root):
    write(root, [text.replace("cat;dog", "cat").replace("dog", "") for text in LABELS])
    (root / "classes.txt").write_text("cat\ndog\n")
    warnings = Folder(root).check().warnings("train")
    assert any("dog (label 2) is in 5 masks, and labelled in none" in text for text in warnings)


@pytest.mark.parametrize("place", ["class.txt", "Masks/p0.png", "images/q.png", "masks/p0_gt.png"])
def test_whatever_lies_there_unused_is_named(root, place):
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).touch()
    (warning,) = Folder(root).check().all_warnings()
    assert warning.startswith("nothing reads") and place.split("/")[0] in warning


SEVERAL = [
    "cat,dog",
    "cat|dog",
    "cat/dog",
    "cat dog",
    "cat, dog",
    "['cat']",
    "cat and dog",
    "Cat & dog",
]
SEVERAL += ["cat_dog", "cat、dog", "cat；dog", "ox，cow", "cat\\dog", "cat<br>dog"]


@pytest.mark.parametrize("label", SEVERAL)
def test_several_labels_in_one_are_refused(root, label):
    write(root, [f'"{label}"', *LABELS[1:]])
    with pytest.raises(ValueError, match="looks like several labels in one"):
        Folder(root).pictures("train")


def test_a_name_of_two_words_is_a_class_and_so_is_what_classes_txt_lists(root):
    for name in ("polar bear", "sand cat", "cat and mouse", "catdog"):
        write(root, [name, *LABELS[1:]])
        assert name in Folder(root).classes
    write(root, ["cat/dog", *LABELS[1:]])
    (root / "classes.txt").write_text("cat\ndog\ncat/dog\n")
    assert Folder(root).classes == ("cat", "dog", "cat/dog")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat"] * 9 + ["zebra", "cat", "cat"], "in no training picture: zebra"),
        (["cat"] * 12, "in every training picture: cat"),
        (["cat", "none"] * 6, "class 'none': is it none? leave the cell of labels empty"),
    ],
)
def test_classes_that_labels_cannot_teach_are_named(root, labels, said):
    write(root, labels)
    for file in (root / "masks").iterdir():
        file.unlink()
    assert any(said in text for text in Folder(root).check().warnings("train"))


def test_pictures_of_nothing_stay_whatever_classes_are_kept(root):
    train = Folder(root, classes=("cat",)).pictures("train")
    kept = [i for i, text in enumerate(LABELS[:9]) if "cat" in text or not text]
    assert train.ids == tuple(f"p{i}" for i in kept)
    assert train.labels[:, 0].tolist() == ["cat" in LABELS[i] for i in kept]
    (line, *_) = Folder(root, classes=("cat",), limits={"train": 3}).check().lines()
    assert (
        "3 pictures of 9 (left out: 3 show other classes only, 3 more than were asked for)" in line
    )


@pytest.mark.parametrize(("orientation", "turns"), [(6, 1), (8, -1), (3, 2), (1, 0)])
def test_masks_of_photographs_that_exif_turns(root, orientation, turns):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for file in (root / "images").iterdir():
        Image.open(file).save(file, exif=exif)
    if turns in (1, -1):
        with pytest.raises(ValueError, match=f"read upright by its EXIF orientation {orientation}"):
            Folder(root).check()
        change(root, lambda values: np.rot90(values, turns))  # now upright: the size proves it
    warned = any("EXIF orientation" in text for text in Folder(root).check().warnings("train"))
    assert warned == (orientation == 3)


def test_a_tiff_that_exif_turns_half_round_is_told(root):
    exif = Image.Exif()
    exif[0x0112] = 3
    for file in (root / "images").iterdir():
        Image.open(file).save(file.with_suffix(".tif"), exif=exif)
        file.unlink()
    table = root / "labels.csv"
    table.write_text(table.read_text().replace(".png", ".tif"))
    assert any("turned by their EXIF" in text for text in Folder(root).check().warnings("train"))


def test_a_palette_in_vocs_colours_and_another_order_is_named(root):
    for file in (root / "masks").iterdir():
        image = Image.fromarray(np.array(Image.open(file)))
        image.putpalette([0, 0, 0, 0, 128, 0, 128, 0, 0])  # VOC's colours of labels 0, 2, 1
        image.save(file)
    warnings = Folder(root).check().warnings("train")
    assert any("VOC's colours in another order" in text for text in warnings)
    image.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])  # one's own: no word
    for file in (root / "masks").iterdir():
        image.putdata(np.array(Image.open(file)).ravel().tolist())
        image.save(file)
    assert not any("order (" in text for text in Folder(root).check().warnings("train"))


def test_masks_in_vocs_colours_are_offered_the_conversion(root):
    for file in (root / "masks").iterdir():
        Image.open(file).convert("RGB").save(file)
    with pytest.raises(ValueError, match="its colours are VOC's; `python -m aelib data from-colou"):
        Folder(root).check()
