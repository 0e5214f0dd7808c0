"""What the first cells of every notebook need: strict parameters, and progress that suits where it runs."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from . import lesson
from .runs import ROOT, Run

_JUPYTER = {"In", "Out", "exit", "quit", "open", "get_ipython"}


def start(namespace: dict[str, Any]) -> Run:
    """Open the run that the parameters cell asks for.

    With nothing but defaults, and no runs/classroom yet, that is the run the course ships, so that any notebook opens at once.

    Every plain value (text, number, True, None) in the notebook's namespace must be `profile`, `run_dir` or a setting: papermill
    itself only warns about an unknown parameter. Names bound later, when the cell is run a second time, are let be.

    Args:
        namespace: the notebook's globals().

    Raises:
        ValueError, RunError: as Run does.
    """
    plain = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in _JUPYTER and (value is None or isinstance(value, (str, int, float, bool, list, dict)))
    }
    if known := namespace.get("_parameters"):
        plain = {name: value for name, value in plain.items() if name in known}
    directory, profile = plain.pop("run_dir", ""), plain.pop("profile", "classroom")
    if not isinstance(directory, str) or not isinstance(profile, str):
        hint = "papermill reads 2007_01 as the number 200701 (-r gives it as text), and yes or true as True"
        raise ValueError(f"run_dir: {directory!r}, profile: {profile!r}: both must be text; {hint}")
    if not directory and profile == "classroom" and not (ROOT / "runs" / profile).exists() and all(value is None for value in plain.values()):
        directory = str(lesson.unpack())  # nothing was asked for and nothing computed: the run that the course ships
    run = Run(directory, profile, **plain)
    namespace["_parameters"] = {"run_dir", "profile", *plain}
    print(f"profile {run.settings.profile}, run directory {run.directory.name}, seed {run.settings.seed}")
    return run


def live() -> bool:
    """Whether somebody sits in front of this kernel: JupyterLab, VS Code or Colab, and not papermill, nbval or a script."""
    return bool({"JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"} & os.environ.keys())


def epoch_report(name: str) -> Callable[[int, int, float], None]:
    """For training.fit: a bar in a terminal or a browser, one line an epoch anywhere else (a bar freezes in saved output)."""
    if not (sys.stdout.isatty() or live()):
        return lambda epoch, epochs, loss: print(f"  {name}: epoch {epoch}/{epochs}, loss {loss:.4f}", flush=True)
    from tqdm.auto import tqdm

    bar = tqdm(desc=name, unit="epoch")

    def report(epoch: int, epochs: int, loss: float) -> None:
        bar.total = epochs
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update(epoch - bar.n)
        if epoch == epochs:
            bar.close()

    return report


def count_report(name: str, total: int = 0) -> Callable[..., None]:
    """For work on many pictures, called with the number done (and of all, if it is not known before): a bar, or headless a line a minute."""
    if not (sys.stdout.isatty() or live()):
        last = time.monotonic()

        def line(done: int, total: int = total) -> None:
            nonlocal last
            if time.monotonic() - last > 60:
                last = time.monotonic()
                print(f"  {name}: {done} of {total} pictures", flush=True)

        return line
    from tqdm.auto import tqdm

    bar = None

    def report(done: int, total: int = total) -> None:
        nonlocal bar
        bar = bar or tqdm(desc=name, unit="picture", total=total)  # not before there is something to say
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return report
