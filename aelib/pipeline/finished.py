"""What is finished in a run directory, checked against the manifests whenever it is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..datasets.base import Lazy
from ..support.files import picture, read_json
from . import manifest
from .directory import RunError, cure, read_times, stage_folders
from .settings import Settings


class FinishedStages:
    """The finished stages of one run directory: `Run` adds how stages are made.

    Attributes:
        make: make(run, stage) of a derived run: a stage is made when it is first read. None in
            others: there a stage that is missing is an error.
    """

    directory: Path
    settings: Settings
    make: Callable[[Any, str], None] | None = None

    def finished(self, stage: str) -> bool:
        """Whether the stage's folder is there, whole, and made from the stages that are there now.

        Raises:
            RunError: its manifest is damaged, of another run, or of another version of aelib.
        """
        if not (self.directory / stage / manifest.NAME).exists():
            return False
        return not manifest.changed(self.directory, self._manifest(stage))

    def files(self, stage: str) -> dict[str, str]:
        """The files of a finished stage: name -> hash. They are not looked at; `file` does that.

        Raises:
            RunError: it is not finished, or was made from a stage that is another one now; a
                derived run makes it instead.
        """
        if self.make and not self.finished(stage):
            self.make(self, stage)
        folder = self.directory / stage
        maker = "run the notebook that makes it, or `python -m aelib run`"
        if not (folder / manifest.NAME).exists():
            raise RunError(f"{folder} is needed and not there: {maker}, first")
        content = self._manifest(stage)
        changed = ", ".join(manifest.changed(self.directory, content))
        if changed:
            raise RunError(f"{folder} was made from {changed}, made anew since: {maker}")
        return content["files"]

    def file(self, stage: str, name: str) -> Path:
        """A file of a finished stage, checked against the manifest's hash.

        Raises:
            RunError: the stage is not finished, or the file is missing or was changed.
        """
        return self._checked(stage, name, self.files(stage))

    def _manifest(self, stage: str) -> dict[str, Any]:
        try:
            return manifest.read_belonging(self.directory, stage, self.settings.to_json())
        except manifest.FormatError as error:
            instead = f"choose another run directory, or delete {self.directory}"
            raise RunError(f"{error}: {instead}") from error
        except ValueError as error:
            raise RunError(f"{error}; {cure(self.directory / stage)}") from error

    def _checked(self, stage: str, name: str, files: dict[str, str]) -> Path:
        folder = self.directory / stage
        fault = manifest.fault(folder, name, files)
        if fault == manifest.STRANGE:
            raise RunError(f"{folder} holds no {name}; {cure(folder)}")
        if fault:
            raise RunError(f"{folder / name} {fault}; {cure(folder)}")
        return folder / name

    def json(self, stage: str, name: str) -> Any:
        """Content of a JSON file of a finished stage."""
        try:
            return read_json(self.file(stage, name))
        except ValueError as error:
            raise RunError(f"{error}; {cure(self.directory / stage)}") from error

    def tensors(self, stage: str, name: str) -> dict[str, torch.Tensor]:
        """Content of a safetensors file of a finished stage."""
        try:
            return load_file(self.file(stage, name))
        except SafetensorError as error:
            file = self.directory / stage / name
            raise RunError(f"{file} cannot be read: {error}") from error

    def images(self, stage: str, ids: tuple[str, ...]) -> Lazy:
        """The PNGs ID.png of a finished stage as stored: label maps, or saliency in 0..255.

        Returns:
            (H, W) uint8 each. All files are checked now, and decoded on access.
        """
        files = self.files(stage)  # read once, not once a picture
        return Lazy(_pixels, [self._checked(stage, f"{name}.png", files) for name in ids])

    def warnings(self) -> list[str]:
        """The warnings of all finished stages, as "STAGE: TEXT", by name of the stage."""
        found = []
        for folder in stage_folders(self.directory):
            stage = folder.name
            if "log.json" in self.files(stage):
                texts = self.json(stage, "log.json").get("warnings", [])
                found += [f"{stage}: {text}" for text in texts]
        return found

    def timings(self) -> list[dict[str, Any]]:
        """Seconds and peak memory of each stage, in the order they were first made."""
        return read_times(self.directory)


def _pixels(file: Path) -> np.ndarray:
    try:
        with picture(file, "PNG") as image:
            return np.array(image)
    except ValueError as error:
        raise RunError(f"{error}; {cure(file.parent)}") from error
