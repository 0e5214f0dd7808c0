"""One function over many pictures, in processes, results in order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_order(function: Callable[..., Any], jobs: Iterable[tuple], workers: int) -> Iterator[Any]:
    """function(*job) for every job, like itertools.starmap; the results do not depend on the number of workers.

    At most 4 jobs a worker run ahead of the reader, so jobs may be a generator over more pictures than memory holds.

    Args:
        function: a module's top-level function: workers import it by name.
        jobs: tuples of arguments.
        workers: processes; up to 1 works in this one. A script that asks for more needs `if __name__ == "__main__":`.
    """
    if workers <= 1:
        yield from (function(*job) for job in jobs)
        return
    # never plain fork: a child of a process whose torch has started threads can hang
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    if server:
        context.set_forkserver_preload([function.__module__])
    pool = ProcessPoolExecutor(workers, context)
    ahead: deque = deque()
    # one thread a worker: their libraries read this when they load, those of this process have read it long ago
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        for job in jobs:
            ahead.append(pool.submit(function, *job))
            if len(ahead) >= 4 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool as error:
        error.add_note('a worker process died: out of memory, or a script without `if __name__ == "__main__":`; workers=1 needs neither')
        raise
    finally:  # also when the caller stops early
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
