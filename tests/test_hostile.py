"""Files from strangers: nothing is executed, nothing leaves its folder, nothing fills the memory, nothing crashes but as documented.

Each reader is fuzzed with damaged files; `make test-long` tries fifty times as many.
"""

import hashlib
import io
import json
import lzma
import os
import pickle
import re
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from aelib import files, lesson, training, voc
from aelib import folder as own_pictures
from aelib.evaluation import evaluate_folders
from aelib.manifest import _digest
from aelib.photos import faults, read_photo, size_of
from aelib.runs import ROOT, Run, RunError, save_mask, save_tensors
from aelib.saliency import read_map
from aelib.settings import make, parse
from aelib.verify import verify

SOURCES = [*(ROOT / "aelib").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "benchmarks").glob("*.py")]
fuzz = settings(
    max_examples=5_000 if os.environ.get("AELIB_LONG") else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# --- nothing is unpickled, nothing is executed --------------------------------------------------------------------------------


def test_no_source_unpickles_or_evaluates():
    forbidden = r"\bimport pickle|\bfrom pickle(?! import UnpicklingError\n)|allow_pickle=True|\byaml\.|\bexec\("
    forbidden += r"|(?<![.\w])eval\(|shell=True|\bmarshal\b|joblib"
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(forbidden, text), file
        assert all("weights_only=True" in call for call in re.findall(r"torch\.load\(.*", text)), file


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


def test_a_checkpoint_that_would_run_code_is_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"losses": Evil(), "recipe": {}}, stream := io.BytesIO())
    for content in (stream.getvalue(), pickle.dumps(Evil())):
        Path(".checkpoint").write_bytes(hashlib.sha256(content).digest() + content)
        assert training.load_checkpoint(Path(".checkpoint"), {}) is None
        assert ".checkpoint is damaged" in capsys.readouterr().out and not Path("evil").exists()


# --- nothing leaves its folder -------------------------------------------------------------------------------------------------


def archive(**entry) -> bytes:
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode="w") as tar:
        info = tarfile.TarInfo()
        for name, value in ({"size": 4} | entry).items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(b"evil"))
    return lzma.compress(buffer.getvalue())


@pytest.mark.parametrize(
    "packed",
    [
        archive(name="../evil"),
        archive(name="a/../../evil"),
        archive(name="link", type=tarfile.SYMTYPE, linkname="/etc", size=0),
        archive(name="link", type=tarfile.SYMTYPE, linkname="../..", size=0),
        archive(name="link", type=tarfile.LNKTYPE, linkname="../evil", size=0),
        archive(name="device", type=tarfile.CHRTYPE, size=0),
        b"no archive",
    ],
)
def test_an_archive_cannot_escape(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(lesson, "PACKED", tmp_path / "lesson.tar.xz")
    monkeypatch.setattr(lesson, "ROOT", tmp_path / "root")
    (tmp_path / "root" / "runs").mkdir(parents=True)
    lesson.PACKED.write_bytes(packed)
    (tmp_path / "lesson.json").write_text(json.dumps({"sha256": hashlib.sha256(packed).hexdigest()}))
    with pytest.raises(RunError, match="cannot be unpacked"):
        lesson.unpack()
    assert {str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*")} == {"lesson.tar.xz", "lesson.json", "root", "root/runs"}


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".", "a\\..\\b", "C:secret", ".hidden", "a\0b"])
def test_a_list_cannot_name_a_file_elsewhere(tmp_path, monkeypatch, name):
    (tmp_path / "list").write_text(name)
    with pytest.raises(ValueError, match="is no plain id"):
        evaluate_folders(tmp_path / "p", tmp_path / "m", tmp_path / "list", 2)


# --- nothing fills the memory --------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels, in a few hundred bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(8_000, 8_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)])
def test_an_image_bomb_is_refused_by_its_header(tmp_path, size, monkeypatch):
    Image.init()  # loads the formats, one of which draws a picture as it is imported
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    (tmp_path / "a.png").write_bytes(bomb(*size))
    (tmp_path / "list").write_text("a")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture \(.*pixels"):
        read_map(tmp_path / "a.png", size[::-1])
    for read in (read_photo, size_of):
        with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture \(.*pixels"):
            read(tmp_path / "a.png")
    with pytest.raises(ValueError, match="pixels"):
        evaluate_folders(tmp_path, tmp_path, tmp_path / "list", 2)


def test_only_the_formats_that_are_asked_for_are_opened(tmp_path):
    """A .png that is something else, with a decoder of its own, is not tried."""
    for kind in ("TIFF", "GIF", "BMP", "PPM", "JPEG"):
        Image.new("L", (4, 4)).save(tmp_path / "a.png", kind)
        with pytest.raises(ValueError, match="cannot be read as a picture"), files.picture(tmp_path / "a.png", "PNG"):
            raise AssertionError


# --- nothing crashes -----------------------------------------------------------------------------------------------------------


def mutated(good: bytes) -> st.SearchStrategy[bytes]:
    """A file with a few bytes changed, cut, doubled or inserted; or anything at all."""
    edit = st.tuples(st.integers(0, max(len(good) - 1, 0)), st.integers(0, 12), st.binary(max_size=12))

    def apply(edits):
        content = good
        for place, gone, new in edits:
            content = content[:place] + new + content[place + gone :]
        return content

    return st.lists(edit, min_size=1, max_size=6).map(apply) | st.binary(max_size=200)


def mended(png: bytes) -> bytes:
    """The same chunks with right checksums, so that damage reaches the decoder behind them."""
    place, out = 8, png[:8]
    while place + 8 <= len(png):
        size = int.from_bytes(png[place : place + 4]) & 0xFFFF
        out += chunk(png[place + 4 : place + 8], png[place + 8 : place + 8 + size])
        place += 12 + size
    return out


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of one stage, a label map, a saliency map."""
    folder = tmp_path_factory.mktemp("hostile")
    run = Run(folder / "run", "smoke")
    with run.making("a") as stage:
        save_mask(stage / "x.png", np.arange(64, dtype=np.uint8).reshape(8, 8) % 3)
        save_tensors(stage / "t.safetensors", {"x": torch.zeros(3, 2), "y": torch.ones(1)})
    (folder / "masks").mkdir()
    save_mask(folder / "masks" / "x.png", np.zeros((8, 8), np.uint8))
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "map.jpg")
    (folder / "list").write_text("x")
    return folder


def tried(function, *documented: type[Exception]) -> None:
    try:
        function()
    except documented as error:
        assert str(error)


NAMES = st.sampled_from([*make("smoke").to_json(), "extra"])


@given(st.data())
@fuzz
def test_settings_json(folder, count, data):
    good = json.dumps(make("smoke").to_json())
    file = folder / "other" / "settings.json"
    file.parent.mkdir(exist_ok=True)
    altered = st.dictionaries(NAMES, trees, max_size=3).map(lambda change: json.dumps(json.loads(good) | change).encode())
    file.write_bytes(data.draw(mutated(good.encode()) | altered | trees.map(lambda tree: json.dumps(tree).encode())))
    tried(lambda: Run(file.parent, "smoke"), RunError)
    tried(lambda: verify(file.parent), RunError)
    count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_manifest_json(folder, count, data):
    file = folder / "run" / "a" / "manifest.json"
    good = file.read_bytes()
    content = json.loads(good)
    del content["sha256"]
    # a stranger can hash, too
    forged = st.dictionaries(st.sampled_from([*content]), trees, max_size=2).map(lambda change: content | change)
    forged = forged.map(lambda tree: json.dumps(tree | {"sha256": _digest(tree)}).encode())
    try:
        file.write_bytes(data.draw(mutated(good) | forged | trees.map(lambda tree: json.dumps(tree).encode())))
        run = Run(folder / "run", "smoke")
        for call in (lambda: run.finished("a"), lambda: run.json("a", "x.png"), lambda: run.images("a", ("x",)), run.warnings):
            tried(call, RunError)
        verify(folder / "run")
    finally:
        file.write_bytes(good)
    count["inputs tried"] += 1


@given(st.lists(trees, max_size=3), st.binary(max_size=40))
@fuzz
def test_timings_jsonl(folder, count, lines, tail):
    file = folder / "run" / "timings.jsonl"
    good = file.read_bytes()
    try:
        file.write_bytes("".join(json.dumps(line) + "\n" for line in lines).encode() + tail)
        assert isinstance(Run(folder / "run", "smoke").timings(), list)
    finally:
        file.write_bytes(good)
    count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_label_png(folder, count, data):
    (folder / "predictions").mkdir(exist_ok=True)
    bad = data.draw(mutated((folder / "run/a/x.png").read_bytes()))
    for content in (bad, mended(bad)):
        (folder / "predictions" / "x.png").write_bytes(content)
        tried(lambda: evaluate_folders(folder / "predictions", folder / "masks", folder / "list", 3), ValueError)
        tried(lambda: read_map(folder / "predictions" / "x.png", (8, 8)), ValueError)
        count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_saliency_jpeg(folder, count, data):
    (folder / "bad.jpg").write_bytes(data.draw(mutated((folder / "map.jpg").read_bytes())))
    tried(lambda: read_map(folder / "bad.jpg", (8, 8)), ValueError)
    count["inputs tried"] += 1


@given(st.data(), st.sampled_from(["JPEG", "PNG", "WEBP"]))
@fuzz
def test_photo(folder, count, data, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(stream := io.BytesIO(), kind, exif=exif)
    bad = data.draw(mutated(stream.getvalue()))
    for content in (bad, mended(bad)) if kind == "PNG" else (bad,):
        (folder / "photo").write_bytes(content)
        tried(lambda: read_photo(folder / "photo"), ValueError)
        tried(lambda: size_of(folder / "photo"), ValueError)
        assert isinstance(faults(folder / "photo", folder / "photo", 20), list)
        count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_devkit_lists_and_labels(folder, count, data):
    devkit = folder / "VOCdevkit" / "VOC2012"
    for name in ("ImageSets/Segmentation", "Annotations"):
        (devkit / name).mkdir(parents=True, exist_ok=True)
    (devkit / "ImageSets/Segmentation/val.txt").write_bytes(b"a\n")
    (devkit / "image_labels.json").write_bytes(data.draw(mutated(b'{"a": ["cat"]}') | trees.map(lambda tree: json.dumps({"a": tree}).encode())))
    annotation = b"<annotation><object><name>cat</name></object></annotation>"
    (devkit / "Annotations/a.xml").write_bytes(data.draw(mutated(annotation)))
    tried(lambda: voc.check(folder, {"val": 0}), ValueError)
    (devkit / "Annotations/a.xml").unlink()
    (devkit / "Annotations").rmdir()
    tried(lambda: voc.check(folder, {"val": 0}), ValueError)
    (devkit / "ImageSets/Segmentation/val.txt").write_bytes(data.draw(mutated(b"a\nb\n")))
    tried(lambda: voc.check(folder, {"val": 0}), ValueError)
    count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_table_of_own_pictures(folder, count, data):
    (folder / "labels.csv").write_bytes(data.draw(mutated(b'file,labels,split\na.jpg,"cat;dog",train\nb.jpg,dog,val\n')))
    (folder / "classes.txt").write_bytes(data.draw(mutated(b"cat\ndog\n") | st.just(b"cat\ndog\n")))
    tried(lambda: own_pictures.pictures(folder, "train"), ValueError)
    tried(lambda: own_pictures.check(folder, {"train": 0, "val": 0}), ValueError)
    count["inputs tried"] += 1


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
@fuzz
def test_list_file(folder, count, content):
    (folder / "bad list").write_bytes(content)
    tried(lambda: evaluate_folders(folder / "masks", folder / "masks", folder / "bad list", 3), ValueError)
    count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_safetensors(folder, count, data):
    run = Run(folder / "run", "smoke")
    bad = data.draw(mutated((folder / "run/a/t.safetensors").read_bytes()))
    with pytest.MonkeyPatch.context() as patch:  # as if a stranger had hashed it
        (folder / "bad.safetensors").write_bytes(bad)
        patch.setattr(Run, "file", lambda *_: folder / "bad.safetensors")
        tried(lambda: run.tensors("a", "t.safetensors"), RunError)
    count["inputs tried"] += 1


@given(NAMES | st.text(max_size=8), st.text(max_size=12))
@fuzz
def test_a_setting_typed_on_the_command_line(count, name, text):
    tried(lambda: make("smoke", **{name: parse(name, text)}), ValueError)
    count["inputs tried"] += 1
