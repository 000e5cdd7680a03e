"""The question of lesson 00: each of the five verdicts, from what the server does."""

import os
import signal
import time

import pytest

from leftopen import exercise
from leftopen.checks.verdict import Kind, Verdict, error_in_cell
from leftopen.errors import LeftOpenError
from leftopen.lab import Lab

AS_FOUND = "net:\n  bindIp: 0.0.0.0\n"


@pytest.fixture(scope="module")
def shared():
    lab = Lab("t", AS_FOUND, lambda c: c.sensenets.people.insert_one({"_id": 1, "name": "P-1"}))
    yield lab
    lab.close()


@pytest.fixture
def lab(shared):
    shared.configure(AS_FOUND, replace=True)
    return shared


def check(*answer):
    return exercise("00_start_here").check(1, *answer)


@pytest.mark.needs("mongodb")
def test_untouched_is_not_attempted(lab):
    assert check(lab).kind is Kind.NOT_ATTEMPTED
    assert check(...).kind is Kind.NOT_ATTEMPTED


@pytest.mark.needs("mongodb")
@pytest.mark.parametrize(
    "text",
    [
        "net: {bindIp: 127.0.0.1}",
        "net:\n  bindIp: localhost",
        "net:\n  bindIp: '127.0.0.1,::1'",
    ],
)
def test_the_reference_and_its_alternatives_are_right(lab, text):
    lab.configure(text)
    verdict = check(lab)
    assert verdict.kind is Kind.RIGHT
    assert "as the stranger: connect → connection refused" in verdict.tried
    assert "as the operator: read one document → P-1" in verdict.tried


@pytest.mark.needs("mongodb")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("net: {maxIncomingConnections: 100}", "The stranger still reads."),
        ("net: {bindIp: '127.0.0.1,0.0.0.0'}", "The stranger still reads."),
        ("security: {authorization: enabled}", "reads nothing now, but still connects"),
        (
            "net: {bindIp: 127.0.0.1}\nsecurity: {authorization: enabled}",
            "The stranger is out, and so is the operator",
        ),
    ],
)
def test_near_misses_are_not_yet_each_with_its_sentence(lab, text, sentence):
    lab.configure(text)
    verdict = check(lab)
    assert verdict.kind is Kind.NOT_YET
    assert sentence in verdict.text


@pytest.mark.needs("mongodb")
def test_a_stopped_server_is_blocked_and_names_the_way_back(lab):
    os.kill(lab.server_pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while lab.is_running and time.monotonic() < deadline:
        time.sleep(0.02)
    verdict = check(lab)
    assert verdict.kind is Kind.BLOCKED
    assert "lab.restart()" in verdict.text
    lab.restart()
    assert check(lab).kind is Kind.NOT_ATTEMPTED


@pytest.mark.needs("mongodb")
def test_a_closed_lab_is_blocked_and_names_the_way_to_a_new_one():
    lab = Lab("t", AS_FOUND, lambda c: None)
    lab.close()
    verdict = check(lab)
    assert verdict.kind is Kind.BLOCKED
    assert "open_case" in verdict.text


@pytest.mark.parametrize("answer", [(), (1,), ("lab", 2)])
def test_something_else_than_a_lab_is_the_cells_error(answer):
    verdict = check(*answer)
    assert verdict.kind is Kind.ERROR
    assert "ex.check(1, lab)" in verdict.text


def test_what_is_not_there_is_one_sentence():
    with pytest.raises(LeftOpenError, match=r"There is no question 9 here\. There is: 1"):
        exercise("00_start_here").check(9)
    with pytest.raises(LeftOpenError, match="There is no exercise '99'"):
        exercise("99")


@pytest.mark.parametrize("kind", Kind)
def test_a_verdict_speaks_in_symbol_words_and_colour_and_escapes_what_it_shows(kind):
    verdict = Verdict(kind, "a <b>", ("tried <i>",))
    symbol, words, colour = kind.value
    assert repr(verdict).startswith(f"{symbol} {words} a <b>")
    page = verdict._repr_html_()
    assert symbol in page
    assert words in page
    assert colour in page
    assert "&lt;b&gt;" in page
    assert "<i>" not in page


def test_the_verdicts_differ_in_every_way():
    for part in zip(*(kind.value for kind in Kind), strict=True):
        assert len(set(part)) == 5


def test_an_error_of_the_cell_names_it():
    assert "NameError: gate_url" in error_in_cell(NameError("gate_url")).text
