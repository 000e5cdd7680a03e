"""Exercise 14, question 5: a database with pseudonyms, and what a rotation makes of it.

A fault is planted in the connection, not in the database, so that no statement takes it away:
SQLite asks before each statement which tables it changes (an *authorizer*).
"""

import contextlib
import os
import secrets
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leftopen.synth.pseudonymised import fill, numbers, pseudonym, registered

Rows = dict[str, dict[int, str]]
_CHANGES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE,
            sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_DROP_TABLE}  # fmt: skip
_SETTINGS = ("isolation_level", "row_factory", "text_factory", "autocommit")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT
_NEW_NAME = {"os.rename", "os.link"}


@dataclass
class Fault:
    """What happens where a statement changes a table.

    Args:
        table: its name, in whichever database of the connection.
        interrupt: whether the statement is done and then somebody stops the program, once; or
            it fails each time, as on a full disk.
    """

    table: str
    interrupt: bool = False
    met: bool = False
    _asked: bool = False

    def asks(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        """What SQLite asks before a statement: whether it may."""
        table = second if action == sqlite3.SQLITE_ALTER_TABLE else first
        known = action in _CHANGES or action == sqlite3.SQLITE_ALTER_TABLE
        if not known or (table or "").lower() != self.table.lower():
            return sqlite3.SQLITE_OK
        self._asked = True
        return sqlite3.SQLITE_OK if self.interrupt else sqlite3.SQLITE_DENY

    def run(self, statement: Callable[[], object]) -> object:
        """Run a statement, or what comes of it with this fault."""
        self._asked = False
        try:
            done = statement()
        except sqlite3.DatabaseError:
            if not self._asked or self.interrupt:
                raise
            self.met = True
            raise sqlite3.OperationalError("database or disk is full") from None
        if self._asked and not self.met:
            self.met = True
            raise KeyboardInterrupt
        return done


class _Cursor(sqlite3.Cursor):
    def execute(self, *given: object) -> object:
        return self.connection.fault.run(lambda: super(_Cursor, self).execute(*given))

    def executemany(self, *given: object) -> object:
        return self.connection.fault.run(lambda: super(_Cursor, self).executemany(*given))

    def executescript(self, *given: object) -> object:
        return self.connection.fault.run(lambda: super(_Cursor, self).executescript(*given))


class _Connection(sqlite3.Connection):
    fault: Fault

    def cursor(self, factory: type = _Cursor) -> sqlite3.Cursor:
        return super().cursor(factory)

    def execute(self, *given: object) -> object:
        return self.cursor().execute(*given)

    def executemany(self, *given: object) -> object:
        return self.cursor().executemany(*given)

    def executescript(self, *given: object) -> object:
        return self.cursor().executescript(*given)


@contextlib.contextmanager
def _everywhere(fault: Fault) -> Iterator[None]:
    """All connections that are opened meanwhile have the fault."""
    real = sqlite3.connect

    def connect(*given: object, **named: object) -> sqlite3.Connection:
        db = real(*given, **{"factory": _Connection, **named})
        if isinstance(db, _Connection):
            db.fault = fault
            db.set_authorizer(fault.asks)
        return db

    sqlite3.connect = connect
    try:
        yield
    finally:
        sqlite3.connect = real


@dataclass
class After:
    """How a call ended, seen while the connection was still open.

    Attributes:
        raised: the name of the error that came, or nothing.
        inside: what the connection itself read; ``None`` if it was closed.
        file: what another reader found in the file, before anybody committed.
        changed: what of the connection is not as it was, as words; or nothing.
        temporary: the names of temporary tables that it has.
        old_in_bytes: whether an old pseudonym is in the bytes of the file.
        beside: files with something in them that lie beside it.
        met: whether the planted fault was met.
    """

    raised: str = ""
    inside: Rows | None = None
    file: Rows | None = None
    changed: str = ""
    temporary: Sequence[str] = ()
    old_in_bytes: bool = False
    beside: Sequence[str] = ()
    met: bool = False


class Case:
    """One database in a folder of its own, what it must become, and what it became."""

    def __init__(self, columns: Sequence[str], district: int, folder: str, name: str) -> None:
        self.columns = columns
        self.people = numbers(district)
        self.staying = registered(self.people)
        self.old, self.new = secrets.token_bytes(32), secrets.token_bytes(32)
        self.path = Path(folder) / name / "research.sqlite3"
        self.path.parent.mkdir()
        fill(self.columns, self.people, self.old, self.path).close()
        self.old_of = {pseudonym(self.old, n): n for n in self.people}
        self.new_of = {pseudonym(self.new, n): n for n in self.staying}
        self.before = self.read()
        self.tables_before = self.tables()
        self.shape_before = self.shape()

    def file(self) -> sqlite3.Connection:
        """A connection to it, in which deleted rows stay in the file."""
        db = sqlite3.connect(self.path, timeout=1.0)
        db.execute("PRAGMA secure_delete = OFF")
        return db

    def read(self, db: sqlite3.Connection | None = None) -> Rows:
        """For each column the pseudonym in each row, by the row's id."""
        own = db or self.file()
        try:
            found = {}
            for table, name in (column.split(".") for column in self.columns):
                cursor = sqlite3.Cursor(own)
                cursor.row_factory = None
                rows = cursor.execute(f"SELECT id, {name} FROM {table}").fetchall()
                found[f"{table}.{name}"] = dict(rows)
            return found
        finally:
            if db is None:
                own.close()

    def tables(self) -> dict[str, list[dict[str, object]]]:
        """All rows of all tables, but for what SQLite keeps for itself."""
        with contextlib.closing(self.file()) as db:
            names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            found = {}
            for (name,) in names:
                rows = db.execute(f'SELECT * FROM "{name}"')
                columns = [column[0] for column in rows.description]
                found[name] = [dict(zip(columns, row, strict=True)) for row in rows]
        return {name: rows for name, rows in found.items() if not name.startswith("sqlite_")}

    def shape(self) -> dict[str, list[tuple[str, str, int]]]:
        """For each table the name, type and primary key of its columns.

        Views hold nothing, and are left out; so is what SQLite keeps for itself.
        """
        with contextlib.closing(self.file()) as db:
            kinds = "SELECT name FROM sqlite_master WHERE type = 'table'"
            return {
                name: [(c[1], c[2].upper(), c[5])
                       for c in db.execute(f'PRAGMA table_info("{name}")')]
                for (name,) in db.execute(kinds).fetchall()
                if not name.startswith("sqlite_")
            }  # fmt: skip

    def dump(self) -> str:
        """The database as SQL."""
        with contextlib.closing(self.file()) as db:
            return "\n".join(db.iterdump())

    def wanted(self) -> Rows:
        """As it has to be: the new pseudonyms, without the rows of those who have left."""
        return {
            column: {
                row: pseudonym(self.new, self.old_of[value])
                for row, value in rows.items()
                if self.old_of[value] in self.staying
            }
            for column, rows in self.before.items()
        }

    def holds_old(self, raw: bytes) -> bool:
        """Whether bytes hold an old pseudonym, as text or as the bytes that it stands for."""
        return any(v.encode() in raw or bytes.fromhex(v) in raw for v in self.old_of)

    def rotate(self, function: Callable) -> After:
        """Call the learner's function where nothing fails; what it raises is not caught."""
        with contextlib.closing(self.file()) as db:
            settings = _settings(db)
            function(db, list(self.staying), self.old, self.new)
            return self._seen(db, settings, After())

    def fail(self, function: Callable, fault: Fault) -> After:
        """Call it with a fault; whoever called goes on, and commits on the same connection."""
        with _everywhere(fault), contextlib.closing(self.file()) as db:
            after = self._call(function, db)
            after.met = fault.met
        return after

    def without_vacuum(self, function: Callable) -> After:
        """Call it where a statement that has not ended makes VACUUM fail, and nothing else."""
        with contextlib.closing(self.file()) as db:
            held = db.execute("VALUES (1), (2)")
            next(held)
            try:
                return self._call(function, db)
            finally:
                with contextlib.suppress(sqlite3.Error):
                    held.close()

    def _call(self, function: Callable, db: sqlite3.Connection) -> After:
        after, settings = After(), _settings(db)
        try:
            function(db, list(self.staying), self.old, self.new)
        except (Exception, KeyboardInterrupt) as error:  # the failure is ours
            after.raised = type(error).__name__
        if not is_closed(db):
            db.set_authorizer(None)
        with contextlib.suppress(sqlite3.OperationalError):  # locked: then it is not known
            after.file = self.read()
        if not is_closed(db):
            db.commit()
        return self._seen(db, settings, after)

    def _seen(self, db: sqlite3.Connection, settings: dict, after: After) -> After:
        after.old_in_bytes = self.holds_old(self.path.read_bytes())
        beside = [file for file in sorted(self.path.parent.iterdir()) if file != self.path]
        after.beside = [file.name for file in beside if file.is_dir() or file.stat().st_size]
        if is_closed(db):
            after.changed = "it is closed"
            return after
        now = _settings(db)
        changed = [name for name, value in settings.items() if now[name] != value]
        after.changed = f"`{changed[0]}` is another one" if changed else ""
        after.inside = self.read(db)
        cursor = sqlite3.Cursor(db)
        cursor.row_factory = None
        rows = cursor.execute("SELECT name FROM sqlite_temp_master WHERE type = 'table'")
        after.temporary = sorted(str(row[0]) for row in rows)
        return after

    def copies(self, function: Callable) -> list[str]:
        """Files elsewhere that are opened or named by it and hold old pseudonyms afterwards.

        For a copy of this process alone: what looks on there cannot be taken off again.
        """
        places: list[object] = []

        def hears(event: str, given: tuple) -> None:
            if (event == "open" and (given[2] or 0) & _WRITES) or event == "sqlite3.connect":
                places.append(given[0])
            elif event in _NEW_NAME:
                places.append(given[1])

        def asks(action: int, first: str | None, *_: object) -> int:
            if action == sqlite3.SQLITE_ATTACH:
                places.append(first)
            return sqlite3.SQLITE_OK

        db = self.file()
        db.set_authorizer(asks)
        sys.addaudithook(hears)
        function(db, list(self.staying), self.old, self.new)
        paths = {Path(os.fsdecode(p)).resolve() for p in list(places)
                 if isinstance(p, str | bytes | os.PathLike)}  # fmt: skip
        here = self.path.parent.resolve()
        return sorted(path.name for path in paths if path.is_file() and path.parent != here
                      and self.holds_old(path.read_bytes()))  # fmt: skip


def holds(value: object, known: Iterable[str]) -> bool:
    """Whether a value of a table is one of these texts, or has one in it."""
    if isinstance(value, bytes):
        value = value.hex()
    return isinstance(value, str) and (value in known or any(each in value for each in known))


def is_closed(db: sqlite3.Connection) -> bool:
    """Whether a connection has been closed."""
    try:
        return db.total_changes < 0
    except sqlite3.ProgrammingError:
        return True


def _settings(db: sqlite3.Connection) -> dict[str, object]:
    return {name: getattr(db, name, None) for name in _SETTINGS}
