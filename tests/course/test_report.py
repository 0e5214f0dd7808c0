"""The report is whole without a network: equations, pictures, links, and nothing to fetch."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from aelib.course import report
from aelib.pipeline.settings import make
from aelib.pipeline.table import caption
from aelib.support.files import ROOT

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FIRST = r"""# 0. A < B

**You will be able to** say what *S* is, and $x_t$.
**Takes** no time. See [the next](01_two.ipynb#here) and [a paper](https://arxiv.org/abs/1703.08448).

Shell: `echo $HOME $PATH`, a dollar \$5.

$$ \hat S = \arg\max_c \big( [1, v] \otimes f \big)_c $$

<details><summary>Why?</summary>

Because of $J(f, \hat S)$.
</details>"""
METHODS = ["CAM", "AE-step1", "AE-step3", "AE+PSL++", "full supervision"]


def content() -> dict:
    iou = {"background": 0.9, "hare": 0.3, "stag": None}
    rows = [
        {
            "method": method,
            "crf": crf,
            "miou": 0.6,
            "split": "val",
            "images": 200,
            "init": "random",
            "per_class": iou,
        }
        for method in [*METHODS, "AE"]
        for crf in (False, True)[: 1 + (method != "CAM")]
    ]
    return {"rows": rows, "settings": make("classroom", delta=0.3).to_json()}


SHOWN = new_output(
    "display_data",
    {"text/html": f'<img alt="Two hares." src="data:image/png;base64,{PIXEL}">'},
)


def notebook(source: str, *code) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_markdown_cell(source), *code])


@pytest.fixture
def run(tmp_path) -> Path:
    picture = new_output(
        "execute_result",
        {"image/png": PIXEL, "text/plain": "<Figure>"},
        metadata={"image/png": {"alt": 'Lines: "a" < b'}},
    )
    table = new_output(
        "execute_result", {"text/markdown": "| a |\n|---|\n| $y^2$ |", "text/plain": "..."}
    )
    code = new_code_cell(
        'cost = "$5 and $6"  # \\frac $x$',
        outputs=[new_output("stream", text="$HOME $x$\n"), picture, table],
        execution_count=1,
    )
    (tmp_path / "notebooks").mkdir()
    for name, node in {
        "00_one": notebook(FIRST, code),
        "01_two": notebook("# 1. Two"),
        "02_three": notebook("# 2. Three"),
    }.items():
        nbformat.write(node, tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


def pages(run: Path) -> dict[str, BeautifulSoup]:
    report.write_report(run, content())
    return {
        page.stem: BeautifulSoup(page.read_text(), "html.parser")
        for page in (run / "report").iterdir()
    }


def test_nothing_is_fetched(run):
    report.write_report(run, content())
    fetched = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            for key, value in attributes:
                if key in ("src", "srcset", "data", "poster") or (key == "href" and tag != "a"):
                    fetched.append((tag, value[:30]))

    for page in (run / "report").iterdir():
        text = page.read_text()
        Reader().feed(text)
        assert "<script" not in text
        assert not re.search(r"cdnjs|unpkg|@import|url\(\s*[\"']?(?!data:|[\"']?#)\w", text)
    assert fetched and all(
        tag == "img" and value.startswith("data:image/png;base64,") for tag, value in fetched
    )


def test_equations_become_mathml_and_code_stays_code(run):
    page = pages(run)["00_one"]
    assert [math["display"] for math in page.select("math")] == [
        "inline",
        "block",
        "inline",
        "inline",
    ]
    assert "".join(page.select("math")[1].text.split()).startswith("S^=argmaxc([1,v]⊗f)c")
    assert [code.text for code in page.select("p > code")] == ["echo $HOME $PATH"]
    assert page.select("div.highlight")[0].text.strip() == 'cost = "$5 and $6"  # \\frac $x$'
    assert "$HOME $x$" in page.select("div.jp-RenderedText pre")[0].text
    assert (
        "Because of" in page.details.text and page.details.math
    )  # the answer is inside, to be folded away
    assert page.table.math.text.strip() == "y2"


def test_pictures_have_their_words(run):
    """The first page begins with the pictures of the cells that are tagged for it."""
    node = notebook("# 4. Four", new_code_cell("x", outputs=[SHOWN], execution_count=1))
    node.cells[1].metadata["tags"] = ["front-page"]
    nbformat.write(node, run / "notebooks" / "03_four.ipynb")
    found = pages(run)
    assert [image["alt"] for image in found["00_one"].select("img")] == ['Lines: "a" < b']
    first, ladder, classes = found["index"].select("img")
    assert first["alt"] == "Two hares." and found["03_four"].img["alt"] == "Two hares."
    assert "AE-step3: 60.0 without CRF, 60.0 with CRF, the paper 50.9" in ladder["alt"]
    assert "full supervision: background 90, hare 30, stag none" in classes["alt"]


def test_pages_lead_to_one_another(run):
    found = pages(run)
    links = {name: [a["href"] for a in page.select("nav.course a")] for name, page in found.items()}
    assert links["00_one"] == ["index.html", "01_two.html"] * 2  # above and below
    assert links["01_two"] == ["index.html", "00_one.html", "02_three.html"] * 2
    assert links["02_three"] == ["index.html", "01_two.html"] * 2
    assert "01_two.html#here" in [a["href"] for a in found["00_one"].select("p a")]
    items = found["index"].select("li")
    assert [item.a["href"] for item in items] == ["00_one.html", "01_two.html", "02_three.html"]
    assert (
        items[0].a.text == "0. A < B"
        and items[0].p.text.startswith("Say what S is, and ")
        and items[0].math
    )


def test_the_index_holds_the_table_the_caption_and_every_setting(run):
    index = pages(run)["index"]
    rows = [
        [cell.text for cell in row.select("td")] for row in index.select("table")[0].select("tr")
    ]
    assert ["AE+PSL++", "val, 200", "60.0", "60.0", "55.0"] in rows
    assert caption(content()) in index.text
    settings = {
        row.td.text: [cell.text for cell in row.select("td")]
        for row in index.select("details tr")[1:]
    }
    assert set(settings) == set(content()["settings"]) and settings["delta"][1] == "0.3"


def test_the_same_run_gives_the_same_bytes(run):
    def written() -> dict:
        report.write_report(run, content())
        return {page.name: page.read_bytes() for page in (run / "report").iterdir()}

    before = written()
    for file in (run / "notebooks").iterdir():
        node = nbformat.read(file, as_version=4)
        for cell in node.cells:
            cell["id"] = f"new-{cell.id}"  # papermill gives its cell a random one
        nbformat.write(node, file)
    assert written() == before


def formulas() -> list[tuple[str, str, str]]:
    """(notebook, display, LaTeX) of every formula in the course, by nbconvert's own parser."""
    found = []

    class Collector(IPythonRenderer):
        def inline_math(self, body):
            found.append((name, "inline", body))
            return ""

        def block_math(self, body):
            found.append((name, "block", body))
            return ""

    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = file.stem
        for cell in nbformat.read(file, as_version=4).cells:
            if cell.cell_type == "markdown":
                MarkdownWithMath(renderer=Collector(escape=False)).render(cell.source)
    return found


def test_every_formula_of_the_course_can_be_shown():
    found = formulas()
    assert len(found) > 20
    for where, display, latex in found:
        formula = ElementTree.fromstring(report.mathml(latex, display))  # well-formed
        assert formula.tag.endswith("}math") and formula.get("display") == display, (where, latex)
        shown = "".join(formula.itertext())
        assert not re.search(r"[\\&$]", shown), (where, latex, shown)
        numbers = re.findall(r"\d+", latex.replace(r"\tfrac12", "1 2"))
        assert all(number in shown for number in numbers), (where, latex, shown)


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"\underset{c}{\operatorname{arg\,max}}\, f_c", "arg max|c|f|c"),
        (r"\begin{aligned} a &= b \\ &= c \end{aligned}", "a|=|b|=|c"),
        (r"\bigcup_t R_t \in \mathrm{x}", "⋃|t|R|t|∈|x"),
        (r"\mathcal L = -\log f_u \sim \big( x \big)", "ℒ|=|−|log|f|u|∼|(|x|)"),
    ],
)
def test_what_the_converter_lacks_is_made_up_for(latex, shown):
    pieces = [
        piece.replace("\u2009", " ")
        for piece in ElementTree.fromstring(report.mathml(latex)).itertext()
    ]
    assert "|".join(piece for piece in pieces if piece.strip()) == shown


@pytest.mark.parametrize("latex", [r"\unheardof{x} < 1", "a_b_c", "a & b"])
def test_a_formula_beyond_it_is_left_as_it_was_written(latex):
    code = BeautifulSoup(report.mathml(latex), "html.parser").code
    assert code.text == latex
