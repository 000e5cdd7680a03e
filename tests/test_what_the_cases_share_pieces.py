"""Exercise 04, question 5: steps and pieces of values that no letter may hold, however written."""

import base64

import pytest
from cases_asked import exercise_of_someone, letter, told

from leftopen.checks import what_the_cases_share_notice as notices
from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


# -- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["Delete the tables", "Empty the log", "Order a new server"])
def test_a_wrong_step_is_wrong_beside_the_right_one_too(ex, start):
    def first(leak):
        return next(step for step in leak["steps"].values() if step.startswith(start))

    wrong = {"first_destroys", "first_is_slow"}
    assert told(ex, First=first) in wrong
    assert told(ex, First=lambda leak: f"{letter(leak)['First']} {first(leak)}") in wrong
    assert told(ex, First=" ".join(["Do nothing yet."])) == "no_first"


def step_of(leak, start):
    return next(step for step in leak["steps"].values() if step.startswith(start))


@pytest.mark.parametrize("part", [
    *(name for name in notices.PARTS if name not in ("Tables", "First")), *notices.MORE,
])  # fmt: skip
@pytest.mark.parametrize("start", ["Delete the tables", "Empty the log", "Order a new server"])
@pytest.mark.parametrize("write", [
    str, str.upper, lambda step: step.rstrip("."), lambda step: step.replace(" ", "\n"),
    lambda step: step.replace(",", ""), lambda step: f"Do not wait. {step}",
    lambda step: f"This is not only for you: {step}", lambda step: f"Do not wait, but {step}",
])  # fmt: skip
def test_a_wrong_step_is_found_in_each_part(ex, part, start, write):
    def text(leak):
        return f"{letter(leak).get(part, '')} {write(step_of(leak, start))}"

    assert told(ex, **{part: text}) == "wrong_step_elsewhere"


def test_the_other_steps_do_not_go_into_then(ex):
    def rest(leak):
        return " ".join(s for s in leak["steps"].values() if s != letter(leak)["First"])

    verdict = ex.check(5, lambda leak: letter(leak, Then=rest))
    assert verdict.kind is Kind.NOT_YET
    assert '"Then"' in verdict.text


@pytest.mark.parametrize("start", ["Delete the tables", "Empty the log", "Order a new server"])
@pytest.mark.parametrize("forbid", [
    "Do not {}", "Please don't {}", "Never {}", 'Please do not: "{}"', "You need not now {}",
])  # fmt: skip
def test_a_letter_may_forbid_a_step(ex, start, forbid):
    def warned(leak):
        step = step_of(leak, start)
        return forbid.format(step[0].lower() + step[1:])

    assert told(ex, Then=warned) == RIGHT
    assert told(ex, First=lambda leak: f"{letter(leak)['First']} {warned(leak)}") == RIGHT


def test_the_right_step_may_stand_in_another_part_too(ex):
    assert told(ex, Then=lambda leak: f"Once more: {letter(leak)['First']}") == RIGHT


# -- pieces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["name", "number", "phone"])
@pytest.mark.parametrize("write", [
    str, str.upper, lambda text: " ".join(text), lambda text: text.replace("-", ""),
    lambda text: f"…{text[-7:]}", lambda text: f"['{text}']",
    lambda text: base64.b64encode(text.encode()).decode(), lambda text: text.encode().hex(),
    lambda text: text.encode().hex(" "), lambda text: "|".join(text),
])  # fmt: skip
def test_a_record_is_found_however_it_is_written(ex, value, write):
    assert told(ex, Then=lambda leak: write(leak["record"][value])) == "record_attached"


@pytest.mark.parametrize("piece", [
    lambda record: record["number"][-6:], lambda record: record["number"][6:14],
    lambda record: record["number"][:10] + "********", lambda record: record["name"].split("-")[-1],
    lambda record: record["name"].lower(), lambda record: record["phone"][-7:], str,
    lambda record: base64.b64encode(str(record).encode()).decode(),
])  # fmt: skip
def test_a_piece_of_a_record_is_a_record(ex, piece):
    assert told(ex, How_we_know=lambda leak: f"See: {piece(leak['record'])}") == "record_attached"
    assert told(ex, Contact=lambda leak: f"{leak['finder']} {piece(leak['record'])}") != RIGHT


@pytest.mark.parametrize("start", range(14))
@pytest.mark.parametrize("length", [7, 8, 11])
def test_each_piece_of_a_name_counts_but_what_all_names_share(ex, start, length):
    leaks = notices.leaks(ex.task(5)["number"])
    assert all(leak["record"]["name"].startswith("Person-00") for leak in leaks)
    name = leaks[0]["record"]["name"]
    piece = name[start : start + length]
    signs = len(piece.replace("-", ""))
    is_whose = signs >= 6 and start + length > len("Person-00")
    verdict = told(
        ex, How_we_know=lambda leak: f"A row with {leak['record']['name'][start:][:length]}."
    )
    assert verdict == ("record_attached" if is_whose else RIGHT)


@pytest.mark.parametrize(("digits", "name"), [(4, RIGHT), (6, "record_attached")])
def test_of_a_telephone_number_the_last_six_digits_count(ex, digits, name):
    def end(leak):
        return "A phone ends in " + leak["record"]["phone"].replace("-", "")[-digits:]

    assert told(ex, How_we_know=end) == name


@pytest.mark.parametrize("write", [
    str, str.upper, str.lower, lambda text: text[:6] + "...", lambda text: " ".join(text),
    lambda text: "-".join(text), lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: text.encode().hex().upper(), lambda text: f"'{text}'.",
])  # fmt: skip
def test_a_password_is_found_however_it_is_written(ex, write):
    then = "Change the password {}"
    assert told(ex, Then=lambda leak: then.format(write(leak["password"]))) == "password_quoted"
