"""The jobs on a Dask cluster: this machine's cores, or any cluster that is there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...support.errors import InputError
from ...support.parallel import environment
from .cells import failure, run_quietly
from .plan import Job


@contextmanager
def connected(address: str = "", workers: int = 0) -> Iterator[Any]:
    """A dask.distributed Client; a local cluster ends with it, another one stays.

    Args:
        address: of a scheduler whose workers see the same files; "" starts a local cluster.
        workers: of the local cluster, processes of one thread; 0 is one a core.

    Raises:
        InputError: nothing answers at the address.
    """
    from distributed import Client, LocalCluster  # takes a second to import

    if address:
        try:
            client = Client(address, timeout=20)
        except (OSError, ValueError) as error:
            cure = "start one (`dask scheduler`, `dask worker ADDRESS`), or leave --scheduler out"
            raise InputError(f"--scheduler: {address} does not answer ({error}); {cure}") from error
        with client:
            yield client
        return
    options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
    number = workers or os.cpu_count() or 1
    with (
        environment(),  # Dask sets its workers' variables, one thread among them, in this process
        LocalCluster(n_workers=number, silence_logs="CRITICAL", **options) as local,
        Client(local) as client,
    ):
        yield client


def outcomes(client: Any, jobs: Sequence[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yields each job with its outcome (`cells.run_job`), as they are done.

    A job whose worker died is tried again by Dask, which gives up after the fourth death.

    Args:
        client: of `connected`.
        jobs: each after those it waits for.
    """
    from distributed import as_completed

    futures: dict[Any, Any] = {}
    for job in jobs:
        after = [futures[directory] for directory in job.after if directory in futures]
        key = f"study-{job.directory.name}"
        futures[job.directory] = client.submit(run_quietly, job, after, key=key, pure=False)
    by_key = {future.key: job for job, future in zip(jobs, futures.values(), strict=True)}
    for future in as_completed(futures.values()):
        job = by_key[future.key]
        if future.status == "finished":
            yield job, future.result()
        else:
            message = f"{type(future.exception()).__name__}: {future.exception()}"
            yield job, {"rows": [], "failed": [failure(job, c, message) for c in job.cells]}
