"""Lists, tables and files as they circulate: read, or named with the cure."""

import struct
import zlib

import numpy as np
import pytest
from devkits import PICTURES, make_devkit
from PIL import Image

from aelib.datasets.folder import Folder
from aelib.datasets.lists import read_ids
from aelib.datasets.photos import read_label_map, read_photo
from aelib.datasets.voc import VOC

LISTS = [
    ("a\r\nb  \r\n\r\n", ["a", "b"]),
    ("\ufeffa\nb\n", ["a", "b"]),
    ("/JPEGImages/a.jpg /SegmentationClassAug/a.png\n", ["a"]),
    ("JPEGImages/a b.JPG SegmentationClass/a b.png\n", ["a b"]),
    ("JPEGImages\\a.jpg SegmentationClass\\a.png\n", ["a"]),
    ("a\n\ufeffb\u200b\n", ["a", "b"]),
    ("a.jpg a.png\nb.jpg b.png\n", ["a", "b"]),
    ("JPEGImages/a.jpg\n", ["a"]),
    ("a  1\nb -1\nc  0\n", ["a"]),
    ("a -1\nb -1\n", ["a", "b"]),
    ("IMG 0\nIMG 1\n", ["IMG 0", "IMG 1"]),
    ("IMG 0.v2\nIMG 1.v2\n", ["IMG 0.v2", "IMG 1.v2"]),
]


@pytest.mark.parametrize(("text", "ids"), LISTS)
def test_lists_as_they_circulate(tmp_path, text, ids):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    assert read_ids(tmp_path / "list.txt") == (ids, [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "latin-1"])
def test_another_encoding_is_named(tmp_path, encoding):
    (tmp_path / "list.txt").write_bytes("épagneul\n".encode(encoding))
    with pytest.raises(ValueError, match=r"list\.txt .*save it in UTF-8"):
        read_ids(tmp_path / "list.txt")


ROWS = [("file", "labels", "split"), ("p0.png", "cat;dog", "train"), ("p1.png", "dog", "val")]
TABLES = {
    "semicolons": "\r\n".join(";".join(f'"{cell}"' for cell in row) for row in ROWS),
    "tabs": "\n".join("\t".join(row) for row in ROWS),
    "sep=": "sep=;\r\n" + "\r\n".join(";".join(f'"{cell}"' for cell in row) for row in ROWS),
    "quoted sep=": '"sep=;"\r\n' + "\r\n".join(";".join(f'"{c}"' for c in row) for row in ROWS),
    "bars": "\n".join("|".join(row) for row in ROWS),
    "empty columns": "\n".join(",".join(row) + ",," for row in ROWS) + "\n,,,,\n",
    "capitals": "File,Labels,Split\np0.png,cat;dog,Train\np1.png,dog,VAL\n",
    "returns": "\r".join(",".join(row) for row in ROWS),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_spreadsheets_write_them(tmp_path, name):
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbf" + TABLES[name].encode())
    train, val = (Folder(tmp_path).pictures(split) for split in ("train", "val"))
    assert (train.ids, val.ids, train.classes) == (("p0",), ("p1",), ("cat", "dog"))
    assert train.labels.tolist() == [[True, True]] and val.labels.tolist() == [[False, True]]


def test_semicolons_between_columns_and_labels_are_told_apart_by_quotes(tmp_path):
    (tmp_path / "labels.csv").write_text("file;labels;split\np0.png;cat;dog;train\n")
    with pytest.raises(ValueError, match="put a value with ';' in it between quotes"):
        Folder(tmp_path).pictures("train")


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".png", ".tif"])
def test_a_devkits_photographs_may_have_other_suffixes(tmp_path, suffix):
    photos = make_devkit(tmp_path) / "VOCdevkit" / "VOC2012" / "JPEGImages"
    for file in [*photos.iterdir()]:
        file.rename(file.with_suffix(suffix))
    assert VOC(tmp_path).check().pictures == {"train_aug": 4, "val": 2}


def test_what_is_there_is_told_beside_what_is_missing(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "IMG 1.v2.JPG", "JPEG")
    (tmp_path / "labels.csv").write_text("file,labels\nimg 1.v2.jpg,cat\nb.jpg,dog\n")
    with pytest.raises(ValueError, match=r"img 1\.v2\.jpg is missing \(IMG 1\.v2\.JPG is there\)"):
        Folder(tmp_path).check()


def test_another_table_or_folder_is_told_where_one_is_missing(tmp_path):
    (tmp_path / "labels.xlsx").touch()
    with pytest.raises(ValueError, match=r"labels\.xlsx is there: save it as CSV"):
        Folder(tmp_path).check()
    (tmp_path / "labels.csv").write_text(TABLES["capitals"])
    (tmp_path / "Images").mkdir()
    with pytest.raises(ValueError, match=r"no folder images \(Images is there\)"):
        Folder(tmp_path).check()


def test_labels_kept_as_a_pickle_are_named_with_the_lines_that_convert_them(tmp_path):
    devkit = make_devkit(tmp_path) / "VOCdevkit" / "VOC2012"
    known = devkit / "image_labels.json"
    names = VOC(tmp_path).classes
    table = {key: np.array([float(n in of) for n in names]) for key, of in PICTURES.items()}
    np.save(devkit / "cls_labels.npy", table, allow_pickle=True)
    before = VOC(tmp_path).pictures("train").labels
    known.unlink()
    with pytest.raises(ValueError, match=r"cls_labels\.npy may hold them.*not loaded") as error:
        VOC(tmp_path).check()
    lines = str(error.value).splitlines()
    exec("\n".join(line.strip() for line in lines if line.startswith("    ")), {})
    np.testing.assert_array_equal(VOC(tmp_path).pictures("train").labels, before)


STRANGE = {
    b"": "it is empty",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "HEIC",
    b"\0\0\0\x18ftypavif\0\0\0\0": "AVIF",
    b"GIF89a": "a GIF",
    b"<!DOCTYPE html><html>404</html>": "a web page",
    b"version https://git-lfs.github.com/spec/v1\noid": "git lfs pull",
    b"\0\5\x16\7": "AppleDouble",
}


@pytest.mark.parametrize("content", STRANGE)
def test_what_is_no_photograph_is_named_as_what_it_is(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=STRANGE[content]):
        read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_scans_are_read(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "a.img", kind)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.img"), values)


BLOCKS = [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.filterwarnings("error")
def test_exif_data_that_cannot_be_read_says_nothing(tmp_path, block):
    file = tmp_path / "a.jpg"
    Image.new("RGB", (7, 5)).save(file)
    data = file.read_bytes()
    header = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    file.write_bytes(data[:2] + header + data[2:])
    assert read_photo(file).shape == (5, 7, 3)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_fewer_bits_is_no_label_map(tmp_path, bits):
    """Pillow scales the samples: label 1 of 4 bits would be read as 17."""
    rows = b"\0" + bytes([1 << (8 - bits)])

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(ValueError, match=f"a grey PNG of {bits} bits, not of 8"):
        read_label_map(tmp_path / "a.png")
