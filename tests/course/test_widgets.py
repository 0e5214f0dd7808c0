"""Widgets are skins: their numbers are the method's own, and a control moves what it says."""

import ipywidgets
import numpy as np
import pytest
import torch

from aelib.course import widgets
from aelib.course.widgets import skin
from aelib.crf import CRF
from aelib.evaluation import confusion, iou
from aelib.masks import as_prediction

NAMES = ("delta", "step_player", "background", "psl_by_hand", "prohibit_threshold", "crf")
MOVABLE = (ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown)


@pytest.fixture
def front_end(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")


def make(name, noise):
    """A widget over the set of noise."""
    f = torch.tensor([[0.2], [0.35], [0.45]]).reshape(1, 3, 1, 1)  # a pixel: background, 2 classes
    if name == "psl_by_hand":
        classes = noise.pictures.classes[:2]
        return widgets.psl_by_hand(f, torch.tensor([[[255]]]), classes, [1.0, 1.0])
    f, present = noise.probabilities, np.ones((5, 4), bool)
    more = {
        "delta": (noise.maps,),
        "step_player": (noise.regions, np.array([0.5, 0.4, 0.3])),
        "background": (noise.saliency, noise.regions[0]),
        "prohibit_threshold": (f, noise.v),
        "crf": (f, present, CRF(iterations=1)),
    }
    return getattr(widgets, name)(noise.pictures, noise.truth, *more[name])


def everything(widget):
    """The widget and all below it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def control(box, start):
    """The control whose label starts so."""
    (found,) = (
        w
        for w in everything(box)
        if getattr(w, "description", "").startswith(start) and not isinstance(w, ipywidgets.Play)
    )
    return found


def shown(box):
    """Pictures and texts."""
    parts = list(everything(box))
    pictures = [w.value for w in parts if isinstance(w, ipywidgets.Image)]
    return pictures, [w.value for w in parts if isinstance(w, ipywidgets.HTML)]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_front_end_there_is_one_line_of_text(name, noise, monkeypatch, capsys):
    for variable in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(variable, raising=False)
    assert make(name, noise) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert "figure above" in line


@pytest.mark.parametrize("name", NAMES)
def test_every_control_has_a_label_and_moves_something(name, noise, front_end):
    box = make(name, noise)
    assert "<stag>" not in "".join(shown(box)[1])  # names are text, not HTML
    for w in [w for w in everything(box) if isinstance(w, MOVABLE)]:
        assert w.description
        before, value = shown(box), w.value
        if isinstance(w, ipywidgets.Dropdown):
            w.index = (w.index + 1) % len(w.options)
        else:
            w.value = w.max if w.value < w.max else w.min
        assert shown(box) != before, w.description
        w.value = value
        assert shown(box) == before


def test_confidences_flip_s_hat_and_give_the_loss_as_the_formula_says(front_end, noise):
    box = make("psl_by_hand", noise)
    for v, winner in (((1.0, 1.0), 0.45), ((1.0, 0.5), 0.35), ((0.5, 0.2), 0.2)):
        for name, value in zip(noise.pictures.classes, v, strict=False):
            control(box, f"v of {name}").value = value
        loss = -np.log(winner)  # S ignores the pixel: J(f, S) = 0
        assert f"PSL loss = J(f, S) + J(f, S-hat) = {loss:.4f}" in shown(box)[1][-1]


def test_steps_count_what_is_mined_up_to_them(noise, front_end):
    box, union = make("step_player", noise), noise.regions[0]
    for step in (1, 2, 3):
        union = [a | b for a, b in zip(union, noise.regions[step - 1], strict=True)]
        pairs = zip(noise.truth.masks, union, strict=True)
        matrix = sum(confusion(t, as_prediction(r), 4) for t, r in pairs)
        control(box, "erasing step").value = step
        assert f"{100 * iou(matrix).mean():.1f} %" in shown(box)[1][-1]


def test_a_class_limits_the_pictures_to_those_that_show_it(noise, front_end):
    noise.pictures.labels[:, 1] = [True, False, False, True, False]
    box = make("delta", noise)
    control(box, "picture").value = len(noise.pictures)
    control(box, "class").value = noise.pictures.classes[1]
    assert (control(box, "picture").value, control(box, "picture").max) == (2, 2)
    assert any("picture 2 of 2" in text for text in shown(box)[1])


def test_a_start_outside_a_sliders_range_widens_it(noise, front_end):
    present, start = np.ones((5, 4), bool), CRF(bilateral_sxy=121)
    box = widgets.crf(noise.pictures, noise.truth, noise.probabilities, present, start)
    assert control(box, "bilateral reach").value == 121


def test_painted_regions_are_coloured_outlined_and_ignored_ones_hatched():
    labels = np.zeros((96, 96), np.uint8)
    labels[20:50, 20:50], labels[60:] = 2, 255
    picture = skin.paint(np.full((96, 96, 3), 100, np.uint8), labels)
    assert picture.shape == (288, 288, 3)
    assert tuple(picture[3 * 35, 60]) == (0xD5, 0x5E, 0x00)  # the outline, inside
    assert tuple(picture[3 * 35, 59]) == (255, 255, 255)  # its white edge, outside
    assert len(np.unique(picture[200:], axis=0).reshape(-1, 288, 3)) > 1
    ignored = picture[3 * 60 + 5 :].reshape(-1, 3)
    assert len(np.unique(ignored, axis=0)) == 2  # stripes
