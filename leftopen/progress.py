"""The learner's own record: one file in the project's folder, and nowhere else.

It is an SQLite database, so that two notebooks can write at once and a killed one leaves it whole
(sqlite.org, "Atomic Commit In SQLite"). There is no account and no telemetry: delete the file to
forget everything.
"""

import itertools
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leftopen.course import ROOT
from leftopen.errors import DataError

VARIABLE = "LEFTOPEN_PROGRESS"
_BUSY_SECONDS = 20.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS learner (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS question (
    learner TEXT NOT NULL, exercise TEXT NOT NULL, number INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, hints INTEGER NOT NULL DEFAULT 0,
    solved INTEGER NOT NULL DEFAULT 0, last TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (learner, exercise, number)
);
"""
_COLUMNS = {"learner", "exercise", "number", "tries", "hints", "solved", "last"}


@dataclass(frozen=True)
class Record:
    """What is kept of one question.

    Attributes:
        tries: how many answers were tried; one that was not attempted does not count.
        hints: how many hints were read.
        solved: whether an answer was right, once.
        last: the name of the last verdict.
    """

    tries: int = 0
    hints: int = 0
    solved: bool = False
    last: str = ""


def path() -> Path:
    """Where the record is: the variable LEFTOPEN_PROGRESS, or the project's folder."""
    return Path(os.environ.get(VARIABLE) or ROOT / "progress.sqlite3")


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    """The record, open for one transaction; a damaged file is set aside first."""
    file = path()
    try:
        try:
            connection = _connect(file)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            _set_aside(file)
            connection = _connect(file)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise DataError(
            f"Your progress could not be read or saved in {file}: {error}. Nothing else is lost. "
            f"Make that folder writable, or name another file in the variable {VARIABLE}."
        ) from error


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS)
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        columns = {row[1] for row in connection.execute("PRAGMA table_info(question)")}
        if columns != _COLUMNS:
            raise sqlite3.DatabaseError("a file of another program")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_aside(file: Path) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{file.stem}.damaged-{stamp}{n or ''}{file.suffix}" for n in itertools.count())
    kept = next(path for path in map(file.with_name, names) if not path.exists())
    file.rename(kept)
    print(
        f"Your progress file was damaged. It is kept as {kept.name}, and a new one was begun.",
        file=sys.stderr,
    )


def read_learner() -> str:
    """The learner's name that was written, or an empty text."""
    if not path().exists():
        return ""
    with _opened() as connection:
        row = connection.execute("SELECT name FROM learner").fetchone()
    return row[0] if row else ""


def write_learner(name: str) -> None:
    """Keep the learner's name.

    Raises:
        DataError: it cannot be written.
    """
    with _opened() as connection:
        connection.execute("INSERT OR REPLACE INTO learner VALUES (1, ?)", (name,))


def read(learner: str, exercise: str) -> dict[int, Record]:
    """The records of an exercise by question; a question that was never touched has none."""
    if not path().exists():
        return {}
    with _opened() as connection:
        rows = connection.execute(
            "SELECT number, tries, hints, solved, last FROM question "
            "WHERE learner = ? AND exercise = ?",
            (learner, exercise),
        ).fetchall()
    return {n: Record(tries, hints, bool(solved), last) for n, tries, hints, solved, last in rows}


def note_verdict(learner: str, exercise: str, number: int, verdict: str, right: bool) -> None:
    """Count a try; a question that was solved once stays solved."""
    with _opened() as connection:
        _begin(connection, learner, exercise, number)
        connection.execute(
            "UPDATE question SET tries = tries + 1, solved = max(solved, ?), last = ? "
            "WHERE learner = ? AND exercise = ? AND number = ?",
            (right, verdict, learner, exercise, number),
        )


def take_hint(learner: str, exercise: str, number: int, most: int) -> int:
    """Take one more hint, up to ``most``; once the question is solved, no further one.

    Returns:
        How many hints have been taken.
    """
    with _opened() as connection:
        _begin(connection, learner, exercise, number)
        where = "WHERE learner = ? AND exercise = ? AND number = ?"
        key = (learner, exercise, number)
        connection.execute(
            f"UPDATE question SET hints = min(hints + 1, ?) {where} AND NOT solved", (most, *key)
        )
        return connection.execute(f"SELECT hints FROM question {where}", key).fetchone()[0]


def forget(learner: str, exercise: str, number: int) -> None:
    """Forget the tries, the hints and the success of one question."""
    with _opened() as connection:
        connection.execute(
            "DELETE FROM question WHERE learner = ? AND exercise = ? AND number = ?",
            (learner, exercise, number),
        )


def _begin(connection: sqlite3.Connection, learner: str, exercise: str, number: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO question (learner, exercise, number) VALUES (?, ?, ?)",
        (learner, exercise, number),
    )
