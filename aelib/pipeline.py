"""The whole course in one command: the notebooks in order, headless, then the table and an HTML report."""

import html
import os
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter

from . import results
from .crf import HAVE_LATTICE
from .runs import ROOT, Run, RunError

NOTEBOOKS = ROOT / "notebooks"


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
        RunError: a notebook failed; its output so far is in the run directory.
    """
    notebooks = course()
    run = Run(directory, profile, **overrides)
    if not HAVE_LATTICE and run.settings.crf_engine != "exact":
        print("pydensecrf is not installed: the exact mean field takes its place (correct, and much slower)")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # else every kernel prints a warning about frozen modules
    executed = run.directory / "notebooks"
    executed.mkdir(exist_ok=True)
    begin = time.perf_counter()
    for number, notebook in enumerate(notebooks, start=1):
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
            )
        except papermill.PapermillExecutionError as error:
            where = f"{notebook.name}, cell [{error.exec_count}]; as far as it came: {executed / notebook.name}"
            raise RunError(f"{error.ename}: {error.evalue}\n  in {where}") from error
        print(f"[{number}/{len(notebooks)}] {notebook.stem}: {time.perf_counter() - start:.0f} s", flush=True)
    content = results.write_results(run)
    write_report(run, content)
    print(f"\n{results.table(content)}\n\n{results.caption(content)}\n")
    print(f"{time.perf_counter() - begin:.0f} s; numbers in {run.directory / 'results.json'}, report in {run.directory / 'report' / 'index.html'}")
    return content


def write_report(run: Run, content: dict[str, Any]) -> None:
    """report/: the executed notebooks as HTML, and an index with the table."""
    folder = run.directory / "report"
    folder.mkdir(exist_ok=True)
    exporter = HTMLExporter(embed_images=True)
    links = []
    for notebook in sorted((run.directory / "notebooks").glob("*.ipynb")):
        node = nbformat.read(notebook, as_version=4)
        title = next((c.source.splitlines()[0].lstrip("# ") for c in node.cells if c.cell_type == "markdown"), notebook.stem)
        page, _ = exporter.from_notebook_node(node, {"metadata": {"name": title}})
        (folder / f"{notebook.stem}.html").write_text(page, encoding="utf-8")
        links.append(f'<li><a href="{notebook.stem}.html">{html.escape(title)}</a></li>')
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in results.table(content).splitlines()]
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in cells[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in cells[2:])
    (folder / "index.html").write_text(
        f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>aelib: {html.escape(run.directory.name)}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}}
td,th{{padding:.2em .8em;border-bottom:1px solid #bbb;text-align:right}}td:first-child,th:first-child{{text-align:left}}</style>
<h1>Adversarial erasing and prohibitive segmentation learning</h1>
<p>{html.escape(results.caption(content))}</p>
<table><tr>{head}</tr>
{body}</table>
<h2>The notebooks of this run</h2><ul>{"".join(links)}</ul></html>
""",
        encoding="utf-8",
    )
