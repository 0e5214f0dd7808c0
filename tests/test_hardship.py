"""Full disk, read-only folder, vanished files, odd clocks and odd paths: a clear message, and a run that goes on when the trouble is over."""

import errno
import os
import shutil
import sys
import time

import pytest
from tiny import TINY, make_everything

from aelib import locking, pipeline, stages
from aelib.__main__ import main
from aelib.runs import Run, RunError
from aelib.verify import verify


def contents(run: Run) -> dict[str, bytes]:
    """Every file of every stage."""
    return {
        str(f.relative_to(run.directory)): f.read_bytes() for f in sorted(run.directory.glob("*/*")) if f.parent.name not in ("notebooks", "report")
    }


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize(("limit", "stage"), [(300, "data"), (5_000, "classifier-1"), (100_000, "classifier-1")])
def test_a_full_disk_stops_the_stage_with_its_name_and_the_run_goes_on_once_there_is_room(tiny_runs, tmp_path, limit, stage):
    """A limit on the size of files fails a write midway, as a full disk does."""
    import resource

    run = Run(tmp_path / "run", "smoke", **TINY)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(RunError, match=rf"^{stage} stopped: .*{os.strerror(errno.EFBIG)}.*what is finished.*is kept"):
            make_everything(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert verify(run.directory) == [] and not run.finished(stage)
    make_everything(run)
    assert contents(run) == contents(tiny_runs[0])


def read_only(*_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_read_only_run_is_read_and_refused_by_name_when_a_stage_is_to_be_made(tiny_run, monkeypatch):
    shutil.rmtree(tiny_run.directory / "seeds-2")
    monkeypatch.setattr(locking, "open", read_only, raising=False)
    run = Run(tiny_run.directory, "smoke")
    stages.merge_seeds(run, 1)  # finished: nothing to write
    assert len(stages.regions(run, 2)) == TINY["train_images"]
    with pytest.raises(RunError, match=rf"seeds-2 stopped: .*{os.strerror(errno.EROFS)}.*{run.directory}"):
        stages.merge_seeds(run, 2)


def test_a_run_that_vanishes_while_a_stage_is_made(tmp_path):
    run = Run(tmp_path / "run", "smoke")
    with pytest.raises(RunError, match=f"a stopped: .*{os.strerror(errno.ENOENT)}"), run.making("a") as folder:
        shutil.rmtree(run.directory)
        (folder / "x.json").write_text("1")
    with pytest.raises(RunError, match="a is needed and not there"):
        run.file("a", "x.json")
    with pytest.raises(RunError, match="stopped"), run.making("a"):
        raise AssertionError


def test_a_clock_that_jumps_makes_nothing_again_and_changes_no_number(tiny_runs, tmp_path, monkeypatch, capsys):
    run = Run(tmp_path / "run", "smoke", **TINY)
    stages.mine(run, 1)
    stages.find_saliency(run)
    for number, file in enumerate(sorted(run.directory.rglob("*"))):
        os.utime(file, (number % 2 * 4e9,) * 2)  # 1970, or 2096
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 1e9)
    capsys.readouterr()
    make_everything(run)
    made = [line.removesuffix(" ...") for line in capsys.readouterr().out.splitlines() if line.endswith(" ...")]
    assert "classifier-1" not in made and "saliency" not in made and len(made) == len(set(made))
    assert contents(run) == contents(tiny_runs[0])


@pytest.mark.parametrize("name", ["with spaces", "Über Größe – 日本", "100% [x] {y} $HOME 'z' #&"])
def test_a_run_lives_under_any_name(tiny_runs, tmp_path, name, monkeypatch, capsys):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    seen = []
    monkeypatch.setattr(pipeline, "run_course", lambda directory, *_, **__: seen.append(directory))
    assert main(["run", "--profile", "smoke", "--out", f"../{name}/run"]) == 0  # relative to where the command was typed
    run = Run(seen[0], "smoke", **TINY)
    assert (tmp_path / name / "run" / "settings.json").exists()
    make_everything(run)
    run.seal()
    assert contents(run) == contents(tiny_runs[0])
    assert main(["verify", "run"]) == 0
