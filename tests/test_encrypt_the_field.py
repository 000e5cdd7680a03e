"""Exercise 13: answers that nobody is shown, wrong ones with their fault, and right ones."""

import gzip
import json
import linecache
import os
import random
import secrets
from base64 import b64encode
from hashlib import sha256

import field_asked
import numpy as np
import pytest
from field_asked import encrypt, question

from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, UNTOUCHED

needs_server = pytest.mark.needs("mongodb")
asked = field_asked.asked


# -- 1: fields -----------------------------------------------------------------------------------


@needs_server
@question(1)
def test_fields(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    master = secrets.token_bytes(96)
    assert asked.told(master) == UNTOUCHED
    with pytest.raises(BadAnswer, match="32 bytes"):
        asked.told(master[:32])
    # Deterministic under a key for each person: nobody's value equals another's, so nothing tells.
    encrypt(asked, master, vault.FIXED, key_each=True)
    assert asked.told(master) == RIGHT
    encrypt(asked, master)
    assert asked.told(master) == RIGHT
    # One person of sixty was forgotten.
    plain = vault.people(13, 60)[30]
    asked.people.replace_one({"_id": plain["_id"]}, plain)
    assert asked.told(master) == "left_plain"
    encrypt(asked, master)
    # Two people share a ciphertext: it was copied, and is now another's value.
    group = asked.task["others"][0]
    for other in (p for p in vault.people(13, 60)[1:] if p[group] == vault.people(13, 1)[0][group]):
        copied = asked.people.find_one({"_id": 1})[group]
        asked.people.update_one({"_id": other["_id"]}, {"$set": {group: copied}})
        break
    assert asked.told(master) == "deterministic_shared"
    encrypt(asked, master)
    # The searched values stand in clear elsewhere, deep in another document.
    number = plain[asked.task["searched"]]
    asked.client["other"]["log"].insert_one({"lines": [{"text": f"looked for {number}"}]})
    assert asked.told(master) == "copy_left"
    asked.client.drop_database("other")
    assert_every_copy_is_found(asked, master)
    master = secrets.token_bytes(96)  # the old one has been in the server's files
    encrypt(asked, master)
    # The key in a file beside the notebook, as text.
    (tmp_path / "key.txt").write_text(f"master = {b64encode(master).decode()}\n")
    assert asked.told(master) == "key_in_notebook"
    (tmp_path / "key.txt").unlink()
    assert asked.told(master) == RIGHT
    # The vault is gone.
    asked.client.drop_database("encryption")
    assert asked.told(master) == "will_not_open"
    seeded = random.Random(2026).randbytes(96), np.random.RandomState(7).bytes(96)
    for key in (bytes(range(96)), *seeded, sha256(b"x").digest() * 3):
        encrypt(asked, key)
        assert asked.told(key) == "weak_key"


def assert_every_copy_is_found(asked, master):
    """Copies of the values beside people, and of the key, in several writings."""
    people = vault.people(13, 60)
    searched, others = asked.task["searched"], asked.task["others"]
    text = json.dumps([{name: p[name] for name in (searched, *others)} for p in people])
    wrong = {
        "others alone": [{name: p[name] for name in others} for p in people],
        "one of them": [{"was": p[others[0]]} for p in people],
        "one text": [{"all": text}],
        "packed": [{"all": gzip.compress(text.encode())}],
        "in base64, in a sentence": [{"all": f"kept: {b64encode(text.encode()).decode()} (all)"}],
        "hashed": [{"h": sha256(p[searched].encode()).hexdigest()} for p in people],
        "as a name": [{p[searched]: 1} for p in people],
    }
    for name, documents in wrong.items():
        asked.client["other"]["kept"].insert_many(documents)
        assert asked.told(master) == "copy_left", name
        asked.client.drop_database("other")
    asked.client["admin"]["kept"].insert_one({"one": people[7][searched]})
    assert asked.told(master) == "copy_left"
    asked.client["admin"]["kept"].drop()
    # What there is, each once, is no copy; and a view that holds the values is one.
    asked.client["other"]["kinds"].insert_many({"is": v} for v in {p[others[0]] for p in people})
    assert asked.told(master) == RIGHT
    stages = [{"$addFields": {"was": [p[searched] for p in people]}}]
    asked.client["other"].command("create", "seen", viewOn="kinds", pipeline=stages)
    assert asked.told(master) == "copy_left"
    asked.client.drop_database("other")
    # A part of the key: its halves, a quarter; in a name, packed.
    quarter = b64encode(master[24:48]).decode()
    halves = [master[:48], master[48:]]
    for held in ({"halves": halves}, {"quarter": quarter}, {master.hex(): 1}, {
        "packed": gzip.compress(b"master: " + master.hex().encode())
    }):  # fmt: skip
        asked.client["other"]["note"].insert_one(held)
        assert asked.told(master) == "key_beside"
        asked.client.drop_database("other")
    asked.client["other"].create_collection("k" + master.hex()[:180])
    assert asked.told(master) == "key_beside"
    asked.client.drop_database("other")


def test_drawn_keys_are_not_weak_in_whatever_writing():
    for key in (secrets.token_bytes(96), secrets.token_hex(48).encode(), os.urandom(96)):
        assert not vault.is_weak(key)
    # Of 32 bytes, also where some digits come often.
    assert not vault.is_weak(b"72272752717727502777227057327762")
    assert not vault.is_weak(b"4ae4e44f0ea4e40ee04ea4ef4e0a4f94")
    assert vault.is_weak(b"4ae4aaaaaaaaaaaaaa4aaaaaa4aaaeaa")


def test_a_key_that_a_cell_leads_to_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cell = ["random.seed(20260101)\n", 'word = b"winter apple"\n']
    drawn = [make(20260101).bytes(96) for make in (np.random.RandomState, np.random.default_rng)]
    assert not any(map(vault.is_weak, drawn))
    monkeypatch.setitem(linecache.cache, "/tmp/ipykernel_1/2.py", (9, None, cell, "a"))
    assert all(map(vault.is_weak, (random.Random(20260101).randbytes(96), *drawn)))
    chain = b"".join(sha256(b"winter apple" + bytes([n])).digest() for n in range(3))
    assert vault.kept_with_notebook(chain) == ("password", "a word in the notebook")
    # Of many values in the cells the newest are looked at.
    older = [f"kept = {list(range(10_000, 10_000 + vault._MOST_WRITTEN))}\n"]
    monkeypatch.delitem(linecache.cache, "/tmp/ipykernel_1/2.py")
    monkeypatch.setitem(linecache.cache, "/tmp/ipykernel_1/1.py", (9, None, older, "a"))
    monkeypatch.setitem(linecache.cache, "/tmp/ipykernel_1/2.py", (9, None, cell, "a"))
    assert vault.is_weak(random.Random(20260101).randbytes(96))
    drawn = secrets.token_bytes(96)
    assert not vault.is_weak(drawn)
    assert vault.kept_with_notebook(drawn) is None


# -- 2: the rule ---------------------------------------------------------------------------------


def begin(asked, people):
    """The collection as the question began, without a rule."""
    asked.people.drop()
    asked.people.insert_many(people)


@needs_server
@question(2)
def test_rules(asked):
    fields = [asked.task["searched"], *asked.task["others"]]
    encryption = asked.encryption(local=asked.task["master"].encode())
    before = list(asked.people.find())

    def rule(each, validator=None):
        schema = validator or {"$jsonSchema": {"properties": dict.fromkeys(fields, each)}}
        asked.client["sensenets"].command("collMod", "people", validator=schema)

    def encrypt_old(key="people", fixed=("idNumber",)):
        for person in vault.people(14, 5):
            hidden = {
                name: encryption.encrypt(
                    person[name],
                    vault.FIXED if name in fixed else vault.RANDOM,
                    key_alt_name=key,
                )
                for name in fields
            }
            changed = {"$set": hidden}
            asked.people.update_one(
                {"_id": person["_id"]}, changed, bypass_document_validation=True
            )

    assert asked.told() == UNTOUCHED
    rule({"encrypt": {}})
    assert asked.told() == "old_ones_stuck"
    encrypt_old()
    assert asked.told() == RIGHT
    # A field that has to be unique does not trouble the check, which writes people of its own.
    asked.people.create_index("idNumber", unique=True)
    assert asked.told() == RIGHT
    # Whatever else the collection asks for, the application keeps.
    rule(None, {"$jsonSchema": {
        "required": fields, "properties": {name: {"encrypt": {}} for name in fields}
    }})  # fmt: skip
    assert asked.told() == RIGHT
    # Texts alone are refused: a date in clear comes in.
    rule(None, {"$nor": [{name: {"$type": "string"}} for name in fields]})
    assert asked.told() == "some_fields"
    rule(None, {name: {"$type": "binData"} for name in fields})
    assert asked.told() == "any_bytes"
    # Another type beside it, which holds what it likes; the empty value does no harm.
    for kind, wanted in (("array", "packed"), ("object", "packed"), ("null", RIGHT)):
        rule({"anyOf": [{"encrypt": {}}, {"bsonType": kind}]})
        assert asked.told() == wanted
    # The five under another data key: nobody finds them with the task's.
    rule({"encrypt": {}})
    encryption.create_data_key("local", key_alt_names=["another"])
    encrypt_old("another")
    assert asked.told() == "old_not_found"
    # The five in another way than the task names, or not alone.
    begin(asked, before)
    encrypt_old(fixed=fields)
    rule({"encrypt": {}})
    assert asked.told() == "old_deterministic"
    begin(asked, before)
    encrypt_old()
    rule({"encrypt": {}})
    assert asked.told() == RIGHT
    plain, own = vault.people(14, 5), asked.client["own"]["kept"]
    for wrong in (
        before[:5],
        [{"all": json.dumps([{n: str(p[n]) for n in fields} for p in plain])}],
        [{"was": {name: p[name] for name in fields[1:]}} for p in vault.people(14, 40)],
        [{"of": p["_id"], "born": p["birthday"]} for p in plain],
        [{"packed": gzip.compress(plain[4]["idNumber"].encode())}],
    ):
        own.insert_many(wrong)
        assert asked.told() == "copy_left"
        own.drop()
    asked.people.update_one({"_id": 2}, {"$set": {"idNumber_old": plain[1]["idNumber"]}})
    assert asked.told() == "copy_left"
    asked.people.update_one({"_id": 2}, {"$unset": {"idNumber_old": 1}})
    asked.people.update_one({"_id": 2}, {"$set": {"born": plain[1]["birthday"]}})
    assert asked.told() == "copy_left"
    asked.people.update_one({"_id": 2}, {"$unset": {"born": 1}})
    # An exception by another field: of an employer whom the check's own new person has, or not.
    schema = {"$jsonSchema": {"properties": {name: {"encrypt": {}} for name in fields}}}
    new = vault.people(15, 1)[0]["employer"]
    rule(None, {"$or": [{"employer": new}, schema]})
    assert asked.told() == "rule_misses"
    other = next(person["employer"] for person in before if person["employer"] != new)
    rule(None, {"$or": [{"employer": other}, schema]})
    assert asked.told() == "old_exempt"
    # One for the very values of the five, who stay in clear and may be changed otherwise.
    begin(asked, before)
    kept = [{name: person[name] for name in fields} for person in before[:5]]
    rule(None, {"$or": [*kept, schema]})
    assert asked.told() == "old_exempt"
    begin(asked, before)
    encrypt_old()
    rule({"encrypt": {}})
    assert asked.told() == RIGHT
    own.insert_one({"kept": asked.task["master"][:60]})
    assert asked.told() == "key_beside"
    own.drop()
    # A length is no seal.
    sizes = [{"$gte": [{"$binarySize": f"${name}"}, 60]} for name in fields]
    rule(None, {"$expr": {"$and": sizes}})
    assert asked.told() == "any_bytes"
    # An unneeded demand that the application does not meet.
    rule(None, {"$jsonSchema": {
        "required": ["checked"], "properties": {name: {"encrypt": {}} for name in fields}
    }})  # fmt: skip
    assert asked.told() == "application_refused"
    # The check left nobody behind.
    assert [p["_id"] for p in asked.people.find()] == [p["_id"] for p in before]
    encrypt_old()
    rule({"encrypt": {}})
    asked.client["sensenets"]["trackers"].drop()
    assert asked.told() == "dropped"
    asked.client.drop_database("encryption")
    assert asked.told() == "lost"
    asked.lab.configure("security:\n  authorization: enabled\n")
    with pytest.raises(BadAnswer, match="asks for a login now"):
        asked.told()
