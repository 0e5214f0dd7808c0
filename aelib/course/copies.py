"""Copies of the course for sheets that are graded: what one of them writes there reaches no other.

A copy holds the package and a run, and no solutions. Copying thousands of files takes
seconds, so a copy is lent again: what has changed in it is restored first.
"""

import compileall
import os
import queue
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..support.files import ROOT, sha256
from .exercises.assemble import SHEETS

State = dict[str, tuple[int, ...]]  # of each file: what the system changes with its content


class Copies:
    """The course as it was when this was made, in `number` copies to lend.

    Args:
        folder: an empty folder for them.
        run: the run that sheets open, a directory.
    """

    def __init__(self, folder: Path, number: int, run: Path) -> None:
        self.original = folder / "original"
        self._first = _digests(ROOT / "aelib", SHEETS)
        _copy_course(self.original, run)
        self._copy_first = _digests(self.original / "aelib")
        self._free: queue.Queue[tuple[Path, State]] = queue.Queue()
        for k in range(number):
            copy = folder / f"copy{k + 1}"
            shutil.copytree(self.original, copy)
            self._free.put((copy, _state(copy)))

    @contextmanager
    def lend(self) -> Iterator[Path]:
        """A copy that nobody else has meanwhile."""
        copy, state = self._free.get()
        try:
            yield copy
        finally:
            _restore(copy, self.original, state)
            self._free.put((copy, _state(copy)))

    def changed(self) -> list[str]:
        """Returns the files of the course itself, and of the original here, that have changed."""
        found = []
        for folders, first in (
            ((ROOT / "aelib", SHEETS), self._first),
            ((self.original / "aelib",), self._copy_first),
        ):
            now = _digests(*folders)
            names = sorted(first.keys() | now.keys())
            found += [name for name in names if first.get(name) != now.get(name)]
        return found


def _copy_course(to: Path, run: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "aelib", to / "aelib", ignore=skip)
    compileall.compile_dir(to / "aelib", quiet=2)
    shutil.copytree(run, to / "runs" / "lesson", ignore=shutil.ignore_patterns(".looks.json"))
    (to / "data").mkdir()
    for file in (ROOT / "data").glob("lesson.*"):
        shutil.copy(file, to / "data")


def _digests(*folders: Path) -> dict[str, str]:
    """The hash of every module and notebook in the folders, by name."""
    files = [file for folder in folders for file in folder.rglob("*")]
    wanted = [file for file in files if file.suffix in (".py", ".ipynb") and file.is_file()]
    return {str(file): sha256(file) for file in wanted}


def _state(folder: Path) -> State:
    """Size, times and inode of all below a folder; the time of change cannot be set by hand."""
    found = {}
    for where, folders, files in os.walk(folder):
        for name in files:
            path = os.path.join(where, name)
            about = os.lstat(path)
            found[path] = (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
        for name in folders:
            path = os.path.join(where, name)
            found[path] = (os.lstat(path).st_mode,)
    return found


def _restore(copy: Path, original: Path, before: State) -> None:
    """Make a copy what it was: remove what is new, bring back what was changed or removed."""
    now = _state(copy) if copy.is_dir() and not copy.is_symlink() else {}
    if not now:
        _remove(copy)
        shutil.copytree(original, copy)
        return
    for path in sorted(now.keys() | before.keys()):
        if now.get(path) == before.get(path):
            continue
        _remove(Path(path))
        source = original / Path(path).relative_to(copy)
        if path in before and source.is_dir():
            shutil.copytree(source, path)
        elif path in before:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder, whatever rights were taken from it and from the folders in it."""
    os.chmod(folder, 0o700)
    for where, names, _ in os.walk(folder):
        for name in names:
            inner = os.path.join(where, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
