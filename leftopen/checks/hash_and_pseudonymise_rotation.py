"""Exercise 14, question 5: pseudonyms of a new key in a database, and none of the old one left."""

import tempfile
from collections.abc import Callable

from leftopen.audit.crypto import keys
from leftopen.checks.hash_and_pseudonymise_database import After, Case, Fault, Rows, holds
from leftopen.checks.hash_and_pseudonymise_keys import elsewhere
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

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


def _rotation(at: Attempt, rotate: Callable) -> str:
    """Everything is under the new key, nothing of the old one is left, and all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix="leftopen-rotation-") as folder:
        case = _case(at, folder, "all goes well")
        end = case.rotate(rotate)
        return (
            _rows(at, case, end)
            or _left(at, case)
            or _the_rest(at, case)
            or _in_the_file(at, end)
            or _on_the_connection(at, end)
            or _elsewhere(at, folder, rotate)
            or _half_way(at, folder, rotate)
            or _interrupted(at, folder, rotate)
            or _twice(at, folder, rotate)
            or RIGHT
        )


def _case(at: Attempt, folder: str, name: str) -> Case:
    return Case(at.task["columns"], at.task["district"], folder, name)


def _rows(at: Attempt, case: Case, end: After) -> str:
    """What is wrong with the pseudonyms and the rows that have one, or nothing."""
    after, wanted = case.read(), case.wanted()
    for column, rows in after.items():
        kinds = {"new": case.new_of, "old": case.old_of}
        count = {kind: sum(v in known for v in rows.values()) for kind, known in kinds.items()}
        told = f"{count['new']} rows of the new key, {count['old']} of the old one"
        at.note("the database", column, told)
    if after == case.before:
        kept = end.inside in (None, case.before)
        return "nothing_done" if kept else "not_committed"
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


def _which_rows(at: Attempt, case: Case, after: Rows, wanted: Rows) -> str:
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


def _groups(columns: Rows) -> set[frozenset[tuple[str, int]]]:
    """Which rows, of all columns, belong to one person; whatever the pseudonym is."""
    found: dict[str, set[tuple[str, int]]] = {}
    for column, rows in columns.items():
        for row, value in rows.items():
            found.setdefault(value, set()).add((column, row))
    return {frozenset(each) for each in found.values()}


def _left(at: Attempt, case: Case) -> str:
    """What stands beside the columns and leads back, or nothing."""
    for table, rows in case.tables().items():
        for place, value in ((f"{table}.{name}", v) for row in rows for name, v in row.items()):
            if place in case.columns:
                continue
            at.values["place"] = place
            if holds(value, case.people):
                at.note("the database", place, "an identity number")
                return "numbers_written"
            if holds(value, case.old_of):
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


def _the_rest(at: Attempt, case: Case) -> str:
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
    shape = case.shape()
    new = new or sorted(shape.keys() - case.shape_before.keys())
    if new:
        at.values["place"] = new[0]
        at.note("the database", "tables and columns that were not there before", ", ".join(new))
        return "something_added"
    if changed := [name for name, columns in case.shape_before.items() if shape[name] != columns]:
        at.values["place"] = changed[0]
        at.note("the database", f"types and primary key of {changed[0]}", "not as they were")
        return "shape_changed"
    at.note("the database", "all other columns, tables", "as they were")
    return ""


def _in_the_file(at: Attempt, end: After) -> str:
    """Whether old pseudonyms are in the bytes of the file, or anything lies beside it."""
    told = "some" if end.old_in_bytes else "none"
    if end.beside:
        at.values["place"] = end.beside[0]
        at.note("the folder", "files that were not there before", ", ".join(end.beside))
        return "left_beside"
    at.note("the file", "old pseudonyms in its bytes", told)
    return "left_in_the_file" if end.old_in_bytes else ""


def _on_the_connection(at: Attempt, end: After) -> str:
    """Whether the connection is as it was: open, with its settings, without tables of its own."""
    at.values["what"] = end.changed or f"it has a temporary table, {', '.join(end.temporary)}"
    if end.changed or end.temporary:
        at.note("the connection", "look at it afterwards", at.values["what"])
        return "connection_changed"
    return ""


def _elsewhere(at: Attempt, folder: str, rotate: Callable) -> str:
    """Whether a file in another place holds old pseudonyms, as far as that can be seen."""
    case = _case(at, folder, "watched")
    found = elsewhere(lambda: case.copies(rotate))
    if found:
        at.values["place"] = found[0]
        at.note("other folders", "files that it made, with old pseudonyms", ", ".join(found))
        return "left_elsewhere"
    return ""


def _told(case: Case, rows: Rows) -> str:
    if rows == case.before:
        return "as before"
    return "all done" if rows == case.wanted() else "a part has changed"


def _half_way(at: Attempt, folder: str, rotate: Callable) -> str:
    """Whether a failure in the middle leaves old and new side by side, or is kept quiet."""
    quiet = []
    for number, column in enumerate(at.task["columns"]):
        case = _case(at, folder, f"failing {number}")
        end = case.fail(rotate, Fault(column.split(".")[0]))
        told = _told(case, case.read())
        at.note(f"a full disk at {column}", end.raised or "no error", told)
        at.values["column"] = column
        if told == "a part has changed":
            return "left_open" if end.file == case.before else "half_way"
        if told == "all done":
            return "past_the_error"
        if wrong := _remains(at, case, end):
            return wrong
        if not end.raised:
            quiet.append(column)
    if quiet:
        at.values["column"] = quiet[0]
        return "fails_silently"
    return ""


def _remains(at: Attempt, case: Case, end: After) -> str:
    """Whether a failed call left more than rows: a table, a temporary one, a file."""
    shape = case.shape()
    names = sorted(name for name in shape.keys() | case.shape_before.keys()
                   if shape.get(name) != case.shape_before.get(name))  # fmt: skip
    for what in (*names, *end.temporary, *end.beside):
        at.values["what"] = what
        at.note("after the error", "what was not there before", what)
        return "failure_leaves"
    return ""


def _interrupted(at: Attempt, folder: str, rotate: Callable) -> str:
    """Whether the work is also taken back where it is stopped by no error of SQLite."""
    column = at.task["columns"][1]
    case = _case(at, folder, "interrupted")
    end = case.fail(rotate, Fault(column.split(".")[0], interrupt=True))
    told = _told(case, case.read())
    at.note(f"an interrupt at {column}", end.raised or "no error", told)
    at.values["column"] = column
    if told == "a part has changed":
        return "other_errors"
    if not end.raised:
        return "fails_silently"
    return "" if told == "all done" else _remains(at, case, end)


def _twice(at: Attempt, folder: str, rotate: Callable) -> str:
    """Whether a VACUUM that fails is heard of, and a second call then ends what was begun."""
    case = _case(at, folder, "no vacuum")
    end = case.without_vacuum(rotate)
    told = _told(case, case.read())
    at.note("VACUUM cannot be done", end.raised or "no error", told)
    at.values["column"] = at.task["columns"][0]
    if told == "a part has changed":
        return "half_way"
    if not end.raised and (told == "as before" or end.old_in_bytes):
        return "vacuum_unheard"
    try:
        again = case.rotate(rotate)
    except Exception as error:  # whatever it is, the second call did not end the work
        at.values["what"] = f"{type(error).__name__} came"
    else:
        wanted, after = case.wanted(), case.read()
        lost = [f"`{c}` has {len(rows)} rows, and {len(wanted[c])} should be there"
                for c, rows in after.items() if rows != wanted[c]]  # fmt: skip
        if not lost and not again.old_in_bytes:
            at.note("VACUUM can be done again", "a second call", "all done")
            return ""
        at.values["what"] = lost[0] if lost else "old pseudonyms are still in the file"
    at.note("VACUUM can be done again", "a second call", at.values["what"])
    return "not_twice"


QUESTION = Question(asks={"rotate": Callable}, check=_rotation, task=_task)
