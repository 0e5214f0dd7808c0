"""Derived runs: another setting opens a run of its own, which shares all that it cannot change.

    runs/classroom                            the root run
    runs/classroom,delta=0.5                  derived: trains nothing again that delta cannot change
    runs/classroom,background_threshold=0.3,delta=0.5

A derived run makes a stage when it is first read. Setting a value back returns to the run before.
"""

import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.parse import quote

from ..support.files import ROOT
from . import stages
from .directory import SETTINGS, RunError, begin, read_times, runs_folder
from .manifest import FormatError, read
from .run import Run
from .settings import Settings, make
from .sharing import note_origin, origin

_LONGEST = 255  # bytes of a name, on most file systems


def derive(run: Run, directory: Path | None = None, **changes: Any) -> Run:
    """The run that has these settings, and shares with `run` what they cannot change.

    Args:
        run: at hand; it may be derived itself.
        directory: where the derived run lies, or is to lie. By default it lies beside its root run
            (in the folder of runs where that cannot be written), named after what differs.
        changes: settings; None is the same as not given. Those that change no number make no other
            run: they hold for the run that is returned.

    Returns:
        `run` itself if no number differs, the root run if it is that one's settings.

    Raises:
        InputError: a setting is wrong, or contradicts another; nothing was made.
        RunError: the name is too long, the directory was made with other settings or cannot be
            written, or another version of aelib made the run.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    wanted = make(**run.settings.to_json() | changes)
    if wanted.numbers() == run.settings.numbers() and directory is None:
        run.settings = wanted
        return run
    root, base = origin(run.directory) or (run.directory, run.settings.to_json())
    for name in stages.all_names(run.settings):
        _refuse_other_versions(run.directory, name)
    target = ROOT / directory if directory else directory_of(run, **changes)
    if not target.exists():
        _begin(target, root, base, wanted)
    derived = Run(target, **wanted.to_json())
    if derived.make:
        _share_all(derived)
    return derived


def directory_of(run: Run, **changes: Any) -> Path:
    """Where `derive` puts the run with these settings; it need not be there."""
    wanted = make(**run.settings.to_json() | changes)
    root, base = origin(run.directory) or (run.directory, run.settings.to_json())
    return _place(run, root, _differences(base, wanted.numbers()))


def opening_line(run: Run) -> str:
    """Where a derived run works, what it shares, what is to be made; "" for one not derived."""
    known = origin(run.directory)
    if known is None:
        return ""
    root, base = known
    differs = _differences(base, run.settings.numbers())
    words = [f"{name} = {value} ({root.name}: {base[name]})" for name, value in differs.items()]
    names = stages.all_names(run.settings)
    times = {line["name"]: line for line in run.timings()}
    there = [name for name in names if run.finished(name)]
    shared = sum("shared" in times.get(name, {}) for name in there)
    missing = [name for name in names if name not in there]
    counts = f"{shared} of {len(names)} stages shared"
    if len(there) > shared:
        counts += f", {len(there) - shared} made"
    if missing:
        counts += f", {len(missing)} to be made when asked for, {_duration(missing, run, root)}"
    gone = "" if root.exists() else f"; {root.name} is gone, so what is missing is made"
    return f"{_shown(run.directory)}: {', '.join(words) or 'as ' + root.name}; {counts}{gone}"


def _differences(base: dict[str, Any], numbers: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from the root's, by name, in order of their names."""
    return {name: numbers[name] for name in sorted(numbers) if numbers[name] != base.get(name)}


def _place(run: Run, root: Path, differs: dict[str, Any]) -> Path:
    """The directory of the run that differs from its root in this."""
    folder = run.directory.parent
    if not differs and root.exists():
        return root
    parts = [f"{name}={quote(str(value), safe='')}" for name, value in differs.items()]
    name = ",".join([root.name, *parts])
    size = len(os.fsencode(name))
    if size > _LONGEST:
        own = (
            'a name of its own (run_dir = "runs/NAME" in a notebook, --out DIR on the command line)'
        )
        what = f"the run's name would have {size} bytes, and a file system takes {_LONGEST}"
        raise RunError(f"{what}: give it {own}; it was to be {name}")
    return (folder if os.access(folder, os.W_OK) else runs_folder()) / name


def _begin(target: Path, root: Path, base: dict[str, Any], wanted: Settings) -> None:
    """Make the directory, whole at once: of two notebooks that do, the second finds the first's."""
    new = target.with_name(f".{uuid.uuid4().hex}")
    try:
        new.mkdir(parents=True)
        begin(new, wanted)
        note_origin(new, root, target.parent, base)
        os.replace(new, target)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if not (target / SETTINGS).exists():
            what = f"the run directory {target} cannot be written: {error.strerror}"
            raise RunError(f"{what}; choose another one") from error


def _share_all(run: Run) -> None:
    """Share whatever can be shared now; the rest is tried again when it is asked for."""
    for name in stages.all_names(run.settings):
        maker, of = stages.find(name)
        if not run.finished(name):
            try:
                maker.share(run, *of)
            except RunError:  # somebody makes a stage of it: it has begun before
                return


def _refuse_other_versions(directory: Path, stage: str) -> None:
    try:
        read(directory / stage)
    except FormatError as error:
        cure = "make that run again with this one (delete it first), or choose another"
        raise RunError(f"{error}: {cure}") from error
    except ValueError:  # missing or damaged: not shared
        return


def _duration(missing: Iterable[str], run: Run, root: Path) -> str:
    """About how long it takes to make these stages, by the times of the root, or of this run."""
    lines = [*read_times(root), *run.timings()]
    known = {line["name"]: line["seconds"] for line in lines}
    alike: dict[str, list[float]] = {}
    for name, seconds in known.items():
        alike.setdefault(_kind(name), []).append(seconds)
    total = 0.0
    for name in missing:
        if _kind(name) not in alike:
            return "time not known"
        total += known.get(name, mean(alike[_kind(name)]))
    if not total < float("inf"):  # NaN: times that a repair has lost
        return "time not known"
    return f"about {total / 60:.0f} min" if total >= 90 else f"about {max(total, 1):.0f} s"


def _kind(name: str) -> str:
    try:
        return stages.find(name)[0].pattern
    except ValueError:  # of an older course
        return name


def _shown(directory: Path) -> str:
    """The directory as one would type it: from the project's root, where it lies in it."""
    return str(directory.relative_to(ROOT) if directory.is_relative_to(ROOT) else directory)
