"""The report of a run: an HTML site that needs no network.

It is made from what results.json holds and from the executed notebooks. Equations become MathML,
which browsers draw by themselves; pictures are in the pages, with their alt texts. Equal input
gives equal bytes. The pages' HTML is in page.html.j2 (a notebook) and index.html.j2.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jinja2 import Environment, FileSystemLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from ..pipeline.settings import Settings
from ..pipeline.table import PAPER, caption, table
from ..support.files import ROOT
from . import plots

#: What latex2mathml does not know, or browsers draw badly -> what they do.
_LATEX = {
    r"\\arg *\\max|\\operatorname\*?{arg *(\\,)? *max}": r"\\argmax",
    r"{aligned}": "{align*}",
    r"\\mathcal *(L(?![a-zA-Z])|{L})": "ℒ",
    r"\\sim(?![a-zA-Z])": "∼",
    r"\\big(?![a-zA-Z])": "",
    r"\\(log|exp)(?= +\w)": r"\\\1\\,",
}
_TEMPLATES = FileSystemLoader(Path(__file__).parent)
FRONT = "front-page"  # tag of a cell whose figures stand on the first page, too
GLOSSARY = ROOT / "docs" / "glossary.md"


class Opening(NamedTuple):
    """What a notebook's first cell says."""

    title: str
    promise: str  # what one can do after it; Markdown, may be empty


def write_report(directory: Path, content: Mapping[str, Any]) -> Path:
    """Write DIRECTORY/report from the executed notebooks, DIRECTORY/notebooks/*.ipynb.

    Args:
        content: what results.json holds.

    Returns:
        The path of index.html; each notebook has a page NAME.html beside it, and the glossary one.
    """
    folder = directory / "report"
    folder.mkdir(exist_ok=True)
    files = sorted((directory / "notebooks").glob("*.ipynb"))
    notebooks = {file.stem: nbformat.read(file, as_version=4) for file in files}
    openings = {name: _opening(node, name) for name, node in notebooks.items()}
    exporter = _Exporter()
    for name, node in notebooks.items():
        _strip(node)
        resources = {"metadata": {"name": openings[name].title}, "around": _links(name, openings)}
        page, _ = exporter.from_notebook_node(node, resources)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    index = folder / "index.html"
    front = [picture for node in notebooks.values() for picture in _front(node)]
    index.write_text(_index(directory.name, content, openings, front), encoding="utf-8")
    if GLOSSARY.exists():  # the package may be installed without the project around it
        text = _markdown(GLOSSARY.read_text("utf-8"))
        words = _page("text.html.j2", title="Glossary", text=text)
        (folder / "glossary.html").write_text(words, encoding="utf-8")
    return index


def _front(node: nbformat.NotebookNode) -> list[str]:
    """Return the pictures, as HTML, that a notebook gives the first page."""
    cells = [cell for cell in node.cells if FRONT in cell.metadata.get("tags", [])]
    outputs = [output for cell in cells for output in cell.outputs]
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]


# --- a notebook's page --------------------------------------------------------------------------


class _Exporter(HTMLExporter):
    def __init__(self) -> None:
        super().__init__(extra_loaders=[_TEMPLATES], template_file="page.html.j2")

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return _markdown(source, attachments=context.get("cell", {}).get("attachments", {}))


def _opening(node: nbformat.NotebookNode, name: str) -> Opening:
    cells = (cell.source for cell in node.cells if cell.cell_type == "markdown")
    source = next(cells, "")
    title = re.search(r"^#+ +(.+)", source, re.M)
    promise = re.search(r"^\*\*You will be able to\*\* *(.+)", source, re.M)
    sentence = promise[1] if promise else ""
    return Opening(title[1] if title else name, sentence[:1].upper() + sentence[1:])


def _strip(node: nbformat.NotebookNode) -> None:
    """Remove from a notebook what its page does not show, or what differs between equal runs."""
    node.metadata.pop("widgets", None)  # without a kernel they are only their text
    shown = []
    for cell in node.cells:
        if "injected-parameters" not in cell.metadata.get("tags", []):  # the index has them all
            cell["id"] = f"cell-{len(shown)}"  # papermill's own cell has a random one
            shown.append(cell)
    node.cells = shown


def _links(name: str, openings: Mapping[str, Opening]) -> str:
    """Return the links from a notebook's page to the index and its neighbours, as HTML."""
    names = list(openings)
    i = names.index(name)
    links = [("index", "Index")]
    links += [(before, f"← {openings[before].title}") for before in names[max(i - 1, 0) : i]]
    links += [(after, f"{openings[after].title} →") for after in names[i + 1 : i + 2]]
    anchors = "".join(f'<a href="{page}.html">{escape(words)}</a>' for page, words in links)
    return f'<nav class="course">{anchors}</nav>'


# --- Markdown and formulas ----------------------------------------------------------------------


def mathml(latex: str, display: str = "inline") -> str:
    """Return a LaTeX formula, without its dollars, as MathML; as code where this is impossible.

    display: "inline" or "block".
    """
    text = latex.strip()
    for pattern, replacement in _LATEX.items():
        text = re.sub(pattern, replacement, text)
    try:
        formula = convert(text, display=display)
    except Exception:  # latex2mathml raises nearly anything; a formula must not stop a report
        formula = ""
    # an unknown command or alignment mark is still there as it was
    complete = formula and "\\" not in formula and "&<" not in formula
    return formula if complete else f"<code>{escape(latex)}</code>"


class _Renderer(IPythonRenderer):
    """Markdown as in Jupyter, with MathML for equations; links to notebooks lead to their pages."""

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        page = re.sub(r"^([\w-]+)\.ipynb(?=#|$)", r"\1.html", url)
        page = page.replace("../docs/glossary.md", "glossary.html")
        return super().link(text, page, title)


def _markdown(source: str, **options: Any) -> str:
    return MarkdownWithMath(renderer=_Renderer(escape=False, **options)).render(source)


# --- the index ----------------------------------------------------------------------------------


def _page(template: str, **values: Any) -> str:
    environment = Environment(loader=_TEMPLATES, keep_trailing_newline=True)
    environment.filters["escape"] = escape
    return environment.get_template(template).render(**values)


def _index(
    run: str,
    content: Mapping[str, Any],
    openings: Mapping[str, Opening],
    front: list[str],
) -> str:
    pages = [
        (name, opening.title, _markdown(opening.promise)) for name, opening in openings.items()
    ]
    return _page(
        "index.html.j2",
        run=run,
        front=front,
        table=_markdown(table(content)),
        caption=caption(content),
        figures=[{"png": figure.png(), "alt": figure.alt} for figure in _figures(content)],
        pages=pages,
        settings=_settings(content),
    )


def _figures(content: Mapping[str, Any]) -> list[plots.Figure]:
    """Return the ladder, and the classes' IoU for those of four methods that have rows.

    The four: the first step, the object's step, the last network, the fully supervised one.
    """
    # AE is one of the steps by another name; without masks there are no numbers
    rows = [row for row in content["rows"] if row["method"] != "AE" and row["miou"] is not None]
    present = {row["method"] for row in rows if not row["crf"]}
    best = f"AE-step{content['settings']['object_steps']}"
    four = dict.fromkeys(["AE-step1", best, "AE+PSL++", "full supervision"])
    chosen = [name for name in four if name in present]
    figures = [plots.ladder(rows, PAPER)]
    if chosen:
        figures.append(plots.per_class(rows, chosen))
    return figures


def _settings(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return name, value and meaning of every setting."""
    meanings = {spec.name: spec.metadata.get("meaning", "") for spec in fields(Settings)}
    meanings["profile"] = "defaults of the settings below"
    settings = content["settings"].items()
    return [(name, str(value), meanings.get(name, "")) for name, value in settings]
