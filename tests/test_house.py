"""The shape of the house, read from the files: who imports whom, how long things are."""

import ast
import sys
from pathlib import Path

import pytest

import aelib

PACKAGE = Path(aelib.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
#: wing -> the wings it may import from, besides itself
BELOW = {
    "paper": set(),
    "support": set(),
    "datasets": {"paper", "support"},
    "pipeline": {"paper", "support", "datasets"},
    "course": {"paper", "support", "datasets", "pipeline"},
    "main": {"paper", "support", "datasets", "pipeline", "course"},
}
PAPER_USES = {"torch", "torchvision", "numpy", "scipy", "skimage", "pydensecrf"}
#: where true masks may be named; everything else learns without them
SEES_TRUTH = ("datasets/", "pipeline/stages/scoring.py", "pipeline/results.py", "course/")


def wing(parts: tuple[str, ...]) -> str:
    """The wing of a module, from its path or dotted name below aelib."""
    if parts[0] in BELOW:
        return parts[0]
    return "main" if parts[0] in ("__main__", "__main__.py") else "paper"


def imported(file: Path) -> list[tuple[str, ...]]:
    """Every module that a file imports, wherever in it, as parts of its absolute dotted name."""
    found = []
    package = ("aelib", *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = (*start, *(node.module.split(".") if node.module else ()))
            found += [(*base, alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file):
    here = wing(file.relative_to(PACKAGE).parts)
    for parts in imported(file):
        if parts[0] == "aelib" and len(parts) > 1:
            assert wing(parts[1:]) in BELOW[here] | {here}, f"{here} imports {'.'.join(parts)}"
        elif here == "paper":
            assert parts[0] in PAPER_USES | sys.stdlib_module_names, f"{'.'.join(parts)}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_true_masks_are_named_by_few(file):
    if str(file.relative_to(PACKAGE)).startswith(SEES_TRUTH):
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = [
        alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names
    ]
    calls = [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    handed_on = file.name == "__init__.py"  # stages/__init__ names what scoring offers
    assert "Truth" not in imports
    assert handed_on or not {"truth", "has_truth"} & {*calls, *imports}


def test_files_are_short():
    texts = {file: file.read_text(encoding="utf-8").splitlines() for file in FILES}
    paper = [file for file in FILES if wing(file.relative_to(PACKAGE).parts) == "paper"]
    assert sum(len(texts[file]) for file in paper) <= 1_250
    assert [file.name for file in FILES if len(texts[file]) > 250] == []
    wide = [file.name for file in FILES if any(len(line) > 100 for line in texts[file])]
    assert wide == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_assignment_hides_in_a_call(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    hidden = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            parts = [*call.args, *call.keywords]
            inside = [node for part in parts for node in ast.walk(part)]
            hidden += [node.lineno for node in inside if isinstance(node, ast.NamedExpr)]
    assert hidden == []
