"""The two cells every notebook opens with."""

import pytest

from aelib.course import start
from aelib.pipeline.run import RunError


def cells(tmp_path, **parameters):
    """A notebook's namespace after its parameters and import cells."""
    return {
        "__name__": "__main__",
        "In": ["", "..."],
        "Out": {},
        "_i1": "...",
        "plots": pytest,
        "profile": "smoke",
        "run_dir": str(tmp_path / "run"),
        **parameters,
    }


def test_start_opens_the_run_with_the_parameters(tmp_path, capsys):
    run = start(cells(tmp_path, seed=5, delta=None))
    assert (run.settings.profile, run.settings.seed, run.directory) == (
        "smoke",
        5,
        tmp_path / "run",
    )
    assert str(tmp_path) not in capsys.readouterr().out  # no path of a machine in a saved notebook


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("detla", 0.4, "did you mean 'delta'"),
        ("delta", "5e-1", "write 1.0e-3"),
        ("seed", True, "seed: True is bool"),
        ("seed", "true", "seed: 'true' is str"),
        ("profile", 3, "must be text"),
        ("run_dir", 2007000032, "must be text"),
        ("classes", [], "classes: \\[\\] is list"),
        ("clases", "cat", "no such setting .*'classes'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_a_directory_is_made(tmp_path, name, value, message):
    with pytest.raises(ValueError, match=message):
        start(cells(tmp_path, **{name: value}))
    assert not (tmp_path / "run").exists()


def test_running_the_cell_again_ignores_what_later_cells_bound_but_not_the_parameters(tmp_path):
    namespace = cells(tmp_path, seed=5)
    start(namespace)
    assert start(namespace | {"i": 3, "total": 2.5}).settings.seed == 5
    with pytest.raises(RunError, match="seed = 5, not 6"):
        start(namespace | {"seed": 6})
