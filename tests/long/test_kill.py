"""`python -m aelib run`, killed thirty times in seven ways, with its kernel or without.

The notebooks are replaced by one that makes all stages, so that a kill costs seconds and not a
minute; processes, kernel, workers, locks and files are the real ones.
"""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from reliability.killing import WAYS, attempt, survive
from tiny import TINY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
TESTS = Path(__file__).parent.parent
SETTINGS = TINY | {"train_images": 24, "classifier_epochs": 8, "network_epochs": 8, "workers": 2}
DRIVER = """
import sys
from pathlib import Path
from aelib.course import headless
from aelib.__main__ import main
headless.course = lambda: [Path(sys.argv[1])]
sys.exit(main(["run", *sys.argv[2:]]))
"""
# a left-over kernel has a second to live: it must not finish the whole run in it
SLOW = """
import time
from aelib.pipeline.stages import checkpoint, data, learning, mining, pseudo_masks, scoring

def slowly(function):
    return lambda *words, **more: time.sleep(0.6) or function(*words, **more)

def progress(*words, report=checkpoint.progress, **more):
    told = report(*words, **more)
    return lambda *words, **more: told(*words, **more) or time.sleep(0.6)

checkpoint.progress = progress
for module in (data, learning, mining, pseudo_masks, scoring):
    module.write_json = slowly(module.write_json)
"""
CELLS = [
    "from aelib.course import start\n\nrun = start(globals())",
    SLOW,
    f"import sys\n\nsys.path.insert(0, {str(TESTS)!r})\nfrom tiny import make_everything\n\n"
    "make_everything(run)",
    "from aelib.pipeline.results import write_results\n\nnumbers = write_results(run)",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    parameters = new_code_cell('profile = "smoke"\nrun_dir = ""', metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    file = tmp_path_factory.mktemp("notebooks") / "00_everything.ipynb"
    cells = [parameters, *map(new_code_cell, CELLS)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), file)
    return file


def test_thirty_kills_cost_no_finished_stage_no_epoch_and_no_bit(notebook, tmp_path, count):
    def command(run):
        words = [sys.executable, "-c", DRIVER, str(notebook), "--profile", "smoke"]
        for name, value in SETTINGS.items():
            words += ["-p", name, str(value)]
        return [*words, "--out", str(run)]

    whole, run = tmp_path / "whole", tmp_path / "kïlled run"
    output, status = attempt(command(whole), "whole", tmp_path / "log")
    assert status == 0, "\n".join(output[-30:])
    killed = survive(command(run), run, whole, WAYS, count=30, seed=20)
    assert killed >= 25  # a kill that comes too late for the kernel kills nothing
    assert json.loads((run / "results.json").read_text()) == json.loads(
        (whole / "results.json").read_text()
    )
    count["kills survived"] += killed
