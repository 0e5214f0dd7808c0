"""Figures write every class name that an installed font can write, and say what none can."""

import io
import warnings

import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font

from aelib.course.plots import style


@style.styled
def drawn(name):
    figure, ((ax,),) = style.new_figure()
    ax.set_xticks([0, 1], [name, name])
    return figure


@pytest.fixture(autouse=True)
def glyph_warnings_are_errors():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Glyph .* missing from")
        yield


def test_another_font_has_what_the_first_lacks(capsys):
    def characters(family):
        return get_font(findfont(FontProperties(family=[family]))).get_charmap().keys()

    only = min(characters("STIXGeneral") - characters("DejaVu Sans"))  # both come with matplotlib
    drawn(chr(only)).savefig(io.BytesIO())
    assert capsys.readouterr().out == ""


def test_what_no_font_has_is_said_once(capsys):
    nobodys = "\U0010fffd"  # private use
    drawn(nobodys).savefig(io.BytesIO())
    drawn(nobodys)
    assert capsys.readouterr().out.count("install a font") == 1
