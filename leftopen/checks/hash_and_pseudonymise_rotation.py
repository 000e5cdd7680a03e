"""Exercise 14, question 5: pseudonyms of a new key in a database, and none of the old one left."""

import contextlib
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

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
    """One database in a folder of its own, what it must become, and what it became."""

    def __init__(self, task: Task, folder: str, name: str) -> None:
        self.columns = task["columns"]
        self.people = numbers(task["district"])
        self.staying = registered(self.people)
        self.old, self.new = secrets.token_bytes(32), secrets.token_bytes(32)
        self.path = Path(folder) / name / "research.sqlite3"
        self.path.parent.mkdir()
        fill(self.columns, self.people, self.old, self.path).close()
        self.old_of = {pseudonym(self.old, n): n for n in self.people}
        self.new_of = {pseudonym(self.new, n): n for n in self.staying}
        self.before = self.read()
        self.tables_before = self.tables()

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

    def dump(self) -> str:
        """The database as SQL."""
        with contextlib.closing(self.file()) as db:
            return "\n".join(db.iterdump())

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

    def rotate(self, function: Callable) -> dict[str, dict[int, str]]:
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

    def fail(self, function: Callable, table: str) -> tuple[str, dict | None]:
        """Call it where a table takes no change; what it raised, and what the file held then.

        Whoever called goes on afterwards, and commits on the same connection.
        """
        with contextlib.closing(self.file()) as db:
            for what in ("UPDATE", "DELETE", "INSERT"):
                db.execute(
                    f"CREATE TRIGGER no_{what} BEFORE {what} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
                )
            db.commit()
        with contextlib.closing(self.file()) as db:
            raised, kept = "", None
            try:
                function(db, list(self.staying), self.old, self.new)
            except Exception as error:  # the failure is ours; what is left by it is the answer
                raised = type(error).__name__
            with contextlib.suppress(sqlite3.OperationalError):  # locked: then it is not known
                kept = self.read()
            if not _is_closed(db):
                db.commit()
        return raised, kept


def _is_closed(db: sqlite3.Connection) -> bool:
    try:
        return db.total_changes < 0
    except sqlite3.ProgrammingError:
        return True


def _rotation(at: Attempt, rotate: Callable) -> str:
    """Everything is under the new key, nothing of the old one is left, and all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix="leftopen-rotation-") as folder:
        case = _Case(at.task, folder, "all goes well")
        inside = case.rotate(rotate)
        return (
            _rows(at, case, inside)
            or _left(at, case)
            or _the_rest(at, case)
            or _in_the_file(at, case)
            or _half_way(at, folder, rotate)
            or RIGHT
        )


def _rows(at: Attempt, case: _Case, inside: dict[str, dict[int, str]]) -> str:
    """What is wrong with the pseudonyms and the rows that have one, or nothing."""
    after, wanted = case.read(), case.wanted()
    for column, rows in after.items():
        kinds = {"new": case.new_of, "old": case.old_of}
        count = {kind: sum(v in known for v in rows.values()) for kind, known in kinds.items()}
        told = f"{count['new']} rows of the new key, {count['old']} of the old one"
        at.note("the database", column, told)
    if after == case.before:
        return "not_committed" if inside != case.before else "nothing_done"
    old = {c: [v for v in rows.values() if v in case.old_of] for c, rows in after.items()}
    staying = {c: [v for v in each if case.old_of[v] in case.staying] for c, each in old.items()}
    if any(staying.values()):
        if not any(v in case.new_of for rows in after.values() for v in rows.values()):
            return "old_key_again"
        untouched = [c for c in case.columns if after[c] == case.before[c]]
        at.values["column"] = untouched[0] if untouched else next(c for c in staying if staying[c])
        return "a_table_forgotten" if untouched else "some_rows_old"
    if any(old.values()):
        return "gone_people_kept"
    return "" if after == wanted else _which_rows(at, case, after, wanted)


def _which_rows(at: Attempt, case: _Case, after: dict, wanted: dict) -> str:
    """What is wrong where no pseudonym of the old key is left in its column."""
    for column, rows in wanted.items():
        given = set(after[column])
        at.values.update(column=column, rows=len(rows), left=len(given))
        if len(given) < len(rows):
            return "rows_lost"
        if given > set(rows):
            return "gone_rows_stay" if given <= set(case.before[column]) else "rows_too_many"
        if given != set(rows):
            return "rows_too_many" if len(given) > len(rows) else "ids_changed"
    if _groups(after) != _groups(wanted):
        return "joins_lost"
    of_new = all(value in case.new_of for rows in after.values() for value in rows.values())
    return "another_person" if of_new else "not_this_key"


def _groups(columns: dict[str, dict[int, str]]) -> set[frozenset[tuple[str, int]]]:
    """Which rows, of all columns, belong to one person; whatever the pseudonym is."""
    found: dict[str, set[tuple[str, int]]] = {}
    for column, rows in columns.items():
        for row, value in rows.items():
            found.setdefault(value, set()).add((column, row))
    return {frozenset(each) for each in found.values()}


def _left(at: Attempt, case: _Case) -> str:
    """What stands beside the columns and leads back, or nothing."""
    for table, rows in case.tables().items():
        for place, value in ((f"{table}.{name}", v) for row in rows for name, v in row.items()):
            if place in case.columns:
                continue
            at.values["place"] = place
            if _holds(value, case.people):
                at.note("the database", place, "an identity number")
                return "numbers_written"
            if _holds(value, case.old_of):
                at.note("the database", place, "a pseudonym of the old key")
                return "old_column_kept" if table in case.tables_before else "mapping_left"
    dump = case.dump()
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


def _the_rest(at: Attempt, case: _Case) -> str:
    """Whether whole rows stayed, and nothing came that was not there; or what is wrong."""
    pseudonyms = dict(column.split(".") for column in case.columns)
    after = case.tables()
    for table, column in pseudonyms.items():
        before = {row["id"]: row for row in case.tables_before[table]}
        for row in after[table]:
            for name, value in before[row["id"]].items():
                if name != column and (name not in row or row[name] != value):
                    at.values["place"] = f"{table}.{name}"
                    at.note("the database", f"{table}.{name} in the rows that stay", "changed")
                    return "rows_changed"
    new = [f"{table}.{name}" for table, rows in after.items() for name in (rows or [{}])[0]
           if name not in case.tables_before.get(table, [{}])[0]]  # fmt: skip
    if new:
        at.values["place"] = new[0]
        at.note("the database", "tables and columns that were not there before", ", ".join(new))
        return "something_added"
    at.note("the database", "all other columns, tables", "as they were")
    return ""


def _in_the_file(at: Attempt, case: _Case) -> str:
    """Whether old pseudonyms are in the bytes of the file, or anything lies beside it."""
    raw = case.path.read_bytes()
    left = any(value.encode() in raw or bytes.fromhex(value) in raw for value in case.old_of)
    at.note("the file", "old pseudonyms in its bytes", "some" if left else "none")
    if left:
        return "left_in_the_file"
    beside = [file.name for file in sorted(case.path.parent.iterdir())
              if file != case.path and (file.is_dir() or file.stat().st_size)]  # fmt: skip
    if beside:
        at.values["place"] = beside[0]
        at.note("the folder", "files that were not there before", ", ".join(beside))
        return "left_beside"
    return ""


def _half_way(at: Attempt, folder: str, rotate: Callable) -> str:
    """Whether a failure in the middle leaves old and new side by side, or is kept quiet."""
    quiet = []
    for number, column in enumerate(at.task["columns"]):
        case = _Case(at.task, folder, f"failing {number}")
        raised, kept = case.fail(rotate, column.split(".")[0])
        after, whole = case.read(), {"as before": case.before, "all done": case.wanted()}
        told = next((name for name, rows in whole.items() if rows == after), "a part has changed")
        at.note(f"a full disk at {column}", raised or "no error", told)
        if told not in whole:
            at.values["column"] = column
            return "left_open" if kept == case.before else "half_way"
        if told == "as before" and not raised:
            quiet.append(column)
    if quiet:
        at.values["column"] = quiet[0]
        return "fails_silently"
    return ""


QUESTION = Question(asks={"rotate": Callable}, check=_rotation, task=_task)
