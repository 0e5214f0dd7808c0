"""A lock that dies with its holder: the operating system releases it, however the process ends."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOLCK, ENOSYS, EOPNOTSUPP
from pathlib import Path
from typing import IO

from filelock import lock_descriptor, unlock_descriptor

_POLL = 0.1  # seconds between two attempts
_NO_LOCKS = (ENOSYS, ENOLCK, EOPNOTSUPP)  # what file systems without locks answer


class LockedError(Exception):
    """Somebody else holds the lock; the message says who."""


@contextmanager
def locked(file: Path, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of `file`, which is made when missing and never removed.

    Nobody else can hold it meanwhile, in this process or another.

    Args:
        what: what it is held for; others read it.
        wait: seconds to try for.

    Raises:
        LockedError: somebody else still holds it after `wait` seconds.
        OSError: the file cannot be written.
    """
    end = time.monotonic() + wait
    with open(file, "a+", encoding="utf-8") as stream:
        while not _taken(stream):
            if time.monotonic() >= end:
                stream.seek(1)
                raise LockedError(stream.read(1000).strip() or "another process")
            time.sleep(_POLL)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = f"process {os.getpid()} on {socket.gethostname()}, {what}, since {since}"
        stream.truncate(0)
        stream.write(f"\n{holder}\n")  # from byte 1 on: Windows lets nobody read byte 0, the lock
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
            with suppress(OSError):  # there was no lock
                unlock_descriptor(stream.fileno())


def _taken(stream: IO[str]) -> bool:
    """Whether the lock is ours now; on a file system without locks it always is."""
    try:
        return lock_descriptor(stream.fileno(), blocking=False)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        print(
            f"{stream.name}: this file system knows no locks ({error.strerror}); "
            "take care that nothing else makes stages here",
            flush=True,
        )
        return True
