"""Dumps of PostgreSQL and restores: whole or not at all, and never over what is there."""

import shutil
import subprocess

import pytest
from half_done import full_disk, one_sentence
from postgres_labs import auditor, make

from leftopen import backup
from leftopen.engines import postgres
from leftopen.errors import DataError, EngineMissing, NotLoopback
from leftopen.proof import sql

TABLES = """
CREATE TABLE people (person integer PRIMARY KEY, name text CHECK (name <> ''));
INSERT INTO people SELECT n, 'Person-' || n FROM generate_series(1, 100) n;
CREATE INDEX by_name ON people (name);
CREATE VIEW names AS SELECT name FROM people;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
"""
POLICY = """
CREATE POLICY part ON people FOR SELECT TO "city auditor" USING (person < 10);
GRANT SELECT ON people TO "city auditor";
"""


@pytest.fixture(scope="module")
def server():
    lab = make()
    sql(lab.inside.uri_of("doors_1"), "DROP TABLE passages")
    sql(lab.inside.uri_of("doors_1"), TABLES + POLICY)
    sql(lab.inside.uri, "CREATE DATABASE drill")
    yield lab
    lab.close()


@pytest.fixture
def lab(server):
    """A server with a database to dump, and an empty one to restore into."""
    sql(server.inside.uri_of("drill"), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    sql(server.inside.uri_of("drill"), "GRANT USAGE ON SCHEMA public TO PUBLIC")
    return server


def tables(lab, database):
    uri = lab.inside.uri_of(database)
    return sql(uri, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


@pytest.mark.needs("postgres")
def test_postgres_comes_back_with_indexes_views_policies_and_grants(lab, tmp_path):
    backup.dump_postgres(lab.inside.uri_of("doors_1"), tmp_path / "dump")
    back = lab.inside.uri_of("drill")
    assert backup.restore_postgres(tmp_path / "dump", back) == {"people": 100}
    looks = ["SELECT * FROM people", "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
             "SELECT * FROM names", "SELECT policyname, qual FROM pg_policies"]  # fmt: skip
    for look in looks:
        assert sorted(sql(back, look)) == sorted(sql(lab.inside.uri_of("doors_1"), look))
    asked = auditor(lab, "inside").replace("/doors_1", "/drill")
    assert sql(asked, "SELECT count(*) FROM people") == [(9,)]


@pytest.mark.needs("postgres")
def test_roles_come_back_with_their_passwords(lab, tmp_path):
    uri = lab.inside.uri_of("doors_1")
    backup.dump_postgres(uri, tmp_path / "dump", accounts=True)
    sql(uri, 'DROP OWNED BY "city auditor"')
    sql(uri, 'DROP ROLE "city auditor"')
    with pytest.raises(DataError, match=r"role .* does not exist") as error:
        backup.restore_postgres(tmp_path / "dump", lab.inside.uri_of("drill"))
    one_sentence(error)
    assert tables(lab, "drill") == []
    backup.restore_postgres(tmp_path / "dump", lab.inside.uri_of("drill"), accounts=True)
    sql(uri, POLICY)
    asked = auditor(lab, "inside").replace("/doors_1", "/drill")
    assert sql(asked, "SELECT count(*) FROM people") == [(9,)]


@pytest.mark.needs("postgres")
def test_a_dump_without_compression_shows_the_rows_and_one_with_it_does_not(lab, tmp_path):
    for compress in (True, False):
        place = tmp_path / str(compress)
        backup.dump_postgres(lab.inside.uri_of("doors_1"), place, compress=compress)
        assert (b"Person-77" in (place / "doors_1.dump").read_bytes()) is not compress


@pytest.mark.needs("postgres")
def test_a_postgres_that_is_not_empty_is_left_as_it_is(lab, tmp_path):
    backup.dump_postgres(lab.inside.uri_of("doors_1"), tmp_path / "dump")
    drill = lab.inside.uri_of("drill")
    sql(drill, "CREATE TABLE readme (text text)")
    with pytest.raises(DataError, match="not empty: it holds readme") as error:
        backup.restore_postgres(tmp_path / "dump", drill)
    one_sentence(error)
    assert tables(lab, "drill") == [("readme",)]


@pytest.mark.needs("postgres")
def test_a_postgres_with_nothing_in_it_is_not_dumped(lab, tmp_path):
    with pytest.raises(DataError, match="nothing to dump") as error:
        backup.dump_postgres(lab.inside.uri_of("drill"), tmp_path / "dump")
    one_sentence(error)
    assert not any(tmp_path.iterdir())


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("left", [0, 3, 600, 0.9])
def test_nothing_is_restored_from_a_cut_dump(lab, tmp_path, left):
    backup.dump_postgres(lab.inside.uri_of("doors_1"), tmp_path / "dump")
    path = tmp_path / "dump" / "doors_1.dump"
    data = path.read_bytes()
    path.write_bytes(data[: left if left != 0.9 else int(len(data) * left)])
    with pytest.raises(DataError) as error:
        backup.restore_postgres(tmp_path / "dump", lab.inside.uri_of("drill"))
    one_sentence(error)
    assert tables(lab, "drill") == []


@pytest.mark.needs("postgres")
def test_an_interrupted_pg_dump_leaves_nothing_behind(lab, tmp_path, monkeypatch):
    run = subprocess.run

    def interrupted(argv, **options):
        run(argv, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backup.dump_postgres(lab.inside.uri_of("doors_1"), tmp_path / "dump")
    assert not any(tmp_path.iterdir())


@pytest.mark.needs("postgres")
def test_a_full_disk_leaves_no_part_of_a_pg_dump(lab, tmp_path):
    with full_disk(1000), pytest.raises(DataError, match="pg_dump failed") as error:
        backup.dump_postgres(lab.inside.uri_of("doors_1"), tmp_path / "dump")
    one_sentence(error)
    assert not any(tmp_path.iterdir())


@pytest.mark.needs("postgres")
def test_who_may_not_read_gets_the_servers_own_words(lab, tmp_path):
    with pytest.raises(DataError, match=r"permission denied|row-level security") as error:
        backup.dump_postgres(auditor(lab, "inside"), tmp_path / "dump")
    one_sentence(error)
    with pytest.raises(DataError, match="PostgreSQL refuses") as error:
        backup.dump_postgres(lab.inside.uri_of("absent"), tmp_path / "dump")
    one_sentence(error)
    assert not any(tmp_path.iterdir())


@pytest.mark.needs("postgres")
def test_a_password_is_not_in_the_call_of_a_tool(lab, tmp_path, monkeypatch):
    sql(lab.inside.uri, 'ALTER ROLE "city auditor" SUPERUSER')
    run, calls = subprocess.run, []
    monkeypatch.setattr(subprocess, "run", lambda a, **o: calls.append(a) or run(a, **o))
    backup.dump_postgres(auditor(lab, "inside"), tmp_path / "dump")
    sql(lab.inside.uri, 'ALTER ROLE "city auditor" NOSUPERUSER')
    assert calls
    assert "b/c" not in str(calls)


def test_no_dump_goes_beyond_this_machine(tmp_path):
    with pytest.raises(NotLoopback):
        backup.dump_postgres("postgresql://postgres@192.0.2.1/doors_1", tmp_path / "dump")
    with pytest.raises(DataError, match="not a connection string") as error:
        backup.dump_postgres("nonsense", tmp_path / "dump")
    one_sentence(error)


@pytest.mark.needs("postgres")
def test_a_missing_tool_is_told_with_what_brings_it(lab, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("postgres", "initdb"):
        (folder / name).symlink_to(shutil.which("true"))
    monkeypatch.setattr(postgres, "find", lambda: folder)
    with pytest.raises(EngineMissing, match=r"no pg_dump .* Bring it with"):
        backup.dump_postgres(lab.inside.uri_of("doors_1"), tmp_path / "dump")
