"""Exercise 15, question 4: whether anybody comes in without a password, or with a first guess.

Each account that may log in is tried from both sides and by the socket, with TLS and without, in
each database; and as a replica, which gets every file (PostgreSQL manual, "The pg_hba.conf File":
the word ``all`` does not match ``replication``, so it has lines of its own).
"""

import os

from leftopen.checks.question import RIGHT, Attempt
from leftopen.checks.sql_probe import Who, operator
from leftopen.lab_postgres import PostgresLab

_ACCOUNTS = """
SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY rolname <> 'postgres', rolname
"""
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname"
_REPLICA = "as a replica"
_GUESSES = ("postgres", "password", "admin", "123456", "come back")  # the last is the stranger's
_SIDES = ((True, "from outside"), (False, "from this machine"))


def closed(at: Attempt, lab: PostgresLab) -> str:
    """Whether the stranger would come in once more: the name of the fault, or ``RIGHT``."""
    with operator(lab, "postgres") as connection:
        accounts = [name for (name,) in connection.execute(_ACCOUNTS)]
        databases = [name for (name,) in connection.execute(_DATABASES)]
    for outside, where in _SIDES:
        if outside and not lab.outside.is_open:
            at.note("as the stranger", "connect from outside", "no answer")
            continue
        for account in accounts:
            way = _way_in(lab, account, outside, databases)
            what = f"log in {where} as {account}, without a password"
            at.note("as the stranger", f"{what}: {way}" if way else what, _told(way))
            if way:
                at.values.update(name=account, where=f"{where}, {way},")
                return "door_open"
    return _guessed(at, lab)


def _told(way: object) -> str:
    return "accepted" if way else "refused"


def _way_in(lab: PostgresLab, account: str, outside: bool, databases: list[str]) -> str | None:
    """By which way an account comes in without a password; ``None`` if by none."""
    # The operator's own line for postgres is the lab's, not the learner's.
    sockets = [{}] if outside or os.name != "posix" or account == "postgres" else [{}, _by(lab)]
    for more in sockets:
        for sslmode in ("prefer", "disable"):
            for database in (*databases, _REPLICA):
                if _comes_in(lab, account, outside, database, sslmode, more):
                    return database if database == _REPLICA else f"to the database {database}"
    return None


def _by(lab: PostgresLab) -> dict[str, str]:
    return {"host": str(lab.inside.folder), "hostaddr": ""}


def _comes_in(
    lab: PostgresLab,
    account: str,
    outside: bool,
    database: str,
    sslmode: str,
    more: dict[str, str],
    password: str = "",
) -> bool:
    if database == _REPLICA:
        more, database = {**more, "replication": "true"}, "postgres"
    nobody = Attempt({})
    login = (account, password)
    with Who(nobody, "", lab, login, database, outside, sslmode, **more) as who:
        return who.why_not() is None


def _guessed(at: Attempt, lab: PostgresLab) -> str:
    """Whether the superuser has one of the passwords with which every list begins."""
    for outside, where in _SIDES:
        if outside and not lab.outside.is_open:
            continue
        for guess in _GUESSES:
            if _comes_in(lab, "postgres", outside, "postgres", "prefer", {}, guess):
                at.note("as the stranger", f"guess the password of postgres {where}", "accepted")
                at.values.update(guess=guess, where=where)
                return "guessed"
    at.note("as the stranger", f"guess the password of postgres, {len(_GUESSES)} times", "refused")
    return RIGHT
