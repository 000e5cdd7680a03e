"""Exercise 15: wrong answers that nobody is shown, each told its fault; and some right ones."""

import base64
import json
import os
import shutil
import sys
from datetime import datetime

import pytest
import rest_asked
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rest_asked import Asked, question

from leftopen import backup
from leftopen.cases import tongren
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED
from leftopen.learner import Draw
from leftopen.proof import sql

asked = rest_asked.asked


# -- 1: old copies ------------------------------------------------------------------------------

KEY = AESGCM(bytes(range(32)))


def seal(person, number):
    nonce = os.urandom(12)
    return nonce + KEY.encrypt(nonce, number.encode(), str(person).encode())


def unseal(person, sealed):
    if isinstance(sealed, str):
        sealed = base64.b64decode(sealed)
    return KEY.decrypt(sealed[:12], sealed[12:], str(person).encode()).decode()


def seal_all(asked, write=seal, kind="bytea"):
    column = asked.task["sealed"]
    rows = sql(asked.lab.inside.uri_of("doors_1"), "SELECT person, id_number FROM residents")
    asked.run(f"ALTER TABLE residents ADD {column} {kind}")
    values = []
    for person, number in rows:
        written = write(person, number)
        shown = f"'\\x{written.hex()}'" if kind == "bytea" else f"'{written}'"
        values.append(f"UPDATE residents SET {column} = {shown} WHERE person = {person}")
    asked.run("; ".join(values))


def sweep(asked):
    """All brooms, once: what a right answer does, in the order that needs no second round."""
    tables = sql(
        asked.lab.inside.uri_of("doors_1"),
        "SELECT tablename FROM pg_tables "
        "WHERE schemaname = 'public' AND tablename NOT IN "
        "('buildings', 'residents', 'visitors', 'passages')",
    )
    asked.run(*(f"DROP TABLE {name}" for (name,) in tables), "VACUUM FULL residents")
    shutil.rmtree(asked.lab.log.parent / "exports", ignore_errors=True)
    for _ in range(8):
        asked.run(
            "SELECT pg_logical_emit_message(true, '', 'x'); SELECT pg_switch_wal()", "CHECKPOINT"
        )
    asked.lab.log.write_text("")


@pytest.mark.needs("postgres")
@question(1)
def test_copies_in_unusual_places_are_found(asked):
    assert asked.told(unseal) == UNTOUCHED
    asked.lab.configure("log_statement = 'none'\nwal_recycle = off")
    seal_all(asked, lambda person, number: base64.b64encode(seal(person, number)).decode(), "text")
    asked.run("CREATE DATABASE elsewhere", database="postgres")
    asked.run("CREATE TABLE kept AS SELECT 'a note' AS text", database="elsewhere")
    asked.run("CREATE MATERIALIZED VIEW numbers AS SELECT id_number FROM residents")
    # The plain column stays, empty: that is as good as dropping it.
    asked.run("ALTER TABLE residents ALTER id_number DROP NOT NULL")
    (number,) = sql(asked.lab.inside.uri_of("doors_1"), "SELECT id_number FROM residents LIMIT 1")[
        0
    ]
    asked.run("UPDATE residents SET id_number = NULL")
    sweep(asked)
    assert asked.told(unseal) == "copy_left"
    assert asked.values["place"] == "the table numbers"
    asked.run(
        "CREATE TABLE packed AS SELECT string_agg(id_number, ', ') FROM numbers",
        "DROP MATERIALIZED VIEW numbers",
    )
    assert asked.told(unseal) == "copy_left", "a large value is compressed in its file"
    asked.run("DROP TABLE packed", "SELECT pg_switch_wal()", "CHECKPOINT")
    assert asked.told(unseal) == "left_in_samples"
    assert asked.values["count"] > 50
    asked.run("VACUUM (FULL, ANALYZE) residents")
    assert asked.told(unseal) == RIGHT
    asked.run(f"INSERT INTO kept VALUES ('{number}')", database="elsewhere")
    assert asked.told(unseal) == "copy_left"
    asked.run("DROP DATABASE elsewhere", database="postgres")
    sweep(asked)
    assert asked.told(unseal) == RIGHT
    asked.run(f"UPDATE residents SET plate = '{number}' WHERE person = 5")
    assert asked.told(unseal) == "new_writes_alone"
    asked.run("UPDATE residents SET plate = 'LO-1' WHERE person = 5")
    assert asked.told(unseal) == "lost"


@pytest.mark.needs("postgres")
@question(1)
def test_what_only_looks_sealed_or_is_gone(asked):
    asked.lab.configure("log_statement = 'none'\nwal_recycle = off")
    dump = asked.lab.log.parent / "night"
    backup.dump_postgres(asked.lab.inside.uri_of("doors_1"), dump)
    seal_all(asked, lambda _, number: bytes(byte ^ 0x5A for byte in number.encode()))
    asked.run("ALTER TABLE residents RENAME id_number TO was")
    assert asked.told(lambda _, sealed: bytes(b ^ 0x5A for b in sealed).decode()) == (
        "new_writes_alone"
    )
    asked.run("CREATE TABLE plain AS SELECT person, was FROM residents")
    asked.run("ALTER TABLE residents DROP was")
    assert asked.told(lambda _, sealed: bytes(b ^ 0x5A for b in sealed).decode()) == "only_encoded"
    asked.run(
        "ALTER TABLE residents ADD id_number text",
        "UPDATE residents r SET id_number = was FROM plain p WHERE p.person = r.person",
    )
    asked.run(f"ALTER TABLE residents DROP {asked.task['sealed']}")
    seal_all(asked)
    asked.run("ALTER TABLE residents DROP id_number")
    sweep(asked)
    assert asked.told(unseal) == "file_left"
    assert asked.values["place"].startswith("night/")
    shutil.rmtree(dump)
    assert asked.told(unseal) == RIGHT
    asked.run("DELETE FROM residents WHERE person = 7")
    assert asked.told(unseal) == "lost"
    assert asked.values["what"] == "1 rows of residents"
    asked.lab.log.unlink()
    with pytest.raises(BadAnswer, match="write an empty text"):
        asked.told(unseal)


# -- 4: the day after ---------------------------------------------------------------------------


@pytest.mark.needs("postgres")
@question(4)
def test_what_a_restore_leaves_behind(asked, monkeypatch):
    lab, task = asked.lab, asked.task
    folder, uri = lab.log.parent, lab.inside.uri_of("doors_1")
    assert asked.told() == UNTOUCHED
    key = (folder / "safe" / "identity.txt").read_text()
    dump = backup.open_sealed(folder / "backups" / "2020-08-17.tar.age", key, folder / "opened")
    ((note,),) = sql(uri, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ((role,),) = sql(uri, "SELECT rolname FROM pg_roles WHERE rolsuper AND oid > 16000")
    asked.run(f"DROP TABLE {note}")
    asked.run("CREATE SCHEMA away; CREATE TABLE away.passages (passage bigint, at timestamptz)")
    assert asked.told() == "never_restored", "in another schema no program finds it"
    asked.run("DROP SCHEMA away CASCADE")
    backup.restore_postgres(dump, uri, accounts=True)
    asked.run("CREATE SCHEMA away; ALTER TABLE buildings SET SCHEMA away")
    assert asked.told() == "part"
    assert asked.values["names"] == "buildings"
    asked.run("ALTER TABLE away.buildings SET SCHEMA public; DROP SCHEMA away")
    assert asked.told() == "stranger_stays"
    asked.run(f"ALTER ROLE {role} NOSUPERUSER")
    assert asked.told() == "stranger_stays"
    asked.run(f"DROP ROLE {role}")
    assert asked.told() == "door_open"
    lab.configure("listen_addresses = 'localhost'")
    assert asked.told() == "shut_outside", "the doors are on other machines"
    lab.configure("listen_addresses = '*'")
    # Scram for everybody, without TLS: another right answer.
    lab.configure("local all all peer\nhost all all all scram-sha-256", file="pg_hba.conf")
    assert asked.told() == RIGHT
    if sys.platform == "linux":  # elsewhere a relayed client looks local
        here = "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256"
        lab.configure(here, file="pg_hba.conf")
        assert asked.told() == "shut_outside"
        lab.configure("local all all peer\nhost all all all scram-sha-256", file="pg_hba.conf")
    asked.run("ALTER ROLE postgres PASSWORD 'the learner''s own'")
    with monkeypatch.context() as own:
        own.setenv("PGPASSWORD", "the learner's own")
        assert asked.told() == RIGHT, "the stranger does not have the learner's password"
    asked.run("ALTER ROLE postgres PASSWORD NULL")
    for change, back, fault in (
        (
            "GRANT pg_read_all_data TO {clerk}",
            "REVOKE pg_read_all_data FROM {clerk}",
            "rights_too_wide",
        ),
        (
            "INSERT INTO visitors VALUES (900, 'a', 'b', 'c')",
            "DELETE FROM visitors WHERE visitor = 900",
            "part",
        ),
        (
            "DROP INDEX residents_by_number; CREATE INDEX plain ON residents (id_number)",
            "CREATE UNIQUE INDEX u ON residents (id_number)",
            "indexes_lost",
        ),
        ("CREATE SCHEMA s; CREATE TABLE s.note (n text)", "DROP SCHEMA s CASCADE", "note_kept"),
        (
            "ALTER TABLE passages DISABLE TRIGGER ALL; REVOKE INSERT ON passages FROM {door}",
            "GRANT INSERT ON passages TO {door}",
            "rights_lost",
        ),
        ("ALTER ROLE {door} NOLOGIN", "ALTER ROLE {door} LOGIN", "accounts_lost"),
        (
            "CREATE FUNCTION f() RETURNS SETOF residents LANGUAGE sql SECURITY DEFINER "
            "AS 'SELECT * FROM residents'",
            "DROP FUNCTION f",
            "rights_too_wide",
        ),
        (
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC",
            "rights_too_wide",
        ),
        (
            "GRANT SELECT ON visitors TO PUBLIC",
            "REVOKE ALL ON visitors FROM PUBLIC",
            "rights_too_wide",
        ),
        (f"CREATE ROLE {role} NOLOGIN", f"DROP ROLE {role}", "stranger_stays"),
        ("CREATE ROLE me LOGIN PASSWORD 'me'", "DROP ROLE me", "stranger_stays"),
        ("ALTER ROLE postgres PASSWORD 'postgres'", "ALTER ROLE postgres PASSWORD NULL", "guessed"),
    ):
        names = {"clerk": task["clerk"], "door": task["door"]}
        asked.run(change.format(**names))
        assert asked.told() == fault, change
        asked.run(back.format(**names))
    assert asked.told() == RIGHT
    rest = "host all all all scram-sha-256"
    for line in (
        "host postgres all all trust",
        "host template1 postgres all trust",
        "host replication all all trust",
        "local all all trust",
        f"hostnossl all {task['door']} all trust",
    ):
        lab.configure(f"{line}\n{rest}", file="pg_hba.conf")
        assert asked.told() == "door_open", line
    lab.configure("host all all all reject", file="pg_hba.conf")
    assert asked.told() == "shut_out"
    lab.configure(tongren.HBA_LOCKED, file="pg_hba.conf")
    assert asked.told() == "shut_out", "nobody comes by TLS while ssl is off"
    lab.configure(tongren.LOCKED, replace=True)
    assert asked.told() == RIGHT


# -- 5: what was lost ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"learner {n}" for n in range(12)])
def test_the_numbers_are_those_of_the_log(name):
    asked = Asked(5)
    asked.task = task = asked.question.task(Draw(name, "15"))
    begun = datetime.fromisoformat(task["backups"]["sunday"].split(",")[0][6:])
    lost = taken = 0
    dropped = None
    lines = [json.loads(line) for line in task["log"].lines]
    address = {
        line["attr"]["remote"].split(":")[0] for line in lines if "dropDatabase" in str(line)
    }
    for line in lines:
        at, attr = datetime.fromisoformat(line["t"]["$date"]), line["attr"]
        if "dropDatabase" in attr["command"]:
            dropped = at
        elif attr["command"].get("insert") == "positions" and at > begun and dropped is None:
            lost += attr["ninserted"]
        if {attr["remote"].split(":")[0]} == address:
            taken += attr.get("nreturned", 0)
    down = (datetime.fromisoformat(task["restored"]) - dropped).total_seconds() / 60
    assert asked.told(float(lost), float(taken), down) == RIGHT
    assert asked.told(float(lost), float(taken) + 0.5, down) == "taken_else"
    assert asked.values["number"] == taken + 0.5
    assert asked.told(float(lost), float(taken), down - 1) == "down_else"
