"""Dumps of MongoDB and restores: whole or not at all, and never over what is there."""

import pytest
from bson import encode
from half_done import full_disk, interrupt_all, one_sentence
from pymongo import MongoClient

from leftopen import backup, loopback
from leftopen.backup import mongodb
from leftopen.cases import sensenets
from leftopen.errors import DataError

NAME = "dumped"


@pytest.fixture(scope="module")
def mongo():
    lab = sensenets.small_lab(seed=1)
    with MongoClient(lab.inside.uri) as client:
        yield client
    lab.close()


@pytest.fixture
def database(mongo):
    """A database with one of each that a dump must not lose."""
    mongo.drop_database(NAME)
    database = mongo[NAME]
    database["people/a b%"].insert_many([{"_id": n, "name": f"n{n}"} for n in range(50)])
    database["people/a b%"].create_index("name", unique=True, name="by name")
    partial = {"n": {"$gt": 5}}
    database["people/a b%"].create_index([("n", -1)], partialFilterExpression=partial)
    rule = {"$jsonSchema": {"required": ["ok"]}}
    database.create_collection("strict", validator=rule, validationAction="error")
    database["strict"].insert_one({"_id": 1}, bypass_document_validation=True)
    database.create_collection("ring", capped=True, size=4096)
    database.create_collection("empty")
    view = [{"$project": {"name": 1}}]
    database.command({"create": "all names", "viewOn": "people/a b%", "pipeline": view})
    yield database
    mongo.drop_database(NAME)


def everything(database):
    """Documents, options and indexes of a database."""
    found = {}
    for entry in database.list_collections():
        name = entry["name"]
        if name.startswith("system."):
            continue
        found[name] = (
            entry["options"],
            sorted(database[name].find(), key=str),
            database[name].index_information() if entry["type"] == "collection" else None,
        )
    return found


@pytest.mark.needs("mongodb")
def test_mongodb_comes_back_with_indexes_options_and_views(database, tmp_path):
    before = everything(database)
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    database.client.drop_database(NAME)
    counts = backup.restore_mongodb(tmp_path / "dump", database.client, NAME)
    assert everything(database) == before
    assert counts == {"people/a b%": 50, "strict": 1, "ring": 0, "empty": 0}


@pytest.mark.needs("mongodb")
def test_mongodb_comes_back_under_another_name(database, tmp_path):
    before = everything(database)
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    backup.restore_mongodb(tmp_path / "dump", database.client, "drill")
    assert everything(database.client["drill"]) == before
    database.client.drop_database("drill")


@pytest.mark.needs("mongodb")
def test_the_files_of_a_dump_are_those_that_mongodump_writes(database, tmp_path):
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump", accounts=True)
    expected = b"".join(encode(document) for document in database["people/a b%"].find())
    stem = "people%2Fa b%25"
    assert (tmp_path / "dump" / NAME / f"{stem}.bson").read_bytes() == expected
    assert (tmp_path / "dump" / NAME / f"{stem}.metadata.json").is_file()
    assert (tmp_path / "dump" / "admin" / "system.users.bson").is_file()


@pytest.mark.needs("mongodb")
def test_accounts_and_roles_come_back_with_their_passwords(database, tmp_path):
    client = database.client
    client.admin.command("createUser", "gate", pwd="lamp", roles=["readAnyDatabase"])
    database.command("createRole", "part", privileges=[], roles=["read"])
    backup.dump_mongodb(client, NAME, tmp_path / "dump", accounts=True)
    client.admin.command("dropUser", "gate")
    database.command("dropRole", "part")
    client.drop_database(NAME)
    backup.restore_mongodb(tmp_path / "dump", client, NAME, accounts=True)
    address = client.address
    with MongoClient(*address, username="gate", password="lamp") as back:
        assert back[NAME]["strict"].count_documents({}) == 1
    assert database.command("rolesInfo", "part")["roles"]
    assert not {"tempusers", "temproles"} & set(client.admin.list_collection_names())
    client.admin.command("dropUser", "gate")
    database.command("dropRole", "part")


@pytest.mark.needs("mongodb")
def test_a_mongodb_that_is_not_empty_is_left_as_it_is(database, tmp_path):
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    database.client.drop_database(NAME)
    database["README"].insert_one({"_id": 1, "text": "all your data"})
    with pytest.raises(DataError, match="not empty: it holds README") as error:
        backup.restore_mongodb(tmp_path / "dump", database.client, NAME)
    one_sentence(error)
    assert database.list_collection_names() == ["README"]


@pytest.mark.needs("mongodb")
def test_a_mongodb_with_nothing_in_it_is_not_dumped(mongo, tmp_path):
    for name, words in (("absent", "nothing to dump"), ("no name", "cannot contain")):
        with pytest.raises(DataError, match=words) as error:
            backup.dump_mongodb(mongo, name, tmp_path / "dump")
        one_sentence(error)
    assert not any(tmp_path.iterdir())


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


SPOILED = {
    "cut or changed. Take": ("people%2Fa b%25.bson", cut),
    "metadata cannot be read": ("strict.metadata.json", cut),
    "cannot be read: No such file": ("strict.bson", lambda path: path.unlink()),
    "metadata cannot be read.": ("strict.metadata.json", lambda path: path.write_text("[1]")),
}


@pytest.mark.needs("mongodb")
@pytest.mark.parametrize("words", SPOILED)
def test_nothing_is_restored_from_a_dump_that_is_not_whole(database, tmp_path, words):
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    name, spoil = SPOILED[words]
    spoil(tmp_path / "dump" / NAME / name)
    with pytest.raises(DataError, match=words) as error:
        backup.restore_mongodb(tmp_path / "dump", database.client, "drill")
    one_sentence(error)
    assert "drill" not in database.client.list_database_names()


@pytest.mark.needs("mongodb")
def test_a_folder_that_is_no_dump_is_told(mongo, tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError) as error:
            backup.restore_mongodb(place, mongo, "drill")
        one_sentence(error)


@pytest.mark.needs("mongodb")
def test_a_restore_that_mongodb_refuses_is_undone(database, tmp_path):
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    path = tmp_path / "dump" / NAME / "strict.bson"
    path.write_bytes(path.read_bytes() * 2)  # the same _id twice
    with pytest.raises(DataError, match="could not be restored") as error:
        backup.restore_mongodb(tmp_path / "dump", database.client, "drill")
    one_sentence(error)
    assert "drill" not in database.client.list_database_names()


@pytest.mark.needs("mongodb")
def test_an_interrupted_mongodb_leaves_nothing_behind(database, tmp_path, monkeypatch):
    backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    interrupt_all(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        backup.restore_mongodb(tmp_path / "dump", database.client, "drill")
    with pytest.raises(KeyboardInterrupt):
        backup.dump_mongodb(database.client, NAME, tmp_path / "second")
    assert "drill" not in database.client.list_database_names()
    assert [p.name for p in tmp_path.iterdir()] == ["dump"]


@pytest.mark.needs("mongodb")
def test_a_full_disk_leaves_no_part_of_a_dump(database, tmp_path):
    with full_disk(500), pytest.raises(DataError, match="Free some space") as error:
        backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    one_sentence(error)
    assert not any(tmp_path.iterdir())


@pytest.mark.needs("mongodb")
def test_a_time_series_is_refused_with_the_tool_that_takes_it(database, tmp_path):
    database.create_collection("series", timeseries={"timeField": "t"})
    with pytest.raises(DataError, match="mongodump") as error:
        backup.dump_mongodb(database.client, NAME, tmp_path / "dump")
    one_sentence(error)
    assert not any(tmp_path.iterdir())


@pytest.mark.needs("mongodb")
def test_a_mongodb_that_is_gone_is_told(tmp_path):
    client = MongoClient(
        "127.0.0.1", loopback.free_port(), serverSelectionTimeoutMS=50, directConnection=True
    )
    with pytest.raises(DataError, match="could not be dumped") as error:
        backup.dump_mongodb(client, NAME, tmp_path / "dump")
    one_sentence(error)
    assert not any(tmp_path.iterdir())


def test_large_dumps_are_sent_in_batches(tmp_path, monkeypatch):
    """Without a server: what would be sent, in order, and no batch far over its size."""
    monkeypatch.setattr(mongodb, "_BATCH", 1000)
    path = tmp_path / "a.bson"
    documents = [encode({"_id": n, "text": "x" * (n % 90)}) for n in range(200)]
    path.write_bytes(b"".join(documents))
    sent = []

    class Target:
        def get_collection(self, name, codec_options):
            return self

        def insert_many(self, batch, **_):
            sent.append([document.raw for document in batch])

    with mongodb.Bar("", 0) as bar:
        mongodb._insert(Target(), "a", path, bar)
    assert [document for batch in sent for document in batch] == documents
    assert max(sum(map(len, batch)) for batch in sent) < 1200
