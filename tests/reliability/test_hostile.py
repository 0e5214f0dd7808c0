"""Files from strangers: nothing is executed, leaves its folder, or fills the memory.

test_fuzz.py tries damaged files on each reader.
"""

import ast
import hashlib
import io
import json
import lzma
import pickle
import re
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from reliability.pngs import bomb

from aelib.course import lesson
from aelib.datasets.photos import read_photo, size_of
from aelib.datasets.saliency_maps import read_map
from aelib.pipeline.evaluate import evaluate_folders
from aelib.pipeline.run import RunError
from aelib.pipeline.stages import load_checkpoint
from aelib.support import files
from aelib.support.files import ROOT

SOURCES = [
    *(ROOT / "aelib").rglob("*.py"),
    *(ROOT / "notebooks").rglob("*.ipynb"),
    *(ROOT / "benchmarks").glob("*.py"),
]
FORBIDDEN = "|".join(
    [
        r"\bimport pickle",
        r"\bfrom pickle(?! import UnpicklingError\n)",
        r"\byaml\.",
        r"\bexec\(",
        r"(?<![.\w])eval\(",
        r"shell=True",
        r"\bmarshal\b",
        r"joblib",
    ]
)

# --- nothing is unpickled, nothing is executed ----------------------------------------------------


def test_no_source_unpickles_or_evaluates():
    assert len(SOURCES) > 40
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(FORBIDDEN, text), file
        for call in re.findall(r"torch\.load\(.*", text):
            assert "weights_only=True" in call, file
        if file.suffix == ".py":  # a message may tell a reader how to load what we do not
            calls = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Call)]
            assert not any(word.arg == "allow_pickle" for one in calls for word in one.keywords)


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


def test_a_checkpoint_that_would_run_code_is_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    torch.save({"losses": Evil(), "recipe": {}}, stream)
    for content in (stream.getvalue(), pickle.dumps(Evil())):
        Path(".checkpoint").write_bytes(hashlib.sha256(content).digest() + content)
        assert load_checkpoint(Path(".checkpoint"), {}) is None
        assert ".checkpoint is damaged" in capsys.readouterr().out and not Path("evil").exists()


# --- nothing leaves its folder --------------------------------------------------------------------


def archive(**entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo()
        for name, value in ({"size": 4} | entry).items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(b"evil"))
    return lzma.compress(buffer.getvalue())


PACKED = [
    archive(name="../evil"),
    archive(name="a/../../evil"),
    archive(name="link", type=tarfile.SYMTYPE, linkname="/etc", size=0),
    archive(name="link", type=tarfile.SYMTYPE, linkname="../..", size=0),
    archive(name="link", type=tarfile.LNKTYPE, linkname="../evil", size=0),
    archive(name="device", type=tarfile.CHRTYPE, size=0),
    b"no archive",
]


@pytest.mark.parametrize("packed", PACKED)
def test_an_archive_cannot_escape(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(lesson, "PACKED", tmp_path / "lesson.tar.xz")
    monkeypatch.setattr(lesson, "ROOT", tmp_path / "root")
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path / "root" / "runs"))
    (tmp_path / "root" / "runs").mkdir(parents=True)
    lesson.PACKED.write_bytes(packed)
    about = json.dumps({"sha256": hashlib.sha256(packed).hexdigest()})
    (tmp_path / "lesson.json").write_text(about)
    with pytest.raises(RunError, match="cannot be unpacked"):
        lesson.unpack()
    left = {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*")}
    assert left == {"lesson.tar.xz", "lesson.json", "root", "root/runs"}


ELSEWHERE = [
    "../secret",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "a\\..\\b",
    "C:secret",
    ".hidden",
    "a\0b",
]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_list_cannot_name_a_file_elsewhere(tmp_path, name):
    (tmp_path / "list").write_text(name)
    with pytest.raises(ValueError, match="is no plain id"):
        evaluate_folders(tmp_path / "p", tmp_path / "m", tmp_path / "list", 2)


# --- nothing fills the memory ---------------------------------------------------------------------

SIZES = [(8_000, 8_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", SIZES)
def test_an_image_bomb_is_refused_by_its_header(tmp_path, size, monkeypatch):
    Image.init()  # loads the formats, one of which draws a picture as it is imported
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    file = tmp_path / "a.png"
    file.write_bytes(bomb(*size))
    (tmp_path / "list").write_text("a")
    refused = r"a\.png cannot be read as a picture \(.*pixels"
    with pytest.raises(ValueError, match=refused):
        read_map(file, size[::-1])
    for read in (read_photo, size_of):
        with pytest.raises(ValueError, match=refused):
            read(file)
    with pytest.raises(ValueError, match="pixels"):
        evaluate_folders(tmp_path, tmp_path, tmp_path / "list", 2)


def test_only_the_formats_that_are_asked_for_are_opened(tmp_path):
    """A .png that is something else, with a decoder of its own, is not tried."""
    file = tmp_path / "a.png"
    for kind in ("TIFF", "GIF", "BMP", "PPM", "JPEG"):
        Image.new("L", (4, 4)).save(file, kind)
        refused = pytest.raises(ValueError, match="cannot be read as a picture")
        with refused, files.picture(file, "PNG"):
            raise AssertionError
