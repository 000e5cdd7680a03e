"""Exercise 13, question 6: columns of PostgreSQL that are sealed, and what is left beside them."""

import secrets

import psycopg
import pytest
from test_encrypt_the_field_seal import gcm

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
    seal(ANOTHER, rows)
    assert told(ANOTHER) == RIGHT
    # A statement that fails is logged all the same.
    with pytest.raises(psycopg.Error), psycopg.connect(lab.inside.uri_of("doors_1")) as db:
        db.execute(f"SELEC '{rows[5][1]}'")
    assert told(ANOTHER) == "values_in_log"
    run("DELETE FROM passages WHERE person = 1", "DELETE FROM residents WHERE person = 1")
    assert told(ANOTHER) == "not_sealed"
