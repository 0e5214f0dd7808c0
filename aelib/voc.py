"""PASCAL VOC 2012, alone or with SBD's masks, and any subset of it in the devkit's layout.

    ROOT/VOCdevkit/VOC2012/JPEGImages/ID.jpg
                           ImageSets/Segmentation/SPLIT.txt     one id a line
                           Annotations/ID.xml                   the image-level labels; without this folder: image_labels.json
                           SegmentationClass/ID.png             VOC's own masks
                           SegmentationClassAug/ID.png          SBD's as well

Sources: Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010; Hariharan et al., "Semantic Contours from Inverse
Detectors" (SBD), ICCV 2011. train_aug, the 10,582 pictures that nearly every paper since DeepLab trains on, is VOC's train with SBD's train
and val, less VOC's val: so mmsegmentation's tools/dataset_converters/voc_aug.py, which also takes VOC's own mask where there is one.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from . import photos
from .data import Pictures, Truth, photo_pictures, photo_truth
from .files import nearest, plain, read_json, refuse, write_whole
from .locking import LockedError, locked
from .photos import Item

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
SIZES = {"train": 1_464, "train_aug": 10_582, "val": 1_449}


# --- reading ------------------------------------------------------------------------------------------------------------------


def pictures(root: str | os.PathLike, split: str, classes: Sequence[str] = (), limit: int = 0, seed: int = 0, longest: int = 0) -> Pictures:
    """A split as training sees it. No mask is opened, and no label comes from one.

    A class is in a picture if an object of it is annotated, one marked difficult, too: so the image-level labels of psa (AffinityNet) and
    those built on it. Lists and labels are read once a process, or since the last `check`: a change to them shows after it.

    Args:
        root: the folder that holds VOCdevkit.
        split: of ImageSets/Segmentation: "train", "train_aug", "val" or another list there.
        classes: names of those to keep (none: all 20), in VOC's order; pictures that have none of them are left out.
        limit: so many pictures at random, if there are more; 0 takes all.
        seed: of that choice, which does not depend on the order in the list, or on disk.
        longest: photographs with a longer side are reduced to it, pixels; 0 never.

    Raises:
        ValueError: all that is wrong with the list and the labels, at once (see `check`); an unknown class.
    """
    names = photos.kept(classes, CLASSES)
    return photo_pictures(_chosen(Path(root), split, names, limit, seed), names, longest)


def truth(root: str | os.PathLike, split: str, classes: Sequence[str] = (), limit: int = 0, seed: int = 0, longest: int = 0) -> Truth:
    """The masks of `pictures(root, split, classes, limit, seed, longest)`; classes that are not kept are 255 in them (`photos.relabelling`).

    VOC's own mask if there is one, for it has the void border; SBD's (SegmentationClassAug) otherwise.

    Raises:
        ValueError: as `pictures`; on access, if a mask is missing or damaged.
    """
    names = photos.kept(classes, CLASSES)
    return photo_truth(_chosen(Path(root), split, names, limit, seed), names, CLASSES, longest)


def check(
    root: str | os.PathLike,
    splits: Mapping[str, int],
    classes: Sequence[str] = (),
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Everything that is wrong with a data set, before any training: lists, labels, photos and masks, each decoded once.

    Nothing is remembered, so that nothing damaged since goes unseen.

    Args:
        splits: name -> limit, as in `pictures`; photos and masks are only checked of what is chosen.
        workers: processes. progress: called with the number of pictures done and of all.

    Returns:
        name -> pictures chosen.

    Raises:
        ValueError: an id that is listed twice, in val and in another split, that is no plain file name, that has no labels, no photo or
            no mask; an empty list; an unknown class; a photo or mask that is damaged; a mask that is no label map, has another size than
            its photo or labels outside 0..20 and 255. All of them in one message.
    """
    _chosen.cache_clear()
    found = {split: _items(Path(root), split) for split in splits}
    names, problems = photos.kept_at_all(classes, CLASSES)
    chosen = {}
    for split, (items, wrong) in found.items():
        problems += wrong
        try:
            chosen[split] = photos.choose(items, names, splits[split], seed)
        except ValueError as error:
            problems += [] if wrong else [f"{split}: {error}"]
        if split != "val" and "val" in found:
            shared = {item.id for item in items} & {item.id for item in found["val"][0]}
            problems += [f"{name} is in {split} and in val: what is trained on cannot be scored on" for name in sorted(shared)]
    everything = {item.id: item for items in chosen.values() for item in items}
    problems += photos.all_faults([(item.photo, item.mask, len(CLASSES)) for item in everything.values()], workers, progress)
    refuse(f"problem(s) with the data in {root}", problems)
    return {split: len(items) for split, items in chosen.items()}


def splits(root: str | os.PathLike) -> tuple[str, ...]:
    """What can be checked: val, and train_aug or, without it, train; those that there are. Raises ValueError if none is."""
    lists = _devkit(Path(root)) / "ImageSets" / "Segmentation"
    there = [name for name in ("train_aug", "train", "val") if (lists / f"{name}.txt").exists()]
    if not there:
        raise ValueError(f"{lists} has none of train_aug.txt, train.txt and val.txt: lists of ids, one a line")
    return tuple(name for name in there if name != "train" or "train_aug" not in there)


def photos_of(root: str | os.PathLike, split: str) -> list[Path]:
    """The photographs of a list, which needs no labels: the test split's. Raises ValueError for all that is wrong with the list."""
    devkit = _devkit(Path(root))
    ids, problems = _listed(devkit, split)
    refuse(f"problem(s) with the list {split}", problems)
    return [devkit / "JPEGImages" / f"{name}.jpg" for name in ids]


@lru_cache(maxsize=16)
def _chosen(root: Path, split: str, names: tuple[str, ...], limit: int, seed: int) -> tuple[Item, ...]:
    items, problems = _items(root, split)
    refuse(f"problem(s) with the lists and labels in {root}", problems)
    return photos.choose(items, names, limit, seed)


def _items(root: Path, split: str) -> tuple[list[Item], list[str]]:
    """A split's pictures, and all that is wrong with its list and labels."""
    devkit = _devkit(root)
    ids, problems = _listed(devkit, split)
    labels, more = _labels(devkit, ids)
    return [Item(name, devkit / "JPEGImages" / f"{name}.jpg", _mask(devkit, name), labels[name]) for name in ids if name in labels], problems + more


def _devkit(root: Path) -> Path:
    devkit = root / "VOCdevkit" / "VOC2012"
    if not devkit.is_dir():
        raise ValueError(f"{devkit} is no folder; `python -m aelib data voc --root {root}` makes it, data/README.md says how to bring one")
    return devkit


def _mask(devkit: Path, name: str) -> Path:
    own = devkit / "SegmentationClass" / f"{name}.png"
    return own if own.exists() else devkit / "SegmentationClassAug" / f"{name}.png"


def _listed(devkit: Path, split: str) -> tuple[list[str], list[str]]:
    """The ids of a list, each once, and what is wrong with it."""
    if not plain(split):
        raise ValueError(f"split: {split!r} is no plain name of a list")
    file = devkit / "ImageSets" / "Segmentation" / f"{split}.txt"
    try:
        lines = file.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return [], [f"{file} is missing"]
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{file} cannot be read ({error}); one id a line is needed"]
    ids, problems = {}, [] if lines else [f"{file}: no id in it"]
    for name in lines:
        if not plain(name):
            problems.append(f"{file}: {name!r} is no plain id; one a line is needed, without folder")
        elif name in ids:
            problems.append(f"{file}: {name} is listed more than once")
        else:
            ids[name] = None
    return list(ids), problems


def _labels(devkit: Path, ids: Sequence[str]) -> tuple[dict[str, frozenset[str]], list[str]]:
    """id -> names of the classes in the picture, for those whose labels are right; and what is wrong with the others'."""
    annotated = (devkit / "Annotations").is_dir()
    file, table = devkit / "image_labels.json", {}
    if not annotated:
        try:
            table = read_json(file)
        except ValueError as error:
            return {}, [f"{error}; image-level labels come from there, or from Annotations/ID.xml"]
        if not isinstance(table, dict):
            return {}, [f'{file}: a table {{"ID": ["cat", "person"], ...}} is needed, not {type(table).__name__}']
    labels, problems = {}, []
    for name in ids:
        if annotated:
            source = f"{devkit / 'Annotations' / name}.xml"
            try:
                found = _objects(Path(source))
            except ValueError as error:
                problems.append(str(error))
                continue
        else:
            source, found = f"{file}: {name}", table.get(name)
            if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
                problems.append(f"{source} has no labels" if found is None else f"{source}: {found!r} is no list of class names")
                continue
        if not found:
            problems.append(f"{source} names no object: the picture has no labels")
        elif unknown := sorted(set(found).difference(CLASSES)):
            problems += [f"{source}: class {label!r} is unknown{nearest(label, CLASSES)}" for label in unknown]
        else:
            labels[name] = frozenset(found)
    return labels, problems


def _objects(file: Path) -> list[str]:
    """Names of the objects in a VOC annotation; their parts (head, hand, foot) have names, too, and are no objects."""
    try:
        if (size := file.stat().st_size) > 1_000_000:
            raise ValueError(f"{size:,} bytes are no annotation")
        tree = ElementTree.parse(file)  # fetches nothing from outside; expat bounds what entities may grow to
    except FileNotFoundError:
        raise ValueError(f"{file} is missing: without it the picture has no labels") from None
    except (OSError, SyntaxError, ValueError, LookupError) as error:
        raise ValueError(f"{file} cannot be read as XML ({error})") from error
    return [(thing.findtext("name") or "").strip() for thing in tree.getroot().findall("object")]


# --- making it ----------------------------------------------------------------------------------------------------------------


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
    return Archive(voc["url"], voc["filename"], voc["md5"]), Archive(SBDataset.url, SBDataset.filename, SBDataset.md5)


def download(root: str | os.PathLike) -> dict[str, int]:
    """Make VOC 2012 with SBD in `root`, from what is there: a devkit is taken as it is, an archive is not fetched again.

    Everything is made under another name and renamed once it is whole, the list train_aug.txt last; what an interrupted call left is made
    anew. Needs some 6 GB; the two archives can be deleted afterwards.

    Returns:
        Pictures in train, train_aug and val.

    Raises:
        ValueError: no internet (the message says which files to put where), a wrong checksum, a damaged archive, sets of other sizes than
            `SIZES`, or another process is at it.
        OSError: the folder cannot be written; no unfinished set is left behind.
    """
    root = Path(root)
    devkit = root / "VOCdevkit" / "VOC2012"
    train_aug = devkit / "ImageSets" / "Segmentation" / "train_aug.txt"
    if not train_aug.exists() or not (devkit / "SegmentationClassAug").exists():
        root.mkdir(parents=True, exist_ok=True)
        try:
            with locked(root / ".lock", "making VOC 2012"):
                if not devkit.exists():
                    _extract_voc(root, devkit)
                if not (devkit / "SegmentationClassAug").exists():
                    _convert_sbd(root, devkit)
                if not train_aug.exists():
                    masks = {file.stem for file in (devkit / "SegmentationClassAug").glob("*.png")}  # SBD's train and val, and VOC's
                    ids = (masks | {*_ids(devkit, "train")}) - {*_ids(devkit, "val")}
                    write_whole(train_aug, "".join(f"{name}\n" for name in sorted(ids)).encode())
        except LockedError as error:
            raise ValueError(f"{root} is being worked on by {error}; wait for it to end") from None
    found = {split: len(_ids(devkit, split)) for split in SIZES}
    if found != SIZES:
        wrong = ", ".join(f"{split} has {found[split]:,} pictures, not {size:,}" for split, size in SIZES.items() if found[split] != size)
        raise ValueError(f"{devkit} is not VOC 2012 with SBD: {wrong}. A subset needs no `data voc`; for the whole set name another --root")
    return found


def _ids(devkit: Path, split: str) -> list[str]:
    ids, problems = _listed(devkit, split)
    refuse(f"problem(s) with {devkit} (a subset of VOC needs no `data voc`)", problems)
    return ids


def _fetch(root: Path, archive: Archive) -> Path:
    from torchvision.datasets.utils import download_url

    try:
        download_url(archive.url, root, archive.file, archive.md5)  # at once if it is there and its MD5 is right
    except (OSError, RuntimeError, HTTPException) as error:
        whole = "\n".join(f"  {url}\n    as {root / file}, MD5 {md5}" for url, file, md5 in archives())
        raise ValueError(
            f"{archive.url} could not be downloaded ({error}). Put these files there by hand, each under its name, and give the same command:\n"
            f"{whole}\nThe first is not needed with a devkit in {root / 'VOCdevkit' / 'VOC2012'}, the second not with its SegmentationClassAug."
        ) from error
    return root / archive.file


def _extract_voc(root: Path, devkit: Path) -> None:
    from tqdm import tqdm

    archive, part = _fetch(root, archives()[0]), root / ".VOC2012.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tqdm(tar, desc=archive.name, unit=" files"):
                tar.extract(member, part, filter="data")  # refuses what would leave the folder
        devkit.parent.mkdir(exist_ok=True)
        (part / "VOCdevkit" / "VOC2012").rename(devkit)
    except (tarfile.TarError, EOFError, FileNotFoundError) as error:
        raise ValueError(f"{archive} cannot be unpacked ({error}): delete it, it will be fetched again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _convert_sbd(root: Path, devkit: Path) -> None:
    """SegmentationClassAug: VOC's own masks, and of SBD's those of the other pictures, from the archive without unpacking it."""
    own = {*_ids(devkit, "train"), *_ids(devkit, "val")}
    archive, part = _fetch(root, archives()[1]), devkit / ".SegmentationClassAug.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        try:
            _masks_from_sbd(archive, part, own)
        except OSError:
            raise
        except Exception as error:  # a damaged .mat file raises nearly anything in scipy
            raise ValueError(f"{archive} cannot be converted ({error}): delete it, it will be fetched again") from error
        for name in own:
            shutil.copyfile(devkit / "SegmentationClass" / f"{name}.png", part / f"{name}.png")
        part.rename(devkit / "SegmentationClassAug")
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _masks_from_sbd(archive: Path, folder: Path, own: set[str]) -> None:
    import numpy as np
    from scipy.io import loadmat
    from tqdm import tqdm

    from .runs import save_mask

    listed, made = set(), set()
    with tarfile.open(archive) as tar:
        for member in tqdm(tar, desc=archive.name, unit=" files"):
            place, _, file = member.name.removeprefix("./").rpartition("/")
            name, _, kind = file.rpartition(".")
            if place == "benchmark_RELEASE/dataset" and file in ("train.txt", "val.txt"):
                listed |= {*tar.extractfile(member).read().decode().split()}
            elif place == "benchmark_RELEASE/dataset/cls" and kind == "mat" and plain(name):
                made.add(name)
                if name not in own:
                    content = loadmat(io.BytesIO(tar.extractfile(member).read()))
                    save_mask(folder / f"{name}.png", np.ascontiguousarray(content["GTcls"][0]["Segmentation"][0], np.uint8))
    if not listed or listed != made:
        raise ValueError(f"{len(listed)} pictures listed, masks of {len(made)}, {len(listed & made)} of them both")
