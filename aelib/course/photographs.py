"""The networks that the course ships for photographs: packed once, opened as a run to look at.

data/photographs.tar.xz holds a slim run: classifiers and segmentation networks in half precision
and no photograph; data/photographs.json its hash, settings, versions and scores. Of layers that are
equal in all networks, as the frozen ones are, xz stores one copy.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from ..pipeline import manifest, results, stages
from ..pipeline.directory import SETTINGS, begin, note_time, read_settings, read_times
from ..pipeline.finished import FinishedStages
from ..pipeline.run import Run, RunError, save_tensors
from ..pipeline.settings import Settings, make
from ..support.files import ROOT, read_json, write_json, write_whole
from . import lesson

PACKED = ROOT / "data" / "photographs.tar.xz"
LARGEST = 30_000_000  # bytes of the packed networks
_NAMED = ("data_root", "weights", "saliency_maps")  # settings that may be paths


class ShippedRun(Run):
    """The shipped run: its networks answer for any picture, and nothing can be trained on it."""

    @property
    def inputs(self) -> Any:
        """The photographs it was trained on. Raises RunError: they are not shipped."""
        raise self._lacking("the photographs")

    @inputs.setter
    def inputs(self, value: Any) -> None:
        """Nothing is kept open."""

    def files(self, stage: str) -> dict[str, str]:
        """As `FinishedStages.files`; a stage that was not shipped cannot be made."""
        if not self.finished(stage):
            raise self._lacking(stage)
        return super().files(stage)

    def _lacking(self, what: str) -> RunError:
        return RunError(
            f"the shipped run {self.directory.name} lacks {what}: it holds networks, and nothing "
            "that they were trained on. `python -m aelib run --profile voc_lite` makes a whole run"
        )


def shipped() -> ShippedRun:
    """The shipped run, read-only; the first call unpacks it, into `photographs` beside other runs.

    Raises:
        RunError: as `lesson.unpack`, or a run of that name is there that is not the shipped one.
    """
    directory, about = lesson.unpack(PACKED), shipped_scores()
    if manifest.hashes(directory, about["stages"]) != about["stages"]:
        what = f"{directory} is not the run that this version ships (an older one, or your own)"
        raise RunError(f"{what}: rename it, or `python -m aelib runs rm {directory.name}`")
    return ShippedRun(directory, read_settings(directory / SETTINGS).profile)


def shipped_scores() -> dict[str, Any]:
    """Content of data/photographs.json: see `pack`.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return read_json(about_file(PACKED))
    except ValueError as error:
        raise RunError(f"{error}: fetch it again") from error


def scores(run: Run) -> dict[str, Any]:
    """The numbers of the networks that notebook 7 shows: see `follow.pictures`.

    Raises:
        RunError: of a run on photographs, results.json is not there yet.
    """
    if run.settings.dataset == "creatures":
        return shipped_scores()
    try:
        return read_json(run.directory / "results.json")
    except ValueError as error:
        raise RunError(f"{error}: notebook 6 writes it, run that first") from error


def about_file(packed: Path) -> Path:
    """The JSON file beside NAME.tar.xz."""
    return packed.with_name(packed.name.replace(".tar.xz", ".json"))


def networks(settings: Settings) -> list[str]:
    """The names of the segmentation networks that are shipped."""
    return [f"AE-step{settings.object_steps}", "AE+PSL", "AE+PSL++"]


def pack(directory: Path, packed: Path = PACKED) -> dict[str, Any]:
    """Pack the networks of a run on photographs, and write NAME.json beside them.

    Args:
        directory: a run with classifiers, the `networks`, and their scores. Settings that are newer
            than it get their defaults.
        packed: the file to write.

    Returns:
        The JSON file's content: {"sha256", "settings", "stages": {name: hash over its files},
        "versions", "machine", "rows": as in results.json}.

    Raises:
        RunError: a stage is missing or damaged, or the file would be larger than LARGEST.
    """
    run = finished(directory)
    s = run.settings
    steps = [f"classifier-{step}" for step in range(1, s.erase_steps + 1)]
    names = ["data", "data-val", *steps, *(f"network-{name}" for name in networks(s))]
    with tempfile.TemporaryDirectory() as folder:
        slim = Path(folder)
        begin(slim, _neutral(s))
        (slim / "timings.jsonl").touch()
        for name in names:
            _copy(run, name, slim)
        content = lesson.pack(slim)
        hashes = manifest.hashes(slim, names)
    if len(content) > LARGEST:
        raise RunError(f"{packed} would have {len(content):,} bytes; {LARGEST:,} are shipped")
    about = {"sha256": hashlib.sha256(content).hexdigest(), "settings": _neutral(s).to_json()}
    about |= {"stages": hashes, "versions": results.versions(), "machine": results.machine()}
    about["rows"] = results.of_networks(run, networks(s))[0]
    write_whole(packed, content)
    write_json(about_file(packed), about)
    return about


def finished(directory: Path) -> FinishedStages:
    """A run's finished stages, whatever version of aelib made its settings."""
    content = read_json(directory / SETTINGS)
    run = FinishedStages()
    run.directory, run.settings = directory, make(content.pop("profile"), **content)
    return run


def _neutral(settings: Settings) -> Settings:
    """The settings without a path of this machine: of paths, the last part."""
    values = settings.to_json()
    return make(**values | {name: Path(values[name]).name for name in _NAMED})


def _copy(run: FinishedStages, name: str, slim: Path) -> None:
    """Put a stage into the slim run, its weights in half precision."""
    folder, (stage, _) = slim / name, stages.find(name)
    folder.mkdir()
    log = run.json(name, "log.json")
    write_json(folder / "log.json", log)
    if name.startswith(("classifier", "network")):
        tensors = run.tensors(name, "weights.safetensors").items()
        half = {key: t.half() if t.is_floating_point() else t for key, t in tensors}
        save_tensors(folder / "weights.safetensors", half)
    values = read_settings(slim / SETTINGS).to_json()
    reads = manifest.read(run.directory / name)["reads"]  # also of what is not shipped
    reads = reads | manifest.hashes(slim, reads)
    files = [file.name for file in folder.iterdir()]
    manifest.write(folder, name, {key: values[key] for key in stage.settings}, reads, files)
    for line in read_times(run.directory):
        if line.pop("name") == name:
            note_time(slim, name, line)
