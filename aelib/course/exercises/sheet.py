"""What the first cell of a sheet needs: a grader that answers in one line and leaves no file."""

import html
import os
from pathlib import Path

import otter
import otter.check.notebook
from IPython import get_ipython
from otter.test_files import TestFile


def grader(sheet: str) -> otter.Notebook:
    """Returns what `grader.check("q01")` asks; a check shows one line for each of its sentences.

    Args:
        sheet: the sheet's name, "01_cam".

    Raises:
        ValueError: the notebook is not in the kernel's folder under a name that can be found.
    """
    otter.check.notebook.OTTER_LOG_FILENAME = os.devnull  # otter would write .OTTER_LOG beside it
    shell = get_ipython()
    if shell is not None:
        formatters = shell.display_formatter.formatters
        formatters["text/plain"].for_type(TestFile, _plain)
        formatters["text/html"].for_type(TestFile, _html)
    if otter.Notebook._grading_mode:  # `otter run` brings the checks itself
        return otter.Notebook()
    # no "tests" folder: one beside the sheet would be taken for otter's
    return otter.Notebook(str(_file(sheet)), tests_dir="")


def _file(sheet: str) -> Path:
    """Returns the notebook's file: the one that JupyterLab says, else SHEET.ipynb, right here."""
    names = [Path(os.environ.get("JPY_SESSION_NAME", "")).name, f"{sheet}.ipynb"]
    for name in names:
        if name.endswith(".ipynb") and Path(name).is_file():
            return Path(name).absolute()
    here = Path.cwd()
    raise ValueError(f"{sheet}.ipynb is not in {here}: open the sheet from its own folder")


def lines(result: TestFile) -> list[str]:
    """Returns what a check says: each sentence of a case that failed once, or that all is right."""
    failed = [case for case in result.test_case_results if not case.passed]
    if failed:
        said = [f"{result.name}: {sentence(case.message or '')}" for case in failed]
        return list(dict.fromkeys(said))
    cases = [case.test_case.success_message for case in result.test_case_results]
    return [f"{result.name}: right. {' '.join(text for text in cases if text)}".rstrip()]


def sentence(message: str) -> str:
    """Returns the last line of otter's message on a failed case, without the exception's name."""
    last = (message.strip().splitlines() or [""])[-1]
    return last.removeprefix("AssertionError: ")


def _plain(result: TestFile, printer, cycle: bool) -> None:
    printer.text("\n".join(lines(result)))


def _html(result: TestFile) -> str:
    return "<br>".join(html.escape(line) for line in lines(result))
