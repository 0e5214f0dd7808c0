"""A disk that is really full, or read-only: a small one in memory.

Needs the right to mount (root on Linux); skipped without.
"""

import shutil
import subprocess

import pytest
from tiny import TINY, make_everything

from aelib.pipeline import stages
from aelib.pipeline.run import Run, RunError
from aelib.pipeline.verify import verify

SIZE = 6 << 20  # bytes


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "dïsk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def same(run: Run, reference: Run) -> bool:
    for folder in [file.parent for file in reference.directory.glob("*/manifest.json")]:
        for file in folder.iterdir():
            if (run.directory / folder.name / file.name).read_bytes() != file.read_bytes():
                return False
    return True


@pytest.mark.parametrize("left", [0, 1 << 12, 1 << 16, 1 << 18, 1 << 20, 3 << 20])
def test_full_at_any_point_the_run_is_intact_and_goes_on_when_there_is_room(
    disk, tiny_runs, left, count
):
    run, ballast = Run(disk / "run", "smoke", **TINY), disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - left))
    message = r"stopped: .*No space left on device.*what is finished"
    with pytest.raises(RunError, match=message):
        make_everything(run)
    assert verify(run.directory) == []
    ballast.unlink()
    make_everything(run)
    assert verify(run.directory) == [] and same(run, tiny_runs[0])
    count["full disks survived"] += 1


def test_read_only_a_finished_run_is_read_and_an_unfinished_one_refused_by_name(disk, tiny_runs):
    shutil.copytree(tiny_runs[0].directory, disk / "run")
    shutil.rmtree(disk / "run" / "pseudo-masks-2")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    run = Run(disk / "run", "smoke")
    assert len(stages.regions(run, 2)) == TINY["train_images"]
    with pytest.raises(RunError, match=r"pseudo-masks-2 stopped: .*Read-only file system"):
        stages.make_pseudo_masks(run, 2)
    with pytest.raises(
        RunError, match="cannot be written: Read-only file system; choose another one"
    ):
        Run(disk / "new", "smoke")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    make_everything(run)
    assert same(run, tiny_runs[0])
