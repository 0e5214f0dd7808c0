"""Progress suits where it is shown: lines in a saved notebook, a bar where somebody watches."""

import sys

import pytest
import tqdm.auto

from aelib.support import progress as module
from aelib.support.progress import live, progress, watched


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock(monkeypatch):
    """seconds() that a test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_headless_epochs_are_a_line_each(capsys):
    report = progress("classifier-1", unit="epoch")
    report(1, 8, "loss 0.1234")
    report(2, 8)
    lines = ["  classifier-1: epoch 1/8, loss 0.1234", "  classifier-1: epoch 2/8"]
    assert capsys.readouterr().out.splitlines() == lines


def test_headless_pictures_are_a_line_a_minute(capsys, clock):
    report = progress("data")
    known = progress("saliency", 8)
    for second in range(150):
        clock[0] = second
        report(second, 500)
        known(3)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "  data: 61 of 500 pictures",
        "  saliency: 3 of 8 pictures",
        "  data: 122 of 500 pictures",
        "  saliency: 3 of 8 pictures",
    ]


@pytest.mark.parametrize("watched", ["JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG", ""])
def test_who_watches_sees_a_bar(monkeypatch, capsys, watched):
    bars = []

    class Bar:
        def __init__(self, desc, unit, total, delay, leave):
            self.desc, self.unit, self.total, self.n, self.note = desc, unit, total, 0, None
            self.delay, self.leave = delay, leave
            self.open = True
            bars.append(self)

        def update(self, n):
            self.n += n

        def set_postfix_str(self, note, refresh):
            self.note = note

        def close(self):
            self.open = False

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    if watched:
        monkeypatch.setenv(watched, "1")
    else:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert live() == bool(watched)
    report = progress("classifier-1", unit="epoch")
    assert len(bars) == 1  # before the first, long epoch is over
    assert (bars[0].delay, bars[0].leave) == (0, True)
    report(1, 2, "loss 0.5")
    assert (bars[0].n, bars[0].total, bars[0].note, bars[0].open) == (1, 2, "loss 0.5", True)
    report(2, 2)
    assert bars[0].n == 2 and not bars[0].open
    count = progress("saliency", 3)
    assert len(bars) == 1  # no bar before there is something to say
    for done in (1, 2, 3):
        count(done)
    bar = bars[1]
    assert (bar.desc, bar.unit, bar.total, bar.n, bar.open) == ("saliency", "picture", 3, 3, False)
    assert (bar.delay, bar.leave) == (5, False)  # seen only where it takes over five seconds
    assert capsys.readouterr().out == ""


@pytest.fixture
def bars(monkeypatch):
    """The names of the bars that were opened, by a reader who watches."""
    names = []
    monkeypatch.setattr(module, "_bar", lambda name, *_: names.append(name) or (lambda done: None))
    monkeypatch.setenv("JPY_SESSION_NAME", "1")
    return names


def test_nested_items_have_one_bar_and_come_unchanged(bars):
    inner = watched(range(3), "networks", 3)
    assert list(watched((i * i for i in inner), "CRF", 3)) == [0, 1, 4]
    assert bars == ["CRF"]
    assert list(watched("ab", "CAMs", 2)) == ["a", "b"]
    assert bars == ["CRF", "CAMs"]


def test_a_reader_who_stops_early_gets_a_bar_the_next_time(bars):
    started = watched(range(3), "first", 3)
    assert next(started) == 0
    started.close()
    assert list(watched(range(2), "second", 2)) == [0, 1]
    assert bars == ["first", "second"]


def test_nobody_watches_and_nothing_is_printed(capsys, clock):
    for second in watched(range(150), "CAMs", 150):
        clock[0] = second
    assert capsys.readouterr().out == ""
