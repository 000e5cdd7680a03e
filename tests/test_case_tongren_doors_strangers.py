"""Exercise 03: strangers with other addresses and other words, and what is no try of a door."""

import contextlib
import re
import sys
from types import SimpleNamespace

import httpx
import pandas as pd
import psycopg
import pytest

from leftopen import checks, progress
from leftopen.checks import case_tongren_doors_figures as figures
from leftopen.checks import case_tongren_doors_server as server
from leftopen.checks.question import Attempt, Task
from leftopen.checks.verdict import Kind

NAME = "03_case_tongren_doors"
HERE = "host all all 127.0.0.1/32 trust\n"
EVERYBODY = "host all all 0.0.0.0/0 trust\n"
needs_addresses = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has 127.0.0.1 alone")
GUARD = """
from fastapi.responses import PlainTextResponse as Refusal

@app.middleware("http")
async def guard(request, call_next):
    client, headers = request.client.host, request.headers
    return Refusal("No.", 403) if {refused} else await call_next(request)
"""


@pytest.fixture(scope="module")
def exercise():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("note_verdict", "take_hint"):
            patch.setattr(progress, name, lambda *_: None)
        ex = checks.exercise(NAME)
        yield ex
        ex.close()


@pytest.fixture(scope="module")
def closing(exercise):
    """Question 6, with the service closed, and the ways to change and to check it."""
    lab = exercise.lab(6)
    main = lab.backend.read("main.py")
    lab.backend.set_environment(UVICORN_HOST="127.0.0.1")

    def rules(text, listen="*"):
        lab.configure(text, file="pg_hba.conf")
        if f"listen_addresses = '{listen}'" not in lab.config:
            lab.configure(f"listen_addresses = '{listen}'")
        return exercise.check(6, lab)

    def guarded(refused):
        lab.backend.write("main.py", main + GUARD.format(refused=refused))
        return exercise.check(6, lab)

    return SimpleNamespace(lab=lab, rules=rules, guarded=guarded)


def is_told(verdict, near_miss, question=6):
    """Whether it is this near miss: the sentence, whatever stands in its braces."""
    text = checks.exercise(NAME)._texts[question].near_misses[near_miss]
    said = ".*".join(map(re.escape, re.split(r"\{\w+\}", text)))
    return verdict.kind is Kind.NOT_YET and re.match(said, verdict.text)


@needs_addresses
@pytest.mark.needs("postgres")
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("host all all 127.0.0.2/32 reject\n" + EVERYBODY, "one_address_refused"),
        ("host all all 127.0.0.0/8 reject\n" + EVERYBODY, "line_left"),
        ("host all all ::/0 trust\n", "line_left"),
        ("host all all 10.0.0.0/8 trust\n", "line_left"),
        ("host all all 127.0.0.0/8 trust\n", "loopback_range"),
        ("host all all samehost trust\nhost all all samenet trust\n", "loopback_range"),
        ("host replication all 0.0.0.0/0 trust\n", "copied"),
        (EVERYBODY, "database_left"),
    ],
)
def test_a_line_that_lets_some_strangers_in_closes_nothing(closing, lines, told):
    assert is_told(closing.rules(HERE + lines), told)


@needs_addresses
@pytest.mark.needs("postgres")
@pytest.mark.parametrize(
    "lines",
    [
        "host all all 127.0.0.2/32 reject\n",
        "host all all 127.0.0.0/8 reject\nhost all all 0.0.0.0/0 scram-sha-256\n",
        "host all all samehost trust\n",
        "host all all ::1/128 trust\nhost replication all 127.0.0.1/32 trust\n",
        "host all all 0.0.0.0/0 reject\n" + EVERYBODY,
        "host replication all 0.0.0.0/0 scram-sha-256\n",
    ],
)
def test_lines_that_let_in_this_machine_alone_are_right_in_whatever_words(closing, lines):
    verdict = closing.rules(HERE + lines)
    assert verdict.kind is Kind.RIGHT, verdict


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("address", ["127.0.0.2", "::1, 127.0.0.9"])
def test_an_address_at_which_nobody_asks_is_no_address_of_the_desk(closing, address):
    assert is_told(closing.rules(HERE, address), "other_address")
    lines = "host all all 0.0.0.0/0 trust\n"  # the doors are closed, whatever these say
    assert closing.rules(HERE + lines, "::1, localhost").kind is Kind.RIGHT


@needs_addresses
@pytest.mark.needs("postgres")
def test_a_service_goes_by_the_address_of_the_connection(closing, exercise):
    closing.rules(HERE, "localhost")
    closing.lab.backend.set_environment(UVICORN_HOST="127.0.0.2")
    assert is_told(exercise.check(6, closing.lab), "other_address")
    closing.lab.backend.set_environment(UVICORN_HOST="0.0.0.0")
    host = closing.lab.backend.uri.removeprefix("http://")
    for refused, told in (
        ("client == '127.0.0.2'", "one_address_refused"),
        (f"headers.get('host') != '{host}'", "headers_believed"),
        ("client != '127.0.0.1' and 'x-forwarded-for' not in headers", "headers_believed"),
    ):
        assert is_told(closing.guarded(refused), told), refused
    assert closing.guarded("client not in ('127.0.0.1', '::1')").kind is Kind.RIGHT


# -- a function that tries doors ------------------------------------------------------------------


def tried(service, database, given=lambda answer: answer.status_code == 200 and answer.json()):
    found = set()
    with contextlib.suppress(httpx.HTTPError, ValueError):
        if given(httpx.get(service + "/servers/1/passages", timeout=5)):
            found.add("service")
    with contextlib.suppress(psycopg.Error), psycopg.connect(database) as stranger:
        if stranger.execute("SELECT 1 FROM passages LIMIT 1").fetchone():
            found.add("database")
    return found


@pytest.mark.needs("postgres")
def test_a_word_in_a_page_is_no_record_and_a_try_changes_nothing(exercise):
    lab = exercise.lab(5)

    def by_word(service, database):
        return tried(service, database, lambda answer: "passage" in answer.text)

    def without_status(service, database):
        return tried(service, database, lambda answer: answer.json())

    assert is_told(exercise.check(5, lab, by_word), "login_page_believed", 5)
    assert is_told(exercise.check(5, lab, without_status), "login_page_believed", 5)
    assert exercise.check(5, lab, lambda *doors: tried(*doors)).kind is Kind.RIGHT

    def deletes(service, database):
        found = tried(service, database)
        if "database" in found:
            with psycopg.connect(database) as stranger:
                stranger.execute("UPDATE visitors SET phone = '' WHERE visitor < 3")
        return found

    assert is_told(exercise.check(5, lab, deletes), "records_changed", 5)
    with psycopg.connect(lab.inside.uri_of("doors_1")) as operator:
        operator.execute("DELETE FROM passages WHERE passage < 10")
    again = exercise.check(5, lab, lambda *doors: tried(*doors))
    assert again.kind is Kind.ERROR
    assert "as it was found" in again.text


# -- what is computed -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", server._NUMBERS)
def test_a_page_of_everybody_never_has_the_right_age_by_chance(number):
    assert server._flats(number)
    for where, flat in server._flats(number):
        found = server.morning(server._made(number)[where], flat)
        assert found["age"] not in found["strangers"]


def test_days_left_out_are_told_from_the_house():
    at = pd.to_datetime(["2020-08-14 08:00", "2020-08-15 08:00", "2020-08-15 09:00"] * 2, utc=True)
    passages = pd.DataFrame(
        {"at": at, "building": ["A01"] * 3 + ["A02"] * 3, "visitor": [7, 7, None] * 2}
    )
    assert server.on_days({"passages": passages}, "A01") == {1: 1}
    more = passages.assign(visitor=7)
    assert server.on_days({"passages": more}, "A02") == {1: 1, 2: 1}


@pytest.mark.parametrize(("share", "told"), [(6, "rounded_too_far"), (5.9, "right")])
def test_a_share_without_a_decimal_is_told_so(share, told):
    rows = {"passages": (2, ""), "first": ("2020-05-31", ""), "last": ("2020-08-16", "")}
    assert figures.QUESTION.check(Attempt(Task(**rows)), share) == told
