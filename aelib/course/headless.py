"""The whole course in one command: the notebooks in order, then the table and the report."""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib
import papermill
import torch
from jupyter_client import AsyncKernelManager

from ..crf import HAVE_LATTICE
from ..pipeline import stages
from ..pipeline.derived import derive, opening_line
from ..pipeline.results import write_results
from ..pipeline.run import NOTEBOOKS, Run, RunError, hold, opened, stage_folders
from ..pipeline.table import caption, table
from ..support.errors import InputError
from ..support.parallel import ONE_THREAD, environment
from .kernel import kernels
from .lesson import course
from .report import write_report


def run_course(
    directory: str | Path = "",
    profile: str = "classroom",
    parent: Path | None = None,
    jobs: int = 0,
    **overrides: Any,
) -> dict[str, Any]:
    """Run every notebook into the run directory.

    Finished stages are skipped, so an interrupted run goes on where it was.

    Args:
        directory: the run directory; the default is PROFILE in the folder of runs, or, with a
            parent, as `derive` names it.
        profile, overrides: as for Run.
        parent: a run to derive from; it decides the profile.
        jobs: so many stages are made side by side, before the notebooks, and every process of the
            run has one thread; 0 has the notebooks make them, one after the other.

    Returns:
        The content of results.json.

    Raises:
        ValueError, RunError: a setting, the data or the directory is wrong; nothing has been
            computed, and the directory is not there if it was not there before.
        RunError: the directory is in use, or a notebook failed. The run directory holds that
            notebook with its outputs so far.
    """
    course()  # refuses an installation without notebooks before it makes a directory
    if parent:
        run = derive(opened(parent), Path(directory) if directory else None, **overrides)
        print(opening_line(run), flush=True)
    else:
        run = Run(directory, profile, **overrides)
    try:
        with hold(run.directory, "course", "the whole course"):
            # the kernel of a killed run needs a moment to notice: wait for it
            with hold(run.directory, "stage", "the whole course", wait=10):
                run.unseal()
            stages.prepare(run)  # what is wrong with the data is said before a kernel starts
            run.inputs = None  # the kernels open their own
            content = _side_by_side(run, jobs) if jobs else execute_notebooks(run)
            run.seal()
        return content
    except InputError:
        if not stage_folders(run.directory):
            shutil.rmtree(run.directory)
        raise


def _side_by_side(run: Run, jobs: int) -> dict[str, Any]:
    """All stages, so many at a time, then the notebooks, all on one thread a process."""
    from ..pipeline.jobs import make_all  # Dask takes a second to import

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # results.json says so
    try:
        with environment(**ONE_THREAD):  # the kernels, too
            make_all(run, jobs)
            return execute_notebooks(run)
    finally:
        torch.set_num_threads(threads)


def execute_notebooks(run: Run) -> dict[str, Any]:
    """Run all notebooks, then write results.json and the report, and print the table.

    Returns:
        The content of results.json.

    Raises:
        RunError: a notebook failed.
    """
    if not HAVE_LATTICE and run.settings.crf_engine != "exact":
        print(
            "pydensecrf is not installed: the exact mean field takes its place "
            "(correct, and much slower)"
        )
    begin = time.perf_counter()
    first, *others = course()
    with kernels(run.directory) as manager:
        for number, notebook in enumerate([*others, first], start=1):  # the first shows all results
            label = f"[{number}/{1 + len(others)}] {notebook.stem}"
            print(label, flush=True)
            start = time.perf_counter()
            _execute(run, notebook, manager)
            print(f"{label}: {time.perf_counter() - start:.0f} s", flush=True)
    matplotlib.use("Agg")  # whatever the user's configuration draws on
    content = write_results(run)
    report = write_report(run.directory, content)
    print(f"\n{table(content)}\n\n{caption(content)}\n")
    for text in content["warnings"]:
        print(f"WARNING {text}")
    seconds, numbers = time.perf_counter() - begin, run.directory / "results.json"
    print(f"{seconds:.0f} s; numbers in {numbers}, report in {report}")
    return content


def _execute(run: Run, notebook: Path, manager: type[AsyncKernelManager]) -> None:
    """Run one notebook into RUN/notebooks."""
    executed = run.directory / "notebooks" / notebook.name
    executed.parent.mkdir(exist_ok=True)
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            {"profile": run.settings.profile, "run_dir": str(run.directory)},
            kernel_name="python3",
            kernel_manager_class=manager,
            cwd=NOTEBOOKS,
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            # the kernel's own warnings (a local TCP port) tell a reader nothing
            extra_arguments=["--log-level=40"],
        )
    except papermill.PapermillExecutionError as error:
        cell = f"{notebook.name}, cell [{error.exec_count}]"
        raise RunError(
            f"{error.ename}: {error.evalue}\n  in {cell}; as far as it came: {executed}"
        ) from error
    except RuntimeError as error:  # the kernel died, or never answered
        kept = "what is finished is kept, and the same command goes on from there"
        raise RunError(f"{notebook.name}: {error} (out of memory?); {kept}") from error
