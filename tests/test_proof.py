"""The table of who may what, against clients whose answers are known."""

import logging
import socket

import psycopg
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import TransportError

from leftopen import lab_opensearch
from leftopen.cases import tongren
from leftopen.errors import ConfigRefused, NotLoopback
from leftopen.impostor import Impostor
from leftopen.lab_opensearch import quiet
from leftopen.proof import ask, may, proof, say, sql, until


class Persona:
    """Answers each request in one way: with a value, or with a status of HTTP."""

    def __init__(self, **answers):
        self.answers = answers

    def ask(self, what):
        answer = self.answers[what]
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(status):
    return TransportError(status, "refused", {})


def read(client):
    return client.ask("read")


def write(client):
    return client.ask("write")


@pytest.mark.parametrize("answer", [{}, 0, None, True, error(404), error(409)])
def test_an_answer_and_what_comes_after_the_check_of_rights_are_allowed(answer):
    assert may(read, Persona(read=answer))


@pytest.mark.parametrize("answer", [False, error(401), error(403)])
def test_a_refusal_and_an_empty_hand_are_refused(answer):
    assert not may(read, Persona(read=answer))


@pytest.mark.parametrize(
    "answer", [error(400), error(500), error(503), NoConnection("N/A", "x", {})]
)
def test_a_server_that_fails_is_not_taken_for_a_refusal(answer):
    with pytest.raises(TransportError):
        may(read, Persona(read=answer))


def test_the_table_tells_all_four():
    clients = {
        "feeder": Persona(read=error(403), write=error(409)),
        "reader": Persona(read={}, write={}),
        "stopped": Persona(read=error(401), write=error(403)),
    }
    policy = {"feeder": {"write"}, "reader": {"read"}, "stopped": {"read", "write"}}
    table = proof(policy, {"read": read, "write": write}, clients)
    assert table.to_dict() == {
        "feeder": {"read": "-", "write": "yes"},
        "reader": {"read": "yes", "write": "TOO MUCH"},
        "stopped": {"read": "MISSING", "write": "MISSING"},
    }


def test_a_policy_that_nobody_tries_or_nobody_holds_is_an_error():
    with pytest.raises(KeyError, match="delete"):
        proof({"feeder": {"delete"}}, {"read": read}, {"feeder": Persona(read={})})
    with pytest.raises(KeyError, match="feeder"):
        proof({"feeder": {"read"}}, {"read": read}, {})


def test_it_is_asked_until_the_answer_has_what_is_waited_for():
    answers = iter([[], ["ada"], ["ada", "ben"], ["cleo"]])
    assert until("ben", lambda: next(answers)) == ["ada", "ben"]
    assert next(answers) == ["cleo"], "and not once more"


def test_what_does_not_come_is_an_error():
    with pytest.raises(TimeoutError, match="'ben' did not come within 0 s"):
        until("ben", lambda: ["ada"], seconds=0)


def test_an_answer_is_given_back_and_a_refusal_is_one_line():
    refusal = "line 1: this is not allowed"

    def configure():
        raise ConfigRefused(refusal)

    def mistake():
        return {}["no such key"]

    assert ask(lambda: {"a": 1}) == {"a": 1}
    assert ask(lambda: read(Persona(read=error(403)))) == "refused: 403 TransportError"
    assert ask(configure) == refusal
    with pytest.raises(KeyError):  # a learner's own error is theirs to see
        ask(mistake)


@pytest.fixture
def driver_log(monkeypatch):
    """The driver's log as a new kernel has it, whatever another test's thread is still at."""
    monkeypatch.setattr(lab_opensearch, "_levels", [])
    log = logging.getLogger("opensearch")
    before = log.level
    log.setLevel(logging.NOTSET)
    yield log
    log.setLevel(before)


def test_the_driver_does_not_tell_a_refusal_a_second_time(caplog, driver_log):
    options = {"verify_certs": False, "ssl_show_warn": False}
    with Impostor() as false, OpenSearch(false.uri, **options) as client:
        assert ask(client.info) == "refused: 401 AuthenticationException"
        assert not may(lambda c: c.info(), client)
        assert not caplog.records
        with pytest.raises(TransportError):
            client.info()
        assert caplog.records


def test_who_leaves_first_does_not_decide_what_the_driver_tells_later(driver_log):
    one, other = quiet(), quiet()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert driver_log.level == logging.CRITICAL
    other.__exit__(None, None, None)
    assert driver_log.level == logging.NOTSET


# -- PostgreSQL, whose answers are a real server's ----------------------------------------------


@pytest.fixture(scope="module")
def doors():
    def prepare(connect):
        with connect("doors_1") as operator:
            operator.execute("""
                CREATE ROLE "the door" LOGIN PASSWORD 'a/word: with @ signs';
                CREATE ROLE shut PASSWORD 'a word';
                GRANT SELECT (building, storeys), INSERT ON buildings TO "the door";
                GRANT SELECT, UPDATE ON visitors TO "the door";
                ALTER TABLE visitors ENABLE ROW LEVEL SECURITY;
                CREATE POLICY p ON visitors USING (visitor = -1);
            """)

    lab = tongren.small_lab(seed=3, hba=tongren.HBA_LOCKED, config=tongren.LOCKED, prepare=prepare)
    yield lab
    lab.close()


def door(lab, password="a/word: with @ signs", name="the door", options="", database="doors_1"):
    return lab.inside.uri_as(name, password, database, options)


STATEMENTS = {
    "read buildings": "SELECT building, storeys FROM buildings",
    "read flats": "SELECT flats FROM buildings",
    "add one that breaks a rule": "INSERT INTO buildings (building) VALUES ('B01')",
    "remove": "DELETE FROM buildings WHERE false",
    "read what a policy hides": "SELECT * FROM visitors",
    "change what a policy hides": "UPDATE visitors SET plate = NULL",
    "add a role": "CREATE ROLE another",
    "one that returns False": lambda c: c.execute("SELECT false").fetchone()[0],
}


@pytest.mark.needs("postgres")
def test_on_postgresql_a_statement_is_tried_and_nothing_of_it_stays(doors):
    allowed = {"read buildings", "add one that breaks a rule"}
    policy = {"door": allowed, "open connection": allowed, "operator": set(STATEMENTS)}
    with psycopg.connect(door(doors)) as connection, psycopg.connect(doors.inside.uri) as before:
        clients = {
            "door": door(doors),
            "open connection": connection,
            "operator": doors.inside.uri_of("doors_1"),
        }
        table = proof(policy, STATEMENTS, clients)
        roles = before.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'another'")
        assert roles.fetchone() == (0,)
    for persona in ("door", "open connection"):
        assert {n for n, cell in table[persona].items() if cell == "yes"} == allowed
        assert "TOO MUCH" not in set(table[persona])
    missing = {name for name, cell in table["operator"].items() if cell == "MISSING"}
    nothing_to_find = {"remove", "one that returns False"}
    assert missing == nothing_to_find


@pytest.mark.needs("postgres")
def test_a_login_that_is_refused_is_a_refusal(doors):
    plain = "sslmode=disable"
    no_login = [door(doors, "wrong"), door(doors, ""), door(doors, name="nobody")]
    no_login += [door(doors, "a word", "shut"), door(doors, options=plain), doors.outside.uri]
    for uri in no_login:
        assert not may("SELECT 1", uri)
    said = ask(lambda: psycopg.connect(door(doors, "wrong")))
    assert said == 'refused: password authentication failed for user "the door"'


@pytest.mark.needs("postgres")
def test_what_is_no_refusal_of_postgresql_stops_the_proof(doors):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    gone = door(doors).replace(f":{doors.inside.port}/", f":{port}/")
    unknown_ca = door(doors, options="sslmode=verify-full")  # its own doubt, and not the server's
    for uri in (gone, unknown_ca):
        with pytest.raises(psycopg.OperationalError):
            may("SELECT 1", uri)
    for wrong in ("SELECT * FROM no_such_table", "SELEC 1"):
        with pytest.raises(psycopg.ProgrammingError):
            may(wrong, door(doors))
    assert ask(lambda: psycopg.connect(gone)) == "failed: Connection refused"
    with pytest.raises(NotLoopback):
        may("SELECT 1", "postgresql://a@192.0.2.1/b?connect_timeout=1")
    with pytest.raises(NotLoopback):
        may("SELECT 1", "host=localhost hostaddr=192.0.2.1")


@pytest.mark.needs("postgres")
def test_a_statement_holds_at_once_and_a_refusal_is_one_line(doors):
    operator = doors.inside.uri_of("doors_1")
    assert sql(operator, "CREATE TABLE kept (a integer); INSERT INTO kept VALUES (1), (2)") == (
        "INSERT 0 2"
    )
    assert sql(operator, "SELECT 1; SELECT a FROM kept ORDER BY a") == [(1,), (2,)]
    assert sql(operator, "SELECT a FROM kept WHERE false") == []
    assert say(door(doors), "SELECT a FROM kept") == "refused: permission denied for table kept"
    assert say(door(doors), "SELECT 1") == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sql(door(doors), "DROP TABLE kept")
