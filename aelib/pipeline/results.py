"""results.json: every number with its split and list size, threshold, CRF, initialisation, seed."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import crf
from ..datasets.base import Pictures, Truth
from ..evaluation import iou
from ..support.files import ROOT, read_json, write_json
from ..training import DEVICE
from . import stages
from .bootstrap import intervals
from .run import Run
from .settings import Settings

#: Packages whose version can change a number.
PACKAGES = (
    *("aelib", "torch", "torchvision", "numpy", "scipy", "scikit-image"),
    *("pillow", "safetensors", "pydensecrf2", "papermill"),
)

_REMEMBERED = {"train": "data", "val": "data-val"}  # the stage that knows a split


def results(run: Run) -> dict[str, Any]:
    """Returns all numbers of a finished run, for results.json; shares are fractions, not per cent.

    Timings are not among them; they are in timings.jsonl.

    Raises:
        RunError: a scores stage is missing or damaged.
    """
    s = run.settings
    mined, parts = _mined(run)
    steps = [f"AE-step{k}" for k in range(1, s.erase_steps + 1)]
    ceiling = [stages.FULL] if stages.has_truth(run) else []
    rows, ablation = of_networks(run, [*steps, "AE+PSL", "AE+PSL++", *ceiling])
    best = f"AE-step{s.object_steps}"
    rows += [row | {"method": "AE"} for row in rows if row["method"] == best]
    return {
        "profile": s.profile,
        "dataset": s.dataset,
        "seed": s.seed,
        "settings": s.to_json(),
        "versions": versions(),
        "machine": machine(),
        "git": git_state(),
        "data": {
            split: data_hash(stages.pictures(run, split), stages.truth(run, split))
            for split in ("train", "val")
        },
        "rows": [mined[0], *rows],
        "mined": mined,
        "ablation": ablation,
        "parts": parts,
        "evidence": stages.evidences(run),
        "stop_rule_keeps": stages.stop_step(run),
        "warnings": run.warnings(),
    }


def _mined(run: Run) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    """Returns the rows of the mined regions, and the recall of each part, one entry a step."""
    s = run.settings
    more = {
        "kind": "mined regions",
        "crf": False,
        "threshold": {"delta": s.delta, "delta_rule": s.delta_rule},
    }
    rows, parts = [], []
    for step in range(1, s.erase_steps + 1):
        scores = run.json(f"scores-mined-{step}", "scores.json")
        method = "CAM" if step == 1 else f"mined-step{step}"
        rows.append(_row(run, method, scores["matrix"], "train", more))
        recall = {part: found / max(total, 1) for part, (found, total) in scores["parts"].items()}
        parts.append(recall)
    return rows, parts


def of_networks(
    run: Run, methods: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the networks' rows of the table, and those with prohibition the other way round.

    Raises:
        RunError: a scores stage is missing or damaged.
    """
    rows, ablation = [], []
    for method in methods:
        of_pictures = _confusions(run, f"scores-{method}")
        for key, matrix in run.json(f"scores-{method}", "scores.json").items():
            more = _how_scored(run.settings, key)
            more["interval"] = _interval(run, of_pictures.get(key))
            row = _row(run, method, matrix, "val", more)
            in_table = more["prohibited"] == stages.prohibits(method)
            (rows if in_table else ablation).append(row)
    return rows, ablation


def _confusions(run: Run, stage: str) -> dict[str, np.ndarray]:
    """Returns each picture's matrices by key of scores.json; none of a run that stored none."""
    if "confusions.safetensors" not in run.files(stage):
        return {}
    return {key: n.numpy() for key, n in run.tensors(stage, "confusions.safetensors").items()}


def _interval(run: Run, confusions: np.ndarray | None) -> dict[str, Any] | None:
    """Returns the 95 % intervals (`bootstrap`) of a row: {"miou": [low, high], "per_class": ...}.

    None without each picture's matrix or without masks; within it, of a class without pictures.
    """
    if confusions is None or not confusions.any():
        return None
    ends = [None if np.isnan(low) else [low, high] for low, high in intervals(confusions).tolist()]
    names = ["background", *stages.classes_of(run)]
    return {"miou": ends[-1], "per_class": dict(zip(names, ends, strict=False))}


def _how_scored(s: Settings, key: str) -> dict[str, Any]:
    """Returns a row's conditions from its key in scores.json: (all | prohibited)[+crf]."""
    prohibited = key.startswith("prohibited")
    engine = s.crf_engine
    if engine == "auto":
        engine = "lattice" if crf.HAVE_LATTICE else "exact"
    return {
        "kind": "segmentation",
        "crf": key.endswith("+crf"),
        "crf_engine": engine,
        "prohibited": prohibited,
        "threshold": {
            "prohibit_threshold": s.prohibit_threshold if prohibited else None,
            "background_threshold": s.background_threshold,
        },
    }


def _row(
    run: Run, method: str, matrix: list[list[int]], split: str, more: dict[str, Any]
) -> dict[str, Any]:
    """Returns one row of results.json from a confusion matrix; scores are None without masks."""
    s = run.settings
    values = iou(np.array(matrix))
    names = ["background", *stages.classes_of(run)]
    return {
        "method": method,
        "miou": None if np.isnan(values).all() else float(np.nanmean(values)),
        "split": split,
        "images": run.json(_REMEMBERED[split], "log.json")["pictures"],
        **more,
        "dataset": s.dataset,
        "init": initialisation(run),
        "seed": s.seed,
        "per_class": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(names, values, strict=True)
        },
    }


def initialisation(run: Run) -> str:
    """Returns "random", or the file of ImageNet weights and its hash."""
    weights = run.json("data", "log.json")["weights"]
    if not weights:
        return "random"
    return f"ImageNet, {weights['file']} (sha256 {weights['sha256'][:8]}), fc {weights['fc']}"


def write_results(run: Run) -> dict[str, Any]:
    """Write results.json into the run directory and return its content.

    A finished run whose notebook is opened again stays as it is, and sealed.
    """
    content = results(run)
    file = run.directory / "results.json"
    if _content(file) != content:
        run.unseal()
        write_json(file, content)
    return content


def _content(file: Path) -> Any:
    try:
        return read_json(file)
    except ValueError:
        return None


def versions() -> dict[str, str | None]:
    """Returns the versions of Python and of PACKAGES; None where a package is not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Returns what computed the numbers; on another machine equal settings may differ in files."""
    cuda = DEVICE.type == "cuda"
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if cuda else str(DEVICE),
    }


def git_state() -> dict[str, Any] | None:
    """Returns the clone's commit and whether tracked files differ from it; None without git."""
    if not (ROOT / ".git").exists():
        return None
    try:
        commit = _git("rev-parse", "HEAD")
        status = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(status)}


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def data_hash(pictures: Pictures, truth: Truth) -> str:
    """Returns SHA-256 over a split: classes, and each picture's id, pixels, labels, mask, parts."""
    digest = hashlib.sha256(repr(pictures.classes).encode())
    columns = (pictures.ids, pictures.images, pictures.labels, truth.masks, truth.parts)
    for name, *arrays in zip(*columns, strict=True):
        digest.update(name.encode())
        for array in arrays:
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
