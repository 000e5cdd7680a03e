"""Checks of who gets in: pg_hba.conf in the order of its lines, and the addresses.

What a line says is proved where it can be: the audit comes as that client, says a wrong password,
and is let in or not.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from leftopen.audit.checks import check
from leftopen.audit.postgres import hba
from leftopen.audit.postgres.accounts import administrators, stored
from leftopen.audit.postgres.client import application
from leftopen.audit.postgres.look import WRONG, Door, PostgresLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt, beyond, once

_RIGHT = (
    "# pg_hba.conf, from the narrowest line to the widest; then: SELECT pg_reload_conf()\n"
    "local    all      postgres             peer\n"
    "hostssl  doors_1  door_service  all    scram-sha-256\n"
    "host     all      all           all    reject"
)
_LARGEST = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
    "AND n.nspname NOT LIKE 'pg_toast%' AND has_table_privilege(c.oid, 'SELECT') "
    "ORDER BY pg_relation_size(c.oid) DESC, 1, 2 LIMIT 5"
)


@dataclass(frozen=True)
class Entry:
    """A client that the audit was let in as, with a wrong password."""

    door: Door
    client: hba.Client

    @property
    def told(self) -> str:
        """What was tried, and what came back."""
        way = "inside TLS" if self.client.way == "tls" else "in clear"
        return (
            f"login as {self.client.role} to {self.client.database} with a wrong password, {way}, "
            f"at {self.door.label} → let in"
        )

    @property
    def by_hand(self) -> str:
        """The line that tries it again."""
        c = self.client
        if self.door.label.startswith("lab"):
            place = f'{self.door.label}.uri_as("{c.role}", "{WRONG}", "{c.database}")'
        else:
            place = f'"{self.door.label[1:-1]}/{c.database}?user={c.role}&password={WRONG}"'
        return f"psycopg.connect({place})"


class Entries:
    """The ways in that ask for nothing, tried once for all checks."""

    def __init__(self, look: PostgresLook) -> None:
        self.look = look

    @once
    def found(self) -> list[Entry]:
        """For each door, and each line that it leads to, the first client that was let in."""
        look, seen = self.look, []
        for door in look.doors:
            tried = set()
            for rule, client in self._candidates(door):
                if rule not in tried and look.ask(door, *_as(client)).let_in:
                    connection = look.log_in(door, *_as(client))
                    if connection is not None:
                        connection.close()
                        tried.add(rule)
                        seen.append(Entry(door, client))
                        if rule is None:
                            break
        return seen

    def _candidates(self, door: Door) -> Iterator[tuple[hba.Rule | None, hba.Client]]:
        """Whom to come as: those whom a trusting line fits, and where none is seen, the usual."""
        try:
            for reach in self.look.reaches:
                if reach.rule.method == hba.ASKS_NOTHING:
                    those = [c for c in reach.those(door.place) if c.database != "replication"]
                    favoured = [c for c in those if c.role == self.look.bootstrap]
                    yield from ((reach.rule, client) for client in [*favoured, *those][:2])
        except CouldNotLook:
            names = dict.fromkeys(["postgres", application(self.look) or "postgres"])
            database = self.look.target.database or "postgres"
            for name in names:
                for way in door.ways:
                    yield None, hba.Client(door.place, way, name, database)


def _as(client: hba.Client) -> tuple[str, str, str]:
    return client.way, client.role, client.database


def entries(look: PostgresLook) -> list[Entry]:
    """The ways in that ask for nothing."""
    if "entries" not in look.kept:
        look.kept["entries"] = Entries(look)
    return look.kept["entries"].found


def _lines(reaches: list[hba.Reach]) -> str:
    """Lines of pg_hba.conf, and for whom each is the first that fits."""
    return "; ".join(
        f"pg_hba.conf, line {r.rule.line} → {r.rule.text}, the first line for {_who(r)}"
        for r in reaches
    )


def _who(reach: hba.Reach) -> str:
    roles = sorted({client.role for client in reach.clients})
    named = ", ".join(roles) if len(roles) <= 3 else f"{len(roles)} accounts"
    return f"{named} from {reach.where}"


@check("no-login")
def no_login(look: PostgresLook) -> Iterator[Finding]:
    """Is anyone let in without a password?"""
    tried = entries(look)
    trusting: list[hba.Reach] = []
    with contextlib.suppress(CouldNotLook):
        trusting = [r for r in look.reaches if r.rule.method == hba.ASKS_NOTHING and r.clients]
    if tried or trusting:
        network = tried or any(reach.rule.kind != "local" for reach in trusting)
        yield Finding(
            "no-login",
            Severity.FIX if network else Severity.WARN,
            "The server lets clients in without a password."
            if network
            else "Every account of this machine may come as any of the server's.",
            "; ".join(filter(None, [*(entry.told for entry in tried), _lines(trusting)])),
            "trust believes whatever name a client gives, that of the superuser too. The first "
            "line that fits decides: a better one below it is never read.",
            "CWE-306",
            _RIGHT,
            f"{tried[0].by_hand}  # wanted: an error" if tried else _SHOW,
        )
    look.rules  # noqa: B018 - without it the tries above are of a few names only


_SHOW = "SELECT line_number, type, address, auth_method FROM pg_hba_file_rules"


@check("anonymous-read")
def anonymous_read(look: PostgresLook) -> Iterator[Finding]:
    """Are rows given to anyone?"""
    tried = entries(look)
    for entry in tried:
        if (found := _read(look, entry)) is not None:
            database, table, count = found
            yield Finding(
                "anonymous-read",
                Severity.FIX,
                "Anyone can read the rows.",
                f"SELECT from {table} in {database} as {entry.client.role}, with a wrong password, "
                f"at {entry.door.label} → a row, of {count:,}",
                "Who can read one row can copy them all. A copy cannot be called back.",
                "CWE-306",
                _RIGHT,
                f"{entry.by_hand}  # wanted: an error",
            )
            return
    if tried:
        raise NothingToLookAt("clients are let in, and there is no row that they could read")
    look.rules  # noqa: B018 - as above


def _read(look: PostgresLook, entry: Entry) -> tuple[str, str, int] | None:
    """Database, table and number of rows of the largest table that this client can read."""
    names = [entry.client.database]
    with contextlib.suppress(CouldNotLook):
        names = [*look.databases, *names]
    for database in dict.fromkeys(names):
        client = (entry.client.way, entry.client.role, database)
        connection = look.log_in(entry.door, *client)
        if connection is None:
            continue
        with connection, contextlib.suppress(psycopg.Error):
            for schema, name in connection.execute(_LARGEST).fetchall():
                table = psycopg.sql.Identifier(schema, name)
                query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(table)
                if count := connection.execute(query).fetchone()[0]:
                    return database, f"{schema}.{name}", count
    return None


@check("hba-password")
def hba_password(look: PostgresLook) -> Iterator[Finding]:
    """Does a line let clients send their password as it is?"""
    found = [r for r in look.reaches if r.rule.method in hba.SENT_IN_CLEAR and r.clients]
    if not found:
        return
    open_to_all = [r for r in found if r.those(hba.ANYWHERE, hba.NAMED, way="clear")]
    yield Finding(
        "hba-password",
        Severity.FIX if open_to_all else Severity.WARN,
        "Clients send their password as it is"
        + (", in plain text over a network." if open_to_all else "."),
        _lines(open_to_all or found),
        "SCRAM proves that a client knows the password and never sends it. With the method "
        "password the server, and whoever stands in its place or on the way, reads it.",
        "CWE-523",
        "# pg_hba.conf, in the place of this method:\nscram-sha-256",
        _SHOW,
    )


@check("hba-ident")
def hba_ident(look: PostgresLook) -> Iterator[Finding]:
    """Is a client on another machine believed to be whom that machine says it is?"""
    found = [
        r
        for r in look.reaches
        if r.rule.method == "ident" and r.rule.kind != "local" and r.those(hba.ANYWHERE, hba.NAMED)
    ]
    if found:
        yield Finding(
            "hba-ident",
            Severity.FIX,
            "The client's own machine says who the client is.",
            _lines(found),
            "With ident the server asks the machine at the other end for the name of the account. "
            "Whoever owns that machine, or its address, answers what they like (RFC 1413, "
            "section 6).",
            "CWE-290",
            "# pg_hba.conf, in the place of ident:\nscram-sha-256",
            _SHOW,
        )


_OWN_PASSWORDS = ("scram-sha-256", "md5", "password")
_GUESSABLE = (*_OWN_PASSWORDS, *hba.SENT_IN_CLEAR)


@check("hba-wide")
def hba_wide(look: PostgresLook) -> Iterator[Finding]:
    """May an administrator's password be tried from any address?"""
    ours, found = administrators(look), []
    bare: set[str] = set()  # without a password there is none to try
    with contextlib.suppress(CouldNotLook):
        bare = {name for name, kept in stored(look).items() if not kept}
    for reach in look.reaches:
        method = reach.rule.method
        those = {c.role for c in reach.those(hba.ANYWHERE)} & ours
        those -= bare if method in _OWN_PASSWORDS else set()
        needs_more = any(option.startswith("clientcert=verify") for option in reach.rule.options)
        if those and method in _GUESSABLE and not needs_more:
            found.append((reach, sorted(those)))
    if found:
        yield Finding(
            "hba-wide",
            Severity.WARN,
            "An administrator's password may be tried from any address.",
            "; ".join(
                f"pg_hba.conf, line {r.rule.line} → {r.rule.text}, the first line for "
                f"{', '.join(names)} from any address"
                for r, names in found
            ),
            "Anyone can go on guessing, and one weak or stolen password is the whole server. "
            "People who administer come from a few places.",
            "CWE-284",
            "# pg_hba.conf, above the wide line:\n"
            "hostssl  all  postgres  127.0.0.1/32  scram-sha-256\n"
            "host     all  postgres  all           reject",
            _SHOW,
        )


@check("hba-shadowed")
def hba_shadowed(look: PostgresLook) -> Iterator[Finding]:
    """Is there a line that no client ever reaches?"""
    found = []
    for number, rule in enumerate(look.rules):
        above = [r for r in look.rules[:number] if r.covers(rule) and r.method != rule.method]
        if above:
            found.append((rule, above[0]))
    if found:
        yield Finding(
            "hba-shadowed",
            Severity.NOTE,
            "Lines of pg_hba.conf are never reached.",
            "; ".join(
                f"line {rule.line} → {rule.text}, below line {first.line}, {first.text}"
                for rule, first in found
            ),
            "The first line that fits decides, and the search ends there, also where the client "
            "then fails. Somebody wrote these lines and believes that they hold.",
            "CWE-561",
            "# move the narrow line above the wide one, or take it out",
            _SHOW,
        )


@check("hba-unread")
def hba_unread(look: PostgresLook) -> Iterator[Finding]:
    """Is there a line that the server cannot read, so that older ones still hold?"""
    if look.unread:
        yield Finding(
            "hba-unread",
            Severity.WARN,
            "pg_hba.conf cannot be read, so what holds is what was there before.",
            "; ".join(f"line {line} → {why}" for line, why in look.unread),
            "A reload leaves the old lines in force and says so in the log alone; the next start "
            "fails.",
            "CWE-696",
            "# correct the line, then: SELECT pg_reload_conf()",
            "SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL",
        )


@check("bound-everywhere")
def bound_everywhere(look: PostgresLook) -> Iterator[Finding]:
    """Does the server listen beyond the addresses that are wanted?"""
    found = [a for a in beyond(look.listens_at) if a not in look.target.wanted]
    if not found:
        return
    yield Finding(
        "bound-everywhere",
        _how_bad(look),
        "The server listens on addresses beyond this machine.",
        f"listen_addresses → {','.join(look.listens_at)}",
        "Each address is a door. Behind one that nobody needs, a missing login, an old version "
        "or a weak password becomes a case.",
        "CWE-668",
        "# postgresql.conf, then a restart\nlisten_addresses = 'localhost'\n"
        "# or the one private address that applications come from",
        "lab.outside.is_open  # wanted: False"
        if look.lab
        else f"ss -ltn 'sport = :{look.target.port}'  # wanted: 127.0.0.1 alone",
    )


def _how_bad(look: PostgresLook) -> Severity:
    """Worst where someone from anywhere comes in easily; pg_hba.conf may still keep them out."""
    if any(entry.client.place == hba.ANYWHERE for entry in entries(look)):
        return Severity.FIX
    try:
        open_to_all = [r for r in look.reaches if r.those(hba.ANYWHERE)]
    except CouldNotLook:
        return Severity.WARN
    let_in = [r for r in open_to_all if r.rule.method != hba.REFUSES]
    in_clear = [r for r in let_in if r.those(hba.ANYWHERE, way="clear")]
    return Severity.WARN if in_clear or not open_to_all else Severity.NOTE
