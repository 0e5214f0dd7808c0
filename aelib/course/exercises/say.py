"""How a check calls a student's function and says in one sentence what is wrong.

Every function here raises AssertionError with one line of text, or returns what it was asked for.
"""

import dis
import math
import traceback
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

Hints = Iterable[tuple[Any, str]]  # (what a typical mistake gives, the sentence about it)
LONGEST = 240  # characters of a message


def given(name: str, answer: Any) -> Any:
    """Returns the answer unless it is still None or `...`, as in the stub."""
    all_given(**{name: answer})
    return answer


def all_given(**answers: Any) -> None:
    """Raises AssertionError with the names of the answers that are still None or `...`."""
    missing = [name for name, answer in answers.items() if answer is None or answer is Ellipsis]
    if missing:
        raise AssertionError(f"{listed(missing)}: not solved yet")


def wrong(name: str, sentence: str) -> None:
    """Raises AssertionError("NAME: SENTENCE"): see `_tell`."""
    _tell(f"{name}: {sentence}")


def listed(names: Sequence[str]) -> str:
    """Returns "a", "a and b", "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def call(name: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Returns function(*arguments, **keywords), called on copies.

    The copy of a tensor that requires a gradient stays connected to it: a backward pass through
    the result fills the original's .grad.

    Raises:
        AssertionError: the function is missing, is the stub or returns `...` ("not solved yet"); it
            returns None; it raised anything, SystemExit too; it changed its input.
    """
    given(name, function)
    if not callable(function):
        wrong(name, f"this must be a function, and it is {_kind(function)}")
    copies = [_copy(argument) for argument in arguments]
    named = {key: _copy(argument) for key, argument in keywords.items()}
    try:
        result = function(*copies, **named)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        _raised(name, function, error)
    before = [*arguments, *keywords.values()]
    after = [*copies, *named.values()]
    for number, (one, other) in enumerate(zip(before, after, strict=True), start=1):
        if not _unchanged(one, other):
            wrong(name, f"the function changed its input (argument {number}): work on a copy")
    if result is None and not _is_stub(function):
        wrong(name, "it returned None: is a `return` missing?")
    return given(name, result)


def same(name: str, found: Any, expected: Any, tolerance: float = 1e-5, hints: Hints = ()) -> None:
    """Compare numbers of any shape: arrays, tensors, lists, single numbers, truth values.

    Two values are the same if they differ by at most `tolerance`, or by that share of the expected
    one where it is above 1. NaN is the same as NaN. Types do not matter: float32 or float64, numpy
    or torch, bool or 0 and 1.

    Args:
        name: what is compared, as the message begins: "cam on a 3 x 4 picture".
        hints: pairs (value, sentence): if `found` is not right but is the same as `value`, the
            message is "NAME: SENTENCE".
    """
    given(name, found)
    mine, right = _array(found), _array(expected)
    if mine is None:
        wrong(name, f"this must be numbers, and it is {_kind(found)}")
    if mine.shape == right.shape and _equal(mine, right, tolerance).all():
        return
    _recognise(name, mine, hints, tolerance)
    if mine.shape != right.shape and not right.shape:
        wrong(name, f"return one number; this has the shape {mine.shape}")
    if mine.shape != right.shape:
        wrong(name, f"the shape is {mine.shape}, it must be {right.shape}")
    differs = ~_equal(mine, right, tolerance)
    first = tuple(int(k) for k in np.argwhere(differs)[0])
    here = f"{_text(mine[first])} instead of {_text(right[first])}"
    if right.ndim == 0:
        wrong(name, here)
    place = f"{'pixel' if right.ndim > 1 else 'value'} {first if right.ndim > 1 else first[0]}"
    gap = np.abs(mine.astype(float) - right)[differs]
    largest = "" if np.isnan(gap).all() else f"; largest difference {_text(np.nanmax(gap))}"
    many = f"; wrong values: {differs.sum()} of {differs.size}"
    wrong(name, f"first differing {place}: {here}{largest}{many}")


def number(
    name: str, found: Any, expected: float, tolerance: float = 1e-3, hints: Hints = ()
) -> float:
    """Compare one number that the student typed; the message does not give the right one away.

    Args:
        tolerance: the difference that is allowed, absolute.
        hints: as in `same`.

    Returns:
        `found` as a float.
    """
    value = one_number(name, found)
    if abs(value - expected) <= tolerance:
        return value
    _recognise(name, np.array(value), hints, tolerance)
    wrong(name, f"{_text(value)} is not right (within {tolerance:g} would do)")
    raise AssertionError  # never reached: `wrong` raises


def one_number(name: str, found: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Returns an answer as a float. It must be one finite number from `low` to `high`."""
    given(name, found)
    array = _array(found)
    if array is None or array.size != 1 or array.dtype == bool:
        wrong(name, f"this must be one number, and it is {_kind(found)}")
    value = float(array.reshape(()))
    if not math.isfinite(value):
        wrong(name, f"this must be a number, and it is {value}")
    if not low <= value <= high:
        wrong(name, f"{_text(value)} is not between {low:g} and {high:g}")
    return value


def one_of(name: str, found: Any, choices: Sequence[Any]) -> Any:
    """Returns an answer that must be one of `choices`."""
    given(name, found)
    if isinstance(found, (str, int, float, bool)) and found in choices:
        return found
    known = ", ".join(repr(choice) for choice in choices)
    wrong(name, f"this must be one of {known}, and it is {found!r}")


# --- inside ---------------------------------------------------------------------------------------


def _tell(text: str) -> None:
    """Raises AssertionError with the text on one line, shortened to LONGEST characters."""
    text = " ".join(text.split())
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 3]}..."
    if text.endswith("'"):
        text += "."  # otter would take the quote away
    raise AssertionError(text) from None


def _stub() -> None: ...


def _is_stub(function: Callable[..., Any]) -> bool:
    """Whether a function does nothing, as those that a sheet hands out; so has one without code."""
    codes = [getattr(one, "__code__", "") for one in (function, _stub)]
    mine, nothing = ([step.opname for step in dis.get_instructions(code)] for code in codes)
    return mine == nothing


def _raised(name: str, function: Callable[..., Any], error: BaseException) -> None:
    """Say which exception the student's function raised, and in which line of it."""
    message = " ".join(str(error).split())
    said = f": {message}" if message else ""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if code and frame.filename == code.co_filename]
    where = f" in the line `{inside[-1].line}`" if inside and inside[-1].line else ""
    _tell(f"{name} raised {type(error).__name__}{where}{said}")


def _copy(value: Any) -> Any:
    """Returns a copy; of a tensor with a gradient one that stays connected to it."""
    if hasattr(value, "requires_grad") and value.requires_grad:
        return value.clone()
    return value if callable(value) else deepcopy(value)


def _unchanged(before: Any, after: Any) -> bool:
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_unchanged, before, after))
    if isinstance(before, dict):
        same_keys = before.keys() == after.keys()
        return same_keys and all(_unchanged(before[key], after[key]) for key in before)
    if hasattr(before, "__array__"):
        one, other = _array(before), _array(after)
        equal_nan = one.dtype.kind in "fc"
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=equal_nan)
    if isinstance(before, (int, float, str)):
        return before == after or before != before  # NaN
    return True


def _array(value: Any) -> np.ndarray | None:
    """Returns numbers as float64, truth values as bool; None if `value` holds anything else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    elif isinstance(value, (list, tuple)):
        value = [part.detach().cpu().numpy() if hasattr(part, "detach") else part for part in value]
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # rows of different lengths
        return None
    if array.dtype.kind == "b":
        return array
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def _equal(found: np.ndarray, expected: np.ndarray, tolerance: float) -> np.ndarray:
    found, expected = found.astype(float), expected.astype(float)
    allowed = tolerance * np.fmax(1, abs(expected))  # 1 where NaN is expected
    return np.isclose(found, expected, rtol=0, atol=allowed, equal_nan=True)


def _recognise(name: str, found: np.ndarray, hints: Hints, tolerance: float) -> None:
    """Raise with the sentence of the first typical mistake that `found` is the same as."""
    for value, sentence in hints:
        typical = _array(value)
        if typical.shape == found.shape and _equal(found, typical, tolerance).all():
            wrong(name, sentence)


def _text(value: Any) -> str:
    """Returns a value as a short text: 0.1235, 3, True."""
    return str(bool(value)) if isinstance(value, (bool, np.bool_)) else f"{float(value):.4g}"


def _kind(value: Any) -> str:
    """Returns what a value is: "of type str ('0.2')", "of type Tensor and shape (3, 4)"."""
    kind = f"of type {type(value).__name__}"
    if hasattr(value, "shape"):
        return f"{kind} and shape {tuple(value.shape)}"
    text = repr(value)
    return f"{kind} ({text if len(text) <= 40 else text[:37] + '...'})"
