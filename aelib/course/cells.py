"""What a notebook says when a cell is run before the cells above it."""

import ast
import json
from contextlib import suppress
from types import TracebackType

from IPython import get_ipython

from ..pipeline.run import NOTEBOOKS

_CURE = "a cell above makes it: run the cells above first (menu Run, Run All Above Selected Cell)"


def explain_names() -> None:
    """From now on a NameError in this kernel says so, if a cell of the course makes that name.

    Other NameErrors keep their traceback. Does nothing outside IPython.
    """
    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _show)


def _show(shell, kind: type, error: NameError, trace: TracebackType, tb_offset=None) -> None:
    """An IPython handler: shows the error itself."""
    if kind is NameError and error.name in made_by_cells():
        lines = [f"NameError: {error}", _CURE]
        error._render_traceback_ = lambda: lines  # IPython asks for it
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def made_by_cells() -> set[str]:
    """All names that cells of the course's notebooks bind: by =, import, def, for, with."""
    names = set()
    for file in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                with suppress(SyntaxError):  # a cell that a reader is writing
                    names |= _bound(ast.parse("".join(cell["source"])))
    return names


def _bound(cell: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(cell):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names
