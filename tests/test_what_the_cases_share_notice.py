"""Exercise 04, question 5: letters that nobody is shown, right and wrong ones."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pandas as pd
import pytest
from cases_asked import exercise_of_someone, found

from leftopen.checks import what_the_cases_share_notice as notices
from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


def utc(leak):
    return datetime.fromisoformat(leak["seen"]).astimezone(UTC)


def letter(leak, **instead):
    """A right letter; each of its parts can be another text, or a function of the leak."""
    parts = {
        "where": f"{leak['address']}, port {leak['port']}",
        "what": ", ".join(f"{name}: {rows} rows" for name, rows in leak["tables"].items()),
        "when": f"{utc(leak):%Y-%m-%d %H:%M} UTC",
        "test": leak["command"],
        "back": leak["finder"],
        "more": "",
    } | {name: part(leak) if callable(part) else part for name, part in instead.items()}
    return {"to": [leak["owner"] or leak["provider"]], "text": ".\n".join(parts.values())}


def told(ex, **instead):
    return found(ex, 5, lambda leak: letter(leak, **instead))


@pytest.mark.parametrize("number", range(24))
def test_the_leaks_of_a_learner_ask_for_all_that_is_judged(number):
    leaks = notices.leaks(number)
    assert {leak["owner"] is None for leak in leaks} == {True, False}
    assert leaks[0]["owner"]
    days = [(datetime.fromisoformat(leak["seen"]), utc(leak)) for leak in leaks]
    assert all(local.utcoffset() for local, _ in days)
    assert any(local.date() != moment.date() for local, moment in days)
    for leak in leaks:
        said = letter(leak)["text"]
        assert not any(notices._tells(said, value) for value in leak["record"].values())
        assert leak["password"] not in said
        assert leak["record"]["number"].startswith("00")  # no real district begins so
        assert leak["record"]["phone"][7:12] == "555-0"


def test_the_plain_letter_is_right(ex):
    assert told(ex) == RIGHT


@pytest.mark.parametrize(
    "when",
    [
        lambda leak: utc(leak).isoformat(),
        lambda leak: f"{utc(leak):%Y-%m-%dT%H:%MZ}",
        lambda leak: str(pd.Timestamp(leak["seen"]).tz_convert("UTC")),
        lambda leak: format_datetime(utc(leak)),
        lambda leak: f"{utc(leak):%d.%m.%Y, %H.%M} GMT",
        lambda leak: f"on {utc(leak).day} {utc(leak):%B %Y} at {utc(leak):%H:%M} (UTC)",
        lambda leak: f"{utc(leak):%b} {utc(leak).day}th, 2031, {utc(leak):%I:%M %p} utc",
        lambda leak: f"{leak['seen']}, in UTC {utc(leak):%Y-%m-%d %H:%M}",
    ],
)
def test_a_moment_may_be_written_in_any_usual_form(ex, when):
    assert told(ex, when=when) == RIGHT


@pytest.mark.parametrize(
    ("when", "name"),
    [
        (lambda leak: leak["seen"], "local_time"),
        (lambda leak: f"{leak['seen'][:16]} UTC", "local_time"),
        (lambda leak: f"{utc(leak):%Y-%m-%d} UTC", "no_time"),
        (lambda leak: f"{utc(leak):%H:%M} UTC", "no_time"),
        (lambda leak: f"{utc(leak):%Y-%m-%d %H:%M}", "no_zone"),
        (lambda leak: "today", "no_time"),
    ],
)
def test_a_moment_that_is_not_told_is_seen(ex, when, name):
    assert told(ex, when=when) == name


@pytest.mark.parametrize("mark", ["", ",", "_", ".", " ", "’", "\u202f"])
def test_rows_may_be_written_in_any_usual_form(ex, mark):
    def what(leak):
        rows = {name: f"{n:,}".replace(",", mark) for name, n in leak["tables"].items()}
        return "; ".join(f"{name} (about {n})" for name, n in rows.items())

    assert told(ex, what=what) == RIGHT


@pytest.mark.parametrize("what", [
    lambda leak: ", ".join(leak["tables"]),
    lambda leak: ", ".join(map(str, leak["tables"].values())),
    lambda leak: ", ".join(f"{name} {10 * n}" for name, n in leak["tables"].items()),
    lambda leak: "{} {}".format(*next(iter(leak["tables"].items()))),
])  # fmt: skip
def test_a_table_without_its_rows_is_not_enough(ex, what):
    assert told(ex, what=what) == "nothing_seen"


@pytest.mark.parametrize("where", [
    lambda leak: f"{leak['address']}:{leak['port']}",
    lambda leak: f"port {leak['port']} of {leak['address']}",
    lambda leak: f"{leak['port']} {leak['address']} ",
    lambda leak: f"It is {leak['address']}. The port is {leak['port']}",
])  # fmt: skip
def test_address_and_port_may_stand_in_any_order(ex, where):
    assert told(ex, where=where) == RIGHT


@pytest.mark.parametrize("where", [
    lambda leak: "",
    lambda leak: leak["address"],
    lambda leak: f"port {leak['port']}",
    lambda leak: f"{leak['address']}7:{leak['port']}",
    lambda leak: f"{leak['address']}:{leak['port']}1",
])  # fmt: skip
def test_half_an_address_is_none(ex, where):
    # The command has both, as PostgreSQL's does: here it is left out too.
    assert told(ex, where=where, test="") == "no_address"


@pytest.mark.parametrize("value", ["name", "number", "phone"])
@pytest.mark.parametrize("write", [
    str, str.upper, lambda text: " ".join(text), lambda text: text.replace("-", ""),
    lambda text: f"…{text[-8:]}", lambda text: f"['{text}']",
])  # fmt: skip
def test_a_record_is_found_however_it_is_written(ex, value, write):
    assert told(ex, more=lambda leak: write(leak["record"][value])) == "record_attached"


def test_the_whole_leak_as_it_is_is_no_letter(ex):
    assert told(ex, more=str) == "record_attached"


def test_naming_the_kinds_of_data_is_no_record(ex):
    more = "There are names, identity numbers and telephone numbers in it"
    assert told(ex, more=more) == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "I ask for no reward.",
        "We do not want any payment, or anything else.",
        "This is not a demand for payment!",
        "No fee, no bounty, nothing.",
        "I am not asking for anything, payment or otherwise.",
        "You needn't pay me.",
        "Attackers wipe such databases and leave a note that asks for money.",
        "I don't expect a reward; please close it.",
        "If you have questions, write to me. I want no compensation.",
    ],
)
def test_who_asks_for_nothing_may_say_so(ex, text):
    assert not notices.asks_for_money(text)
    assert told(ex, more=text) == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "I expect a reward.",
        "A bounty is usual in such cases, I have heard.",
        "Please send me a payment, not later than Friday.",
        "0.05 BTC to the address below.",
        "My work was worth 300 EUR, I think.",
        "€300 and it is forgotten.",
        "Transfer me what you think it is worth.",
        "If I hear nothing, I expect a payment.",
        "I do not want to publish, but a donation would help.",
        "You must pay, or everybody will know.",
        "Do not wait; the fee rises.",
    ],
)
def test_who_asks_for_something_is_heard(ex, text):
    assert notices.asks_for_money(text)
    assert told(ex, more=text) == "reward_asked"


@pytest.mark.parametrize(
    ("to", "name"),
    [
        (lambda leak: [], {"owner_not_told"}),
        (lambda leak: [leak["finder"]], {"owner_not_told"}),
        (lambda leak: [leak["provider"]], {"owner_not_told"}),
        (lambda leak: [leak["owner"] or leak["finder"]], {"nobody_told"}),
        (lambda leak: [leak["owner"]] if leak["owner"] else [], {"nobody_told"}),
        (lambda leak: [leak["owner"] or leak["newspaper"]], {"public_first"}),
        (lambda leak: [leak["owner"] or leak["provider"], "a@b.example"], {"somebody_else"}),
    ],
)
def test_who_is_told_is_judged_for_known_and_unknown_owners(ex, to, name):
    assert found(ex, 5, lambda leak: letter(leak) | {"to": to(leak)}) in name


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_the_provider_and_oneself_may_be_told_too(ex, kind):
    def notice(leak):
        to = [leak[who] for who in ("owner", "provider", "finder") if leak[who]]
        return letter(leak) | {"to": kind(to), "subject": "An open server"}

    assert found(ex, 5, notice) == RIGHT


def test_a_letter_written_for_one_leak_does_not_serve_for_another(ex):
    first = letter(notices.leaks(ex.task(5)["number"])[0])
    assert found(ex, 5, lambda leak: first) in ("somebody_else", "owner_not_told", "nobody_told")
    assert found(ex, 5, lambda leak: first | {"to": letter(leak)["to"]}) == "no_address"


@pytest.mark.parametrize(
    "answer",
    [None, "text", [], {"to": ["it@clinic.example"]}, {"to": "it@clinic.example", "text": "x"},
     {"to": ["it@clinic.example"], "text": ["x"]}],
)  # fmt: skip
def test_what_is_no_letter_is_the_cells_error(ex, answer):
    verdict = ex.check(5, lambda leak: answer)
    assert verdict.kind is Kind.ERROR
    assert '"to", a list of addresses' in verdict.text


def test_an_error_where_the_owner_is_known_is_the_cells_error(ex):
    verdict = ex.check(5, lambda leak: leak["nobody"])
    assert verdict.kind is Kind.ERROR
    assert "KeyError" in verdict.text


def test_a_letter_may_change_what_it_is_given(ex):
    def notice(leak):
        made = letter(leak)
        leak["tables"].clear()
        leak.clear()
        return made

    assert found(ex, 5, notice) == RIGHT
