"""Killed with SIGKILL while it trains, a run goes on and ends in the same files.

long/test_kill.py does this thirty times, kernels included.
"""

import sys
from pathlib import Path

import pytest
from reliability.killing import everything, survive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
TESTS = Path(__file__).parent.parent
MAKER = """
import sys
sys.path.insert(0, sys.argv[1])
from aelib.pipeline.run import Run
from tiny import TINY, make_everything
make_everything(Run(sys.argv[2], "smoke", seed=0, **TINY))
"""


def test_a_kill_costs_no_finished_stage_no_epoch_and_no_bit(tiny_runs, tmp_path, count):
    run, ways = tmp_path / "run", {"everything": everything}
    command = [sys.executable, "-c", MAKER, str(TESTS), str(run)]
    killed = survive(command, run, tiny_runs[0].directory, ways, count=1, seed=1)
    assert killed == 1
    count["kills survived"] += killed
