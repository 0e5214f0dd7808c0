"""The two cells every notebook opens with."""

import json

import pytest

from aelib.course import lesson, start
from aelib.pipeline.run import Run, RunError


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
        ("detla", None, "did you mean 'delta'"),
        ("delta", "5e-1", "write 1.0e-3"),
        ("seed", True, "seed: True is bool"),
        ("seed", "true", "seed: 'true' is str"),
        ("profile", 3, "must be text"),
        ("run_dir", 2007000032, "must be text"),
        ("classes", [], "classes: \\[\\] is list"),
        ("clases", "cat", "no such setting .*'classes'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_a_directory_is_made(
    tmp_path, monkeypatch, name, value, message
):
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path / "runs"))
    for place in ("", str(tmp_path / "run")):
        with pytest.raises(ValueError, match=message):
            start(cells(tmp_path) | {"run_dir": place, name: value})
    assert list(tmp_path.iterdir()) == []


def test_running_the_cell_again_ignores_what_later_cells_bound_but_not_the_parameters(tmp_path):
    namespace = cells(tmp_path, seed=5)
    first = start(namespace)
    again = start(namespace | {"i": 3, "total": 2.5})
    assert (again.settings, again.directory) == (first.settings, first.directory)
    assert start(namespace | {"seed": 6}).settings.seed == 6


def test_another_value_opens_a_run_beside_it_and_the_old_one_the_first(tmp_path, capsys):
    namespace = cells(tmp_path, delta=None, object_steps=None)
    first = start(namespace)
    with first.making("numbers") as made:
        (made / "x.json").write_text("[1]")
    before = {file: file.read_bytes() for file in first.directory.rglob("*") if file.is_file()}
    capsys.readouterr()
    other = start(namespace | {"delta": 0.5, "object_steps": 2})
    assert other.directory == tmp_path / "run,delta=0.5,object_steps=2"
    assert (other.settings.delta, other.settings.object_steps) == (0.5, 2)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1 and "delta = 0.5 (run: 0.2)" in said
    assert start(namespace | {"delta": 0.2}).directory == first.directory
    assert start(namespace | {"run_dir": str(other.directory)}).directory == other.directory
    back = {"run_dir": str(other.directory), "delta": 0.2, "object_steps": 3}
    assert start(namespace | back).directory == first.directory
    after = {file: file.read_bytes() for file in first.directory.rglob("*") if file.is_file()}
    assert after == before


def test_settings_are_held_against_the_run_at_hand_not_against_the_profile(tmp_path):
    namespace = cells(tmp_path, delta=None, object_steps=None, erase_steps=6)
    start(namespace)
    assert start(namespace | {"erase_steps": None, "object_steps": 5}).settings.erase_steps == 6
    there = {file.name for file in tmp_path.iterdir()}
    for wrong, message in (({"object_steps": 7}, "more than erase_steps"), ({"delta": 5}, "delta")):
        with pytest.raises(ValueError, match=message):
            start(namespace | {"erase_steps": None} | wrong)
    with pytest.raises(RunError, match="'smoke', not 'classroom'"):
        start(namespace | {"profile": "classroom"})
    assert {file.name for file in tmp_path.iterdir()} == there


def test_which_run_is_at_hand(tmp_path, monkeypatch):
    """The shipped run until there is a classroom run; a profile's own; the one asked for."""
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path))
    monkeypatch.setattr(lesson, "unpack", lambda: Run(tmp_path / "lesson").directory)
    default = {"profile": "classroom", "run_dir": ""}

    def opened(**parameters):
        return start(default | parameters).directory.relative_to(tmp_path).as_posix()

    assert opened(seed=None) == "lesson"
    assert opened(seed=1) == "lesson,seed=1"
    assert opened(profile="smoke", seed=None) == "smoke"
    assert opened(profile="smoke", seed=5) == "smoke,seed=5"
    assert opened(run_dir=str(tmp_path / "mine"), seed=1) == "mine"
    assert json.loads((tmp_path / "mine" / "settings.json").read_text())["seed"] == 1
    with pytest.raises(ValueError, match="no such setting"):
        opened(detla=None)
    Run(tmp_path / "classroom")
    assert opened(seed=None) == "classroom"
    assert opened(seed=1) == "classroom,seed=1"
