"""Finished runs to read and to break, and the counts of what the reliability tests went through."""

import shutil
from collections import Counter

import pytest
from tiny import TINY, finish

from aelib.pipeline.run import Run

# --- what `make test-fast` leaves out -------------------------------------------------------------

SLOW_FOLDERS = {"reliability", "long", "browser"}
SLOW_FILES = {
    *("test_course.py", "test_course_photos.py", "test_lesson.py", "test_lab.py", "test_report.py"),
    *("test_exercises.py", "test_grade.py", "test_board.py", "test_errors.py"),
    *("test_photo_runs.py", "test_answers.py", "test_declarations.py", "test_stages.py"),
    *("test_health.py", "test_results.py", "test_weights.py", "test_checkpoint.py"),
    *("test_derived.py", "test_listing.py", "test_runs_command.py", "test_studies.py"),
    *("test_kernel.py", "test_jobs.py"),
}


def pytest_collection_modifyitems(items):
    for item in items:
        folder, file = item.path.parent.name, item.path.name
        finished = {"tiny_runs", "tiny_run"} & {*getattr(item, "fixturenames", ())}
        if folder in SLOW_FOLDERS or file in SLOW_FILES or finished:
            item.add_marker(pytest.mark.slow)


# --- finished runs --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory):
    """Two finished runs of different seeds. Read them only; `tiny_run` is a copy to break."""
    folder = tmp_path_factory.mktemp("tiny")
    return [finish(Run(folder / str(seed), "smoke", seed=seed, **TINY)) for seed in (0, 1)]


@pytest.fixture
def tiny_run(tiny_runs, tmp_path):
    shutil.copytree(tiny_runs[0].directory, tmp_path / "run")
    return Run(tmp_path / "run", "smoke")


# --- what the reliability tests went through, printed last ----------------------------------------

_COUNTS: Counter[str] = Counter()


@pytest.fixture
def count():
    """A Counter: count["kills survived"] += 1."""
    return _COUNTS


def pytest_terminal_summary(terminalreporter):
    if _COUNTS:
        terminalreporter.write_line(
            ", ".join(f"{number} {what}" for what, number in sorted(_COUNTS.items()))
        )
