"""Making VOC 2012 with SBD's masks, from the archives or from what is there already.

train_aug, the 10,582 pictures that nearly every paper since DeepLab trains on, is VOC's train with
SBD's train and val, without VOC's val: so mmsegmentation's tools/dataset_converters/voc_aug.py,
which also takes VOC's own mask where there is one. Source of SBD: Hariharan et al., "Semantic
Contours from Inverse Detectors", ICCV 2011.
"""

import io
import os
import shutil
import tarfile
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from ..support.files import plain, refuse, write_whole
from ..support.kinds import pruned
from ..support.lock import LockedError, locked
from .devkit import listed
from .photos import save_mask

SIZES = {"train": 1_464, "train_aug": 10_582, "val": 1_449}


class Archive(NamedTuple):
    """What is downloaded: torchvision's address, file name and MD5."""

    url: str
    file: str
    md5: str


def archives() -> tuple[Archive, Archive]:
    """VOC 2012's trainval and SBD, as torchvision.datasets knows them."""
    from torchvision.datasets import SBDataset
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    voc = DATASET_YEAR_DICT["2012"]
    sbd = Archive(SBDataset.url, SBDataset.filename, SBDataset.md5)
    return Archive(voc["url"], voc["filename"], voc["md5"]), sbd


def download(root: str | os.PathLike) -> dict[str, int]:
    """Make VOC 2012 with SBD in `root`, from what is there.

    A devkit is taken as it is; an archive is not fetched again. Everything is made under another
    name and renamed once it is whole, the list train_aug.txt last; what an interrupted call left
    is made anew. This needs some 6 GB; the two archives can be deleted afterwards.

    Returns:
        Pictures in train, train_aug and val.

    Raises:
        ValueError: no internet (the message says which files to put where), a wrong checksum, a
            damaged archive, sets of other sizes than `SIZES`, or another process is at it.
        OSError: the folder cannot be written; no unfinished set is left behind.
    """
    root = Path(root)
    devkit = root / "VOCdevkit" / "VOC2012"
    masks = devkit / "SegmentationClassAug"
    train_aug = devkit / "ImageSets" / "Segmentation" / "train_aug.txt"
    if not train_aug.exists() or not masks.exists():
        root.mkdir(parents=True, exist_ok=True)
        try:
            with locked(root / ".lock", "making VOC 2012"):
                if not devkit.exists():
                    _extract_voc(root, devkit)
                if not masks.exists():
                    _convert_sbd(root, devkit)
                if not train_aug.exists():
                    train, val = (_ids(devkit, split) for split in ("train", "val"))
                    labelled = {Path(name).stem for name in pruned(masks)}  # SBD's, and VOC's
                    ids = (labelled | {*train}) - {*val}
                    sizes = {"train": len(train), "train_aug": len(ids), "val": len(val)}
                    _refuse_sizes(devkit, sizes)  # first: a list of too few would stay
                    write_whole(train_aug, "".join(f"{name}\n" for name in sorted(ids)).encode())
        except LockedError as error:
            message = f"{root} is being worked on by {error}; wait for it to end"
            raise ValueError(message) from None
    found = {split: len(_ids(devkit, split)) for split in SIZES}
    _refuse_sizes(devkit, found)
    return found


def _refuse_sizes(devkit: Path, found: dict[str, int]) -> None:
    wrong = [
        f"{split} has {found[split]:,} pictures, not {size:,}"
        for split, size in SIZES.items()
        if found[split] != size
    ]
    if wrong:
        cure = "A subset needs no `data voc`; for the whole set name another --root"
        raise ValueError(f"{devkit} is not VOC 2012 with SBD: {', '.join(wrong)}. {cure}")


def _ids(devkit: Path, split: str) -> list[str]:
    ids, problems = listed(devkit, split)
    refuse(f"problem(s) with {devkit} (a subset of VOC needs no `data voc`)", problems)
    return ids


def fetch(root: Path, archive: Archive) -> Path:
    """The archive's file in `root`, downloaded unless it is there and its MD5 is right.

    Raises:
        ValueError: it cannot be had; says which files to put where.
    """
    from torchvision.datasets.utils import download_url

    try:
        download_url(archive.url, root, archive.file, archive.md5)
    except (OSError, RuntimeError, HTTPException) as error:
        wanted = [f"  {url}\n    as {root / file}, MD5 {md5}" for url, file, md5 in archives()]
        lines = [
            f"{archive.url} could not be downloaded ({error}). "
            "Put these files there by hand, each under its name, and give the same command:",
            *wanted,
            f"The first is not needed with a devkit in {root / 'VOCdevkit' / 'VOC2012'}, "
            "the second not with its SegmentationClassAug.",
        ]
        raise ValueError("\n".join(lines)) from error
    return root / archive.file


def _extract_voc(root: Path, devkit: Path) -> None:
    from tqdm import tqdm

    archive = fetch(root, archives()[0])
    part = root / ".VOC2012.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tqdm(tar, desc=archive.name, unit=" files"):
                tar.extract(member, part, filter="data")  # refuses what would leave the folder
        devkit.parent.mkdir(exist_ok=True)
        (part / "VOCdevkit" / "VOC2012").rename(devkit)
    except (tarfile.TarError, EOFError, FileNotFoundError) as error:
        cure = "delete it, it will be fetched again"
        raise ValueError(f"{archive} cannot be unpacked ({error}): {cure}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _convert_sbd(root: Path, devkit: Path) -> None:
    """SegmentationClassAug: VOC's own masks, and SBD's of the other pictures."""
    vocs = {*_ids(devkit, "train"), *_ids(devkit, "val")}
    archive = fetch(root, archives()[1])
    part = devkit / ".SegmentationClassAug.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        try:
            _masks_from_sbd(archive, part, vocs)
        except OSError:
            raise
        except Exception as error:  # a damaged .mat file raises nearly anything in scipy
            cure = "delete it, it will be fetched again"
            raise ValueError(f"{archive} cannot be converted ({error}): {cure}") from error
        for name in vocs:
            shutil.copyfile(devkit / "SegmentationClass" / f"{name}.png", part / f"{name}.png")
        part.rename(devkit / "SegmentationClassAug")
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _masks_from_sbd(archive: Path, folder: Path, vocs: set[str]) -> None:
    """The masks of all pictures but `vocs`, from the archive without unpacking it."""
    import numpy as np
    from scipy.io import loadmat
    from tqdm import tqdm

    in_lists, made = set(), set()
    with tarfile.open(archive) as tar:
        for member in tqdm(tar, desc=archive.name, unit=" files"):
            place, _, file = member.name.removeprefix("./").rpartition("/")
            name, _, kind = file.rpartition(".")
            if place == "benchmark_RELEASE/dataset" and file in ("train.txt", "val.txt"):
                in_lists |= {*tar.extractfile(member).read().decode().split()}
            elif place == "benchmark_RELEASE/dataset/cls" and kind == "mat" and plain(name):
                made.add(name)
                if name not in vocs:
                    content = loadmat(io.BytesIO(tar.extractfile(member).read()))
                    mask = content["GTcls"][0]["Segmentation"][0]
                    save_mask(folder / f"{name}.png", np.ascontiguousarray(mask, np.uint8))
    if not in_lists or in_lists != made:
        counts = f"{len(in_lists)} pictures listed, masks of {len(made)}"
        raise ValueError(f"{counts}, {len(in_lists & made)} of them both")
