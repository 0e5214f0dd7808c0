"""A run's stages made side by side, by workers of one thread each: `python -m aelib run --jobs N`.

Two trainings of one thread each are faster than one after the other with two, as small networks
keep two threads busy for half the time. One thread sums in another order than two do, so the last
bits of the weights are those of a run with OMP_NUM_THREADS=1, whatever N is.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from . import stages
from .directory import hold, read_settings
from .run import Run, RunError
from .settings import Settings
from .studies.cluster import connected


def make_all(run: Run, jobs: int) -> None:
    """Make every stage of a whole course that the run lacks, `jobs` at a time.

    A stage is made as soon as all that it reads is there; of those that could be, the one with most
    stages in a row behind it. Each prints its lines when it is finished. A worker that dies is
    replaced, and its training goes on from its last epoch.

    Raises:
        RunError: somebody else makes stages of this run, a stage failed, or its workers died four
            times; what is finished is kept.
    """
    names = stages.all_names(run.settings)
    if run.make:  # a derived run: what another has need not be made
        for name in names:
            maker, of = stages.find(name)
            if not run.finished(name):
                maker.share(run, *of)
    missing = [name for name in names if not run.finished(name)]
    if not missing:
        return
    with hold(run.directory, "stage", f"{jobs} jobs"), connected(workers=jobs) as client:
        for output in _outputs(client, run, missing):
            print(output, end="", flush=True)


def _outputs(client: Any, run: Run, missing: Sequence[str]) -> Iterator[str]:
    """Yields what each stage printed, as they are finished."""
    from distributed import KilledWorker, as_completed  # takes a second to import

    behind = ranks(run.settings, missing)
    futures: dict[str, Any] = {}
    for name in missing:
        after = [futures[read] for read in _reads(run.settings, name) if read in futures]
        options = {"key": name, "pure": False, "priority": behind[name]}
        futures[name] = client.submit(_make, run.directory, name, after, **options)
    for future in as_completed(futures.values()):
        try:
            yield future.result()
        except KilledWorker as error:
            kept = "what is finished, and a training up to its last epoch, is kept"
            what = f"{future.key}: its workers died (out of memory?)"
            raise RunError(f"{what}; {kept}: try fewer --jobs") from error


def ranks(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """How many stages in a row wait for each of them.

    Args:
        names: each after what it reads.
    """
    behind = dict.fromkeys(names, 0)
    for name in reversed(names):
        for read in _reads(settings, name):
            if read in behind:
                behind[read] = max(behind[read], behind[name] + 1)
    return behind


def _reads(settings: Settings, name: str) -> list[str]:
    maker, of = stages.find(name)
    return maker.reads(settings, *of)


def _make(directory: Path, name: str, after: Sequence[str]) -> str:
    """Make one stage, in a worker; returns what it printed.

    Args:
        after: what the stages printed that it waits for; what matters is that they are made.
    """
    torch.set_num_threads(1)
    output = io.StringIO()
    profile = read_settings(directory / "settings.json").profile
    run = Run(directory, profile, workers=1, loaders=0)
    run.held, run.make = True, None
    with redirect_stdout(output):
        stages.make(run, name)
    return output.getvalue()
