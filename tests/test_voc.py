"""VOC in the devkit's layout: tiny ones made here, the archives from a server on this machine, and ../shared/voc when it is there."""

import hashlib
import http.server
import io
import json
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from aelib import voc
from aelib.__main__ import main
from aelib.photos import sizes
from aelib.runs import ROOT, save_mask

SHARED = ROOT.parent / "shared" / "voc"
CAT, DOG, SOFA = (voc.CLASSES.index(name) + 1 for name in ("cat", "dog", "sofa"))
PICTURES = {"a": ["cat"], "b": ["cat", "sofa"], "c": ["dog"], "d": ["sofa"], "e": ["dog", "cat"], "f": ["person"]}


def xml(names, difficult=0):
    objects = "".join(f"<object><name>{name}</name><difficult>{difficult}</difficult><part><name>head</name></part></object>" for name in names)
    return f"<annotation><filename>x.jpg</filename>{objects}</annotation>"


def labels_of(names, size=(6, 8)):
    """A mask with a row for each class, and one of void."""
    mask = np.zeros(size, np.uint8)
    for row, name in enumerate(names, start=1):
        mask[row] = voc.CLASSES.index(name) + 1
    mask[-1] = 255
    return mask


@pytest.fixture
def root(tmp_path):
    """Four pictures to train on and two of val, labels in image_labels.json."""
    devkit = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (devkit / folder).mkdir(parents=True)
    for name, names in PICTURES.items():
        Image.new("RGB", (8, 6), (ord(name), 0, 0)).save(devkit / "JPEGImages" / f"{name}.jpg")
        save_mask(devkit / "SegmentationClassAug" / f"{name}.png", labels_of(names))
    (devkit / "ImageSets/Segmentation/train_aug.txt").write_text("c\na\nb\nd\n")
    (devkit / "ImageSets/Segmentation/val.txt").write_text("e\nf\n")
    (devkit / "image_labels.json").write_text(json.dumps(PICTURES))
    return tmp_path


@pytest.fixture
def devkit(root):
    return root / "VOCdevkit" / "VOC2012"


def annotate(devkit, **changes):
    (devkit / "Annotations").mkdir(exist_ok=True)
    for name, names in (PICTURES | changes).items():
        (devkit / "Annotations" / f"{name}.xml").write_text(xml(names))


# --- reading ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotated", [False, True])
def test_a_split_is_read_with_its_labels(root, devkit, annotated):
    if annotated:
        annotate(devkit)
        (devkit / "image_labels.json").unlink()
    split = voc.pictures(root, "train_aug")
    assert split.ids == ("a", "b", "c", "d") and split.classes == voc.CLASSES
    for name, image, row in zip(split.ids, split.images, split.labels, strict=True):
        assert image.shape == (6, 8, 3) and abs(int(image[0, 0, 0]) - ord(name)) < 4
        assert {voc.CLASSES[c] for c in np.flatnonzero(row)} == set(PICTURES[name])
    assert sizes(split.images) == [(6, 8)] * 4


def test_annotations_win_over_the_table_and_difficult_objects_count(root, devkit):
    annotate(devkit, c=["bird"])
    (devkit / "Annotations" / "a.xml").write_text(xml(["train"], difficult=1))
    labels = voc.pictures(root, "train_aug").labels
    assert [voc.CLASSES[c] for row in labels[[0, 2]] for c in np.flatnonzero(row)] == ["train", "bird"]


def test_no_mask_is_opened_for_pictures(root, devkit, monkeypatch):
    opened, open_ = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file, *args, **options: opened.append(str(file)) or open_(file, *args, **options))
    for mask in (devkit / "SegmentationClassAug").iterdir():
        mask.write_bytes(b"no mask")
    split = voc.pictures(root, "train_aug", ("cat",))
    assert len(list(split.images)) == len(opened) == 2 and all("JPEGImages" in file for file in opened)
    with pytest.raises(ValueError, match="cannot be read"):
        voc.truth(root, "train_aug", ("cat",)).masks[0]


def test_classes_that_are_left_out_become_void(root):
    split, truth = voc.pictures(root, "train_aug", ("dog", "cat")), voc.truth(root, "train_aug", ("dog", "cat"))
    assert split.classes == ("cat", "dog") and split.ids == ("a", "b", "c")
    np.testing.assert_array_equal(split.labels, [[True, False], [True, False], [False, True]])
    np.testing.assert_array_equal(truth.masks[1][:, 0], [0, 1, 255, 0, 0, 255])  # background, cat, sofa, background, void
    np.testing.assert_array_equal(truth.masks[2][:, 0], [0, 2, 0, 0, 0, 255])
    assert truth.masks[0].dtype == np.uint8
    whole = voc.truth(root, "train_aug")
    np.testing.assert_array_equal(whole.masks[1][:, 0], [0, CAT, SOFA, 0, 0, 255])


def test_the_limit_is_a_choice_by_seed_and_not_by_order(root, devkit):
    chosen = voc.pictures(root, "train_aug", limit=2, seed=3).ids
    (devkit / "ImageSets/Segmentation/other.txt").write_text("d\nb\na\nc\n")
    assert voc.pictures(root, "other", limit=2, seed=3).ids == chosen and len(chosen) == 2
    assert len({voc.pictures(root, "train_aug", limit=2, seed=seed).ids for seed in range(20)}) > 3
    assert set(chosen) < set(voc.pictures(root, "train_aug", limit=3, seed=3).ids)
    first = [mask[1, 0] for mask in voc.truth(root, "train_aug", limit=2, seed=3).masks]
    assert first == [voc.CLASSES.index(PICTURES[name][0]) + 1 for name in chosen]


def test_vocs_own_mask_wins(root, devkit):
    (devkit / "SegmentationClass").mkdir()
    save_mask(devkit / "SegmentationClass" / "a.png", labels_of(["dog"]))
    assert [mask[1, 0] for mask in voc.truth(root, "train_aug").masks] == [DOG, CAT, DOG, SOFA]


# --- check --------------------------------------------------------------------------------------------------------------------


def check(root, **splits):
    return voc.check(root, splits or {"train_aug": 0, "val": 0})


def test_a_good_set_passes_with_progress(root):
    seen = []
    assert voc.check(root, {"train_aug": 3, "val": 0}, progress=lambda *counts: seen.append(counts)) == {"train_aug": 3, "val": 2}
    assert seen == [(n, 5) for n in range(1, 6)]


def test_workers_find_the_same(root, devkit):
    (devkit / "JPEGImages" / "c.jpg").write_bytes(b"")
    messages = set()
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"c\.jpg cannot be read") as error:
            voc.check(root, {"train_aug": 0}, workers=workers)
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
    (devkit / "image_labels.json").write_text(json.dumps(PICTURES | {"g": ["cat"], "f": ["person", "dgo"]}))
    with pytest.raises(ValueError) as error:
        check(root)
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
    with pytest.raises(ValueError, match=r"2 problem\(s\)[^$]*'dgo' is unknown \(did you mean 'dog'\?\)[^$]*a\.jpg is missing"):
        voc.check(root, {"train_aug": 0, "val": 0}, ["cat", "dgo"])
    (devkit / "JPEGImages" / "d.jpg").unlink()  # a sofa: not asked for
    with pytest.raises(ValueError, match=r"2 problem\(s\)") as error:
        voc.check(root, {"train_aug": 0, "val": 0}, ["cat", "dgo"])
    assert "d.jpg" not in str(error.value)


def test_the_first_20_of_many_are_listed(root, devkit):
    (devkit / "ImageSets/Segmentation/train_aug.txt").write_text("".join(f"{i}\n" for i in range(100)))
    with pytest.raises(ValueError, match="and 80 more") as error:
        check(root, train_aug=0)
    assert len(str(error.value).splitlines()) == 22


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "a\\..\\b", "C:secret", ".hidden", "a\0b"])
def test_no_list_leads_out_of_the_folder(root, devkit, name):
    (devkit / "ImageSets/Segmentation/val.txt").write_text(f"{name}\n")
    for use in (check, lambda root: voc.pictures(root, "val"), lambda root: voc.truth(root, "val")):
        with pytest.raises(ValueError, match="is no plain id"):
            use(root)
    with pytest.raises(ValueError, match=r"is no plain name of a list|missing|null byte"):
        voc.pictures(root, name)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("ImageSets/Segmentation/val.txt", "", r"val\.txt: no id in it"),
        ("ImageSets/Segmentation/val.txt", b"\xff\xfe\x00", r"val\.txt cannot be read"),
        ("image_labels.json", "{", r"image_labels\.json cannot be read"),
        ("image_labels.json", "[]", "is needed, not list"),
        ("image_labels.json", '{"e": ["cat"]}', "f has no labels"),
        ("image_labels.json", '{"e": ["cat"], "f": []}', "f names no object"),
        ("image_labels.json", '{"e": ["cat"], "f": "cat"}', "'cat' is no list of class names"),
        ("image_labels.json", '{"e": ["cat"], "f": [["cat"]]}', "is no list of class names"),
        ("image_labels.json", '{"e": ["cat"], "f": ["Cat"]}', r"'Cat' is unknown \(did you mean 'cat'"),
        ("Annotations/e.xml", xml(["cat", "moose"]), r"e\.xml: class 'moose' is unknown"),
        ("Annotations/e.xml", "<annotation><object>", r"e\.xml cannot be read as XML"),
        ("Annotations/e.xml", xml([]), r"e\.xml names no object"),
        ("Annotations/e.xml", "<a>" + " " * 1_000_001 + "</a>", "bytes are no annotation"),
        ("Annotations/g.xml", xml(["cat"]), r"e\.xml is missing"),
    ],
)
def test_bad_lists_and_labels(root, devkit, file, content, message):
    (devkit / "Annotations").mkdir() if "Annotations" in file else None
    (devkit / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    for use in (lambda: check(root, val=0), lambda: voc.pictures(root, "val")):
        with pytest.raises(ValueError, match=message):
            use()


def test_what_is_not_there(root, devkit, tmp_path):
    with pytest.raises(ValueError, match=r"other\.txt is missing"):
        voc.pictures(root, "other")
    with pytest.raises(ValueError, match=r"VOC2012 is no folder; `python -m aelib data voc --root"):
        voc.pictures(tmp_path / "elsewhere", "val")
    with pytest.raises(ValueError, match="'horze' is unknown"):
        voc.check(root, {"val": 0}, ("horze",))
    with pytest.raises(ValueError, match="val: classes: no picture has one of horse"):
        voc.check(root, {"val": 0}, ("horse",))


def test_data_check_on_the_command_line(root, devkit, capsys):
    assert main(["data", "check", "--root", str(root), "--workers", "1"]) == 0
    assert "nothing is wrong; pictures in train_aug 4, val 2" in capsys.readouterr().out
    (devkit / "JPEGImages" / "f.jpg").unlink()
    assert main(["data", "check", "--root", str(root), "--workers", "1"]) == 2
    assert "f.jpg is missing" in capsys.readouterr().err


# --- download -----------------------------------------------------------------------------------------------------------------

OWN = {"train": ["a", "b"], "val": ["e", "f"]}  # VOC's own lists
SBD = {"train": ["a", "c", "e"], "val": ["d"]}  # SBD's: a is VOC's too, e is in VOC's val
TINY = {"train": 2, "train_aug": 4, "val": 2}


def tar_of(entries, mode):
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode=mode) as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def bytes_of(save):
    save(buffer := io.BytesIO())
    return buffer.getvalue()


def voc_tar(*more):
    top = "VOCdevkit/VOC2012"
    entries = [(f"{top}/ImageSets/Segmentation/{split}.txt", "".join(f"{name}\n" for name in names).encode()) for split, names in OWN.items()]
    for name, names in PICTURES.items():
        image = Image.new("RGB", (8, 6), (ord(name), 0, 0))
        entries += [(f"{top}/JPEGImages/{name}.jpg", bytes_of(lambda stream, image=image: image.save(stream, "JPEG")))]
        entries += [(f"{top}/Annotations/{name}.xml", xml(names).encode())]
        if name in OWN["train"] + OWN["val"]:
            mask = Image.fromarray(labels_of(names))
            entries += [(f"{top}/SegmentationClass/{name}.png", bytes_of(lambda stream, mask=mask: mask.save(stream, "PNG")))]
    return tar_of([*entries, *more], "w")


def mat(names):
    """As SBD's files: a struct GTcls with Segmentation, without void."""
    mask = labels_of(names)
    mask[-1] = 0
    struct = {"Segmentation": mask, "Boundaries": np.zeros((20, 1), object), "CategoriesPresent": np.array([[1]])}
    return bytes_of(lambda stream: savemat(stream, {"GTcls": struct}, do_compression=True))


def sbd_tgz(*more, skip=""):
    top = "benchmark_RELEASE/dataset"
    entries = [(f"{top}/{split}.txt", "".join(f"{name}\n" for name in names).encode()) for split, names in SBD.items()]
    entries += [(f"{top}/cls/{name}.mat", mat(PICTURES[name])) for name in "acde" if name not in skip]
    entries += [(f"{top}/inst/a.mat", b"not read"), (f"{top}/img/a.jpg", b"not read")]
    return tar_of([*entries, *more], "w:gz")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """serve(voc tar, SBD tgz): both at http://127.0.0.1, under torchvision's names; gives the folder that is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(voc, "SIZES", TINY)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()

    def serve(*contents):
        contents = contents or (voc_tar(), sbd_tgz())
        found = []
        for name, content in zip(("voc.tar", "benchmark.tgz"), contents, strict=True):
            (folder / name).write_bytes(content)
            found.append(voc.Archive(f"http://127.0.0.1:{httpd.server_port}/{name}", name, hashlib.md5(content).hexdigest()))
        monkeypatch.setattr(voc, "archives", lambda: tuple(found))
        return folder

    yield serve
    httpd.shutdown()


def everything(root):
    return {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()} - {".lock", "voc.tar", "benchmark.tgz"}


def test_the_archives_are_torchvisions():
    first, second = voc.archives()
    assert (first.file, first.md5) == ("VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd")
    assert (second.file, second.md5) == ("benchmark.tgz", "82b4d87ceb2ed10f6038a1cba92111cb")
    assert all(archive.url.startswith("https://") and archive.url.endswith(archive.file) for archive in (first, second))


def test_download_makes_the_whole_set(tmp_path, server, capsys):
    server()
    root = tmp_path / "data"
    assert main(["data", "voc", "--root", str(root), "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "train 2, train_aug 4, val 2" in out and "nothing is wrong" in out
    devkit = root / "VOCdevkit" / "VOC2012"
    assert (devkit / "ImageSets/Segmentation/train_aug.txt").read_text().split() == ["a", "b", "c", "d"]  # SBD + train - val
    masks = {file.stem: Image.open(file) for file in (devkit / "SegmentationClassAug").iterdir()}
    assert sorted(masks) == ["a", "b", "c", "d", "e", "f"]
    for name, mask in masks.items():
        wanted = labels_of(PICTURES[name])
        if name in "cd":  # from SBD: no void, VOC's palette
            wanted[-1] = 0
            assert mask.mode == "P" and mask.getpalette()[3:6] == [128, 0, 0]
        np.testing.assert_array_equal(np.asarray(mask), wanted)
    assert not list(root.rglob("*.part")) and voc.pictures(root, "train_aug").ids == ("a", "b", "c", "d")


def test_nothing_is_fetched_for_a_whole_set_or_for_archives_that_are_there(tmp_path, server, monkeypatch):
    folder, root = server(), tmp_path / "data"
    root.mkdir()
    for file in folder.iterdir():
        file.rename(root / file.name)  # the server has nothing more
    assert voc.download(root) == TINY
    before = everything(root)
    monkeypatch.setattr(voc, "_fetch", lambda *_: pytest.fail("it was fetched"))
    assert voc.download(root) == TINY and everything(root) == before


def test_a_devkit_is_taken_as_it_is(tmp_path, server):
    folder, root = server(), tmp_path / "data"
    (folder / "voc.tar").unlink()
    with tarfile.open(fileobj=io.BytesIO(voc_tar())) as tar:
        tar.extractall(root, filter="data")
    photo = root / "VOCdevkit/VOC2012/JPEGImages/a.jpg"
    before = photo.stat().st_mtime_ns
    assert voc.download(root) == TINY and photo.stat().st_mtime_ns == before


def test_masks_that_others_converted_are_enough(tmp_path, server):
    """SegmentationClassAug as it circulates: 12,031 masks, no list."""
    folder, root = server(), tmp_path / "data"
    voc.download(root)
    (root / "VOCdevkit/VOC2012/ImageSets/Segmentation/train_aug.txt").unlink()
    (root / "benchmark.tgz").unlink()
    (folder / "benchmark.tgz").unlink()
    assert voc.download(root) == TINY


@pytest.mark.parametrize("stop", ["extract", "rename", "save_mask", "copyfile", "write_whole"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_what_is_interrupted_does_not_look_whole(tmp_path, server, monkeypatch, stop, kind):
    server()
    root, place = tmp_path / "data", {"extract": tarfile.TarFile, "rename": type(tmp_path), "copyfile": voc.shutil, "write_whole": voc}
    holder = place.get(stop) or __import__("aelib.runs", fromlist=["runs"])
    original, calls = getattr(holder, stop), []

    def fails(*args, **options):
        calls.append(args)
        if len(calls) == (1 if stop in ("write_whole", "rename") else 2):
            raise kind("stopped")
        return original(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(holder, stop, fails)
        with pytest.raises(kind):
            voc.download(root)
    devkit = root / "VOCdevkit" / "VOC2012"
    assert not list(root.rglob("*.part")) and not (devkit / "ImageSets/Segmentation/train_aug.txt").exists()
    if devkit.exists():  # what is there is whole
        assert len(list((devkit / "JPEGImages").iterdir())) == 6
    if (devkit / "SegmentationClassAug").exists():
        assert len(list((devkit / "SegmentationClassAug").iterdir())) == 6
    assert voc.download(root) == TINY  # and the same command goes on
    assert voc.check(root, {"train_aug": 0, "val": 0}) == {"train_aug": 4, "val": 2}


def test_what_a_killed_process_left_is_made_anew(tmp_path, server):
    server()
    root = tmp_path / "data"
    (root / ".VOC2012.part" / "VOCdevkit" / "VOC2012" / "JPEGImages").mkdir(parents=True)
    (root / ".VOC2012.part" / "VOCdevkit" / "VOC2012" / "JPEGImages" / "z.jpg").write_bytes(b"half")
    (root / "voc.tar").write_bytes(b"half an archive")
    assert voc.download(root) == TINY and not any("z.jpg" in name for name in everything(root))


@pytest.mark.parametrize("name", ["../evil", "/tmp/aelib-evil", "VOCdevkit/../../evil"])
def test_an_archive_cannot_escape(tmp_path, server, name):
    server(voc_tar((name, b"evil")), sbd_tgz())
    if name.startswith("/"):  # absolute names lose their slash: they stay inside, and what is not VOC's is dropped
        assert voc.download(tmp_path / "data") == TINY
    else:
        with pytest.raises(ValueError, match=r"voc\.tar cannot be unpacked"):
            voc.download(tmp_path / "data")
        assert everything(tmp_path / "data") == set()
    assert not [file for file in tmp_path.rglob("*evil*")] and not (tmp_path.parent / "evil").exists()


def test_names_in_sbd_cannot_escape(tmp_path, server):
    server(voc_tar(), sbd_tgz(("benchmark_RELEASE/dataset/cls/../evil.mat", mat(["cat"])), ("benchmark_RELEASE/dataset/cls/..mat", b"")))
    assert voc.download(tmp_path / "data") == TINY
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("archives", "message"),
    [
        (lambda: (b"no tar", sbd_tgz()), r"voc\.tar cannot be unpacked"),
        (lambda: (tar_of([("x", b"")], "w"), sbd_tgz()), r"voc\.tar cannot be unpacked"),
        (lambda: (voc_tar(), sbd_tgz(skip="d")), r"benchmark\.tgz cannot be converted \(4 pictures listed, masks of 3"),
        (lambda: (voc_tar(), tar_of([("benchmark_RELEASE/dataset/cls/c.mat", b"no mat")], "w:gz")), r"benchmark\.tgz cannot be converted"),
        (lambda: (voc_tar(), sbd_tgz()[:-400]), r"benchmark\.tgz cannot be converted"),
    ],
)
def test_archives_that_are_not_what_they_should_be(tmp_path, server, archives, message):
    server(*archives())
    with pytest.raises(ValueError, match=message):
        voc.download(tmp_path / "data")
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("train_aug.txt")) and not list(tmp_path.rglob("SegmentationClassAug"))


def test_offline_it_says_what_to_put_where(tmp_path, server, capsys):
    folder = server()
    (folder / "voc.tar").unlink()
    assert main(["data", "voc", "--root", str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    for archive in voc.archives():
        assert archive.url in error and str(tmp_path / "data" / archive.file) in error and archive.md5 in error
    assert everything(tmp_path / "data") == set()


def test_a_wrong_checksum_is_an_error(tmp_path, server):
    folder = server()
    (folder / "voc.tar").write_bytes(voc_tar(("x", b"changed")))
    with pytest.raises(ValueError, match=r"could not be downloaded.*corrupted"):
        voc.download(tmp_path / "data")
    assert not (tmp_path / "data" / "VOCdevkit").exists()


def test_other_sizes_are_an_error(tmp_path, server, monkeypatch):
    server()
    monkeypatch.setattr(voc, "SIZES", TINY | {"train_aug": 10_582})
    with pytest.raises(ValueError, match="train_aug has 4 pictures, not 10,582"):
        voc.download(tmp_path / "data")


# --- real photographs ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.exists(), reason="no photographs in ../shared/voc")
def test_the_shared_subset():
    classes = ("cat", "dog", "horse", "sheep", "cow", "person")
    assert voc.splits(SHARED) == ("train_aug", "val")
    val = voc.pictures(SHARED, "val", classes)
    assert len(val) == 150 and val.classes == ("cat", "cow", "dog", "horse", "person", "sheep")
    assert voc.check(SHARED, {"train_aug": 40, "val": 40}, classes) == {"train_aug": 40, "val": 40}
    few = voc.pictures(SHARED, "train_aug", classes, limit=40)
    truth = voc.truth(SHARED, "train_aug", classes, limit=40)
    for image, mask, size, labels in zip(few.images, truth.masks, sizes(few.images), few.labels, strict=True):
        assert image.shape[:2] == mask.shape == size
        assert set(np.unique(mask)) <= {*range(7), 255}
        present = set(np.unique(mask)) - {0, 255}
        assert present & {c + 1 for c in np.flatnonzero(labels)}  # masks and image-level labels speak of the same classes
