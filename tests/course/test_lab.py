"""`make lab` starts Jupyter as Jupyter starts: on this machine only, with a token."""

import re
import subprocess
import sys

from aelib.support.files import ROOT

PROBE = """
from jupyter_server.serverapp import ServerApp
server = ServerApp()
server.initialize(["--no-browser", "--allow-root"], find_extensions=False)
print(server.ip, len(server.identity_provider.token), server.allow_remote_access)
"""


def test_the_recipe_adds_no_option_and_the_clone_no_configuration():
    recipe = re.search(r"^lab:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    assert recipe == "$(BIN)/jupyter lab notebooks/00_start_here.ipynb"
    tracked = [
        file
        for file in ROOT.rglob("*jupyter*config*")
        if not {".venv", ".git", "node_modules"} & set(file.parts)
    ]
    assert tracked == []


def test_so_jupyter_listens_on_this_machine_only_and_asks_for_a_token(tmp_path):
    clean = {
        "PATH": "",
        "HOME": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path),
        "JUPYTER_NO_CONFIG": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, env=clean, cwd=tmp_path
    )
    assert done.stdout.split() == ["localhost", "48", "False"], done.stderr[-2000:]
