"""A notebook that was handed in, read as text: nothing in it is run here."""

import ast
import json
from pathlib import Path
from typing import Any

LARGEST = 30_000_000  # bytes of a notebook


class UnreadableError(ValueError):
    """Why a file cannot be graded."""


class Submitted:
    """The notebook in a file.

    Attributes:
        looks: how often val was looked at, as the board wrote into its outputs; 0 if never.
        syntax: "line 3 of cell 7", where the first cell that is no Python is wrong; or "".

    Raises:
        UnreadableError: it is no notebook, or too large.
    """

    def __init__(self, file: Path) -> None:
        self._content = _read(file)
        try:
            cells = [cell for cell in self._content["cells"] if cell["cell_type"] == "code"]
            outputs = [output for cell in cells for output in cell.get("outputs", [])]
            self.looks = max((_looks(output) for output in outputs), default=0)
            sources = ["".join(cell["source"]) for cell in cells]
            self.syntax = _syntax(sources)
            for cell in cells:
                cell["outputs"] = []
            self._metadata = self._content.setdefault("metadata", {})
            self._metadata.setdefault("otter", {})
            self._metadata.setdefault("kernelspec", {})["name"] = "python3"
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableError(f"this is no notebook ({type(error).__name__})") from None

    @property
    def name(self) -> str:
        """The sheet's name that otter left in it, or ""."""
        name = self._metadata["otter"].get("assignment_name", "")
        return name if isinstance(name, str) else ""

    def write(self, file: Path, sheet: str) -> None:
        """Write it without outputs, as this sheet."""
        self._metadata["otter"]["assignment_name"] = sheet
        file.write_text(json.dumps(self._content), encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    try:
        size = file.stat().st_size
        if size > LARGEST:
            large = f"the file has {size / 1e6:,.0f} MB: clear the outputs and hand it in again"
            raise UnreadableError(large)
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UnreadableError("no notebook was handed in") from None
    except (OSError, RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UnreadableError(f"this is no notebook ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise UnreadableError("this is no notebook")
    return content


def _looks(output: dict[str, Any]) -> int:
    return int(output.get("metadata", {}).get("aelib", {}).get("looks", 0))


def _syntax(sources: list[str]) -> str:
    for number, source in enumerate(sources, start=1):
        if any(line.lstrip().startswith(("%", "!")) for line in source.splitlines()):
            continue  # IPython's own
        try:
            ast.parse(source)
        except SyntaxError as error:
            return f"line {error.lineno} of code cell {number}"
        except (ValueError, RecursionError, MemoryError):
            return f"code cell {number}"
    return ""
