"""One's own pictures: a folder, a table, perhaps masks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from aelib.datasets.folder import Folder
from aelib.datasets.photos import save_mask

TABLE = """file,labels,split
IMG 1.jpg,cat; sofa,train
b.png,dog,train
c.jpg,cat,val
d.jpg,dog;cat,val
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text(TABLE)
    for i, name in enumerate(("IMG 1.jpg", "b.png", "c.jpg", "d.jpg")):
        Image.new("RGB", (8, 6), (40 * i, 0, 0)).save(tmp_path / "images" / name)
    return tmp_path


def mask(root, name, *labels, size=(6, 8)):
    (root / "masks").mkdir(exist_ok=True)
    values = np.zeros(size, np.uint8)
    values[: len(labels), 0] = labels
    save_mask(root / "masks" / f"{name}.png", values)


def void(truth):
    """Whether there is nothing to score."""
    return all((mask == 255).all() for mask in truth.masks)


def test_a_table_with_a_split(root):
    dataset = Folder(root)
    train, val = dataset.pictures("train"), dataset.pictures("val")
    assert train.classes == dataset.classes == ("cat", "dog", "sofa")
    assert train.ids == ("IMG 1", "b") and val.ids == ("c", "d")
    np.testing.assert_array_equal(train.labels, [[1, 0, 1], [0, 1, 0]])
    assert [
        abs(int(image[0, 0, 0]) - value) < 4
        for image, value in zip(train.images, (0, 40), strict=True)
    ] == [True, True]
    assert dataset.check().pictures == {"train": 2, "val": 2}
    assert not dataset.has_truth and void(dataset.truth("train"))


def test_classes_txt_gives_the_order_and_masks_follow_it(root):
    (root / "classes.txt").write_text("sofa\ndog\n\ncat\n")
    mask(root, "c", 1, 2, 3, 255)
    mask(root, "d", 3)
    assert Folder(root).pictures("val").classes == ("sofa", "dog", "cat")
    np.testing.assert_array_equal(Folder(root).truth("val").masks[0][:5, 0], [1, 2, 3, 255, 0])
    np.testing.assert_array_equal(
        Folder(root, classes=("cat", "sofa")).truth("val").masks[0][:5, 0], [1, 255, 2, 255, 0]
    )
    assert Folder(root).check().pictures == {"train": 2, "val": 2}
    assert not Folder(root).has_truth and void(Folder(root).truth("train"))
    mask(root, "IMG 1")
    mask(root, "b")
    assert Folder(root).has_truth and not void(Folder(root).truth("train"))


def test_what_a_spreadsheet_writes(root):
    (root / "labels.csv").write_bytes(
        b'\xef\xbb\xbffile,labels\r\n"IMG 1.jpg","cat;sofa"\r\nb.png, dog ;\r\n,\r\n'
    )
    found = [Folder(root).pictures(split) for split in ("train", "val")]
    assert sorted(name for part in found for name in part.ids) == ["IMG 1", "b"]
    assert found[0].classes == ("cat", "dog", "sofa")


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.sets(st.integers(0, 999), min_size=2, max_size=40),
    st.integers(0, 9),
    st.floats(0.01, 0.99),
    st.randoms(),
)
def test_a_seeded_split_is_whole_disjoint_and_blind_to_order(tmp_path, names, seed, share, random):
    def split():
        names = [*chosen]
        random.shuffle(names)
        lines = ["file,labels", *(f"{name}.jpg,cat" for name in names)]
        (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
        dataset = Folder(tmp_path, seed=seed, val_share=share)
        return [set(dataset.pictures(part).ids) for part in ("train", "val")]

    chosen = {f"p{number}" for number in names}
    train, val = split()
    assert train | val == chosen and not train & val and train and val
    assert abs(len(val) - share * len(chosen)) <= 1
    assert split() == [train, val]


def test_limit_and_classes(root):
    def one(seed):
        return Folder(root, limits={"val": 1}, seed=seed).pictures("val").ids

    assert Folder(root, classes=("sofa",)).pictures("train").ids == ("IMG 1",)
    assert {one(seed) for seed in range(20)} == {("c",), ("d",)}
    with pytest.raises(ValueError, match=r"'cta' is unknown \(did you mean 'cat'"):
        Folder(root, classes=("cta",)).pictures("val")
    with pytest.raises(ValueError, match=r"split: 'vla' is unknown \(did you mean 'val'"):
        Folder(root).pictures("vla")


def test_no_mask_is_opened_for_pictures(root):
    mask(root, "c")
    (root / "masks" / "c.png").write_bytes(b"no mask")
    assert len(list(Folder(root).pictures("val").images)) == 2


def test_masks_for_some_of_a_split_are_an_error(root):
    mask(root, "c", 1)
    for use in (lambda: Folder(root).truth("val"), lambda: Folder(root).check()):
        with pytest.raises(
            ValueError, match=r"d\.png is missing, though other pictures of its split have masks"
        ):
            use()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"labels\.csv is missing"),
        ("", r"labels\.csv is empty"),
        ("file,labels\n", r"labels\.csv is empty"),
        (
            "a.jpg,cat\nb.jpg,dog\n",
            "the header must be file,labels or file,labels,split, and is a.jpg,cat",
        ),
        ("file,labels,spilt\na.jpg,cat,val\n", "the header must be"),
        ("file,labels\na.jpg,cat,dog\nb.jpg,cat\n", "line 2: 3 values where 2 belong"),
        ("file,labels\n../a.jpg,cat\nb.jpg,cat\n", "line 2: file '../a.jpg' is no plain file name"),
        ("file,labels\n/etc/passwd,cat\nb.jpg,cat\n", "is no plain file name"),
        ("file,labels\na.jpg,cat\na.png,cat\n", "line 3: a is listed more than once"),
        ("file,labels\na.jpg,\nb.jpg,\n", "no picture has a label"),
        (
            "file,labels,split\na.jpg,cat,train\nb.jpg,cat,vall\n",
            r"line 3: split 'vall' is unknown \(did you mean 'val'",
        ),
        ("file,labels,split\na.jpg,cat,train\nb.jpg,cat,train\n", "no picture is in val"),
        ("file,labels\na.jpg,cat\n", "no picture is in train"),
        ("file,labels\na.jpg,cat\nb.jpg,Cat\n", "class 'cat' is there more than once"),
        ("file,labels\na.jpg,cat\nb.jpg,background\n", "'background' is no class"),
        (b"file,labels\na.jpg,\xff\n", "cannot be read as text: byte 0xff is no UTF-8"),
        ('file,labels\n"a.jpg,cat\n', "cannot be read as a table"),
        ("file,labels\n" + "".join(f"{i}.jpg,c{i}\n" for i in range(255)), "255 classes; 1 to 254"),
    ],
)
def test_bad_tables(root, table, message):
    file = root / "labels.csv"
    file.unlink()
    if table is not None:
        file.write_bytes(table if isinstance(table, bytes) else table.encode())
    for use in (lambda: Folder(root).check(), lambda: Folder(root).pictures("train")):
        with pytest.raises(ValueError, match=message):
            use()


def test_classes_txt_against_the_table(root):
    (root / "classes.txt").write_text("cats\ndog\nsofa\ndog\n")
    with pytest.raises(
        ValueError, match=r"class 'cat' is not in classes.txt \(did you mean 'cats'"
    ) as error:
        Folder(root).check()
    assert "'dog' is there more than once" in str(error.value)


def test_everything_wrong_is_named_at_once(root):
    (root / "labels.csv").write_text(TABLE + "e.jpg,,train\nf.jpg,cat,test\n")
    (root / "images" / "b.png").write_bytes(b"no picture")
    (root / "images" / "c.jpg").unlink()
    mask(root, "IMG 1", size=(5, 8))
    Image.new("RGB", (8, 6)).save(root / "masks" / "b.png")
    mask(root, "d", 4)
    with pytest.raises(ValueError, match=r"^9 problem\(s\)") as error:
        Folder(root).check()
    lines = str(error.value).splitlines()
    for what in (
        "line 7: split 'test' is unknown",
        "e.png is missing, though",
        "c.png is missing, though",
        "IMG 1.png has 8 x 5 pixels",
        "b.png cannot be read as a picture",
        "b.png is a picture of mode RGB",
        "c.jpg is missing",
        "e.jpg is missing",
        "d.png: labels 4 found where 0..3 and 255 belong",
    ):
        assert sum(what in line for line in lines) == 1, what


def test_an_unknown_class_does_not_hide_what_is_damaged(root):
    (root / "images" / "c.jpg").unlink()
    with pytest.raises(
        ValueError, match=r"2 problem\(s\)[^$]*'horze' is unknown[^$]*c\.jpg is missing"
    ):
        Folder(root, classes=["horze"]).check()


def test_the_table_is_read_once_and_anew_by_a_check(root):
    dataset = Folder(root)
    assert dataset.pictures("val").ids == ("c", "d")
    (root / "labels.csv").write_text(TABLE.replace("d.jpg,dog;cat,val\n", ""))
    assert dataset.pictures("val").ids == ("c", "d")
    assert dataset.check().pictures == {"train": 2, "val": 1} and dataset.pictures("val").ids == (
        "c",
    )


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_no_share_is_refused(root, share):
    with pytest.raises(ValueError, match=r"val_share: .* is not between 0 and 1"):
        Folder(root, val_share=share)
