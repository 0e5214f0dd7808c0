"""Networks of a run, each loaded once in a kernel however many pictures it sees."""

from collections.abc import Callable
from functools import lru_cache

from ..models import LargeFOV
from ..pipeline import stages
from ..pipeline.run import Run


def classifier(run: Run, step: int) -> LargeFOV:
    """`stages.classifier`, kept for the next picture."""
    return _kept(stages.classifier, run, step, _hash(run, f"classifier-{step}"))


def network(run: Run, name: str) -> LargeFOV:
    """`stages.network`, kept for the next picture."""
    return _kept(stages.network, run, name, _hash(run, f"network-{name}"))


@lru_cache(maxsize=8)  # four classifiers and three networks, and one of another run
def _kept(load: Callable[..., LargeFOV], run: Run, which: int | str, weights: str) -> LargeFOV:
    """The network. A stage that was made anew has another hash of `weights`."""
    return load(run, which)


def _hash(run: Run, stage: str) -> str:
    return run.files(stage)["weights.safetensors"]
