"""The lessons and exercises in JupyterLab, in a real Chromium, as a learner meets them."""

import re
import time

import pytest
from conftest import servers_of
from in_browser import ROOT, errors, keep_picture, run_all, run_cell, sources, write

pytestmark = pytest.mark.needs("mongodb", "chromium")


def is_seen_in_a_browser_alone(path):
    """Whether it has what nbval does not compare: a widget, or a picture."""
    return bool(re.search(r"widget-view|<img ", path.read_text()))


def pytest_generate_tests(metafunc):
    """nbval runs every notebook. A run of the suite takes those with a widget or a picture here.

    With ``--all-tasks`` it takes each lesson.
    """
    if "lesson" in metafunc.fixturenames:
        paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
        if not metafunc.config.getoption("all_tasks"):
            paths = [path for path in paths if is_seen_in_a_browser_alone(path)]
        lessons = [
            pytest.param(path.name, marks=pytest.mark.needs(*servers_of(path.stem)))
            for path in paths
        ]
        metafunc.parametrize("lesson", lessons)


def test_some_lessons_are_run_here_and_some_are_not():
    named = {path.name[:2]: path for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert is_seen_in_a_browser_alone(named["01"])  # the explorer
    assert is_seen_in_a_browser_alone(named["02"])  # the quiz
    assert not is_seen_in_a_browser_alone(named["07"])


def test_run_all_ends_without_an_error(page, jupyter, lesson):
    run_all(page, jupyter.format(f"notebooks/{lesson}"))
    assert errors(page) == []
    keep_picture(page, f"notebooks_{lesson.removesuffix('.ipynb')}")


def test_jupyterlab_asks_for_nothing_on_its_own(page, jupyter):
    page.goto(jupyter.format("notebooks/00_start_here.ipynb"))
    page.locator(".jp-Notebook").wait_for()
    page.wait_for_timeout(4000)  # the question about news came within two seconds
    assert page.locator(".Toastify__toast").all_inner_texts() == []


def test_a_terminal_finds_the_command(page, jupyter, tmp_path):
    """A login shell in the terminal would set PATH anew, and lose the course's own."""
    page.goto(jupyter.format("notebooks/00_start_here.ipynb"))
    page.locator(".jp-Notebook").wait_for()
    page.evaluate("() => window.jupyterapp.commands.execute('terminal:create-new')")
    page.locator(".jp-Terminal .xterm-screen").wait_for()
    page.locator(".jp-Terminal").click()
    page.keyboard.type(f"leftopen --help > {tmp_path}/help; echo $? > {tmp_path}/new")
    page.keyboard.type(f" && mv {tmp_path}/new {tmp_path}/code")  # there, and not yet written
    page.keyboard.press("Enter")
    deadline = time.monotonic() + 60
    while not (tmp_path / "code").exists() and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert (tmp_path / "code").read_text() == "0\n"
    assert "leftopen" in (tmp_path / "help").read_text()


def test_an_error_would_be_seen(page, jupyter):
    run_all(page, jupyter.format("notebooks/00_start_here.ipynb"))
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
    run_all(page, jupyter.format("notebooks/01_case_sensenets.ipynb"))
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


RIGHT = """
operator = MongoClient(lab.inside.uri)
name, password = task["administrator"], "a pond with eleven geese"
operator.admin.command("createUser", name, pwd=password, roles=["userAdminAnyDatabase"])
lab.configure("security: {authorization: enabled}")
admin_uri = lab.inside.uri_as(name, password)
"""


def test_exercise_07_as_a_learner_does_it(page, jupyter):
    """A wrong answer, a hint, a near miss, the right answer, the progress board."""
    run_all(page, jupyter.format("exercises/07_require_a_login.ipynb"))
    cells = sources(page)
    asked = next(n for n, source in enumerate(cells) if source.startswith("ex.check(1,"))
    answer, begin, board = asked - 1, asked - 2, len(cells) - 1
    assert run_cell(page, asked).startswith("○ Not attempted.")
    run_cell(page, begin)  # running all cells has opened the labs of later questions
    write(page, answer, 'admin_uri = "please let me in"')
    run_cell(page, answer)
    assert run_cell(page, asked).startswith("‼ An error in your cell.")
    write(page, asked, "ex.hint(1)")
    assert run_cell(page, asked).startswith("Hint 1 of 3.")
    keep_picture(page, "exercise_07_hint")
    write(page, asked, cells[asked])
    write(page, answer, RIGHT.replace('")\nadmin_uri', '", restart=False)\nadmin_uri'))
    run_cell(page, answer)
    assert run_cell(page, asked).startswith("✗ Not yet. The file says authorization: enabled")
    page.locator(".jp-OutputArea", has_text="Not yet.").first.scroll_into_view_if_needed()
    keep_picture(page, "exercise_07_near_miss")
    run_cell(page, begin)
    write(page, answer, RIGHT)
    run_cell(page, answer)
    assert run_cell(page, asked).startswith("✓ Right.")
    page.locator(".jp-OutputArea", has_text="Right.").first.scroll_into_view_if_needed()
    keep_picture(page, "exercise_07_right")
    told = run_cell(page, board)
    assert re.search(r"1 of \d right, 3 of \d+ points", told), told
    assert "✓ 1. Require a login: right; 3 points, 3 tries, 1 hints" in told
    page.locator("table", has_text="1 of").last.scroll_into_view_if_needed()
    keep_picture(page, "exercise_07_board")
    assert errors(page) == []
