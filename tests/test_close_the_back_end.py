"""What exercise 11 tries its answers with."""

from types import SimpleNamespace

import jwt
import psycopg
import pytest

from leftopen.cases import tongren, tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks import close_the_back_end, close_the_back_end_login
from leftopen.checks.forged_tokens import SignIn, pair
from leftopen.checks.http_probe import Caller, must_run, twin
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt, Task
from leftopen.engines.backend import Backend

NAME = "11_close_the_back_end"
SERVICE = """
import os, time
from fastapi import Depends, FastAPI, HTTPException
from fastapi.sse import EventSourceResponse

app = FastAPI()

@app.get("/rows")
def rows():
    return [{"word": os.environ["WORD"]}]

@app.get("/nobody")
def nobody():
    raise HTTPException(401)

@app.get("/broken")
def broken():
    raise ValueError("a secret of the code")

def busy():
    time.sleep(1.5)

@app.get("/late", response_class=EventSourceResponse, dependencies=[Depends(busy)])
async def late():
    yield {"first": 1}

@app.get("/silent", response_class=EventSourceResponse)
async def silent():
    import asyncio
    yield {"first": 1}
    await asyncio.sleep(60)
"""


# -- forged tokens ------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_a_good_token_is_good_and_each_forged_one_is_not(algorithm):
    private, public = pair("a word") if algorithm == "EdDSA" else (40 * "k", 40 * "k")
    service = SignIn("https://a.test", "doors", private, algorithm)
    how = {"issuer": "https://a.test", "audience": "doors", "options": {"require": ["exp"]}}

    def judged(token):
        try:
            return jwt.decode(token, public, [algorithm], **how)["role"]
        except jwt.PyJWTError as error:
            return type(error)

    about = {"role": "manager"}
    assert judged(service.token(about)) == "manager"
    foreign = pair("another")[0] if algorithm == "EdDSA" else 40 * "f"
    assert judged(service.token(about, key=foreign)) is jwt.InvalidSignatureError
    assert judged(service.changed(about, {"role": "auditor"})) is jwt.InvalidSignatureError
    assert judged(service.unsigned(about)) is jwt.InvalidAlgorithmError
    assert judged(service.token(about, without="exp")) is jwt.MissingRequiredClaimError
    assert judged(service.token({**about, "aud": "garage"})) is jwt.InvalidAudienceError
    assert judged(service.token({**about, "exp": 1})) is jwt.ExpiredSignatureError


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
@pytest.mark.parametrize(
    ("looks", "told"),
    [
        (lambda iss, aud: (iss, aud) == ("https://a.test", "doors"), None),
        (
            lambda iss, aud: iss == "https://a.test" and aud in ("doors", None),
            "without an audience",
        ),
        (lambda iss, aud: iss == "https://a.test" and "doors" in str(aud), "with a longer name"),
        (lambda iss, aud: iss in ("https://a.test", None) and aud == "doors", "without an issuer"),
        (lambda iss, aud: str(iss).startswith("https://a.test") and aud == "doors", "longer name"),
    ],
)
def test_issuer_and_audience_are_compared_whole_and_asked_for(looks, told, algorithm):
    private, public = pair("a word") if algorithm == "EdDSA" else (64 * "k", 64 * "k")
    options = {"require": ["exp"], "verify_aud": False}

    def lets_in(token):
        try:
            claims = jwt.decode(token, public, [algorithm], options)
        except jwt.PyJWTError:
            return False
        return looks(claims.get("iss"), claims.get("aud"))

    service = SignIn("https://a.test", "doors", private, algorithm)
    forged = close_the_back_end._forged(service, {"role": "manager", "building": "A01"})
    first = next((words for _, words, token in forged if lets_in(token)), None)
    assert first == told or told in first


# -- asking over HTTP ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service():
    found = Backend({"main.py": SERVICE}, {"WORD": "one"})
    yield found
    found.close()


def test_answers_are_noted_in_words_and_a_stream_is_left_in_time(service):
    with Caller(at := Attempt(Task()), "as a stranger", service.outside.uri) as caller:
        found = [caller.status(f"/{path}") for path in ("rows", "nobody", "broken", "none")]
        assert found == [200, 401, 500, 404]
        assert [line.rpartition("→ ")[2] for line in at.tried] == [
            "answered (200)",
            "refused (401)",
            "an error of the service (500)",
            "nothing there (404)",
        ]
        assert caller.rows("/rows") == [{"word": "one"}]
        assert caller.rows("/nobody") == []
        assert caller.status("/silent") == 200
        written = []
        heard = caller.hear("/silent", lambda: written.append(1), lambda _: False, seconds=1)
        assert heard == [{"first": 1}]
        assert written


def test_a_stream_that_answers_late_is_heard_as_long_as_any_other(service):
    with Caller(Attempt(Task()), "as a stranger", service.uri) as caller:
        assert caller.hear("/late", lambda: None, bool, seconds=1) == [{"first": 1}]
        assert caller.hear("/nobody", lambda: None, bool, seconds=1) == []


def test_a_twin_has_the_code_and_another_environment(service):
    with twin(service, WORD="two") as other:
        words = [
            Caller(Attempt(Task()), "", uri).rows("/rows")[0]["word"]
            for uri in (service.uri, other.uri, other.outside.uri)
        ]
    assert words == ["one", "two", "two"]
    assert service.is_running
    assert not other.is_running


def test_a_service_that_does_not_run_is_no_refusal(service):
    service.stop()
    with Caller(Attempt(Task()), "", service.outside.uri) as caller, pytest.raises(BadAnswer):
        caller.status("/rows")
    with pytest.raises(BadAnswer, match=r"lab\.backend\.restart"):
        must_run(service)
    service.restart()
    assert must_run(service) is service


# -- the policies -------------------------------------------------------------------------------


@pytest.mark.needs("postgres")
def test_each_role_has_its_rows_and_the_service_alone_has_none():
    def prepare(connect):
        tongren_api.prepare(connect, [labs.DATABASE], password="a word")

    lab = tongren.small_lab(labs.SEED, tongren.LOCKED, tongren_api.HBA, prepare, labs.RESIDENTS, 1)
    try:
        with psycopg.connect(lab.inside.uri_of(labs.DATABASE)) as operator:
            homes = operator.execute("SELECT building, array_agg(person) FROM residents GROUP BY 1")
            assert {home: set(people) for home, people in homes} == {
                home: set(people) for home, people in labs.HOMES.items()
            }
        with psycopg.connect(lab.inside.uri_as("api", "a word", labs.DATABASE)) as api:

            def count(table, role, **settings):
                with api.transaction(force_rollback=True):
                    for name, value in {"role": role, **settings}.items():
                        name = name.replace("_", ".")
                        api.execute("SELECT set_config(%s, %s, true)", [name, value])
                    try:
                        return api.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    except psycopg.errors.InsufficientPrivilege:
                        return "refused"

            assert count("residents", "api") == "refused"
            assert count("residents", "manager") == 0
            assert count("residents", "manager", doors_building="A01") == len(labs.HOMES["A01"])
            assert count("residents", "resident", doors_person="7") == 1
            assert count("residents", "resident", doors_building="A01") == 0
            assert count("visitors", "resident", doors_person="7") == "refused"
            assert count("residents", "auditor") == "refused"
            assert count("passages", "auditor") > count("passages", "resident", doors_person="7")
            with api.transaction(force_rollback=True), pytest.raises(psycopg.Error):
                api.execute("SET LOCAL ROLE postgres")
    finally:
        lab.close()


# -- a clock --------------------------------------------------------------------------------------


def test_of_a_clock_in_doubt_it_is_believed_only_if_each_of_three_services_says_it(
    monkeypatch, service
):
    told = []

    def says(*answers, sure=False):
        found = iter(answers)

        def tells(at, *_):
            at.note("on this machine", "the time", "measured")
            at.values["sure"] = sure
            told.append(next(found))
            return told[-1]

        monkeypatch.setattr(close_the_back_end_login, "_tells", tells)
        told.clear()
        at, lab = Attempt(Task()), SimpleNamespace(backend=service)
        last = close_the_back_end_login._tells_surely(at, lab, None, service)
        assert len(at.tried) == 1  # however often it was measured
        assert last == told[-1]
        return len(told)

    slow = "tells_by_time"
    assert says(slow, "") == 2
    assert says(slow, slow, slow) == 3
    assert says(slow, sure=True) == 1
    assert says("tells_unknown") == 1
