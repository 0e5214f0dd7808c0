"""@stage: beside each stage's function, its folder's name, what it reads and which settings.

    @stage("pseudo-masks-{step}", reads=lambda settings, step: [...], settings=("classes", ...))
    def make_pseudo_masks(run, made, step):
        ...write files into the folder `made`...

    make_pseudo_masks(run, 3)  # makes runs/NAME/pseudo-masks-3; returns at once if it is finished

What a stage reads and its settings decide when it is out of date (`Run.finished`), and which run
with other settings can share it (`sharing`): neither depends on anything else.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ...support.errors import InputError
from .. import manifest, sharing
from ..run import Run
from ..settings import Settings
from . import inputs

_FORMS = {"step": r"(\d+)", "name": r"(.+)"}  # what may stand for a mark at a pattern's end
_CHECKS = ("data", "data-val")  # made before all others: they check the inputs
_ALL: list["Stage"] = []


class Stage:
    """A stage: call it as stage(run), or as stage(run, step) where its folder's name has a mark.

    Attributes:
        pattern: the folder's name; {step} (a number) or {name} (a text) may end it.
        prefix: the pattern up to that mark.
        settings: names of all settings that the stage always reads itself, not those of the stages
            that it reads, and not those that change no number; `settings_read` has the others, too.
    """

    def __init__(
        self,
        pattern: str,
        reads: Callable[..., list[str]],
        settings: Sequence[str],
        also: Callable[..., Sequence[str]],
        function: Callable[..., None],
    ) -> None:
        self.pattern = pattern
        self.settings = tuple(dict.fromkeys(settings))
        self._also = also
        self._reads = reads
        self._function = function
        self.prefix, _, mark = pattern.removesuffix("}").partition("{")
        self._form = re.escape(self.prefix) + _FORMS.get(mark, "")
        self.__doc__ = function.__doc__

    def __call__(self, run: Run, *of: Any) -> None:
        """Make the stage, unless it is finished; the checks of all inputs come first.

        A derived run takes it over from another run where one has it.
        """
        name = self.name(*of)
        if run.finished(name):
            return
        reads = self.reads(run.settings, *of)
        if name not in _CHECKS:
            for check in _CHECKS:
                find(check)[0](run)  # now: the run's lock is held while a stage is made
        for read in reads:
            if not run.finished(read):
                run.files(read)  # raises: says what is missing, or out of date
        if run.make and self.share(run, *of):
            return
        if name not in _CHECKS:
            inputs.compare(run, "val" if "data-val" in reads else "train")
        try:
            with run.making(name, reads, self.settings_read(run.settings, *of)) as made:
                self._function(run, made, *of)
        except InputError:
            run.forget()
            raise

    def share(self, run: Run, *of: Any) -> bool:
        """Take the stage over from a run of the same origin; False if none has it."""
        reads = self.reads(run.settings, *of)
        if not all(run.finished(read) for read in reads):
            return False
        values = run.settings.to_json()
        settings = {name: values[name] for name in self.settings_read(run.settings, *of)}
        hashes = manifest.hashes(run.directory, reads)
        return sharing.share(run.directory, self.name(*of), settings, hashes)

    def name(self, *of: Any) -> str:
        """The folder's name, of this step or name."""
        return self.prefix + "".join(str(part) for part in of)

    def settings_read(self, settings: Settings, *of: Any) -> tuple[str, ...]:
        """Names of all settings that the stage reads when they have these values."""
        return tuple(dict.fromkeys((*self.settings, *self._also(settings, *of))))

    def reads(self, settings: Settings, *of: Any) -> list[str]:
        """The stages that it reads. With photographs all read `data`, which says what they were."""
        names = self._reads(settings, *of)
        if self.pattern in _CHECKS or not inputs.of_photographs(settings):
            return names
        return ["data", *(name for name in names if name != "data")]

    def of(self, name: str) -> tuple[Any, ...] | None:
        """What makes `name` the stage's name: (), (step,) or (name,); None if nothing does."""
        found = re.fullmatch(self._form, name)
        if not found:
            return None
        number = self.pattern.endswith("{step}")
        return tuple(int(text) if number else text for text in found.groups())


def stage(
    pattern: str,
    reads: Callable[..., list[str]] = lambda settings, *of: [],
    settings: Sequence[str] = (),
    also: Callable[..., Sequence[str]] = lambda settings, *of: (),
) -> Callable[[Callable[..., None]], Stage]:
    """Turns function(run, made, ...) into a `Stage`.

    Args:
        pattern: its folder's name, see `Stage`.
        reads: reads(settings, ...) -> names of the stages it reads.
        settings: names of the settings it reads.
        also: also(settings, ...) -> names of those that it reads only in some steps, or where
            another setting asks for it: it is shared across their values where none does.
    """

    def declare(function: Callable[..., None]) -> Stage:
        declared = Stage(pattern, reads, settings, also, function)
        _ALL.append(declared)
        return declared

    return declare


def find(name: str) -> tuple[Stage, tuple[Any, ...]]:
    """The stage that makes a folder of this name, and what it is called with after the run.

    Raises:
        ValueError: none does.
    """
    fitting = [one for one in _ALL if one.of(name) is not None]
    if not fitting:
        raise ValueError(f"no stage makes a folder {name!r}")
    # scores-mined-2: the stage of scores-mined-{step}, not that of scores-{name}
    closest = max(fitting, key=lambda one: len(one.prefix))
    return closest, closest.of(name)


def make(run: Run, name: str) -> None:
    """Make the stage of this name, and before it all that it reads.

    Raises:
        ValueError: there is no such stage.
    """
    maker, of = find(name)
    if run.finished(name):
        return
    for read in maker.reads(run.settings, *of):
        make(run, read)
    maker(run, *of)
