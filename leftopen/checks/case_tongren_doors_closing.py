"""Exercise 03, question 6: both doors closed to strangers, and the desk and the doors served."""

import contextlib
from collections.abc import Iterator

import httpx
import psycopg
from psycopg import sql

from leftopen.checks.case_tongren_doors_server import DATABASES, SERVERS, Server, ask, expected
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.sql_probe import Who, operator
from leftopen.lab import Lab
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.learner import Draw

_NAMES = ("gate_writer", "door_log", "lift_and_gate", "entry_feed")
_NEW = "left_open_tries_this"  # made for the try and dropped again; it may read every table
_ROUTES = ("buildings", "residents", "visitors", "passages", "passages/stream")
_INSERT = (
    "INSERT INTO passages (passage, at, building, door, direction, visitor, status) "
    "SELECT coalesce(max(passage), 0) + 1, now(), 'A01', 'main', 'in', 1, 'normal' FROM passages"
)


def _task(draw: Draw) -> Task:
    server = Server.of(draw)
    account = server.draw.pick("account", _NAMES)
    return Task(
        number=server.row,
        account=(account, "the account with which the program of the doors writes"),
    )


def _open(task: Task) -> PostgresLab:
    def prepare(connect: Connect) -> None:
        name = sql.Identifier(task["account"])
        for number, database in enumerate(DATABASES):
            with connect(database) as connection:
                if number == 0:  # a role is known to all databases
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
                grant = sql.SQL("GRANT SELECT, INSERT ON passages TO {}")
                connection.execute(grant.format(name))

    return Server(task["number"]).open(prepare)


def _check(at: Attempt, lab: PostgresLab) -> str:
    """No record for a stranger, by either door; for the desk and for the doors' program, all."""
    told = _routes_that_tell(lab)
    account = at.task["account"]
    with _new_account(lab):
        accounts = {"postgres": "postgres", account: account, "a new account": _NEW}
        ways = {
            (shown, name): _reads(at, lab, who, name)
            for shown, who in accounts.items()
            for name in DATABASES
        }
    beyond = [] if all(ways.values()) else _superuser_logins(at, lab)
    if lab.is_as_found and len(told) == len(_ROUTES) and all(ways.values()):
        return UNTOUCHED
    there, all_rows = _passages(lab), expected(at.task["number"])
    shown = ", ".join(told) if 0 < len(told) < len(_ROUTES) else "records" if told else "refused"
    at.note("as a stranger", "ask the service for records", shown)
    for (who, name), reads in ways.items():
        at.note("as a stranger", f"read {name} as {who}", "accepted" if reads else "refused")
    for who, name in beyond:
        at.note("as a stranger", f"log in to {name} as {who}, a superuser", "accepted")
    desk, writes = _desk(at, lab), _writes(at, lab, account)
    kept = "all are there" if there >= all_rows else f"{there} of {all_rows}"
    at.note("as the operator", "count the passages", kept)
    at.values.update(there=there, expected=all_rows, routes=shown, account=account)
    if there < all_rows:
        return "emptied"
    if told or any(ways.values()) or beyond:
        return _which_is_open(at, lab, told, ways, beyond)
    if (lab.is_exposed and not lab.outside.is_open) or _unplugged(lab):
        return "relay_shut"
    if _without_an_address(lab):
        return "no_address"
    if not desk and not writes:
        return "everybody_refused"
    if not desk:
        return "desk_refused" if lab.backend.is_running else "service_stopped"
    return RIGHT if writes else "doors_refused"


def _which_is_open(
    at: Attempt,
    lab: PostgresLab,
    told: list[str],
    ways: dict[tuple[str, str], bool],
    beyond: list[tuple[str, str]],
) -> str:
    if told and (any(ways.values()) or beyond):
        return "nothing_closed" if lab.is_in_force else "not_restarted"
    if told:
        return "service_left" if len(told) == len(_ROUTES) else "some_routes_left"
    if not lab.is_in_force:
        return "not_restarted"
    if all(ways.values()):
        return "database_left"
    accounts = sorted({who for (who, _), reads in ways.items() if reads})
    databases = sorted({name for (_, name), reads in ways.items() if reads})
    if not accounts:
        at.values.update(others=" and ".join(sorted({name for _, name in beyond})))
        return "superuser_left"
    at.values.update(who=" and ".join(accounts), databases=" and ".join(databases))
    if len(databases) < len(DATABASES):
        return "one_database_refused"
    return "new_account_left" if accounts == ["a new account"] else "one_account_refused"


@contextlib.contextmanager
def _new_account(lab: PostgresLab) -> Iterator[None]:
    """An account more, which may read everything: nobody can have refused it by its name."""
    name = sql.Identifier(_NEW)
    drop = sql.SQL("DROP ROLE IF EXISTS {}").format(name)
    with operator(lab) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_read_all_data").format(name))
        try:
            yield
        finally:
            connection.execute(drop)


def _superuser_logins(at: Attempt, lab: PostgresLab) -> list[tuple[str, str]]:
    """As which superuser a stranger gets into which database that is no door log.

    From there a superuser runs programs on the server (COPY ... FROM PROGRAM), and so reads all.
    """
    asked = (
        "SELECT rolname, datname FROM pg_roles, pg_database WHERE rolsuper AND rolcanlogin "
        "AND datallowconn AND datname <> ALL(%s) ORDER BY rolname, datname"
    )
    with operator(lab) as connection:
        pairs = connection.execute(asked, [list(DATABASES)]).fetchall()
    return [(who, name) for who, name in pairs if _gets_in(at, lab, who, name)]


def _gets_in(at: Attempt, lab: PostgresLab, account: str, database: str) -> bool:
    with Who(at, "as a stranger", lab, (account, ""), database, outside=True) as stranger:
        try:
            return stranger.why_not() is None
        except psycopg.Error:  # nothing answers
            return False


def _routes_that_tell(lab: PostgresLab) -> list[str]:
    """The routes by which the service gives records to a stranger."""
    if not lab.backend.is_running:
        return []
    told = []
    for route in _ROUTES:
        path = f"{lab.backend.outside.uri}/servers/{SERVERS[0]}/{route}"
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream("GET", path, timeout=5, trust_env=False) as answer,
        ):
            stream = answer.headers.get("content-type", "").startswith("text/event-stream")
            if answer.status_code == 200 and (stream or answer.read() not in (b"[]", b"{}")):
                told.append(route)
    return told


def _reads(at: Attempt, lab: PostgresLab, account: str, database: str) -> bool:
    """Whether a stranger with the name of an account reads a passage of a database."""
    with Who(at, "as a stranger", lab, (account, ""), database, outside=True) as stranger:
        try:
            return bool(stranger.run("SELECT 1 FROM passages LIMIT 1"))
        except psycopg.Error:  # nothing answers, or it is no database any more
            return False


def _desk(at: Attempt, lab: PostgresLab) -> bool:
    """Whether the desk, on the same machine, gets passages of each server, as before."""
    served = True
    for server in SERVERS:
        try:
            answer = ask(lab.backend.uri, f"/servers/{server}/passages", limit=3)
            got = f"{len(answer.json())} passages" if answer.is_success else str(answer.status_code)
            served &= answer.is_success and len(answer.json()) == 3
        except (httpx.HTTPError, ValueError, TypeError):
            got, served = "no answer", False
        at.note("as the desk", f"ask the service for 3 passages of server {server}", got)
    return served


def _writes(at: Attempt, lab: PostgresLab, account: str) -> bool:
    """Whether the program of the doors, on the same machine, can write into each database."""
    can = True
    for name in DATABASES:
        with Who(at, f"as {account}, on the machine", lab, (account, ""), name) as doors:
            try:
                wrote = doors.allows(_INSERT)
            except psycopg.Error:
                wrote = False
        at.note(doors.label, f"write into {name}", "accepted" if wrote else "refused")
        can &= wrote
    return can


def _without_an_address(lab: PostgresLab) -> bool:
    """Whether PostgreSQL reads from its files that it is to listen on no address at all.

    Then no client comes by TCP, not even from the same machine. The lab's server listens all the
    same, so that this cannot be tried, and the near miss says so.
    """
    asked = "SELECT setting FROM pg_file_settings WHERE name = 'listen_addresses' ORDER BY seqno"
    with contextlib.suppress(psycopg.Error), operator(lab) as connection:
        return [row[0].strip() for row in connection.execute(asked)][-1:] == [""]
    return False


def _passages(lab: PostgresLab) -> int:
    """How many passages there are in all databases."""
    there = 0
    for name in DATABASES:
        with contextlib.suppress(psycopg.Error), operator(lab, name) as connection:
            there += connection.execute("SELECT count(*) FROM passages").fetchone()[0]
    return there


def _unplugged(lab: PostgresLab) -> bool:
    backend = lab.backend
    return backend.is_running and backend.is_exposed and not backend.outside.is_open


QUESTION = Question(asks={"lab": Lab}, check=_check, task=_task, lab=_open)
