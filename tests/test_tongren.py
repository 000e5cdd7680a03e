"""The Tongren case on a real PostgreSQL: open as it was found, and shut when it is locked."""

from datetime import UTC

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from stdnum.cn import ric
from stdnum.iso7064 import mod_11_2

from leftopen.cases import open_case, tongren, tongren_schema
from leftopen.errors import DataError
from leftopen.synth.tongren import sample

pytestmark = pytest.mark.needs("postgres")
STRANGER = "127.0.0.2"


@pytest.fixture(scope="module")
def lab():
    lab = open_case("tongren")
    yield lab
    lab.close()


def ask(uri, question, **more):
    """What a server answers: the rows, as dictionaries."""
    with psycopg.connect(uri, row_factory=dict_row, **more) as connection:
        return connection.execute(question).fetchall()


def refusal(uri, **more):
    """The words in which a server refuses a login."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(uri, **more)
    return str(caught.value)


def rows_of(uri, table, **more):
    """A table as the server has it, in the order of its first column, times in UTC."""
    rows = ask(uri, sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(table)), **more)
    return [{n: v.astimezone(UTC) if n == "at" else v for n, v in row.items()} for row in rows]


# As it was found


def test_a_stranger_reads_all_four_logs_without_a_password(lab):
    assert STRANGER in ask(lab.outside.uri, "SELECT host(inet_client_addr()) AS me")[0]["me"]
    (who,) = ask(lab.outside.uri, "SELECT usesuper FROM pg_user WHERE usename = current_user")
    assert who["usesuper"]
    for database in tongren.DATABASES:
        uri = lab.outside.uri_as("postgres", "", database)
        (found,) = ask(uri, "SELECT count(*) AS people FROM residents")
        assert found["people"] == 500
        tables = ask(uri, "SELECT tablename AS t FROM pg_tables WHERE schemaname = 'public'")
        assert {row["t"] for row in tables} == set(tongren.TABLES)


def test_the_records_are_those_of_the_sample(lab):
    for database, tables in sample().items():
        for table, rows in tables.items():
            found = rows_of(lab.inside.uri_of(database), table)
            assert found == rows.sort_by(rows.column_names[0]).to_pylist()


def test_the_columns_are_those_of_the_schema(lab):
    wanted = "SELECT table_name, column_name, data_type FROM information_schema.columns"
    wanted += " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
    told = {(f.collection, f.field, f.type) for f in tongren_schema.FIELDS}
    for database in tongren.DATABASES:
        found = ask(lab.inside.uri_of(database), wanted)
        assert {tuple(row.values()) for row in found} == told


def test_no_number_in_the_server_can_be_real(lab):
    numbers = []
    for database in tongren.DATABASES:
        both = "SELECT id_number FROM residents UNION ALL SELECT id_number FROM visitors"
        numbers += [row["id_number"] for row in ask(lab.inside.uri_of(database), both)]
    assert len(set(numbers)) == len(numbers) == 2_200
    for number in numbers:
        right = number[:17] + mod_11_2.calc_check_digit(number[:17])
        assert not mod_11_2.is_valid(number)
        assert mod_11_2.is_valid(right)
        assert not ric.is_valid(right), "a region that is no province"
    assert ric.is_valid("11010519491231002X")


def test_times_are_told_in_the_time_of_the_doors(lab):
    uri = lab.outside.uri_as("postgres", "", "doors_1")
    (found,) = ask(uri, "SELECT to_char(min(at), 'YYYY-MM-DD OF') AS first FROM passages")
    assert found["first"] == "2020-08-14 +08"


def test_a_passage_is_of_a_resident_or_of_a_visitor(lab):
    add = """INSERT INTO passages (passage, at, building, door, direction, person, visitor, status)
             VALUES (-1, now(), 'A01', %s, 'in', %s, %s, 'normal')"""
    with psycopg.connect(lab.inside.uri_of("doors_1")) as connection:
        for door, person, visitor in (("main", 1, 1), ("main", None, None), ("roof", 1, None)):
            with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
                connection.execute(add, [door, person, visitor])
        connection.execute(add, ["main", 1, None])
        connection.rollback()


# A small lab, as found and locked


def test_a_small_lab_has_people_of_its_own_and_what_was_prepared():
    def prepare(connect):
        with connect("doors_2") as operator:
            operator.execute("CREATE ROLE caretaker LOGIN")

    asked = {"residents": 80, "days": 1, "databases": ("doors_2",)}
    lab = tongren.small_lab(7, prepare=prepare, **asked)
    try:
        (tables,) = sample(7, **asked).values()
        uri = lab.outside.uri_as("caretaker", "", "doors_2")
        assert ask(uri, "SELECT current_user AS me") == [{"me": "caretaker"}]
        found = rows_of(lab.outside.uri_as("postgres", "", "doors_2"), "residents")
        assert found == tables["residents"].to_pylist()
        assert "does not exist" in refusal(lab.outside.uri_as("postgres", "", "doors_1"))
        assert lab.backend is None
    finally:
        lab.close()


@pytest.fixture(scope="module")
def locked():
    def prepare(connect):
        with connect("doors_1") as operator:
            operator.execute("ALTER ROLE postgres PASSWORD 'another'")
            operator.execute("CREATE ROLE doors LOGIN PASSWORD 'a long password of doors'")

    lab = tongren.small_lab(1, tongren.LOCKED, tongren.HBA_LOCKED, prepare, residents=80, days=1)
    yield lab
    lab.close()


def encrypted(lab):
    return f"sslmode=verify-full&sslrootcert={lab.certificates.ca}"


def test_locked_a_stranger_is_refused_in_each_way(locked):
    assert "reject" in refusal(locked.outside.uri)
    assert "reject" in refusal(
        locked.outside.uri_as("postgres", "another", options="sslmode=require")
    )
    doors = ("doors", "a long password of doors")
    assert "no encryption" in refusal(
        locked.outside.uri_as(*doors, "doors_1", options="sslmode=disable")
    )
    assert "reject" in refusal(locked.outside.uri_as(*doors, "postgres", options=encrypted(locked)))
    wrong = locked.outside.uri_as("doors", "wrong", "doors_1", options=encrypted(locked))
    assert "password authentication failed" in refusal(wrong)
    assert "no password supplied" in refusal(
        locked.outside.uri_as("doors", "", "doors_1", options=encrypted(locked))
    )


def test_locked_those_who_may_get_in(locked):
    options = encrypted(locked)
    for side in (locked.outside, locked.inside):
        uri = side.uri_as("doors", "a long password of doors", "doors_1", options)
        (found,) = ask(uri, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert found["ssl"]
    operator = locked.inside.uri_as("postgres", "another", "doors_1", options)
    (found,) = ask(operator, "SELECT count(*) AS n FROM residents")
    assert found["n"] == 80
    stored = "SELECT rolpassword AS p FROM pg_authid WHERE rolpassword IS NOT NULL"
    for row in ask(locked.inside.uri, stored):
        assert row["p"].startswith("SCRAM-SHA-256$")


def test_records_that_are_missing_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(tongren, "RECORDS", tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        tongren.open_lab()


def test_the_service_is_the_one_in_the_repository(lab):
    code = tongren.backend_as_found()
    assert "main.py" in code
    assert lab.backend.is_running
    assert sorted(lab.backend.files) == sorted(code)
