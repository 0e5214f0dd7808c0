"""The report of a run: an HTML site that needs no network, made from results.json's content and the executed notebooks.

Equations become MathML, which browsers draw by themselves; pictures are in the pages, with their alt texts. Equal input gives equal bytes.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import fields
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from . import plots, results
from .settings import Settings

TITLE = "Adversarial erasing and prohibitive segmentation learning"
#: What latex2mathml does not know, or browsers draw badly, as what they do.
_LATEX = {
    r"\\arg *\\max|\\operatorname\*?{arg *(\\,)? *max}": r"\\argmax",
    r"{aligned}": "{align*}",
    r"\\mathcal *(L(?![a-zA-Z])|{L})": "ℒ",
    r"\\sim(?![a-zA-Z])": "∼",
    r"\\big(?![a-zA-Z])": "",
    r"\\(log|exp)(?= +\w)": r"\\\1\\,",
}
_STYLE = """
body { font: 16px/1.5 sans-serif; color: #222; background: white; max-width: 62em; margin: 2em auto; padding: 0 1em }
img { max-width: 100% } figure { margin: 2em 0 } li { margin: .4em 0 } li p { margin: 0 }
table { border-collapse: collapse } td, th { padding: .2em .8em; border-bottom: 1px solid #bbb; text-align: left }
details td { font-size: .9em } summary { cursor: pointer }
"""
# nbconvert's page, less everything it would fetch, with the alt text that an output's metadata holds, and a way to the neighbours.
_PAGE = """
{%- extends "lab/index.html.j2" -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
main { max-width: 75em; margin: auto } div.highlight pre { white-space: pre-wrap !important }
nav.course { font: 15px sans-serif; margin: 1em 5em } nav.course a { margin-right: 2em; color: #06c }
</style>
{%- endblock -%}
{%- block body_header -%}{{ super() }}{{ resources.around }}{%- endblock -%}
{%- block body_footer -%}{{ resources.around }}{{ super() }}{%- endblock -%}
{%- block data_png -%}
<div class="jp-RenderedImage jp-OutputArea-output"><img src="data:image/png;base64,{{ output.data["image/png"] | replace("\n", "") }}"
alt="{{ (output | get_metadata("alt", "image/png") or "") | escape }}"></div>
{%- endblock -%}
"""


def mathml(latex: str, display: str = "inline") -> str:
    """A LaTeX formula, without its dollars, as MathML; one that cannot be converted comes back as the code it is.

    display: "inline" or "block".
    """
    text = latex.strip()
    for pattern, replacement in _LATEX.items():
        text = re.sub(pattern, replacement, text)
    try:
        formula = convert(text, display=display)
    except Exception:  # latex2mathml raises whatever it stumbles over; a report is no place to fail
        formula = ""
    known = formula and "\\" not in formula and "&<" not in formula  # an unknown command or alignment mark stands there as it was
    return formula if known else f"<code>{escape(latex)}</code>"


class _Renderer(IPythonRenderer):
    """Markdown as in Jupyter, with MathML for equations, and links to notebooks leading to their pages."""

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, re.sub(r"^([\w-]+)\.ipynb(?=#|$)", r"\1.html", url), title)


def _markdown(source: str, **options: Any) -> str:
    return MarkdownWithMath(renderer=_Renderer(escape=False, **options)).render(source)


class _Exporter(HTMLExporter):
    def __init__(self) -> None:
        super().__init__(extra_loaders=[DictLoader({"page.html.j2": _PAGE})], template_file="page.html.j2")

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return _markdown(source, attachments=context.get("cell", {}).get("attachments", {}))


def write_report(directory: Path, content: Mapping[str, Any]) -> Path:
    """Write DIRECTORY/report from DIRECTORY/notebooks/*.ipynb (executed) and `content`, what results.json holds.

    Returns:
        The path of index.html; each notebook has a page NAME.html beside it.
    """
    folder = directory / "report"
    folder.mkdir(exist_ok=True)
    notebooks = {file.stem: nbformat.read(file, as_version=4) for file in sorted((directory / "notebooks").glob("*.ipynb"))}
    opening = {name: _opening(node, name) for name, node in notebooks.items()}
    names, exporter = list(notebooks), _Exporter()
    for i, (name, node) in enumerate(notebooks.items()):
        before, after = names[max(i - 1, 0) : i], names[i + 1 : i + 2]
        links = [("index", "Index"), *((n, "← " + opening[n][0]) for n in before), *((n, opening[n][0] + " →") for n in after)]
        around = "".join(f'<a href="{n}.html">{escape(words)}</a>' for n, words in links)
        resources = {"metadata": {"name": opening[name][0]}, "around": f'<nav class="course">{around}</nav>'}
        node.metadata.pop("widgets", None)  # without a kernel they are only their text
        node.cells = [cell for cell in node.cells if "injected-parameters" not in cell.metadata.get("tags", [])]  # the index has the settings
        for number, cell in enumerate(node.cells):
            cell["id"] = f"cell-{number}"  # papermill's own cell has a random one
        page, _ = exporter.from_notebook_node(node, resources)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(directory.name, content, opening), encoding="utf-8")
    return index


def _opening(node: nbformat.NotebookNode, name: str) -> tuple[str, str]:
    """A notebook's title, and what one can do after it, from its first cell, as Markdown."""
    source = next((cell.source for cell in node.cells if cell.cell_type == "markdown"), "")
    title = re.search(r"^#+ +(.+)", source, re.M)
    promise = re.search(r"^\*\*You will be able to\*\* *(.+)", source, re.M)
    return title[1] if title else name, promise[1][0].upper() + promise[1][1:] if promise else ""


def _figure(figure: plots.Figure) -> str:
    """The figure as an img element that holds its picture."""
    figure.savefig(picture := BytesIO(), format="png", bbox_inches="tight")
    return f'<figure><img src="data:image/png;base64,{b64encode(picture.getvalue()).decode()}" alt="{escape(figure.alt)}"></figure>\n'


def _figures(content: Mapping[str, Any]) -> str:
    """The ladder, and class by class: the first step, the object's, the last network, the ceiling, as far as there are such rows."""
    # AE is one of the steps by another name; without masks there are no numbers
    rows = [row for row in content["rows"] if row["method"] != "AE" and row["miou"] is not None]
    here = {row["method"] for row in rows if not row["crf"]}
    best = f"AE-step{content['settings']['object_steps']}"
    chosen = [name for name in dict.fromkeys(["AE-step1", best, "AE+PSL++", "full supervision"]) if name in here]
    figures = [plots.ladder(rows, results.PAPER)] + ([plots.per_class(rows, chosen)] if chosen else [])
    return "".join(map(_figure, figures))


def _settings(content: Mapping[str, Any]) -> str:
    meaning = {spec.name: spec.metadata.get("meaning", "defaults of the settings below") for spec in fields(Settings)}
    rows = ((name, str(value), meaning.get(name, "")) for name, value in content["settings"].items())
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr><th>setting</th><th>value</th><th>meaning</th></tr>\n{body}</table>"


def _index(run: str, content: Mapping[str, Any], opening: Mapping[str, tuple[str, str]]) -> str:
    pages = "".join(f'<li><a href="{name}.html">{escape(title)}</a>{_markdown(promise)}</li>\n' for name, (title, promise) in opening.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>aelib: {escape(run)}</title>
<style>{_STYLE}</style></head><body>
<h1>{TITLE}</h1>
<p>The run <b>{escape(run)}</b>: mIoU in %.</p>
{_markdown(results.table(content))}
<p>{escape(results.caption(content))}</p>
{_figures(content)}
<h2>The notebooks of this run</h2>
<ul>{pages}</ul>
<details><summary>All settings of this run</summary>
{_settings(content)}
</details>
</body></html>
"""
