"""Widgets are skins: what a slider shows is the figure of its values."""

import ipywidgets
import pytest
import torch
from matplotlib.figure import Figure

from aelib import widgets


@pytest.fixture
def front_end(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")


def test_moving_a_control_draws_with_its_value(front_end):
    drawn = []
    box = widgets.explore(lambda x: drawn.append(x) or Figure(), x=ipywidgets.IntSlider(3, 0, 9, description="x"))
    box.update()
    assert set(drawn) == {3}
    box.children[0].value = 7
    assert drawn[-1] == 7


def test_without_a_front_end_there_is_a_line_of_text(monkeypatch, capsys):
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert widgets.explore(lambda x: Figure(), x=ipywidgets.IntSlider()) is None
    assert "open in Jupyter" in capsys.readouterr().out


def test_confidences_flip_s_hat_as_the_formula_says(front_end, capsys):
    f = torch.tensor([[0.2], [0.35], [0.45]]).reshape(1, 3, 1, 1)  # one pixel: background, two classes
    box = widgets.confidences(f, f.log(), torch.tensor([[[255]]]))
    for v, label in (((1.0, 1.0), 2), ((1.0, 0.5), 1), ((0.5, 0.2), 0)):
        for slider, value in zip(box.children, v, strict=False):
            slider.value = value
        capsys.readouterr()
        box.update()
        text = capsys.readouterr().out or str(box.out.outputs)
        assert f"S-hat = [{label}]" in text
