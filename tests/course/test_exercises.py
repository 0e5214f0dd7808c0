"""The sheets: in step with their masters, unsolved and solved, and wrong answers to them."""

import ast
import importlib
import json
import os
import pkgutil
import re
import runpy
from pathlib import Path

import nbformat
import pytest
from answers import Answer
from nbclient import NotebookClient

from aelib.course import exercises, lesson
from aelib.course.exercises.assemble import SHEETS, assemble, masters
from aelib.pipeline.run import NOTEBOOKS, opened

MASTERS = {file.stem: file for file in masters()}
ALL = bool(os.environ.get("AELIB_LONG"))
SHARE = 4  # one wrong answer in so many, unless AELIB_LONG is set
LONGEST = 100  # characters of a line of code
each_sheet = pytest.mark.parametrize("name", MASTERS)


@pytest.fixture(scope="session")
def shipped():
    """The run that the course ships; whatever sheets hand in, its looks at val stay as they are."""
    run = opened(lesson.unpack())
    looks = run.directory / ".looks.json"
    before = looks.read_bytes() if looks.exists() else None
    yield run
    looks.unlink(missing_ok=True)
    if before is not None:
        looks.write_bytes(before)


# --- the files ------------------------------------------------------------------------------------


def test_there_are_twenty_exercises():
    questions = [
        line.split()[1]
        for file in masters()
        for cell in cells(file, "raw")
        for line in cell.splitlines()
        if line.startswith("name: q")
    ]
    exercises_of = {int(name[1:3]) for name in questions}
    assert exercises_of == set(range(1, 21)) and len(questions) == len(set(questions))


@each_sheet
def test_a_sheet_is_what_its_master_makes(name, tmp_path):
    made = assemble(MASTERS[name], tmp_path)
    for committed, fresh in (
        (SHEETS / f"{name}.ipynb", made.student),
        (SHEETS / "solutions" / f"{name}.ipynb", made.solved),
    ):
        assert committed.read_text() == fresh.read_text(), "make exercises"


@each_sheet
def test_a_master_has_no_outputs_and_no_random_ids(name):
    content = json.loads(MASTERS[name].read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 4)
    for cell in content["cells"]:
        assert "id" not in cell and not cell.get("outputs")
        if cell["cell_type"] == "code":
            too_long = [line for line in cell["source"] if len(line.rstrip("\n")) > LONGEST]
            assert not too_long


@each_sheet
def test_the_folded_solution_is_the_code_of_the_master(name):
    for question, (code, folded) in solutions(MASTERS[name]).items():
        assert folded or not code, f"{question} has no folded solution"
        assert plain(folded) == plain(code), question


@each_sheet
def test_an_exercise_has_a_goal_two_hints_and_what_to_take_from_it(name):
    text = "\n".join(cells(MASTERS[name], "markdown"))
    # a question may be one of several of an exercise
    for part in text.split("\n## Exercise ")[1:]:
        for word in ("**Goal", "minutes", "Hint 1", "Hint 2", "<summary>Solution", "**Take with"):
            assert word in part, (part.splitlines()[0], word)


def test_the_teachers_page_names_cells_that_are_there():
    notebooks = {file.name[1]: "".join(cells(file, "markdown")) for file in NOTEBOOKS.glob("0*")}
    found = 0
    for line in (SHEETS / "README.md").read_text().splitlines():
        number = ""
        for named, heading in re.findall(r"[Nn]otebook (\d)|(?<!\*)\*([^*]+)\*(?!\*)", line):
            number = named or number
            if heading and number and line.startswith("|"):
                assert heading in notebooks[number], (number, heading)
                found += 1
    assert found > 20


def cells(file: Path, kind: str) -> list[str]:
    found = json.loads(file.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def solutions(master: Path) -> dict[str, tuple[str, str]]:
    """The code between BEGIN and END SOLUTION, and the one folded after it, by question."""
    found: dict[str, tuple[str, str]] = {}
    question, inside = "", False
    for cell in json.loads(master.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "raw":
            if source.startswith("# BEGIN QUESTION"):
                (question,) = (
                    line.split()[1] for line in source.splitlines() if line.startswith("name:")
                )
                found[question] = ("", "")
            inside = source.startswith("# BEGIN SOLUTION")
        elif cell["cell_type"] == "code" and inside:
            code, folded = found[question]
            found[question] = (code + source + "\n", folded)
        elif cell["cell_type"] == "markdown" and "<summary>Solution" in source:
            fences = source.split("```python\n")[1:]
            code, folded = found[question]
            found[question] = (code, folded + "".join(f.split("```")[0] for f in fences))
    return found


def plain(code: str) -> str:
    """The code without comments, docstrings and prints."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not unimportant(line)]
    return ast.unparse(tree)


def unimportant(line: ast.stmt) -> bool:
    if not isinstance(line, ast.Expr):
        return False
    if isinstance(line.value, ast.Call):
        return getattr(line.value.func, "id", "") == "print"
    return isinstance(line.value, ast.Constant)


# --- the sheets, run ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kernel():
    """One kernel for all sheets: it loads torch and otter once."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def said(file: Path, kernel) -> dict[str, str]:
    """Run a sheet to its end; what its checks say, by question."""
    notebook = nbformat.read(file, 4)
    fresh = f"%reset -f\nimport os\nos.chdir({str(file.parent)!r})\ndel os"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(fresh))
    client = NotebookClient(notebook, km=kernel[0], timeout=300)
    client.kc = kernel[1]
    client.execute()
    found = {}
    for cell in notebook.cells:
        if cell.source.startswith('grader.check("'):
            (output,) = (one for one in cell.outputs if one.output_type == "execute_result")
            found[cell.source.split('"')[1]] = output.data["text/plain"]
    return found


@pytest.mark.slow
@each_sheet
def test_an_unsolved_sheet_runs_to_its_end(name, kernel, shipped):
    answers = said(SHEETS / f"{name}.ipynb", kernel)
    assert answers
    for question, text in answers.items():
        assert all("not solved yet" in line for line in text.splitlines()), (question, text)


@pytest.mark.slow
@each_sheet
def test_a_solved_sheet_gets_all_points(name, kernel, shipped):
    answers = said(SHEETS / "solutions" / f"{name}.ipynb", kernel)
    assert answers
    for question, text in answers.items():
        assert text.startswith(f"{question}: right."), text


# --- wrong answers --------------------------------------------------------------------------------


def planted(kind: str) -> list:
    """Parameters (check, answer, words): of wrong answers a share, of right ones all."""
    found = []
    for file in sorted(Path(__file__).with_name("wrong_answers").glob("[0-9]*.py")):
        for check, answers in runpy.run_path(str(file))[kind].items():
            for number, answer in enumerate(answers):
                if kind == "right":
                    answer = (answer, ())
                elif not ALL and number % SHARE:
                    continue
                found.append(pytest.param(check, *answer, id=f"{check}-{number}"))
    return found


def ask(check: str, answer, run) -> None:
    """Call the check of this name; the run comes first if it asks for one."""
    names = [one.name for one in pkgutil.iter_modules(exercises.__path__)]
    modules = (importlib.import_module(f"{exercises.__name__}.{one}") for one in names)
    function = next(getattr(one, check) for one in modules if hasattr(one, check))
    parts = answer if isinstance(answer, Answer) else (answer,)
    wants_run = function.__code__.co_varnames[:1] == ("run",)
    function(*([run] if wants_run else []), *parts)


@pytest.mark.parametrize(("check", "answer", "words"), planted("wrong"))
def test_a_wrong_answer_is_told_what_is_wrong_with_it(check, answer, words, shipped):
    with pytest.raises(AssertionError) as caught:
        ask(check, answer, shipped)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(("check", "answer", "words"), planted("right"))
def test_a_right_answer_found_in_another_way_is_right(check, answer, words, shipped):
    ask(check, answer, shipped)


def test_each_check_has_three_wrong_answers_and_a_right_one():
    for file in Path(__file__).with_name("wrong_answers").glob("[0-9]*.py"):
        content = runpy.run_path(str(file))
        assert content["wrong"].keys() == content["right"].keys(), file
        for check, answers in content["wrong"].items():
            mistakes = [words for _, words in answers if "not solved yet" not in words]
            assert len(mistakes) >= 3 and content["right"][check], check
