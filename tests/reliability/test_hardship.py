"""Full disk, read-only folder, vanished files, odd clocks and odd paths.

Each leads to a clear message, and the run goes on when the trouble is over.
"""

import errno
import os
import shutil
import sys
import time

import pytest
from tiny import TINY, make_everything

from aelib.__main__ import main
from aelib.course import headless
from aelib.pipeline import stages
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.verify import verify
from aelib.support import lock


def contents(run: Run) -> dict[str, bytes]:
    """Every file of every stage."""
    files = [f for f in run.directory.glob("*/*") if f.parent.name not in ("notebooks", "report")]
    return {str(file.relative_to(run.directory)): file.read_bytes() for file in files}


LIMITS = [(300, "data"), (5_000, "classifier-1"), (100_000, "classifier-1")]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize(("limit", "stage"), LIMITS)
def test_a_full_disk_stops_the_stage_with_its_name_and_the_run_goes_on_once_there_is_room(
    tiny_runs, tmp_path, limit, stage
):
    """A limit on the size of files fails a write midway, as a full disk does."""
    import resource

    run = Run(tmp_path / "run", "smoke", **TINY)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    reason = os.strerror(errno.EFBIG)
    message = rf"^{stage} stopped: .*{reason}.*what is finished.*is kept"
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(RunError, match=message):
            make_everything(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert verify(run.directory) == [] and not run.finished(stage)
    make_everything(run)
    assert contents(run) == contents(tiny_runs[0])


def read_only(*_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_read_only_run_is_read_and_refused_by_name_when_a_stage_is_to_be_made(
    tiny_run, monkeypatch
):
    shutil.rmtree(tiny_run.directory / "pseudo-masks-2")
    monkeypatch.setattr(lock, "open", read_only, raising=False)
    run = Run(tiny_run.directory, "smoke")
    stages.make_pseudo_masks(run, 1)  # finished: nothing to write
    assert len(stages.regions(run, 2)) == TINY["train_images"]
    reason = os.strerror(errno.EROFS)
    with pytest.raises(RunError, match=rf"pseudo-masks-2 stopped: .*{reason}.*{run.directory}"):
        stages.make_pseudo_masks(run, 2)


def test_a_run_that_vanishes_while_a_stage_is_made(tmp_path):
    run = Run(tmp_path / "run", "smoke")
    stopped = pytest.raises(RunError, match=f"a stopped: .*{os.strerror(errno.ENOENT)}")
    with stopped, run.making("a") as folder:
        shutil.rmtree(run.directory)
        (folder / "x.json").write_text("1")
    with pytest.raises(RunError, match="a is needed and not there"):
        run.file("a", "x.json")
    with pytest.raises(RunError, match="stopped"), run.making("a"):
        raise AssertionError


def test_a_clock_that_jumps_makes_nothing_again_and_changes_no_number(
    tiny_runs, tmp_path, monkeypatch, capsys
):
    run = Run(tmp_path / "run", "smoke", **TINY)
    stages.mine(run, 1)
    stages.find_saliency(run)
    for number, file in enumerate(sorted(run.directory.rglob("*"))):
        os.utime(file, (number % 2 * 4e9,) * 2)  # 1970, or 2096
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 1e9)
    capsys.readouterr()
    make_everything(run)
    lines = capsys.readouterr().out.splitlines()
    made = [line.removesuffix(" ...") for line in lines if line.endswith(" ...")]
    assert "classifier-1" not in made and "saliency" not in made and len(made) == len(set(made))
    assert contents(run) == contents(tiny_runs[0])


@pytest.mark.parametrize("name", ["with spaces", "Über Größe – 日本", "100% [x] {y} $HOME 'z' #&"])
def test_a_run_lives_under_any_name(tiny_runs, tmp_path, name, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    seen = []
    monkeypatch.setattr(headless, "run_course", lambda directory, *_, **__: seen.append(directory))
    # relative to where the command was typed
    assert main(["run", "--profile", "smoke", "--out", f"../{name}/run"]) == 0
    run = Run(seen[0], "smoke", **TINY)
    assert (tmp_path / name / "run" / "settings.json").exists()
    make_everything(run)
    run.seal()
    assert contents(run) == contents(tiny_runs[0])
    assert main(["verify", "run"]) == 0
