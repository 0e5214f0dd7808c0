"""One job: its run's stages, and the numbers that the cells read from them."""

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch

from ...evaluation import iou
from .. import stages
from ..derived import derive
from ..run import Run, opened
from .grids import Cell
from .plan import Job


def run_quietly(job: Job, after: Sequence[Any] = ()) -> dict[str, list[dict[str, Any]]]:
    """`run_job` in a worker: on one thread, without the stages' lines.

    Args:
        after: outcomes of the jobs that this one waits for; what matters are their stages.
    """
    torch.set_num_threads(1)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        return run_job(job)


def run_job(job: Job, **free: Any) -> dict[str, list[dict[str, Any]]]:
    """Make a job's stages, those that are finished excepted, and read its cells.

    Args:
        free: settings that change no number; by default one worker.

    Returns:
        {"rows": as `rows_of`, "failed": [{"cell", "seed", "message"}]}: a stage that fails loses
        its own cells only.
    """
    rows, failed = [], []
    messages: dict[str, str] = {}
    run = None
    for stage in job.stages:
        try:
            run = run or _opened(job, **free)
            stages.make(run, stage)
        except Exception as error:  # whatever it is, the other cells go on
            messages[stage] = f"{type(error).__name__}: {error}"
    for cell in job.cells:
        if cell.stage in messages:
            failed.append(failure(job, cell, messages[cell.stage]))
        else:
            rows += rows_of(run, cell)
    return {"rows": rows, "failed": failed}


def _opened(job: Job, **free: Any) -> Run:
    base = opened(job.base)
    if job.directory == job.base:
        return derive(base, **{"workers": 1} | free)
    return derive(base, job.directory, **job.settings.to_json() | {"workers": 1} | free)


def failure(job: Job, cell: Cell, message: str) -> dict[str, Any]:
    """What is kept of a cell that failed."""
    return {"cell": cell.label, "seed": job.settings.seed, "message": message}


def rows_of(run: Run, cell: Cell) -> list[dict[str, Any]]:
    """The numbers of a cell, one a row.

    Returns:
        {"cell", "stage", "seed", "measure", "crf", "prohibited", "value"} each. Measures: "mIoU"
        and other shares as fractions, "entropy" in nats; crf and prohibited are None where there
        is no such difference.

    Raises:
        RunError: the stage is not finished.
    """
    head = {"cell": cell.label, "stage": cell.stage, "seed": run.settings.seed}
    if cell.stage.startswith("scores-"):
        scores = run.json(cell.stage, "scores.json")
        return [head | _row(key, value) for key, value in scores.items()]
    content = run.json(cell.stage, "log.json")
    names = [name for name in ("entropy", "coverage", "evidence", "right") if name in content]
    plain = {"crf": None, "prohibited": None}
    return [head | {"measure": name} | plain | {"value": content[name]} for name in names]


def _row(key: str, value: Any) -> dict[str, Any]:
    """A row from an entry of scores.json: a confusion matrix, or a number by its measure's name."""
    conditions = {"crf": key.endswith("+crf"), "prohibited": key.startswith("prohibited")}
    if isinstance(value, list):
        shares = iou(np.array(value))
        miou = None if np.isnan(shares).all() else float(np.nanmean(shares))
        return {"measure": "mIoU", **conditions, "value": miou}
    return {"measure": key, "crf": None, "prohibited": None, "value": value}
