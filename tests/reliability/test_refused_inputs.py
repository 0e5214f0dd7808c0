"""Inputs that a notebook or the command line refuses bind nobody: the mended call works."""

import pytest
from tiny import PHOTOS, TINY, make_folder

from aelib.course import headless, start
from aelib.pipeline import stages
from aelib.pipeline.run import Run, RunError

BAD = {"data_root": "gone", "classes": "dics"}  # the value that is wrong, by setting


def asked(tmp_path, **changes):
    more = {"dataset": "folder", "data_root": str(tmp_path / "mine")}
    photos = {"backbone": "small", "weights": "random"} | PHOTOS
    return {"profile": "smoke"} | TINY | photos | more | changes


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("step", [stages.prepare, lambda run: stages.pictures(run, "train")])
def test_a_notebook_whose_inputs_were_refused_goes_on_with_others(tmp_path, name, step):
    make_folder(tmp_path / "mine")
    place = {"run_dir": str(tmp_path / "run")}
    with pytest.raises(ValueError, match=BAD[name]):
        step(start(place | asked(tmp_path, **{name: BAD[name]})))
    run = start(place | asked(tmp_path))
    stages.prepare(run)
    assert run.directory == tmp_path / "run" and stages.classes_of(run) == ("disc", "square")
    assert {file.name for file in tmp_path.iterdir()} == {"mine", "run"}


def test_mended_files_need_no_new_kernel(tmp_path):
    run = start({"run_dir": str(tmp_path / "run")} | asked(tmp_path))
    with pytest.raises(ValueError, match="is no folder"):
        stages.prepare(run)
    make_folder(tmp_path / "mine")
    stages.prepare(run)
    assert start({"run_dir": str(tmp_path / "run")} | asked(tmp_path)).finished("data")


def test_the_command_takes_a_directory_that_a_notebook_only_opened(tmp_path, monkeypatch):
    start({"run_dir": str(tmp_path / "run"), "profile": "smoke", "delta": 0.5})
    monkeypatch.setattr(headless, "execute_notebooks", lambda run: {"seed": run.settings.seed})
    assert headless.run_course(tmp_path / "run", "smoke", seed=3) == {"seed": 3}
    run = Run(tmp_path / "run", "smoke")
    assert (run.settings.seed, run.settings.delta) == (3, 0.5)
    with pytest.raises(RunError, match="was made with seed = 3, not 4"):
        Run(tmp_path / "run", "smoke", seed=4)
