"""Exercise 14, question 5: rotations of other kinds, right ones and wrong ones."""

import base64
import hashlib
import sqlite3

import pytest
from hash_asked import exercise_of_someone, found

from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind
from leftopen.synth import pseudonymised


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


# -- question 5 ---------------------------------------------------------------------------------


def places(ex):
    return [place.split(".") for place in ex.task(5)["columns"]]


def turn(ex, db, people, old, new, keep=()):
    pairs = [(pseudonymised.pseudonym(new, n), pseudonymised.pseudonym(old, n)) for n in people]
    for table, column in places(ex):
        db.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", pairs)
        fresh = {new_name for new_name, _ in pairs}
        for row, value in db.execute(f"SELECT id, {column} FROM {table}").fetchall():
            if value not in fresh and row not in keep:
                db.execute(f"DELETE FROM {table} WHERE id = ?", (row,))


def finish(db):
    db.commit()
    db.execute("VACUUM")


def rotated(ex, db, *given):
    with db:
        turn(ex, db, *given)
    db.execute("VACUUM")


def test_row_by_row_is_right(ex):
    def rotate(db, *given):
        rotated(ex, db, *given)

    assert found(ex, 5, rotate) == RIGHT


def test_a_view_or_an_index_that_is_added_is_no_fault(ex):
    def rotate(db, *given):
        (table, column), *_ = places(ex)
        db.execute(f"CREATE VIEW IF NOT EXISTS people AS SELECT DISTINCT {column} FROM {table}")
        rotated(ex, db, *given)

    # A view that was made before the failure stays: it holds nothing, and the rows are as before.
    assert found(ex, 5, rotate) == RIGHT


def test_a_connection_that_is_closed_by_the_function_is_told(ex):
    def rotate(db, *given):
        try:
            rotated(ex, db, *given)
        finally:
            db.close()

    assert found(ex, 5, rotate) == "connection_changed"


def test_a_mistake_in_the_function_is_the_cells_error(ex):
    verdict = ex.check(5, lambda db, *given: db.execute("SELECT ?", [1, 2]))
    assert verdict.kind is Kind.ERROR
    assert "ProgrammingError" in verdict.text


def test_nothing_done_at_all_is_told(ex):
    assert found(ex, 5, lambda db, *given: None) == "nothing_done"


def test_everything_emptied_is_told(ex):
    def rotate(db, *given):
        for table, _ in places(ex):
            db.execute(f"DELETE FROM {table}")
        finish(db)

    assert found(ex, 5, rotate) == "rows_lost"


def test_one_pseudonym_for_all_is_told(ex):
    def rotate(db, people, old, new):
        turn(ex, db, people, old, new)
        for table, column in places(ex):
            db.execute(
                f"UPDATE {table} SET {column} = ?", [pseudonymised.pseudonym(new, people[0])]
            )
        finish(db)

    assert found(ex, 5, rotate) == "joins_lost"


def test_a_list_that_is_emptied_is_still_in_the_file_without_vacuum(ex):
    def rotate(db, *given):
        turn(ex, db, *given)
        db.commit()

    for _ in range(3):  # keys are drawn anew each time
        assert found(ex, 5, rotate) == "left_in_the_file"


def test_an_error_that_is_swallowed_half_way_is_told(ex):
    def rotate(db, *given):
        try:
            turn(ex, db, *given)
        except Exception:
            db.commit()
        finish(db)

    assert found(ex, 5, rotate) == "half_way"


def test_a_list_of_old_and_new_in_bytes_is_found(ex):
    def rotate(db, people, old, new):
        db.execute("CREATE TABLE renamed (old BLOB)")
        rows = [(bytes.fromhex(pseudonymised.pseudonym(old, n)),) for n in people]
        db.executemany("INSERT INTO renamed VALUES (?)", rows)
        turn(ex, db, people, old, new)
        finish(db)

    assert found(ex, 5, rotate) == "mapping_left"


def by_hand(ex, db, *given):
    """A transaction begun, ended and taken back by its own statements."""
    db.isolation_level = None
    try:
        db.execute("BEGIN IMMEDIATE")
        turn(ex, db, *given)
        db.execute("COMMIT")
        db.execute("VACUUM")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.isolation_level = ""


def another_error(ex, db, *given):
    try:
        rotated(ex, db, *given)
    except sqlite3.Error as error:
        raise RuntimeError("the key was not changed") from error


def tidy_list(ex, db, people, old, new):
    with db:
        db.execute("BEGIN")
        db.execute("CREATE TABLE pairs (old TEXT)")
        db.executemany(
            "INSERT INTO pairs VALUES (?)", [(pseudonymised.pseudonym(old, n),) for n in people]
        )
        turn(ex, db, people, old, new)
        db.execute("DROP TABLE pairs")
    db.execute("VACUUM")


def write_ahead(ex, db, *given):
    db.execute("PRAGMA journal_mode = WAL")
    try:
        rotated(ex, db, *given)
    finally:
        db.execute("PRAGMA journal_mode = DELETE")


@pytest.mark.parametrize("way", [by_hand, another_error, tidy_list, write_ahead])
def test_other_right_rotations_are_right(ex, way):
    assert found(ex, 5, lambda db, *given: way(ex, db, *given)) == RIGHT


def no_rollback(ex, db, *given):
    turn(ex, db, *given)
    finish(db)


def says_it_in_print(ex, db, *given):
    try:
        rotated(ex, db, *given)
    except Exception as error:
        print(error)


def backup_in_the_database(ex, db, *given):
    for table, _ in places(ex):
        db.execute(f"CREATE TABLE {table}_before AS SELECT id, note FROM {table}")
    rotated(ex, db, *given)


def journal_kept(ex, db, *given):
    db.execute("PRAGMA journal_mode = PERSIST")
    rotated(ex, db, *given)


def beside(made):
    """The new pseudonym and what is made of a number, in a table of its own."""

    def rotate(ex, db, people, old, new):
        rotated(ex, db, people, old, new)
        db.execute("CREATE TABLE more (new TEXT, made)")
        rows = [(pseudonymised.pseudonym(new, n), made(n, old, new)) for n in people]
        db.executemany("INSERT INTO more VALUES (?, ?)", rows)
        db.commit()

    return rotate


def one_note(ex, db, people, old, new):
    rotated(ex, db, people, old, new)
    table, _ = places(ex)[0]
    word = pseudonymised.pseudonym(old, people[0])[::-1]
    db.execute(f"UPDATE {table} SET note = ? WHERE id = (SELECT min(id) FROM {table})", [word])
    db.commit()


def hashed_names(ex, db, people, old, new):
    """HMAC of the old pseudonym, and nobody removed."""
    for table, column in places(ex):
        for row, value in db.execute(f"SELECT id, {column} FROM {table}").fetchall():
            name = pseudonymised.pseudonym(new, value)
            db.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (name, row))
    finish(db)


WRONG = {
    "no rollback": ("left_open", no_rollback),
    "an error that is printed": ("fails_silently", says_it_in_print),
    "rows kept in a table": ("something_added", backup_in_the_database),
    "a journal that stays": ("left_beside", journal_kept),
    "old names in base64": (
        "something_added",
        beside(
            lambda n, old, new: base64.b64encode(
                bytes.fromhex(pseudonymised.pseudonym(old, n))
            ).decode()
        ),
    ),
    "plain hashes": (
        "something_added",
        beside(lambda n, old, new: hashlib.sha256(n.encode()).hexdigest()),
    ),
    "birth dates": ("something_added", beside(lambda n, old, new: n[6:14])),
    "the key as base64 in a blob": (
        "something_added",
        beside(lambda n, old, new: base64.b64encode(new)),
    ),
    "the numbers": ("numbers_written", beside(lambda n, old, new: n)),
    "a name backwards in a note": ("rows_changed", one_note),
    "names of names": ("gone_rows_stay", hashed_names),
}


@pytest.mark.parametrize("way", WRONG)
def test_other_wrong_rotations_are_told(ex, way):
    name, rotate = WRONG[way]
    assert found(ex, 5, lambda db, *given: rotate(ex, db, *given)) == name


def test_what_can_be_called_is_tried_as_a_function_is(ex):
    class Rotation:
        def __call__(self, db, *given):
            rotated(ex, db, *given)

    assert ex.check(5, Rotation()).kind is Kind.RIGHT
