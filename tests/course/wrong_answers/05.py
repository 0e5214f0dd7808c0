"""Sheet 05: wrong answers with words of the message that each must get, and right ones."""

import numpy as np
import torch
from answers import Answer


def kernel(grey, srgb, diagonal=0.0):
    places = np.arange(len(grey))
    place = (places[:, None] - places) ** 2 / (2 * 2**2)
    K = np.exp(-place - (grey[:, None] - grey) ** 2 / (2 * srgb**2))
    np.fill_diagonal(K, diagonal)
    return K


def share(of_object, of_background):
    return of_object / (of_object + of_background)


def weighted(p, votes):
    return share(p * np.exp(2 * votes), (1 - p) * np.exp(2 * (1 - votes)))


def votes_for_itself(p, grey, srgb):
    K = kernel(grey, srgb, diagonal=1)
    return weighted(p, K @ p / K.sum(axis=1))


def not_renormalised(p, grey, srgb):
    K = kernel(grey, srgb)
    return p * np.exp(2 * K @ p / K.sum(axis=1))


def rows_not_normalised(p, grey, srgb):
    K = kernel(grey, srgb)
    return share(p * np.exp(2 * K @ p), (1 - p) * np.exp(2 * K @ (1 - p)))


def columns_normalised(p, grey, srgb):
    K = kernel(grey, srgb)
    K = K / K.sum(axis=0)
    return share(p * np.exp(2 * K @ p), (1 - p) * np.exp(2 * K @ (1 - p)))


def sum_for_product(p, grey, srgb):
    K = kernel(grey, srgb)
    votes = K @ p / K.sum(axis=1)
    return share(p + np.exp(2 * votes), 1 - p + np.exp(2 * (1 - votes)))


def without_p(p, grey, srgb):
    K = kernel(grey, srgb)
    votes = K @ p / K.sum(axis=1)
    return share(np.exp(2 * votes), np.exp(2 * (1 - votes)))


def votes_alone(p, grey, srgb):
    K = kernel(grey, srgb)
    return K @ p / K.sum(axis=1)


def in_place(p, grey, srgb):
    p *= 2
    return p


def by_loops(p, grey, srgb):
    """Right: loops, and both labels summed for themselves."""
    Q = []
    for i in range(len(p)):
        total, votes = 0.0, [0.0, 0.0]
        for j in range(len(p)):
            if j != i:
                k = np.exp(-((i - j) ** 2) / 8) * np.exp(-((grey[i] - grey[j]) ** 2) / 2 / srgb**2)
                total += k
                votes = [votes[0] + k * p[j], votes[1] + k * (1 - p[j])]
        pair = [p[i] * np.exp(2 * votes[0] / total), (1 - p[i]) * np.exp(2 * votes[1] / total)]
        Q.append(pair[0] / sum(pair))
    return Q


def as_attention(p, grey, srgb):
    """Right: a softmax over the others and one over the labels, in float32."""
    p, grey = torch.tensor(p).float(), torch.tensor(grey).float()
    places = torch.arange(len(p)).float()
    logits = -((places[:, None] - places) ** 2) / 8 - (grey[:, None] - grey) ** 2 / (2 * srgb**2)
    attention = logits.fill_diagonal_(-torch.inf).softmax(dim=1)
    both = torch.stack([p, 1 - p])
    return (both.log() + 2 * both @ attention.T).softmax(dim=0)[0]


wrong = {
    "check_sides": [
        (Answer("background", "background"), ["side_at_13", "have no vote"]),
        (Answer("object", "object"), ["side_at_1000", "alike"]),
        (Answer("object", 0.37), ["must be one of"]),
        (Answer("object", ...), ["not solved yet"]),
    ],
    "check_one_step": [
        (votes_for_itself, ["votes for itself"]),
        (not_renormalised, ["not renormalised"]),
        (rows_not_normalised, ["divide each row of K"]),
        (columns_normalised, ["sums of its columns"]),
        (sum_for_product, ["must be multiplied"]),
        (without_p, ["p is missing"]),
        (votes_alone, ["these are the votes"]),
        (in_place, ["changed its input"]),
        (lambda p, grey, srgb: np.full(len(p), np.nan), ["first differing value 0"]),
        (lambda p, grey, srgb: ..., ["not solved yet"]),
    ],
    "check_srgb": [
        (Answer(13, 1000), ["too wide"]),
        (Answer(13, 100), ["too wide"]),
        (Answer(13, 1), ["too narrow"]),
        (Answer(..., 13), ["prediction", "not solved yet"]),
        (Answer(13, "13"), ["must be one number"]),
        (Answer(13, 0), ["srgb", "0.1"]),
    ],
}
right = {
    "check_sides": [Answer("object", "background")],
    "check_one_step": [by_loops, as_attention],
    "check_srgb": [Answer(3, 15), Answer(1000, np.float32(17))],
}
