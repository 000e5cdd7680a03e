"""The files of the full scale: in which order their rows are read, and which files are refused."""

import shutil

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leftopen.cases import full_scale_rows
from leftopen.cases.full_scale_rows import find
from leftopen.errors import DataError
from leftopen.synth.sensenets import write

PEOPLE, POSITIONS = 1_500, 6_000


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    write(folder, PEOPLE, POSITIONS, progress=False)
    return folder


def read(folder, start=0):
    """All documents of a folder's files, by collection, from one row on."""
    return {
        rows.name: [each for group in rows.groups(start) for each in group.each()]
        for rows in find(folder)
    }


def told(folder):
    """The sentence of the DataError in which reading a folder ends."""
    with pytest.raises(DataError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_positions_come_in_order_of_time_and_equal_times_in_that_of_the_file(town):
    found = [bson.decode(document) for document in read(town)["positions"]]
    moments = [position["at"] for position in found]
    assert moments == sorted(moments)
    ids = [position["_id"] for position in found]
    assert ids == sorted(set(ids))
    by_time = sorted(found, key=lambda position: (position["at"], position["person"]))
    assert [position["person"] for position in by_time] == [each["person"] for each in found]


@pytest.mark.parametrize("group", [1_000, 7, 5_999, 100_000])
def test_the_documents_are_the_same_in_groups_of_any_size(town, monkeypatch, group):
    whole = read(town)
    monkeypatch.setattr(full_scale_rows, "GROUP", group)
    assert read(town) == whole


@pytest.mark.parametrize("start", [1, 52, 777, 1_499, 1_500, 6_000])
def test_reading_begins_at_any_row(town, start):
    assert read(town, start) == {name: all_[start:] for name, all_ in read(town).items()}


def test_two_towns_have_no_id_of_a_position_in_common(town, tmp_path):
    write(tmp_path, PEOPLE, POSITIONS, seed=6, progress=False)
    ids = [{bson.decode(d)["_id"] for d in read(one)["positions"]} for one in (town, tmp_path)]
    assert not set.intersection(*ids)


@pytest.mark.parametrize("name", ["people", "positions", "trackers"])
def test_a_file_that_is_not_there(town, tmp_path, name):
    shutil.copytree(town, tmp_path, dirs_exist_ok=True)
    (tmp_path / f"{name}.parquet").rename(tmp_path / f"{name}.parquet.1.part")
    message = told(tmp_path)
    assert message.startswith(f"There is no {name}.parquet in {tmp_path}")
    assert "full_scale()" in message
    assert f"There is no trackers.parquet in {tmp_path / 'no'}" in told(tmp_path / "no")


def broken(path, how):
    """Break a file in one way."""
    content = path.read_bytes()
    if how == "half":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("_id,name\n1,x\n")
    elif how == "inside":
        path.write_bytes(content[:100] + bytes(3_000) + content[3_100:])
    elif how == "not ours":
        pq.write_table(pa.table({"_id": [1]}), path)
    elif how == "other columns":
        table = pq.read_table(path)
        renamed = table.select(table.schema.names[:-1])
        pq.write_table(renamed.replace_schema_metadata(table.schema.metadata), path)


@pytest.mark.parametrize("name", ["people", "positions"])
@pytest.mark.parametrize("how", ["half", "empty", "text", "inside", "not ours", "other columns"])
def test_a_damaged_file(town, tmp_path, name, how):
    shutil.copytree(town, tmp_path, dirs_exist_ok=True)
    broken(tmp_path / f"{name}.parquet", how)
    message = told(tmp_path)
    assert f"{name}.parquet is damaged, half-written or not of this case" in message


def test_files_of_two_towns(town, tmp_path):
    write(tmp_path, PEOPLE, POSITIONS, seed=6, progress=False)
    shutil.copy(town / "positions.parquet", tmp_path)
    assert "different towns" in told(tmp_path)


def test_too_many_positions(town, monkeypatch):
    monkeypatch.setattr(full_scale_rows, "MOST_POSITIONS", POSITIONS - 1)
    assert "At most 5,999 positions" in told(town)
