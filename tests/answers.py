"""What tests/course/wrong_answers/NN.py is written with."""


class Answer(tuple):
    """An answer of several parts, Answer(a, b): its check is called with each part."""

    def __new__(cls, *parts):
        return super().__new__(cls, parts)
