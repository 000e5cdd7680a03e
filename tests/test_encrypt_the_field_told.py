"""Exercise 13, question 1: what a stranger is told by labels, names and lengths of ciphertexts."""

import secrets

import field_asked
import pytest
from field_asked import encrypt, question

from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.question import RIGHT

needs_server = pytest.mark.needs("mongodb")
asked = field_asked.asked


def put_one(asked, master, field, value_of, key_of=lambda person: "common", names_of=None):
    """Encrypt everybody, and one field otherwise; what the check says of it."""
    encrypt(asked, master)
    encryption, made = asked.encryption(local=master), {}
    for person in vault.people(13, 60):
        name = key_of(person)
        if name not in made:
            named = names_of(person) if names_of else None
            made[name] = encryption.create_data_key("local", key_alt_names=named)
        value = encryption.encrypt(value_of(person), vault.RANDOM, key_id=made[name])
        asked.people.update_one({"_id": person["_id"]}, {"$set": {field: value}})
    return asked.told(master)


@needs_server
@question(1)
def test_values_bound_to_a_person_and_keys_that_tell(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    master = secrets.token_bytes(96)
    people, other = vault.people(13, 60), asked.task["others"][0]

    def filled(person):
        return person[other].ljust(20)

    def put(value_of, key_of=lambda person: "common"):
        return put_one(asked, master, other, value_of, key_of)

    assert_lengths_are_what_the_lesson_says(asked, master)
    assert_searched_at_random_is_not_found(asked, master)
    assert put(lambda p: {"of": p["_id"], "is": filled(p)}) == RIGHT
    assert put(lambda p: {"of": 61 - p["_id"], "is": p[other]}) == "another_value"
    # Filled up with blanks, so that all have one length; also where it is bound.
    longest = max(len(p[other]) for p in people)
    for size in (longest, 16, 20, 32, 500):
        assert put(lambda p, size=size: p[other].ljust(size)) == RIGHT
    assert put(lambda p: [filled(p), p["_id"]]) == RIGHT
    assert put(lambda p: p[other].rjust(20)) == "another_value"
    assert put(lambda p: people[-p["_id"]][other].ljust(20)) == "another_value"
    assert put(filled, lambda p: p["_id"]) == RIGHT
    assert put(filled, lambda p: p["_id"] % 4) == RIGHT
    assert put(filled, lambda p: p[other]) == "key_for_each_value"
    # The value of one field under keys that tell another.
    assert put(filled, lambda p: p[asked.task["others"][1]]) == "key_for_each_value"
    encrypt(asked, master)
    assert asked.told(master) == RIGHT
    asked.people.update_one({"_id": 9}, {"$set": {"was": people[8][other]}})
    assert asked.told(master) == "left_plain"
    asked.people.update_one({"_id": 9}, {"$unset": {"was": 1}})
    asked.client["sensenets"]["positions"].delete_one({})
    assert asked.told(master) == "changed"
    # Somebody with another kind of _id was added, in clear.
    asked.people.insert_one({**people[9], "_id": "number 9"})
    asked.people.update_one({"_id": 9}, {"$set": {other: people[8][other]}})
    assert asked.told(master) == "changed"
    asked.people.rename("persons")
    assert asked.told(master) == "changed"


def assert_searched_at_random_is_not_found(asked, master):
    """Whatever its data keys; one for each person is another fault, where it is deterministic."""
    encrypt(asked, master)
    encryption, searched = asked.encryption(local=master), asked.task["searched"]
    wanted = {vault.RANDOM: "not_found", vault.FIXED: "key_for_each"}
    for how, verdict in wanted.items():
        for person in vault.people(13, 60):
            own = encryption.create_data_key("local")
            value = encryption.encrypt(person[searched], how, key_id=own)
            asked.people.update_one({"_id": person["_id"]}, {"$set": {searched: value}})
        assert asked.told(master) == verdict


def assert_lengths_are_what_the_lesson_says(asked, master):
    """Six bytes more, up to a multiple of 16, and 66."""
    encryption = asked.encryption(local=master)
    key = encryption.create_data_key("local")
    for text in ("x" * n for n in range(40)):
        blocks = -(-(len(text) + 6) // 16)
        assert len(encryption.encrypt(text, vault.RANDOM, key_id=key)) == 16 * blocks + 66


@needs_server
@question(1)
def test_lengths_and_names_that_tell(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    master = secrets.token_bytes(96)
    # As they are: who has no employer has a short ciphertext. Filled up so that the length tells.
    assert put_one(asked, master, "employer", lambda p: p["employer"]) == "lengths_tell"
    by_sex = {"female": 16, "male": 0}
    told = put_one(asked, master, "sex", lambda p: p["sex"].ljust(by_sex[p["sex"]]))
    assert told == "lengths_tell"
    told = put_one(asked, master, "employer", lambda p: {"of": p["_id"], "is": p["employer"]})
    assert told == "lengths_tell"

    def named(names_of, field="sex"):
        filled = lambda p: p[field].ljust(20)  # noqa: E731
        return put_one(asked, master, field, filled, lambda p: p["_id"], names_of)

    # A data key for each person, named after a value: its first letter, alone or beside a number.
    for names_of in (
        lambda p: [f"{p['sex'][0]}{p['_id']}"],
        lambda p: [f"{p['_id']:04}-{p['sex'][0]}"],
        lambda p: [f"person {p['_id']}", f"{61 - p['_id']}{p['sex'][0]}"],
        lambda p: [f"{p['group'][0]}/{p['_id']}"],
        lambda p: [f"{p['sex'][0]}{p['group'][0]}{p['_id']}"],
    ):
        assert named(names_of) == "key_names_tell"
    told = named(lambda p: [f"e{p['employer'][-2:]}-{p['_id']}"], "employer")
    assert told == "key_names_tell"
    # Who has no employer is told, and nothing of the others: by a name, by a data key of their own.
    told = named(lambda p: [f"{p['employer'][0]}{p['_id']}"], "employer")
    assert told == "key_names_tell"
    told = put_one(
        asked,
        master,
        "employer",
        lambda p: p["employer"].ljust(20),
        lambda p: p["employer"] == "none",
    )
    assert told == "key_for_each_value"
    # Names that do not lead to a value: by the number, drawn, or the same for a few by chance.
    for names_of in (
        None,
        lambda p: [f"person-{p['_id']}"],
        lambda p: [secrets.token_hex(8)],
        lambda p: [secrets.token_hex(2)],
        lambda p: [f"{'abcd'[p['_id'] % 4]}{p['_id']}"],
        lambda p: [p["name"]],
    ):
        assert named(names_of) == RIGHT
    # A field more: the hash of a value, or one that tells nothing.
    for added in ("sex_hash", "note"):
        asked.people.update_many({}, {"$set": {added: 1}})
        assert asked.told(master) == "field_added"
        asked.people.update_many({}, {"$unset": {added: 1}})
    assert asked.told(master) == RIGHT
