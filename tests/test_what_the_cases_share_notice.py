"""Exercise 04, question 5: letters that nobody is shown, right and wrong ones."""

from email.utils import format_datetime

import pandas as pd
import pytest
from cases_asked import exercise_of_someone, found, here, letter, told, utc

from leftopen.checks import what_the_cases_share_letter as reading
from leftopen.checks import what_the_cases_share_notice as notices
from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


@pytest.mark.parametrize("number", range(24))
def test_the_leaks_of_a_learner_ask_for_all_that_is_judged(number):
    leaks = notices.leaks(number)
    assert {leak["owner"] is None for leak in leaks} == {True, False}
    assert leaks[0]["owner"]
    assert all(here(leak).utcoffset() for leak in leaks)
    assert any(here(leak).date() != utc(leak).date() for leak in leaks)
    assert len({leak["kept"] for leak in leaks}) == 3
    assert len({tuple(leak["steps"].values()).index(letter(leak)["First"]) for leak in leaks}) > 1
    for leak in leaks:
        assert len(set(leak["tables"].values())) == 2  # so that names and numbers can be mixed up
        said = "\n".join(map(str, letter(leak).values()))
        for key, value in leak["record"].items():
            assert notices._pieces(leak, key, value)
            assert not reading.piece_in(said, notices._pieces(leak, key, value))
        assert not reading.piece_in(said, reading.pieces(leak["password"]))
        assert leak["record"]["number"].startswith("00")  # no real district begins so
        assert leak["record"]["phone"][7:12] == "555-0"


def test_the_plain_letter_is_right(ex):
    assert told(ex) == RIGHT


# -- the moment -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seen",
    [
        lambda leak: utc(leak).isoformat(),
        lambda leak: f"{utc(leak):%Y-%m-%dT%H:%MZ}",
        lambda leak: f"{utc(leak):%Y%m%dT%H%MZ}",
        lambda leak: str(pd.Timestamp(leak["seen"]).tz_convert("UTC")),
        lambda leak: format_datetime(utc(leak)),
        lambda leak: f"{utc(leak):%d.%m.%Y, %H.%M} GMT",
        lambda leak: f"{utc(leak):%d.%m.%y %H:%M} UTC",
        lambda leak: f"{utc(leak):%d/%m/%Y %H:%M} UTC",
        lambda leak: f"{utc(leak):%d %B, %H:%M UTC}",
        lambda leak: f"{utc(leak):%B} {utc(leak).day}, {utc(leak):%H:%M} UTC. It may be older.",
        lambda leak: f"on {utc(leak).day} {utc(leak):%B %Y} at {utc(leak):%H:%M} (UTC)",
        lambda leak: f"{utc(leak):%b} {utc(leak).day}th, 2031, {utc(leak):%I:%M %p} utc",
        lambda leak: f"{utc(leak):%A}, {utc(leak).day} {utc(leak):%B}, {utc(leak):%H:%M:%S} UTC",
    ],
)
def test_a_moment_may_be_written_in_any_usual_form(ex, seen):
    assert told(ex, Seen=seen) == RIGHT


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (lambda leak: leak["seen"], "local_time"),
        (lambda leak: f"{leak['seen'][:16]} UTC", "local_time"),
        (lambda leak: f"{utc(leak):%Y-%m-%d} UTC", "no_time"),
        (lambda leak: f"{utc(leak):%H:%M} UTC", "no_time"),
        (lambda leak: f"{utc(leak):%Y-%m-%d %H:%M}", "no_zone"),
        (lambda leak: f"{utc(leak):%Y-%m-%d %H:%M} UTC+8", "no_zone"),
        (lambda leak: f"{utc(leak):%Y-%m-%d %H:%M}+08:00", "no_zone"),
        (lambda leak: "today", "no_time"),
        (lambda leak: f"{here(leak):%Y-%m-%d} {utc(leak):%H:%M} UTC", "day_of_here"),
        (
            lambda leak: (
                f"{here(leak).replace(tzinfo=None) + here(leak).utcoffset():%d %B, %H:%M} UTC"
            ),
            "clock_turned",
        ),
        (lambda leak: f"{utc(leak):%Y-%m-%d %H:%M} or {leak['seen'][:16]} UTC", "two_times"),
        (lambda leak: f"{leak['seen'][:16]} UTC, {utc(leak):%Y-%m-%d %H:%M} here", "two_times"),
        (lambda leak: f"{utc(leak):2030-%m-%d %H:%M} UTC", "another_time"),
    ],
)
def test_a_moment_that_is_not_told_is_seen(ex, seen, name):
    assert told(ex, Seen=seen) == name


# -- what the reader needs ------------------------------------------------------------------------


@pytest.mark.parametrize("part", [name for name in notices.PARTS if name != "Tables"])
def test_no_part_may_be_missing_or_empty(ex, part):
    def without(leak):
        return {name: text for name, text in letter(leak).items() if name != part}

    assert found(ex, 5, without) == "part_left_out"
    assert told(ex, **{part: " \n"}) == "part_left_out"


@pytest.mark.parametrize(
    ("tables", "name"),
    [
        ({}, "nothing_seen"),
        (lambda leak: dict.fromkeys(leak["tables"], 1), "nothing_seen"),
        (lambda leak: leak["tables"] | {"people": 7}, "nothing_seen"),
        (lambda leak: dict(list(leak["tables"].items())[:1]), "nothing_seen"),
        (
            lambda leak: dict(zip(leak["tables"], reversed(leak["tables"].values()), strict=True)),
            "rows_mixed",
        ),
        (lambda leak: pd.Series(leak["tables"]).to_dict(), RIGHT),
    ],
)
def test_each_table_has_its_own_rows(ex, tables, name):
    assert told(ex, Tables=tables) == name


@pytest.mark.parametrize("where", [
    lambda leak: f"{leak['address']}:{leak['port']}",
    lambda leak: f"http://{leak['address']}:{leak['port']}/",
    lambda leak: f"port {leak['port']} of {leak['address']}",
    lambda leak: f"{leak['port']} {leak['address']} ",
    lambda leak: f"It is {leak['address']}. The port is {leak['port']}.",
])  # fmt: skip
def test_address_and_port_may_stand_in_any_order(ex, where):
    assert told(ex, Where=where) == RIGHT


@pytest.mark.parametrize("where", [
    lambda leak: leak["address"],
    lambda leak: f"port {leak['port']}",
    lambda leak: f"{leak['address']}7:{leak['port']}",
    lambda leak: f"{leak['address']}:{leak['port']}1",
    lambda leak: f"1.{leak['address']}:{leak['port']}",
])  # fmt: skip
def test_half_an_address_is_none(ex, where):
    assert told(ex, Where=where) == "no_address"


def test_an_address_in_the_command_alone_is_not_where(ex):
    assert told(ex, Where="See below.") == "no_address"


def test_what_was_kept_is_what_the_leak_says(ex):
    assert told(ex, We_kept=lambda leak: f"No record; {leak['kept']}, and no more") == RIGHT
    assert told(ex, We_kept="No record") == "kept_untrue"
    assert told(ex, We_kept="The list of the tables, the names of the fields") == "kept_untrue"


# -- what harms -----------------------------------------------------------------------------------


def test_naming_the_kinds_of_data_is_no_record(ex):
    more = "There are names, identity numbers and telephone numbers of persons in it"
    assert told(ex, Then=f"{more}. Change the password in the settings.") == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "I ask for no reward.",
        "We do not want any payment, or anything else.",
        "This is not a demand for payment!",
        "No fee, no bounty, nothing.",
        "I am not asking for anything, payment or otherwise.",
        "You needn't pay me.",
        "I don't expect a reward; please close it.",
        "Please send us an e-mail when it is closed.",
        "Please send us proof that you own this server.",
        "Payments data is in the table; it is grave.",
        "No record. We told nobody else, and publish no address while it is open.",
        "finder@example.org, or +1-290-555-0123, every day.",
        "We will publish nothing about it.",
        "We tell nobody, nor do we publish the address.",
        "Ask your lawyer whom else you have to tell.",
        "I can be reached from Monday to Friday, within an hour.",
    ],
)
def test_who_asks_for_nothing_may_say_so(ex, text):
    assert reading.demand(text) == ""
    assert told(ex, Then=text) == RIGHT


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Answer within 48 hours, or the world will know.", "within 48 hours"),
        ("Answer soon, or the world will know.", "the world will know"),
        ("Reply by Monday.", "by Monday"),
        ("We set no deadline.", "deadline"),
        ("You have two days.", "You have two days"),
        ("Otherwise we tell everybody.", "Otherwise we"),
        ("If it is open then, we will publish the address.", "we will publish the"),
        ("We publish this on Friday.", "We publish this"),
        ("I expect a reward.", "reward"),
        ("A bounty is usual in such cases, I have heard.", "bounty"),
        ("Please send me a payment, not later than Friday.", "payment"),
        ("0.05 BTC to the address below.", "BTC"),
        ("My work was worth 300 EUR, I think.", "300 EUR"),
        ("€300 and it is forgotten.", "€300"),
        ("Send five hundred dollars.", "dollars"),
        ("We accept gifts.", "gifts"),
        ("I do not want to talk, but a donation would help.", "donation"),
        ("Do not wait; the fee rises.", "fee"),
    ],
)
def test_a_demand_is_quoted(ex, text, quoted):
    assert reading.demand(text) == quoted
    verdict = ex.check(5, lambda leak: letter(leak, Then=text))
    assert verdict.kind is Kind.NOT_YET
    assert f'"{quoted}"' in verdict.text


# -- who gets it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "name"),
    [
        (lambda leak: [], "owner_not_told"),
        (lambda leak: [leak["finder"]], "owner_not_told"),
        (lambda leak: [leak["provider"]], "owner_not_told"),
        (lambda leak: [leak["owner"] or leak["finder"]], "nobody_told"),
        (lambda leak: [leak["owner"]] if leak["owner"] else [], "nobody_told"),
        (lambda leak: [leak["owner"]], "nobody_told"),
        (lambda leak: [leak["newspaper"]], "public_first"),
        (lambda leak: [leak["owner"] or leak["provider"], "a@b.example"], "somebody_else"),
        (lambda leak: [(leak["owner"] or leak["provider"]).upper()], RIGHT),
        (lambda leak: [f"IT <{leak['owner'] or leak['provider']}>"], RIGHT),
    ],
)
def test_who_is_told_is_judged_for_known_and_unknown_owners(ex, to, name):
    assert told(ex, to=to) == name


def test_the_newspaper_is_found_in_the_text_too(ex):
    more = "Press contact: {}"
    assert told(ex, Then=lambda leak: more.format(leak["newspaper"])) == "public_first"


@pytest.mark.parametrize("kind", [list, tuple, set])
def test_the_provider_and_oneself_may_be_told_too(ex, kind):
    def to(leak):
        return kind(leak[who] for who in ("owner", "provider", "finder") if leak[who])

    assert told(ex, to=to) == RIGHT


def test_none_among_the_addresses_is_told_as_none(ex):
    verdict = ex.check(5, lambda leak: letter(leak, to=[leak["owner"], leak["provider"]]))
    assert verdict.kind is Kind.ERROR
    assert "None" in verdict.text


def test_a_letter_written_for_one_leak_does_not_serve_for_another(ex):
    first = letter(notices.leaks(ex.task(5)["number"])[0])
    assert found(ex, 5, lambda leak: first) in ("another_leak", "nobody_told")
    assert found(ex, 5, lambda leak: first | {"to": letter(leak)["to"]}) == "another_leak"


# -- what is no letter ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"to": "it@clinic.example"}, {"Tables": "people 7"}, {"Tables": {"people": "7"}},
     {"Seen": None}, {"cc": ["desk@daily.example"]}, {"subject": "An open server"}],
)  # fmt: skip
def test_a_part_of_another_kind_is_the_cells_error(ex, change):
    verdict = ex.check(5, lambda leak: letter(leak) | change)
    assert verdict.kind is Kind.ERROR
    assert next(iter(change)) in verdict.text


@pytest.mark.parametrize("answer", [None, "text", [], {"to": ["a@b.example"], "text": "x"}])
def test_what_is_no_letter_is_the_cells_error(ex, answer):
    verdict = ex.check(5, lambda leak: answer)
    assert verdict.kind is Kind.ERROR
    assert "We kept" in verdict.text


def test_an_error_where_the_owner_is_known_is_the_cells_error(ex):
    verdict = ex.check(5, lambda leak: leak["nobody"])
    assert verdict.kind is Kind.ERROR
    assert "KeyError" in verdict.text


def test_an_error_where_nobody_knows_the_owner_is_nobody_told(ex):
    assert told(ex, to=lambda leak: [leak["owner"].lower()]) == "nobody_told"


def test_a_letter_may_change_what_it_is_given_and_name_its_parts_in_small_letters(ex):
    def notice(leak):
        made = {name.lower(): part for name, part in letter(leak).items()}
        made["tables"] = dict(leak["tables"])
        leak["tables"].clear()
        leak.clear()
        return made

    assert found(ex, 5, notice) == RIGHT
