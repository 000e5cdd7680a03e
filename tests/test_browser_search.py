"""The search cluster in a learner's own browser: open in lesson 02, locked after lesson 09."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from conftest import find_chromium
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from in_browser import keep_picture, open_lesson, run_cell, write
from playwright.sync_api import Error

pytestmark = pytest.mark.needs("opensearch", "chromium")
LESSON = "notebooks/02_case_beijing_smart_city.ipynb"
LOCK = """
from leftopen.cases import smart_city
for name, text in smart_city.security_files("ada", "a-password-of-ada").items():
    lab.configure(text, file=name, replace=True)
lab.configure(smart_city.LOCKED, replace=True)
print(lab.outside.uri, lab.certificates.server_certificate)
"""


def spki(path):
    """What Chromium calls a key by: SHA-256 of its SubjectPublicKeyInfo, in Base64."""
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_the_link_of_lesson_02_opens_the_index_and_the_locked_one_asks(page, jupyter):
    cells = open_lesson(page, jupyter.format(LESSON))
    number = next(n for n, cell in enumerate(cells) if "_cat/indices" in cell)
    run_cell(page, next(n for n, cell in enumerate(cells) if "open_case(" in cell))
    run_cell(page, number)
    link = page.locator(".jp-OutputArea-output a", has_text="_cat/indices").first
    link.scroll_into_view_if_needed()
    with page.expect_popup() as popup:
        link.click()
    tab = popup.value
    tab.wait_for_load_state()
    assert re.search(r"faces-2019\.04 +\d+", tab.inner_text("body"))
    keep_picture(tab, "search_open_tab")

    write(page, number, LOCK)
    told = run_cell(page, number)
    uri, certificate = re.search(r"(https://127\.0\.0\.1:\d+) (\S+)", told).groups()
    address = f"{uri}/_cat/indices?v"
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        tab.goto(address)
    keep_picture(tab, "search_untrusted_tab")
    with pytest.raises(Error, match="ERR_"):  # as before, without encryption
        tab.goto(address.replace("https", "http"))

    trusting = page.context.browser.browser_type.launch(
        executable_path=find_chromium(),
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
              f"--ignore-certificate-errors-spki-list={spki(Path(certificate))}"],
    )  # fmt: skip
    try:
        asks = trusting.new_page()
        # A window would ask for a name and a password; without one Chromium says that it has none.
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            asks.goto(address)
        login = {"username": "ada", "password": "a-password-of-ada"}
        known = trusting.new_context(http_credentials=login).new_page()
        assert known.goto(address).status == 200
        assert "faces-2019.04" in known.inner_text("body")
    finally:
        trusting.close()


def test_the_quiz_is_answered_by_keyboard(page, jupyter):
    cells = open_lesson(page, jupyter.format(LESSON))
    quiz = next(n for n, source in enumerate(cells) if "duties()" in source)
    run_cell(page, quiz)
    widget = page.locator(".widget-vbox", has_text="of 8 are right").first
    widget.scroll_into_view_if_needed()
    button = widget.get_by_role("button", name="provider", exact=True).first
    button.focus()
    page.keyboard.press("Space")
    widget.get_by_text("Right.", exact=True).wait_for()
    widget.get_by_text("1 of 8 are right.").wait_for()
    keep_picture(page, "quiz_of_duties")
    page.keyboard.press("Tab")  # to the other button of the same statement
    page.keyboard.press("Space")
    widget.get_by_text("Not so.", exact=True).wait_for()
    widget.get_by_text("0 of 8 are right.").wait_for()
