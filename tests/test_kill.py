"""Killed with SIGKILL while it trains, a run goes on and ends in the same files. long/test_kill.py does this thirty times, kernels included."""

import sys
from pathlib import Path

import pytest
from killing import everything, survive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
MAKER = """
import sys
sys.path.insert(0, sys.argv[1])
from aelib.runs import Run
from tiny import TINY, make_everything
make_everything(Run(sys.argv[2], "smoke", seed=0, **TINY))
"""


def test_a_kill_costs_no_finished_stage_no_epoch_and_no_bit(tiny_runs, tmp_path, count):
    command = [sys.executable, "-c", MAKER, str(Path(__file__).parent), str(tmp_path / "run")]
    killed = survive(command, tmp_path / "run", tiny_runs[0].directory, {"everything": everything}, count=1, seed=1)
    assert killed == 1
    count["kills survived"] += killed
