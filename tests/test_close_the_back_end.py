"""What exercise 11 tries its answers with, and answers that are nobody's near miss."""

from types import SimpleNamespace

import jwt
import psycopg
import pytest

from leftopen.cases import tongren, tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks import close_the_back_end_login, exercise
from leftopen.checks.forged_tokens import SignIn, pair
from leftopen.checks.http_probe import Caller, must_run, twin
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt, Task
from leftopen.checks.verdict import Kind
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


# -- answers that are nobody's near miss --------------------------------------------------------


@pytest.fixture
def ex(tmp_path, monkeypatch):
    from leftopen import progress

    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.sqlite3"))
    found = exercise(NAME)
    yield found
    found.close()


LENT = """    with connection(f"doors_{server}") as db:
        yield db
"""
BECOMING = """    about = {name: str(who.get(name, '')) for name in ('role', 'building', 'person')}
    sql = "SELECT set_config('role', %(role)s, true)"
    sql += ", set_config('doors.building', %(building)s, true)"
    sql += ", set_config('doors.person', %(person)s, true)"
    with connection(f"doors_{server}") as db, db.transaction():
        db.execute(sql, about)
        yield db
"""


@pytest.mark.needs("postgres")
def test_the_database_alone_or_its_password_alone_is_half_of_question_3(ex):
    lab, task = ex.lab(3), ex.task(3)
    assert ex.check(3, lab).kind is Kind.NOT_ATTEMPTED
    lab.configure(tongren_api.HBA, file="pg_hba.conf")
    text = ex.check(3, lab).text
    assert "the service breaks" in text
    assert "rejects connection" in text  # it is shut out
    lab.backend.set_environment(DATABASE_URL=lab.inside.uri_as("api", task["api_password"]))
    assert "Is a role taken" in ex.check(3, lab).text  # api may read nothing by itself
    found = lab.backend.read("database.py")

    def becoming(*changes):
        text = found.replace(LENT, BECOMING)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        lab.backend.write("database.py", text)
        return ex.check(3, lab)

    said = becoming(("doors.building', %(building)s, true", "doors.building', %(building)s, false"))
    assert "doors.building=" in said.text
    assert "KeyError" in becoming(("who.get(name, '')", "who[name]")).text
    said = becoming(("'doors.person'", "'doors.persno'"))
    assert "the resident does not get the own record (nothing there (404))" in said.text
    discarding = ("as db, db.transaction():", "as db:\n        db.execute('DISCARD ALL')")
    at_the_end = ("        yield db", "        yield db\n        db.execute('DISCARD ALL')")
    assert becoming(discarding, (", true)", ", false)"), at_the_end).kind is Kind.RIGHT


@pytest.mark.needs("postgres")
def test_a_check_of_the_live_stream_leaves_no_passage_behind(ex):
    lab = ex.lab(3)
    with psycopg.connect(lab.inside.uri_of(labs.DATABASE)) as operator:
        before = operator.execute("SELECT count(*), max(passage) FROM passages").fetchone()
    with labs.Passing(lab, [1, 2]) as passing:
        passing.numbers = Looked(lab)
        passing.write()
        # Else a stream that begins between two of them would not be sent the first.
        assert passing.numbers.seen_meanwhile == [before[0], before[0]]
        assert len(passing.numbers) == 2
    with psycopg.connect(lab.inside.uri_of(labs.DATABASE)) as operator:
        assert operator.execute("SELECT count(*), max(passage) FROM passages").fetchone() == before


class Looked(list):
    """A list; how many passages anybody else sees is looked up with each entry."""

    def __init__(self, lab):
        self.uri, self.seen_meanwhile = lab.inside.uri_of(labs.DATABASE), []

    def append(self, number):
        super().append(number)
        with psycopg.connect(self.uri) as other:
            count = other.execute("SELECT count(*) FROM passages").fetchone()
            self.seen_meanwhile.append(count[0])


@pytest.mark.needs("postgres")
def test_a_service_that_is_down_is_told_and_not_judged(ex):
    lab = ex.lab(5)
    assert ex.check(5, lab).kind is Kind.NOT_ATTEMPTED
    lab.backend.set_environment(TOKEN_KEYS="{}")  # nobody reads it
    assert "still accepted" in ex.check(5, lab).text
    lab.backend.stop()
    verdict = ex.check(5, lab)
    assert verdict.kind is Kind.ERROR
    assert "lab.backend.restart()" in verdict.text


@pytest.mark.needs("postgres")
def test_each_false_token_of_question_1_is_answered_with_401(ex):
    lab, task = ex.lab(1), ex.task(1)
    head, _, _ = lab.backend.read("callers.py").partition("def caller")
    head = head.replace("import Depends", "import Depends, HTTPException")
    last = "Caller = Annotated[dict, Depends(caller)]\n"
    decode = f"""def caller(given: Bearer) -> dict:
    try:
        found = jwt.decode(
            given.credentials, KEY, [{task["algorithm"]!r}], {{"require": ["exp"]}},
            issuer={task["issuer"]!r}, audience={task["audience"]!r}, leeway=0,
        )
    except jwt.PyJWTError:
        raise HTTPException(401)
    return found
"""

    def judged(old="", new=""):
        assert old in decode
        text = decode.replace(old, new) if old else decode
        lab.backend.write("callers.py", head + text + last)
        return ex.check(1, lab)

    assert judged().kind is Kind.RIGHT
    assert "answered with 401: refused (403)" in judged("(401)", "(403)").text
    assert "ten minutes ago" in judged("leeway=0", "leeway=86400").text
    text = judged("return found", "return fuond").text
    assert "no good one does either" in text
    assert "NameError" in text


FIRST_SERVER = """
from callers import caller
from fastapi import HTTPException, Request
from fastapi.security import HTTPBearer

async def first_server(request: Request) -> None:
    if "/1/" in request.url.path:
        caller(await HTTPBearer()(request))
"""


@pytest.mark.needs("postgres")
def test_what_question_2_calls_a_door(ex):
    lab = ex.lab(2)
    main = lab.backend.read("main.py").replace("_offline import FastAPIOffline", " import FastAPI")
    main = main.replace("FastAPIOffline(", "FastAPI(openapi_url=None, ").replace(
        "  # FastAPI;", "  #"
    )
    guarded = main.replace(".router)", ".router, dependencies=[Depends(caller)])")
    lab.backend.write("main.py", guarded.replace('@app.get("/")', '@app.get("/start")'))
    assert "nothing there (404)" in ex.check(2, lab).text
    text = main.replace("dependencies=[Depends(caller)]", "")
    text = text.replace(".router, )", ".router)")
    text = text.replace(".router)", ".router, dependencies=[Depends(first_server)])")
    lab.backend.write("main.py", FIRST_SERVER + text)
    assert "of server 2" in ex.check(2, lab).text


@pytest.mark.needs("postgres")
def test_a_login_of_question_5_gives_a_token_that_its_service_takes(ex):
    import json

    lab, task = ex.lab(5), ex.task(5)
    keys = {task[name]: task[f"{name}_key"] for name in ("new", "previous")}
    lab.backend.set_environment(TOKEN_KEYS=json.dumps(keys))
    text = lab.backend.read("callers.py")
    for old, new in {
        f'KEY = "{task["retired_key"]}"': 'KEYS = json.loads(os.environ["TOKEN_KEYS"])',
        "import time": "import json\nimport os\nimport time",
        'KEY, "HS256")': f'KEYS["{task["new"]}"], "HS256")',
        "given.credentials, KEY,": "given.credentials, key,",
        "    try:\n": "    try:\n"
        "        key = KEYS[jwt.get_unverified_header(given.credentials)['kid']]\n",
        "except jwt.PyJWTError": "except (jwt.PyJWTError, KeyError)",
    }.items():
        assert old in text
        text = text.replace(old, new)
    lab.backend.write("callers.py", text)
    assert "its header has no kid" in ex.check(5, lab).text


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((429, 429, 429), ""),
        ((401, 429, 429), "does it say >"),
        ((429, 200, 200), "still taken, so whoever guesses goes on"),
        ((429, 429, 200), "to that address alone"),
        ((401, 200, 200), "one more, the right one is still taken"),
    ],
)
def test_how_an_account_of_question_4_is_not_protected(answers, words):
    found = close_the_back_end_login.not_protected(*answers)
    assert words in found
    assert bool(words) == bool(found)


def test_of_a_clock_it_is_believed_only_if_each_of_three_services_says_it(monkeypatch, service):
    said = iter(["tells_by_time", ""])
    monkeypatch.setattr(close_the_back_end_login, "_tells", lambda *_: next(said))
    at, lab = Attempt(Task()), SimpleNamespace(backend=service)
    again = close_the_back_end_login._tells_more_than_once
    assert again(at, lab, "tells_by_time") == ""
    said = iter(["tells_by_time", "tells_by_time"])
    assert again(at, lab, "tells_by_time") == "tells_by_time"
    assert again(at, lab, "tells_unknown") == "tells_unknown"
