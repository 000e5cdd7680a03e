"""Lesson 02 in a real Chromium: the link is clicked as a learner does, and the quiz is answered."""

import pytest
from in_browser import keep_picture, run_cell, sources

pytestmark = pytest.mark.needs("opensearch", "chromium")
LESSON = "notebooks/02_case_beijing_smart_city.ipynb"


def open_lesson(page, jupyter):
    page.goto(jupyter.format(LESSON))
    page.wait_for_function(
        "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
        " === 'idle'"
    )
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    return sources(page)


def test_the_link_of_the_lesson_shows_the_open_indices_in_a_tab(page, jupyter):
    cells = open_lesson(page, jupyter)
    last = next(n for n, source in enumerate(cells) if "_cat/indices" in source)
    for number in range(last + 1):
        run_cell(page, number)
    with page.expect_popup() as opened:
        page.locator(".jp-OutputArea a", has_text="/_cat/indices").first.click()
    tab = opened.value
    tab.wait_for_load_state()
    assert "docs.count" in tab.inner_text("body")
    assert "faces-2019.04" in tab.inner_text("body")


def test_the_quiz_is_answered_by_keyboard(page, jupyter):
    cells = open_lesson(page, jupyter)
    quiz = next(n for n, source in enumerate(cells) if "duties()" in source)
    run_cell(page, quiz)
    widget = page.locator(".widget-vbox", has_text="of 8 are right").first
    widget.scroll_into_view_if_needed()
    button = widget.get_by_role("button", name="provider", exact=True).first
    button.focus()
    page.keyboard.press("Space")
    widget.get_by_text("Right.").wait_for()
    widget.get_by_text("1 of 8 are right.").wait_for()
    keep_picture(page, "quiz_of_duties")
    page.keyboard.press("Tab")  # to the other button of the same statement
    page.keyboard.press("Space")
    widget.get_by_text("Not so.").wait_for()
    widget.get_by_text("0 of 8 are right.").wait_for()
