"""Trying, as one account, what it may do on PostgreSQL. Nothing is stored by any of it.

Each thing is tried in a transaction that is rolled back. PostgreSQL looks at privileges before it
looks for rows, so a statement that can touch no row shows the same as one that does. Refused are
SQLSTATE 42501 and class 28 (PostgreSQL manual, "Error Codes"); a value or a constraint that is
broken (22, 23) is found out after the privileges.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from leftopen import loopback
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt
from leftopen.lab_postgres import PostgresLab
from leftopen.proof import sql_refused, sql_words

DATABASE = "doors_1"
LEAST_LIBPQ = 160000
"""The first whose clients can insist on a mechanism (``require_auth``)."""
SELECT, INSERT, UPDATE, DELETE, TRUNCATE, OWN = (
    "select", "insert", "update", "delete", "truncate", "own",
)  # fmt: skip
READS_FILES = "read a file of the server"
WRITES_FILES = "write a file of the server"
RUNS_PROGRAMS = "run a program on the server"
MAKES_ROLES = "create a role"
READS_PASSWORDS = "read the stored passwords"
MAKES_TABLES = "create a table"
MAKES_SCHEMAS = "create a schema"
ATTRIBUTES = {"createdb": "the attribute CREATEDB", "bypassrls": "the attribute BYPASSRLS"}
ATTRIBUTES |= {"replication": "the attribute REPLICATION"}
SERVER_WIDE = {READS_FILES, WRITES_FILES, RUNS_PROGRAMS, MAKES_ROLES, READS_PASSWORDS}
SERVER_WIDE |= set(ATTRIBUTES.values())

_BEYOND = {
    READS_FILES: "SELECT pg_read_file('PG_VERSION')",
    # A path must be absolute; that is found out after the rights (42602).
    WRITES_FILES: "COPY (SELECT 1) TO 'left_open_tries_this'",
    RUNS_PROGRAMS: "COPY (SELECT 1 WHERE false) TO PROGRAM 'exit 0'",
    MAKES_ROLES: "CREATE ROLE left_open_tries_this",
    READS_PASSWORDS: "SELECT rolpassword FROM pg_catalog.pg_authid LIMIT 0",
    MAKES_TABLES: "CREATE TABLE public.left_open_tries_this ()",
    MAKES_SCHEMAS: "CREATE SCHEMA left_open_tries_this",
}
_ALSO = ("grant", "references", "trigger")
"""What else there is, as the server tells it: to give rights on, foreign keys, triggers."""

_COPIES_A_FILE = (
    "CREATE TEMPORARY TABLE left_open_tries_this (line text); "
    "COPY left_open_tries_this FROM 'PG_VERSION'"
)
_TOLD = """
SELECT has_any_column_privilege(oid, 'SELECT WITH GRANT OPTION, INSERT WITH GRANT OPTION, '
           'UPDATE WITH GRANT OPTION, REFERENCES WITH GRANT OPTION')
           OR has_table_privilege(oid, 'DELETE WITH GRANT OPTION'),
       has_any_column_privilege(oid, 'REFERENCES'), has_table_privilege(oid, 'TRIGGER')
FROM pg_class WHERE oid = {}::regclass
"""
_AFTER_THE_CHECK = ("22", "23", "42602")
_BOUNDS = "-c statement_timeout=8000 -c lock_timeout=3000"  # milliseconds
# Given here, no variable of the environment (PGSSLMODE, PGPASSFILE…) changes a connection.
_EXPLICIT = {
    "connect_timeout": 4,
    "application_name": "check",
    "client_encoding": "UTF8",
    "gssencmode": "disable",
    "passfile": f"{os.sep}no-stored-passwords",
    "options": _BOUNDS,
}


def _connect(sslmode: str = "prefer", sslrootcert: str = "", **where: Any) -> psycopg.Connection:
    given = {**_EXPLICIT, "sslmode": sslmode, "sslrootcert": sslrootcert, **where}
    return psycopg.connect("", autocommit=True, **given)


@contextmanager
def operator(lab: PostgresLab, database: str = DATABASE) -> Iterator[psycopg.Connection]:
    """A connection of the operator's, to look at what an account cannot show.

    Args:
        lab: the server.
        database: which database.

    Raises:
        BadAnswer: a transaction of the learner's is open, so that what it changed is not there
            for anybody else; or the superuser's role was broken, or a table of the case is gone.
    """
    try:
        connection = _connect(**conninfo_to_dict(lab.inside.uri_of(database)))
    except psycopg.OperationalError as error:
        raise BadAnswer(
            f"The operator is not let in any more: {sql_words(error)}. Open the question's lab "
            "again, and leave the role postgres as it is"
        ) from None
    with connection:
        _refuse_open_transactions(connection)
        if database == DATABASE:
            _refuse_lost_tables(connection)
        yield connection


def _refuse_open_transactions(connection: psycopg.Connection) -> None:
    """Without this a learner who forgot to commit would be told of missing grants."""
    pending = connection.execute(
        "SELECT 1 FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() "
        "AND state LIKE 'idle in transaction%'"
    ).fetchone()
    if pending:
        raise BadAnswer(
            "A connection of this notebook has a transaction open, and nobody else sees what it "
            "changed. End it with connection.commit(), or connect with autocommit=True"
        )


def _refuse_lost_tables(connection: psycopg.Connection) -> None:
    lost = connection.execute(
        "SELECT name FROM unnest(ARRAY['buildings', 'residents', 'visitors', 'passages']) name "
        "WHERE to_regclass('public.' || name) IS NULL"
    ).fetchall()
    if lost:
        raise BadAnswer(
            f"The table {lost[0][0]} is gone, and the check needs it. Begin the question again: "
            "run its cell with ex.lab, and your own commands after it"
        )


class Who(AbstractContextManager):
    """One account at one side of a lab, and what it may do.

    Args:
        at: where the evidence goes.
        label: who it is, as ``"as the door service"``.
        lab: the server.
        account: its role and its password; a stranger has the name of the superuser, and none.
        database: which database.
        outside: whether it comes through the relay.
        sslmode: libpq's parameter, as ``"disable"`` for a client without TLS. Where it verifies,
            it trusts the lab's own CA.
        more: further parameters of libpq.
    """

    def __init__(
        self,
        at: Attempt,
        label: str,
        lab: PostgresLab,
        account: tuple[str, str] = ("postgres", ""),
        database: str = DATABASE,
        outside: bool = False,
        sslmode: str = "prefer",
        **more: str,
    ) -> None:
        self.at, self.label = at, label
        side = lab.outside if outside else lab.inside
        self._where = {
            "host": loopback.HERE,
            "hostaddr": loopback.HERE,
            "port": side.port,
            "user": account[0],
            "password": account[1],
            "dbname": database,
            "sslmode": sslmode,
            **more,
        }
        if sslmode.startswith("verify"):
            self._where.setdefault("sslrootcert", str(lab.certificates.ca))
        self._connection: psycopg.Connection | None = None

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- the login ----------------------------------------------------------------------------

    @property
    def connection(self) -> psycopg.Connection:
        """The connection, made at its first use; each statement holds at once.

        Raises:
            psycopg.OperationalError: no login, or no server.
        """
        if self._connection is None:
            self._connection = _connect(**self._where)
        return self._connection

    def why_not(self) -> str | None:
        """Why the login is refused, in PostgreSQL's words; ``None`` when it is accepted.

        Raises:
            psycopg.OperationalError: the server did not answer, or the client does not trust it.
        """
        try:
            _ = self.connection
        except psycopg.OperationalError as error:
            if not sql_refused(error):
                raise
            return sql_words(error)
        return None

    def logs_in(self, noted: bool = True) -> bool:
        """Whether the login is accepted; a refusal is always noted."""
        accepted = self.why_not() is None
        if noted or not accepted:
            self.at.note(self.label, "log in", "accepted" if accepted else "refused")
        return accepted

    # -- one thing ----------------------------------------------------------------------------

    def run(self, statement: str | sql.Composable, values: Sequence | None = None) -> list | None:
        """Run a statement, take all of it back, and return its rows; ``None`` if it is refused.

        A constraint that is broken counts as allowed, with no rows: rights are looked at before.

        Args:
            statement: the statement, or several, without values; then the rows are the last one's.
            values: what its placeholders stand for.

        Raises:
            psycopg.Error: it failed for another reason.
            BadAnswer: it had to wait for a lock, or for its answer, for too long.
        """
        done = self._do(statement, values)
        return None if done is None else done[0]

    def changes(self, statement: str | sql.Composable) -> int:
        """How many rows a statement would change; all of it is taken back. Raises as :meth:`run`.

        Returns:
            Their number; 0 when the statement is refused.
        """
        done = self._do(statement, None)
        return done[1] if done else 0

    def _do(self, statement: str | sql.Composable, values: Sequence | None) -> tuple | None:
        rows: list = []
        try:
            with self.connection.transaction(force_rollback=True):
                cursor = self.connection.execute(statement, values)
                while True:
                    rows = cursor.fetchall() if cursor.description else rows
                    if not cursor.nextset():
                        return rows, max(cursor.rowcount, 0)
        except psycopg.errors.LockNotAvailable:
            raise BadAnswer(
                "A connection of this notebook holds a lock, because its transaction is open. End "
                "it with connection.commit() or connection.rollback()"
            ) from None
        except psycopg.errors.QueryCanceled:
            raise BadAnswer(
                "A statement did not end within 8 s. Does a policy ask itself?"
            ) from None
        except psycopg.Error as error:
            if sql_refused(error):
                return None
            if (error.sqlstate or "").startswith(_AFTER_THE_CHECK):
                return [], 0
            raise

    def allows(self, statement: str | sql.Composable, values: Sequence | None = None) -> bool:
        """Whether a statement is let through, whatever else comes of it."""
        return self.run(statement, values) is not None

    def can(
        self, what: str, statement: str | sql.Composable, values: Sequence | None = None
    ) -> bool:
        """Try a statement; note it, and return whether it is let through."""
        allowed = self.allows(statement, values)
        self.at.note(self.label, what, "accepted" if allowed else "refused")
        return allowed

    # -- everything ---------------------------------------------------------------------------

    def rights(self, tables: Mapping[str, Sequence[str]], beyond: bool = True) -> frozenset[str]:
        """Try everything in some tables, note it, and return what is allowed.

        Args:
            tables: table (``"passages"`` or ``"schema.passages"``) -> the columns that are tried
                one by one.
            beyond: whether to try what concerns no table, too: the keys of ``SERVER_WIDE`` and
                ``MAKES_TABLES``.

        Returns:
            What is allowed, as ``{"select passages.at", "insert passages.at", "update
            passages.at", "delete passages", "truncate passages", "own passages"}`` and the words
            of ``SERVER_WIDE``. ``own`` is what the owner alone may: to change the table itself;
            ``grant``, ``references`` and ``trigger`` are what the server tells of the rest.
        """
        can: set[str] = set()
        for table, columns in tables.items():
            answers = {
                f"{ability} {name}": self.allows(statement)
                for ability, name, statement in _tries(table, columns)
            }
            (told,) = self.run(sql.SQL(_TOLD).format(_name(table).as_string())) or [(False,) * 3]
            answers |= {f"{what} {table}": yes for what, yes in zip(_ALSO, told, strict=True)}
            self._note_table(table, columns, answers)
            can |= {what for what, allowed in answers.items() if allowed}
        if beyond:
            answers = {what: self.allows(statement) for what, statement in _BEYOND.items()}
            answers[READS_FILES] |= self.allows(_COPIES_A_FILE)
            answers |= {what: True for what, has in self._attributes().items() if has}
            for schema in {table.split(".")[0] for table in tables if "." in table}:
                make = sql.SQL("CREATE TABLE {} ()").format(
                    sql.Identifier(schema, "left_open_tries_this")
                )
                answers[f"{MAKES_TABLES} in {schema}"] = self.allows(make)
            self._note_all("", answers)
            can |= {what for what, allowed in answers.items() if allowed}
        return frozenset(can)

    def rights_in_any_role(self, tables: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """As :meth:`rights`, together with what it may after SET ROLE, in each role it can take."""
        can = self.rights(tables)
        if can & SERVER_WIDE:
            return can
        for role in self.roles():
            can |= {f"member of {role}"} if role.startswith("pg_") else set()
            take = sql.SQL("SET ROLE {}").format(sql.Identifier(role))
            if self.allows(take):
                label, self.label = self.label, f"{self.label}, after SET ROLE {role}"
                self.connection.execute(take)
                can |= self.rights(tables)
                self.connection.execute("RESET ROLE")
                self.label = label
        return can

    def _attributes(self) -> dict[str, bool]:
        """What no statement can try without being done: the role's own attributes."""
        columns = sql.SQL(", ").join(sql.Identifier(f"rol{name}") for name in ATTRIBUTES)
        ask = sql.SQL("SELECT {} FROM pg_roles WHERE rolname = current_user").format(columns)
        return dict(zip(ATTRIBUTES.values(), self.run(ask)[0], strict=True))

    def roles(self) -> list[str]:
        """The roles of which it is a member, directly or not."""
        members = (
            "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER') "
            "AND rolname <> current_user ORDER BY rolname"
        )
        return [name for (name,) in self.run(members) or []]

    def _note_table(self, table: str, columns: Sequence[str], answers: dict[str, bool]) -> None:
        short: dict[str, bool] = {}
        for ability in (SELECT, INSERT, UPDATE):
            found = [name for name in columns if answers[f"{ability} {table}.{name}"]]
            if found and len(found) < len(columns):
                short[f"{ability} ({', '.join(found)})"] = True
            else:
                short[ability] = bool(found)
        short |= {ability: answers[f"{ability} {table}"] for ability in (DELETE, TRUNCATE, OWN)}
        short |= {ability: True for ability in _ALSO if answers[f"{ability} {table}"]}
        self._note_all(f"{table}: ", short)

    def _note_all(self, where: str, answers: dict[str, bool]) -> None:
        for words, wanted in (("accepted", True), ("refused", False)):
            if found := [what for what, allowed in answers.items() if allowed is wanted]:
                self.at.note(self.label, where + ", ".join(found), words)


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*(table.split(".") if "." in table else ("public", table)))


def _tries(table: str, columns: Iterable[str]) -> Iterator[tuple[str, str, sql.Composed]]:
    """What is tried in a table: the ability, what it is about, the statement."""
    name = _name(table)
    for column in columns:
        each = {"t": name, "c": sql.Identifier(column)}
        whole = f"{table}.{column}"
        yield SELECT, whole, sql.SQL("SELECT {c} FROM {t} LIMIT 0").format(**each)
        yield INSERT, whole, sql.SQL("INSERT INTO {t} ({c}) SELECT NULL WHERE false").format(**each)
        yield UPDATE, whole, sql.SQL("UPDATE {t} SET {c} = DEFAULT WHERE false").format(**each)
    yield DELETE, table, sql.SQL("DELETE FROM {} WHERE false").format(name)
    yield TRUNCATE, table, sql.SQL("TRUNCATE {}").format(name)
    yield OWN, table, sql.SQL("COMMENT ON TABLE {} IS NULL").format(name)


def words(abilities: Iterable[str]) -> str:
    """Abilities as a part of a sentence, in a fixed order, and not more than four of them."""
    rest = sorted(abilities)
    return ", ".join(rest[:4]) + (f" and {len(rest) - 4} more" if len(rest) > 4 else "")
