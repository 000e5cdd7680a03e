"""The question of lesson 00 with its five verdicts, and how an exercise behaves around a check."""

import dataclasses
import os
import signal
import threading
import time

import pandas as pd
import pytest
from exercise_notebooks import pattern

from leftopen import checks, course, exercise, progress
from leftopen.checks.board import Hints
from leftopen.checks.question import RIGHT, UNTOUCHED, Question, Task
from leftopen.checks.verdict import Kind, Verdict, error_in_cell
from leftopen.errors import LeftOpenError
from leftopen.lab_mongodb import MongoLab

AS_FOUND = "net:\n  bindIp: 0.0.0.0\n"


@pytest.fixture(scope="module")
def shared():
    lab = MongoLab(
        "t", AS_FOUND, lambda c: c.sensenets.people.insert_one({"_id": 1, "name": "P-1"})
    )
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
    ("text", "name"),
    [
        ("net: {maxIncomingConnections: 100}", "another_setting"),
        ("net: {bindIp: '127.0.0.1,0.0.0.0'}", "one_address_more"),
        ("security: {authorization: enabled}", "login_instead"),
        ("net: {bindIp: 127.0.0.1}\nsecurity: {authorization: enabled}", "operator_out"),
    ],
)
def test_near_misses_are_not_yet_each_with_its_sentence(lab, text, name):
    lab.configure(text)
    verdict = check(lab)
    assert verdict.kind is Kind.NOT_YET
    assert pattern(course.load().lessons[0].questions[0].near_misses[name]).fullmatch(verdict.text)


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
    lab = MongoLab("t", AS_FOUND, lambda c: None)
    lab.close()
    verdict = check(lab)
    assert verdict.kind is Kind.BLOCKED
    assert "open_case" in verdict.text


@pytest.mark.parametrize("answer", [(), (1,), (True,), (None,), ("lab", 2)])
def test_something_else_than_a_lab_is_the_cells_error(answer):
    verdict = check(*answer)
    assert verdict.kind is Kind.ERROR
    assert "ex.check(1, lab)" in verdict.text


# -- around a check -----------------------------------------------------------------------------


@pytest.fixture
def ex(monkeypatch, tmp_path):
    """An exercise whose check can be put in place: it asks for one number."""
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.sqlite3"))
    ex = exercise("00_start_here")

    def ask(check):
        ex._questions = {1: Question(asks={"x": int}, check=check)}

    ex.ask = ask
    return ex


def verdicts(ex, *outcomes):
    for outcome in outcomes:
        ex.ask(lambda at, x, outcome=outcome: outcome)
        yield ex.check(1, 7).kind


def test_progress_hints_and_reason_follow_the_verdicts(ex):
    assert "not attempted" in repr(ex.progress())
    assert "once the answer was right" in repr(ex.reason(1))
    assert [len(ex.hint(1).texts) for _ in range(2)] == [1, 2]
    kinds = list(verdicts(ex, UNTOUCHED, "login_instead", RIGHT, "login_instead"))
    assert kinds == [Kind.NOT_ATTEMPTED, Kind.NOT_YET, Kind.RIGHT, Kind.NOT_YET]
    assert [ex.check(1).kind, ex.check(1, "7").kind] == [Kind.ERROR] * 2  # nothing was tried
    board = repr(ex.progress())
    assert "1 of 1 right, 1 of 1 points" in board
    assert "3 tries, 2 hints" in board
    assert len(ex.hint(1).texts) == 3  # all are readable after success, and none is counted
    assert "2 hints" in repr(ex.progress())
    assert repr(ex.reason(1)).startswith("Why it matters. A server that listens")


def test_a_number_out_of_pandas_is_a_number(ex):
    ex.ask(lambda at, x: RIGHT if type(x) is int and x == 7 else "login_instead")
    assert ex.check(1, pd.Series([3, 7]).max()).kind is Kind.RIGHT
    assert ex.check(1, 7.0).kind is Kind.ERROR
    assert ex.check(1, pd.Series([7.5]).max()).kind is Kind.ERROR
    assert ex.check(1, True).kind is Kind.ERROR


def test_reset_forgets_one_question(ex, capsys):
    list(verdicts(ex, RIGHT))
    ex.reset(1)
    assert "as if it had never been tried" in capsys.readouterr().out
    assert "0 of 1 right" in repr(ex.progress())


def test_a_check_that_does_not_end_is_given_up(ex, monkeypatch):
    monkeypatch.setattr(checks, "CHECK_SECONDS", 1.0)  # time for a busy machine to begin
    gone = threading.Event()

    def slow(at, x):
        at.note("as the stranger", "wait", "no answer")
        gone.wait(60)
        return RIGHT

    ex.ask(slow)
    verdict = ex.check(1, 7)
    gone.set()
    assert verdict.kind is Kind.ERROR
    assert "a loop that does not end" in verdict.text
    assert verdict.tried == ("as the stranger: wait → no answer",)


def test_what_an_answer_raises_is_the_cells_error(ex):
    def wrong(at, x):
        return x / 0

    ex.ask(wrong)
    verdict = ex.check(1, 7)
    assert verdict.kind is Kind.ERROR
    assert "ZeroDivisionError: division by zero" in verdict.text


def test_a_mistake_of_the_course_is_not_told_as_the_learners(ex):
    ex.ask(lambda at, x: "no such near miss")
    with pytest.raises(KeyError):
        ex.check(1, 7)


def test_a_sentence_is_filled_from_the_task_and_from_what_was_measured_which_wins(ex):
    text = dataclasses.replace(ex._texts[1], near_misses={"named": "{a}, {b}."})
    ex._texts = {1: text}

    def check(at, x):
        at.values |= {"b": "measured"}
        return "named"

    task = Task(a=("drawn", "a name"), b=("drawn too", "another"))
    ex._questions = {1: Question(asks={"x": int}, check=check, task=lambda _: task)}
    assert ex.check(1, 7).text == "drawn, measured."


def test_where_the_record_cannot_be_kept_the_verdict_is_still_told(ex, monkeypatch, capsys):
    monkeypatch.setenv(progress.VARIABLE, "/no/such/folder/progress.sqlite3")
    assert list(verdicts(ex, RIGHT)) == [Kind.RIGHT]
    assert len(ex.hint(1).texts) == 3
    assert "0 of 1 right" in repr(ex.progress())
    assert "could not be read or saved" in capsys.readouterr().err


def test_hints_and_board_escape_and_speak_in_words(ex):
    list(verdicts(ex, "login_instead"))
    hints = Hints(("a <b>",), 3)
    assert "&lt;b&gt;" in hints._repr_html_()
    assert repr(hints) == "Hint 1 of 3. a <b>"
    page = ex.progress()._repr_html_()
    assert "✗ not yet" in page
    assert "Close the door" in page


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
