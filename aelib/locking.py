"""A lock on a run directory that dies with its holder: the operating system lets go of it, however the process ends."""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

_BYTE = 1 << 30  # Windows locks bytes, and keeps others from reading them: one far behind the text


class LockedError(Exception):
    """Somebody else holds the lock; the message says who."""


@contextmanager
def locked(file: Path, what: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of `file` (made when missing, never removed), unless somebody else does, in this process or another.

    Args:
        what: what it is held for; others read it.
        wait: seconds to try for.

    Raises:
        LockedError: it is still held after `wait` seconds.
        OSError: the file cannot be written.
    """
    end = time.monotonic() + wait
    with open(file, "a+", encoding="utf-8") as stream:
        while not _taken(stream):
            if time.monotonic() >= end:
                stream.seek(0)
                raise LockedError(stream.read(1000).strip() or "another process")
            time.sleep(0.1)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}, {what}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
            _release(stream)


def _taken(stream: IO[str]) -> bool:
    try:
        if fcntl:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(stream.fileno(), _BYTE, os.SEEK_SET)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        print(f"{stream.name}: this file system knows no locks ({error.strerror}); take care that nothing else makes stages here", flush=True)
    return True


def _release(stream: IO[str]) -> None:
    if not fcntl:  # closing the file is enough elsewhere
        os.lseek(stream.fileno(), _BYTE, os.SEEK_SET)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
