"""Progress suits where it is shown: lines in a saved notebook, a bar where somebody watches."""

import sys

import pytest
import tqdm.auto

from aelib.support import progress as module
from aelib.support.progress import live, progress


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
        def __init__(self, desc, unit, total):
            self.desc, self.unit, self.total, self.n, self.note = desc, unit, total, 0, None
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
    assert capsys.readouterr().out == ""
