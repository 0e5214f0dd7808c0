"""One function over many pictures, in worker processes, with the results in order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_AHEAD = 4  # jobs a worker that are submitted before their results are asked for
_DIED = (
    "a worker process died: out of memory, or a script without "
    '`if __name__ == "__main__":`; workers=1 needs neither'
)


def in_order(function: Callable[..., Any], jobs: Iterable[tuple], workers: int) -> Iterator[Any]:
    """Yield function(*job) for every job, like itertools.starmap, whatever the number of workers.

    At most 4 jobs a worker run ahead of the reader, so jobs may be a generator over more pictures
    than memory holds.

    Args:
        function: a module's top-level function: workers import it by name.
        jobs: tuples of arguments.
        workers: processes; up to 1 works in this one. A script that asks for more needs
            `if __name__ == "__main__":`.
    """
    if workers <= 1:
        yield from (function(*job) for job in jobs)
        return
    pool = ProcessPoolExecutor(workers, _context(function.__module__))
    ahead: deque = deque()
    try:
        with _one_thread_each():
            for job in jobs:
                ahead.append(pool.submit(function, *job))
                if len(ahead) >= _AHEAD * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
    except BrokenProcessPool as error:
        error.add_note(_DIED)
        raise
    finally:  # also when the caller stops early
        pool.shutdown(cancel_futures=True)


def _context(module: str) -> multiprocessing.context.BaseContext:
    """Never plain fork: a child of a process whose torch has started threads can hang."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """One thread a worker: their libraries read this when they load; ours have read it already."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
