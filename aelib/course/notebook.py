"""What notebooks call: `start` in their first cells, `story` in notebook 0."""

from typing import Any

import numpy as np

from ..masks import as_prediction
from ..pipeline import stages
from ..pipeline.run import Run
from ..psl import prohibit
from ..support.files import ROOT
from . import lesson

_JUPYTER = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # names that the kernel binds


def start(namespace: dict[str, Any]) -> Run:
    """Open the run that the parameters cell asks for.

    Where that cell holds nothing but defaults, and there is no runs/classroom yet, this is the run
    that the course ships: any notebook opens at once.

    Every plain value (text, number, True, None) in the notebook's namespace must be `profile`,
    `run_dir` or a setting: papermill itself only warns about an unknown parameter. When the cell
    runs a second time, only the names of the first time count.

    Args:
        namespace: the notebook's globals().

    Raises:
        ValueError, RunError: as Run does.
    """
    parameters = _parameters(namespace)
    directory = parameters.pop("run_dir", "")
    profile = parameters.pop("profile", "classroom")
    if not isinstance(directory, str) or not isinstance(profile, str):
        raise ValueError(
            f"run_dir: {directory!r}, profile: {profile!r}: both must be text; papermill reads "
            "2007_01 as the number 200701 (-r gives it as text), and yes or true as True"
        )
    defaults = (
        not directory
        and profile == "classroom"
        and not any(value is not None for value in parameters.values())
    )
    if defaults and not (ROOT / "runs" / profile).exists():
        directory = str(lesson.unpack())
    run = Run(directory, profile, **parameters)
    namespace["_parameters"] = {"run_dir", "profile", *parameters}
    settings = run.settings
    name = run.directory.name  # no path: committed outputs name no folder of this machine
    print(f"profile {settings.profile}, run directory {name}, seed {settings.seed}")
    return run


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
    panels["S"] = run.images(f"seeds-{object_steps}", one)[0]
    panels["PSL"] = answer("AE+PSL")
    panels["CRF"] = run.images("refined", one)[0]
    panels["second round"] = answer("AE+PSL++")
    panels["truth"] = stages.truth(run, "train").masks[i]
    return image, panels, train.classes
