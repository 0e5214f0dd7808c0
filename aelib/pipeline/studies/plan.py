"""Which run makes what: every stage that cells have in common is made once.

A job is a run directory, so that no two jobs make stages of one run. The seed's base run goes
first and makes what several others need and it can make; beyond that, a job waits for the first
that makes a stage which it needs, too, and then finds it by `sharing`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from ...support.files import ROOT
from .. import stages
from ..derived import derive, directory_of
from ..directory import SETTINGS, RunError, read_settings, read_times, runs_folder
from ..run import Run, opened
from ..settings import Settings, make
from .grids import TRUE_BACKGROUND, Cell


@dataclass(frozen=True)
class Job:
    """What a worker does in one go.

    Attributes:
        base: directory of the seed's base run.
        directory: of the job's run; the base itself, or derived from it.
        settings: the run's.
        cells: what is read from it.
        stages: to make: those of the cells, then those that it makes for others.
        after: directories of the jobs to wait for.
    """

    base: Path
    directory: Path
    settings: Settings
    cells: tuple[Cell, ...]
    stages: tuple[str, ...]
    after: tuple[Path, ...] = ()

    def needed(self) -> dict[str, str]:
        """Identity -> name of all stages, from the data on, each after those it reads."""
        wanted = ("data", "data-val", *self.stages)
        names = [name for stage in wanted for name in closure(self.settings, stage)]
        return {identity(self.settings, name): name for name in dict.fromkeys(names)}


def jobs_of(
    cells: Sequence[Cell], profile: str, seeds: Iterable[int], folder: Path, **overrides: Any
) -> list[Job]:
    """The jobs, each after those it waits for. Base runs are begun, in `folder`; nothing is made.

    Raises:
        InputError: a setting is wrong, of the overrides or of a cell; no directory was made.
        RunError: a base run cannot be written, or has other settings.
    """
    for cell in cells:
        make(profile, **overrides | dict(cell.changes))
    jobs = []
    for seed in seeds:
        root = Run(folder / f"{profile}-seed{seed}", profile, seed=seed)
        jobs += jobs_of_run(derive(root, **overrides), cells)
    return jobs


def jobs_of_run(base: Run, cells: Sequence[Cell]) -> list[Job]:
    """The jobs of one base run, as `jobs_of`."""
    groups: dict[Settings, list[Cell]] = {base.settings: []}
    for cell in cells:
        groups.setdefault(_settings(base, cell), []).append(cell)
    jobs = [_job(base, settings, group) for settings, group in groups.items()]
    jobs[0] = replace(jobs[0], stages=tuple(dict.fromkeys((*jobs[0].stages, *_common(jobs)))))
    makers: dict[str, Path] = {}
    ordered = []
    for job in jobs:
        needed = job.needed()
        for one in needed:
            makers.setdefault(one, job.directory)
        after = {makers[one] for one in needed} - {job.directory}
        ordered.append(replace(job, after=tuple(sorted(after))))
    return ordered


def _job(base: Run, settings: Settings, cells: list[Cell]) -> Job:
    numbers, before = settings.numbers(), base.settings.numbers()
    changes = {name: value for name, value in numbers.items() if value != before[name]}
    if _true_background(cells):
        del changes["saliency_maps"]  # a path, which might not fit into a name
    directory = directory_of(base, **changes)
    if _true_background(cells):
        directory = directory.with_name(f"{directory.name},{TRUE_BACKGROUND}")
    wanted = tuple(dict.fromkeys(cell.stage for cell in cells))
    return Job(base.directory, directory, settings, tuple(cells), wanted)


def _common(jobs: Sequence[Job]) -> list[str]:
    """The stages that several jobs need, and that the first of them, the base, can make."""
    counts = Counter(one for job in jobs for one in job.needed())
    names = dict.fromkeys(name for job in jobs for name in job.needed().values())
    common = [name for name in names if counts[identity(jobs[0].settings, name)] > 1]
    true = any(_true_background(job.cells) for job in jobs)
    return common + [TRUE_BACKGROUND] * true


def _true_background(cells: Iterable[Cell]) -> bool:
    return any(TRUE_BACKGROUND in cell.changes.values() for cell in cells)


def _settings(base: Run, cell: Cell) -> Settings:
    """A cell's settings, of its base run's seed."""
    changes = dict(cell.changes)
    if changes.get("saliency_maps") == TRUE_BACKGROUND:
        folder = base.directory / TRUE_BACKGROUND
        inside = folder.is_relative_to(ROOT)
        changes["saliency_maps"] = str(folder.relative_to(ROOT) if inside else folder)
    return make(**base.settings.to_json() | changes)


@cache
def closure(settings: Settings, stage: str) -> tuple[str, ...]:
    """A stage and all that it is made from, each after those it reads."""
    maker, of = stages.find(stage)
    reads = maker.reads(settings, *of)
    before = [name for read in reads for name in closure(settings, read)]
    return tuple(dict.fromkeys((*before, stage)))


@cache
def identity(settings: Settings, stage: str) -> str:
    """What a stage is made from, its settings and what it reads: equal ones can be shared."""
    maker, of = stages.find(stage)
    own = [(name, getattr(settings, name)) for name in maker.settings_read(settings, *of)]
    reads = [identity(settings, read) for read in maker.reads(settings, *of)]
    return hashlib.sha256(repr((stage, own, reads)).encode()).hexdigest()


# --- what is there, and how long the rest takes ---------------------------------------------------


def missing(jobs: Sequence[Job]) -> dict[Path, list[str]]:
    """The stages that each job has to make itself, by its directory; a stage counts once."""
    there = {one for job in jobs for one in _finished(job)}
    found: dict[Path, list[str]] = {}
    for job in jobs:
        needed = job.needed()
        found[job.directory] = [name for one, name in needed.items() if one not in there]
        there |= needed.keys()
    return found


def done(job: Job) -> bool:
    """Whether the job's own run has all that is read from it, and all that it makes for others."""
    return {*job.stages} <= {*_finished(job).values()}


def _finished(job: Job) -> dict[str, str]:
    """Identity -> name of the stages that the job's own run has."""
    if not (job.directory / SETTINGS).exists():
        return {}
    run = opened(job.directory)
    return {one: name for one, name in job.needed().items() if run.finished(name)}


def seconds_of(jobs: Sequence[Job], todo: dict[Path, list[str]]) -> dict[Path, float] | None:
    """About how long each job takes one worker, by the times of runs that are there.

    Seconds a training picture, the median of each kind of stage. None if a kind was never timed.
    """
    rates = _rates({job.directory.parent for job in jobs})
    if {_kind(name) for names in todo.values() for name in names} - rates.keys():
        return None
    return {
        job.directory: job.settings.train_images
        * sum(rates[_kind(name)] for name in todo[job.directory])
        for job in jobs
    }


def _rates(folders: set[Path]) -> dict[str, float]:
    """Kind of stage -> seconds a training picture: of the studies' runs, else of any other."""
    for places in (folders, {runs_folder()}):
        found: dict[str, list[float]] = {}
        for file in (file for place in places for file in place.glob(f"*/{SETTINGS}")):
            _add_rates(found, file.parent)
        if found:
            break
    return {kind: median(values) for kind, values in found.items()}


def _add_rates(found: dict[str, list[float]], directory: Path) -> None:
    try:
        pictures = read_settings(directory / SETTINGS).train_images
    except RunError:  # of another version
        return
    for line in read_times(directory):
        if line["seconds"] >= 0 and "shared" not in line:  # NaN: lost
            found.setdefault(_kind(line["name"]), []).append(line["seconds"] / pictures)


def _kind(stage: str) -> str:
    return stages.find(stage)[0].pattern
