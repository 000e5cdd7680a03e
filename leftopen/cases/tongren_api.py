"""The Tongren case in front of a locked database: roles and row policies, and a service to close.

The database asks for a login, and has a role for each kind of caller. The service in front of it
is still the one that was found. Lesson 11 closes it; ``closed_backend`` is what comes out.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import bcrypt
from psycopg import sql

from leftopen.cases import tongren
from leftopen.lab_postgres import Connect, PostgresLab
from leftopen.synth.tongren import DATABASES, read

ACCOUNT = "api"
"""The role with which the service logs in. By itself it may read the accounts, and nothing else."""

CALLERS = ("manager", "resident", "auditor")
"""The roles in which it reads the door logs."""

HBA = """\
# TYPE  DATABASE  USER  ADDRESS       METHOD
local   all       all                 peer
# The service runs on this machine. Nobody else has a task in this server.
hostssl all       api   127.0.0.1/32  scram-sha-256
host    all       all   all           reject
"""

ROLES = """\
CREATE ROLE api LOGIN NOINHERIT;
CREATE ROLE manager;
CREATE ROLE resident;
CREATE ROLE auditor;
GRANT manager, resident, auditor TO api;
"""
"""NOINHERIT: it has what the roles have only after SET ROLE, and of one role at a time."""

POLICIES = """\
GRANT SELECT ON buildings TO manager, resident, auditor;
GRANT SELECT ON residents, passages TO manager, resident;
GRANT SELECT ON visitors TO manager;
GRANT SELECT (passage, at, building, door, direction, status) ON passages TO auditor;
ALTER TABLE residents ENABLE ROW LEVEL SECURITY;
ALTER TABLE residents FORCE ROW LEVEL SECURITY;
ALTER TABLE visitors ENABLE ROW LEVEL SECURITY;
ALTER TABLE visitors FORCE ROW LEVEL SECURITY;
ALTER TABLE passages ENABLE ROW LEVEL SECURITY;
ALTER TABLE passages FORCE ROW LEVEL SECURITY;
CREATE POLICY manager ON residents TO manager
    USING (building = current_setting('doors.building', true));
CREATE POLICY resident ON residents TO resident
    USING (person = nullif(current_setting('doors.person', true), '')::integer);
CREATE POLICY manager ON visitors TO manager
    USING (EXISTS (SELECT FROM passages WHERE passages.visitor = visitors.visitor));
CREATE POLICY manager ON passages TO manager
    USING (building = current_setting('doors.building', true));
CREATE POLICY resident ON passages TO resident
    USING (person = nullif(current_setting('doors.person', true), '')::integer);
CREATE POLICY auditor ON passages TO auditor USING (true);
"""
"""Of each door log. A setting that was never made is NULL, and one that was undone is empty."""

ACCOUNTS = """\
CREATE TABLE accounts (
    account text PRIMARY KEY,
    password_hash text NOT NULL,
    role text NOT NULL,
    building text,
    person integer
);
GRANT SELECT ON accounts TO api;
"""
"""Of the database ``accounts``: who may log in to the service."""

PEOPLE = (
    {
        "account": "lobby-a02",
        "password": "seven quiet herons",
        "role": "manager",
        "building": "A02",
    },
    {"account": "flat-100", "password": "a kettle of maps", "role": "resident", "person": 100},
)
"""Who may log in to the service of the lesson; invented, and as public as this file."""

COST = 10
"""Of bcrypt, for the passwords of the accounts: some 50 ms for each try."""
_CLOSED = Path(__file__).with_name("tongren_api_backend")
_OFTEN = Path(__file__).with_name("tongren_often_backend") / "login.py"
_ADD = "INSERT INTO accounts VALUES (%(account)s, %(hash)s, %(role)s, %(building)s, %(person)s)"


def open_lab() -> PostgresLab:
    """Open the case with a locked database, and the service as it was found in front of it.

    Two files lie beside the service's own, and it does not use them yet: counts.py and login.py.

    Raises:
        DataError: the records are not there.
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_postgres.PostgresLab`.
    """
    records = read(tongren.RECORDS)

    def fill(connect: Connect) -> None:
        tongren.load(connect, records)
        prepare(connect, DATABASES, PEOPLE)

    counts = (_CLOSED / "counts.py").read_text("utf-8")
    beside = {"counts.py": counts, "login.py": often_login()}
    files = {**tongren.backend_as_found(), **beside}
    return PostgresLab("tongren_api", tongren.LOCKED, HBA, fill, files)


def prepare(
    connect: Connect,
    databases: Iterable[str],
    accounts: Iterable[Mapping[str, object]] = (),
    password: str | None = None,
) -> None:
    """Make the roles, the policies and the accounts of the service.

    Args:
        connect: connects to a database as the operator.
        databases: the door logs.
        accounts: who may log in to the service: account, password, role, building, person.
        password: with which ``api`` logs in to the database.
    """
    with connect("postgres") as operator:
        operator.execute(ROLES)
        operator.execute("CREATE DATABASE accounts")
        if password is not None:
            operator.execute(sql.SQL("ALTER ROLE api PASSWORD {}").format(sql.Literal(password)))
    for database in databases:
        with connect(database) as operator:
            operator.execute(POLICIES)
    with connect("accounts") as operator:
        operator.execute(ACCOUNTS)
        for entry in accounts:
            hashed = bcrypt.hashpw(str(entry["password"]).encode(), bcrypt.gensalt(COST))
            known = {"building": None, "person": None, **entry, "hash": hashed.decode()}
            operator.execute(_ADD, known)


def often_login() -> str:
    """The text of login.py as it is often written."""
    return _OFTEN.read_text("utf-8")


def closed_backend() -> dict[str, str]:
    """The service's code once it is closed: file name -> text."""
    closed = {path.name: path.read_text("utf-8") for path in sorted(_CLOSED.glob("*.py"))}
    return {**tongren.backend_as_found(), **closed}
