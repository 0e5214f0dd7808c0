"""Each reader is fuzzed with damaged files: it never raises anything but what is documented.

`make test-long` tries fifty times as many.
"""

import io
import json
import os

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from reliability.pngs import mended

from aelib.datasets.folder import Folder
from aelib.datasets.looks import faults
from aelib.datasets.photos import read_photo, save_mask, size_of
from aelib.datasets.saliency_maps import read_map
from aelib.datasets.voc import VOC
from aelib.pipeline.evaluate import evaluate_folders
from aelib.pipeline.manifest import digest
from aelib.pipeline.run import Run, RunError, save_tensors
from aelib.pipeline.settings import make, parse
from aelib.pipeline.verify import verify

fuzz = settings(
    max_examples=5_000 if os.environ.get("AELIB_LONG") else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# --- what is tried --------------------------------------------------------------------------------


def mutated(good: bytes) -> st.SearchStrategy[bytes]:
    """A file with a few bytes changed, cut, doubled or inserted; or anything at all."""
    places, lengths = st.integers(0, max(len(good) - 1, 0)), st.integers(0, 12)
    edit = st.tuples(places, lengths, st.binary(max_size=12))

    def apply(edits):
        content = good
        for place, length, new in edits:
            content = content[:place] + new + content[place + length :]
        return content

    return st.lists(edit, min_size=1, max_size=6).map(apply) | st.binary(max_size=200)


def branches(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)


def as_json(tree: object) -> bytes:
    return json.dumps(tree).encode()


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(values, branches, max_leaves=8)
NAMES = st.sampled_from([*make("smoke").to_json(), "extra"])


def tried(function, *documented: type[Exception]) -> None:
    try:
        function()
    except documented as error:
        assert str(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of one stage, a label map, a saliency map."""
    folder = tmp_path_factory.mktemp("hostile")
    run = Run(folder / "run", "smoke")
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    with run.making("a") as stage:
        save_mask(stage / "x.png", ramp % 3)
        save_tensors(stage / "t.safetensors", {"x": torch.zeros(3, 2), "y": torch.ones(1)})
    (folder / "masks").mkdir()
    save_mask(folder / "masks" / "x.png", np.zeros((8, 8), np.uint8))
    Image.fromarray(ramp).save(folder / "map.jpg")
    (folder / "list").write_text("x")
    return folder


# --- runs -----------------------------------------------------------------------------------------


@given(st.data())
@fuzz
def test_settings_json(folder, count, data):
    good = make("smoke").to_json()
    file = folder / "other" / "settings.json"
    file.parent.mkdir(exist_ok=True)
    altered = st.dictionaries(NAMES, trees, max_size=3).map(lambda change: as_json(good | change))
    file.write_bytes(data.draw(mutated(as_json(good)) | altered | trees.map(as_json)))
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

    def forge(change):  # a stranger can hash, too
        tree = content | change
        return as_json(tree | {"sha256": digest(tree)})

    forged = st.dictionaries(st.sampled_from([*content]), trees, max_size=2).map(forge)
    try:
        file.write_bytes(data.draw(mutated(good) | forged | trees.map(as_json)))
        run = Run(folder / "run", "smoke")
        tried(lambda: run.finished("a"), RunError)
        tried(lambda: run.json("a", "x.png"), RunError)
        tried(lambda: run.images("a", ("x",)), RunError)
        tried(run.warnings, RunError)
        tried(lambda: verify(folder / "run"), RunError)  # of another version
    finally:
        file.write_bytes(good)
    count["inputs tried"] += 1


@given(st.lists(trees, max_size=3), st.binary(max_size=40))
@fuzz
def test_timings_jsonl(folder, count, lines, tail):
    file = folder / "run" / "timings.jsonl"
    good = file.read_bytes()
    try:
        file.write_bytes(b"".join(as_json(line) + b"\n" for line in lines) + tail)
        assert isinstance(Run(folder / "run", "smoke").timings(), list)
    finally:
        file.write_bytes(good)
    count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_safetensors(folder, count, data):
    run, bad = Run(folder / "run", "smoke"), folder / "bad.safetensors"
    bad.write_bytes(data.draw(mutated((folder / "run/a/t.safetensors").read_bytes())))
    with pytest.MonkeyPatch.context() as patch:  # as if a stranger had hashed it
        patch.setattr(Run, "file", lambda *_: bad)
        tried(lambda: run.tensors("a", "t.safetensors"), RunError)
    count["inputs tried"] += 1


@given(NAMES | st.text(max_size=8), st.text(max_size=12))
@fuzz
def test_a_setting_typed_on_the_command_line(count, name, text):
    tried(lambda: make("smoke", **{name: parse(name, text)}), ValueError)
    count["inputs tried"] += 1


# --- pictures -------------------------------------------------------------------------------------


@given(st.data())
@fuzz
def test_label_png(folder, count, data):
    (folder / "predictions").mkdir(exist_ok=True)
    file = folder / "predictions" / "x.png"
    folders = (folder / "predictions", folder / "masks")
    bad = data.draw(mutated((folder / "run/a/x.png").read_bytes()))
    for content in (bad, mended(bad)):
        file.write_bytes(content)
        tried(lambda: evaluate_folders(*folders, folder / "list", 3), ValueError)
        tried(lambda: read_map(file, (8, 8)), ValueError)
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
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    colours = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(colours).save(stream, kind, exif=exif)
    bad = data.draw(mutated(stream.getvalue()))
    photo = folder / "photo"
    for content in (bad, mended(bad)) if kind == "PNG" else (bad,):
        photo.write_bytes(content)
        tried(lambda: read_photo(photo), ValueError)
        tried(lambda: size_of(photo), ValueError)
        assert isinstance(faults(photo, photo, 20), list)
        count["inputs tried"] += 1


# --- lists and labels -----------------------------------------------------------------------------


@given(st.data())
@fuzz
def test_devkit_lists_and_labels(folder, count, data):
    devkit = folder / "VOCdevkit" / "VOC2012"
    ids, annotation = devkit / "ImageSets/Segmentation/val.txt", devkit / "Annotations/a.xml"
    for file in (ids, annotation):
        file.parent.mkdir(parents=True, exist_ok=True)
    ids.write_bytes(b"a\n")
    labels = mutated(b'{"a": ["cat"]}') | trees.map(lambda tree: as_json({"a": tree}))
    (devkit / "image_labels.json").write_bytes(data.draw(labels))
    good = b"<annotation><object><name>cat</name></object></annotation>"
    annotation.write_bytes(data.draw(mutated(good)))
    dataset = VOC(folder, lists={"val": "val"})
    tried(dataset.check, ValueError)
    annotation.unlink()
    annotation.parent.rmdir()
    tried(dataset.check, ValueError)
    ids.write_bytes(data.draw(mutated(b"a\nb\n")))
    tried(dataset.check, ValueError)
    count["inputs tried"] += 1


@given(st.data())
@fuzz
def test_table_of_own_pictures(folder, count, data):
    table = b'file,labels,split\na.jpg,"cat;dog",train\nb.jpg,dog,val\n'
    (folder / "labels.csv").write_bytes(data.draw(mutated(table)))
    classes = b"cat\ndog\n"
    (folder / "classes.txt").write_bytes(data.draw(mutated(classes) | st.just(classes)))
    tried(lambda: Folder(folder).pictures("train"), ValueError)
    tried(Folder(folder).check, ValueError)
    count["inputs tried"] += 1


TEXTS = st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60) | TEXTS)
@fuzz
def test_list_file(folder, count, content):
    (folder / "bad list").write_bytes(content)
    masks = folder / "masks"
    tried(lambda: evaluate_folders(masks, masks, folder / "bad list", 3), ValueError)
    count["inputs tried"] += 1
