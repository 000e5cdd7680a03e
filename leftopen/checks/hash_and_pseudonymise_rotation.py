"""Exercise 14, question 5: pseudonyms of a new key in a database, and none of the old one left."""

import secrets
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import FunctionType

from leftopen.audit.crypto import keys
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw
from leftopen.synth.pseudonymised import fill, numbers, pseudonym, registered

_SETS = (
    ("visits.person", "results.who", "letters.recipient"),
    ("loans.reader", "fines.debtor", "letters.addressee"),
    ("trips.rider", "cards.holder", "complaints.author"),
    ("meals.guest", "rooms.lodger", "invoices.payer"),
)


def _task(draw: Draw) -> Task:
    draw = variant(draw, "14", 5, of=4)
    return Task(
        columns=(list(draw.pick("columns", _SETS)), "where a pseudonym stands, as table.column"),
        district=(101 + draw.number("district", 7), "the district of the people"),
    )


class _Case:
    """One database, what it must become, and what it became."""

    def __init__(self, task: Task, folder: str, name: str) -> None:
        self.columns = task["columns"]
        self.people = numbers(task["district"])
        self.staying = registered(self.people)
        self.old, self.new = secrets.token_bytes(32), secrets.token_bytes(32)
        self.path = Path(folder) / name
        fill(self.columns, self.people, self.old, self.path).close()
        self.old_of = {pseudonym(self.old, n): n for n in self.people}
        self.new_of = {pseudonym(self.new, n): n for n in self.staying}
        self.before = self.read()

    def file(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path)
        db.execute("PRAGMA secure_delete = OFF")
        return db

    def read(self, db: sqlite3.Connection | None = None) -> dict[str, dict[int, str]]:
        """For each column the pseudonym in each row, by the row's id."""
        own = db or self.file()
        try:
            return {
                column: dict(own.execute("SELECT id, {1} FROM {0}".format(*column.split("."))))
                for column in self.columns
            }
        finally:
            if db is None:
                own.close()

    def wanted(self) -> dict[str, dict[int, str]]:
        """As it has to be: the new pseudonyms, without the rows of those who have left."""
        return {
            column: {
                row: pseudonym(self.new, self.old_of[value])
                for row, value in rows.items()
                if self.old_of[value] in self.staying
            }
            for column, rows in self.before.items()
        }

    def rotate(self, function: FunctionType) -> dict[str, dict[int, str]]:
        """Call the learner's function; what it sees itself afterwards."""
        db = self.file()
        try:
            function(db, list(self.staying), self.old, self.new)
            return self.read(db)
        except sqlite3.ProgrammingError:
            if not _is_closed(db):
                raise
            return self.read()
        finally:
            db.close()


def _is_closed(db: sqlite3.Connection) -> bool:
    try:
        return db.total_changes < 0
    except sqlite3.ProgrammingError:
        return True


def _rotation(at: Attempt, rotate: FunctionType) -> str:
    """Everything is under the new key, nothing of the old one is left, and all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix="leftopen-rotation-") as folder:
        case = _Case(at.task, folder, "research.sqlite3")
        inside = case.rotate(rotate)
        return (
            _rows(at, case, inside)
            or _left(at, case)
            or _in_the_file(at, case)
            or _half_way(at, case, folder, rotate)
            or RIGHT
        )


def _rows(at: Attempt, case: _Case, inside: dict[str, dict[int, str]]) -> str:
    """What is wrong with the rows, or nothing."""
    after, wanted = case.read(), case.wanted()
    for column, rows in after.items():
        kinds = {"new": case.new_of, "old": case.old_of}
        count = {kind: sum(v in known for v in rows.values()) for kind, known in kinds.items()}
        told = f"{count['new']} rows of the new key, {count['old']} of the old one"
        at.note("the database", column, told)
    if after == case.before and inside != case.before:
        return "not_committed"
    old = {c: [v for v in rows.values() if v in case.old_of] for c, rows in after.items()}
    staying = {c: [v for v in each if case.old_of[v] in case.staying] for c, each in old.items()}
    if any(staying.values()):
        untouched = [c for c in case.columns if after[c] == case.before[c]]
        at.values["column"] = untouched[0] if untouched else next(c for c in staying if staying[c])
        return "a_table_forgotten" if untouched else "some_rows_old"
    if any(old.values()):
        return "gone_people_kept"
    if after == wanted:
        return ""
    for column, rows in wanted.items():
        at.values.update(column=column, rows=len(rows), left=len(after[column]))
        if len(after[column]) < len(rows):
            return "rows_lost"
        if len(after[column]) > len(rows):
            return "rows_too_many"
    return "joins_lost" if _groups(after) != _groups(wanted) else "not_this_key"


def _groups(columns: dict[str, dict[int, str]]) -> set[frozenset[tuple[str, int]]]:
    """Which rows, of all columns, belong to one person; whatever the pseudonym is."""
    found: dict[str, set[tuple[str, int]]] = {}
    for column, rows in columns.items():
        for row, value in rows.items():
            found.setdefault(value, set()).add((column, row))
    return {frozenset(each) for each in found.values()}


def _left(at: Attempt, case: _Case) -> str:
    """What stands beside the columns and leads back, or nothing."""
    known = set(case.columns)
    with case.file() as db:
        names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in names:
            rows = db.execute(f'SELECT * FROM "{table}"')
            places = [f"{table}.{column[0]}" for column in rows.description]
            for values in rows:
                for place, value in zip(places, values, strict=True):
                    if place in known:
                        continue
                    at.values["place"] = place
                    if _holds(value, case.people):
                        at.note("the database", place, "an identity number")
                        return "numbers_written"
                    if _holds(value, case.old_of):
                        at.note("the database", place, "a pseudonym of the old key")
                        same = table in {column.split(".")[0] for column in known}
                        return "old_column_kept" if same else "mapping_left"
        dump = "\n".join(db.iterdump())
    db.close()
    for key, which in ((case.new, "new"), (case.old, "old")):
        if keys.find(key, dump):
            at.values["which"] = which
            at.note("the database", f"look for the {which} key", "there it is")
            return "key_in_the_database"
    at.note("the database", "old pseudonyms, numbers, keys", "none in any table")
    return ""


def _holds(value: object, known: Iterable[str]) -> bool:
    if isinstance(value, bytes):
        value = value.hex()
    return isinstance(value, str) and (value in known or any(each in value for each in known))


def _in_the_file(at: Attempt, case: _Case) -> str:
    files = sorted(case.path.parent.glob(f"{case.path.name}*"))
    raw = b"".join(file.read_bytes() for file in files)
    left = sum(value.encode() in raw for value in case.old_of)
    at.note("the file", "old pseudonyms in its bytes", "some" if left else "none")
    return "left_in_the_file" if left else ""


def _half_way(at: Attempt, case: _Case, folder: str, rotate: FunctionType) -> str:
    """Whether a failure in the middle leaves old and new side by side."""
    for number, column in enumerate(case.columns):
        again = _Case(at.task, folder, f"failing {number}.sqlite3")
        table = column.split(".")[0]
        with again.file() as db:
            for what in ("UPDATE", "DELETE", "INSERT"):
                db.execute(
                    f"CREATE TRIGGER no_{what} BEFORE {what} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
                )
        db.close()
        try:
            again.rotate(rotate)
        except Exception as error:  # the failure is ours; what is left by it is the answer
            ended = type(error).__name__
        else:
            ended = "no error"
        after = again.read()
        whole = after in (again.before, again.wanted())
        told = "all as before, or all done" if whole else "a part is of the new key"
        at.note(f"a full disk at {column}", ended, told)
        if not whole:
            at.values["column"] = column
            return "half_way"
    return ""


QUESTION = Question(asks={"rotate": FunctionType}, check=_rotation, task=_task)
