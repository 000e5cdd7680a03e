"""A question that is begun again: the same beginning, nothing of the first try, one start less."""

import json

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen import checks
from leftopen.cases import sensenets
from leftopen.engines import kept

FILES = {"log": b"a line\n", "data/empty": b"", "data/deep/table": b"\0head\0tail" + bytes(5000)}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(kept, "_kept", {})


def fill(folder):
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "secret.conf").write_text("is not kept")


def test_what_is_put_back_is_what_was_kept_to_the_byte(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    fill(old)
    new.mkdir()
    with kept.same("a question"):
        kept.keep(old, ("data", "log"), "mongod")
    with kept.same("a question"):
        kept.put_back(kept.recall("mongod"), new)
    found = {p.relative_to(new).as_posix(): p.read_bytes() for p in new.rglob("*") if p.is_file()}
    assert found == FILES


def test_only_what_begins_alike_is_recalled(tmp_path):
    fill(tmp_path)
    kept.keep(tmp_path, ("data",), "mongod")
    assert kept.recall("mongod") is None  # outside of a question nothing is kept
    with kept.same("a question"):
        kept.keep(tmp_path, ("data",), "mongod", "locked")
        assert kept.recall("mongod", "locked")
        assert kept.recall("mongod", "open") is None
    assert kept.recall("mongod", "locked") is None
    with kept.same("the same question for another learner"):
        assert kept.recall("mongod", "locked") is None


def test_the_oldest_goes_before_memory_is_full(tmp_path):
    fill(tmp_path)
    for number in range(kept._MOST + 1):
        with kept.same(f"question {number}"):
            kept.keep(tmp_path, ("data",))
    with kept.same("question 0"):
        assert kept.recall() is None
    with kept.same(f"question {kept._MOST}"):
        assert kept.recall()


def contents(client):
    """Accounts, roles and documents of a server."""
    found = {"accounts": client.admin.command("usersInfo", {"forAllDBs": True})["users"]}
    for name in client.list_database_names():
        found[f"roles of {name}"] = client[name].command("rolesInfo", 1)["roles"]
        for collection in sorted(client[name].list_collection_names()):
            if not collection.startswith("system.") and name not in ("config", "local"):
                found[f"{name}.{collection}"] = list(client[name][collection].find().sort("_id"))
    return found


def starts(lab):
    lines = [json.loads(line) for line in lab.log.read_text().splitlines() if line]
    return sum(line["id"] == 23016 for line in lines)  # "Waiting for connections"


@pytest.mark.needs("mongodb")
def test_a_question_begun_again_is_as_it_began_and_loads_nothing(monkeypatch):
    loads = []
    sample = sensenets.sample
    monkeypatch.setattr(sensenets, "sample", lambda *size: loads.append(size) or sample(*size))
    ex = checks.exercise("08_give_each_role_its_part")
    try:
        task = ex.task(3)
        account = task["administrator"], task["password"]
        first = ex.lab(3)
        with MongoClient(first.inside.uri_as(*account)) as client:
            began = contents(client)
            client.sensenets.people.delete_many({})
            client.admin.command("createUser", "mine", pwd="a b c d", roles=["root"])
            client.admin.command("dropUser", account[0])
        again = ex.lab(3)
        assert again.server_pid != first.server_pid
        with MongoClient(again.inside.uri_as(*account)) as client:
            assert contents(client) == began
        with (
            MongoClient(again.inside.uri) as nobody,
            pytest.raises(OperationFailure, match="requires authentication"),
        ):
            nobody.sensenets.people.find_one()
        assert again.is_as_found
        assert starts(again) == 2  # the log tells the same as the first time
        assert len(loads) == 1
        ex.lab(2)
        assert len(loads) == 2  # another question has another beginning
    finally:
        ex.close()
