"""Progress: a bar where somebody watches, lines anywhere else (a bar freezes in saved output)."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

_EVERY = 60  # seconds between two lines on pictures
_DELAY = 5  # seconds before a bar of pictures appears: most work is done by then
_LONG = ("epoch", "cell")  # units that take so long that each one is told
_watching = False  # whether a bar of `watched` is there now

T = TypeVar("T")


def live() -> bool:
    """Whether somebody watches this kernel: JupyterLab, VS Code, Colab; not papermill or nbval."""
    return bool({"JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"} & os.environ.keys())


def progress(name: str, total: int = 0, unit: str = "picture") -> Callable[..., None]:
    """A reporter to call as work goes on: report(done, total=total, note="").

    In a terminal or a browser it draws a bar: of epochs and cells at once; of pictures if they
    take more than 5 seconds, and it is gone when all are done. Elsewhere it prints: for the units
    "epoch" and "cell" a line at each call ("  NAME: epoch 1/8, NOTE"), for others a line a minute
    ("  NAME: 3 of 8 pictures").

    Args:
        name: what is being done.
        total: how much there is to do; 0 if only report() will know.
        unit: what is counted.
    """
    if _seen():
        return _bar(name, total, unit)
    if unit in _LONG:
        return _line_a_call(name, total, unit)
    return _line_a_minute(name, total, unit)


def watched(items: Iterable[T], name: str, total: int) -> Iterator[T]:
    """Yields the items, one a picture, and counts them in a bar where somebody watches.

    Elsewhere it prints nothing: this is for what notebooks compute on the fly, between stages. Of
    two that are nested, the outer one has the bar.
    """
    global _watching
    if _watching or not _seen():
        yield from items
        return
    _watching, report = True, progress(name, total)
    try:
        for done, item in enumerate(items, start=1):
            report(done)  # first: a zip may never ask for more than the last item
            yield item
    finally:
        _watching = False


def _seen() -> bool:
    return sys.stdout.isatty() or live()


def _bar(name: str, total: int, unit: str) -> Callable[..., None]:
    from tqdm.auto import tqdm

    long = unit in _LONG

    def opened(total: int) -> Any:
        delay = 0 if long else _DELAY
        return tqdm(desc=name, unit=unit, total=total or None, delay=delay, leave=long)

    # the first epoch is long, so its bar shows at once; pictures may never come, if a list is wrong
    bar = opened(total) if long else None

    def report(done: int, total: int = total, note: str = "") -> None:
        nonlocal bar
        if bar is None:
            bar = opened(total)
        bar.total = total
        bar.set_postfix_str(note, refresh=False)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return report


def _line_a_call(name: str, total: int, unit: str) -> Callable[..., None]:
    def report(done: int, total: int = total, note: str = "") -> None:
        print(f"  {name}: {unit} {done}/{total}{', ' if note else ''}{note}", flush=True)

    return report


def _line_a_minute(name: str, total: int, unit: str) -> Callable[..., None]:
    last = time.monotonic()

    def report(done: int, total: int = total, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last > _EVERY:
            last = time.monotonic()
            more = f", {note}" if note else ""
            print(f"  {name}: {done} of {total} {unit}s{more}", flush=True)

    return report
