"""The notebooks ask before they show, set a task above each widget, and lead to their sheet."""

import re

import nbformat
import pytest

from aelib.pipeline.run import NOTEBOOKS

FILES = sorted(NOTEBOOKS.glob("0[1-6]_*.ipynb"))  # those with a sheet
ASKING = sorted(NOTEBOOKS.glob("0[1-7]_*.ipynb"))


@pytest.mark.parametrize("file", ASKING, ids=lambda file: file.stem)
def test_two_predictions_come_before_what_answers_them(file):
    cells = nbformat.read(file, as_version=4).cells
    asked = [i for i, cell in enumerate(cells) if cell.source.startswith("**Predict first.**")]
    assert len(asked) == 2
    for i in asked:
        assert "<details><summary>" in cells[i].source  # the answer is folded
        following = [cell for cell in cells[i + 1 :] if cell.cell_type == "code"]
        assert any(cell.outputs for cell in following[:3])


@pytest.mark.parametrize("file", ASKING, ids=lambda file: file.stem)
def test_a_task_stands_above_each_widget(file):
    cells = nbformat.read(file, as_version=4).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "code" and re.search(r"^ *widgets\.\w+\(", cell.source, re.M):
            above = [one.source for one in cells[:i] if one.cell_type == "markdown"]
            assert "**Task.**" in above[-1], cell.source


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_sheet_it_names_is_there(file):
    text = "\n".join(cell.source for cell in nbformat.read(file, as_version=4).cells)
    sheets = re.findall(r"\]\((exercises/\w+\.ipynb)\)", text)
    assert "**Exercises:**" in text and sheets
    assert [sheet for sheet in sheets if not (NOTEBOOKS / sheet).exists()] == []
