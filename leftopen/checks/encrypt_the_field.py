"""Exercise 13: single fields are encrypted before they leave the application."""

from collections.abc import Callable, Iterator
from datetime import datetime

from pymongo import MongoClient

from leftopen.audit.crypto import ciphertext
from leftopen.checks import encrypt_the_field_column as column
from leftopen.checks import encrypt_the_field_copies as copies
from leftopen.checks import encrypt_the_field_counts as counts
from leftopen.checks import encrypt_the_field_keys as turned
from leftopen.checks import encrypt_the_field_rule as rule
from leftopen.checks import encrypt_the_field_seal as seal
from leftopen.checks import encrypt_the_field_told as stranger
from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

_NAME = "13"
_SEED, _PEOPLE = 13, 60
_HOLDER = "as the holder of the master key"
_STRANGER = "as a stranger, who reads all of the server"

# -- 1: what is encrypted, and how ----------------------------------------------------------------


def _fields_task(draw: Draw) -> Task:
    draw = variant(draw, _NAME, 1)
    others = draw.shuffle("others", ("sex", "group", "employer"))
    return Task(
        searched=(draw.pick("searched", ("idNumber", "photo")), "unique, and searched by equality"),
        others=(others, "many people share a value; these are read, never searched"),
        vault=(vault.VAULT, "where the data keys go"),
    )


def _fields_lab(_: Task) -> MongoLab:
    return vault.open_lab(_SEED, _PEOPLE, lambda client: None)


def _encrypted(at: Attempt, lab: Lab, master: bytes) -> str:
    """Each field opens for the holder of the key, one is found, and the others tell nothing."""
    vault.needs_96("master", master)
    with vault.operator(lab) as client:
        return _judged(at, lab, client, master)


def _judged(at: Attempt, lab: Lab, client: MongoClient, master: bytes) -> str:
    before = {person["_id"]: person for person in vault.people(_SEED, _PEOPLE)}
    now = {person["_id"]: person for person in client["sensenets"]["people"].find()}
    searched, others = str(at.task["searched"]), list(at.task["others"])
    if now == before and "encryption" not in client.list_database_names():
        return UNTOUCHED
    if fault := _what_is_stored(at, client, before, now, [searched, *others]):
        return fault
    with vault.with_key(client, master, str(at.task["vault"])) as encryption:
        if fault := _what_opens(at, encryption, before, now, [searched, *others]):
            return fault
        if fault := _is_found(at, client, encryption, before, now, searched):
            return fault
    database, _, keys = str(at.task["vault"]).partition(".")
    if fault := stranger.shown(at, client[database][keys], before, now, others):
        return fault
    server = copies.read(client)
    if fault := _copies(at, server, before, searched, others):
        return fault
    return _where_the_key_is(at, lab, server, master) or RIGHT


def _copies(
    at: Attempt, server: copies.Server, before: dict, searched: str, others: list[str]
) -> str | None:
    """The near miss of values that stand elsewhere, in whatever writing that needs no key."""
    found = copies.of_unique(server, (person[searched] for person in before.values()))
    at.note(_STRANGER, f"look for each {searched} in clear", copies.told(found) or "nowhere")
    for name in others:
        values = (person[name] for person in before.values())
        found += copies.of_shared(server, values, "sensenets.people")
    found = list(dict.fromkeys(found))
    of_others = f"look for many people's {', '.join(others)} beside people"
    at.note(_STRANGER, of_others, copies.told(found) or "nowhere")
    at.values["where"] = copies.told(found)
    return "copy_left" if found else None


def _where_the_key_is(at: Attempt, lab: Lab, server: copies.Server, master: bytes) -> str | None:
    """The near miss of a master key that others find, too."""
    known = vault.where_known(lab, server, master)
    at.note(_STRANGER, "look for the master key", f"found: {known[1]}" if known else "nowhere")
    if known is None:
        return None
    at.values["where"] = known[1]
    return {
        "beside": "key_beside",
        "files": "key_was_beside",
        "notebook": "key_in_notebook",
        "password": "key_from_password",
        "weak": "weak_key",
    }[known[0]]


def _what_is_stored(
    at: Attempt, client: MongoClient, before: dict, now: dict, fields: list[str]
) -> str | None:
    """The near miss of documents that are gone, or of values that are not encrypted at all."""
    plain: dict[str, int] = {}
    for number, person in before.items():
        for name in fields:
            for place in _places_of(person, now.get(number, {}), name):
                plain[place] = plain.get(place, 0) + 1
    told = "; ".join(f"{name} of {many} people" for name, many in plain.items())
    if changed := _what_is_changed(client, before, now, fields):
        at.note(_HOLDER, "compare everything else with what was there", changed)
        at.values["how"] = changed
        if not plain or now.keys() != before.keys():
            return "changed"
    at.note(_STRANGER, "read your fields in plain text", told or "none of them")
    if plain:
        at.values["plain"] = told
        return "left_plain"
    if added := sorted({name for n in before for name in now[n].keys() - before[n].keys()}):
        at.note(_STRANGER, "look for fields that people did not have", ", ".join(added))
        at.values["added"] = ", ".join(added)
        return "field_added"
    for number, person in before.items():
        for name in fields:
            value = now[number].get(name)
            if not vault.is_encrypted(value):
                return _not_encrypted(at, name, value, person[name])
    return None


def _places_of(before: dict, now: dict, name: str) -> Iterator[str]:
    """The fields of a person in which the value of a field stands in clear."""
    if now.get(name) == before[name]:
        yield name
    for other in sorted(now.keys() - before.keys()):
        if str(before[name]) in str(now[other]):
            yield f"{name} (in the field {other})"


def _what_is_changed(client: MongoClient, before: dict, now: dict, fields: list[str]) -> str:
    """What is no longer as it was, beside the fields of the task; empty for nothing."""
    if not now:
        return "the collection people is empty, or has another name"
    if missing := before.keys() - now.keys():
        return f"{len(missing)} of {len(before)} people are missing"
    if added := now.keys() - before.keys():
        return f"{len(added)} people were added"
    for name in fields:
        if gone := sum(person.get(name) is None for person in now.values()):
            return f"{name} is gone from {gone} people"
    for number, person in before.items():
        rest = sorted(person.keys() - set(fields))
        if names := [name for name in rest if now[number].get(name) != person[name]]:
            return f"of person {number}, {', '.join(names)} is not what it was"
    return vault.lost_elsewhere(client, _SEED, _PEOPLE)


def _not_encrypted(at: Attempt, name: str, value: object, plain: object) -> str:
    raw = value.encode() if isinstance(value, str) else value
    raw = bytes(raw) if isinstance(raw, bytes) else raw  # of whatever subtype
    told = None
    if isinstance(raw, bytes):
        ways = (ciphertext.is_encoding_of(raw, text) for text in vault.as_bytes(plain))
        told = next((how for how in ways if how), None)
    at.values.update(name=name, how=told)
    if told:
        at.note(_STRANGER, f"undo what was done to {name}, without a key", told)
        return "encoded"
    kind = type(value).__name__
    at.note(_HOLDER, f"look at what stands in {name}", f"{kind}, not what the driver encrypts")
    return "other_cipher"


def _what_opens(at: Attempt, encryption, before: dict, now: dict, fields: list[str]) -> str | None:
    for name in fields:
        for number, person in before.items():
            found = vault.opened(encryption, now[number][name])
            if isinstance(found, Exception):
                at.note(_HOLDER, f"open {name} of {len(before)} people", "refused")
                at.values.update(name=name, said=_words(found))
                return "will_not_open"
            if not _is_value_of(person, name, found, filled=name != at.task["searched"]):
                at.note(_HOLDER, f"open {name} of {len(before)} people", "another value")
                at.values["name"] = name
                return "another_value"
        at.note(_HOLDER, f"open {name} of {len(before)} people", "as it was before")
    return None


def _is_value_of(person: dict, name: str, found: object, filled: bool) -> bool:
    """Whether this is a person's value, also as a text, or bound to the person's number.

    It may be filled up with blanks, if wanted, so that its length tells nothing.
    """
    if isinstance(found, dict | list) and len(found) == 2:
        parts = list(found.values() if isinstance(found, dict) else found)
        values = [_bare(part) for part in parts] if filled else parts
        return person[name] in values and person["_id"] in parts
    found = _bare(found) if filled else found
    return found == person[name] or str(found) in _written(person[name])


def _bare(value: object) -> object:
    """A value without the blanks behind it, if it is a text."""
    return value.rstrip(" ") if isinstance(value, str) else value


def _written(value: object) -> list[str]:
    """How a value may have been written, where it was made a text to be encrypted."""
    if isinstance(value, datetime):
        return [str(value), value.isoformat(), str(value.date()), str(value.replace(tzinfo=None))]
    return [str(value)]


def _words(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")


def _is_found(
    at: Attempt, client: MongoClient, encryption, before: dict, now: dict, searched: str
) -> str | None:
    """Whether the driver finds a person by the searched field, without opening all of them."""
    keys = {bytes(vault.key_id(person[searched])) for person in now.values()}
    collection = client["sensenets"]["people"]
    sought = list(before)[:: _PEOPLE // 4]
    right = 0
    for number in sought:
        key = vault.key_id(now[sought[0]][searched])
        found = vault.finds(encryption, collection, searched, before[number][searched], key)
        right += found == [number]
    at.note(_HOLDER, f"find {len(sought)} people by {searched}", f"{right} found")
    if right == len(sought):
        return None
    fixed = all(person[searched][0] == vault.IS_FIXED for person in now.values())
    return "key_for_each" if fixed and len(keys) > 1 else "not_found"


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "master": bytes},
        check=_encrypted,
        task=_fields_task,
        lab=_fields_lab,
    ),
    2: Question(asks={"lab": Lab}, check=rule.refused, task=rule.task, lab=rule.open_lab),
    3: Question(
        asks={"lab": Lab, "recovered": dict},
        check=counts.recovered,
        task=counts.task,
        lab=counts.open_lab,
        value=True,
    ),
    4: Question(asks={"make": Callable}, check=seal.sealed, task=seal.task),
    5: Question(
        asks={"lab": Lab, "new_master": bytes},
        check=turned.turned,
        task=turned.task,
        lab=turned.open_lab,
    ),
    6: Question(
        asks={"lab": Lab, "key": bytes, "seal_with": Callable},
        check=column.sealed,
        task=column.task,
        lab=column.open_lab,
    ),
}
