"""Settings that are right one by one, and contradict each other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports this module
    from .settings import Settings


def contradictions(s: "Settings") -> Iterator[str]:
    """Yields what is wrong with values that are right one by one."""
    unpretrained = s.weights == "random"
    if s.object_steps > s.erase_steps:
        steps = f"{s.object_steps} is more than erase_steps, {s.erase_steps}"
        yield f"object_steps: {steps}: regions that were never mined"
    if s.scale_low > s.scale_high:
        yield f"scale_low: {s.scale_low} is more than scale_high, {s.scale_high}"
    if s.dataset != "creatures" and not s.crop:
        which = f"dataset {s.dataset!r} has photographs"
        yield f"crop: 0 takes pictures of one size, and {which}: 321 is the paper's"
    if s.backbone == "small" and (s.frozen or not unpretrained):
        what = "it starts from random ones and learns as a whole"
        yield f"weights, frozen: the small backbone has no ImageNet weights; {what}"
    if s.loaders > 0 and not s.crop:
        why = "one stream of random numbers, which several processes cannot share"
        yield f"loaders: whole pictures (crop: 0) are mirrored by {why}"
    if s.frozen and unpretrained:
        yield f"frozen: {s.frozen} layers of random weights would never learn"
    if s.fc_weights == "vgg" and (s.backbone != "vgg16" or unpretrained):
        yield "fc_weights: 'vgg' needs the backbone vgg16 and its weights"
    if not _valid_scales(s):
        form = "factors from 0.1 to 10, with commas between, such as 0.75,1,1.25"
        yield f"test_scales: {s.test_scales!r} must be {form}"


def _valid_scales(s: "Settings") -> bool:
    try:
        return all(0.1 <= scale <= 10 for scale in s.scales)
    except ValueError:
        return False
