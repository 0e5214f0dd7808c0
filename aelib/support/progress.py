"""Progress: a bar where somebody watches, lines anywhere else (a bar freezes in saved output)."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

_EVERY = 60  # seconds between two lines on pictures


def live() -> bool:
    """Whether somebody watches this kernel: JupyterLab, VS Code, Colab; not papermill or nbval."""
    return bool({"JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"} & os.environ.keys())


def progress(name: str, total: int = 0, unit: str = "picture") -> Callable[..., None]:
    """A reporter to call as work goes on: report(done, total=total, note="").

    In a terminal or a browser it draws a bar. Elsewhere it prints: for the unit "epoch" a line at
    each call ("  NAME: epoch 1/8, NOTE"), for others a line a minute ("  NAME: 3 of 8 pictures").

    Args:
        name: what is being done.
        total: how much there is to do; 0 if only report() will know.
        unit: what is counted.
    """
    if sys.stdout.isatty() or live():
        return _bar(name, total, unit)
    if unit == "epoch":
        return _line_a_call(name, total, unit)
    return _line_a_minute(name, total, unit)


def _bar(name: str, total: int, unit: str) -> Callable[..., None]:
    from tqdm.auto import tqdm

    def opened(total: int) -> Any:
        return tqdm(desc=name, unit=unit, total=total or None)

    # the first epoch is long, so its bar shows at once; pictures may never come, if a list is wrong
    bar = opened(total) if unit == "epoch" else None

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
