"""PASCAL VOC 2012, alone or with SBD's masks, and any subset of it in the devkit's layout.

    ROOT/VOCdevkit/VOC2012/
        JPEGImages/ID.jpg                 or another of found.PHOTO_SUFFIXES
        ImageSets/Segmentation/LIST.txt   one id a line, or as `lists.read_ids` says
        Annotations/ID.xml                image-level labels; without this folder: image_labels.json
        SegmentationClass/ID.png          VOC's own masks
        SegmentationClassAug/ID.png       SBD's as well

`voc_download` makes it. Source: Everingham et al., "The PASCAL Visual Object Classes Challenge",
IJCV 2010.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from ..support.files import refuse
from ..support.kinds import pruned
from .base import Pictures, Truth, photo_pictures, photo_truth
from .devkit import CLASSES, devkit_of, labels_of, listed
from .found import PHOTO_SUFFIXES, with_suffix
from .lists import read_ids
from .looks import look_at_all
from .selection import ALL, Item, choose, kept, kept_at_all
from .summary import Split, Summary
from .suspicions import impossible
from .unused import Unused, unused

#: What a devkit may hold besides what is read: VOC's own, and what is told by name elsewhere.
STANDARD = (
    *("JPEGImages", "ImageSets", "Annotations", "SegmentationClass", "SegmentationClassAug"),
    *("SegmentationObject", "image_labels.json", "cls_labels.npy"),
)
LISTS: Mapping[str, str] = MappingProxyType({"train": "train_aug", "val": "val"})


class VOC:
    """A data set (see `base.DataSet`).

    A class is in a picture if an object of it is annotated, even one marked difficult: these are
    the image-level labels of psa (AffinityNet) and of the methods built on it.

    A mask is VOC's own if there is one, for it has the void border; SBD's otherwise. Classes that
    are not kept are 255 in it (`selection.relabelling`).

    Args:
        root: the folder that holds VOCdevkit.
        lists: split -> its list in ImageSets/Segmentation, without ".txt".
        limits: split -> so many random pictures, if there are more; 0 takes all.
        classes: names of the classes to keep (none: all 20), in VOC's order; pictures that show
            none of them are left out, but for those that show nothing at all.
        seed: of the random choice, which does not depend on the order in the list, or on disk.
        longest: photographs with a longer side are reduced to it, pixels; 0 never.
    """

    has_truth = True

    def __init__(
        self,
        root: str | os.PathLike,
        *,
        lists: Mapping[str, str] = LISTS,
        limits: Mapping[str, int] = ALL,
        classes: Sequence[str] = (),
        seed: int = 0,
        longest: int = 0,
    ) -> None:
        self.root = Path(root)
        self.lists = dict(lists)
        self.limits = {split: limits.get(split, 0) for split in lists}
        self.asked = classes
        self.seed = seed
        self.longest = longest
        self._found: dict[str, tuple[list[Item], list[str]]] = {}  # by list: see _items

    @property
    def classes(self) -> tuple[str, ...]:
        return kept(self.asked, CLASSES)

    def pictures(self, split: str) -> Pictures:
        classes = self.classes
        return photo_pictures(self._chosen(split), classes, self.longest)

    def truth(self, split: str) -> Truth:
        classes = self.classes
        return photo_truth(self._chosen(split), classes, CLASSES, self.longest)

    def check(
        self, workers: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> Summary:
        """See `base.DataSet.check`; photos and masks are only decoded of what is chosen.

        Raises:
            ValueError: an id that is listed twice, in val and in another list, that is no plain
                file name, that has no labels, no photo or no mask; an empty list; an unknown
                class; a damaged photo or mask; a mask that is no label map, has another size than
                its photo or labels outside 0..20 and 255; masks of a list that hold nothing but 0
                and 255. All of them in one message.
        """
        self._found.clear()
        found = {split: self._items(name) for split, name in self.lists.items()}
        classes, problems = kept_at_all(self.asked, CLASSES)
        validation = {item.id for item in found["val"][0]} if "val" in found else set()
        chosen = {}
        for split, (items, wrong) in found.items():
            name = self.lists[split]
            problems += wrong
            try:
                chosen[split] = choose(items, classes, self.limits[split], self.seed)
            except ValueError as error:
                problems += [] if wrong else [f"{name}: {error}"]
            shared = {item.id for item in items} & validation if split != "val" else set()
            rule = "what is trained on cannot be scored on"
            both = f"{name} and in {self.lists.get('val')}"
            problems += [f"{image} is in {both}: {rule}" for image in sorted(shared)]
        everything = {item.id: item for items in chosen.values() for item in items}
        jobs = [(item.photo, item.mask, len(CLASSES)) for item in everything.values()]
        seen = dict(zip(everything, look_at_all(jobs, workers, progress), strict=True))
        problems += [problem for look in seen.values() for problem in look.problems]
        splits = {}
        for split, items in chosen.items():
            looks = [seen[item.id] for item in items]
            splits[split] = Split(self.lists[split], found[split][0], items, looks)
            problems += impossible(items, looks, CLASSES)
        problems = [*dict.fromkeys(problems)]  # lists share what is wrong with image_labels.json
        refuse(f"problem(s) with the data in {self.root}", problems)
        counts = {split.name: len(split.items) for split in splits.values()}
        return Summary(counts, classes, CLASSES, splits, _unused(devkit_of(self.root), found))

    def _chosen(self, split: str) -> tuple[Item, ...]:
        items, problems = self._items(self.lists[split])
        refuse(f"problem(s) with the lists and labels in {self.root}", problems)
        return choose(items, self.classes, self.limits[split], self.seed)

    def _items(self, name: str) -> tuple[list[Item], list[str]]:
        """A list's pictures, and all that is wrong with it and their labels; read once."""
        if name not in self._found:
            devkit = devkit_of(self.root)
            ids, problems = listed(devkit, name)
            labels, more = labels_of(devkit, ids)
            items = [_item(devkit, image, labels[image]) for image in ids if image in labels]
            self._found[name] = (items, problems + more)
        return self._found[name]


def splits(root: str | os.PathLike) -> tuple[str, ...]:
    """The lists that can be checked: train_aug or, without it, train; and val.

    Raises:
        ValueError: none of them is there.
    """
    lists = devkit_of(Path(root)) / "ImageSets" / "Segmentation"
    there = [name for name in ("train_aug", "train", "val") if (lists / f"{name}.txt").exists()]
    if not there:
        names = "none of train_aug.txt, train.txt and val.txt"
        raise ValueError(f"{lists} has {names}: lists of ids, one a line")
    return tuple(name for name in there if name != "train" or "train_aug" not in there)


def photos_of(root: str | os.PathLike, split: str) -> list[Path]:
    """The photographs of a list that needs no labels, such as the test split's.

    Raises:
        ValueError: all that is wrong with the list.
    """
    devkit = devkit_of(Path(root))
    ids, problems = listed(devkit, split)
    refuse(f"problem(s) with the list {split}", problems)
    return [_photo(devkit, name) for name in ids]


def _item(devkit: Path, name: str, labels: frozenset[str]) -> Item:
    vocs = with_suffix(devkit / "SegmentationClass", name, (".png",))
    mask = with_suffix(devkit / "SegmentationClassAug", name, (".png",))
    return Item(name, _photo(devkit, name), vocs if vocs.exists() else mask, labels)


def _photo(devkit: Path, name: str) -> Path:
    return with_suffix(devkit / "JPEGImages", name, PHOTO_SUFFIXES)


def _unused(devkit: Path, found: Mapping[str, tuple[list[Item], list[str]]]) -> list[Unused]:
    """What lies in the devkit and no list and no annotation names."""
    lists = devkit / "ImageSets" / "Segmentation"
    known = {item.id for items, _ in found.values() for item in items}
    known |= {name.removesuffix(".xml") for name in pruned(devkit / "Annotations")}
    for name in pruned(lists):
        with suppress(OSError, ValueError):
            known |= {*read_ids(lists / name)[0]}
    photos = {_photo(devkit, name).name for name in known}
    masks = {f"{name}{suffix}" for name in known for suffix in (".png", ".PNG")}
    folders = ("SegmentationClass", "SegmentationClassAug")
    return [
        *unused(devkit, STANDARD),
        *unused(devkit / "JPEGImages", photos),
        *(place for folder in folders for place in unused(devkit / folder, masks)),
    ]
