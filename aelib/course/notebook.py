"""What notebooks call: `start` in their first cells, `story` in notebook 0."""

from typing import Any

import numpy as np

from ..masks import as_prediction
from ..pipeline import stages
from ..pipeline.derived import derive, opening_line
from ..pipeline.directory import SETTINGS, runs_folder
from ..pipeline.run import Run
from ..pipeline.settings import make
from ..psl import prohibit
from ..support.errors import InputError
from ..support.files import ROOT
from . import lesson
from .cells import explain_names

_JUPYTER = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # names that the kernel binds


def start(namespace: dict[str, Any], *others: str) -> Run:
    """Open the run that the parameters cell asks for, and say in one line which it is.

    Without `run_dir` that is the profile's own run. For `classroom`, until there is one, it is the
    run that the course ships: any notebook opens at once. Where the cell asks for a setting that
    this run was not made with, a run derived from it opens, which shares all that the setting
    cannot change. A `run_dir` that is not there yet is made with the settings asked for.

    Every plain value (text, number, True, None) in the notebook's namespace must be `profile`,
    `run_dir` or a setting: papermill itself only warns about an unknown parameter. When the cell
    runs a second time, only the names of the first time count.

    Args:
        namespace: the notebook's globals().
        others: names in its parameters cell that are neither.

    Raises:
        InputError, RunError: as Run and derive do.
    """
    explain_names()
    parameters = _parameters(namespace)
    known = {"run_dir", "profile", *parameters}
    for name in others:
        parameters.pop(name, None)
    directory = parameters.pop("run_dir", "")
    profile = parameters.pop("profile", "classroom")
    if not isinstance(directory, str) or not isinstance(profile, str):
        raise InputError(
            f"run_dir: {directory!r}, profile: {profile!r}: both must be text; papermill reads "
            "2007_01 as the number 200701 (-r gives it as text), and yes or true as True"
        )
    run = _opened(directory, profile, parameters)
    namespace["_parameters"] = known
    s, name = run.settings, run.directory.name  # no path: outputs name no folder of this machine
    print(opening_line(run) or f"profile {s.profile}, run directory {name}, seed {s.seed}")
    return run


def _opened(directory: str, profile: str, parameters: dict[str, Any]) -> Run:
    """The run at hand, or the one derived from it that has these settings."""
    make(profile, **dict.fromkeys(parameters))  # refuses names that are no settings
    own = runs_folder() / profile
    if directory:
        own = ROOT / directory
    elif profile == "classroom" and not own.exists():
        own = lesson.unpack()
    if not (own / SETTINGS).exists():
        make(profile, **parameters)  # refuses a wrong value before a directory is made
        if directory:
            return Run(own, profile, **parameters)
    return derive(Run(own, profile), **parameters)


def _parameters(namespace: dict[str, Any]) -> dict[str, Any]:
    """Return the namespace's plain values, by name."""
    known = namespace.get("_parameters")  # set by an earlier call of `start`
    found = {}
    for name, value in namespace.items():
        plain = value is None or isinstance(value, (str, int, float, bool, list, dict))
        ours = not name.startswith("_") and name not in _JUPYTER
        if plain and ours and (not known or name in known):
            found[name] = value
    return found


def story(run: Run) -> tuple[np.ndarray, dict[str, np.ndarray], tuple[str, ...]]:
    """Follow one training picture through all stages, for `plots.masks`.

    Returns:
        The image, label maps of it by name, the classes.
    """
    object_steps, train = run.settings.object_steps, stages.pictures(run, "train")
    i = int(train.labels.sum(axis=1).argmax())  # the first of those that show most classes
    one, image = (train.ids[i],), train.images[i]
    v = stages.confidences(run, [image])

    def answer(name: str) -> np.ndarray:
        f = next(stages.probabilities(run, stages.network(run, name), [image]))
        return prohibit(f[None], v)[0].byte().numpy()

    panels = {}
    for step in (1, object_steps):
        panels[f"step {step}: mined"] = as_prediction(stages.regions(run, step)[i])
    panels["S"] = run.images(f"pseudo-masks-{object_steps}", one)[0]
    panels["PSL"] = answer("AE+PSL")
    panels["CRF"] = run.images("refined", one)[0]
    panels["second round"] = answer("AE+PSL++")
    panels["truth"] = stages.truth(run, "train").masks[i]
    return image, panels, train.classes
