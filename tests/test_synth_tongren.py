"""Tongren's invented data: whole, the same again, and of the size that was reported."""

import re
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen import cli, ledger
from leftopen.cases import tongren_schema
from leftopen.errors import DataError
from leftopen.synth import tongren
from leftopen.synth.tongren import DATABASES, TABLES, later_passages, sample

COMMITTED = Path(__file__).resolve().parents[1] / "datasets" / "tongren"


@pytest.fixture(scope="module")
def records():
    return sample()


def counts(records):
    """Table -> how many rows all databases have."""
    return {table: sum(len(records[name][table]) for name in records) for table in TABLES}


# What there is


def test_four_door_logs_of_about_the_same_size(records):
    assert list(records) == list(DATABASES) == [f"doors_{number}" for number in range(1, 5)]
    for tables in records.values():
        assert list(tables) == list(TABLES)
        assert (len(tables["residents"]), len(tables["visitors"])) == (500, 50)
        assert 4_500 < len(tables["passages"]) < 5_500


def test_there_are_as_many_passages_a_person_as_was_reported(records):
    many = counts(records)
    people = many["residents"] + many["visitors"]
    assert people == 2_200
    assert f"{many['passages'] / people:.1f}" == f"{ledger.number('TG30'):.1f}"


def test_the_full_size_is_the_reported_one(tmp_path):
    paths = tongren.write(tmp_path, progress=False)
    rows = {path.stem: pq.read_metadata(path).num_rows for path in paths}
    assert rows["residents"] + rows["visitors"] == ledger.number("TG4") == 110_000
    assert ledger.number("TG5") < rows["passages"] < 1.02 * ledger.number("TG5")
    assert pq.read_metadata(tmp_path / "passages.parquet").num_row_groups == len(DATABASES)
    for table in ("residents", "passages"):
        parts = [len(tables[table]) for tables in tongren.read(tmp_path).values()]
        assert max(parts) < 1.02 * min(parts)


ARROW = {
    "text": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("ms", tz="UTC"),
}


def test_the_tables_have_the_fields_of_the_schema(records):
    for name, table in records["doors_2"].items():
        told = {f.field: ARROW[f.type] for f in tongren_schema.FIELDS if f.collection == name}
        assert dict(zip(table.column_names, table.schema.types, strict=True)) == told
    may_be_missing = {"plate", "person", "visitor", "flat"}
    for tables in records.values():
        for table in tables.values():
            missing = {field.name for field in table.schema if table[field.name].null_count}
            assert missing <= may_be_missing
            assert missing == {f.name for f in table.schema if f.nullable}


def test_the_tiers_are_those_of_the_facts():
    tiers = {(field.collection, field.field): field for field in tongren_schema.FIELDS}
    assert len(tiers) == len(tongren_schema.FIELDS)
    assert all(field.meaning for field in tongren_schema.FIELDS)
    assert {field.tier for field in tongren_schema.FIELDS} == {"T1", "T2", "T3", "T4"}
    assert set(tongren_schema.TIERS) == {"T0", "T1", "T2", "T3", "T4"}
    for field in ("id_number", "phone", "plate"):
        assert tiers["residents", field].tier == "T1"
        assert tiers["residents", field].sources == "A"
    table = tongren_schema.table()
    assert list(table.columns[:2]) == ["table", "field"]
    assert len(table) == len(tiers)


# The same again


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    residents=st.integers(160, 400),
    names=st.lists(st.sampled_from(DATABASES), min_size=1, unique=True),
)
def test_the_same_arguments_give_the_same_rows(seed, residents, names):
    once, again = (sample(seed, residents, 2, names) for _ in range(2))
    assert list(once) == names
    assert once == again
    other = sample(seed ^ 1, residents, 2, names)
    assert not any(other[name]["passages"].equals(once[name]["passages"]) for name in names)
    assert counts(once)["residents"] == residents


def test_fewer_days_are_the_last_ones(records):
    for days in (1, 2):
        for name, tables in sample(days=days).items():
            whole, part = records[name]["passages"], tables["passages"]
            last = whole.slice(len(whole) - len(part))
            assert part.drop_columns("passage").equals(last.drop_columns("passage"))
            assert part["passage"].to_pylist() == list(range(1, len(part) + 1))
    many = sample(residents=400, days=7)
    starts = [tables["passages"]["at"][0].as_py() for tables in many.values()]
    assert {f"{start:%Y-%m-%d}" for start in starts} <= {"2020-08-09", "2020-08-10"}


def test_the_committed_sample_is_what_the_generator_makes(records, tmp_path):
    assert tongren.read(COMMITTED) == records, (
        "datasets/tongren differs: run python -m leftopen.synth.tongren datasets/tongren"
    )
    assert tongren.read(COMMITTED) != sample(seed=tongren.DEFAULT_SEED + 1)
    assert sorted(path.stem for path in COMMITTED.iterdir()) == sorted(TABLES)


def test_two_runs_give_the_same_bytes(tmp_path):
    first, second = (
        tongren.write(tmp_path / name, 400, 2, seed=9, progress=False) for name in "ab"
    )
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    kept = [path.stat().st_mtime_ns for path in first]
    tongren.write(tmp_path / "a", 400, 2, seed=9, progress=False)
    assert [path.stat().st_mtime_ns for path in first] == kept
    tongren.write(tmp_path / "a", 400, 2, seed=10, progress=False)
    assert first[3].read_bytes() != second[3].read_bytes()


def test_what_is_written_comes_back(tmp_path):
    paths = tongren.write(tmp_path, 200, 3, seed=5, progress=False)
    assert [path.stem for path in paths] == list(TABLES)
    assert tongren.read(tmp_path) == sample(5, 200, 3)
    assert list(tongren.read(tmp_path, ["doors_3"])) == ["doors_3"]


def test_a_file_that_is_missing_or_damaged_is_told(tmp_path):
    paths = tongren.write(tmp_path, 200, 1, progress=False)
    paths[1].write_bytes(b"mine")
    with pytest.raises(DataError, match=r"residents\.parquet cannot be read\. Run the course"):
        tongren.read(tmp_path)
    paths[1].unlink()
    with pytest.raises(DataError, match=r"residents\.parquet cannot be read\. Run the course"):
        tongren.read(tmp_path)


def test_the_datasheet_says_how_many(records):
    text = (COMMITTED.parent / "README.md").read_text()
    told = dict(re.findall(r"^\| `tongren/(\w+)\.parquet` \| ([\d,]+) \|", text, re.MULTILINE))
    assert told == {table: f"{rows:,}" for table, rows in counts(records).items()}


def test_the_command_writes_what_was_asked_for(tmp_path, monkeypatch, capsys):
    words = ["data", "tongren", "--residents", "200", "--days", "2", "--out", str(tmp_path)]
    assert cli.main([*words, "--seed", "5"]) == 0
    assert str(tmp_path / "passages.parquet") in capsys.readouterr().out
    assert tongren.read(tmp_path) == sample(5, 200, 2)
    asked = []
    monkeypatch.setattr(tongren, "write", lambda *wanted, seed: asked.append((*wanted, seed)) or [])
    assert cli.main(["data", "tongren"]) == 0
    ((_, *wanted),) = asked
    assert wanted == [tongren.SAMPLE_RESIDENTS, tongren.SAMPLE_DAYS, tongren.DEFAULT_SEED]


@pytest.mark.parametrize(
    "wish",
    [
        {"residents": 159},
        {"residents": 120_001},
        {"residents": 200.5},
        {"days": 0},
        {"days": 32},
        {"seed": -1},
        {"seed": 2**64},
    ],
)
def test_impossible_numbers(tmp_path, wish):
    with pytest.raises(DataError, match="choose a whole number from"):
        sample(**wish)
    if "days" not in wish:
        with pytest.raises(DataError, match="choose a whole number from"):
            later_passages(**wish)
    with pytest.raises(DataError, match="choose a whole number from"):
        tongren.write(tmp_path / "out", **wish)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [(), ("doors_5",), ("doors_1", "postgres")])
def test_other_databases_are_refused(names):
    with pytest.raises(DataError, match="There are: doors_1, doors_2, doors_3, doors_4"):
        sample(databases=names)


def test_the_outermost_possible_numbers():
    assert counts(sample(2**64 - 1, 40, 1, ["doors_4"]))["residents"] == 40
    (tables,) = sample(0, 30_000, 1, ["doors_4"]).values()
    assert len(tables["residents"]) == 30_000
    assert all(
        re.fullmatch(r"[A-X]\d\d", name) for name in tables["buildings"]["building"].to_pylist()
    )


# What comes later


def test_later_passages_go_on_where_the_sample_ends(records):
    made = list(islice(later_passages(), 30_000))
    assert made == list(islice(later_passages(), 30_000))
    times = [row["at"] for _, row in made]
    assert times == sorted(times)
    # Monday begins at 16 h UTC on Sunday, where the clocks are eight hours ahead.
    assert f"{times[0]:%Y-%m-%dT%H}" >= "2020-08-16T16"
    assert f"{times[0]:%Y-%m-%d}" <= "2020-08-17"
    assert (times[-1] - times[0]).days >= 3, "a day does not end the stream"
    columns = records["doors_1"]["passages"].column_names
    assert {name for name, _ in made} == set(DATABASES)
    for name, row in made:
        assert [*row] == columns[1:]
        assert row["building"] in records[name]["buildings"]["building"].to_pylist()
    assert made != list(islice(later_passages(seed=1), 30_000))
