"""Exercise 13, question 6: columns of PostgreSQL that are sealed, and what is left beside them."""

import random
import secrets
import sys
from base64 import b64encode

import psycopg
import pytest
from field_asked import gcm

from leftopen.checks.encrypt_the_field import QUESTIONS
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt
from leftopen.learner import Draw

pytestmark = pytest.mark.needs("postgres")

KEY, ANOTHER = secrets.token_bytes(32), secrets.token_bytes(32)


@pytest.fixture
def lab():
    lab = QUESTIONS[6].lab(QUESTIONS[6].task(Draw("ada", "13")))
    yield lab
    lab.close()


def test_columns(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = QUESTIONS[6].task(Draw("ada", "13"))
    old, new = task["column"], task["sealed"]

    def told(key=KEY):
        return QUESTIONS[6].check(Attempt(task), lab, key, gcm)

    def run(*statements):
        with psycopg.connect(lab.inside.uri_of("doors_1")) as db:
            for statement in statements:
                db.execute(statement)

    def seal(key, rows):
        sealed = [(gcm(key)[0](text, old, row), row) for row, text in rows]
        with psycopg.connect(lab.inside.uri_of("doors_1")) as db:
            db.cursor().executemany(f"UPDATE residents SET {new} = %s WHERE person = %s", sealed)

    assert told() == UNTOUCHED
    with pytest.raises(BadAnswer, match="16 bytes"):
        told(KEY[:16])
    run(f"ALTER TABLE residents ADD COLUMN {new} bytea")
    assert told() == "not_sealed"
    with psycopg.connect(lab.inside.uri_of("doors_1")) as db:
        rows = db.execute(f"SELECT person, {old} FROM residents").fetchall()
    seal(KEY, rows)
    assert told() == "left_in_clear"
    # A statement that names no value, and whose error shows the whole row.
    with pytest.raises(psycopg.errors.NotNullViolation):
        run("UPDATE residents SET name = NULL WHERE person = 7")
    # Emptied, and the server keeps samples; dropped or written anew they are gone.
    run("ANALYZE residents", f"UPDATE residents SET {old} = ''")
    assert told() == "left_in_samples"
    run("ANALYZE residents")
    attempt = Attempt(task)
    assert QUESTIONS[6].check(attempt, lab, KEY, gcm) == "values_in_log"
    assert attempt.values["how"].startswith("an error showed")
    lab.log.write_bytes(b"")
    assert told() == RIGHT
    run("CREATE INDEX ON residents (reverse(name))", "ANALYZE residents")
    assert told() == RIGHT
    run(f"ALTER TABLE residents DROP COLUMN {old}")
    assert told() == RIGHT
    # Everybody's value in the next person's row.
    seal(KEY, [(row, text) for (row, _), (_, text) in zip(rows, rows[1:] + rows[:1], strict=True)])
    assert told() == "not_opened"
    seal(KEY, rows)
    # The key in the text of a function, and in a setting of a role: both are told to everybody.
    run(f"CREATE FUNCTION key() RETURNS text LANGUAGE sql AS $$ SELECT '{KEY.hex()}' $$")
    assert told() == "key_in_table"
    run("DROP FUNCTION key()", f"ALTER ROLE postgres SET town.key = '{KEY.hex()}'")
    assert told() == "key_in_table"
    # It was logged, and that cannot be taken back by another statement.
    run("ALTER ROLE postgres RESET town.key")
    assert told() == "key_in_log"
    lab.log.write_bytes(b"")
    # Kept from the log, the key is in the catalogue, or in another database.
    quiet = "SET log_statement = 'none'"
    word = f"'{KEY.hex()}'"
    with psycopg.connect(lab.inside.uri_of("doors_1"), autocommit=True) as db:
        db.execute("CREATE DATABASE other")
    for make, drop in (
        (f"COMMENT ON TABLE residents IS {word}", "COMMENT ON TABLE residents IS NULL"),
        (f"CREATE VIEW v AS SELECT {word} AS k", "DROP VIEW v"),
        (f"CREATE TABLE d (k text DEFAULT {word})", "DROP TABLE d"),
        # Its two halves, in rows of their own; and one half alone, in base64.
        (f"CREATE TABLE d AS VALUES ('{KEY[:16].hex()}'), ('{KEY[16:].hex()}')", "DROP TABLE d"),
        (f"CREATE TABLE d AS SELECT '{b64encode(KEY[16:]).decode()}' AS k", "DROP TABLE d"),
    ):
        run(quiet, make)
        assert told() == "key_in_table", make
        run(drop)
    with psycopg.connect(lab.inside.uri_of("other"), autocommit=True) as db:
        db.execute(quiet)
        db.execute("CREATE TABLE k AS SELECT decode(%s, 'hex') AS k", [KEY.hex()])
    assert told() == "key_in_table"
    with psycopg.connect(lab.inside.uri_of("doors_1"), autocommit=True) as db:
        db.execute("DROP DATABASE other")
    assert told() == RIGHT
    # Copies that are no table like the old one: in another schema, inside a text, in a writing.
    drops = {"SCHEMA": "DROP SCHEMA past CASCADE", "VIEW": "DROP TABLE t CASCADE"}
    drops["TABLE"] = "DROP TABLE c"
    for make in (
        "CREATE SCHEMA past; CREATE TABLE past.c AS SELECT * FROM spare",
        "CREATE TABLE c AS SELECT to_jsonb(s) AS line FROM spare s",
        "CREATE TABLE c AS SELECT s::text AS line FROM spare s",
        "CREATE TABLE c AS SELECT ARRAY[value] AS line FROM spare",
        "CREATE TABLE c AS SELECT value::bytea AS line FROM spare",
        "CREATE TABLE c AS SELECT 'tel ' || value || ' ' AS line FROM spare",
        "CREATE TABLE c AS SELECT encode(value::bytea, 'base64') AS line FROM spare",
        "CREATE TABLE c AS SELECT reverse(value) AS line FROM spare",
        "CREATE TABLE c AS SELECT md5(value) AS line FROM spare",
        "CREATE TABLE c AS SELECT value AS line FROM spare WHERE person = 7",
        "CREATE TABLE t AS SELECT * FROM spare; "
        "CREATE MATERIALIZED VIEW c AS SELECT * FROM t; TRUNCATE t",
    ):
        with psycopg.connect(lab.inside.uri_of("doors_1")) as db:
            db.execute("CREATE TEMPORARY TABLE spare (person integer, value text)")
            with db.cursor().copy("COPY spare FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            db.execute(make)
        assert told() == "left_in_clear", make
        run(next(drop for word, drop in drops.items() if word in make))
    assert told() == RIGHT
    # What seal_with returns is no pair, or ends the program: the cell's error, or no opening.
    with pytest.raises(BadAnswer, match=r"seal_with\(key\)` must return two functions"):
        QUESTIONS[6].check(Attempt(task), lab, KEY, lambda key: None)
    with pytest.raises(BadAnswer, match=r"seal_with\(key\)` ended the program"):
        QUESTIONS[6].check(Attempt(task), lab, KEY, sys.exit)
    leaving = lambda key: (gcm(key)[0], lambda *_: sys.exit(1))  # noqa: E731
    assert QUESTIONS[6].check(Attempt(task), lab, KEY, leaving) == "not_opened"
    # Functions that question 4 refuses, and keys that are guessed.
    for make, key, wanted in (
        (lambda key: gcm(key, lambda *_: bytes(12)), KEY, "badly_sealed"),
        (lambda key: gcm(bytes(32)), KEY, "badly_sealed"),
        (lambda key: gcm(key, place=lambda _, number: b"%d" % number), KEY, "badly_sealed"),
        (gcm, bytes(32), "weak_key"),
        (gcm, b"k3" * 16, "weak_key"),
        (gcm, random.Random(1).randbytes(32), "weak_key"),
    ):
        sealed = [(make(key)[0](text, old, row), row) for row, text in rows]
        with psycopg.connect(lab.inside.uri_of("doors_1")) as db:
            db.cursor().executemany(f"UPDATE residents SET {new} = %s WHERE person = %s", sealed)
        assert QUESTIONS[6].check(Attempt(task), lab, key, make) == wanted
    seal(ANOTHER, rows)
    assert told(ANOTHER) == RIGHT
    # Half of the key is enough for the log.
    run(f"SELECT '{ANOTHER[16:].hex()}'")
    assert told(ANOTHER) == "key_in_log"
    lab.log.write_bytes(b"")
    assert told(ANOTHER) == RIGHT
    # Samples of a table whose rows are gone; no chance takes them, for nothing runs by itself.
    with psycopg.connect(lab.inside.uri_of("doors_1"), autocommit=True) as db:
        assert db.execute("SHOW autovacuum").fetchone() == ("off",)
        db.execute("CREATE TABLE spare (person integer, value text)")
        with db.cursor().copy("COPY spare FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        db.execute("ANALYZE spare")
        db.execute("DELETE FROM spare")
        assert told(ANOTHER) == "left_in_samples"
        db.execute("DROP TABLE spare")
    assert told(ANOTHER) == RIGHT
    # A value that was bound to a statement is none that an error showed.
    with psycopg.connect(lab.inside.uri_of("doors_1")) as db:
        db.execute("SELECT %s", [rows[5][1]])
    attempt = Attempt(task)
    assert QUESTIONS[6].check(attempt, lab, ANOTHER, gcm) == "values_in_log"
    assert attempt.values["how"] == "a statement named them, or they were bound to it"
    lab.log.write_bytes(b"")
    # A statement that fails is logged all the same.
    with pytest.raises(psycopg.Error), psycopg.connect(lab.inside.uri_of("doors_1")) as db:
        db.execute(f"SELEC '{rows[5][1]}'")
    assert told(ANOTHER) == "values_in_log"
    run("DELETE FROM passages WHERE person = 1", "DELETE FROM residents WHERE person = 1")
    assert told(ANOTHER) == "not_sealed"
