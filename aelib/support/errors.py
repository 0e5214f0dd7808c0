"""Errors that say what to do: in a notebook they show their message and no traceback."""

_LINES = 3  # of a message that a notebook shows


class Told:
    """Mixed into an exception that is no bug: IPython shows its message, three lines at most."""

    def _render_traceback_(self) -> list[str]:  # IPython's name
        texts = [f"{type(self).__name__}: {self}", *getattr(self, "__notes__", ())]
        lines = "\n".join(texts).splitlines()
        if len(lines) > _LINES:
            more = f"({len(lines)} lines: `import sys; print(sys.last_value)` shows all)"
            lines = [*lines[: _LINES - 1], more]
        return lines


class InputError(Told, ValueError):
    """A setting, a file or a data set is wrong; the message says which, and what is allowed."""
