"""The board of the threshold exercises: play on training pictures, look at val only to hand in."""

import json
from typing import Any

from IPython.display import HTML, display

from ...pipeline.run import Run
from ...support.errors import InputError
from ...support.files import write_json
from ..widgets.skin import bars
from .say import one_number
from .scores import CRF_NUMBERS, WORDS, Scores, scores_of

COUNT = 200  # pictures of a split


class Board:
    """Scores a student's numbers: board.try_(delta=0.3), then board.hand_in(delta=0.3).

    The numbers are delta, background_threshold, prohibit_threshold, and those of the CRF:
    bilateral_srgb and the other CRF_NUMBERS. Any of them may be given together. Training pictures
    are scored against their masks, which the method itself never sees: this is for learning.
    """

    def __init__(self, run: Run, count: int = COUNT) -> None:
        self.run, self.count = run, count

    def try_(self, **numbers: float) -> None:
        """Show what the numbers score on training pictures."""
        self._show("train", "on training pictures", self.scores("train", **numbers), numbers)

    def hand_in(self, **numbers: float) -> None:
        """Score the numbers on val, count this look, and show how far the best found by sweep is.

        The sweep is over training pictures: val serves for the one number at the end. How often
        val was looked at is kept in the run's folder and in this cell's output.
        """
        val = self.scores("val", **numbers)  # first: a mistake costs no look
        looks = self._one_more()
        times = "once" if looks == 1 else f"{looks} times, all sheets together"
        self._show("val", f"on val, which was looked at {times}", val, numbers, looks)
        train = self.scores("train", **numbers)
        for name, score in train.items():
            crf = _crf(numbers)
            best, reached = self._of("train").best(name, crf)
            what = f"bilateral_srgb = {best:g}" if name == "crf" else f"{name} = {best:g}"
            behind = max(0.0, 100 * (reached - score))
            print(
                f"best of a sweep on training pictures: {what}, {100 * reached:.1f} %; "
                f"yours {100 * score:.1f} %, {behind:.1f} points behind"
            )

    def scores(self, split: str, **numbers: float) -> dict[str, float]:
        """Returns {name: score in [0, 1]}, the CRF's numbers together under "crf".

        Raises:
            InputError: a number is missing, unknown or out of its range.
        """
        if not numbers:
            raise InputError("give at least one number, such as delta=0.3")
        for name, value in numbers.items():
            if (name not in WORDS and name not in CRF_NUMBERS) or name == "crf":
                known = ", ".join([*(word for word in WORDS if word != "crf"), *CRF_NUMBERS])
                raise InputError(f"{name} is not on the board; there are {known}")
            try:
                one_number(name, value, 0, 1 if name in WORDS else 1000)
            except AssertionError as problem:
                raise InputError(str(problem)) from None
        split_scores = self._of(split)
        thresholds = [name for name in WORDS if name in numbers]
        found = {name: split_scores(name, float(numbers[name])) for name in thresholds}
        crf = _crf(numbers)
        return found | ({"crf": split_scores("crf", crf)} if crf else {})

    def _of(self, split: str) -> Scores:
        return scores_of(self.run, split, self.count)

    @property
    def looks(self) -> int:
        """How often val was looked at with this run."""
        try:
            return int(json.loads(self._file.read_text())["looks"])
        except (OSError, ValueError, KeyError, TypeError):
            return getattr(self, "_unwritten", 0)

    @property
    def _file(self):
        return self.run.directory / ".looks.json"  # a dot: it is no file of the run itself

    def _one_more(self) -> int:
        looks = self.looks + 1
        try:
            write_json(self._file, {"looks": looks})
        except OSError:  # a run that is shared and read-only: counted in this session alone
            self._unwritten = looks
        return looks

    def _show(
        self,
        split: str,
        where: str,
        scores: dict[str, float],
        numbers: dict[str, Any],
        looks: int = 0,
    ) -> None:
        rows = {}
        for name, score in scores.items():
            given = _crf(numbers) if name == "crf" else {name: numbers[name]}
            label = ", ".join(f"{key} = {float(value):g}" for key, value in given.items())
            value = given if name == "crf" else float(numbers[name])
            rows[label] = (score, self._of(split).words(name, value))
        lines = [_line(label, score, words) for label, (score, words) in rows.items()]
        text = "\n".join([f"{where}:", *lines])
        shown = _Table(bars(where, rows), text)
        display(shown, metadata={"aelib": {"looks": looks}} if looks else None)


class _Table(HTML):
    """A table in the browser, lines of text elsewhere."""

    def __init__(self, table: str, text: str) -> None:
        super().__init__(table)
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _line(label: str, score: float, words: str) -> str:
    """Returns "delta = 0.3: 61.2 %, IoU of ...", without a number if a rule is broken."""
    broken = words.startswith("rule broken")
    return f"{label}: {words}" if broken else f"{label}: {100 * score:.1f} %, {words}"


def _crf(numbers: dict[str, float]) -> dict[str, Any]:
    """Returns those of the numbers that are the CRF's, with whole iterations."""
    found = {name: float(value) for name, value in numbers.items() if name in CRF_NUMBERS}
    if "crf_iterations" in found:
        found["crf_iterations"] = int(found["crf_iterations"])
    return found
