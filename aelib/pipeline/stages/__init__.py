"""The stages of the method. Each reads what earlier ones left in the run, and adds its own folder.

    data           what was checked of the inputs before any training; the mean pixel
    classifier-K   a step of adversarial erasing: weights, mined regions, losses
    saliency       a saliency map for each training picture
    seeds-K        S, the pseudo-masks, from the regions of K steps and the saliency
    network-NAME   a segmentation network: weights, losses
    refined        what the PSL network and the CRF make of the training split; PSL++ learns from it
    scores-NAME    a network's confusion matrices on val, without and with CRF

A finished stage returns at once, so a notebook may be run again at no cost. Only `scoring` sees a
true mask.
"""

from .checkpoint import load_checkpoint, save_checkpoint
from .data import mean_pixel, prepare
from .inputs import classes_of, dataset, pictures
from .mining import (
    MinedRegions,
    cams,
    classifier,
    confidences,
    evidences,
    mine,
    regions,
    stop_step,
)
from .pseudo_masks import find_saliency, make_pseudo_masks
from .scoring import (
    FULL,
    has_truth,
    prohibits,
    score_mined,
    score_network,
    train_ceiling,
    truth,
)
from .segmentation import (
    answer,
    crf_of,
    network,
    probabilities,
    refine_training_masks,
    refined,
    train_network,
)
from .stage import Stage, find, stage

__all__ = [
    "FULL",
    "MinedRegions",
    "Stage",
    "answer",
    "cams",
    "classes_of",
    "classifier",
    "confidences",
    "crf_of",
    "dataset",
    "evidences",
    "find",
    "find_saliency",
    "has_truth",
    "load_checkpoint",
    "make_pseudo_masks",
    "mean_pixel",
    "mine",
    "network",
    "pictures",
    "prepare",
    "probabilities",
    "prohibits",
    "refine_training_masks",
    "refined",
    "regions",
    "save_checkpoint",
    "score_mined",
    "score_network",
    "stage",
    "stop_step",
    "train_ceiling",
    "train_network",
    "truth",
]
