"""What a reader sees and moves: `start` for notebooks, plots, widgets, the headless course."""

from .notebook import start

__all__ = ["start"]
