"""A number in a notebook's text is one that a cell printed or drew, or one of those listed here."""

import re
from html import unescape

import nbformat
import pytest

from aelib.pipeline.run import NOTEBOOKS

FILES = sorted(NOTEBOOKS.glob("0[0-6]_*.ipynb"))
# of the paper and its relatives, as commonly reported, in % of mIoU
PAPER = {44.9, 49.5, 50.9, 48.8, 54.1, 55.0, 62.3, 67.6, 6.0, 2.1, 3.2, 0.9}
LATER = {59.0, 61.1, 63.1, 65.5, 66.6, 68.5}
# notebook -> what its text may say besides: sizes, published settings, settings that readers choose
ALLOWED = {
    "00": {5, 10, 15, 99, 100, 255},
    "01": {5, 8, 12, 20, 32, 41, 43, 96, 321, 1000, 1024, 4096, 0.2, 0.8, 0.1, 24},
    "02": {20, 100, 0.5},
    "03": {25, 255, 0.06, 0.1, 99.7},
    "04": {25, 200, 16, 6, 7, 0.9, 0.1},
    "05": {30, 10, 80, 13, 67, 500, 96, 24, 100, 62.3, 0.999, 0.7, 0.99, 1000, 0.1, 0.5, 2.2},
    "06": {15, 81, 100},
}
# what names a place and measures nothing
NAMES = re.compile(
    r"(?i)\b(notebooks?|steps?|exercises?|sheet|row|column|cell|seeds?|pools?|pool|VOC|conv|fc"
    r"|rounds?|question) ?\d+((,| to| and| or) \d+)*"
)
# code, formulas, links, years, headings, names of papers
NO_TEXT = (
    r"```.*?```",
    r"`[^`]*`",
    r"\$\$.*?\$\$",
    r"\$[^$\n]*\$",
    r"\]\([^)]*\)",
    r"arXiv [\d.]+",
    r"\b(19|20)\d\d\b",
    r"(?m)^#[^\n]*$",
    r"(?m)^ {4}[^\n]*$",
    r"\b\d+ x \d+( x \d+)?",
    r"(?m)^\d+\. ",
    r"\w*[A-Za-z]\d+\w*",
)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


def numbers(text: str) -> set[float]:
    return {float(number) for number in NUMBER.findall(text.replace(",", " "))}


def said(node) -> dict[float, str]:
    """The numbers of the Markdown cells, and a cell that says each."""
    found = {}
    for cell in node.cells:
        if cell.cell_type == "markdown":
            text = cell.source
            for pattern in NO_TEXT:
                text = re.sub(pattern, " ", text, flags=re.S)
            text = NAMES.sub(" ", text)
            found |= dict.fromkeys(numbers(text), cell.id)
    return found


def printed(node) -> set[float]:
    """The numbers in the code cells' outputs, those of figures by their alt texts."""
    found = set()
    for cell in node.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            alt = re.findall(r'alt="([^"]*)"', data.get("text/html", ""))
            texts = [output.get("text", ""), data.get("text/markdown", ""), *map(unescape, alt)]
            found |= numbers(" ".join(texts).replace("%", " "))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_number_in_the_text_that_no_cell_printed(file):
    node = nbformat.read(file, as_version=4)
    small = {0, 1, 2, 3, 4}  # counts of things in the same sentence
    fine = printed(node) | ALLOWED[file.name[:2]] | PAPER | LATER | small
    assert {number: cell for number, cell in said(node).items() if number not in fine} == {}


def test_a_number_that_nothing_printed_is_found():
    node = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("Step 3 finds 47.3 % of $0.5$ in [2](x9.md), 88 % here."),
            nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("stream", text="88%")]),
        ]
    )
    assert set(said(node)) - printed(node) - {2} == {47.3}
