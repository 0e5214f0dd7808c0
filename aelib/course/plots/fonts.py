"""Fonts for class names that matplotlib's own font cannot write."""

import warnings
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

_BOXES = "Last Resort"  # begins the name of a font that has a box for every character


def fallbacks(figure: Figure) -> tuple[str, ...]:
    """The installed fonts that have what the figure's font lacks; none if it lacks nothing.

    Characters that no font has are said, once; they are drawn as boxes.
    """
    for ax in figure.axes:
        ax.get_xticklabels()  # matplotlib makes them now
        ax.get_yticklabels()
    texts = [text.get_text() for text in figure.findobj(Text)]
    seen = {character for text in texts for character in text if character.isprintable()}
    lacking = "".join(sorted(seen - _characters(_file("sans-serif"))))
    return _fonts_with(lacking) if lacking else ()


@cache
def _fonts_with(characters: str) -> tuple[str, ...]:
    found, left = [], set(characters)
    for font in fontManager.ttflist:
        if font.name.startswith(_BOXES) or not left & _characters(font.fname):
            continue
        if _file(font.name) == font.fname:  # not one of its bold or slanted sisters
            found.append(font.name)
            left -= _characters(font.fname)
    if left:
        lacking = "".join(sorted(left))
        print(f"figures show boxes for {lacking}: install a font that has them, such as Noto Sans")
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is said
    return tuple(found)


def _file(family: str) -> str:
    return findfont(FontProperties(family=[family]))


@cache
def _characters(file: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, get_font(file).get_charmap()))
    except (RuntimeError, OSError):  # a damaged font, or one that is gone
        return frozenset()
