"""Answers to exercise 11 that are nobody's near miss: what each of them is told."""

import os
from collections import Counter

import psycopg
import pytest

from leftopen.cases import tongren_api
from leftopen.checks import back_end_lab as labs
from leftopen.checks import close_the_back_end_login, exercise
from leftopen.checks.question import Attempt
from leftopen.checks.verdict import Kind

NAME = "11_close_the_back_end"


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
    text = becoming(discarding, (", true)", ", false)"), at_the_end).text  # left out after a 404
    assert (
        f"neighbour's record, the next one begins as resident doors.person={task['person']}" in text
    )
    always = ("        yield db", "        try:\n            yield db\n        finally:")
    then = "\n            db.execute('DISCARD ALL')"
    always = (always[0], always[1] + then)
    assert becoming(discarding, (", true)", ", false)"), always).kind is Kind.RIGHT


@pytest.mark.needs("postgres")
def test_every_way_into_the_database_and_each_right_of_the_service_counts(ex):
    lab = ex.lab(3)

    def told(hba):
        lab.configure(hba, file="pg_hba.conf")
        return ex.check(3, lab).text

    one = "host accounts,doors_2 all 0.0.0.0/0 trust"
    shut = "host all all all scram-sha-256"
    assert "from outside, as api, postgres, to accounts, without a password" in told(
        f"{one}\n{shut}"
    )
    for refused in ("127.0.0.2/32", "127.0.0.0/8"):  # that stranger alone, or this lab's alone
        lines = f"host all all {refused} reject\nhost all all all trust"
        assert "lets a stranger in from outside, as" in told(
            f"host all all 127.0.0.1/32 scram-sha-256\n{lines}"
        )
    copying = "host replication all 127.0.0.1/32 trust"
    assert "comes in without a password, as postgres, to replication" in told(f"{copying}\n{shut}")
    if os.name == "posix":
        text = told(f"local all all trust\n{shut}")
        assert "comes in without a password, as api, to every database" in text
    assert "the service breaks" in told(f"local all all peer\n{shut}")  # it has no password yet
    with psycopg.connect(lab.inside.uri_of(labs.DATABASE), autocommit=True) as operator:
        for give, take, words in (
            ("GRANT SELECT ON passages TO api", "REVOKE ALL ON passages FROM api", "on passages."),
            ("ALTER ROLE api BYPASSRLS", "ALTER ROLE api NOBYPASSRLS", "log in: BYPASSRLS."),
            ("GRANT postgres TO api", "REVOKE postgres FROM api", "role postgres."),
        ):
            operator.execute(give)
            assert words in ex.check(3, lab).text
            operator.execute(take)
    assert "the service breaks" in ex.check(3, lab).text


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

    def judged(*changes):
        text = decode
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        lab.backend.write("callers.py", head + text + last)
        return ex.check(1, lab)

    assert judged().kind is Kind.RIGHT
    assert "answered with 401: refused (403)" in judged(("(401)", "(403)")).text
    assert "ten minutes ago" in judged(("leeway=0", "leeway=86400")).text
    text = judged(("return found", "return fuond")).text
    assert "no good one does either" in text
    assert "NameError" in text


TWO_SERVERS = """
from callers import caller
from fastapi import HTTPException, Request
from fastapi.security import HTTPBearer

async def two_servers(request: Request) -> None:
    if "/1/" in request.url.path or "/2/" in request.url.path:
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
    text_of_main = main.replace("dependencies=[Depends(caller)]", "").replace(
        ".router, )", ".router)"
    )
    text_of_main = text_of_main.replace(".router)", ".router, dependencies=[Depends(two_servers)])")
    lab.backend.write("main.py", TWO_SERVERS + text_of_main)
    text = ex.check(2, lab).text
    assert "/servers/1/passages of server 3, /servers/1/passages/stream of server 3" in text
    assert "of server 2" not in text
    near = TWO_SERVERS.replace(
        'if "/1/" in request.url.path or "/2/" in request.url.path',
        "if request.client.host != HERE",
    )
    lab.backend.write("main.py", 'HERE = "127.0.0.1"\n' + near + text_of_main)
    text = ex.check(2, lab).text
    assert "/servers/1/residents on this machine, /servers/1/passages on this machine" in text
    assert "of server 3" not in text


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

    def judged(*changes):
        changed = text
        for old, new in changes:
            assert old in changed
            changed = changed.replace(old, new)
        lab.backend.write("callers.py", changed)
        return ex.check(5, lab).text

    known = f"""KEYS["{task["new"]}"], "HS256")"""
    signs = (known, known.replace('"HS256")', f'"HS256", {{"kid": "{task["new"]}"}})'))
    assert "somebody logged in: it gives no token at all" in judged(signs)
    first = (known, 'KEYS[next(iter(KEYS))], "HS256", {"kid": next(iter(KEYS))})')
    again = ('environ["TOKEN_KEYS"]', f"environ.get('TOKEN_KEYS', {json.dumps(keys)!r})")
    assert "accepts a token of the new one, which" in judged(first, again)
    each = f"{{'{task['new']}': os.environ['NEW'], '{task['previous']}': os.environ['OLD']}}"
    lab.backend.set_environment(NEW=task["new_key"], OLD=task["previous_key"])
    named = judged(first, ('json.loads(os.environ["TOKEN_KEYS"])', each))
    assert "knows it by the old name alone" in named


@pytest.mark.needs("postgres")
def test_an_address_of_question_4_is_not_what_the_caller_writes(ex):
    lab, task = ex.lab(4), ex.task(4)
    files = {name: tongren_api.closed_backend()[name] for name in ("limits.py", "login.py")}
    most = {"account": task["tries"], "address": task["tries_address"]}
    header = 'request.headers.get("x-forwarded-for", request.client.host)'
    for name, old, new in (
        ("limits.py", '{"account": 5, "address": 20}', repr(most)),
        ("login.py", "request.client.host", header),
    ):
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    files["main.py"] = lab.backend.read("main.py").replace(", debug=True", "")
    lab.backend.write_files(files)
    assert "the caller writes into a header" in ex.check(4, lab).text


class Played:
    """A login of question 4 that is played, and one address from which it is tried."""

    retry_after = "60"

    def __init__(self, address, task, failed, forgets="", of_nobody=True, refusals=False):
        self.address, self.failed, self.refusals = address, failed, refusals
        self.forgets, self.of_nobody = forgets, of_nobody
        self.most = {"account": task["tries"], "address": task["tries_address"]}
        self.known = {task["other"]: task["other_password"], task["account"]: task["password"]}
        self.known["lobby-desk"] = task["password"][::-1]

    def login(self, account, password, times=1, **headers):
        who = {"account": account, "address": self.address}
        return [self._once(who, password) for _ in range(times)]

    def _once(self, who, password):
        if any(self.failed[each] >= self.most[each[0]] for each in who.items()):
            self.failed.update(who.items() if self.refusals else ())
            return 429
        if self.known.get(who["account"]) == password:
            self.failed.pop((self.forgets, who.get(self.forgets)), None)
            return 200
        counted = {"address"} if not self.of_nobody and who["account"] not in self.known else who
        self.failed.update((name, who[name]) for name in counted)
        return 401


@pytest.mark.parametrize("draw", range(4))
@pytest.mark.parametrize(
    ("how", "verdict", "words"),
    [
        ({}, "", ""),
        ({"forgets": "account"}, "", ""),
        ({"refusals": True}, "", ""),
        ({"forgets": "address"}, "account_only", "begins anew after each good login"),
        ({"of_nobody": False}, "tells_unknown", "and one that is not goes on"),
    ],
)
def test_what_question_4_counts_and_for_whom(draw, how, verdict, words):
    task = {"tries": 3 + draw % 2, "tries_address": 8 + draw // 2 * 2, "password": "fern"}
    task |= {"account": "fern-desk", "other": "moss-desk", "other_password": "moss"}
    failed = Counter()
    here, outside = (Played(name, task, failed, **how) for name in ("here", "outside"))
    for name in ("fern-desk", "nobody-desk"):
        here.login(name, "wrong", 3)  # as many as were needed to compare their times
    at = Attempt(task)
    assert close_the_back_end_login._limits(at, outside, here) == verdict
    assert words in str(at.values.get("how", ""))


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
