"""`python -m aelib runs`, `runs rm`, and `run --from`: runs that share, from the command line."""

import os

import pytest

from aelib.__main__ import main
from aelib.pipeline.derived import derive
from aelib.pipeline.run import Run, hold
from aelib.pipeline.verify import verify


@pytest.fixture
def folder(tiny_run, monkeypatch):
    """A folder of runs: `run`, and one derived from it."""
    monkeypatch.setenv("AELIB_RUNS", str(tiny_run.directory.parent))
    derive(tiny_run, background_threshold=0.3)
    return tiny_run.directory.parent


def on_disk(*directories):
    """Bytes of the files in these folders, a file that is in several counted once."""
    files = [file.stat() for d in directories for file in d.rglob("*") if file.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in files}.values())


def test_runs_lists_what_differs_and_counts_shared_files_once(folder, capsys):
    assert main(["runs"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "run" and first.split()[2] == "MB"
    assert second.split()[0] == "run,background_threshold=0.3"
    assert second.endswith("background_threshold = 0.3")
    total = on_disk(folder / "run", folder / "run,background_threshold=0.3")
    assert last == f"2 runs in {folder}, {total / 1e6:.1f} MB"
    alone = float(second.split()[1])
    assert alone < float(first.split()[1]) / 2  # most of it is the first run's


def test_runs_lists_nothing_where_there_is_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AELIB_RUNS", str(tmp_path / "none"))
    assert main(["runs"]) == 0
    assert capsys.readouterr().out.startswith("0 runs in ")


@pytest.mark.parametrize("name", ["run", "run,background_threshold=0.3"])
def test_rm_removes_one_and_the_other_stays_whole(folder, name):
    assert main(["runs", "rm", name]) == 0
    left = {"run", "run,background_threshold=0.3"} - {name}
    assert {file.name for file in folder.iterdir()} == left
    assert verify(folder / left.pop()) == []


def test_rm_takes_a_directory_and_refuses_what_is_no_run_or_is_in_use(folder, tmp_path, capsys):
    (folder / "notes").mkdir()
    (folder / "notes" / "x").write_text("mine")
    assert main(["runs", "rm", "notes"]) == 2
    assert "no run directory" in capsys.readouterr().err
    assert main(["runs", "rm", "nothing"]) == 2
    with hold(folder / "run", "stage", "classifier-1"):
        assert main(["runs", "rm", "run"]) == 2
    assert "is in use" in capsys.readouterr().err
    assert (folder / "run" / "settings.json").exists() and (folder / "notes" / "x").exists()
    elsewhere = Run(tmp_path / "elsewhere" / "b", "smoke").directory
    assert main(["runs", "rm", str(elsewhere)]) == 0
    assert not elsewhere.exists()


def asked(folder, *more):
    return ["run", "--from", str(folder / "run"), *more]


@pytest.fixture
def executed(monkeypatch):
    """The runs that the course was executed in; no notebook is."""
    from aelib.course import headless

    runs = []
    monkeypatch.setattr(headless, "execute_notebooks", lambda run: runs.append(run) or {})
    return runs


def test_run_from_a_run_shares_what_the_setting_cannot_change(folder, executed, capsys):
    assert main(asked(folder, "-p", "psl_warmup", "0.25")) == 0
    run = executed[0]
    assert run.directory == folder / "run,psl_warmup=0.25" and run.settings.psl_warmup == 0.25
    assert "psl_warmup = 0.25" in capsys.readouterr().out
    weights = [
        place / "classifier-1" / "weights.safetensors" for place in (run.directory, folder / "run")
    ]
    assert os.path.samefile(*weights)
    assert main(asked(folder, "-p", "psl_warmup", "0.25", "--out", str(folder / "mine"))) == 0
    assert executed[1].directory == folder / "mine" and executed[1].settings == run.settings


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["-p", "delta", "5"], "delta: 5.0 is outside"),
        (["-p", "detla", "0.4"], "did you mean 'delta'"),
        (["-p", "object_steps", "9"], "more than erase_steps"),
        (["--profile", "smoke"], "leave one out"),
        (["-p", "data_root", "x" * 300], "--out"),
    ],
)
def test_run_from_refuses_what_is_wrong_and_makes_nothing(folder, executed, capsys, more, message):
    there = {file.name for file in folder.iterdir()}
    assert main(asked(folder, *more)) == 2
    assert message in capsys.readouterr().err
    assert {file.name for file in folder.iterdir()} == there and executed == []


def test_run_from_nothing_says_so(tmp_path, executed, capsys):
    assert main(["run", "--from", str(tmp_path / "gone"), "-p", "delta", "0.5"]) == 2
    assert "is no run directory" in capsys.readouterr().err and executed == []
