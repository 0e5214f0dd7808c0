"""One training in two processes: one is killed, the command ends and says so, and goes on."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from reliability.killing import attempt, family
from tiny import TINY

import aelib
from aelib.__main__ import main
from aelib.pipeline import stages
from aelib.pipeline.run import Run, opened
from aelib.pipeline.verify import verify

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
EPOCHS = 12
SETTINGS = TINY | {
    **{"train_images": 10, "classifier_epochs": EPOCHS, "batch_size": 3},  # 2 + 1 thrice, 1 + 0
    **{"optimiser": "sgd", "learning_rate": 1e-2},
}
ASKED = [f"{name}={value}" for name, value in SETTINGS.items()]


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTHONPATH", str(Path(aelib.__file__).parents[1]))


def arguments(run: Path) -> list[str]:
    return ["train-stage", str(run), "classifier-1", "--profile", "smoke", "-p", *ASKED]


def second(process, mark):
    """The second process is killed, as where memory runs out."""
    for one in family(mark):
        if one.environ().get("RANK") == "1":
            one.kill()


def epochs(lines: list[str]) -> list[int]:
    found = [re.match(r"  classifier-1: epoch (\d+)/", line) for line in lines]
    return [int(one[1]) for one in found if one]


def losses(run: Path) -> list[float]:
    return json.loads((run / "classifier-1" / "log.json").read_text())["losses"]


def test_a_killed_process_ends_the_command_which_goes_on_to_one_process_numbers(tmp_path, count):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "aelib", *arguments(tmp_path / "two")]
    mark, log = f"torchrun-{os.getpid()}", tmp_path / "log.txt"

    lines, status = attempt(command, mark, log, lambda line: "epoch 1/" in line, second)
    before = epochs(lines)
    assert status != 0 and before == list(range(1, before[-1] + 1)), lines
    assert any("aelib: another process of this training ended" in line for line in lines), lines
    assert not family(mark) and not opened(tmp_path / "two").finished("classifier-1")

    lines, status = attempt(command, mark, log)
    assert status == 0, lines
    after = epochs(lines)
    assert before[-1] < after[0] <= before[-1] + 2  # an epoch may be kept that was not told
    assert after == list(range(after[0], EPOCHS + 1)) and lines.count("classifier-1 ...") == 1
    assert verify(tmp_path / "two") == []
    count["kills survived"] += 1

    one = Run(tmp_path / "one", "smoke", **SETTINGS)
    stages.prepare(one)
    stages.find("classifier-1")[0](one, 1)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


def test_without_torchrun_it_is_the_stage_and_all_it_reads(tmp_path, capsys):
    one, other = tmp_path / "one", tmp_path / "other"
    assert main([*arguments(one)[:2], "regions-1", *arguments(one)[3:]]) == 0
    run = Run(other, "smoke", **SETTINGS)
    stages.prepare(run)
    stages.mine(run, 1)
    for name in ("classifier-1/weights.safetensors", "regions-1/regions.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert main(["train-stage", str(one), "classifer-1"]) == 2
    assert "no stage makes a folder 'classifer-1'" in capsys.readouterr().err
    assert main([*arguments(one), "delta=0.3"]) == 2
    assert "was made with delta = 0.2, not 0.3" in capsys.readouterr().err
