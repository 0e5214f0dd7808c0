"""The run directory: the interface between the stages.

    runs/NAME/settings.json         what the run was made with; another setting is refused
    runs/NAME/STAGE/                one folder a finished stage, with manifest.json: a hash of every file
    runs/NAME/STAGE.partial/        one that is being made; renamed when it is whole, so half-written work never looks finished
    runs/NAME/timings.jsonl         a line for each stage: seconds, peak memory; the only one of these that differs between equal runs
    runs/NAME/notebooks/, report/, results.json, manifest.json     what `python -m aelib run` leaves, the last one holding the hashes of it all

Masks are palette PNGs, weights and maps safetensors, numbers JSON. Nothing is pickled. Many may read a run, one process at a time makes stages.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from . import manifest
from . import settings as settings_module
from .files import picture, read_json, sha256, write_json, write_whole
from .locking import LockedError, locked
from .photos import Lazy
from .settings import Settings

ROOT = Path(__file__).resolve().parent.parent  # relative run directories of notebooks start here, wherever Jupyter was started
NOTEBOOKS = ROOT / "notebooks"


class RunError(RuntimeError):
    """A run directory cannot be used as asked; the message names the file and the cure."""


class Run:
    """One run directory and the settings it was made with.

    Args:
        directory: created when missing. A relative one counts from the project's root.
        profile: a name in settings.PROFILES.
        overrides: settings that differ from the profile's; None is the same as not given.

    Raises:
        ValueError: a setting is wrong.
        RunError: the directory was made with other settings, is no run directory, or cannot be written.
    """

    def __init__(self, directory: str | Path = "", profile: str = "classroom", **overrides: Any) -> None:
        wanted = settings_module.make(profile, **overrides)
        self.directory = ROOT / (directory or f"runs/{profile}")
        file = self.directory / "settings.json"
        try:
            if file.exists():
                self.settings = _read_settings(file)
                _refuse_other(self, wanted, profile, overrides)
                return
            if self.directory.exists() and (not self.directory.is_dir() or {f.name for f in self.directory.iterdir()} - {".settings.json.tmp"}):
                raise RunError(f"{self.directory} is not empty and has no settings.json, so it is no run directory; choose another one")
            self.settings = wanted
            self.directory.mkdir(parents=True, exist_ok=True)
            write_json(file, wanted.to_json())
        except OSError as error:
            raise RunError(f"the run directory {self.directory} cannot be written: {error.strerror}; choose another one") from error

    # --- finished stages -------------------------------------------------------------------------------------------------

    def finished(self, stage: str) -> bool:
        """Whether the stage's folder is there, whole, and made from the stages that are there now.

        Raises:
            RunError: its manifest is damaged, or of another run.
        """
        return (self.directory / stage / manifest.NAME).exists() and not manifest.changed(self.directory, self._manifest(stage))

    def file(self, stage: str, name: str) -> Path:
        """A file of a finished stage, checked against the manifest's hash.

        Raises:
            RunError: the stage is not finished, or the file is missing or was changed.
        """
        return self._checked(stage, name, self._hashes(stage))

    def _manifest(self, stage: str) -> dict[str, Any]:
        folder = self.directory / stage
        try:
            content = manifest.read(folder)
        except ValueError as error:
            raise RunError(f"{error}; {_cure(folder)}") from error
        if (content["stage"], content["settings"]) != (stage, self.settings.to_json()):
            raise RunError(f"{folder / manifest.NAME} belongs to another run or stage; {_cure(folder)}")
        return content

    def _hashes(self, stage: str) -> dict[str, str]:
        folder = self.directory / stage
        if not (folder / manifest.NAME).exists():
            raise RunError(f"{folder} is needed and not there: run the notebook that makes it, or `python -m aelib run`, first")
        content = self._manifest(stage)
        if changed := manifest.changed(self.directory, content):
            raise RunError(f"{folder} was made from {', '.join(changed)}, made anew since: run the notebook that makes it, or `python -m aelib run`")
        return content["files"]

    def _checked(self, stage: str, name: str, known: dict[str, str]) -> Path:
        folder = self.directory / stage
        cure = _cure(folder)
        if name not in known:
            raise RunError(f"{folder} holds no {name}; {cure}")
        try:
            intact = sha256(folder / name) == known[name]
        except OSError as error:
            raise RunError(f"{folder / name} cannot be read: {error.strerror}; {cure}") from error
        if not intact:
            raise RunError(f"{folder / name} is not what the stage wrote (truncated or changed); {cure}")
        return folder / name

    def json(self, stage: str, name: str) -> Any:
        """Content of a JSON file of a finished stage."""
        try:
            return read_json(self.file(stage, name))
        except ValueError as error:
            raise RunError(f"{error}; {_cure(self.directory / stage)}") from error

    def tensors(self, stage: str, name: str) -> dict[str, torch.Tensor]:
        """Content of a safetensors file of a finished stage."""
        try:
            return load_file(self.file(stage, name))
        except SafetensorError as error:
            raise RunError(f"{self.directory / stage / name} cannot be read: {error}") from error

    def images(self, stage: str, ids: tuple[str, ...]) -> Lazy:
        """The PNGs ID.png of a finished stage as stored: label maps, or saliency in 0..255; each (H, W) uint8.

        All are checked against the manifest now, and decoded on access.
        """
        known = self._hashes(stage)  # read once, not once a picture
        return Lazy(_pixels, [self._checked(stage, f"{name}.png", known) for name in ids])

    # --- making a stage --------------------------------------------------------------------------------------------------

    @contextmanager
    def making(self, stage: str, reads: Sequence[str] = ()) -> Iterator[Path]:
        """A folder to write the stage's files into; on a normal exit it becomes the finished stage.

        After a kill the folder is still there, and the next call finds its checkpoint: names that start with a dot are kept
        until the stage is finished, and dropped then.

        Args:
            stage: the folder's name.
            reads: the stages it is made from.

        Raises:
            RunError: another process is making a stage of this run, settings.json is no longer what it was, NaN turned up, or the
                folder cannot be written; finished stages stay as they are.
        """
        final, folder = self.directory / stage, self.directory / f"{stage}.partial"
        with hold(self.directory, "stage", stage):
            if _read_settings(self.directory / "settings.json") != self.settings:
                raise RunError(f"{self.directory / 'settings.json'} has changed since this run was opened: restart the notebook's kernel")
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
            manifest.write(folder, stage, self.settings.to_json(), sources, (f.name for f in folder.glob("[!.]*")))
            if final.exists():
                shutil.rmtree(final)
            os.replace(folder, final)
            for file in final.glob(".*"):  # not before: a kill would cost the whole training
                file.unlink()
            seconds = time.perf_counter() - start
            line = json.dumps({"name": stage, "seconds": round(seconds, 2), "peak_memory_mb": peak_memory_mb()})
            log = self.directory / "timings.jsonl"
            torn = log.exists() and not log.read_bytes().endswith(b"\n")  # a kill can leave half a line
            with open(log, "a") as file:
                file.write(("\n" if torn else "") + line + "\n")
            print(f"{stage}: {seconds:.1f} s", flush=True)

    def warn(self, stage: str, warnings: list[str]) -> list[str]:
        """Print a stage's warnings, and give them as they go into its log.json and into results.json."""
        for text in warnings:
            print(f"WARNING {stage}: {text}", flush=True)
        return warnings

    def warnings(self) -> list[str]:
        """The warnings of all finished stages, as "STAGE: TEXT", by name of the stage."""
        stages = [folder.name for folder in stage_folders(self.directory)]
        logs = {stage: self.json(stage, "log.json") for stage in stages if "log.json" in self._hashes(stage)}
        return [f"{stage}: {text}" for stage, log in logs.items() for text in log.get("warnings", [])]

    def seal(self) -> None:
        """Write the run's own manifest: hashes of all stages, and of every file beside them that `python -m aelib run` leaves."""
        stages = [folder.name for folder in stage_folders(self.directory)]
        names = [file.relative_to(self.directory).as_posix() for file in loose_files(self.directory)]
        manifest.write(self.directory, "", self.settings.to_json(), manifest.hashes(self.directory, stages), names)

    def unseal(self) -> None:
        """Remove the run's own manifest: what it says is about to change."""
        (self.directory / manifest.NAME).unlink(missing_ok=True)

    def timings(self) -> list[dict[str, Any]]:
        """Seconds and peak memory of each stage, in the order they were made; of a stage made twice, the last."""
        file = self.directory / "timings.jsonl"
        lines = {}
        for text in file.read_bytes().splitlines() if file.exists() else []:
            try:
                line = json.loads(text)
                lines[line["name"]] = {name: line[name] for name in ("name", "seconds", "peak_memory_mb")}
            except (ValueError, TypeError, KeyError, RecursionError):  # the half line
                continue
        return list(lines.values())


def opened(directory: Path) -> Run:
    """A run that is there, whatever it was made with. Raises RunError if it is none."""
    if not (directory / "settings.json").exists():
        raise RunError(f"{directory} is no run directory: it holds no settings.json; `python -m aelib run --out {directory}` makes one")
    return Run(directory, _read_settings(directory / "settings.json").profile)


@contextmanager
def hold(directory: Path, kind: str, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold one of a run's locks: "stage" to change its stages, "course" to go through the notebooks. Reading needs none.

    Args:
        directory: the run's.
        kind: the lock's name.
        what: what it is held for; whoever is refused reads it.
        wait: seconds to wait for another holder.

    Raises:
        RunError: somebody else holds it, or a file cannot be read or written meanwhile.
    """
    try:
        with locked(directory / f".{kind}.lock", what, wait):
            yield
    except LockedError as holder:
        cure = "wait until it is done, or end that process; the same command then goes on from there"
        raise RunError(f"{directory} is in use by {holder}: {cure}") from None
    except OSError as error:
        kept = "what is finished, and a training up to its last epoch, is kept; the same command goes on from there"
        raise RunError(f"{what} stopped: {error} (run directory {directory}); {kept}") from error


def stage_folders(directory: Path) -> list[Path]:
    """The folders of a run's finished stages, by name."""
    return sorted(file.parent for file in directory.glob(f"*/{manifest.NAME}") if not file.parent.name.endswith(".partial"))


def loose_files(directory: Path) -> list[Path]:
    """The files of a run that belong to no stage, in order, as far as they are there; without its own manifest."""
    names = ("settings.json", "timings.jsonl", "results.json", "notebooks/*", "report/*")
    return sorted(file for name in names for file in directory.glob(name) if file.is_file())


def save_tensors(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Safetensors; memory formats are not kept."""
    write_whole(file, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def palette(count: int = 256) -> list[int]:
    """VOC's colour map: RGB triples in a row, 3 * count numbers. Label i's bits, dealt to the high bits of R, G and B."""
    colours = []
    for label in range(count):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        colours += rgb
    return colours


def save_mask(file: Path, mask: np.ndarray) -> None:
    """A label map, (H, W) uint8, as a palette PNG in VOC's colours."""
    image = Image.fromarray(mask)
    image.putpalette(palette())
    image.save(file)


def peak_memory_mb() -> int:
    """Most memory this process has held so far, in MB (10^6 bytes); 0 where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6)


def _pixels(file: Path) -> np.ndarray:
    try:
        with picture(file, "PNG") as image:
            return np.array(image)
    except ValueError as error:
        raise RunError(f"{error}; {_cure(file.parent)}") from error


def _cure(folder: Path) -> str:
    return f"delete the folder {folder}, or all that is damaged by `python -m aelib verify --repair RUN`, and run the notebook that makes it again"


def _read_settings(file: Path) -> Settings:
    cure = f"choose another run directory, or delete {file.parent}"
    try:
        content = read_json(file)
    except ValueError as error:
        raise RunError(f"{error}; {cure}") from error
    try:
        settings = settings_module.make(content.pop("profile"), **content)
        if missing := settings.to_json().keys() - content - {"profile"}:
            raise ValueError(f"missing: {', '.join(sorted(missing))}")
        return settings
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file} does not hold settings of this version of aelib ({error}); {cure}") from error


def _refuse_other(run: Run, wanted: Settings, profile: str, overrides: dict[str, Any]) -> None:
    """What was asked for explicitly must be what the run was made with."""
    asked = {"profile": profile} | {name: getattr(wanted, name) for name, value in overrides.items() if value is not None}
    made = run.settings.to_json()
    other = [f"{name} = {made[name]!r}, not {value!r}" for name, value in asked.items() if made[name] != value]
    if other:
        raise RunError(f"{run.directory} was made with {'; '.join(other)}: choose another run directory, or delete this one")
