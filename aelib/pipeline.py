"""The whole course in one command: the notebooks in order, headless, then the table and an HTML report."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import papermill

from . import results
from .crf import HAVE_LATTICE
from .report import write_report
from .runs import NOTEBOOKS, Run, RunError, hold


def course() -> list[Path]:
    """The notebooks, in order.

    Raises:
        RunError: they are not beside the package (aelib was installed without them).
    """
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise RunError(f"there is no notebook in {NOTEBOOKS}: run from a clone of the project, installed with `pip install -e .`")
    return found


def run_course(directory: str | Path = "", profile: str = "classroom", **overrides: Any) -> dict[str, Any]:
    """Run every notebook into the run directory; finished stages are skipped, so an interrupted run goes on where it was.

    Args:
        directory: the run directory, default runs/PROFILE in the project.
        profile, overrides: as for Run.

    Returns:
        The content of results.json.

    Raises:
        ValueError, RunError: before anything is computed, if a setting or the directory is wrong.
        RunError: the directory is in use, or a notebook failed; its output so far is in the run directory.
    """
    course()
    run = Run(directory, profile, **overrides)
    with hold(run.directory, "course", "the whole course"):
        with hold(run.directory, "stage", "the whole course", wait=10):  # the kernel of a killed run needs a moment to notice
            run.unseal()
        content = _run_course(run)
        run.seal()
    return content


def _run_course(run: Run) -> dict[str, Any]:
    notebooks = course()
    if not HAVE_LATTICE and run.settings.crf_engine != "exact":
        print("pydensecrf is not installed: the exact mean field takes its place (correct, and much slower)")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # else every kernel prints a warning about frozen modules
    executed = run.directory / "notebooks"
    executed.mkdir(exist_ok=True)
    begin = time.perf_counter()
    for number, notebook in enumerate([*notebooks[1:], notebooks[0]], start=1):  # notebook 0 shows the whole story: it is run last
        print(f"[{number}/{len(notebooks)}] {notebook.stem}", flush=True)
        start = time.perf_counter()
        try:
            papermill.execute_notebook(
                notebook,
                executed / notebook.name,
                {"profile": run.settings.profile, "run_dir": str(run.directory)},
                kernel_name="python3",
                cwd=NOTEBOOKS,
                progress_bar=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
                extra_arguments=["--log-level=40"],  # the kernel's own warnings (a local TCP port) tell a reader nothing
            )
        except papermill.PapermillExecutionError as error:
            where = f"{notebook.name}, cell [{error.exec_count}]; as far as it came: {executed / notebook.name}"
            raise RunError(f"{error.ename}: {error.evalue}\n  in {where}") from error
        print(f"[{number}/{len(notebooks)}] {notebook.stem}: {time.perf_counter() - start:.0f} s", flush=True)
    content = results.write_results(run)
    report = write_report(run.directory, content)
    print(f"\n{results.table(content)}\n\n{results.caption(content)}\n")
    for text in content["warnings"]:
        print(f"WARNING {text}")
    print(f"{time.perf_counter() - begin:.0f} s; numbers in {run.directory / 'results.json'}, report in {report}")
    return content
