"""The smart city's invented data: whole, the same again, and as it is written."""

import json
import re
from collections import defaultdict
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen import cli
from leftopen.cases import smart_city_schema
from leftopen.errors import DataError
from leftopen.synth import picture, smart_city
from leftopen.synth.smart_city import MAPPINGS, kind_of, later_events, sample

COMMITTED = Path(__file__).resolve().parents[1] / "datasets" / "smart_city"


@pytest.fixture(scope="module")
def indices():
    return sample()


@pytest.fixture(scope="module")
def documents(indices):
    return by_kind(indices)


def by_kind(indices):
    """Kind of index -> its documents of all months, in order of time."""
    found = defaultdict(list)
    for index, rows in indices.items():
        found[kind_of(index)] += rows
    return found


def without_ids(rows):
    return [{name: row[name] for name in row if name != "_id"} for row in rows]


# What there is


def test_the_indices_are_those_of_three_months(indices):
    months = [f"2019.{month:02}" for month in (2, 3, 4)]
    events = [f"{kind}-{month}" for kind in ("faces", "devices", "alarms") for month in months]
    assert list(indices) == ["residents", "watchlist", *events]
    for index in events:
        month = index.split("-")[1].replace(".", "-")
        assert all(document["at"].startswith(month) for document in indices[index])


def test_there_are_as_many_as_the_datasheet_says(documents):
    assert len(documents["residents"]) == 400
    assert len(documents["watchlist"]) == 24
    assert 7_000 < len(documents["faces"]) < 9_000
    assert 7_000 < len(documents["devices"]) < 9_000
    assert 250 < len(documents["alarms"]) < 350
    unmatched = sum(face["resident"] is None for face in documents["faces"])
    assert 0.3 < unmatched / len(documents["faces"]) < 0.37


def test_the_documents_have_the_fields_of_the_mapping_and_of_the_schema(documents):
    told = {
        kind: {
            field.field: field.type
            for field in smart_city_schema.FIELDS
            if field.collection == kind
        }
        for kind in MAPPINGS
    }
    for kind, properties in MAPPINGS.items():
        types = {name: field["type"] for name, field in properties.items()}
        assert told[kind] == {"_id": "_id", **types}
        for document in documents[kind]:
            assert list(document) == ["_id", *properties]


def fits(value, kind):
    """Whether a value is one that a field of this type takes."""
    if kind == "date":
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value))
    python = {"keyword": str, "text": str, "integer": int, "boolean": bool}[kind]
    return type(value) is python


def test_each_value_has_the_type_of_its_mapping(documents):
    may_be_missing = {"resident", "name", "idNumber", "group", "reason"}
    for kind, properties in MAPPINGS.items():
        for name, field in properties.items():
            values = [document[name] for document in documents[kind]]
            if kind == "faces" and name in may_be_missing:
                values = [value for value in values if value is not None]
            assert values
            assert all(fits(value, field["type"]) for value in values)
    assert not fits(True, "integer")
    assert not fits("2019-04-30 07:12:05", "date")


def test_a_note_can_be_searched_and_counted():
    for kind in ("faces", "alarms"):
        assert MAPPINGS[kind]["note"]["fields"]["keyword"] == {"type": "keyword"}


def test_the_tiers_are_those_of_the_facts():
    tiers = {(field.collection, field.field): field for field in smart_city_schema.FIELDS}
    assert len(tiers) == len(smart_city_schema.FIELDS)
    assert all(field.meaning for field in smart_city_schema.FIELDS)
    assert set(smart_city_schema.TIERS) == {field.tier for field in smart_city_schema.FIELDS}
    for name in ("group", "watchlistHit", "reason"):
        assert tiers["faces", name].tier == "T0"
    for place in (("faces", "idNumber"), ("devices", "imsi"), ("devices", "imei")):
        assert tiers[place].tier == "T1"
    assert {field.tier for (kind, _), field in tiers.items() if kind == "alarms"} == {"T4"}
    # The register is ours; what the sources name is in the events and the watchlist.
    assert not any(field.sources for (kind, _), field in tiers.items() if kind == "residents")
    assert "M" in tiers["watchlist", "reason"].sources
    table = smart_city_schema.table()
    assert list(table.columns[:2]) == ["index", "field"]
    assert len(table) == len(tiers)


# The same again


def test_the_same_arguments_give_the_same_documents_and_json_keeps_them(indices):
    again = sample()
    assert again == indices
    assert json.loads(json.dumps(again)) == indices
    other = sample(seed=smart_city.DEFAULT_SEED + 1)
    assert not [index for index in indices if other.get(index) == indices[index]]


def test_fewer_days_are_the_last_ones(indices):
    few = sample(days=33)
    assert list(few)[2:4] == ["faces-2019.03", "faces-2019.04"]
    for index in indices.keys() & few.keys():
        assert few[index] == indices[index][-len(few[index]) :]
    assert min(face["at"] for face in few["faces-2019.03"])[:10] == "2019-03-29"
    assert "faces-2019.03" not in sample(days=30)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), people=st.integers(1, 130))
def test_fewer_people_have_the_same_papers_and_are_seen_at_the_same_times(seed, people):
    many, few = sample(seed, 130, 3), sample(seed, people, 3)
    assert few["residents"] == many["residents"][:people]
    listed = {resident["name"] for resident in few["residents"]}
    assert few["watchlist"] == [entry for entry in many["watchlist"] if entry["name"] in listed]
    seen = [face for face in many["faces-2019.04"] if face["name"] in listed]
    found = [face for face in few["faces-2019.04"] if face["name"]]
    assert without_ids(found) == without_ids(seen)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_every_document_has_an_id_of_its_own_and_stands_in_order_of_time(seed):
    for index, rows in sample(seed, 120, 14).items():
        assert len({row["_id"] for row in rows}) == len(rows)
        if kind_of(index) == "residents":
            assert [row["_id"] for row in rows] == list(range(1, 121))
        else:
            times = [row.get("at") or row["addedOn"] for row in rows]
            assert times == sorted(times)


def test_the_committed_sample_is_what_the_generator_makes(indices):
    assert smart_city.read(COMMITTED) == indices, (
        "datasets/smart_city differs: run python -m leftopen.synth.smart_city datasets/smart_city"
    )
    assert sorted(path.stem for path in COMMITTED.iterdir()) == sorted(MAPPINGS)


def test_the_datasheet_says_how_many_and_when(documents):
    text = (COMMITTED.parent / "README.md").read_text()
    told = dict(re.findall(r"^\| `smart_city/(\w+)\.parquet` \| ([\d,]+) \|", text, re.MULTILINE))
    assert told == {kind: f"{len(rows):,}" for kind, rows in documents.items()}
    for name, means in picture.scans_by_hour().items():
        (row,) = re.findall(rf"^\| face scans on a .*{name}.*mean \|(.*)\|$", text, re.MULTILINE)
        bins = [sum(means[:6]), *(sum(means[hour : hour + 3]) for hour in range(6, 24, 3))]
        assert [int(cell) for cell in row.split("|")] == [round(each) for each in bins]
        assert sum(bins) > 50


def test_the_picture_is_drawn_the_same_again(tmp_path):
    first, second = (picture.draw(tmp_path).read_bytes() for _ in range(2))
    assert first == second
    for drawn in (first, (COMMITTED.parent / picture.FILE).read_bytes()):
        assert b"On working days people leave early" in drawn
        assert b"<image" not in drawn


def test_what_is_written_comes_back(tmp_path):
    paths = smart_city.write(tmp_path, 30, 40, seed=5, progress=False)
    assert [path.stem for path in paths] == list(MAPPINGS)
    assert smart_city.read(tmp_path) == sample(5, 30, 40)
    assert str(pq.read_schema(paths[2]).field("at").type) == "timestamp[ms, tz=UTC]"


def test_a_file_that_is_missing_or_damaged_is_told(tmp_path):
    paths = smart_city.write(tmp_path, 30, 2, progress=False)
    paths[3].write_bytes(b"mine")
    with pytest.raises(DataError, match=r"devices\.parquet cannot be read\. Run the course"):
        smart_city.read(tmp_path)
    paths[3].unlink()
    with pytest.raises(DataError, match=r"devices\.parquet cannot be read\. Run the course"):
        smart_city.read(tmp_path)


def test_the_command_writes_what_was_asked_for(tmp_path, monkeypatch, capsys):
    words = ["data", "smart_city", "--people", "30", "--days", "5", "--out", str(tmp_path)]
    assert cli.main([*words, "--seed", "5"]) == 0
    assert str(tmp_path / "faces.parquet") in capsys.readouterr().out
    assert smart_city.read(tmp_path) == sample(5, 30, 5)
    asked = []
    monkeypatch.setattr(
        smart_city, "write", lambda *wanted, seed: asked.append((*wanted, seed)) or []
    )
    assert cli.main(["data", "smart_city"]) == 0
    (wanted,) = asked
    assert wanted[1:] == (smart_city.SAMPLE_PEOPLE, smart_city.SAMPLE_DAYS, smart_city.DEFAULT_SEED)


@pytest.mark.parametrize(
    "wish",
    [
        {"people": 0},
        {"people": 5_001},
        {"people": 2.5},
        {"days": 0},
        {"days": 90},
        {"seed": -1},
        {"seed": 2**64},
    ],
)
def test_impossible_numbers(tmp_path, wish):
    with pytest.raises(DataError, match="choose a whole number from"):
        sample(**wish)
    if "days" not in wish:
        with pytest.raises(DataError, match="choose a whole number from"):
            later_events(**wish)
    with pytest.raises(DataError, match="choose a whole number from"):
        smart_city.write(tmp_path / "out", **wish)
    assert not (tmp_path / "out").exists()


def test_the_outermost_possible_numbers():
    least = sample(2**64 - 1, 1, 1)
    assert len(least["residents"]) == 1
    assert {kind_of(index) for index in least} == set(MAPPINGS), "an empty index is one, too"
    assert len(sample(0, 5_000, 1)["residents"]) == 5_000


# What comes later


def test_later_events_go_on_where_the_sample_ends(indices):
    made = list(islice(later_events(), 8_000))
    assert made == list(islice(later_events(), 8_000))
    times = [event["at"] for _, event in made]
    assert times == sorted(times)
    assert times[0].startswith("2019-05-01T")
    assert {index for index, _ in made} >= {"faces-2019.05", "devices-2019.05", "alarms-2019.05"}
    assert times[-1] > "2019-06-01", "a month does not end the stream"
    assert all(index == f"{kind_of(index)}-{e['at'][:7].replace('-', '.')}" for index, e in made)
    names = {resident["name"]: resident["idNumber"] for resident in indices["residents"]}
    faces = [event for index, event in made if kind_of(index) == "faces" and event["name"]]
    assert all(names[face["name"]] == face["idNumber"] for face in faces)
    by_index = defaultdict(list)
    for index, event in made:
        by_index[index].append(event["_id"])
    assert all(len(set(ids)) == len(ids) for ids in by_index.values())
    assert made != list(islice(later_events(seed=1), 8_000))
    for index, event in made:
        assert list(event) == ["_id", *MAPPINGS[kind_of(index)]]
