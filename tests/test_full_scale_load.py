"""The full scale in mongod, made small: every document read back, every trouble one sentence."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter

import pyarrow.parquet as pq
import pytest
from bson import CodecOptions
from pymongo import MongoClient
from trouble import kill

from leftopen.cases import full_scale_load, full_scale_rows, sensenets
from leftopen.cases.full_scale_load import FULL_DATABASE, load_full
from leftopen.errors import DataError, EngineFailed
from leftopen.synth.sensenets import write

pytestmark = pytest.mark.needs("mongodb")
PEOPLE, POSITIONS, TRACKERS = 1_500, 6_000, 52
COUNTS = {"trackers": TRACKERS, "people": PEOPLE, "positions": POSITIONS}
GROUP = 700
UTC_TIMES = CodecOptions(tz_aware=True)


@pytest.fixture(scope="module", autouse=True)
def small_groups():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_scale_rows, "GROUP", GROUP)
        yield


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    write(folder, PEOPLE, POSITIONS, progress=False)
    return folder


@pytest.fixture(scope="module")
def running():
    lab = sensenets.small_lab(5, people=3, positions=3)
    yield lab
    lab.close()


@pytest.fixture
def lab(running):
    if not running.is_running:
        running.restart()
    with MongoClient(running.inside.uri) as client:
        client.drop_database(FULL_DATABASE)
    return running


@pytest.fixture
def full(lab):
    """The database of the full scale, through a client of the test's own."""
    with MongoClient(lab.inside.uri) as client:
        yield client.get_database(FULL_DATABASE, UTC_TIMES)


def rows(folder, name):
    """The rows of a file as dictionaries, by pyarrow; positions in order of time."""
    found = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return sorted(found, key=lambda row: row["at"]) if name == "positions" else found


def load(lab, folder, **more):
    """The loader's table as dictionaries: there before, sent now, equal; by collection."""
    table = load_full(lab, folder, progress=False, **more)
    assert list(table.columns) == ["there before", "sent now", "read back and equal"]
    return tuple(table[column].to_dict() for column in table.columns)


def told(error, *arguments, **more):
    """The sentence of the error that a call ends in."""
    with pytest.raises(error) as caught:
        load_full(*arguments, progress=False, **more)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert message.count(". ") <= 2, "a cause, and the next step"
    return message


def is_whole(full, folder):
    """Whether the database holds each row of the files, in order, and nothing else."""
    for name in COUNTS:
        found = list(full[name].find())
        if name == "positions":
            assert len({position.pop("_id") for position in found}) == len(found)
        if found != rows(folder, name):
            return False
    return True


# Right


def test_every_document_is_its_row_and_the_sample_stays(lab, full, town):
    before, sent, equal = load(lab, town)
    assert set(before.values()) == {0}
    assert sent == equal == COUNTS
    assert is_whole(full, town)
    assert full.client[sensenets.DATABASE].people.count_documents({}) == 3


def test_documents_are_of_the_form_of_the_sample(lab, full, town):
    load(lab, town)
    sample = full.client.get_database(sensenets.DATABASE, UTC_TIMES)
    for name in COUNTS:
        kinds, sample_kinds = (
            [(key, type(value)) for key, value in database[name].find_one().items()]
            for database in (full, sample)
        )
        assert kinds == sample_kinds
        assert [index["name"] for index in full[name].list_indexes()] == ["_id_"]
    for position in full.positions.find().limit(100):
        assert position["_id"].generation_time == position["at"].replace(microsecond=0)


def test_a_second_run_only_compares(lab, full, town):
    load(lab, town)
    before, sent, equal = load(lab, town)
    assert before == equal == COUNTS
    assert set(sent.values()) == {0}


@pytest.mark.parametrize("there", [1, GROUP - 1, GROUP, GROUP + 1, PEOPLE - 1])
def test_a_part_is_recognised_wherever_it_ends(lab, full, town, there):
    load(lab, town)
    full.people.delete_many({"_id": {"$gt": there}})
    full.positions.drop()
    before, sent, equal = load(lab, town)
    assert before == {"trackers": TRACKERS, "people": there, "positions": 0}
    assert sent == {"trackers": 0, "people": PEOPLE - there, "positions": POSITIONS}
    assert equal == COUNTS
    assert is_whole(full, town)


def test_towns_without_positions(lab, tmp_path):
    write(tmp_path, 10, 0, progress=False)
    assert load(lab, tmp_path)[2]["positions"] == 0


def test_the_bar_is_shown_on_stderr_if_it_is_wanted(lab, town, capfd):
    load_full(lab, town)
    out, err = capfd.readouterr()
    assert "positions: reading back" in err
    assert not out
    load_full(lab, town, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_server_that_was_locked_is_told_and_one_that_is_locked_later_keeps_all(town):
    def accounts(client):
        role = [{"role": "readWrite", "db": FULL_DATABASE}]
        client.admin.command("createUser", "reader", pwd="long enough: 17", roles=role)

    lab = sensenets.small_lab(5, prepare=accounts, people=3, positions=3)
    try:
        load(lab, town)
        lab.configure("security:\n  authorization: enabled\n")
        assert "asks for a login" in told(EngineFailed, lab, town)
        with MongoClient(lab.inside.uri_as("reader", "long enough: 17")) as client:
            assert is_whole(client.get_database(FULL_DATABASE, UTC_TIMES), town)
        files = lab.certificates
        lab.configure(
            f"net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: {files.server}\n"
        )
        assert "or for TLS" in told(EngineFailed, lab, town)
    finally:
        lab.close()


# Interrupted


@pytest.mark.parametrize("where", ["groups", "_insert", "_is_equal"])
@pytest.mark.parametrize("after", [2, 5, 9])
def test_an_interrupted_load_goes_on(lab, full, town, monkeypatch, where, after):
    calls = Counter()
    owner = full_scale_rows.Rows if where == "groups" else full_scale_load._Load
    whole = getattr(owner, where)

    def interrupted(*arguments):
        calls[where] += 1
        if calls[where] == after:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(owner, where, interrupted)
    try:
        load(lab, town)
    except KeyboardInterrupt:
        pass
    else:
        assert where != "_insert"
        return  # it has fewer of these calls
    monkeypatch.undo()
    there = {name: full[name].count_documents({}) for name in COUNTS}
    before, sent, equal = load(lab, town)
    assert before == there
    assert {name: before[name] + sent[name] for name in COUNTS} == equal == COUNTS
    assert is_whole(full, town)


def test_a_server_that_is_killed_under_way(lab, full, town, monkeypatch):
    insert, calls = full_scale_load._Load._insert, []

    def killing(self, *arguments):
        calls.append(self)
        if len(calls) == 6:
            kill(lab)
        return insert(self, *arguments)

    monkeypatch.setattr(full_scale_load._Load, "_insert", killing)
    message = told(EngineFailed, lab, town)
    assert message.startswith("mongod stopped")
    assert "lab.restart()" in message
    monkeypatch.undo()
    assert "does not run" in told(EngineFailed, lab, town)
    lab.restart()
    before, sent, equal = load(lab, town)
    assert before["trackers"] == TRACKERS, "the journal had them"
    assert {name: before[name] + sent[name] for name in COUNTS} == equal == COUNTS


def test_what_came_in_meanwhile_is_compared_and_not_refused(lab, full, town, monkeypatch):
    load(lab, town)
    full.people.delete_many({"_id": {"$gt": 1_000}})
    monkeypatch.setattr(full_scale_load._Load, "compare_what_is_there", lambda self: None)
    load(lab, town)
    assert is_whole(full, town)


# Wrong


@pytest.mark.parametrize("number", [1, 2, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, PEOPLE])
def test_one_changed_document_is_seen(lab, full, town, number):
    load(lab, town)
    full.people.update_one({"_id": number}, {"$set": {"sex": "Female"}})
    message = told(DataError, lab, town)
    assert message.startswith(f"Document {number:,} of {FULL_DATABASE}.people is not the one of ")
    assert full.people.find_one({"_id": number})["sex"] == "Female", "nothing is put right"


TROUBLES = {
    "one too few": lambda people: people.delete_one({"_id": 800}),
    "one more": lambda people: people.insert_one({"_id": PEOPLE + 1}),
    "one of another kind behind": lambda people: people.insert_one({"_id": "x"}),
    "one of another kind before": lambda people: people.insert_one({"_id": None}),
    "a field more": lambda people: people.update_one({"_id": 9}, {"$set": {"more": 1}}),
    "a field fewer": lambda people: people.update_one({"_id": 9}, {"$unset": {"photo": 1}}),
    "another type": lambda people: people.update_one({"_id": 9}, [{"$set": {"name": 1.0}}]),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_other_documents_are_refused(lab, full, town, trouble):
    load(lab, town)
    TROUBLES[trouble](full.people)
    count = full.people.count_documents({})
    assert FULL_DATABASE in told(DataError, lab, town)
    assert full.people.count_documents({}) == count


def test_another_town_is_refused_and_nothing_is_sent(lab, full, town, tmp_path):
    write(tmp_path, PEOPLE, POSITIONS, seed=6, progress=False)
    load(lab, tmp_path)
    assert "other documents were there already" in told(DataError, lab, town)
    assert is_whole(full, tmp_path)


@pytest.mark.parametrize("change", ["update", "delete", "insert"])
def test_a_document_that_comes_back_otherwise(lab, full, town, monkeypatch, change):
    insert = full_scale_load._Load._insert

    def meddling(self, group, is_last):
        sent = insert(self, group, is_last)
        if self.rows.name == "positions" and is_last:
            if change == "update":
                full.positions.update_one({"person": {"$gt": 700}}, {"$inc": {"tracker": 1}})
            elif change == "delete":
                full.positions.delete_one(
                    {"_id": full.positions.find_one(sort=[("_id", -1)])["_id"]}
                )
            else:
                full.positions.insert_one({"person": 1})
        return sent

    monkeypatch.setattr(full_scale_load._Load, "_insert", meddling)
    message = told(DataError, lab, town)
    words = {
        "update": "came back otherwise than it was sent",
        "delete": f"1 of {POSITIONS:,} positions did not come back",
        "insert": "There are more documents",
    }
    assert words[change] in message


def test_the_wrong_lab(lab, town, monkeypatch):
    for wrong in (None, "sensenets", lab.inside.uri):
        assert "open_case('sensenets')" in told(DataError, wrong, town)
    monkeypatch.setattr(lab, "name", "tongren_doors")
    assert "open_case('sensenets')" in told(DataError, lab, town)


def test_too_little_disk_is_said_before_anything_is_sent(lab, full, town, monkeypatch):
    monkeypatch.setitem(full_scale_load.DISK_BYTES, "people", 10**12)
    assert "takes about 1500000.0 GB of disk" in told(EngineFailed, lab, town)
    assert full.list_collection_names() == []


def test_a_disk_that_fills_under_way(town, tmp_path, monkeypatch):
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a small disk is made with tmpfs, which only root on Linux can mount")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a small disk")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lab = None
    try:
        lab = sensenets.small_lab(5, people=3, positions=3)
        filled, insert = tmp_path / "filled", full_scale_load._Load._insert

        def filling(self, *arguments):
            if self.rows.name == "positions" and not filled.exists():
                with contextlib.suppress(OSError), filled.open("wb", 0) as file:
                    while file.write(bytes(1 << 16)):
                        pass
            return insert(self, *arguments)

        monkeypatch.setattr(full_scale_load._Load, "_insert", filling)
        message = told(EngineFailed, lab, town)
        assert f"{lab.log.parent} is full: free some" in message
        assert "lab.restart()" in message
        filled.unlink()
        monkeypatch.setattr(full_scale_load._Load, "_insert", insert)
        lab.restart()
        assert load(lab, town)[2] == COUNTS
    finally:
        if lab:
            lab.close()
        subprocess.run(["umount", str(tmp_path)], check=True)
