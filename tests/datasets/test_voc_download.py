"""VOC 2012 with SBD, made from archives that a server on this machine hands out."""

import hashlib
import http.server
import io
import shutil
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
from devkits import PICTURES, labels_of, xml
from PIL import Image
from scipy.io import savemat

from aelib.datasets import voc_download
from aelib.datasets.voc import VOC
from aelib.datasets.voc_download import Archive

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
    entries = [
        (
            f"{top}/ImageSets/Segmentation/{split}.txt",
            "".join(f"{name}\n" for name in names).encode(),
        )
        for split, names in OWN.items()
    ]
    for name, names in PICTURES.items():
        image = Image.new("RGB", (8, 6), (ord(name), 0, 0))
        entries += [
            (
                f"{top}/JPEGImages/{name}.jpg",
                bytes_of(lambda stream, image=image: image.save(stream, "JPEG")),
            )
        ]
        entries += [(f"{top}/Annotations/{name}.xml", xml(names).encode())]
        if name in OWN["train"] + OWN["val"]:
            mask = Image.fromarray(labels_of(names))
            entries += [
                (
                    f"{top}/SegmentationClass/{name}.png",
                    bytes_of(lambda stream, mask=mask: mask.save(stream, "PNG")),
                )
            ]
    return tar_of([*entries, *more], "w")


def mat(names):
    """As SBD's files: a struct GTcls with Segmentation, without void."""
    mask = labels_of(names)
    mask[-1] = 0
    struct = {
        "Segmentation": mask,
        "Boundaries": np.zeros((20, 1), object),
        "CategoriesPresent": np.array([[1]]),
    }
    return bytes_of(lambda stream: savemat(stream, {"GTcls": struct}, do_compression=True))


def sbd_tgz(*more, skip=""):
    top = "benchmark_RELEASE/dataset"
    entries = [
        (f"{top}/{split}.txt", "".join(f"{name}\n" for name in names).encode())
        for split, names in SBD.items()
    ]
    entries += [
        (f"{top}/cls/{name}.mat", mat(PICTURES[name])) for name in "acde" if name not in skip
    ]
    entries += [(f"{top}/inst/a.mat", b"not read"), (f"{top}/img/a.jpg", b"not read")]
    return tar_of([*entries, *more], "w:gz")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """serve(voc tar, SBD tgz) puts both at http://127.0.0.1; returns the folder served."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(voc_download, "SIZES", TINY)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()

    def serve(*contents):
        contents = contents or (voc_tar(), sbd_tgz())
        found = []
        for name, content in zip(("voc.tar", "benchmark.tgz"), contents, strict=True):
            (folder / name).write_bytes(content)
            found.append(
                Archive(
                    f"http://127.0.0.1:{httpd.server_port}/{name}",
                    name,
                    hashlib.md5(content).hexdigest(),
                )
            )
        monkeypatch.setattr(voc_download, "archives", lambda: tuple(found))
        return folder

    yield serve
    httpd.shutdown()


def everything(root):
    return {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()} - {
        ".lock",
        "voc.tar",
        "benchmark.tgz",
    }


def test_the_archives_are_torchvisions():
    first, second = voc_download.archives()
    assert (first.file, first.md5) == (
        "VOCtrainval_11-May-2012.tar",
        "6cd6e144f989b92b3379bac3b3de84fd",
    )
    assert (second.file, second.md5) == ("benchmark.tgz", "82b4d87ceb2ed10f6038a1cba92111cb")
    assert all(
        archive.url.startswith("https://") and archive.url.endswith(archive.file)
        for archive in (first, second)
    )


def test_download_makes_the_whole_set(tmp_path, server):
    server()
    root = tmp_path / "data"
    assert voc_download.download(root) == {"train": 2, "train_aug": 4, "val": 2}
    assert VOC(root).check().pictures == {"train_aug": 4, "val": 2}
    devkit = root / "VOCdevkit" / "VOC2012"
    assert (devkit / "ImageSets/Segmentation/train_aug.txt").read_text().split() == [
        "a",
        "b",
        "c",
        "d",
    ]  # SBD + train - val
    masks = {file.stem: Image.open(file) for file in (devkit / "SegmentationClassAug").iterdir()}
    assert sorted(masks) == ["a", "b", "c", "d", "e", "f"]
    for name, mask in masks.items():
        wanted = labels_of(PICTURES[name])
        if name in "cd":  # from SBD: no void, VOC's palette
            wanted[-1] = 0
            assert mask.mode == "P" and mask.getpalette()[3:6] == [128, 0, 0]
        np.testing.assert_array_equal(np.asarray(mask), wanted)
    assert not list(root.rglob("*.part")) and VOC(root).pictures("train").ids == (
        "a",
        "b",
        "c",
        "d",
    )


def test_nothing_is_fetched_for_a_whole_set_or_for_archives_that_are_there(
    tmp_path, server, monkeypatch
):
    folder, root = server(), tmp_path / "data"
    root.mkdir()
    for file in folder.iterdir():
        file.rename(root / file.name)  # the server has nothing more
    assert voc_download.download(root) == TINY
    before = everything(root)
    monkeypatch.setattr(voc_download, "fetch", lambda *_: pytest.fail("it was fetched"))
    assert voc_download.download(root) == TINY and everything(root) == before


def test_a_devkit_is_taken_as_it_is(tmp_path, server):
    folder, root = server(), tmp_path / "data"
    (folder / "voc.tar").unlink()
    with tarfile.open(fileobj=io.BytesIO(voc_tar())) as tar:
        tar.extractall(root, filter="data")
    photo = root / "VOCdevkit/VOC2012/JPEGImages/a.jpg"
    before = photo.stat().st_mtime_ns
    assert voc_download.download(root) == TINY and photo.stat().st_mtime_ns == before


def test_masks_that_others_converted_are_enough(tmp_path, server):
    """SegmentationClassAug as it circulates: 12,031 masks, no list."""
    folder, root = server(), tmp_path / "data"
    voc_download.download(root)
    (root / "VOCdevkit/VOC2012/ImageSets/Segmentation/train_aug.txt").unlink()
    (root / "benchmark.tgz").unlink()
    (folder / "benchmark.tgz").unlink()
    masks = root / "VOCdevkit/VOC2012/SegmentationClassAug"
    (masks / "._d.png").write_bytes(b"\0\5\26\7")  # what macOS leaves is no mask
    (masks / "d.png").rename(root / "d.png")
    with pytest.raises(ValueError, match="train_aug has 3 pictures, not 4"):
        voc_download.download(root)
    (root / "d.png").rename(masks / "d.png")  # the same call works once all are there
    assert voc_download.download(root) == TINY


@pytest.mark.parametrize("stop", ["extract", "rename", "save_mask", "copyfile", "write_whole"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_what_is_interrupted_does_not_look_whole(tmp_path, server, monkeypatch, stop, kind):
    server()
    root, place = (
        tmp_path / "data",
        {"extract": tarfile.TarFile, "rename": type(tmp_path), "copyfile": shutil},
    )
    holder = place.get(stop, voc_download)
    original, calls = getattr(holder, stop), []

    def fails(*args, **options):
        calls.append(args)
        if len(calls) == (1 if stop in ("write_whole", "rename") else 2):
            raise kind("stopped")
        return original(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(holder, stop, fails)
        with pytest.raises(kind):
            voc_download.download(root)
    devkit = root / "VOCdevkit" / "VOC2012"
    assert (
        not list(root.rglob("*.part"))
        and not (devkit / "ImageSets/Segmentation/train_aug.txt").exists()
    )
    if devkit.exists():  # what is there is whole
        assert len(list((devkit / "JPEGImages").iterdir())) == 6
    if (devkit / "SegmentationClassAug").exists():
        assert len(list((devkit / "SegmentationClassAug").iterdir())) == 6
    assert voc_download.download(root) == TINY  # and the same command goes on
    assert VOC(root).check().pictures == {"train_aug": 4, "val": 2}


def test_what_a_killed_process_left_is_made_anew(tmp_path, server):
    server()
    root = tmp_path / "data"
    (root / ".VOC2012.part" / "VOCdevkit" / "VOC2012" / "JPEGImages").mkdir(parents=True)
    (root / ".VOC2012.part" / "VOCdevkit" / "VOC2012" / "JPEGImages" / "z.jpg").write_bytes(b"half")
    (root / "voc.tar").write_bytes(b"half an archive")
    assert voc_download.download(root) == TINY and not any(
        "z.jpg" in name for name in everything(root)
    )


@pytest.mark.parametrize("name", ["../evil", "/tmp/aelib-evil", "VOCdevkit/../../evil"])
def test_an_archive_cannot_escape(tmp_path, server, name):
    server(voc_tar((name, b"evil")), sbd_tgz())
    if name.startswith(
        "/"
    ):  # absolute names lose their slash: they stay inside, and what is not VOC's is dropped
        assert voc_download.download(tmp_path / "data") == TINY
    else:
        with pytest.raises(ValueError, match=r"voc\.tar cannot be unpacked"):
            voc_download.download(tmp_path / "data")
        assert everything(tmp_path / "data") == set()
    assert (
        not [file for file in tmp_path.rglob("*evil*")] and not (tmp_path.parent / "evil").exists()
    )


def test_names_in_sbd_cannot_escape(tmp_path, server):
    server(
        voc_tar(),
        sbd_tgz(
            ("benchmark_RELEASE/dataset/cls/../evil.mat", mat(["cat"])),
            ("benchmark_RELEASE/dataset/cls/..mat", b""),
        ),
    )
    assert voc_download.download(tmp_path / "data") == TINY
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("archives", "message"),
    [
        (lambda: (b"no tar", sbd_tgz()), r"voc\.tar cannot be unpacked"),
        (lambda: (tar_of([("x", b"")], "w"), sbd_tgz()), r"voc\.tar cannot be unpacked"),
        (
            lambda: (voc_tar(), sbd_tgz(skip="d")),
            r"benchmark\.tgz cannot be converted \(4 pictures listed, masks of 3",
        ),
        (
            lambda: (
                voc_tar(),
                tar_of([("benchmark_RELEASE/dataset/cls/c.mat", b"no mat")], "w:gz"),
            ),
            r"benchmark\.tgz cannot be converted",
        ),
        (lambda: (voc_tar(), sbd_tgz()[:-400]), r"benchmark\.tgz cannot be converted"),
    ],
)
def test_archives_that_are_not_what_they_should_be(tmp_path, server, archives, message):
    server(*archives())
    with pytest.raises(ValueError, match=message):
        voc_download.download(tmp_path / "data")
    assert (
        not list(tmp_path.rglob("*.part"))
        and not list(tmp_path.rglob("train_aug.txt"))
        and not list(tmp_path.rglob("SegmentationClassAug"))
    )


def test_offline_it_says_what_to_put_where(tmp_path, server):
    folder = server()
    (folder / "voc.tar").unlink()
    with pytest.raises(ValueError, match="could not be downloaded") as caught:
        voc_download.download(tmp_path / "data")
    error = str(caught.value)
    for archive in voc_download.archives():
        assert (
            archive.url in error
            and str(tmp_path / "data" / archive.file) in error
            and archive.md5 in error
        )
    assert everything(tmp_path / "data") == set()


def test_a_wrong_checksum_is_an_error(tmp_path, server):
    folder = server()
    (folder / "voc.tar").write_bytes(voc_tar(("x", b"changed")))
    with pytest.raises(ValueError, match=r"could not be downloaded.*corrupted"):
        voc_download.download(tmp_path / "data")
    assert not (tmp_path / "data" / "VOCdevkit").exists()


def test_other_sizes_are_an_error(tmp_path, server, monkeypatch):
    server()
    monkeypatch.setattr(voc_download, "SIZES", TINY | {"train_aug": 10_582})
    with pytest.raises(ValueError, match="train_aug has 4 pictures, not 10,582"):
        voc_download.download(tmp_path / "data")
