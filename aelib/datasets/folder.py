"""Your own pictures: photographs, a table that says what is in each, and masks if there are any.

    ROOT/images/FILE   photographs (photos.FORMATS)
         labels.csv    file,labels[,split]    cat1.jpg,cat;sofa,train
                       labels may be empty: the picture shows none of the classes
         classes.txt   optional: the classes in order, one a line; without it the table's, sorted
         masks/ID.png  optional: label maps; ID is FILE without its suffix;
                       0 background, k the k-th class, 255 not counted

Without the column `split` a share of the pictures, chosen by the seed, is val.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..support.files import refuse
from .base import Pictures, Truth, no_truth, photo_pictures, photo_truth
from .folder_table import SPLITS, Listing, read_listing, unknown_split
from .found import missing
from .looks import look_at_all
from .selection import ALL, Item, choose, kept, kept_at_all
from .summary import Split, Summary
from .suspicions import impossible
from .unused import Unused, unused

VAL_SHARE = 0.2


class Folder:
    """A data set (see `base.DataSet`).

    A split without any mask is all void. One with masks for some of its pictures is an error: a
    score over some would pass for one over all.

    Args:
        root: the folder above.
        limits: split -> so many random pictures, if there are more; 0 takes all.
        classes: names of the classes to keep (none: all), in the data set's order; pictures that
            show none of them are left out, but for those that show nothing at all.
        seed: of that choice, and of the split where the table has none; neither depends on the
            table's order.
        longest: photographs with a longer side are reduced to it, pixels; 0 never.
        val_share: share of the pictures that is val where the table has no column `split`;
            between 0 and 1. At least one picture is in each split.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        *,
        limits: Mapping[str, int] = ALL,
        classes: Sequence[str] = (),
        seed: int = 0,
        longest: int = 0,
        val_share: float = VAL_SHARE,
    ) -> None:
        if not 0 < val_share < 1:
            raise ValueError(f"val_share: {val_share} is not between 0 and 1")
        self.root = Path(root)
        self.limits = {split: limits.get(split, 0) for split in SPLITS}
        self.asked = classes
        self.seed = seed
        self.longest = longest
        self.val_share = val_share
        self._listing: Listing | None = None  # read when first asked for

    @property
    def classes(self) -> tuple[str, ...]:
        return kept(self.asked, self._listed().classes)

    @property
    def has_truth(self) -> bool:
        return all(self._masked(split) for split in SPLITS)

    def pictures(self, split: str) -> Pictures:
        return photo_pictures(self._chosen(split), self.classes, self.longest)

    def truth(self, split: str) -> Truth:
        if not self._masked(split):
            return no_truth(self.pictures(split))
        known = self._listed().classes
        return photo_truth(self._chosen(split), self.classes, known, self.longest)

    def check(
        self, workers: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> Summary:
        """See `base.DataSet.check`; photos and masks are only decoded of what is chosen.

        Raises:
            ValueError: a table that is missing, empty, without header or with an unknown column; a
                file that is listed twice, is no plain file name, or is missing; no labels at all; a
                class that is unknown, written in two ways or made of several; an unknown split; a
                damaged photo or mask; a mask that is no label map, has another size than its photo
                or labels outside 0..C and 255; masks for some pictures of a split only, or masks
                that hold nothing but 0 and 255. All in one message.
        """
        self._listing = read_listing(self.root, self.seed, self.val_share)
        known, table, problems = self._listing
        problems = [*problems]
        chosen = {}
        classes = known
        if not problems:
            classes, problems = kept_at_all(self.asked, known)
            for split, limit in self.limits.items():
                try:
                    chosen[split] = choose(table[split], classes, limit, self.seed)
                except ValueError as error:
                    problems.append(f"{split}: {error}")
        else:  # whatever can be read is looked at all the same
            chosen = {split: tuple(table[split]) for split in SPLITS}
        jobs = []
        for items in chosen.values():
            without = _unmasked(items)
            problems += without if len(without) < len(items) else []
            for item in items:
                jobs.append((item.photo, item.mask if item.mask.exists() else None, len(known)))
        seen = iter(look_at_all(jobs, workers, progress))
        splits = {}
        for split, items in chosen.items():
            looks = [next(seen) for _ in items]
            splits[split] = Split(split, table[split], items, looks)
            problems += [problem for look in looks for problem in look.problems]
            problems += impossible(items, looks, known)
        problems = [*dict.fromkeys(problems)]  # both lists may say the same of the folder of masks
        refuse(f"problem(s) with the data in {self.root}", problems)
        counts = {split: len(items) for split, items in chosen.items()}
        return Summary(counts, classes, known, splits, self._unused())

    def _unused(self) -> list[Unused]:
        items = [item for split in SPLITS for item in self._listed().table[split]]
        photos = {item.photo.name for item in items}
        masks = {item.mask.name for item in items}
        return [
            *unused(self.root, {"images", "masks", "labels.csv", "classes.txt"}),
            *unused(self.root / "images", photos),
            *unused(self.root / "masks", masks),
        ]

    def _listed(self) -> Listing:
        """The table and classes.txt, read once. Raises ValueError for all that is wrong."""
        if self._listing is None:
            self._listing = read_listing(self.root, self.seed, self.val_share)
        refuse(f"problem(s) with the data in {self.root}", self._listing.problems)
        return self._listing

    def _chosen(self, split: str) -> tuple[Item, ...]:
        classes = self.classes
        table = self._listed().table
        if split not in SPLITS:
            raise ValueError(f"split: {unknown_split(split)}")
        return choose(table[split], classes, self.limits[split], self.seed)

    def _masked(self, split: str) -> bool:
        """Whether the pictures have masks. Raises ValueError if only some have."""
        items = self._chosen(split)
        without = _unmasked(items)
        if len(without) == len(items):
            return False
        refuse(f"masks of {split} are missing", without)
        return True


def _unmasked(items: Sequence[Item]) -> list[str]:
    rule = "though other pictures of its split have masks"
    return [f"{missing(item.mask)}, {rule}" for item in items if not item.mask.exists()]
