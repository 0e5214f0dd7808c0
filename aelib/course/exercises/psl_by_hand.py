"""The checks of exercise 14: S-hat and the PSL loss by hand."""

from typing import Any

import numpy as np

from . import say

V_HAND = (0.6, 0.5)  # hare, stag
# background, hare, stag: the sky beside the ear, the first leg and the second
SILENT = np.array([[0.5, 0.4, 0.1], [0.2, 0.35, 0.45], [0.4, 0.35, 0.25]])
LABELLED = [0.7] * 7 + [0.8] * 6  # f of its label, where S has one


def check_s_hat(labels: Any) -> None:
    """S-hat of the three pixels where S is silent, at V_HAND."""
    say.given("S_hat", labels)
    if np.shape(labels) != (3,):
        say.wrong("S_hat", "write three labels: the sky beside the ear, first leg, second leg")
    for value in labels:
        say.given("S_hat", value)
    weights = np.array([1.0, *V_HAND])
    typical = [
        (SILENT, "this is argmax f: each class's f is still to be multiplied by its v"),
        (SILENT * [0, *V_HAND], "the background takes part with weight 1, not 1 - v and not 0"),
        (SILENT * [1, 0.9, 0.1], "this is S-hat at v = (0.9, 0.1), as in the notebook"),
        (SILENT * [1, *V_HAND[::-1]], "v is given as (hare, stag)"),
    ]
    hints = [(f.argmax(axis=1), sentence) for f, sentence in typical]
    right = (SILENT * weights).argmax(axis=1)
    found = np.asarray(labels)
    if (found == right).all():
        return
    for value, sentence in hints:
        if (found == value).all():
            say.wrong("S_hat", sentence)
    names = ("the sky beside the ear", "the first leg", "the second leg")
    wrong = [name for name, one, other in zip(names, found, right, strict=True) if one != other]
    say.wrong("S_hat", f"look again at {say.listed(wrong)}; 0 background, 1 hare, 2 stag")


def check_hand_loss(J_S: Any, J_S_hat: Any) -> None:
    """J(f, S) and J(f, S-hat) of the 4 x 4 picture at V_HAND, to 0.001."""
    say.given("J_S", J_S)
    say.given("J_S_hat", J_S_hat)
    weighted = SILENT * [1, *V_HAND]
    chosen = weighted.argmax(axis=1)
    of_S = -np.log(LABELLED)
    of_silent = -np.log(SILENT[range(3), chosen])
    both = of_S.sum() + of_silent.sum()
    per_pixel = "divide by the number of pixels that the mask labels, not by"
    without_v = "v chooses the label only: the loss is -log f, without v"
    hare, _ = V_HAND
    log_of_S = of_S - np.log([hare] * 7 + [1] * 6)  # -log (v f)
    times_S = of_S * ([hare] * 7 + [1] * 6)  # -v log f
    times_silent = of_silent * np.array([1, *V_HAND])[chosen]
    say.number(
        "J_S",
        J_S,
        of_S.mean(),
        hints=[
            (of_S.sum() / 16, f"{per_pixel} all 16: S labels 13"),
            (of_S.sum() / 29, f"{per_pixel} those of both masks: each J has its own denominator"),
            (of_S.sum(), "divide by the number of labelled pixels"),
            (log_of_S.mean(), without_v),
            (times_S.mean(), without_v),
            (-of_S.mean(), "the sign: J is minus the mean logarithm"),
            (of_S.mean() / np.log(10), "log is the natural logarithm"),
        ],
    )
    by_v = -np.log(weighted.max(axis=1)).sum() + log_of_S.sum()
    argmax = of_S.sum() - np.log(SILENT.max(axis=1)).sum()
    old = of_S.sum() - np.log([0.5, 0.35, 0.4]).sum()
    bare = of_S.sum() - np.log(SILENT[range(3), (SILENT * [0.4, *V_HAND]).argmax(axis=1)]).sum()
    say.number(
        "J_S_hat",
        J_S_hat,
        both / 16,
        hints=[
            (both / 13, f"{per_pixel} 13: S-hat labels all 16, each J has its own denominator"),
            (both / 29, f"{per_pixel} those of both masks: each J has its own denominator"),
            (of_silent.sum() / 3, "S-hat labels all 16 pixels, not only those that S leaves out"),
            (of_silent.sum() / 16, "S-hat labels all 16 pixels, the 13 of S among them"),
            (by_v / 16, without_v),
            ((times_S.sum() + times_silent.sum()) / 16, without_v),
            ((of_S.sum() + times_silent.sum()) / 16, without_v),
            (argmax / 16, "this is the loss of argmax f: v chooses the label"),
            (old / 16, "this is the loss at v = (0.9, 0.1), as in the notebook"),
            (bare / 16, "the weight of the background is 1, not 1 - v"),
            (-both / 16, "the sign: J is minus the mean logarithm"),
            (both / 16 / np.log(10), "log is the natural logarithm"),
        ],
    )
