"""Snapshots of OpenSearch's indices: whole or not at all, and never over what is there."""

import shutil

import pytest
from half_done import full_disk, one_sentence
from opensearchpy import OpenSearch

from leftopen import backup, loopback
from leftopen.cases import smart_city
from leftopen.errors import DataError
from leftopen.lab_opensearch import SearchLab

pytestmark = pytest.mark.needs("opensearch")
PEOPLE = [{"_id": n, "name": f"Person-{n}", "idNumber": f"0001{n:04}"} for n in range(30)]


@pytest.fixture(scope="module")
def lab():
    def load(client):
        smart_city.load(client, {"residents": PEOPLE, "watchlist": []})

    lab = SearchLab("test", smart_city.AS_FOUND, load)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def client(lab):
    with OpenSearch(lab.inside.uri) as client:
        yield client


@pytest.fixture(scope="module")
def dump(lab, client, tmp_path_factory):
    place = tmp_path_factory.mktemp("dumps") / "dump"
    return backup.dump_opensearch(client, "residents,watch*", place, lab.snapshots)


@pytest.fixture(autouse=True)
def nothing_stays(lab, client, dump):
    yield
    assert not any(lab.snapshots.iterdir())
    assert client.snapshot.get_repository() == {}


def people(client):
    hits = client.search(index="residents", body={"size": 100, "sort": "idNumber"})["hits"]["hits"]
    return [{"_id": int(hit["_id"]), **hit["_source"]} for hit in hits]


def test_indices_come_back_with_their_fields_types(lab, client, dump):
    before = client.indices.get_mapping(index="residents")
    assert dump.stat().st_mode & 0o077 == 0
    with pytest.raises(DataError, match="residents, watchlist is there already") as error:
        backup.restore_opensearch(dump, client, lab.snapshots)
    one_sentence(error)
    client.indices.delete(index="residents,watchlist")
    back = backup.restore_opensearch(dump, client, lab.snapshots)
    assert back == {"residents": 30, "watchlist": 0}
    assert people(client) == PEOPLE
    assert client.indices.get_mapping(index="residents") == before


def test_what_is_not_there_is_not_dumped(lab, client, tmp_path):
    for name, words in (("absent", "no such index"), ("absent-*", "nothing to dump")):
        with pytest.raises(DataError, match=words) as error:
            backup.dump_opensearch(client, name, tmp_path / "dump", lab.snapshots)
        one_sentence(error)
    assert not any(tmp_path.iterdir())


def test_a_spoiled_copy_is_not_restored(lab, client, dump, tmp_path):
    client.indices.delete(index="residents,watchlist")
    for number, pattern in enumerate(("**/__*", "snap-*.dat", "index-?", "index.latest")):
        place = shutil.copytree(dump, tmp_path / str(number))
        path = max(place.glob(pattern), key=lambda p: p.stat().st_size)
        path.write_bytes(path.read_bytes()[:-1] if pattern != "index.latest" else b"")
        if pattern == "index.latest":
            path.unlink()
        print(f"spoiled: {path.relative_to(place)}")
        with pytest.raises(DataError) as error:
            backup.restore_opensearch(place, client, lab.snapshots)
        one_sentence(error)
        assert not client.indices.exists(index="residents"), pattern
    backup.restore_opensearch(dump, client, lab.snapshots)
    assert people(client) == PEOPLE


def test_a_full_disk_leaves_no_part_of_a_dump(lab, client, tmp_path):
    with full_disk(200), pytest.raises(DataError, match="Free some space") as error:
        backup.dump_opensearch(client, "residents", tmp_path / "dump", lab.snapshots)
    one_sentence(error)
    assert not any(tmp_path.iterdir())


def test_an_interrupted_restore_leaves_nothing(lab, client, dump, monkeypatch):
    client.indices.delete(index="residents,watchlist")

    def interrupted(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(client, "count", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backup.restore_opensearch(dump, client, lab.snapshots)
    assert not client.indices.exists(index="residents")
    backup.restore_opensearch(dump, client, lab.snapshots)


def test_a_node_that_is_gone_is_told(lab, tmp_path):
    gone = OpenSearch(f"http://127.0.0.1:{loopback.free_port()}", max_retries=0)
    with pytest.raises(DataError, match="OpenSearch refuses") as error:
        backup.dump_opensearch(gone, "residents", tmp_path / "dump", lab.snapshots)
    one_sentence(error)
