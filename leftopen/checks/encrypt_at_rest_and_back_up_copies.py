"""Exercise 15, question 1: what a column leaves behind in files once it is encrypted.

Measured on PostgreSQL 15.18. ``DROP COLUMN`` changes no row on disk; ``VACUUM FULL`` writes the
table anew without what was dropped. A segment of the write-ahead log that is no longer needed is
not emptied but renamed, for use later (``wal_recycle``, PostgreSQL manual, "Write Ahead Log"): its
old content stays until the log has come round to it.
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from leftopen.audit.crypto import ciphertext, search
from leftopen.cases import tongren
from leftopen.checks import encrypt_at_rest_and_back_up_kept as kept
from leftopen.checks import encrypt_at_rest_and_back_up_rows as rows_of
from leftopen.checks import encrypt_at_rest_and_back_up_thin as thin
from leftopen.checks import sql_lab
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import operator
from leftopen.engines.process import disk
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

# By itself, ANALYZE would come when it likes: the lab runs it once, the rest is the learner's.
_CONFIG = tongren.LOCKED + "log_statement = 'all'\nautovacuum = off\n"
_NUMBER = re.compile(rb"000\d{14}[\dX]")  # how identity numbers of invented people begin and end
_SEARCHED = 5  # residents whom a clerk has searched for, so that the log knows them
_CHUNK = 4 << 20  # bytes that are read at a time
_LONGEST = 18  # bytes of a number
_WAL = "data/pg_wal/"
_DATA = ("data/base/", "data/global/")
_SAMPLES = "pg_stats"
_BY_NAME = ("the log", "the write-ahead log", _SAMPLES)  # each has a verdict of its own
_IN_TABLES = ("the table ", "the database ", "a data file")


def copies_task(draw: Draw) -> Task:
    """How the sealed column is to be called, and where a colleague has left copies."""
    draw = variant(draw, "15", 1)
    return Task(
        table=("residents", "the table with the numbers"),
        plain=("id_number", "its column with the numbers in plain text"),
        sealed=(
            draw.pick("sealed", ("number_sealed", "id_sealed", "sealed_number", "id_ciphertext")),
            "the column that you make, for the sealed ones",
        ),
        folder=("lab.log.parent", "all that lies below it is searched"),
    )


def _names(task: Task) -> tuple[str, str]:
    """The copies that the learner is to find: a table, a file. Drawn with the column's name."""
    draw = Draw(str(task["sealed"]), "15 copies")
    table = draw.pick("table", ("residents_before", "residents_2019", "tmp_residents", "res_copy"))
    return table, f"exports/{draw.pick('file', ('move', 'for_ines', 'test', 'friday'))}.csv.gz"


def copies_lab(task: Task) -> PostgresLab:
    """A server whose numbers stand in a table, its copy, an export, and a log of every search."""
    table, export = _names(task)
    rows = _residents()
    searches = "".join(
        f"SELECT name FROM residents WHERE id_number = '{row['id_number']}'; "
        for row in rows[:_SEARCHED]
    )
    lab = sql_lab.open_lab(
        f"CREATE INDEX residents_by_number ON residents (id_number); "
        f"CREATE TABLE {table} AS TABLE residents; ANALYZE residents; {searches}",
        config=_CONFIG,
    )
    try:
        text = "".join(f"{row['person']},{row['id_number']},{row['name']}\n" for row in rows)
        file = lab.log.parent / export
        with disk():
            file.parent.mkdir(mode=0o700)
            file.write_bytes(gzip.compress(text.encode(), mtime=0))
        with operator(lab) as connection:
            connection.execute("CHECKPOINT")
    except BaseException:
        lab.close()
        raise
    return lab


def _residents() -> list[dict]:
    return rows_of.began()["residents"].to_pylist()


def copies(at: Attempt, lab: PostgresLab, unseal: Callable[[int, bytes], str]) -> str:
    """Who holds the key reads every number; in no file of the server one stands in plain text."""
    if not lab.log.exists():
        raise BadAnswer(
            f"The log {lab.log.name} was removed, and the server still writes into what nobody can "
            "read. lab.restart() makes a new one; to empty a log, write an empty text: "
            'lab.log.write_text("")'
        )
    with operator(lab) as connection:
        whole = kept.has_its_log(lab, connection)
        connection.execute("CHECKPOINT")  # what is in memory alone would reach the disk later
        columns = _columns(connection)
        if "person" not in columns:
            at.note("in the table residents", "look for the column person", "not there")
            at.values["what"] = "residents has no column person, which says whose each row is"
            return "lost"
        if str(at.task["sealed"]) not in columns:
            return _without_column(at, connection, columns, _found(lab, connection))
        fault = _readable(at, connection, columns, unseal)
        fault = fault or _judge(at, _found(lab, connection)) or _thin(at, lab)
    if fault:
        return fault
    if place := kept.key_beside(unseal, lab.log.parent):
        at.note("in the files", "look for your key", "there")
        at.values["place"] = _kind(place)
        return "key_on_server"
    at.note("in the files", "look for your key", "not there")
    starts = whole and kept.starts_again(lab)
    at.note("on a copy of the files", "start the server", "it starts" if starts else "it ends")
    return RIGHT if starts else "does_not_start"


def _thin(at: Attempt, lab: PostgresLab) -> str | None:
    """Whether numbers are kept in another writing, in a table or in somebody's file."""
    numbers = {row["person"]: row["id_number"] for row in _residents()}
    found = thin.places(lab, numbers)
    for place, (count, how) in sorted(found.items()):
        at.note("in tables and files", f"numbers in another writing in {place}", f"{count}, {how}")
    if not found:
        at.note("in tables and files", "numbers in another writing", "none")
        return None
    place = max([name for name in found if found[name][1] != thin.MASKED] or found)
    count, how = found[place]
    at.values.update(place=place, count=count, encoding=how)
    return "masked" if how == thin.MASKED else "disguised"


def _kind(place: str) -> str:
    """What a file is, in words that do not vary."""
    if place.startswith(_WAL):
        return "the write-ahead log"
    return "a data file" if place.startswith(_DATA) else place


def _columns(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'public.residents'::regclass "
        "AND attnum > 0 AND NOT attisdropped"
    ).fetchall()
    return [name for (name,) in rows]


# -- who holds the key --------------------------------------------------------------------------


def _without_column(
    at: Attempt, connection: psycopg.Connection, columns: list[str], found: Counter[str]
) -> str:
    """No sealed column: nothing was begun, or it began elsewhere, or the numbers are gone."""
    begun = {f"the table {name}" for name in ("residents", _names(at.task)[0])}
    begun |= {"the log", "the write-ahead log", _names(at.task)[1]}
    if begun <= set(found):
        return UNTOUCHED
    at.note("in the table residents", f"look for the column {at.task['sealed']}", "not there")
    if (still := _in_plain(at, connection, columns)) >= len(_residents()):
        so_far = f"There is no column {at.task['sealed']} yet, so nothing is sealed."
        at.values.update(plain_count=still, so_far=so_far)
        return "new_writes_alone"
    at.values["what"] = f"there is no column {at.task['sealed']}"
    return "lost"


def _readable(
    at: Attempt,
    connection: psycopg.Connection,
    columns: list[str],
    unseal: Callable[[int, bytes], str],
) -> str | None:
    """Whether each number can be had with the key, and with the key alone."""
    wanted = {row["person"]: row for row in _residents()}
    sealed = _column(connection, str(at.task["sealed"]))
    at.values.update(total=len(wanted))
    done = sum(value is not None for value in sealed.values())
    if still := _in_plain(at, connection, columns):
        each = f"{done} of {len(sealed)} rows have" if done < len(sealed) else "Each row has"
        so_far = f"{each} something in {at.task['sealed']}."
        if not done:
            so_far = f"The column {at.task['sealed']} is there, and nothing is in it."
        at.values.update(plain_count=still, so_far=so_far)
        return "new_writes_alone"
    if gone := len(wanted.keys() - sealed.keys()):
        at.note("in the table residents", "look for each person", f"{gone} not there")
        at.values["what"] = f"{gone} rows of residents"
        return "lost"
    for person, row in wanted.items():
        value = sealed.get(person)
        raw = value.encode() if isinstance(value, str) else bytes(value or b"")
        if name := ciphertext.is_encoding_of(raw, row["id_number"].encode()):
            at.note("in the table residents", "read the new column without a key", name)
            at.values["encoding"] = name
            return "only_encoded"
    faults = [kept.fault(unseal, p, sealed.get(p), row["id_number"]) for p, row in wanted.items()]
    opened = faults.count("")
    at.note("with your key", "numbers that open to the right one", f"{opened} of {len(wanted)}")
    if opened < len(wanted):
        at.values.update(opened=opened, said=Counter(filter(None, faults)).most_common(1)[0][0])
        return "not_opened"
    numbers_of = {person: row["id_number"] for person, row in wanted.items()}
    if how := kept.weakness(unseal, {person: sealed[person] for person in wanted}, numbers_of):
        at.note("in the table residents", "try the sealed numbers", "not safe")
        at.values["how"] = how
        return "badly_sealed"
    return _rest_is_kept(at, connection, wanted) or _others_are_kept(at, connection)


def _in_plain(at: Attempt, connection: psycopg.Connection, columns: list[str]) -> int:
    """How many numbers stand in residents, in the columns that are not for the sealed ones."""
    numbers = {row["id_number"] for row in _residents()}
    others = set(columns) - {"person", str(at.task["sealed"])}
    values = (value for name in others for value in _column(connection, name).values())
    still = sum(str(value) in numbers for value in values)
    at.note("in the table residents", "numbers in plain text", str(still))
    return still


def _column(connection: psycopg.Connection, name: str) -> dict[int, object]:
    query = sql.SQL("SELECT person, {} FROM public.residents").format(sql.Identifier(name))
    return dict(connection.execute(query).fetchall())


def _rest_is_kept(
    at: Attempt, connection: psycopg.Connection, wanted: dict[int, dict]
) -> str | None:
    for name in next(iter(wanted.values())):
        if name in ("person", str(at.task["plain"])):
            continue
        try:
            there = _column(connection, name)
        except psycopg.errors.UndefinedColumn:
            there = {}
        changed = sum(there.get(person) != row[name] for person, row in wanted.items())
        if changed:
            at.note("in the table residents", f"the column {name}", f"{changed} values changed")
            at.values["what"] = f"the column {name} is not as it was, in {changed} rows"
            return "lost"
    return None


def _others_are_kept(at: Attempt, connection: psycopg.Connection) -> str | None:
    """Whether the other tables have their rows, and residents its key and its rules."""
    for name, table in rows_of.began().items():
        columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
        query = sql.SQL("SELECT {} FROM public.{}").format(columns, sql.Identifier(name))
        if name != "residents":
            try:
                there = Counter(connection.execute(query).fetchall())
            except psycopg.errors.UndefinedColumn:
                there = Counter()
            gone = (Counter(tuple(row.values()) for row in table.to_pylist()) - there).total()
            if gone:
                at.note("in the database", f"the table {name}", f"{gone} rows gone or changed")
                at.values["what"] = f"{gone} rows of {name} are not as they were"
                return "lost"
    key = connection.execute(_KEY).fetchone()[0]
    rules = {name for (name,) in connection.execute(_RULES)}
    lost = ["the primary key of residents is"] if key != ["person"] else []
    lost += [f"the NOT NULL of {name} is" for name in _NEVER_EMPTY if name not in rules]
    at.values["what"] = f"{lost[0]} not there any more" if lost else ""
    if lost:
        at.note("in the table residents", "its key and its rules", "not as they were")
    return "lost" if lost else None


_NEVER_EMPTY = ("name", "born", "sex", "phone", "building", "flat")
_RULES = """
SELECT attname FROM pg_attribute
WHERE attrelid = 'public.residents'::regclass AND attnotnull AND NOT attisdropped
"""
_KEY = """
SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a
ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = 'public.residents'::regclass AND i.indisprimary
"""


# -- what lies in the files ---------------------------------------------------------------------


def _found(lab: PostgresLab, connection: psycopg.Connection) -> Counter[str]:
    """How many different numbers stand in plain text, by where."""
    numbers = {row["id_number"].encode() for row in _residents()}
    folder, places = lab.log.parent, {}
    for name, stream in search.streams(folder):
        if here := _numbers_in(stream) & numbers:
            places.setdefault(_place(name, lab.log, connection), set()).update(here)
    for table, rows in rows_of.every_table(lab, "t::text"):  # large values are packed in files
        if here := {n for (text,) in rows for n in _NUMBER.findall(text.encode())} & numbers:
            places.setdefault(f"the table {table}", set()).update(here)
    for text in rows_of.sampled(lab):
        if here := set(_NUMBER.findall(text.encode())) & numbers:
            places.setdefault(_SAMPLES, set()).update(here)
    return Counter({place: len(here) for place, here in places.items()})


def _numbers_in(stream: IO[bytes]) -> set[bytes]:
    found, tail = set(), b""
    while chunk := stream.read(_CHUNK):
        data = tail + chunk
        found.update(_NUMBER.findall(data))
        tail = data[-_LONGEST + 1 :]
    return found


def _place(name: str, log: Path, connection: psycopg.Connection) -> str:
    """What a file of the server is, in words that do not vary."""
    if name == log.name:
        return "the log"
    if name.startswith(_WAL):
        return "the write-ahead log"
    if name.startswith(_DATA):
        if other := connection.execute(_OTHER, [name.split("/")[2]]).fetchone():
            return f"the database {other[0]}"
        node = re.split(r"[._]", name.rpartition("/")[2])[0]
        row = connection.execute(
            "SELECT coalesce(i.indrelid, c.oid)::regclass::text FROM pg_class c "
            "LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE pg_relation_filenode(c.oid) = %s",
            [int(node) if node.isdigit() else 0],
        ).fetchone()
        return f"the table {row[0]}" if row else "a data file of no table"
    return name.removesuffix(f"/{Path(name).name}") if name.count(".gz/") else name


_OTHER = "SELECT datname FROM pg_database WHERE oid::text = %s AND datname <> current_database()"


def _judge(at: Attempt, found: Counter[str]) -> str | None:
    for place in sorted(found):
        at.note("in the files", f"numbers in plain text in {place}", str(found[place]))
    if not found:
        at.note("in the files", "numbers in plain text", "none")
        return None
    tables = [place for place in found if place.startswith(_IN_TABLES)]
    others = [place for place in tables if place != "the table residents"]
    files = [place for place in found if place not in (*tables, *_BY_NAME)]
    for places, name in (
        (others, "copy_left"),
        (tables, "not_rewritten"),
        (files, "file_left"),
        (found.keys() & {"the log"}, "log_left"),
        (found.keys() & {"the write-ahead log"}, "wal_left"),
        (found.keys() & {_SAMPLES}, "left_in_samples"),
    ):
        if places:
            first = min(places)
            at.values.update(place=first, count=found[first])
            return name
    return None
