"""A small research database with pseudonyms in place of identity numbers, in SQLite.

All people in it are invented; their numbers are impossible (`leftopen/synth/identifiers.py`).
"""

import hmac
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leftopen.synth import identifiers

PEOPLE = 60
_GONE = 3  # people who have left the register
_ROWS = 150
_STEPS = (1, 7, 11)  # in each table the people come in another order
_NOTES = ("came on foot", "was called back", "asked for the form", "is content")


def numbers(district: int) -> list[str]:
    """Identity numbers of `PEOPLE` people of a district, no two alike."""
    step = np.arange(PEOPLE)
    made = identifiers.resident_ids(
        np.full(PEOPLE, district), 9_000 + 311 * step % 25_000, (7 * step + district) % 1_000
    )
    return [row.tobytes().decode() for row in made]


def pseudonym(key: bytes, number: str) -> str:
    """HMAC-SHA-256 of a number, as 64 hexadecimal digits."""
    return hmac.digest(key, number.encode(), "sha256").hex()


def fill(
    columns: Sequence[str], people: Sequence[str], key: bytes, path: Path
) -> sqlite3.Connection:
    """Make the database: a table for each column, an index on each, and rows of every person.

    Args:
        columns: as ``"visits.person"``, the table and its column with the pseudonym.
        people: their numbers; the last three have left the register in the meantime, and
            :func:`registered` leaves them out.
        key: the key of the pseudonyms.
        path: the file of the database.
    """
    db = sqlite3.connect(path)
    # What is deleted stays in the file: SQLite's default, which some systems build otherwise.
    db.execute("PRAGMA secure_delete = OFF")
    for place, column in enumerate(columns):
        table, name = column.split(".")
        db.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {name} TEXT, note TEXT)")
        rows = [
            (
                pseudonym(key, people[n * _STEPS[place % len(_STEPS)] % len(people)]),
                _NOTES[n % len(_NOTES)],
            )
            for n in range(_ROWS)
        ]
        db.executemany(f"INSERT INTO {table} ({name}, note) VALUES (?, ?)", rows)
        db.execute(f"CREATE INDEX {table}_{name} ON {table} ({name})")
    db.commit()
    return db


def registered(people: Sequence[str]) -> list[str]:
    """Those who still are in the register."""
    return list(people[:-_GONE])
