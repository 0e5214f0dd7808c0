"""Which stages a whole course makes."""

from ..settings import Settings
from .scoring import FULL, truth_there


def all_names(settings: Settings) -> list[str]:
    """The stages of a whole course, each after what it reads.

    Raises:
        ValueError: the data set, which says whether there are masks, cannot be read.
    """
    steps = range(1, settings.erase_steps + 1)
    names = ["data", "data-val"]
    for k in steps:
        names += [f"classifier-{k}", f"regions-{k}", f"scores-mined-{k}"]
    names += ["saliency", *(f"pseudo-masks-{k}" for k in steps)]
    for name in (*(f"AE-step{k}" for k in steps), "AE+PSL"):
        names += [f"network-{name}", f"scores-{name}"]
    names += ["refined", "network-AE+PSL++", "scores-AE+PSL++"]
    if truth_there(settings):
        names += [f"network-{FULL}", f"scores-{FULL}"]
    return names
