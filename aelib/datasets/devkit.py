"""VOC's devkit on disk: its lists of ids, and the image-level labels; see `voc` for the layout."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from ..support.files import nearest, plain, read_json
from ..support.kinds import pruned
from .found import missing
from .lists import read_ids

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


_ARRAY = "cls_labels.npy"


def devkit_of(root: Path) -> Path:
    """The devkit's folder. Raises ValueError if there is none."""
    devkit = root / "VOCdevkit" / "VOC2012"
    if not devkit.is_dir():
        here = root.resolve()
        for place in here.parents[:2]:
            if here in (place / "VOCdevkit", place / "VOCdevkit" / "VOC2012"):
                raise ValueError(
                    f"{root} is a devkit itself; name the folder that holds it: {place}"
                )
        cure = f"`python -m aelib data voc --root {root}` makes it, data/README.md says how to"
        raise ValueError(f"{devkit} is no folder; {cure} bring one")
    return devkit


def listed(devkit: Path, split: str) -> tuple[list[str], list[str]]:
    """The ids of a list, each once, and what is wrong with it."""
    if not plain(split):
        raise ValueError(f"split: {split!r} is no plain name of a list")
    file = devkit / "ImageSets" / "Segmentation" / f"{split}.txt"
    try:
        return read_ids(file)
    except FileNotFoundError:
        return [], [missing(file)]
    except ValueError as error:
        return [], [f"{error}; one id a line is needed"]


def labels_of(devkit: Path, ids: Sequence[str]) -> tuple[dict[str, frozenset[str]], list[str]]:
    """id -> classes in the picture where the labels are right; what is wrong with the others.

    A picture without any object shows that there is nothing; not one may be all there is.
    """
    annotations = devkit / "Annotations"
    file = devkit / "image_labels.json"
    annotated = annotations.is_dir()
    try:
        table = {} if annotated else _table(file)
    except ValueError as error:
        return {}, [str(error)]
    labels = {}
    problems = []
    for name in ids:
        source = annotations / f"{name}.xml" if annotated else f"{file}: {name}"
        try:
            found = _objects(source) if annotated else _names(table.get(name), source)
        except ValueError as error:
            problems.append(str(error))
            continue
        unknown = sorted(set(found).difference(CLASSES))
        for label in unknown:
            problems.append(f"{source}: class {label!r} is unknown{nearest(label, CLASSES)}")
        if not unknown:
            labels[name] = frozenset(found)
    if labels and not problems and not any(labels.values()):
        problems.append(f"{annotations if annotated else file}: no picture has a label")
    return labels, problems


def _table(file: Path) -> dict:
    """The content of image_labels.json."""
    try:
        table = read_json(file)
    except ValueError as error:
        hint = "image-level labels come from there, or from Annotations/ID.xml"
        raise ValueError(f"{error}; {hint}{_array_of(file.parent)}") from error
    if not isinstance(table, dict):
        rule = 'a table {"ID": ["cat", "person"], ...} is needed'
        raise ValueError(f"{file}: {rule}, not {type(table).__name__}")
    return table


def _array_of(devkit: Path) -> str:
    """What to do with labels as psa and its successors keep them: a pickle, never loaded here."""
    places = [devkit, *devkit.parents[:2]]
    found = [place / name for place in places for name in pruned(place) if name == _ARRAY]
    if not found:
        return ""
    return (
        f".\n  {found[0]} may hold them, but it is a pickle, which can run code: it is not loaded. "
        "If you trust it, these lines make a table of it:\n"
        "    import json, numpy as np\n"
        "    from aelib.datasets.voc import CLASSES\n"
        f"    table = np.load({str(found[0])!r}, allow_pickle=True).item()\n"
        "    labels = {str(k): [c for c, there in zip(CLASSES, v) if there]"
        " for k, v in table.items()}\n"
        f"    json.dump(labels, open({str(devkit / 'image_labels.json')!r}, 'w'))"
    )


def _names(found: object, source: str) -> list[str]:
    if found is None:
        raise ValueError(f"{source} has no labels")
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise ValueError(f"{source}: {found!r} is no list of class names")
    return found


def _objects(file: Path) -> list[str]:
    """Names of the objects in a VOC annotation, without those of their parts (head, hand, foot)."""
    try:
        size = file.stat().st_size
        if size > 1_000_000:
            raise ValueError(f"{size:,} bytes are no annotation")
        tree = ElementTree.parse(file)  # fetches nothing; expat bounds what entities may grow to
    except FileNotFoundError:
        raise ValueError(f"{missing(file)}: without it the picture has no labels") from None
    except (OSError, SyntaxError, ValueError, LookupError) as error:
        raise ValueError(f"{file} cannot be read as XML ({error})") from error
    return [(thing.findtext("name") or "").strip() for thing in tree.getroot().findall("object")]
