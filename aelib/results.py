"""results.json and the table: every number with its stage, split and list size, threshold, CRF, initialisation and seed."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from . import crf, stages
from .data import Pictures, Truth
from .evaluation import iou
from .runs import ROOT, Run, write_json

#: What the paper reports on VOC12 val, mIoU in %. 50.9, 54.1 and 55.0 are sure, the others commonly reported; the last one is of
#: DeepLab's authors, for the same network trained on masks.
PAPER = {"AE-step1": 44.9, "AE-step2": 49.5, "AE-step3": 50.9, "AE-step4": 48.8, "AE+PSL": 54.1, "AE+PSL++": 55.0, "full supervision": 67.6}

#: Packages whose version can move a number.
PACKAGES = ("aelib", "torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow", "safetensors", "pydensecrf2", "papermill")


def results(run: Run) -> dict[str, Any]:
    """All numbers of a finished run, for results.json. Fractions, not per cent. Timings are apart, in timings.jsonl.

    Raises:
        RunError: a scores stage is missing or damaged.
    """
    s = run.settings
    train, val = stages.pictures(run, "train"), stages.pictures(run, "val")
    names = ["background", *train.classes]
    engine = s.crf_engine if s.crf_engine != "auto" else "lattice" if crf.HAVE_LATTICE else "exact"
    common = {"dataset": s.dataset, "init": initialisation(run), "seed": s.seed}

    def row(method: str, matrix: list, split: str, images: int, **more: Any) -> dict[str, Any]:
        values = iou(np.array(matrix))
        present = {name: None if np.isnan(x) else float(x) for name, x in zip(names, values, strict=True)}
        miou = None if np.isnan(values).all() else float(np.nanmean(values))  # None: no masks
        return {"method": method, "miou": miou, "split": split, "images": images} | more | common | {"per_class": present}

    mined, parts = [], []
    for step in range(1, s.erase_steps + 1):
        scores = run.json(f"scores-mined-{step}", "scores.json")
        threshold = {"delta": s.delta, "delta_rule": s.delta_rule}
        more = {"kind": "mined regions", "crf": False, "threshold": threshold}
        mined.append(row("CAM" if step == 1 else f"mined-step{step}", scores["matrix"], "train", len(train), **more))
        parts.append({part: found / max(total, 1) for part, (found, total) in scores["parts"].items()})

    rows, others = [], []
    steps = [f"AE-step{k}" for k in range(1, s.erase_steps + 1)]
    for method in [*steps, "AE+PSL", "AE+PSL++", *([stages.FULL] if stages.has_truth(run) else [])]:
        own = "prohibited" if stages.prohibits(method) else "all"
        for key, matrix in run.json(f"scores-{method}", "scores.json").items():
            prohibited = key.startswith("prohibited")
            threshold = {"prohibit_threshold": s.prohibit_threshold if prohibited else None, "background_threshold": s.background_threshold}
            more = {"kind": "segmentation", "crf": key.endswith("+crf"), "crf_engine": engine, "prohibited": prohibited, "threshold": threshold}
            (rows if key.split("+")[0] == own else others).append(row(method, matrix, "val", len(val), **more))
    best = f"AE-step{s.object_steps}"
    rows += [r | {"method": "AE"} for r in rows if r["method"] == best]
    return {
        "profile": s.profile,
        "dataset": s.dataset,
        "seed": s.seed,
        "settings": s.to_json(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "machine": machine(),
        "git": git_state(),
        "data": {split: data_hash(stages.pictures(run, split), stages.truth(run, split)) for split in ("train", "val")},
        "rows": [mined[0], *rows],
        "mined": mined,
        "ablation": others,
        "parts": parts,
        "evidence": stages.evidences(run),
        "stop_rule_keeps": stages.stop_step(run),
        "warnings": run.warnings(),
    }


def initialisation(run: Run) -> str:
    """What the networks started from: "random", or ImageNet's weights by their file and its hash."""
    loaded = run.json("data", "log.json")["weights"]
    return f"ImageNet, {loaded['file']} (sha256 {loaded['sha256'][:8]}), fc {loaded['fc']}" if loaded else "random"


def write_results(run: Run) -> dict[str, Any]:
    """Write results.json into the run directory and give its content."""
    content = results(run)
    run.unseal()
    write_json(run.directory / "results.json", content)
    return content


def machine() -> dict[str, Any]:
    """What the numbers were computed on: equal settings give equal files only where this is equal, too."""
    cuda = stages.DEVICE.type == "cuda"
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if cuda else str(stages.DEVICE),
    }


def git_state() -> dict[str, Any] | None:
    """The clone's commit, and whether files under version control differ from it; None outside a clone, or without git."""
    if not (ROOT / ".git").exists():
        return None
    try:
        commit, status = (
            subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(status)}


def data_hash(pictures: Pictures, truth: Truth) -> str:
    """SHA-256 over all that a split holds: classes, and each picture's id, size, pixels, labels, mask and part map."""
    digest = hashlib.sha256(repr(pictures.classes).encode())
    for name, *arrays in zip(pictures.ids, pictures.images, pictures.labels, truth.masks, truth.parts, strict=True):
        digest.update(name.encode())
        for array in arrays:
            digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _seen(s: dict[str, Any]) -> str:
    """How photographs were chosen and looked at; nothing on creatures."""
    if s["dataset"] == "creatures":
        return ""
    lists = f"Lists {s['train_list']} and {s['val_list']}. " if s["dataset"] == "voc" else ""
    flip = ", mirrored too" if s["test_flip"] == "yes" else ""
    return f"{lists}Classes: {s['classes'] or 'all'}. Seen at scale {s['test_scales']}{flip}, for CAMs and confidences at {s['cam_scale']:g}. "


#: what a table's numbers may be compared with
SCOPE = {
    "creatures": "Creatures are a teaching instrument: only the shape of the columns may be compared with the paper's.",
    "voc": "The paper's column is for train_aug's 10,582 and val's 1,449 pictures and 20 classes: another list is no comparison of equals.",
    "folder": "The paper's column is for PASCAL VOC 2012: pictures of one's own are no comparison of equals.",
}


def table(content: dict[str, Any]) -> str:
    """The paper's table as Markdown: mIoU in % without and with CRF, the paper's beside it."""
    lines = ["| method | split | mIoU | mIoU + CRF | the paper, VOC12 val |", "|---|---|---:|---:|---:|"]
    by_method: dict[str, dict[bool, dict]] = {}
    for row in content["rows"]:
        if row["method"] == "AE":  # one of the steps by another name
            continue
        by_method.setdefault(row["method"], {})[row["crf"]] = row
    for method, found in by_method.items():
        plain, refined = (_percent(found[crf]["miou"]) if crf in found else "" for crf in (False, True))
        lines.append(f"| {method} | {found[False]['split']}, {found[False]['images']} | {plain} | {refined} | {PAPER.get(method, '')} |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "no masks" if share is None else f"{100 * share:.1f}"


def caption(content: dict[str, Any]) -> str:
    """What must stand under every table: data, thresholds, CRF, initialisation, seed."""
    s = content["settings"]
    return (
        f"Data set {s['dataset']}, profile {s['profile']}, seed {s['seed']}, {s['backbone']} LargeFOV, initialisation {content['rows'][0]['init']}. "
        f"Regions: delta {s['delta']} ({s['delta_rule']}); S: saliency below {s['background_threshold']} is background; "
        "rows with PSL remove at test the classes whose confidence is "
        f"under {s['prohibit_threshold']}. CRF: bilateral ({s['bilateral_weight']:g}, {s['bilateral_sxy']:g}, {s['bilateral_srgb']:g}), Gaussian "
        f"({s['gaussian_weight']:g}, {s['gaussian_sxy']:g}), {s['crf_iterations']} iterations. "
        + _seen(s)
        + "The CAM row scores the regions of step 1 on the training split. Of the paper's column, 50.9, 54.1 and 55.0 are in its abstract and "
        "captions, the others commonly reported. " + SCOPE[s["dataset"]] + "".join(f" **Warning**, {text}." for text in content.get("warnings", []))
    )
