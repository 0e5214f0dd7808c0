"""The run directory: the interface between the stages.

    runs/NAME/settings.json         what the run was made with; another setting is refused
    runs/NAME/STAGE/                one folder a finished stage, with manifest.json: a hash of every file
    runs/NAME/STAGE.partial/        one that is being made; renamed when it is whole, so half-written work never looks finished
    runs/NAME/timings.jsonl         a line for each stage: seconds, peak memory; the only file that differs between equal runs

Masks are palette PNGs, weights and maps safetensors, numbers JSON. Nothing is pickled.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from . import settings as settings_module
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
            if self.directory.exists() and (not self.directory.is_dir() or {f.name for f in self.directory.iterdir()} - {"settings.json.tmp"}):
                raise RunError(f"{self.directory} is not empty and has no settings.json, so it is no run directory; choose another one")
            self.settings = wanted
            self.directory.mkdir(parents=True, exist_ok=True)
            write_json(file, wanted.to_json())
        except OSError as error:
            raise RunError(f"the run directory {self.directory} cannot be written: {error.strerror}; choose another one") from error

    # --- finished stages -------------------------------------------------------------------------------------------------

    def finished(self, stage: str) -> bool:
        """Whether the stage's folder is there, whole."""
        return (self.directory / stage / "manifest.json").exists()

    def file(self, stage: str, name: str) -> Path:
        """A file of a finished stage, checked against the manifest's hash.

        Raises:
            RunError: the stage is not finished, or the file is missing or was changed.
        """
        return self._checked(stage, name, self._hashes(stage))

    def _hashes(self, stage: str) -> dict[str, str]:
        folder = self.directory / stage
        if not self.finished(stage):
            raise RunError(f"{folder} is needed and not there: run the notebook that makes it, or `python -m aelib run`, first")
        cure = _cure(folder)
        manifest = _read_json(folder / "manifest.json", cure)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
            raise RunError(f"{folder / 'manifest.json'} is no manifest; {cure}")
        return manifest["files"]

    def _checked(self, stage: str, name: str, known: dict[str, str]) -> Path:
        folder = self.directory / stage
        cure = _cure(folder)
        if name not in known:
            raise RunError(f"{folder} holds no {name}; {cure}")
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise RunError(f"{folder / name} cannot be read: {error.strerror}; {cure}") from error
        if hashlib.sha256(content).hexdigest() != known[name]:
            raise RunError(f"{folder / name} is not what the stage wrote (truncated or changed); {cure}")
        return folder / name

    def json(self, stage: str, name: str) -> Any:
        """Content of a JSON file of a finished stage."""
        return json.loads(self.file(stage, name).read_text())

    def tensors(self, stage: str, name: str) -> dict[str, torch.Tensor]:
        """Content of a safetensors file of a finished stage."""
        try:
            return load_file(self.file(stage, name))
        except SafetensorError as error:
            raise RunError(f"{self.directory / stage / name} cannot be read: {error}") from error

    def images(self, stage: str, ids: tuple[str, ...]) -> list[np.ndarray]:
        """The PNGs ID.png of a finished stage as stored: label maps, or saliency in 0..255; each (H, W) uint8."""
        known = self._hashes(stage)  # read once, not once a picture
        return [np.array(Image.open(self._checked(stage, f"{name}.png", known))) for name in ids]

    # --- making a stage --------------------------------------------------------------------------------------------------

    @contextmanager
    def making(self, stage: str) -> Iterator[Path]:
        """A folder to write the stage's files into; on a normal exit it becomes the finished stage.

        After a kill the folder is still there, with whatever checkpoint was in it. Names that start with a dot are dropped at the end.
        """
        final, folder = self.directory / stage, self.directory / f"{stage}.partial"
        folder.mkdir(exist_ok=True)
        print(f"{stage} ...", flush=True)
        start = time.perf_counter()
        yield folder
        for file in folder.glob(".*"):
            file.unlink()
        hashes = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir()) if f.name != "manifest.json"}
        write_json(folder / "manifest.json", {"files": hashes})
        if final.exists():
            shutil.rmtree(final)
        os.replace(folder, final)
        seconds = time.perf_counter() - start
        line = json.dumps({"name": stage, "seconds": round(seconds, 2), "peak_memory_mb": peak_memory_mb()})
        log = self.directory / "timings.jsonl"
        torn = log.exists() and not log.read_text().endswith("\n")  # a kill can leave half a line
        with open(log, "a") as file:
            file.write(("\n" if torn else "") + line + "\n")
        print(f"{stage}: {seconds:.1f} s", flush=True)

    def timings(self) -> list[dict[str, Any]]:
        """Seconds and peak memory of each stage, in the order they were made; of a stage made twice, the last."""
        file = self.directory / "timings.jsonl"
        lines = {}
        for text in file.read_text().splitlines() if file.exists() else []:
            try:
                line = json.loads(text)
                lines[line["name"]] = line
            except ValueError:  # the half line
                continue
        return list(lines.values())


def write_json(file: Path, content: Any) -> None:
    """Write JSON so that the file is either the old one or the whole new one."""
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, file)


def save_tensors(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Safetensors; memory formats are not kept."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file)


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


def _cure(folder: Path) -> str:
    return f"delete the folder {folder} and run its notebook again"


def _read_json(file: Path, cure: str) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read ({error}); {cure}") from error


def _read_settings(file: Path) -> Settings:
    cure = f"choose another run directory, or delete {file.parent}"
    content = _read_json(file, cure)
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
