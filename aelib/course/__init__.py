"""What a reader sees and moves: `start` for notebooks, plots, widgets, the headless course."""

from typing import Any

__all__ = ["start"]


def __getattr__(name: str) -> Any:
    if name == "start":
        from .notebook import start  # not before: a small command need not wait for torch

        return start
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
