"""The run directory: the interface between the stages.

    runs/NAME/settings.json      what the run was made with; another setting is refused, but for
                                 those that change no number
    runs/NAME/STAGE/             a finished stage, with manifest.json: a hash of every file
    runs/NAME/STAGE.partial/     one in the making, renamed when it is whole: half-written work
                                 never looks finished
    runs/NAME/timings.jsonl      a line a stage: seconds, peak memory; equal runs differ only here
    runs/NAME/origin.json        in a derived run: which run it shares with (`derived`)
    runs/NAME/notebooks/, report/, results.json, manifest.json
                                 from `python -m aelib run`; the last has the hashes of it all

Masks are palette PNGs, weights and maps safetensors, numbers JSON. Nothing is pickled. Many
processes may read a run; one at a time makes stages.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ..support.files import ROOT, write_whole
from . import manifest
from .directory import (
    ORIGIN,
    SETTINGS,
    RunError,
    begin,
    empty,
    forget,
    hold,
    loose_files,
    note_time,
    peak_memory_mb,
    read_settings,
    refuse_strange,
    runs_folder,
    stage_folders,
)
from .finished import FinishedStages
from .settings import NUMBER_FREE, Settings, make

__all__ = [
    "NOTEBOOKS",
    "Run",
    "RunError",
    "hold",
    "loose_files",
    "opened",
    "peak_memory_mb",
    "save_tensors",
    "stage_folders",
]

NOTEBOOKS = ROOT / "notebooks"
#: What torch says where the loaders find no shared memory for their pictures.
_NO_MEMORY = re.compile(r"DataLoader worker \(pid|</torch_|shared memory")
_LOADERS = (
    "loaders share memory in /dev/shm, and Docker gives it 64 MB: set loaders to 0 (-p loaders 0), "
    "or give it more (docker run --shm-size=2g); what is finished, and a training up to its last "
    "epoch, is kept"
)


class Run(FinishedStages):
    """One run directory and the settings it was made with.

    Args:
        directory: created when missing. A relative one counts from the project's root; none is
            PROFILE in the folder of runs.
        profile: a name in profiles.PROFILES.
        overrides: settings that differ from the profile's; None is the same as not given.

    Attributes:
        directory: Path.
        settings: Settings, those in settings.json; of those that change no number (NUMBER_FREE)
            what was asked for.
        inputs: the data set, kept open by stages.inputs from its first use on.
        held: whether the process that started this one holds the run's lock, see `jobs`.

    Raises:
        ValueError: a setting is wrong.
        RunError: the directory was made with other settings, is no run directory, or cannot be
            written.
    """

    def __init__(
        self, directory: str | Path = "", profile: str = "classroom", **overrides: Any
    ) -> None:
        wanted = make(profile, **overrides)
        self.directory = ROOT / directory if directory else runs_folder() / profile
        self.inputs: Any = None
        self.held = False
        file = self.directory / SETTINGS
        try:
            if (self.directory / ORIGIN).exists():
                from .stages import make as make_stage  # here: the stages import this module

                self.make = make_stage
            if file.exists():
                asked = {name for name, value in overrides.items() if value is not None}
                made = read_settings(file)
                self.settings = _settled(made, wanted, {"profile", *asked}, self.directory)
                if self.settings.numbers() != made.numbers():
                    with hold(self.directory, "stage", "its settings"):
                        begin(self.directory, self.settings)
                return
            refuse_strange(self.directory)
            self.settings = wanted
            self.directory.mkdir(parents=True, exist_ok=True)
            begin(self.directory, wanted)
        except OSError as error:
            what = f"the run directory {self.directory} cannot be written: {error.strerror}"
            raise RunError(f"{what}; choose another one") from error

    @contextmanager
    def making(
        self, stage: str, reads: Sequence[str] = (), settings: Sequence[str] = ()
    ) -> Iterator[Path]:
        """A folder to write the stage's files into; on a normal exit it is the finished stage.

        After a kill the folder is still there, and the next call finds its checkpoint: files whose
        names start with a dot stay until the stage is finished.

        Args:
            stage: the folder's name.
            reads: the stages it is made from.
            settings: names of the settings that it reads.

        Raises:
            RunError: another process is making a stage of this run, settings.json has changed,
                NaN turned up, the loaders found no shared memory, or the folder cannot be written;
                finished stages stay as they are.
        """
        folder = self.directory / f"{stage}.partial"
        with hold(self.directory, "stage", stage, held=self.held):
            file = self.directory / SETTINGS
            if not file.exists() and empty(self.directory):  # forgotten: the inputs were refused
                begin(self.directory, self.settings)
            if read_settings(file).numbers() != self.settings.numbers():
                what = f"{file} has changed since this run was opened"
                raise RunError(f"{what}: restart the notebook's kernel")
            self.unseal()
            folder.mkdir(exist_ok=True)
            for file in folder.glob("[!.]*"):
                file.unlink()
            print(f"{stage} ...", flush=True)
            start = time.perf_counter()
            sources = manifest.hashes(self.directory, reads)
            try:
                yield folder
            except FloatingPointError as error:
                raise RunError(f"{stage} stopped: {error}") from error
            except (RuntimeError, OSError) as error:
                if not _NO_MEMORY.search(str(error)):
                    raise
                reason = str(error).strip().splitlines()[-1]  # above it: a loader's traceback
                raise RunError(f"{stage} stopped: {reason}; {_LOADERS}") from error
            names = [file.name for file in folder.glob("[!.]*")]
            values = self.settings.to_json()
            manifest.write(folder, stage, {name: values[name] for name in settings}, sources, names)
            self._put(folder, self.directory / stage)
            seconds = time.perf_counter() - start
            times = {"seconds": round(seconds, 2), "peak_memory_mb": peak_memory_mb()}
            note_time(self.directory, stage, times)
            print(f"{stage}: {seconds:.1f} s", flush=True)

    def _put(self, folder: Path, final: Path) -> None:
        """Make the whole folder the finished stage."""
        if final.exists():
            shutil.rmtree(final)
        os.replace(folder, final)
        for file in final.glob(".*"):  # not before: a kill would cost the whole training
            file.unlink()

    def warn(self, stage: str, warnings: list[str]) -> list[str]:
        """Print a stage's warnings, and return them for its log.json."""
        for text in warnings:
            print(f"WARNING {stage}: {text}", flush=True)
        return warnings

    def forget(self) -> None:
        """Its inputs were refused: if it made nothing yet, its settings bind nobody."""
        forget(self.directory)

    def seal(self) -> None:
        """Write the run's own manifest: hashes of all stages and of the files beside them."""
        stages = [folder.name for folder in stage_folders(self.directory)]
        loose = loose_files(self.directory)
        names = [file.relative_to(self.directory).as_posix() for file in loose]
        sources = manifest.hashes(self.directory, stages)
        settings = read_settings(self.directory / SETTINGS).to_json()
        manifest.write(self.directory, "", settings, sources, names)

    def unseal(self) -> None:
        """Remove the run's own manifest: what it says is about to change."""
        (self.directory / manifest.NAME).unlink(missing_ok=True)


def opened(directory: Path) -> Run:
    """A run that is there, whatever it was made with.

    Raises:
        RunError: there is none.
    """
    file = directory / SETTINGS
    if not file.exists():
        maker = f"`python -m aelib run --out {directory}` makes one"
        raise RunError(f"{directory} is no run directory: it holds no settings.json; {maker}")
    return Run(directory, read_settings(file).profile)


def save_tensors(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write safetensors; memory formats are not kept."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(file, save(plain))


def _settled(made: Settings, wanted: Settings, asked: set[str], directory: Path) -> Settings:
    """A run's settings, with those asked for that change no number; others must be as made.

    All but the profile hold where nothing was made yet.
    """
    made_with, values = made.to_json(), wanted.to_json()
    bound = {"profile"} if empty(directory) else values.keys() - {*NUMBER_FREE}
    free = {name: values[name] for name in values if name in asked - bound}
    names = [name for name in values if name in asked and name not in free]
    names = [name for name in names if made_with[name] != values[name]]
    if names:
        other = "; ".join(f"{name} = {made_with[name]!r}, not {values[name]!r}" for name in names)
        what = f"{directory} was made with {other}"
        raise RunError(f"{what}: choose another run directory, or delete this one")
    return make(**made_with | free)
