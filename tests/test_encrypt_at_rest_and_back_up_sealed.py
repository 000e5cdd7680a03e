"""Exercise 15, question 2: what is compared, which folder goes away, and backups with a fault."""

import base64
import gzip
import json
import shutil
import tempfile
import textwrap
from pathlib import Path

import pyrage
import pytest
import rest_asked
from pymongo import MongoClient
from rest_asked import question

from leftopen import backup
from leftopen.checks import encrypt_at_rest_and_back_up_sealed as sealed
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt

asked = rest_asked.asked


def test_collections_that_are_missing_or_empty():
    full, empty = ({"1": {"_id": 1}}, {"an index"}), ({}, {"an index"})

    def told(truth, found):
        at = Attempt({})
        return sealed._compared(at, truth, found), at.values["names"]

    assert told({"a": full, "b": empty}, {"a": full, "b": empty}) == (None, "")
    assert told({"a": full, "b": empty}, {"a": full}) == ("part", "b")
    assert told({"a": full, "b": full}, {"b": full}) == ("part", "a")
    assert told({"a": full, "b": full}, {"a": empty, "b": full}) == ("part", "a")
    assert told({"a": full, "b": empty}, {"a": full, "b": ({}, set())}) == ("indexes_lost", "b")
    assert told({"a": full, "b": empty}, {"c": full}) == ("another_database", "a, b")
    assert told({"b": empty}, {"b": empty}) == (None, "")


def test_a_folder_called_disk_above_those_for_temporary_files_is_none_of_ours(
    tmp_path, monkeypatch
):
    backup_folder = tmp_path / "disk" / "tmp" / "desk" / "backup"
    backup_folder.mkdir(parents=True)
    assert sealed._disk(backup_folder) == tmp_path / "disk"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk" / "tmp"))
    assert sealed._disk(backup_folder) == backup_folder


@pytest.mark.needs("mongodb")
@question(2)
def test_backups_that_are_open_or_not_whole(asked, tmp_path):
    task, secret = asked.task, pyrage.x25519.Identity.generate()
    public = str(secret.to_public())
    disk, identity = tmp_path / "disk", tmp_path / "identity.txt"
    disk.mkdir()
    identity.write_text(f"# created: today\n# public key: {public}\n{secret}\n")
    identity.chmod(0o600)
    uri = asked.lab.inside.uri_as(task["administrator"], task["password"])
    with MongoClient(uri) as client:
        dump = backup.dump_mongodb(client, "sensenets", tmp_path / "dump")
        with pytest.raises(BadAnswer, match="not a folder with files"):
            asked.told(disk, identity)
        file = backup.seal(dump, disk / "a.age", public)
        assert asked.told(disk, identity) == RIGHT
        for wrong in (public, "no key at all", "AGE-SECRET-KEY-1QQQ"):
            (tmp_path / "wrong").write_text(wrong)
            with pytest.raises(BadAnswer, match="private key of age"):
                asked.told(disk, tmp_path / "wrong")
        archive = shutil.make_archive(tmp_path / "plain", "tar", dump)
        for hidden in (base64.b64encode, bytes.hex):
            text = hidden((tmp_path / "plain.tar").read_bytes())
            (disk / "notes").write_bytes(text if isinstance(text, bytes) else text.encode())
            assert asked.told(disk, identity) == "plain_beside"
        (disk / "notes").write_text("\n".join(textwrap.wrap(str(secret), 20)))
        assert asked.told(disk, identity) == "key_beside"
        (disk / "notes").write_text(
            "monday: 400 people, 1040 positions, 52 trackers; 2019-02-12\n" * 99
        )
        assert asked.told(disk, identity) == RIGHT
        sightings = list(client.sensenets.positions.find())
        told = [f"{s['place']},{s['at']:%H:%M},{s['tracker']},{s['person']}" for s in sightings]
        names = json.dumps([p["name"] for p in client.sensenets.people.find()])
        bson = (dump / "sensenets" / "positions.bson").read_bytes()
        ids = "\n".join(str(s["_id"]) for s in sightings)
        for left in ("\n".join(told).encode(), names.encode(), bson, ids.encode()):
            for hidden in (bytes, base64.b64encode, gzip.compress):
                (disk / "notes").write_bytes(hidden(left))
                assert asked.told(disk, identity) == "plain_beside"
        (disk / "notes").unlink()
        with_folders = tmp_path / "with-folders"
        with_folders.mkdir()
        sealed = pyrage.encrypt(Path(archive).read_bytes(), [secret.to_public()])
        (with_folders / "all.age").write_bytes(sealed)
        assert asked.told(with_folders, identity) == RIGHT, "a tar may have folders in it"
        within = disk / "sub" / "identity.txt"
        within.parent.mkdir()
        shutil.copy(identity, within)
        within.chmod(0o600)
        assert asked.told(disk, within) == "key_beside"
        within.write_bytes(base64.b64encode(str(secret).encode()))
        assert asked.told(disk, identity) == "key_beside"
        shutil.rmtree(within.parent)
        cut = tmp_path / "cut"
        cut.mkdir()
        (cut / "a.age").write_bytes(file.read_bytes()[:-20])
        assert asked.told(cut, identity) == "does_not_open"
        apart = tmp_path / "apart"
        apart.mkdir()
        for name in client.sensenets.list_collection_names():
            one = tmp_path / "one" / "sensenets"
            one.mkdir(parents=True)
            for path in (dump / "sensenets").glob(f"{name}.*"):
                shutil.copy(path, one)
            backup.seal(one.parent, apart / f"{name}.age", public)
            shutil.rmtree(one.parent)
        assert asked.told(apart, identity) == RIGHT, "a file for each collection"
        below = disk / "backups"
        below.mkdir()
        file = file.rename(below / "a.age")
        assert asked.told(below, identity) == RIGHT
        plain = shutil.copytree(dump, disk / "dump")
        assert asked.told(below, identity) == "plain_beside", "the disk leaves as a whole"
        shutil.rmtree(plain)
        shutil.copy(identity, disk / "k.txt")
        assert asked.told(below, disk / "k.txt") == "key_beside"
        (disk / "k.txt").unlink()
        identity.chmod(0o640)
        assert asked.told(below, identity) == "key_for_all"
        assert asked.values["who"] == "all of its group"
        identity.chmod(0o600)
        client.sensenets.people.update_one({"_id": 1}, {"$set": {"employer": "Employer-0000"}})
        assert asked.told(disk, identity) == "stale"
        assert asked.values["count"] == 1
        backup.seal(backup.dump_mongodb(client, "sensenets", tmp_path / "late"), disk / "b", public)
        assert asked.told(disk, identity) == "lost_before"
        assert asked.values["names"] == "people"
        client.sensenets.settings.drop()
        client.sensenets.people.delete_many({})
        late = tmp_path / "later"
        late.mkdir()
        gone = backup.dump_mongodb(client, "sensenets", tmp_path / "latest")
        backup.seal(gone, late / "c", public)
        assert asked.told(late, identity) == "lost_before"
        assert asked.values["names"] == "people, settings"
