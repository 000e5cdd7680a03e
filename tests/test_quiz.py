"""The quiz of statements: the widget and its text twin say the same."""

import pytest

from leftopen.cases.smart_city_duties import STATEMENTS, duties
from leftopen.errors import LeftOpenError
from leftopen.quiz import Quiz, Statement

QUIZ = Quiz(
    ("provider", "customer"),
    [Statement("Locks <the> hall.", "provider", "It is theirs."), Statement("b", "customer", "c")],
)


def test_right_and_wrong_answers_are_told_with_the_reason_and_open_ones_without():
    frame = QUIZ.mark("customer").frame
    assert list(frame[""]) == ["✗", "·"]
    assert list(frame["why"]) == ["It is theirs.", ""]
    assert list(QUIZ.mark("p", "Customer").frame[""]) == ["✓", "✓"]


@pytest.mark.parametrize("answers", [["landlord"], [""], ["p", "c", "p"], [...]])
def test_an_answer_that_is_no_choice_is_refused_with_the_choices(answers):
    with pytest.raises(LeftOpenError, match=r"'provider' or 'customer'|2 statements"):
        QUIZ.mark(*answers)


def test_the_beginning_of_two_choices_is_no_answer():
    with pytest.raises(LeftOpenError, match="'agreed' or 'against'"):
        Quiz(("agreed", "against"), [Statement("a", "agreed", "b")]).mark("a")


def test_the_widget_answers_each_press_and_an_answer_can_be_changed():
    *rows, score = QUIZ.widget().children
    text, buttons, told = rows[0].children
    assert "Locks &lt;the&gt; hall." in text.value
    assert buttons.value is None
    assert "0 of 2" in score.value
    buttons.value = "customer"
    assert "Not so." in told.value
    assert "It is theirs." in told.value
    buttons.value = "provider"
    assert "Right." in told.value
    assert "1 of 2" in score.value


def test_where_there_is_no_kernel_the_statements_are_seen_and_not_the_answers():
    shown = QUIZ._repr_mimebundle_()["text/plain"]
    assert "1. Locks <the> hall." in shown
    assert "It is theirs." not in shown


def test_the_duties_have_both_sides_and_a_reason_each():
    assert {s.answer for s in STATEMENTS} == set(duties().choices)
    assert all(s.why.endswith(".") for s in STATEMENTS)
