"""What strangers get of the two doors of exercise 03, whatever their address and their words.

One stranger is one address: whoever shuts that out alone has shut out nobody else. Addresses that
cannot come to loopback are judged by the server's own reading of its lines.
"""

import contextlib
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

import httpx
import psycopg

from leftopen import loopback
from leftopen.audit.postgres import hba
from leftopen.checks.case_tongren_doors_server import DATABASES, SERVERS
from leftopen.checks.elsewhere import COPIES, SECOND, another_stranger, let_in_from
from leftopen.checks.question import Attempt
from leftopen.checks.sql_probe import Who, operator
from leftopen.lab_postgres import PostgresLab

ROUTES = ("buildings", "residents", "visitors", "passages", "passages/stream")
_LABEL = "as a stranger"
_OTHER = "as a stranger from another address"
_CLAIMS = {
    "X-Forwarded-For": loopback.HERE,
    "X-Real-IP": loopback.HERE,
    "Forwarded": f"for={loopback.HERE}",  # RFC 7239, section 4
}


def routes_that_tell(lab: PostgresLab, headers: Mapping[str, str] | None = None) -> list[str]:
    """The routes by which the service gives records to a stranger.

    Args:
        lab: the server.
        headers: what the stranger says of itself.
    """
    if not lab.backend.is_running:
        return []
    told = []
    for route in ROUTES:
        path = f"{lab.backend.outside.uri}/servers/{SERVERS[0]}/{route}"
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream("GET", path, headers=headers, timeout=5, trust_env=False) as answer,
        ):
            stream = answer.headers.get("content-type", "").startswith("text/event-stream")
            if answer.status_code == 200 and (stream or answer.read() not in (b"[]", b"{}")):
                told.append(route)
    return told


def reads(at: Attempt, lab: PostgresLab, account: str, database: str) -> bool:
    """Whether a stranger with the name of an account reads a passage of a database."""
    with Who(at, _LABEL, lab, (account, ""), database, outside=True) as stranger:
        try:
            return bool(stranger.run("SELECT 1 FROM passages LIMIT 1"))
        except psycopg.Error:  # nothing answers, or it is no database any more
            return False


def superuser_logins(at: Attempt, lab: PostgresLab) -> list[tuple[str, str]]:
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


def _gets_in(at: Attempt, lab: PostgresLab, account: str, database: str, **more: str) -> bool:
    with Who(at, _LABEL, lab, (account, ""), database, outside=True, **more) as stranger:
        try:
            return stranger.why_not() is None
        except psycopg.Error:  # nothing answers
            return False


def what_else(at: Attempt, lab: PostgresLab, accounts: Collection[str]) -> str | None:
    """What strangers get who are not the first one; noted.

    Args:
        at: where the evidence goes.
        lab: the server, of which a stranger who just comes gets nothing.
        accounts: the names that strangers take.

    Returns:
        The name of the near miss, or ``None`` where they get nothing either.
    """
    gets = {
        "one_address_refused": _from_another_address(at, lab, accounts),
        "headers_believed": _with_the_desks_words(at, lab),
        "copied": _copies(at, lab),
        "line_left": _from_afar(at, lab),
    }
    return next((name for name, found in gets.items() if found), None)


def _from_another_address(at: Attempt, lab: PostgresLab, accounts: Collection[str]) -> bool:
    with another_stranger(lab.outside, lab.backend.outside):
        told = routes_that_tell(lab)
        read = [f"{name} as {who}" for who in accounts for name in DATABASES
                if reads(at, lab, who, name)]  # fmt: skip
        read += [f"{name} as {who}" for who, name in superuser_logins(at, lab)]
    at.note(_OTHER, "ask the service for records", ", ".join(told) or "refused")
    at.note(_OTHER, "log in to each database", f"accepted: {read[0]}" if read else "refused")
    how = ["gets records from the service"] * bool(told) + [f"enters {one}" for one in read[:1]]
    at.values.update(address=SECOND, how=" and ".join(how))
    return bool(how)


def _with_the_desks_words(at: Attempt, lab: PostgresLab) -> bool:
    """Whether the service believes a stranger who writes what the desk would write."""
    host = {"Host": urlsplit(lab.backend.uri).netloc}
    found: list[str] = []
    for headers in (host, _CLAIMS, host | _CLAIMS):
        if found := routes_that_tell(lab, headers):
            at.values.update(headers=", ".join(headers), given=", ".join(found))
            break
    what = "ask for records, with the desk's address in the headers"
    at.note(_LABEL, what, ", ".join(found) or "refused")
    return bool(found)


def _copies(at: Attempt, lab: PostgresLab) -> bool:
    """Whether a stranger may copy the whole server; ``all`` in a line is not for that."""
    asked = "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolreplication) AND rolcanlogin"
    with operator(lab) as connection:
        names = sorted(name for (name,) in connection.execute(asked))
    found = [name for name in names if _gets_in(at, lab, name, DATABASES[0], replication="true")]
    with another_stranger(lab.outside, lab.backend.outside):
        found += [n for n in names if _gets_in(at, lab, n, DATABASES[0], replication="true")]
    at.note(_LABEL, "copy the whole server", f"accepted as {found[0]}" if found else "refused")
    at.values.update(who=" and ".join(dict.fromkeys(found)))
    return bool(found)


def _from_afar(at: Attempt, lab: PostgresLab) -> bool:
    found = let_in_from(lab, hba.ANYWHERE, hba.NAMED) if lab.is_exposed else None
    label = "as the server reads its lines"
    if found is None:
        at.note(label, "let in other addresses without a password", "no line")
        return False
    rule, client = found
    what = "copies of the whole server" if client.database == COPIES else client.database
    at.note(label, "let in other addresses without a password", rule.text)
    at.values.update(number=rule.line, written=rule.text)
    at.values.update(what=f"{client.role} from {client.place} to {what}")
    return True
