"""The list of runs, and how one goes."""

import os

import pytest

from aelib.pipeline.derived import derive
from aelib.pipeline.listing import list_runs, remove
from aelib.pipeline.run import Run, RunError, hold
from aelib.pipeline.verify import verify


def size_on_disk(folder) -> int:
    """Bytes of all files, each counted once however many names it has."""
    files = {
        file.stat().st_ino: file.stat().st_size for file in folder.rglob("*") if file.is_file()
    }
    return sum(files.values())


def test_runs_are_listed_with_what_differs_and_shared_files_count_once(tiny_run):
    folder = tiny_run.directory.parent
    derive(derive(tiny_run, delta=0.5), background_threshold=0.3)
    Run(folder / "a", "smoke", seed=3)
    (folder / "notes").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "settings.json").write_text('{"profile": "old"}')
    rows = {row.name: row for row in list_runs(folder)}
    derived = ["run,background_threshold=0.3,delta=0.5", "run,delta=0.5"]
    assert [*rows] == ["a", "broken", "run", *derived]
    assert rows["a"].differs == {"profile": "smoke", "seed": 3}
    assert rows["run"].differs["train_images"] == 8
    assert rows[derived[0]].differs == {"background_threshold": 0.3, "delta": 0.5}
    assert rows[derived[1]].differs == {"delta": 0.5}
    assert "not of this version" in str(rows["broken"].differs)
    assert sum(row.bytes for row in rows.values()) == size_on_disk(folder)
    assert rows["run"].bytes == size_on_disk(tiny_run.directory)
    assert 0 < rows[derived[1]].bytes < 30_000
    assert rows["a"].date.startswith("20") and len(rows["a"].date) == 16


def test_there_may_be_no_run(tmp_path):
    assert list_runs(tmp_path) == [] and list_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("first", ["run", "run,prohibit_threshold=0.3"])
def test_removing_one_run_hurts_none_that_shares_with_it(tiny_run, first):
    derived = derive(tiny_run, prohibit_threshold=0.3)
    directories = {tiny_run.directory.name: tiny_run, derived.directory.name: derived}
    gone = directories.pop(first)
    (left,) = directories.values()
    remove(gone.directory)
    assert not gone.directory.exists() and verify(left.directory) == []
    assert left.file("classifier-1", "weights.safetensors").exists()
    assert [row.name for row in list_runs(left.directory.parent)] == [left.directory.name]


def test_what_is_no_run_or_is_in_use_stays(tiny_run, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    for stranger in (tmp_path / "thesis", tmp_path / "nowhere"):
        with pytest.raises(RunError, match="is no run directory"):
            remove(stranger)
    assert (tmp_path / "thesis" / "thesis.tex").exists()
    before = {*tiny_run.directory.rglob("*")}
    for kind in ("stage", "course"):
        in_use = pytest.raises(RunError, match=f"is in use by process {os.getpid()}")
        with hold(tiny_run.directory, kind, "a test"), in_use:
            remove(tiny_run.directory)
    assert {file for file in before if file.suffix != ".lock"} <= {*tiny_run.directory.rglob("*")}


def test_a_removal_that_was_killed_can_be_called_again(tiny_run, monkeypatch):
    import shutil

    rmtree = shutil.rmtree
    calls = []

    def killed(folder, **more):
        calls.append(folder)
        if len(calls) == 4:
            raise KeyboardInterrupt
        rmtree(folder, **more)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(tiny_run.directory)
    remove(tiny_run.directory)
    assert not tiny_run.directory.exists()
