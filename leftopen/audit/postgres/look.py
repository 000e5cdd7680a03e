"""What the checks of PostgreSQL look with: its doors, and an administrator's eye.

Everything is looked up once and kept, also the reason why it could not be. The administrator's
sessions are read-only, and find nothing by a search path that somebody else could have filled.
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from leftopen import loopback
from leftopen.audit import shared, wire
from leftopen.audit.postgres import hba, startup
from leftopen.audit.shared import CouldNotLook, Target, once
from leftopen.engines.postgres_server import DOOR_LINES
from leftopen.lab import Lab

NEEDS_LOGIN = "this needs the login of an administrator: give user and password"
WRONG = "not the password"
"""What is said where a password is not asked for."""
FIRST_ROLE = 16384
"""From this oid on roles are made by people (``FirstNormalObjectId`` in PostgreSQL's source)."""
_BOOTSTRAP = 10  # the oid of the account that initdb makes
_QUIET = "-c default_transaction_read_only=on -c search_path=pg_catalog -c statement_timeout=3000"


@dataclass(frozen=True)
class Door:
    """One address of the server, and what a client finds there.

    Attributes:
        label: the address, as a learner writes it.
        host, port: where it is.
        place: what clients who come this way are taken for; see ``hba.py``.
        tls: the TLS handshake, or ``None``.
    """

    label: str
    host: str
    port: int
    place: str
    tls: wire.Handshake | None

    @property
    def ways(self) -> tuple[str, ...]:
        """How it can be spoken to."""
        return ("clear", "tls") if self.tls else ("clear",)


@dataclass(frozen=True)
class Role:
    """An account: its attributes, and the groups that it can act as."""

    name: str
    oid: int
    superuser: bool
    creates_roles: bool
    creates_databases: bool
    logs_in: bool
    replicates: bool
    bypasses: bool
    groups: frozenset[str] = field(repr=False)


class PostgresLook:
    """One look at one server. Close it with :meth:`close`.

    Attributes:
        login_refused: in words, that the login of the target is refused; else empty.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lab: Lab | None = target.lab
        self.kept: dict[str, Any] = {}
        self.login_refused = ""
        self._connections: dict[str, psycopg.Connection] = {}
        self.log_end: int | None = None
        with contextlib.suppress(OSError):
            self.log_end = self.lab.log.stat().st_size if self.lab else None

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.close()

    # -- a stranger's side --------------------------------------------------------------------

    @once
    def doors(self) -> list[Door]:
        """The server's addresses: that of the Internet where it reaches, and this machine's."""
        if self.lab is not None and not self.lab.is_running:
            raise CouldNotLook(f"the server is not running. {self.lab.way_back}")
        seen = []
        if self.lab is not None and self.lab.outside.is_open:
            port = self.lab.outside.port
            seen.append(self._door("lab.outside", loopback.HERE, port, hba.ANYWHERE))
        label = "lab.inside" if self.lab else f'"{self.target.uri}"'
        seen.append(self._door(label, self.target.host, self.target.port, hba.HERE))
        return seen

    @property
    def inside(self) -> Door:
        """The server's address on this machine."""
        return self.doors[-1]

    def _door(self, label: str, host: str, port: int, place: str) -> Door:
        try:
            with wire.opened(host, port, None) as sock:
                said = startup.offer(sock)
        except OSError as error:
            raise CouldNotLook(f"no server answers at {label}: {error}") from None
        if said not in (b"S", b"N"):
            raise CouldNotLook(f"what answers at {label} is not PostgreSQL")
        tls = None
        if said == b"S":
            with contextlib.suppress(OSError):
                tls = wire.handshake(host, port, wire.careless(), startup.ask_for_tls)
        return Door(label, host, port, place, tls)

    def ask(self, door: Door, way: str, role: str, database: str) -> startup.Answer:
        """The server's first answer to a client at one of its doors.

        Raises:
            CouldNotLook: there is none.
        """
        try:
            return startup.begin(door.host, door.port, way == "tls", role, database)
        except OSError as error:
            raise CouldNotLook(f"the server does not answer at {door.label}: {error}") from None

    def log_in(self, door: Door, way: str, role: str, database: str) -> psycopg.Connection | None:
        """Log in with a wrong password; ``None`` where that is refused, as it should be."""
        try:
            return self._connect(
                host=door.host,
                port=door.port,
                user=role,
                password=WRONG,
                dbname=database,
                sslmode="require" if way == "tls" else "disable",
            )
        except psycopg.Error:
            return None

    @once
    def is_public(self) -> bool:
        """Whether a public authority made the server's certificate."""
        return shared.is_public(self.target)

    # -- an administrator's side --------------------------------------------------------------

    def _connect(self, **where: Any) -> psycopg.Connection:
        """A connection that takes nothing from the environment or from stored passwords."""
        if where.get("host") and not str(where["host"]).startswith("/"):
            where["host"] = loopback.addresses(where["host"])[0]
        given = {
            "application_name": wire.APP_NAME,
            "connect_timeout": int(wire.SECONDS),
            "gssencmode": "disable",
            "passfile": f"{os.sep}no-stored-passwords",
            "sslrootcert": "",
            "client_encoding": "UTF8",
            "options": _QUIET,
        }
        return psycopg.connect("", autocommit=True, **{**given, **where})

    def _as_administrator(self, database: str) -> psycopg.Connection:
        target = self.target
        if self.lab is not None and not target.user:
            return self._connect(**conninfo_to_dict(self.lab.inside.uri_of(database)))
        cert = {"sslcert": target.cert, "sslkey": target.key or target.cert} if target.cert else {}
        return self._connect(
            host=target.host,
            port=target.port,
            user=target.user or "postgres",
            password=target.password or WRONG,
            dbname=database,
            sslmode=self._sslmode(database),
            **cert,
        )

    def _sslmode(self, database: str) -> str:
        """TLS where this client is not turned away inside it; a password goes one way alone.

        Any certificate will do here: certificates are judged by checks of their own.

        Raises:
            CouldNotLook: without an account, when a password is asked for.
        """
        role = self.target.user or "postgres"
        answers = {way: self.ask(self.inside, way, role, database) for way in self.inside.ways}
        if not self.target.user:
            answers = {way: answer for way, answer in answers.items() if answer.let_in}
            if not answers:
                raise CouldNotLook(NEEDS_LOGIN)
        heard = [way for way, answer in answers.items() if answer.method]
        return "require" if "tls" in heard or (self.inside.tls and not heard) else "disable"

    @once
    def eye(self) -> psycopg.Connection:
        """The administrator's connection: in a lab the operator's, on an open server anyone's."""
        self.doors  # noqa: B018 - first: does it answer at all
        database = self.target.database or "postgres"
        try:
            connection = self._as_administrator(database)
        except psycopg.Error as error:
            why = _words(error)
            if not self.target.user:
                raise CouldNotLook(f"the operator is not let in: {why}") from None
            self.login_refused = f"the login of {self.target.user!r} is refused: {why}"
            raise CouldNotLook(self.login_refused) from None
        self._connections[database] = connection
        return connection

    def rows(self, query: Any, database: str = "", values: Iterable[Any] | None = None) -> list:
        """Ask as the administrator.

        Args:
            query: SQL that reads, as text or composed.
            database: in which database; in the first one unless told.
            values: what stands in the query's places.

        Raises:
            CouldNotLook: it is refused, or there is no answer.
        """
        connection = self.connection(database)
        try:
            return connection.execute(query, values).fetchall()
        except psycopg.errors.InsufficientPrivilege as error:
            raise CouldNotLook(f"the login {self.who!r} may not look: {_words(error)}") from None
        except psycopg.Error as error:
            raise CouldNotLook(f"the server does not tell: {_words(error)}") from None

    def connection(self, database: str) -> psycopg.Connection:
        """The administrator's connection to a database.

        Raises:
            CouldNotLook: there is none.
        """
        try:
            first = self.eye
            if database and database not in self._connections:
                self._connections[database] = self._as_administrator(database)
        except psycopg.Error as error:
            raise CouldNotLook(
                f"{self.who!r} is not let into {database}: {_words(error)}"
            ) from None
        return self._connections[database] if database else first

    @property
    def who(self) -> str:
        """The administrator's account."""
        return self.eye.info.user

    @once
    def program(self) -> tuple[str, str]:
        """The program, and its version, which it tells after a login."""
        told = self.eye.info.parameter_status("server_version") or ""
        return "PostgreSQL", told.partition(" ")[0]

    @once
    def major(self) -> int:
        """The first number of the version."""
        return self.eye.info.server_version // 10000

    @once
    def settings(self) -> dict[str, str]:
        """The settings in force. What the lab has put in place of a setting says nothing."""
        return dict(self.rows("SELECT name, setting FROM pg_settings"))

    def setting(self, name: str) -> str:
        """One setting in force.

        Raises:
            CouldNotLook: this login may not see it.
        """
        if name not in self.settings:
            raise CouldNotLook(f"the login {self.who!r} may not see {name}")
        return self.settings[name]

    @once
    def databases(self) -> list[str]:
        """The databases of applications."""
        found = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
        return [name for (name,) in self.rows(f"{found} ORDER BY datname")]

    @once
    def roles(self) -> dict[str, Role]:
        """The accounts and groups that people made, and the one that initdb made."""
        hops = " WHERE a.inherit_option OR a.set_option" if self.major >= 16 else ""
        found = self.rows(
            "WITH RECURSIVE hop AS (SELECT a.member, a.roleid FROM pg_auth_members a"
            f"{hops}), held AS (SELECT member, roleid FROM hop UNION SELECT held.member, "
            "hop.roleid FROM held JOIN hop ON hop.member = held.roleid) "
            "SELECT rolname, oid::int8, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, "
            "rolreplication, rolbypassrls, array(SELECT g.rolname::text FROM held JOIN pg_roles g "
            "ON g.oid = held.roleid WHERE held.member = r.oid ORDER BY 1) "
            "FROM pg_roles r ORDER BY rolname"
        )
        roles = [Role(*row[:8], frozenset(row[8])) for row in found]
        return {r.name: r for r in roles if r.oid >= FIRST_ROLE or r.oid == _BOOTSTRAP}

    @once
    def bootstrap(self) -> str:
        """The account that initdb made, postgres unless somebody renamed it."""
        return next((r.name for r in self.roles.values() if r.oid == _BOOTSTRAP), "postgres")

    # -- who is let in ------------------------------------------------------------------------

    @once
    def unread(self) -> list[tuple[int, str]]:
        """Lines of pg_hba.conf that the server cannot read, and why."""
        query = "SELECT line_number, error FROM pg_hba_file_rules WHERE type IS NULL"
        return [(line - self._door_lines, error) for line, error in self.rows(query)]

    @property
    def _door_lines(self) -> int:
        return DOOR_LINES if self.lab else 0

    @once
    def rules(self) -> list[hba.Rule]:
        """The lines of pg_hba.conf, without the lab's own."""
        found = self.rows(
            "SELECT line_number, type, database, user_name, coalesce(address, ''), "
            "coalesce(netmask, ''), auth_method, coalesce(options, '{}') FROM pg_hba_file_rules "
            "WHERE type IS NOT NULL ORDER BY line_number"
        )
        return [
            hba.Rule(line - self._door_lines, kind, tuple(d), tuple(u), *rest, tuple(options))
            for line, kind, d, u, *rest, options in found
            if line > self._door_lines
        ]

    @once
    def reaches(self) -> list[hba.Reach]:
        """For each line of pg_hba.conf the clients that it decides about."""
        logins = {role.name: role.groups for role in self.roles.values() if role.logs_in}
        copies = {n for n in logins if self.roles[n].replicates or self.roles[n].superuser}
        goals = {n: [*self.databases, *(["replication"] if n in copies else [])] for n in logins}
        tls = self.setting("ssl") == "on"
        return hba.reaches(self.rules, logins, goals, tls, self.lab is not None)

    @once
    def is_exposed(self) -> bool:
        """Whether the server listens beyond this machine."""
        if self.lab is not None:
            self.doors  # noqa: B018 - a server that does not answer listens nowhere
            return self.lab.outside.is_open
        return bool(shared.beyond(self.listens_at))

    @once
    def listens_at(self) -> list[str]:
        """The addresses at which the server listens; of a lab, those that it is asked for."""
        self.doors  # noqa: B018 - a server that does not answer listens nowhere
        query = "SELECT setting FROM pg_file_settings WHERE name = 'listen_addresses'"
        if self.lab is not None:
            told = [word for (word,) in self.rows(f"{query} ORDER BY seqno")]
            return _split(told[-1]) if told else ["localhost"]
        heard = shared.listening(self.target.port)
        if found := sorted({address.removeprefix("::ffff:") for address, _ in heard}):
            return found
        return _split(self.setting("listen_addresses"))

    # -- the log ------------------------------------------------------------------------------

    @once
    def log(self) -> str:
        """The server's log as it stood before this audit; its last five megabytes."""
        self.doors  # noqa: B018 - first: does it answer at all
        if self.lab is not None:
            return shared.end_of(self.lab.log, self.log_end)
        path = self.rows("SELECT pg_current_logfile(), current_setting('data_directory')")[0]
        if not path[0] or not (file := Path(path[1], path[0])).is_file():
            raise CouldNotLook("the log is not a file that can be seen from here")
        return shared.end_of(file, None)


def _split(addresses: str) -> list[str]:
    return [word.strip() for word in addresses.split(",") if word.strip()]


def _words(error: psycopg.Error) -> str:
    """What the server says, in one line, without the address that libpq puts before it."""
    if error.diag.message_primary:
        return error.diag.message_primary
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1].rpartition("FATAL:")[2].strip().rstrip(".")
