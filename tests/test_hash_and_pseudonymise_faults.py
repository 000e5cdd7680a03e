"""Exercise 14, question 5: what a rotation leaves where it fails, and beside the rows."""

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from hash_asked import exercise_of_someone, found

from leftopen.checks import hash_and_pseudonymise_database as database
from leftopen.checks.question import RIGHT, Attempt
from leftopen.synth.pseudonymised import pseudonym


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


def places(ex):
    return [place.split(".") for place in ex.task(5)["columns"]]


def names(numbers, old, new):
    return {pseudonym(old, n): pseudonym(new, n) for n in numbers}


def change(ex, db, pairs):
    """Row by row, and again without harm."""
    for table, column in places(ex):
        for row, name in db.execute(f"SELECT id, {column} FROM {table}").fetchall():
            if name in pairs:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (pairs[name], row))
            elif name not in pairs.values():
                db.execute(f"DELETE FROM {table} WHERE id = ?", (row,))


def plain(ex):
    def rotate(db, *given):
        with db:
            change(ex, db, names(*given))
        db.execute("VACUUM")

    return rotate


def by_a_function(ex):
    def rotate(db, *given):
        pairs = names(*given)
        pairs |= {new: new for new in pairs.values()}
        db.create_function("new_name", 1, pairs.get)
        with db:
            for table, column in places(ex):
                db.execute(f"UPDATE {table} SET {column} = new_name({column})")
                db.execute(f"DELETE FROM {table} WHERE {column} IS NULL")
        db.execute("VACUUM")

    return rotate


def by_a_temporary_table(ex):
    def rotate(db, *given):
        db.execute("CREATE TEMP TABLE renamed (old TEXT PRIMARY KEY, new TEXT)")
        known = "(SELECT old FROM renamed UNION SELECT new FROM renamed)"
        try:
            with db:
                rows = list(names(*given).items())
                db.executemany("INSERT INTO renamed VALUES (?, ?)", rows)
                for table, column in places(ex):
                    db.execute(f"DELETE FROM {table} WHERE {column} NOT IN {known}")
                    look = f"(SELECT new FROM renamed WHERE old = {column})"
                    there = "IN (SELECT old FROM renamed)"
                    db.execute(f"UPDATE {table} SET {column} = {look} WHERE {column} {there}")
        finally:
            db.execute("DROP TABLE temp.renamed")
        db.execute("VACUUM")

    return rotate


def in_a_copy_in_memory(ex):
    def rotate(db, *given):
        with contextlib.closing(sqlite3.connect(":memory:")) as memory:
            db.backup(memory)
            with memory:
                change(ex, memory, names(*given))
            memory.execute("VACUUM")
            memory.backup(db)
        db.execute("VACUUM")

    return rotate


def another_error(ex):
    def rotate(db, *given):
        try:
            with db:
                change(ex, db, names(*given))
        except Exception as error:
            raise RuntimeError("not rotated") from error
        db.execute("VACUUM")

    return rotate


def by_hand(ex):
    def rotate(db, *given):
        before, db.isolation_level = db.isolation_level, None
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                change(ex, db, names(*given))
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("VACUUM")
        finally:
            db.isolation_level = before

    return rotate


def built_anew(ex, begin="BEGIN", commit=False, kind="INTEGER PRIMARY KEY"):
    def rotate(db, *given):
        pairs = names(*given)
        pairs |= {new: new for new in pairs.values()}
        with db:
            if begin:
                db.execute(begin)
            for table, column in places(ex):
                rows = db.execute(f"SELECT id, {column}, note FROM {table}").fetchall()
                db.execute(f"DROP TABLE {table}")
                db.execute(f"CREATE TABLE {table} (id {kind}, {column} TEXT, note TEXT)")
                kept = [(row, pairs[old], note) for row, old, note in rows if old in pairs]
                db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", kept)
                if commit:
                    db.commit()
        db.execute("VACUUM")

    return rotate


RIGHT_ONES = {
    "row by row": plain, "a function of SQL": by_a_function, "by hand": by_hand,
    "a temporary table": by_a_temporary_table, "in memory": in_a_copy_in_memory,
    "another error": another_error, "built anew": built_anew,
}  # fmt: skip


@pytest.mark.parametrize("way", RIGHT_ONES)
def test_other_right_rotations_are_right(ex, way):
    assert found(ex, 5, RIGHT_ONES[way](ex)) == RIGHT


def selected_into_a_new_one(ex):
    """The newcomer's: tables that are selected anew, a commit after each."""

    def rotate(db, *given):
        pairs = names(*given)
        db.create_function("new_name", 1, pairs.get)
        for table, column in places(ex):
            db.execute(
                f"CREATE TABLE n AS SELECT id, new_name({column}) AS {column}, note FROM {table} "
                f"WHERE new_name({column}) IS NOT NULL"
            )
            db.execute(f"DROP TABLE {table}")
            db.execute(f"ALTER TABLE n RENAME TO {table}")
            db.commit()
        db.execute("VACUUM")

    return rotate


def list_outside(ex):
    def rotate(db, *given):
        db.execute("CREATE TABLE renamed (old TEXT PRIMARY KEY, new TEXT)")
        with db:
            change(ex, db, names(*given))
            db.execute("DROP TABLE renamed")
        db.execute("VACUUM")

    return rotate


def errors_of_sqlite_alone(ex):
    def rotate(db, *given):
        try:
            change(ex, db, names(*given))
            db.commit()
        except sqlite3.Error:
            db.rollback()
            raise
        db.execute("VACUUM")

    return rotate


def stops_quietly(ex):
    def rotate(db, *given):
        with contextlib.suppress(KeyboardInterrupt):
            plain(ex)(db, *given)

    return rotate


def vacuum_if_it_can(ex):
    def rotate(db, *given):
        with db:
            change(ex, db, names(*given))
        with contextlib.suppress(sqlite3.Error):
            db.execute("VACUUM")

    return rotate


def all_that_is_not_old(ex):
    def rotate(db, *given):
        pairs = names(*given)
        with db:
            for table, column in places(ex):
                for row, name in db.execute(f"SELECT id, {column} FROM {table}").fetchall():
                    if name not in pairs:
                        db.execute(f"DELETE FROM {table} WHERE id = ?", (row,))
                many = [(new, old) for old, new in pairs.items()]
                db.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", many)
        db.execute("VACUUM")

    return rotate


def then(ex, what):
    def rotate(db, *given):
        plain(ex)(db, *given)
        what(db)

    return rotate


def first(ex, what):
    def rotate(db, *given):
        what(db)
        plain(ex)(db, *given)

    return rotate


def temporary_list(ex):
    def rotate(db, *given):
        db.execute("CREATE TEMP TABLE IF NOT EXISTS renamed (old TEXT, new TEXT)")
        with db:
            db.executemany("INSERT INTO renamed VALUES (?, ?)", names(*given).items())
            change(ex, db, names(*given))
        db.execute("VACUUM")

    return rotate


def in_a_connection_of_its_own(ex):
    def rotate(db, *given):
        path = db.execute("PRAGMA database_list").fetchone()[2]
        with contextlib.closing(sqlite3.Connection(path)) as own:
            plain(ex)(own, *given)

    return rotate


WRONG_ONES = {
    "selected, committed each": ("shape_changed", selected_into_a_new_one),
    "built anew, committed each": ("half_way", lambda ex: built_anew(ex, commit=True)),
    "built anew, no transaction": ("half_way", lambda ex: built_anew(ex, begin="")),
    "another primary key": ("shape_changed", lambda ex: built_anew(ex, kind="INTEGER")),
    "a list outside": ("failure_leaves", list_outside),
    "errors of sqlite3 alone": ("other_errors", errors_of_sqlite_alone),
    "stops quietly": ("fails_silently", stops_quietly),
    "a VACUUM that may fail": ("vacuum_unheard", vacuum_if_it_can),
    "once alone": ("not_twice", all_that_is_not_old),
    "settings": (
        "connection_changed", lambda ex: then(ex, lambda db: setattr(db, "isolation_level", None)),
    ),
    "closed": ("connection_changed", lambda ex: then(ex, lambda db: db.close())),
    "a temporary list": ("connection_changed", temporary_list),
    "WAL": ("left_beside", lambda ex: first(ex, lambda db: db.execute("PRAGMA journal_mode=WAL"))),
    "an empty table": (
        "something_added", lambda ex: then(ex, lambda db: db.execute("CREATE TABLE done (at)")),
    ),
    "past db": ("past_the_error", in_a_connection_of_its_own),
}  # fmt: skip


@pytest.mark.parametrize("way", WRONG_ONES)
def test_other_wrong_rotations_are_told(ex, way):
    name, make = WRONG_ONES[way]
    assert found(ex, 5, make(ex)) == name


def file_of(db):
    return db.execute("PRAGMA database_list").fetchone()[2]


COPIES = {
    "copied": lambda db, to: shutil.copy(file_of(db), to),
    "backed up": lambda db, to: db.backup(sqlite3.connect(to)),
    "VACUUM INTO": lambda db, to: db.execute(f"VACUUM INTO '{to}-{time.time_ns()}'"),
    "written": lambda db, to: to.write_text("\n".join(db.iterdump())),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_in_another_folder_is_told(ex, way, tmp_path):
    to = tmp_path / "yesterday.sqlite3"
    assert found(ex, 5, first(ex, lambda db: COPIES[way](db, to))) == "left_elsewhere"


def test_a_file_elsewhere_without_old_names_is_nobodys_matter(ex, tmp_path):
    def counts(db):
        (tmp_path / "log.txt").write_text("rotated\n")

    at = Attempt(ex.task(5))
    assert ex._questions[5].check(at, then(ex, counts)) == RIGHT
    assert at.tried[-1] == "VACUUM can be done again: a second call → all done"


def test_a_fault_ends_with_the_connection(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "a")) as db:
        db.execute("CREATE TABLE loans (id)")
    fault = database.Fault("LOANS")
    changes = ("INSERT INTO loans VALUES (1)", "DROP TABLE loans", "DELETE FROM loans")
    with database._everywhere(fault), contextlib.closing(sqlite3.connect(tmp_path / "a")) as db:
        for change in (*changes, "ALTER TABLE loans RENAME TO other"):
            fault.met = False
            with pytest.raises(sqlite3.OperationalError, match="full"):
                db.execute(change)
            assert fault.met
        assert db.execute("SELECT * FROM loans").fetchall() == []
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            db.execute("SELECT * FROM nowhere")
    assert type(sqlite3.connect(Path(tmp_path) / "a")) is sqlite3.Connection
