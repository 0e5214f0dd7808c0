"""What the board measures: a split's pictures, scored at any threshold; costly parts once."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache
from math import floor

import numpy as np

from ...crf import HAVE_LATTICE, refine_present
from ...datasets.base import Truth
from ...evaluation import confusion
from ...masks import IGNORE
from ...pipeline import stages
from ...pipeline.run import Run
from ...psl import allowed
from ...saliency import robust_background
from ..tallies import Tally, mean_iou, one_size, region_scores, share
from ..thresholds import Prohibited, RegionsAtDelta

NETWORK = "AE+PSL"
PURE = 0.997  # share of the pixels called background that must be background
CRF_NUMBERS = (
    *("gaussian_weight", "gaussian_sxy", "bilateral_weight", "bilateral_sxy", "bilateral_srgb"),
    "crf_iterations",
)
WORDS = {
    "delta": "IoU of the regions of step 1",
    "background_threshold": "the share of the background that is found",
    "prohibit_threshold": f"mIoU of {NETWORK} without the classes of lower v",
    "crf": f"mIoU of {NETWORK} after the CRF",
}
# values to try: every fiftieth and hundredth, and a few widths of colour
SWEEPS = {
    "delta": np.arange(1, 50) / 50,
    "background_threshold": np.arange(1, 101) / 100,
    "prohibit_threshold": np.arange(0, 101) / 100,
    "crf": np.array([3.0, 5.0, 8.0, 13.0, 20.0, 40.0]),
}


class Scores:
    """The first pictures of a split of a run, and what a number gives on them.

    Args:
        split: "train" or "val".
        count: how many pictures; saliency is computed for at most 60 of val, and the CRF answers
            for at most 40 (10 where only the slow exact one is there).
    """

    def __init__(self, run: Run, split: str, count: int = 200) -> None:
        self.run, self.split = run, split
        self._after_crf: dict[tuple, float] = {}  # mIoU by the numbers; a minute or so each
        pictures, truth = stages.pictures(run, split), stages.truth(run, split)
        self.count = min(count, len(pictures))
        self.classes = pictures.classes
        self.ids = pictures.ids[: self.count]
        self.images = pictures.images[: self.count]
        self.labels = pictures.labels[: self.count]
        masks, parts = truth.masks[: self.count], truth.parts[: self.count]
        self.truth = Truth(masks, parts, truth.part_names, truth.object_parts)

    def __call__(self, name: str, value: float | dict[str, float]) -> float:
        """Returns a score in [0, 1], or NaN where nothing can be scored.

        Args:
            name: a key of WORDS.
            value: a threshold; for "crf" the numbers that differ from the run's, by name.
        """
        measure: Callable[..., float] = getattr(self, f"_{name}")
        return measure(value)

    def best(self, name: str, numbers: dict[str, float] | None = None) -> tuple[float, float]:
        """Returns the value of SWEEPS that scores best, and its score.

        Args:
            numbers: for "crf", those that stay while bilateral_srgb is tried.
        """
        values = [float(value) for value in SWEEPS[name]]
        if name == "crf":
            scores = [self(name, {**(numbers or {}), "bilateral_srgb": value}) for value in values]
        else:
            scores = [self(name, value) for value in values]
        if np.isnan(scores).all():
            return float("nan"), float("nan")
        best = int(np.nanargmax(scores))
        return values[best], scores[best]

    def words(self, name: str, value: float | dict[str, float]) -> str:
        """Returns what the score is, as in WORDS; of a background that breaks the rule says so."""
        if name != "background_threshold" or self(name, value):
            return WORDS[name]
        right = floor(1e4 * np.nan_to_num(self._background_right(value))) / 100
        return f"rule broken: {right:.2f} % right"

    # --- delta ------------------------------------------------------------------------------------

    @cached_property
    def _regions_at(self) -> RegionsAtDelta:
        return RegionsAtDelta(list(stages.cams(self.run, self.images)), self.labels)

    @cached_property
    def _tally(self) -> Tally:
        return Tally(self.truth, self.classes)

    def _delta(self, delta: float) -> float:
        found = self._regions_at(delta, self.run.settings.delta_rule)
        return region_scores(self._tally(found))["IoU"]

    # --- the background threshold -----------------------------------------------------------------

    @cached_property
    def _unmined(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Saliency and truth (is it background?) of pixels that no class mined; all background."""
        saliency, mined = self._saliency_and_mined()
        masks = one_size(self.truth.masks[: len(saliency)], IGNORE)
        salient = one_size(saliency, 255) / 255
        free = ~one_size(mined, True) & (masks != IGNORE)
        return salient[free], masks[free] == 0, int((masks == 0).sum())

    def _saliency_and_mined(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """(H, W) uint8 and (H, W) bool each.

        The run mined training pictures only. On val the classifiers of the same steps look at
        whole pictures, and saliency is computed.
        """
        s = self.run.settings
        if self.split == "train":
            mined = stages.regions(self.run, s.object_steps)
            saliency = self.run.images("saliency", self.ids)
            return list(saliency), [mined[i].any(axis=0) for i in range(self.count)]
        images, labels = self.images[:60], self.labels[:60]
        mined = [np.zeros(image.shape[:2], bool) for image in images]
        for step in range(1, s.object_steps + 1):
            maps = stages.cams(self.run, images, step)
            for region, one, present in zip(mined, maps, labels, strict=True):
                region |= (one.numpy()[present] > s.delta).any(axis=0)
        found = (robust_background(image, s.superpixels) for image in images)
        return [np.uint8(255 * one) for one in found], mined

    def _background_threshold(self, threshold: float) -> float:
        salient, is_background, total = self._unmined
        found = is_background[salient < threshold].sum()
        return share(found, total) if self._background_right(threshold) >= PURE else 0.0

    def _background_right(self, threshold: float) -> float:
        """The share of the pixels called background that are; NaN if none is called so."""
        salient, is_background, _ = self._unmined
        called = is_background[salient < threshold]
        return share(called.sum(), called.size)

    # --- prohibition at test, and the CRF ---------------------------------------------------------

    @cached_property
    def _v(self) -> np.ndarray:
        return stages.confidences(self.run, self.images).numpy()

    @cached_property
    def _f(self) -> list[np.ndarray]:
        model = stages.network(self.run, NETWORK)
        return [f.numpy() for f in stages.probabilities(self.run, model, self.images)]

    @cached_property
    def _prohibited(self) -> Prohibited:
        return Prohibited(self._f, self._v, self.truth.masks)

    def _prohibit_threshold(self, threshold: float) -> float:
        matrix, _, _ = self._prohibited(threshold)
        return mean_iou(matrix)

    def _crf(self, numbers: dict[str, float]) -> float:
        key = tuple(sorted(numbers.items()))
        if key not in self._after_crf:
            self._after_crf[key] = self._refined(numbers)
        return self._after_crf[key]

    def _refined(self, numbers: dict[str, float]) -> float:
        s = self.run.settings
        crf = stages.crf_of(replace(s, **numbers))
        count = min(self.count, 40 if HAVE_LATTICE else 10)
        v = stages.confidences(self.run, self.images[:count])
        present = allowed(v, s.prohibit_threshold).numpy()
        matrix = np.zeros((len(self.classes) + 1,) * 2, np.int64)
        for i in range(count):
            q = refine_present(self.images[i], self._f[i], present[i], crf, s.crf_engine)
            matrix += confusion(self.truth.masks[i], q.argmax(axis=0), len(matrix))
        return mean_iou(matrix)


@lru_cache(maxsize=4)
def scores_of(run: Run, split: str, count: int = 200) -> Scores:
    """Returns the Scores; a sheet's board and its check have one, so nothing is scored twice."""
    return Scores(run, split, count)
