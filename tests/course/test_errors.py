"""What a student reads when something is wrong, in a real kernel."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from aelib.course.cells import made_by_cells
from aelib.pipeline.run import NOTEBOOKS, RunError
from aelib.support.errors import InputError
from aelib.support.files import refuse

CELLS = {
    "parameters": 'profile, run_dir, delta = "smoke", {directory!r}, None',
    "start": "from aelib.course import start\nrun = start(globals())",
    "skipped": "heat(two)",
    "misspelt": "prnt(1)",
    "inside": "def shown():\n    return plots\nshown()",
    "wrong": "delta = 5\nstart(globals())",
    "missing": 'run.json("classifier-1", "log.json")',
    "many": "from aelib.support.files import refuse\n"
    'refuse("pictures are wrong", [f"picture {{i}}" for i in range(30)])',
    "all of it": "import sys\nprint(sys.last_value)",
    "alive": "print(run.settings.delta)",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Runs the cells in one kernel: name -> what its first output is, an error's lines or text."""
    directory = str(tmp_path_factory.mktemp("errors") / "run")
    cells = [new_code_cell(code.format(directory=directory)) for code in CELLS.values()]
    NotebookClient(new_notebook(cells=cells), allow_errors=True, cwd=str(NOTEBOOKS)).execute()
    found = {}
    for name, cell in zip(CELLS, cells, strict=True):
        texts = [line for out in cell.outputs for line in out.get("traceback", [out.get("text")])]
        found[name] = "\n".join(texts).splitlines()
    return found


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("skipped", "NameError: name 'heat' is not defined"),
        ("inside", "NameError: name 'plots' is not defined"),
        ("wrong", "InputError: settings: delta: 5.0 is outside 1e-06 to 0.999999"),
        ("missing", "RunError: "),
        ("many", "InputError: 30 pictures are wrong:"),
    ],
)
def test_an_error_is_three_lines_at_most_and_begins_with_what_it_is(said, cell, words):
    assert said[cell][0].startswith(words)
    assert len(said[cell]) <= 3
    assert not any("Traceback" in line or "\x1b" in line for line in said[cell])


def test_a_skipped_cell_is_told_apart_from_a_misspelt_name(said):
    assert "run the cells above first" in said["skipped"][1]
    assert "run the cells above first" in said["inside"][1]
    assert any("Traceback" in line for line in said["misspelt"])
    assert not any("above first" in line for line in said["misspelt"])


def test_a_long_message_says_how_to_see_all_of_it(said):
    assert said["many"][1:] == [
        "  picture 0",
        "(22 lines: `import sys; print(sys.last_value)` shows all)",
    ]
    assert len(said["all of it"]) == 22 and said["all of it"][-1] == "  and 10 more"


def test_the_kernel_goes_on_with_the_run_that_was_open(said):
    assert said["alive"] == ["0.2"]


def test_notes_are_shown_and_ours_are_still_the_built_in_kinds():
    with pytest.raises(ValueError) as caught:
        refuse("are wrong", ["a"])
    caught.value.add_note("3 of 8 were done before")
    shown = ["InputError: 1 are wrong:", "  a", "3 of 8 were done before"]
    assert caught.value._render_traceback_() == shown
    assert isinstance(RunError("x"), RuntimeError)
    assert RunError("x")._render_traceback_() == ["RunError: x"]
    assert InputError("a\nb\nc")._render_traceback_() == ["InputError: a", "b", "c"]


def test_the_names_of_the_course_are_those_that_its_cells_leave_in_the_kernel():
    """The oracle executes: a cell of definitions and imports only binds what it says."""
    code = [
        cell.source
        for file in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        for cell in nbformat.read(file, as_version=4).cells
        if cell.cell_type == "code" and "import inspect" in cell.source.split("\n")[0]
    ]
    assert len(code) >= 3
    bound = {}
    for source in code:
        exec(source, bound)
    assert bound.keys() - {"__builtins__"} <= made_by_cells()
    assert {"run", "stages", "plots", "heat", "train", "steps_of"} <= made_by_cells()
    assert not {"print", "zip", "picture_of_nothing"} & made_by_cells()
