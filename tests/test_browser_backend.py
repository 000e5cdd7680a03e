"""The service of lesson 11 in a learner's own browser: its manual refuses, and then is gone."""

import pytest
from in_browser import ask_in_the_manual, keep_picture, open_lesson, run_cell

pytestmark = pytest.mark.needs("postgres", "chromium")
LESSON = "notebooks/11_close_the_back_end.ipynb"


def run_up_to(page, cells, begin, words):
    """Run the cells from a number on, up to the first one that holds these words; return it."""
    last = next(n for n, cell in enumerate(cells) if n >= begin and words in cell)
    for number in range(begin, last + 1):
        run_cell(page, number)
    return last


def test_the_manual_of_the_closed_service_refuses_a_stranger_and_then_is_gone(page, jupyter):
    cells = open_lesson(page, jupyter.format(LESSON))
    listed = run_up_to(page, cells, 0, "GET /docs")
    link = page.locator(".jp-OutputArea-output a", has_text="/docs").first
    link.scroll_into_view_if_needed()
    with page.expect_popup() as popup:
        link.click()
    tab = popup.value
    route = "/servers/{server}/residents/{person}"
    status, body = ask_in_the_manual(tab, route, server="1", person="100")
    assert status == "401"
    assert "Person-" not in body
    keep_picture(tab, "closed_service_tab")

    run_up_to(page, cells, listed + 1, "openapi_url=None")
    assert tab.reload().status == 404
    assert tab.goto(tab.url.split("/docs")[0] + "/openapi.json").status == 404
