"""Exercise 13, question 5: answers that nobody is shown, wrong ones with their fault."""

import gzip
import secrets
from base64 import b64encode

import bson
import field_asked
import pytest
from field_asked import question

from leftopen.checks import encrypt_the_field_copies as copies
from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT

needs_server = pytest.mark.needs("mongodb")
asked = field_asked.asked


@needs_server
@question(5)
def test_keys(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, new, between = asked.task["old_master"].encode(), *map(secrets.token_bytes, (96, 96))
    keys = asked.client["encryption"]["__keyVault"]
    dump = list(asked.client["dump"]["keys"].find())
    assert asked.told(new) == "not_rotated"
    with pytest.raises(BadAnswer, match="has 5 bytes"):
        asked.told(b"short")
    # Twice, so that the provider's name is the old one again.
    asked.encryption(local=old, local_x=between).rewrap_many_data_key({}, provider="local:x")
    asked.encryption(local=new, local_x=between).rewrap_many_data_key({}, provider="local")
    assert asked.told(new) == "not_shredded"
    assert asked.told(between) == "others_lost"
    keys.delete_one({"keyAltNames": f"person-{asked.task['forget']}"})
    assert asked.told(new) == "dump_forgotten"
    asked.client["dump"]["keys"].drop()
    assert asked.told(new) == RIGHT
    asked.client["dump"]["people"].drop()
    assert asked.told(new) == RIGHT
    # The old vault as a part of one document.
    asked.client["sensenets"]["notes"].insert_one({"kept": dump[:3]})
    assert asked.told(new) == "old_opens_dump"
    asked.client["sensenets"]["notes"].drop()
    own = next(key for key in dump if key["keyAltNames"] == [f"person-{asked.task['forget']}"])
    other = next(key for key in dump if key is not own)
    blobs = [bson.encode(key) for key in dump]
    for kept, fault in (
        ({"all": dump}, "dump_forgotten"),
        ({"all": blobs}, "dump_forgotten"),
        ({"all": b64encode(b"".join(k["keyMaterial"] for k in dump)).decode()}, "dump_forgotten"),
        ({"all": gzip.compress(b"".join(blobs))}, "dump_forgotten"),
        ({"one": own["keyMaterial"].hex()}, "person_in_dump"),
        ({"one": f"the key: {own['keyMaterial'].hex()}"}, "person_in_dump"),
        ({"one": copies.unwrapped(old, own["keyMaterial"])}, "person_in_dump"),
        ({"one": rewrapped_alone(asked, own, old, new)}, "person_in_dump"),
        ({"one": other["keyMaterial"].hex()}, "old_opens_dump"),
    ):
        asked.client["sensenets"]["notes"].insert_one(kept)
        assert asked.told(new) == fault, kept.keys()
        asked.client["sensenets"]["notes"].drop()
    address = vault.people(16, 24)[asked.task["forget"] - 1]["homeAddress"]
    asked.client["other"]["note"].insert_one({"was": b64encode(address.encode()).decode()})
    assert asked.told(new) == "in_the_clear"
    asked.client.drop_database("other")
    assert asked.told(new) == RIGHT
    # The record may go, too.
    asked.people.delete_one({"_id": asked.task["forget"]})
    assert asked.told(new) == RIGHT
    # The forgotten person's value again, under another's data key.
    encryption = asked.encryption(local=new)
    again = encryption.encrypt(f"was: {address}", vault.RANDOM, key_alt_name="person-1")
    asked.client["archive"]["people"].insert_one({"kept": [{"it": again}]})
    assert asked.told(new) == "under_another_key"
    asked.client.drop_database("archive")
    asked.people.insert_one({"_id": asked.task["forget"], "homeAddress": again})
    assert asked.told(new) == "under_another_key"
    asked.people.delete_one({"_id": asked.task["forget"]})
    assert asked.told(new) == RIGHT
    # The driver wraps with 64 of the 96 bytes.
    assert asked.told(old[:95] + b"?") == "same_key"
    assert asked.told(old[::-1]) == "same_key"
    # One data key for all others, so that nobody can be forgotten the next time.
    before = list(asked.people.find())
    encryption = asked.encryption(local=new)
    common = encryption.create_data_key("local")
    for how in (vault.RANDOM, vault.FIXED):
        for person in before:
            plain = vault.people(16, 24)[person["_id"] - 1]["homeAddress"]
            hidden = encryption.encrypt(plain, how, key_id=common)
            asked.people.update_one({"_id": person["_id"]}, {"$set": {"homeAddress": hidden}})
        assert asked.told(new) == "key_shared"
    asked.people.drop()
    asked.people.insert_many(before)
    assert asked.told(new) == RIGHT
    asked.people.update_many({}, {"$unset": {"employer": 1}})
    assert asked.told(new) == "dropped"
    asked.people.drop()
    asked.people.insert_many(before)
    asked.client["sensenets"]["positions"].drop()
    assert asked.told(new) == "dropped"
    # Somebody's field was emptied.
    asked.people.update_one({"_id": 1}, {"$set": {"homeAddress": None}})
    assert asked.told(new) == "others_lost"


def rewrapped_alone(asked, entry, old, new):
    """One entry of the vault under the new master key, as a copy of it holds it."""
    place = asked.client["rewrapped"]["keys"]
    place.insert_one(entry)
    # The provider local of the old master key, wrapped anew for the new one.
    encryption = asked.encryption("rewrapped.keys", local=old, local_new=new)
    encryption.rewrap_many_data_key({}, provider="local:new")
    found = place.find_one()
    asked.client.drop_database("rewrapped")
    return found
