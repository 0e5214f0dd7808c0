"""What lies in a data set's folders and nothing reads: a wrong name looks just like that."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ..support.kinds import pruned

_SHOWN = 3


class Unused(NamedTuple):
    """A place and the names in it that nothing reads."""

    folder: Path
    names: list[str]

    def __str__(self) -> str:
        shown = ", ".join(_described(self.folder / name) for name in self.names[:_SHOWN])
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        return f"{self.folder.name}/: {shown}{more}"


def unused(folder: Path, used: Collection[str]) -> list[Unused]:
    """What lies in a folder besides the names in `used`; [] if nothing does."""
    names = [name for name in pruned(folder) if name not in used]
    return [Unused(folder, names)] if names else []


def _described(file: Path) -> str:
    if not file.is_dir():
        return file.name
    count = len(pruned(file))
    return f"{file.name}/ ({count:,} {'file' if count == 1 else 'files'})"
