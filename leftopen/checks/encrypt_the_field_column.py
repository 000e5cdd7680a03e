"""Exercise 13, question 6: a column of PostgreSQL, sealed by the application, and what is logged.

With log_statement = 'all', PostgreSQL writes each statement into its log, and the values that were
bound to it (PostgreSQL manual, "Error Reporting and Logging"). A key that is handed to the server,
as pgcrypto wants it, is written there, too.
"""

import functools
import re

import psycopg
from psycopg import sql

from leftopen.cases import tongren
from leftopen.checks import encrypt_the_field_copies as copies
from leftopen.checks import encrypt_the_field_forged as forged
from leftopen.checks import encrypt_the_field_seal as seal
from leftopen.checks import encrypt_the_field_tables as tables
from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks import sql_lab
from leftopen.checks.encrypt_the_field_restart import Make
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import DATABASE, operator
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.synth.tongren import sample

# By itself, ANALYZE would come at a time of its own, or not: what is sampled is up to the learner.
_CONFIG = f"{tongren.LOCKED}log_statement = 'all'\nautovacuum = off\n"
_KEY_BYTES = 32
_IN_ERROR = re.compile(rb"DETAIL:\s+(?!\s|[Pp]arameters:)")  # parameters belong to a statement
_RESIDENTS, _DAYS = 240, 3  # of the small lab
_READER = "as a stranger who reads every table"
_LOG_READER = "as somebody who reads the server's log"
_HOLDER = "as the holder of the key"


def task(draw: Draw) -> Task:
    """Which column is sealed."""
    draw = variant(draw, "13", 6, 2)
    column = draw.pick("column", ("phone", "id_number"))
    return Task(
        column=(column, "the column of the table residents"),
        sealed=(f"{column}_sealed", "the column that takes its place, of the type bytea"),
    )


def open_lab(task: Task) -> PostgresLab:
    """Residents in clear, on a server that logs each statement."""
    return sql_lab.open_lab(config=_CONFIG)


@functools.cache
def _before(column: str) -> dict[int, str]:
    """The column as the lab begins with it, by the residents' numbers."""
    table = sample(sql_lab.SEED, _RESIDENTS, _DAYS, (DATABASE,))[DATABASE]["residents"]
    return dict(zip(table["person"].to_pylist(), table[column].to_pylist(), strict=True))


def sealed(at: Attempt, lab: PostgresLab, key: bytes, seal_with: Make) -> str:
    """Each value is sealed in its row, and neither tables nor log hold it, or the key."""
    if len(key) != _KEY_BYTES:
        raise BadAnswer(f"`key` has {len(key)} bytes, and the question asks for {_KEY_BYTES}.")
    with operator(lab) as connection:
        trial = _Trial(at, lab, connection, key)
        return trial.judged(seal_with)


class _Trial:
    def __init__(
        self, at: Attempt, lab: PostgresLab, connection: psycopg.Connection, key: bytes
    ) -> None:
        self.at, self.lab, self.connection = at, lab, connection
        self.column, self.new = str(at.task["column"]), str(at.task["sealed"])
        self.before = _before(self.column)
        self.key = key

    def judged(self, seal_with: Make) -> str:
        """The verdict: what opens, then what strangers find."""
        select = sql.SQL("SELECT * FROM residents ORDER BY person")
        cursor = self.connection.execute(select)
        names = [column.name for column in cursor.description]
        people = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if self.new not in names:
            at_first = self.column in names and len(people) == len(self.before)
            return UNTOUCHED if at_first else "not_sealed"
        return (
            self._opens(people, seal_with)
            or self._is_well_sealed(seal_with)
            or self._in_tables()
            or self._in_log()
            or self._with_notebook()
            or RIGHT
        )

    def _opens(self, people: list[dict], seal_with: Make) -> str | None:
        found = {person["person"]: person[self.new] for person in people}
        if found.keys() != self.before.keys() or not all(
            isinstance(value, bytes) for value in found.values()
        ):
            self.at.note(
                _HOLDER, f"look at {self.new} of {len(self.before)} people", "not all bytes"
            )
            return "not_sealed"
        _, open_ = seal.pair(seal_with, self.key, "seal_with")
        right = sum(
            forged.answer(open_, value, (self.column, number)) == self.before[number]
            for number, value in found.items()
        )
        told = f"{right} open to what was there"
        self.at.note(_HOLDER, f"open {self.new} of {len(found)} people", told)
        self.at.values.update(right=right, people=len(found))
        if right < len(found):
            return "not_opened"
        first, second = sorted(found)[:2]
        moved = forged.answer(open_, found[first], (self.column, second)) is not forged.REFUSED
        who = "as somebody who may write to the table"
        self.at.note(
            who, "put one person's value into another's row", "opens" if moved else "refused"
        )
        return "moved" if moved else None

    def _is_well_sealed(self, seal_with: Make) -> str | None:
        """Try the functions as question 4 does, on columns of this table."""
        trial = Attempt(self.at.task)
        columns = [self.column, f"{self.column}1", "name"]
        verdict = seal.judged(trial, seal_with, columns)
        fault = trial.tried[-1]
        what = "try what seal_with returns as question 4 does"
        self.at.note(_HOLDER, what, "right" if verdict == RIGHT else fault)
        self.at.values["fault"] = fault
        return None if verdict == RIGHT else "badly_sealed"

    def _in_tables(self) -> str | None:
        server = tables.read(self.lab)
        values = [str(value) for value in self.before.values()]
        found = copies.of_unique(server, values)
        left = copies.told(found)
        self.at.note(_READER, f"look for each {self.column} in clear", left or "nowhere")
        self.at.values["where"] = left
        if found == [tables.SAMPLES]:
            sampled = sum(value.encode() in server.texts[tables.SAMPLES] for value in values)
            self.at.values["sampled"] = sampled
            return "left_in_samples"
        if left:
            return "left_in_clear"
        if vault.is_weak(self.key):
            self.at.note(_READER, "guess the key", "its bytes repeat or count, or come from a seed")
            return "weak_key"
        holds = copies.told(copies.of_key(server, self.key))
        self.at.note(_READER, "look for the key", holds or "nowhere")
        self.at.values["where"] = holds
        return "key_in_table" if holds else None

    def _in_log(self) -> str | None:
        log = self.lab.log.read_bytes() if self.lab.log.exists() else b""
        there = copies.of_key(copies.Server({copies.Copy("the log"): log}), self.key)
        self.at.note(_LOG_READER, "look for the key", "there" if there else "not there")
        if there:
            return "key_in_log"
        values = [str(value).encode() for value in self.before.values()]
        logged = [value for value in values if value in log]
        told = f"{len(logged)} of {len(values)} are there" if logged else "not there"
        self.at.note(_LOG_READER, f"look for each {self.column} in clear", told)
        lines = [line for line in log.splitlines() if any(value in line for value in logged)]
        shown = sum(_IN_ERROR.search(line) is not None for line in lines)
        self.at.values.update(logged=len(logged), how=_how(len(lines), shown))
        return "values_in_log" if logged else None

    def _with_notebook(self) -> str | None:
        known = vault.kept_with_notebook(self.key)
        who = "as somebody who has the notebook"
        self.at.note(who, "look for the key", known[1] if known else "nowhere")
        self.at.values["where"] = known[1] if known else ""
        if known is None:
            return None
        return "key_from_word" if known[0] == "password" else "key_with_notebook"


def _how(lines: int, shown: int) -> str:
    """How values came into the log: of some lines, those of an error's DETAIL are counted."""
    named = "a statement named them, or they were bound to it"
    error = "an error showed a whole row or key (the line with DETAIL), whatever the statement said"
    return f"{named}, and {error}" if 0 < shown < lines else error if shown else named
