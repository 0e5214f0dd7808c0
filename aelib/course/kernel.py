"""The kernel of a notebook that nobody watches: this interpreter, and nobody's configuration."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

#: Variables that do not reach the kernel: a file that IPython runs first, and what says that
#: somebody watches (`support.progress.live`).
_DROPPED = ("PYTHONSTARTUP", "JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")


@contextmanager
def kernels(directory: Path) -> Iterator[type[AsyncKernelManager]]:
    """What papermill starts kernels with: this interpreter, whatever kernels are installed.

    Its files, and what a user's own IPython and Jupyter folders would be, lie in one temporary
    folder. After a kill the folder is still there; the next call for this run removes it.

    Args:
        directory: the run's; nobody else executes its notebooks meanwhile.
    """
    name = hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:16]
    for old in Path(tempfile.gettempdir()).glob(f"aelib-{name}-*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"aelib-{name}-", ignore_cleanup_errors=True) as folder:
        yield _manager(folder)


def _manager(folder: str) -> type[AsyncKernelManager]:
    environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    environment |= dict.fromkeys(names, folder)
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # else every kernel prints a warning about frozen modules
    environment.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    local = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
    spec = KernelSpec(argv=command, display_name="Python 3", language="python", metadata=local)

    class Manager(AsyncKernelManager):
        kernel_spec = spec

        def __init__(self, **more: Any) -> None:
            super().__init__(connection_file=os.path.join(folder, "kernel.json"), **more)

        def start_kernel(self, **more: Any) -> Any:
            return super().start_kernel(env=environment, **more)

    return Manager
