"""Stages made by all processes that torchrun started.

They share trainings out (`distributed`); all else the first one makes while the others wait.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..directory import SETTINGS, read_settings
from ..distributed import first, wait
from ..run import Run
from .checkpoint import NAME
from .data import prepare
from .stage import find


class Follower(Run):
    """A run as the processes beside the first see it: what they make is thrown away."""

    def __init__(self, directory: Path, profile: str, **overrides: Any) -> None:
        super().__init__(directory, profile, **overrides)
        self.make = None  # the first takes over what other runs have

    @contextmanager
    def making(
        self, stage: str, reads: Sequence[str] = (), settings: Sequence[str] = ()
    ) -> Iterator[Path]:
        """A folder for a while, with the checkpoint that the first process goes on from."""
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) / f"{stage}.partial"
            folder.mkdir()
            checkpoint = self.directory / folder.name / NAME
            if checkpoint.exists():
                shutil.copy(checkpoint, folder)
            try:
                yield folder
            except FloatingPointError:
                raise SystemExit(2) from None  # the first says it


def make_together(directory: Path, name: str, profile: str | None = None, **overrides: Any) -> None:
    """Make a run's stage and all that it reads, in all joined processes.

    Args:
        directory: the run's; it is made where it is missing.
        profile: of a new run; None is "classroom".
        overrides: settings, as for `Run`.

    Raises:
        ValueError: there is no such stage; or as `Run` and the stages raise.
    """
    find(name)
    file = directory / SETTINGS
    if first():
        profile = profile or (read_settings(file).profile if file.exists() else "classroom")
        run = Run(directory, profile, **overrides)
        prepare(run)
    wait()
    if not first():
        run = Follower(directory, read_settings(file).profile, **overrides)
    _make(run, name)


def _make(run: Run, name: str) -> None:
    maker, of = find(name)
    for read in maker.reads(run.settings, *of):
        _make(run, read)
    training = "batch_size" in maker.settings
    if first():
        if not training:
            maker(run, *of)
        elif run.make and not run.finished(name):
            maker.share(run, *of)
    wait()  # then all see the same stages
    if training:
        maker(run, *of)
        wait()
