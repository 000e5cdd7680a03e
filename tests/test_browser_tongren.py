"""The service of lesson 03 in a learner's own browser: its manual, used by a stranger."""

import json

import pytest
from in_browser import ask_in_the_manual, keep_picture, open_lesson, run_cell

pytestmark = pytest.mark.needs("postgres", "chromium")
LESSON = "notebooks/03_case_tongren_doors.ipynb"


def test_the_manual_of_the_open_service_gives_a_stranger_records(page, jupyter):
    cells = open_lesson(page, jupyter.format(LESSON))
    number = next(n for n, cell in enumerate(cells) if "open_case(" in cell)
    run_cell(page, number)
    link = page.locator(".jp-OutputArea-output a", has_text="/docs").first
    link.scroll_into_view_if_needed()
    with page.expect_popup() as popup:
        link.click()
    tab = popup.value
    status, body = ask_in_the_manual(tab, "/servers/{server}/passages", server="4", limit="3")
    assert status == "200"
    rows = json.loads(body)
    assert len(rows) == 3
    assert {row["building"][0] for row in rows} == {"D"}  # the houses of server 4
    keep_picture(tab, "open_service_tab")
