"""Every widget of the course in a real JupyterLab and Chromium.

It is there, a keyboard moves it, pictures and numbers follow, and a small window cuts nothing off.
Run by `make test-browser`. The notebooks are copies. They open what a reader's do, the shipped run
or runs/classroom: its networks have learned something, so every control has something to move.
Environment:

    CHROMIUM            the browser; default: chromium on the PATH
    AELIB_NOTEBOOKS     folder of notebooks; default: the course's
    AELIB_RUN           another run directory for the notebooks to open
    AELIB_SCREENSHOTS   folder for a screenshot of each widget, before and after it was moved
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from aelib.support.files import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
if CHROMIUM is None:
    hint = "apt-get install chromium, or name one in CHROMIUM"
    pytest.exit(f"no chromium for the browser test: {hint}", returncode=2)
try:
    from browser.layout import check_layout
    from playwright.sync_api import Locator, Page, sync_playwright
except ImportError:
    pytest.exit("no playwright for the browser test: uv pip install playwright", returncode=2)

FOLDER = Path(os.environ.get("AELIB_NOTEBOOKS") or ROOT / "notebooks")
NOTEBOOKS = [path for path in sorted(FOLDER.glob("*.ipynb")) if "widgets." in path.read_text()]
SHOTS = os.environ.get("AELIB_SCREENSHOTS")
SETTINGS = {
    # cells out of sight are in the page, too
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}
# JupyterLab's own, in the browser's console
HARMLESS = ("favicon", "the server responded with a status of 404", "ResizeObserver loop")
MINUTE = 60_000  # ms
CONNECTED = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    const kernel = context?.session?.kernel;
    return context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
# every cell that holds code has its number, or one has raised
ALL_RUN = """() => {
    const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')]
        .filter(c => c.querySelector('.cm-content').innerText.trim());
    const stderr = '[data-mime-type="application/vnd.jupyter.stderr"]';
    const texts = [...document.querySelectorAll(stderr)];
    return document.querySelector('[data-mime-type="application/vnd.jupyter.error"]')
        || texts.some(e => /^\\w*Error\\b|Traceback \\(most recent call last/.test(e.innerText))
        || cells.every(c => /\\d/.test(c.querySelector('.jp-InputPrompt').innerText));
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab server over copies of the notebooks: (address, token)."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    for path in NOTEBOOKS:
        notebook = load_notebook_node(str(path))
        if os.environ.get("AELIB_RUN"):
            notebook = parameterize_notebook(notebook, {"run_dir": os.environ["AELIB_RUN"]})
        nbformat.write(notebook, folder / "notebooks" / path.name)
    for name, text in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    places = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, address = secrets.token_hex(16), f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser"]
    command += ["--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}", "--ServerApp.port_retries=0"]
    command += ["--LabApp.expose_app_in_browser=True"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["--allow-root"]
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(240):
            assert server.poll() is None, (folder / "lab.log").read_text()[-3000:]
            try:
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        yield address, token
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
        arguments += ["--disable-background-networking", "--disable-component-update"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser, lab, request):
    page = browser.new_page(viewport={"width": 1500, "height": 1400})
    yield page
    shoot(page, request.node.callspec.id + "-page")
    address, token = lab
    sessions = f"{address}/api/sessions"
    for session in page.request.get(f"{sessions}?token={token}").json():  # one kernel at a time
        page.request.delete(f"{sessions}/{session['id']}?token={token}")
    page.close()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_keyboard_moves_every_widget_of_the_notebook(page, lab, notebook):
    complaints = []

    def note(message):
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    run_all(page, f"{lab[0]}/lab/tree/{notebook.name}?reset&token={lab[1]}")
    found = page.locator(".jp-OutputArea-child:has(.noUi-handle)")
    found.first.wait_for(timeout=MINUTE)
    names = [f"{notebook.stem}-{i + 1}" for i in range(found.count())]
    for i, name in enumerate(names):
        move_all(page, found.nth(i), name)
    for i, name in enumerate(names):
        check_layout(page, found.nth(i), name)
    harmful = [text for text in complaints if not any(part in text for part in HARMLESS)]
    assert harmful == []


def run_all(page: Page, address: str) -> None:
    """Open a notebook, run all its cells, wait for the last; no cell may raise."""
    page.goto(address, timeout=2 * MINUTE)
    # the page says idle a little before it is connected, and until then drops what it is told
    page.wait_for_function(CONNECTED, timeout=2 * MINUTE)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    page.wait_for_function(ALL_RUN, timeout=15 * MINUTE)
    kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
    texts = page.locator(", ".join(f'[data-mime-type="{kind}"]' for kind in kinds))
    found = texts.all_inner_texts()
    assert [text for text in found if "Traceback" in text or "Error" in text] == []


def move_all(page: Page, widget: Locator, name: str) -> None:
    """Move each control of a widget by a key and see that something follows each time.

    Pictures (if there are any) and numbers both have to follow some control.
    """
    widget.scroll_into_view_if_needed()
    labelled = ":is(.widget-slider, .widget-dropdown, .widget-play) > .widget-label"
    for label in widget.locator(labelled).all():
        assert label.inner_text().strip()
        whole = label.evaluate("e => e.scrollWidth <= e.clientWidth")
        assert whole, f"{name}: the label {label.inner_text()!r} is cut"
    page.wait_for_timeout(500)
    shoot(widget, f"{name}-start")
    start = before = state(widget)
    followed = set()
    # a step may change nothing; JupyterLab takes a closed list's arrows
    slide = [["ArrowRight"]] * 10 + [["ArrowLeft"]] * 15
    drop = [["Space", "ArrowDown", "Enter"]] * 2
    controls = [(handle, slide) for handle in widget.locator(".noUi-handle").all()]
    controls += [(choice, drop) for choice in widget.locator("select").all()]
    for number, (control, tries) in enumerate(controls, 1):
        moved = any(press(page, widget, control, keys, before) for keys in tries)
        assert moved, f"{name}: control {number} moves nothing"
        after = state(widget)
        followed |= {kind for kind in ("pictures", "numbers") if after[kind] != before[kind]}
        before = after
    expected = {"pictures", "numbers"} if start["pictures"] else {"numbers"}
    assert followed == expected, f"{name}: only {followed} followed"
    shoot(widget, f"{name}-moved")


def state(widget: Locator) -> dict[str, list[str]]:
    """What a widget shows: the pictures' addresses and the HTML's text."""
    return {
        "pictures": widget.locator("img.widget-image").evaluate_all("all => all.map(e => e.src)"),
        "numbers": widget.locator(".widget-html-content").all_inner_texts(),
    }


def press(page: Page, widget: Locator, control: Locator, keys: list[str], before: dict) -> bool:
    """Whether the widget shows something else within two seconds of the keys."""
    control.focus()
    for key in keys:
        page.keyboard.press(key)
    for _ in range(20):
        page.wait_for_timeout(100)
        if state(widget) != before:
            page.wait_for_timeout(300)  # let all of it arrive
            return True
    return False


def shoot(place: Locator | Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        place.screenshot(path=Path(SHOTS) / f"{name}.png")
