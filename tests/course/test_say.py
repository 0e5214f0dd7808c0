"""How checks speak: one sentence, no traceback, whatever a student's function does."""

import numpy as np
import pytest
import torch

from aelib.course.exercises import say


def sentence(function, *arguments, **keywords) -> str:
    with pytest.raises(AssertionError) as caught:
        function(*arguments, **keywords)
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= say.LONGEST
    return str(caught.value)


def changes_it(x):
    x[0] = 5
    return x


def raises(x):
    raise ValueError("a\nb" * 1000)


def forgets(x):
    x = x + x


def quotes(x):
    raise ValueError("'a'")


def leaves(x):
    raise SystemExit


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (None, "f: not solved yet"),
        (..., "f: not solved yet"),
        (lambda x: None, "f: not solved yet"),
        (forgets, "f: it returned None: is a `return` missing?"),
        (quotes, "f raised ValueError in the line `raise ValueError(\"'a'\")`: 'a'."),
        (3, "f: this must be a function"),
        (changes_it, "f: the function changed its input (argument 1)"),
        (raises, 'f raised ValueError in the line `raise ValueError("a\\nb" * 1000)`: a'),
        (leaves, "f raised SystemExit in the line `raise SystemExit`"),
    ],
)
@pytest.mark.parametrize("x", [np.zeros(3), torch.zeros(3), [0.0, 1.0]])
def test_a_call_says_what_went_wrong(function, words, x):
    assert sentence(say.call, "f", function, x).startswith(words)


def test_a_gradient_reaches_the_checks_own_tensor():
    x = torch.ones(3, requires_grad=True)
    say.call("f", lambda x: (x * x).sum(), x).backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_an_interrupt_is_no_wrong_answer():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        say.call("f", interrupted)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (torch.tensor([1.0, 2.0]), np.array([1, 2], np.float32)),
        ([1, 0], np.array([True, False])),
        (1e6 + 1, 1e6),  # relative above 1
        ([np.nan, 1], [np.nan, 1]),
        (torch.tensor(3.0, requires_grad=True), 3),
    ],
)
def test_the_same_numbers_in_another_guise_are_the_same(found, expected):
    say.same("a", found, expected)


def test_what_differs_is_shown():
    found, expected = np.zeros((2, 3)), np.zeros((2, 3))
    expected[1, 2] = 0.5
    expected[1, 1] = 0.25
    words = "a: first differing pixel (1, 1): 0 instead of 0.25; largest difference 0.5"
    assert sentence(say.same, "a", found, expected) == f"{words}; wrong values: 2 of 6"
    assert "shape is (2, 3), it must be (3, 2)" in sentence(say.same, "a", found, expected.T)
    assert "must be numbers" in sentence(say.same, "a", "0.3", 0.3)
    assert "must be numbers" in sentence(say.same, "a", [[1], [1, 2]], [1, 2])


def test_a_typical_mistake_is_named_whatever_its_shape():
    hints = [(np.ones(2), "this adds 1"), (3, "this is the sum")]
    assert sentence(say.same, "a", [1, 1], [0, 0], hints=hints) == "a: this adds 1"
    assert sentence(say.same, "a", 3, [0, 0], hints=hints) == "a: this is the sum"
    assert "instead of" in sentence(say.same, "a", [1, 2], [0, 0], hints=hints)


def test_a_typed_number_is_not_given_away():
    assert say.number("delta", np.float32(0.3), 0.3) == pytest.approx(0.3)
    for answer in (0.2, "0.3", True, [0.3, 0.3], float("nan"), 1e9):
        assert "0.3 is" not in sentence(say.number, "delta", answer, 0.31).replace("'0.3'", "")
    hints = [(0.2, "0.2 is of the other rule")]
    assert "other rule" in sentence(say.number, "delta", 0.2, 0.31, hints=hints)
    assert "between 0 and 1" in sentence(say.one_number, "delta", 3, 0, 1)
    assert "one of 'a', 'b'" in sentence(say.one_of, "rule", np.zeros(2), ["a", "b"])
