"""A whole study: the plan, the jobs, the table; runs/studies/NAME.csv and NAME.json."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...support.errors import InputError
from ...support.files import nearest, write_json, write_whole
from ...support.progress import progress
from ..directory import SETTINGS, RunError, read_settings, runs_folder
from ..results import git_state, machine, versions
from ..run import Run
from .cells import run_job
from .cluster import connected, outcomes
from .grids import AE, STUDIES, Study
from .plan import Job, done, jobs_of, jobs_of_run, missing, seconds_of
from .table import summary, tidy


def find(name: str) -> Study:
    """The study of this name.

    Raises:
        InputError: there is none.
    """
    if name not in STUDIES:
        known = f"{nearest(name, STUDIES)}; there are {', '.join(STUDIES)}"
        raise InputError(f"study: {name!r} is unknown{known}")
    return STUDIES[name]


def run_study(
    study: Study,
    profile: str = "study",
    seeds: Sequence[int] = (0, 1, 2),
    scheduler: str = "",
    workers: int = 0,
    **overrides: Any,
) -> dict[str, Any]:
    """Make all that a study's cells lack, and write its CSV and JSON.

    Called again, it goes on: what is finished is only read.

    Args:
        seeds: a base run each, runs/studies/PROFILE-seedK; the cells' runs are derived from it.
        scheduler, workers: as for `cluster.connected`.
        overrides: settings of every run.

    Returns:
        The content of the JSON: {"study", "question", "profile", "seeds", "settings": of the
        first base run, "versions", "machine", "git", "cells", "rows", "summary", "failed",
        "seconds"}.

    Raises:
        InputError, RunError: as `plan.jobs_of` and `cluster.connected`; nothing was computed.
    """
    if not seeds or len({*seeds}) < len(seeds):
        raise InputError(f"--seeds: {list(seeds)}: one or more are needed, each once")
    begin, folder = time.perf_counter(), runs_folder() / "studies"
    jobs = jobs_of(study.cells, profile, seeds, folder, **overrides)
    todo = missing(jobs)
    there = [job for job in jobs if not todo[job.directory] and done(job)]
    waiting = [job for job in jobs if job not in there]
    found = [run_job(job) for job in there]
    if waiting:
        with connected(scheduler, workers) as client:
            report = _Report(study, jobs, waiting, todo, sum(client.nthreads().values()))
            found += [report(job, outcome) for job, outcome in outcomes(client, waiting)]
    order = {cell.label: i for i, cell in enumerate(study.cells)}
    rows = sorted(
        (row for outcome in found for row in outcome["rows"]),
        key=lambda row: (order[row["cell"]], row["seed"]),
    )
    failed = [one for outcome in found for one in outcome["failed"]]
    settings = read_settings(jobs[0].base / SETTINGS).to_json()
    content = _content(study, settings, seeds, rows) | {"failed": failed}
    content["seconds"] = round(time.perf_counter() - begin)
    write_files(study, content)
    return content


def reduced(run: Run) -> list[dict[str, Any]]:
    """The rows of the study `reduced` on a run's own networks: in this process, without Dask.

    The runs derived from it lie beside it; nothing is trained that the run has. AE is the network
    of its object_steps.

    Raises:
        RunError: a stage cannot be made.
    """
    rows = []
    own = f"scores-AE-step{run.settings.object_steps}"
    cells = [replace(c, stage=own) if c.stage == AE else c for c in find("reduced").cells]
    for job in jobs_of_run(run, cells):
        outcome = run_job(job, workers=run.settings.workers)
        if outcome["failed"]:
            raise RunError("; ".join(one["message"] for one in outcome["failed"]))
        rows += outcome["rows"]
    return rows


def _content(
    study: Study, settings: dict[str, Any], seeds: Sequence[int], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    cells = [
        {"label": c.label, "stage": c.stage, "changes": dict(c.changes), "against": c.against}
        for c in study.cells
    ]
    return {
        "study": study.name,
        "question": study.question,
        "profile": settings["profile"],
        "seeds": list(seeds),
        "settings": settings,
        "versions": versions(),
        "machine": machine(),
        "git": git_state(),
        "cells": cells,
        "rows": rows,
        "summary": summary(rows, study),
    }


def place(study: Study, profile: str, suffix: str) -> Path:
    """Where a study's table lies: NAME, or NAME-PROFILE of another profile than `study`."""
    name = study.name if profile == "study" else f"{study.name}-{profile}"
    return runs_folder() / "studies" / f"{name}{suffix}"


def write_files(study: Study, content: dict[str, Any]) -> None:
    """Write the rows as CSV, and all of it as JSON; see `place`."""
    profile = content["settings"]["profile"]
    table = tidy(content["rows"], study, content["settings"])
    write_whole(place(study, profile, ".csv"), table.encode())
    write_json(place(study, profile, ".json"), content)


class _Report:
    """Says the plan in a line, then how many cells are done and the time left."""

    def __init__(
        self,
        study: Study,
        jobs: Sequence[Job],
        waiting: Sequence[Job],
        todo: dict[Path, list[str]],
        workers: int,
    ) -> None:
        seconds = seconds_of(jobs, todo)
        stages, cells = sum(map(len, todo.values())), sum(len(job.cells) for job in jobs)
        words = (
            f"about {_minutes(sum(seconds.values()) / workers)}" if seconds else "time not known"
        )
        what = f"{cells} cells in {len(jobs)} runs, {stages} stages to make"
        print(f"study {study.name}: {what} with {workers} workers, {words}", flush=True)
        #: what each job still takes, in seconds or, if they are not known, in stages
        self.left = {at: (seconds or {}).get(at, len(todo[at])) + 0.1 for at in todo}
        self.cells = cells
        self.done = 0.0
        self.begin = time.perf_counter()
        self.show = progress(f"study {study.name}", cells, unit="cell")
        self.waiting = {job.directory: job for job in waiting}

    def __call__(self, job: Job, outcome: dict[str, Any]) -> dict[str, Any]:
        """Count a job that is done; returns its outcome."""
        self.done += self.left[job.directory]
        del self.waiting[job.directory]
        for one in outcome["failed"]:
            text = one["message"].splitlines()[0]
            print(f"  FAILED {one['cell']}, seed {one['seed']}: {text}", flush=True)
        left = sum(self.left[at] for at in self.waiting)
        seconds = (time.perf_counter() - self.begin) * left / self.done
        cells = sum(len(other.cells) for other in self.waiting.values())
        note = f"about {_minutes(seconds)} left" if cells else ""
        self.show(self.cells - cells, note=note)
        return outcome


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"
