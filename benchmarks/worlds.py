"""Make aelib/course/exercises/worlds.json: what exercise 10 shows of five worlds, and withholds.

For each seed: four rounds of erasing (profile classroom, nothing else is trained), the signals of
`stop_rule.World`, and the mIoU of the mined regions on the training pictures. Some three minutes a
seed on two idle cores.

Usage: python benchmarks/worlds.py [--seeds 0 1 2 3 4] [--out runs]
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from aelib.cam import cam
from aelib.course.exercises.stop_rule import FILE, World
from aelib.datasets.base import to_tensor
from aelib.datasets.creatures import CLASSES, creature
from aelib.erasing import classification_loss, discriminative_regions, erase, evidence
from aelib.evaluation import iou
from aelib.models import classify
from aelib.pipeline import stages
from aelib.pipeline.run import Run

NEW = 200  # new pictures of a world: of the val split, behind those that a run uses
DIGITS = 4


def signals(run: Run) -> World:
    """Returns the signals of a run, all of whose rounds and saliency are made."""
    train, rounds = stages.pictures(run, "train"), run.settings.erase_steps
    saliency = np.stack(list(run.images("saliency", train.ids))) / 255
    low = saliency < run.settings.background_threshold
    mined = [regions.any(axis=0) for regions in stages.regions(run, 0)]
    before = np.stack(mined)
    area, of_new = [], []
    for k in range(1, rounds + 1):
        union = np.stack([regions.any(axis=0) for regions in stages.regions(run, k)])
        area.append(float(union.mean()))
        of_new.append(float(low[union & ~before].mean()))
        before = union
    logs = [run.json(f"classifier-{k}", "log.json") for k in range(1, rounds + 1)]
    losses = [log["losses"] for log in logs]
    return World(losses, stages.evidences(run), unseen(run), area, of_new)


def unseen(run: Run) -> list[float]:
    """Returns the evidence by round on NEW pictures, erased by their known image-level labels."""
    s, mean_pixel = run.settings, stages.mean_pixel(run)
    new = [creature(s.seed, "val", s.val_images + i) for i in range(NEW)]
    labels = torch.from_numpy(np.stack([one.labels for one in new]))
    frequency = torch.from_numpy(stages.pictures(run, "train").labels).float().mean(dim=0)
    gone = torch.zeros(NEW, len(CLASSES), *new[0].mask.shape, dtype=torch.bool)
    found = []
    for step in range(1, s.erase_steps + 1):
        model = stages.classifier(run, step)
        pairs = zip(new, gone, strict=True)
        images = [erase(to_tensor(one.image), regions, mean_pixel) for one, regions in pairs]
        batches = torch.stack(images).split(50)
        with torch.no_grad():
            logits = torch.cat([classify(model(batch)) for batch in batches])
            maps = torch.cat([cam(model, batch, s.cam_scale) for batch in batches])
        loss = classification_loss(logits, labels.float(), s.classification_loss).item()
        found.append(evidence(loss, frequency, s.classification_loss))
        for regions, one, present in zip(gone, maps, labels, strict=True):
            regions |= discriminative_regions(one, present, s.delta, s.delta_rule)
    return found


def entry(run: Run) -> dict:
    """Mine all rounds of a run, and return its part of the file."""
    stages.prepare(run)
    miou = []
    for k in range(1, run.settings.erase_steps + 1):
        stages.mine(run, k)
        stages.score_mined(run, k)
        matrix = np.array(run.json(f"scores-mined-{k}", "scores.json")["matrix"])
        miou.append(round(float(np.nanmean(iou(matrix))), DIGITS))
    stages.find_saliency(run)
    return {"signals": rounded(asdict(signals(run))), "miou": miou}


def rounded(values):
    """Returns numbers in nested lists and dicts, rounded."""
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [rounded(value) for value in values]
    return round(values, DIGITS)


def text(worlds: dict[int, dict]) -> str:
    """Returns the file's text: a line for each list."""
    lines = []
    for seed, world in worlds.items():
        inside = [f'   "{key}": {json.dumps(value)}' for key, value in world["signals"].items()]
        signals_text = ",\n".join(inside)
        parts = f'  "signals": {{\n{signals_text}\n  }},\n  "miou": {json.dumps(world["miou"])}'
        lines.append(f' "{seed}": {{\n{parts}\n }}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    worlds = {}
    for seed in arguments.seeds:
        worlds[seed] = entry(Run(arguments.out / f"world-{seed}", "classroom", seed=seed))
        print(f"seed {seed}: mIoU by round {worlds[seed]['miou']}", flush=True)
    FILE.write_text(text(worlds), encoding="utf-8")


if __name__ == "__main__":
    main()
