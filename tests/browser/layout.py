"""Whether a reader sees a widget whole: on a small laptop's screen, and in a narrow window."""

from playwright.sync_api import Locator, Page

LAPTOP = {"width": 1366, "height": 768}
NARROW = {"width": 900, "height": 768}  # beside another window; JupyterLab's list of files is open
VISIBLE = 600  # pixels of LAPTOP's height that JupyterLab's bars leave to a notebook, about
# What is cut: a text wider than its box, a list narrower than its longest line with the arrow, and
# all that sticks out of the widget on the right. In JavaScript, as only the page knows its fonts.
CUT = """widget => {
    const pen = document.createElement('canvas').getContext('2d');
    const needs = list => {
        pen.font = getComputedStyle(list).font;
        return 24 + Math.max(...[...list.options].map(o => pen.measureText(o.text).width));
    };
    const edge = widget.getBoundingClientRect().right + 1;
    const texts = '.widget-label, .widget-readout, .widget-html-content, td';
    return [...widget.querySelectorAll('*')].filter(e => e.getClientRects().length).filter(e =>
        e.getBoundingClientRect().right > edge
        || e.matches(texts) && e.scrollWidth > e.clientWidth + 1
        || e.matches('select') && needs(e) > e.clientWidth
    ).map(e => e.innerText || e.className);
}"""


def check_layout(page: Page, widget: Locator, name: str) -> None:
    """Measure the widget in both windows: nothing is cut, on the laptop it fits the height."""
    for window in (LAPTOP, NARROW):
        page.set_viewport_size(window)
        widget.scroll_into_view_if_needed()
        page.wait_for_timeout(500)  # let the page lay it out
        cut = widget.evaluate(CUT)
        assert not cut, f"{name}: cut at {window['width']} pixels: {cut}"
        high = widget.bounding_box()["height"]
        assert window == NARROW or high <= VISIBLE, f"{name}: {high:.0f} pixels high"
