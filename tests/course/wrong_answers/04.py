"""Sheet 04: wrong answers with words of the message that each must get, and right ones."""

from math import log

import numpy as np
import torch
from answers import Answer
from from_run import FromRun
from torch.nn import functional as F

from aelib.course.exercises.psl import survivor
from aelib.pipeline import stages

OF_S = 7 * log(0.7) + 6 * log(0.8)
ALL = OF_S + log(0.5) + log(0.45) + log(0.4)
HARE_LEG = OF_S + log(0.5) + log(0.35) + log(0.4)
TIMES_V_OF_S = 7 * 0.6 * log(0.7) + 6 * log(0.8)
TIMES_V = TIMES_V_OF_S + log(0.5) + 0.5 * log(0.45) + log(0.4)
WEIGHTED = 7 * log(0.6 * 0.7) + 6 * log(0.8) + log(0.5) + log(0.225) + log(0.4)

# --- psl_loss -------------------------------------------------------------------------------------


def weighted(scores, v):
    return F.pad(v, (1, 0), value=1.0)[:, :, None, None] * scores.softmax(dim=1)


def J(scores, mask):
    losses = F.cross_entropy(scores, mask, ignore_index=255, reduction="none")
    return losses.sum(dim=(1, 2)) / (mask != 255).sum(dim=(1, 2)).clamp(min=1)


def right_psl_loss(scores, S, v):
    """Picture by picture, class by class, by log_softmax."""
    loss = 0
    for z, mask, confidences in zip(scores, S, v, strict=True):
        log_f = z.log_softmax(dim=0)
        with torch.no_grad():
            S_hat = (log_f + torch.cat([torch.zeros(1), confidences.log()])[:, None, None]).argmax(
                0
            )
        for labels in (mask, S_hat):
            pixels = sum((labels == c).sum() for c in range(len(z)))
            if pixels:
                loss = loss - sum(log_f[c][labels == c].sum() for c in range(len(z))) / pixels
    return loss / len(scores)


def soft_s_hat(scores, S, v):
    target = weighted(scores, v)
    target = target / target.sum(dim=1, keepdim=True)
    soft = -(target * scores.log_softmax(dim=1)).sum(dim=1).mean(dim=(1, 2))
    return (J(scores, S) + soft).mean()


def gradient_through_s_hat(scores, S, v):
    soft = weighted(scores, v)
    hard = F.one_hot(soft.argmax(dim=1), scores.shape[1]).permute(0, 3, 1, 2)
    target = hard + soft - soft.detach()
    term = -(target * scores.log_softmax(dim=1)).sum(dim=1).mean(dim=(1, 2))
    return (J(scores, S) + term).mean()


def zero_by_zero(scores, S, v):
    S_hat = weighted(scores, v).argmax(dim=1)
    losses = F.cross_entropy(scores, S, ignore_index=255, reduction="none")
    of_S = losses.sum(dim=(1, 2)) / (S != 255).sum(dim=(1, 2))
    return (of_S + J(scores, S_hat)).mean()


def one_mean(scores, S, v):
    S_hat = weighted(scores, v).argmax(dim=1)
    return F.cross_entropy(scores, S, ignore_index=255) + F.cross_entropy(scores, S_hat)


def counting_255(scores, S, v):
    S_hat = weighted(scores, v).argmax(dim=1)
    losses = F.cross_entropy(scores, S, ignore_index=255, reduction="none")
    return losses.mean() + J(scores, S_hat).mean()


def one_denominator(scores, S, v):
    S_hat = weighted(scores, v).argmax(dim=1)
    losses = F.cross_entropy(scores, S, ignore_index=255, reduction="none")
    losses = losses + F.cross_entropy(scores, S_hat, reduction="none")
    return (losses.sum(dim=(1, 2)) / (1 + (S != 255)).sum(dim=(1, 2))).mean()


def self_training(scores, S, v):
    return (J(scores, S) + J(scores, scores.argmax(dim=1))).mean()


def log_of_softmax(scores, S, v):
    f = scores.softmax(dim=1)
    loss = 0
    for mask in (S, weighted(scores, v).argmax(dim=1)):
        label = mask.where(mask != 255, torch.zeros_like(mask))
        terms = torch.where(mask != 255, -f.gather(1, label[:, None])[:, 0].log(), 0.0)
        loss = loss + terms.sum(dim=(1, 2)) / (mask != 255).sum(dim=(1, 2)).clamp(min=1)
    return loss.mean()


def only_where_S_is_silent(scores, S, v):
    S_hat = weighted(scores, v).argmax(dim=1).where(S == 255, torch.full_like(S, 255))
    return (J(scores, S) + J(scores, S_hat)).mean()


def S_filled_up(scores, S, v):
    return (J(scores, S) + J(scores, S.where(S != 255, weighted(scores, v).argmax(dim=1)))).mean()


def s_hat_of_scores(scores, S, v):
    S_hat = (F.pad(v, (1, 0), value=1.0)[:, :, None, None] * scores).argmax(dim=1)
    return (J(scores, S) + J(scores, S_hat)).mean()


def with_logarithm(log_f):
    """The loss with `log_f(scores, v)` in place of log f."""

    def psl_loss(scores, S, v):
        values, loss = log_f(scores, v), 0
        for mask in (S, weighted(scores, v).argmax(dim=1)):
            terms = F.nll_loss(values, mask, ignore_index=255, reduction="none")
            loss = loss + terms.sum(dim=(1, 2)) / (mask != 255).sum(dim=(1, 2)).clamp(min=1)
        return loss.mean()

    return psl_loss


def v_times_log_f(scores, v):
    return F.pad(v, (1, 0), value=1.0)[:, :, None, None] * scores.log_softmax(dim=1)


def a_sum(scores, S, v):
    return len(scores) * right_psl_loss(scores, S, v)


def a_number(scores, S, v):
    return right_psl_loss(scores, S, v).item()


def detached(scores, S, v):
    return right_psl_loss(scores.detach(), S, v)


def per_picture(scores, S, v):
    return J(scores, S) + J(scores, weighted(scores, v).argmax(dim=1))


# --- of the shipped run ---------------------------------------------------------------------------


def last_v(run):
    """By halving: below it no pixel of the class is left."""
    case = survivor(run)
    low, high = 0.0, 1.0
    for _ in range(40):
        v = case.v.astype(float)
        v[case.c] = (low + high) / 2
        answer = (np.array([1, *v])[:, None, None] * case.f).argmax(axis=0)
        left = (answer == case.c + 1).any()
        low, high = (low, v[case.c]) if left else (v[case.c], high)
    return high


def safe(split):
    """Of the classes that are present one in a hundred may have a lower v."""

    def found(run):
        pictures = stages.pictures(run, split)
        v = stages.confidences(run, pictures.images[:600]).numpy()
        present = np.sort(v[pictures.labels[:600]])
        return np.floor(100 * present[len(present) // 100]) / 100

    return found


def gain(row, key, less_row, less_key, decimals=6):
    """mIoU of one entry of the table minus that of another one, in points."""

    def points(run, row, key):
        name = "AE+PSL" if row == "PSL" else f"AE-step{run.settings.object_steps}"
        matrix = np.array(run.json(f"scores-{name}", "scores.json")[key])
        hits = matrix.diagonal()
        shares = hits / (matrix.sum(axis=0) + matrix.sum(axis=1) - hits)
        return round(100 * shares.mean(), decimals)

    return FromRun(lambda run: points(run, row, key) - points(run, less_row, less_key))


def credit(decimals=6):
    return [
        gain("PSL", "all", "AE", "all", decimals),
        gain("AE", "prohibited", "AE", "all", decimals),
        gain("AE", "all+crf", "AE", "all", decimals),
        gain("PSL", "prohibited+crf", "AE", "prohibited+crf", decimals),
        gain("PSL", "prohibited+crf", "PSL", "all+crf", decimals),
        gain("PSL", "prohibited+crf", "PSL", "prohibited", decimals),
    ]


def times(factor, number):
    return FromRun(lambda run: factor * number.compute(run))


LAST_V = FromRun(last_v)
CREDIT = credit()
ROWS = gain("PSL", "prohibited", "AE", "all")
LAST_NEGATED = [*CREDIT[:3], times(-1, CREDIT[3]), *CREDIT[4:]]

wrong = {
    "check_s_hat": [
        ([0, 2, 1], ["look again at the second leg"]),
        ([1, 2, 1], ["weight 1, not 1 - v"]),
        ([0, 1, 0], ["v = (0.9, 0.1)"]),
        ([0, ..., 0], ["not solved yet"]),
        (..., ["not solved yet"]),
    ],
    "check_hand_loss": [
        (Answer(-OF_S / 16, -ALL / 16), ["J_S:", "not by all 16"]),
        (Answer(-OF_S / 29, -ALL / 29), ["J_S:", "its own denominator"]),
        (Answer(-OF_S / 13, -ALL / 13), ["J_S_hat:", "not by 13"]),
        (Answer(-OF_S / 13, -HARE_LEG / 16), ["J_S_hat:", "v = (0.9, 0.1)"]),
        (Answer(-OF_S / 13, -WEIGHTED / 16), ["J_S_hat:", "v chooses the label only"]),
        (Answer(-TIMES_V_OF_S / 13, -ALL / 16), ["J_S:", "v chooses the label only"]),
        (Answer(-OF_S / 13, -TIMES_V / 16), ["J_S_hat:", "v chooses the label only"]),
        (Answer(OF_S / 13, ALL / 16), ["J_S:", "the sign"]),
        (Answer(-OF_S / 13, 0.5), ["J_S_hat:", "not right"]),
        (Answer(-OF_S / 13, ...), ["not solved yet"]),
    ],
    "check_psl_loss": [
        (soft_s_hat, ["a label at each pixel"]),
        (gradient_through_s_hat, ["value is right", "no gradient may flow through it"]),
        (zero_by_zero, ["nan", "not 0 / 0"]),
        (one_mean, ["of each picture"]),
        (counting_255, ["255 are counted"]),
        (one_denominator, ["its own denominator"]),
        (self_training, ["argmax f"]),
        (log_of_softmax, ["log of 0"]),
        (only_where_S_is_silent, ["not only where S is 255"]),
        (S_filled_up, ["not only where S is 255"]),
        (s_hat_of_scores, ["v multiplies f, not the scores"]),
        (with_logarithm(lambda scores, v: scores), ["the scores themselves"]),
        (with_logarithm(lambda scores, v: scores.softmax(dim=1)), ["f itself"]),
        (with_logarithm(lambda scores, v: weighted(scores, v).log()), ["v chooses the label only"]),
        (with_logarithm(v_times_log_f), ["v chooses the label only"]),
        (with_logarithm(lambda scores, v: (scores.softmax(1) + 1e-8).log()), ["log(f + 1e-8)"]),
        (a_sum, ["not the sum"]),
        (a_number, ["as a tensor", "float"]),
        (per_picture, ["without axes"]),
        (detached, ["no gradient reaches"]),
        (lambda scores, S, v: ..., ["not solved yet"]),
    ],
    "check_losing_v": [
        (Answer(0, LAST_V), ["v_pixel", "before its v is 0"]),
        (Answer(0.1, LAST_V), ["v_pixel", "threshold at test"]),
        (Answer(0.02 / 0.93, LAST_V), ["v_pixel", "strongest rival"]),
        (Answer(0.05 / 0.93, LAST_V), ["v_pixel", "weighted too"]),
        (Answer(0.04 / 0.93, 0), ["v_picture", "before its v is 0"]),
        (Answer(0.04 / 0.93, 0.1), ["v_picture", "threshold at test"]),
        (Answer(0.04 / 0.93, times(2, LAST_V)), ["v_picture", "too high", "pixels are left"]),
        (Answer(0.04 / 0.93, times(0.5, LAST_V)), ["v_picture", "lower than it need be"]),
        (Answer(43, LAST_V), ["v_pixel", "between 0 and 1"]),
        (Answer(0.04 / 0.93, -0.1), ["v_picture", "between 0 and 1"]),
        (Answer(..., LAST_V), ["not solved yet"]),
        (Answer(0.04 / 0.93, ...), ["not solved yet"]),
    ],
    "check_safe_threshold": [
        (FromRun(safe("val")), ["val would choose"]),
        (0.9, ["too high"]),
        (FromRun(lambda run: safe("train")(run) + 0.01), ["threshold"]),
        (0.1, ["safe", "not the largest"]),
        (42, ["not between 0 and 1"]),
        (..., ["not solved yet"]),
    ],
    "check_credit": [
        (Answer(ROWS, *CREDIT[1:]), ["training_first", "whole gap"]),
        (Answer(*CREDIT[3:], *CREDIT[:3]), ["training_first", "adds last"]),
        (Answer(*(times(-1, number) for number in CREDIT)), ["training_first", "sign"]),
        (Answer(CREDIT[0], gain("PSL", "prohibited", "PSL", "all"), *CREDIT[2:]), ["as well"]),
        (Answer(*LAST_NEGATED), ["training_last", "sign"]),
        (Answer(times(0.01, CREDIT[0]), *CREDIT[1:]), ["in points"]),
        (Answer(*CREDIT[:3], ..., *CREDIT[4:]), ["training_last: not solved yet"]),
    ],
}
right = {
    "check_s_hat": [np.array([0, 2, 0]), (0, 2, 0)],
    "check_hand_loss": [Answer(0.295, 0.3904), Answer(-OF_S / 13, torch.tensor(-ALL / 16))],
    "check_psl_loss": [right_psl_loss, lambda scores, S, v: per_picture(scores, S, v).mean()],
    "check_losing_v": [Answer(0.043, LAST_V)],
    "check_safe_threshold": [
        FromRun(safe("train")),
        FromRun(lambda run: safe("train")(run) - 0.01),
    ],
    "check_credit": [Answer(*CREDIT), Answer(*credit(decimals=1))],
}
