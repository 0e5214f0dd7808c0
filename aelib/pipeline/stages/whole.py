"""Which stages a whole course makes."""

from ..settings import Settings
from .learning import warmup_epochs
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
    for k in steps:
        names += [f"network-AE-step{k}", f"scores-AE-step{k}"]
    names += ["warmup"] if warmup_epochs(settings) else []
    names += ["network-AE+PSL", "scores-AE+PSL"]
    names += ["refined", "network-AE+PSL++", "scores-AE+PSL++"]
    if truth_there(settings):
        names += [f"network-{FULL}", f"scores-{FULL}"]
    return names
