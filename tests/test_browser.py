"""The lessons in JupyterLab, in a real Chromium, as a learner meets them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import find_chromium
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
ARTEFACTS = ROOT / "artefacts"
MS = 60_000

pytestmark = pytest.mark.needs("mongodb", "chromium")


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """JupyterLab as `leftopen lab` starts it, on a copy of the lessons."""
    folder = tmp_path_factory.mktemp("j")
    # Saving in the browser must not touch the committed notebooks.
    subprocess.run(["cp", "-r", ROOT / "notebooks", folder], check=True)
    runtime = folder / "r"
    environment = {
        **os.environ,
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "leftopen.cli", "lab", "--no-browser", "--ServerApp.port=0",
             f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not list(runtime.glob("jpserver-*.json")) and time.monotonic() < deadline:
                time.sleep(0.05)
            told = json.loads(next(runtime.glob("jpserver-*.json")).read_text())
            yield f"{told['url']}lab/tree/notebooks/{{}}?token={told['token']}&reset"
        finally:
            server.terminate()
            server.wait(60)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                  "--disable-background-networking", "--disable-component-update"],
        )  # fmt: skip
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.set_default_timeout(MS)
    yield page
    page.close()


def run_all(page, address):
    """Open a notebook, clear it, run all its cells, wait until its kernel is idle."""
    page.goto(address)
    page.wait_for_function(
        "() => { const p = window.jupyterapp?.shell?.currentWidget;"
        " return p?.sessionContext?.session?.kernel?.status === 'idle'; }"
    )
    # The committed outputs go first, so that what is seen afterwards is new.
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(
        """() => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const code = notebook.widgets.filter(c => c.model.type === 'code'
                && c.model.sharedModel.getSource().trim());
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            return kernel.status === 'idle'
                && code.every(c => c.model.executionCount !== null);
        }"""
    )


def errors(page):
    return page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(c => c.model.type === 'code')
            .flatMap(c => c.model.outputs.toJSON())
            .filter(o => o.output_type === 'error')
            .map(o => o.ename + ': ' + o.evalue)"""
    )


def keep_picture(page, name):
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb")))
def test_run_all_ends_without_an_error(page, jupyter, name):
    run_all(page, jupyter.format(name))
    assert errors(page) == []
    keep_picture(page, name.removesuffix(".ipynb"))


def test_jupyterlab_asks_for_nothing_on_its_own(page, jupyter):
    page.goto(jupyter.format("00_start_here.ipynb"))
    page.locator(".jp-Notebook").wait_for()
    page.wait_for_timeout(4000)  # the question about news came within two seconds
    assert page.locator(".Toastify__toast").all_inner_texts() == []


def test_a_terminal_finds_the_command(page, jupyter, tmp_path):
    """A login shell in the terminal would set PATH anew, and lose the course's own."""
    page.goto(jupyter.format("00_start_here.ipynb"))
    page.locator(".jp-Notebook").wait_for()
    page.evaluate("() => window.jupyterapp.commands.execute('terminal:create-new')")
    page.locator(".jp-Terminal .xterm-screen").wait_for()
    page.locator(".jp-Terminal").click()
    page.keyboard.type(f"leftopen --help > {tmp_path}/help; echo $? > {tmp_path}/code")
    page.keyboard.press("Enter")
    deadline = time.monotonic() + 60
    while not (tmp_path / "code").exists() and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert (tmp_path / "code").read_text() == "0\n"
    assert "leftopen" in (tmp_path / "help").read_text()


def test_an_error_would_be_seen(page, jupyter):
    run_all(page, jupyter.format("00_start_here.ipynb"))
    page.evaluate(
        """() => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const cell = notebook.widgets.find(c => c.model.type === 'code');
            cell.model.sharedModel.setSource('1 / 0');
            notebook.activeCellIndex = notebook.widgets.indexOf(cell);
            return window.jupyterapp.commands.execute('notebook:run-cell');
        }"""
    )
    assert errors(page) == ["ZeroDivisionError: division by zero"]


def test_the_explorer_changes_what_the_stranger_sees(page, jupyter):
    run_all(page, jupyter.format("01_case_sensenets.ipynb"))
    widget = page.locator(".widget-vbox").last
    widget.scroll_into_view_if_needed()
    row = widget.locator("tr", has_text="read one document")
    row.get_by_text("✗ open").wait_for()
    keep_picture(page, "explorer_open")

    def press(group, label):
        widget.locator(".widget-toggle-buttons", has_text=group).get_by_text(
            label, exact=True
        ).click()

    button = widget.locator(".widget-toggle-buttons", has_text="Login").get_by_text(
        "on", exact=True
    )
    button.focus()
    page.keyboard.press("Space")  # worked without a mouse
    row.get_by_text("refused: login required").wait_for()
    listener = widget.locator("tr", has_text="listen to")
    listener.get_by_text("a name, in clear").wait_for()
    press("Encryption", "on")
    listener.get_by_text("bytes that mean nothing without the key").wait_for()
    widget.locator("tr", has_text="connect").first.get_by_text("over TLS").wait_for()
    press("Network", "this machine")
    row.get_by_text("no connection").wait_for()
    keep_picture(page, "explorer_closed")
    press("Login", "off")
    press("Encryption", "off")
    press("Network", "everyone")
    row.get_by_text("✗ open").wait_for()
