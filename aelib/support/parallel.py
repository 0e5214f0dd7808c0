"""One function over many pictures, in worker processes, with the results in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from typing import Any

#: One thread a process, for libraries that are yet to be loaded.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AHEAD = 4  # jobs a worker that are submitted before their results are asked for
_DIED = (
    "a worker process died: out of memory, or a script without "
    '`if __name__ == "__main__":`; workers=1 needs neither'
)


def in_order(function: Callable[..., Any], jobs: Iterable[tuple], workers: int) -> Iterator[Any]:
    """Yield function(*job) for every job, like itertools.starmap, whatever the number of workers.

    At most 4 jobs a worker run ahead of the reader, so jobs may be a generator over more pictures
    than memory holds. The workers start with the first call and serve all later ones; they end
    with this process, however it ends.

    Args:
        function: a module's top-level function: workers import it by name.
        jobs: tuples of arguments.
        workers: processes; up to 1 works in this one. A script that asks for more needs
            `if __name__ == "__main__":`.

    Raises:
        BrokenProcessPool: a worker died; the next call has new ones.
    """
    if workers <= 1:
        yield from (function(*job) for job in jobs)
        return
    # the first function's module is there before a worker is, so workers share its memory
    multiprocessing.set_forkserver_preload([function.__module__])
    ahead: deque[Future] = deque()
    try:
        for job in jobs:
            ahead.append(_submit(workers, function, job))
            if len(ahead) >= _AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        error.add_note(_DIED)
        raise
    finally:  # also when the caller stops early
        for future in ahead:
            future.cancel()


def _submit(workers: int, function: Callable[..., Any], job: tuple) -> Future:
    # a worker starts when a job comes and none is idle; its libraries read this when they load
    with environment(**ONE_THREAD):
        try:
            return _pool(workers).submit(function, *job)
        except BrokenProcessPool:  # what was asked of it before says so itself
            _pool.cache_clear()
            return _pool(workers).submit(function, *job)


@cache
def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, _context(), initializer=_serve)


def _context() -> multiprocessing.context.BaseContext:
    """Never plain fork: a child of a process whose torch has started threads can hang."""
    server = "forkserver" in multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if server else "spawn")


def _serve() -> None:
    """What a worker begins with: Ctrl-C is its parent's business, whose end is its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # the other threads wait for jobs that nobody sends


@contextmanager
def environment(**changes: str) -> Iterator[None]:
    """Environment variables set for a while; at the end all are as they were, whoever set them."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
