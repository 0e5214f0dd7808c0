"""Files are whole or absent; what is damaged is refused by name."""

import errno
import os

import pytest
from PIL import Image

from aelib.support import files
from aelib.support.files import (
    ROOT,
    nearest,
    picture,
    plain,
    read_json,
    refuse,
    sha256,
    write_json,
    write_whole,
)


def test_the_root_holds_the_package_and_the_notebooks():
    assert (ROOT / "aelib" / "support" / "files.py").exists() and (ROOT / "notebooks").is_dir()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    write_json(file, {"x": [1]})
    assert read_json(file) == {"x": [1]} and file.read_text() == '{\n "x": [\n  1\n ]\n}\n'

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_whole(file, b"new")
    assert read_json(file) == {"x": [1]} and [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json cannot be read"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"b\.json cannot be read"):
        read_json(tmp_path / "b.json")


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # the first example of FIPS 180
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == known


def test_a_picture_that_is_too_large_is_refused(tmp_path, monkeypatch):
    Image.new("L", (5, 4)).save(tmp_path / "a.png")
    with picture(tmp_path / "a.png", "PNG") as image:
        assert image.size == (5, 4)
    monkeypatch.setattr(files, "LARGEST", 19)
    message = r"a\.png cannot be read as a picture \(it has 5 x 4 pixels, more than 19\)"
    with pytest.raises(ValueError, match=message), picture(tmp_path / "a.png", "PNG"):
        raise AssertionError
    with pytest.raises(FileNotFoundError), picture(tmp_path / "b.png", "PNG"):
        raise AssertionError


def test_plain_names_stay_in_their_folder():
    assert all(map(plain, ("a", "IMG 1.jpg", "2007_000032", "Ü")))
    assert not any(map(plain, ("", ".", "..", ".a", "a/b", "/a", "a\\b", "C:a", "a\0b")))


def test_the_nearest_name_is_suggested():
    assert nearest("dgo", ("cat", "dog")) == " (did you mean 'dog'?)"
    assert nearest("xyz", ("cat", "dog")) == "" == nearest(None, ())


def test_problems_are_counted_and_the_first_20_listed():
    refuse("problem(s)", [])
    with pytest.raises(ValueError, match=r"^2 problem\(s\):\n  a\n  b$"):
        refuse("problem(s)", ["a", "b"])
    with pytest.raises(ValueError, match=r"^21 problem\(s\):\n(  x\n){20}  and 1 more$"):
        refuse("problem(s)", ["x"] * 21)
