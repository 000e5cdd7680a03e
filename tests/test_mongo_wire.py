"""The wire protocol, against a real mongod: what the driver says of the same documents."""

import bson
import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure
from trouble import kill

from leftopen import loopback
from leftopen.cases import sensenets
from leftopen.cases.mongo_wire import Cursor, Wire, documents_in

pytestmark = pytest.mark.needs("mongodb")
DOCUMENTS = [{"_id": n, "text": "ä" * n} for n in range(300)]
DATA = b"".join(map(bson.encode, DOCUMENTS))
INSERT = {"insert": "some", "$db": "wire"}


@pytest.fixture(scope="module")
def lab():
    lab = sensenets.small_lab(5, people=3, positions=3)
    yield lab
    lab.close()


@pytest.fixture
def wire(lab):
    with MongoClient(lab.inside.uri) as client:
        client.drop_database("wire")
    wire = Wire(lab.inside.port)
    yield wire
    wire.close()


def test_what_is_sent_is_there_for_the_driver(lab, wire):
    assert wire.call(INSERT, DATA)["n"] == 300
    with MongoClient(lab.inside.uri) as client:
        assert list(client.wire.some.find()) == DOCUMENTS


@pytest.mark.parametrize("size", [1, 7, 299, 300, 301, 10_000])
def test_all_is_read_in_order_in_batches_of_any_size(wire, size):
    backwards = b"".join(bson.encode(document) for document in reversed(DOCUMENTS))
    wire.call(INSERT, backwards)
    cursor, found = Cursor(wire, "wire", "some"), []
    while not cursor.is_over:
        batch = cursor.read(size)
        assert list(bson.decode(batch)) == [str(n) for n in range(len(documents_in(batch)))]
        found += documents_in(batch)
    assert b"".join(found) == DATA
    assert documents_in(cursor.read(size)) == [], "and no more"


def test_reading_begins_behind_an_id(wire):
    wire.call(INSERT, DATA)
    found = documents_in(Cursor(wire, "wire", "some", after=297).read(10))
    assert [bson.decode(document)["_id"] for document in found] == [298, 299]


def test_a_collection_that_is_not_there_is_empty(wire):
    cursor = Cursor(wire, "wire", "none")
    assert documents_in(cursor.read(5)) == []
    assert cursor.is_over


def test_what_mongod_refuses_is_told_with_its_code(wire):
    with pytest.raises(OperationFailure, match="no such command") as caught:
        wire.call({"nonsense": 1, "$db": "wire"})
    assert caught.value.code == 59
    assert wire.call({"ping": 1, "$db": "admin"})["ok"] == 1, "and the connection is as before"


def test_a_connection_that_is_lost(lab, wire):
    kill(lab)
    with pytest.raises(AutoReconnect):
        wire.call({"ping": 1, "$db": "admin"})
    lab.restart()


def test_nothing_that_answers():
    with pytest.raises(AutoReconnect):
        Wire(loopback.free_port())
