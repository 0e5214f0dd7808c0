"""The stages of the method. Each reads what earlier ones left in the run, and adds its own folder.

    data, data-val    what the run begins with, of either split: checked before any training
    classifier-K      a step of adversarial erasing: weights, losses
    regions-K         what that classifier's CAMs mine, thresholded
    saliency          a saliency map for each training picture
    pseudo-masks-K    S, from the regions of K steps and the saliency
    warmup            the PSL network's training before S-hat joins
    network-NAME      a segmentation network: weights, losses
    refined           what the PSL network and the CRF make of the training split, for PSL++
    scores-NAME       a network's confusion matrices on val, without and with CRF

Studies also ask for refined-again (PSL++ twice), coverage-K, true-background, entropy-NAME and
scores-train-NAME.

A finished stage returns at once, so a notebook may be run again at no cost. Only `scoring` sees a
true mask.
"""

from .checkpoint import load_checkpoint, save_checkpoint
from .data import mean_pixel, prepare
from .inputs import classes_of, dataset, pictures
from .learning import train_network, warm_up
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
)
from .stage import Stage, find, make, stage
from .whole import all_names

__all__ = [
    "FULL",
    "MinedRegions",
    "Stage",
    "all_names",
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
    "make",
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
    "warm_up",
]
