"""Exercise 03, question 6: both doors closed to strangers, and the desk and the doors served."""

import contextlib
from collections.abc import Iterator

import httpx
import psycopg
from psycopg import sql

from leftopen import loopback
from leftopen.audit.postgres import hba
from leftopen.checks.case_tongren_doors_server import DATABASES, SERVERS, Server, ask, expected
from leftopen.checks.case_tongren_doors_stranger import (
    ROUTES,
    reads,
    routes_that_tell,
    superuser_logins,
    what_else,
)
from leftopen.checks.elsewhere import let_in_from
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.sql_probe import Who, operator
from leftopen.errors import LeftOpenError
from leftopen.lab import Lab
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.learner import Draw

_NAMES = ("gate_writer", "door_log", "lift_and_gate", "entry_feed")
_NEW = "left_open_tries_this"  # made for the try and dropped again; it may read every table
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
    told = routes_that_tell(lab)
    account = at.task["account"]
    with _new_account(lab):
        accounts = {"postgres": "postgres", account: account, "a new account": _NEW}
        ways = {
            (shown, name): reads(at, lab, who, name)
            for shown, who in accounts.items()
            for name in DATABASES
        }
        beyond = [] if all(ways.values()) else superuser_logins(at, lab)
        if lab.is_as_found and len(told) == len(ROUTES) and all(ways.values()):
            return UNTOUCHED
        shown = _note(at, told, ways, beyond)
        open_ = bool(told) or any(ways.values()) or bool(beyond)
        more = None if open_ else what_else(at, lab, list(accounts.values()))
    there, all_rows = _passages(lab), expected(at.task["number"])
    desk, writes = _desk(at, lab), _writes(at, lab, account)
    kept = "all are there" if there >= all_rows else f"{there} of {all_rows}"
    at.note("as the operator", "count the passages", kept)
    at.values.update(there=there, expected=all_rows, routes=shown, account=account)
    if there < all_rows:
        return "emptied"
    if open_:
        return _which_is_open(at, lab, told, ways, beyond)
    if (lab.is_exposed and not lab.outside.is_open) or _unplugged(lab):
        return "relay_shut"
    if more := more or _not_at_its_address(at, lab):
        return more
    if not desk and not writes:
        return "everybody_refused"
    if not desk:
        return "desk_refused" if lab.backend.is_running else "service_stopped"
    return RIGHT if writes else "doors_refused"


def _note(
    at: Attempt,
    told: list[str],
    ways: dict[tuple[str, str], bool],
    beyond: list[tuple[str, str]],
) -> str:
    """What the first stranger gets, noted; and what the service gave, in words."""
    shown = ", ".join(told) if 0 < len(told) < len(ROUTES) else "records" if told else "refused"
    at.note("as a stranger", "ask the service for records", shown)
    for (who, name), read in ways.items():
        at.note("as a stranger", f"read {name} as {who}", "accepted" if read else "refused")
    for who, name in beyond:
        at.note("as a stranger", f"log in to {name} as {who}, a superuser", "accepted")
    return shown


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
        return "service_left" if len(told) == len(ROUTES) else "some_routes_left"
    if not lab.is_in_force:
        return "not_restarted"
    if all(ways.values()):
        return "database_left" if let_in_from(lab, hba.ANYWHERE) else "loopback_range"
    accounts = sorted({who for (who, _), read in ways.items() if read})
    databases = sorted({name for (_, name), read in ways.items() if read})
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


def _not_at_its_address(at: Attempt, lab: PostgresLab) -> str | None:
    """Whether a program is told to listen, and not at 127.0.0.1, where it is asked.

    The lab's programs listen there all the same, so that this cannot be tried, and the near misses
    say so.
    """
    asked = "SELECT setting FROM pg_file_settings WHERE name = 'listen_addresses' ORDER BY seqno"
    with operator(lab) as connection:
        told = [word for (word,) in connection.execute(asked)][-1:] or ["localhost"]
    if not told[0].strip():
        return "no_address"
    addresses = {
        "listen_addresses": told[0],
        "UVICORN_HOST": lab.backend.environment["UVICORN_HOST"],
    }
    for setting, written in addresses.items():
        if not any(_is_here(entry.strip()) for entry in written.split(",")):
            at.values.update(setting=setting, written=written)
            return "other_address"
    return None


def _is_here(entry: str) -> bool:
    if entry in ("*", "0.0.0.0"):
        return True
    with contextlib.suppress(LeftOpenError):
        return loopback.HERE in loopback.addresses(entry)
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
