"""Exercise 13, question 5: a new master key, and one person whose data nobody can open again."""

import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bson.binary import Binary
from pymongo import MongoClient
from pymongo.errors import EncryptionError

from leftopen.checks import encrypt_the_field_copies as copies
from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

_SEED, _PEOPLE = 16, 24
_FIELD = "homeAddress"
_DUMP_KEYS, _DUMP_PEOPLE = "dump.keys", "dump.people"
_HOLDER = "as the holder of the new master key"
_FORMER = "as somebody who kept the old master key"
_WITH_BOTH = "as somebody with a copy of the old data and either master key"


@dataclass(frozen=True)
class _Copied:
    """What somebody may have kept of a lab as it began: ciphertexts, and wrapped data keys."""

    values: dict[int, Binary] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)


_COPIED: "weakref.WeakKeyDictionary[Lab, _Copied]" = weakref.WeakKeyDictionary()


def task(draw: Draw) -> Task:
    """The old master key, and whom to forget."""
    draw = variant(draw, "13", 5)
    return Task(
        old_master=(
            draw.password("master", vault.MASTER_BYTES),
            "the old master key; .encode() it",
        ),
        forget=(2 + draw.number("forget", _PEOPLE - 2), "the _id of the person to be forgotten"),
    )


def _key_name(number: int) -> str:
    return f"person-{number}"


def open_lab(task: Task) -> MongoLab:
    """People with a data key each, and a dump of them and of the key vault."""
    copied = _Copied()

    def prepare(client: MongoClient) -> None:
        client.drop_database("encryption")
        database = client["sensenets"]
        with vault.with_key(client, str(task["old_master"]).encode()) as encryption:
            for person in vault.people(_SEED, _PEOPLE):
                number = person["_id"]
                key = encryption.create_data_key("local", key_alt_names=[_key_name(number)])
                value = encryption.encrypt(person[_FIELD], vault.RANDOM, key_id=key)
                database["people"].update_one({"_id": number}, {"$set": {_FIELD: value}})
                copied.values[number] = value
        for entry in _named(client, vault.VAULT).find():
            copied.keys[entry["keyAltNames"][0]] = bytes(entry["keyMaterial"])
        for source, target in ((vault.VAULT, _DUMP_KEYS), ("sensenets.people", _DUMP_PEOPLE)):
            _named(client, target).insert_many(list(_named(client, source).find()))

    lab = vault.open_lab(_SEED, _PEOPLE, prepare)
    _COPIED[lab] = copied
    return lab


def _named(client: MongoClient, name: str):
    database, _, collection = name.partition(".")
    return client[database][collection]


def turned(at: Attempt, lab: Lab, new_master: bytes) -> str:
    """The old master key opens nothing, the new one everybody but one, who is gone everywhere."""
    vault.needs_96("new_master", new_master)
    old_master = str(at.task["old_master"]).encode()
    used = copies.USED
    if new_master[:used] in (old_master[:used], old_master[::-1][:used]):
        at.note(_FORMER, "compare the old master key with the new one", "one gives the other")
        return "same_key"
    with vault.operator(lab) as client:
        return _Trial(at, lab, client, old_master, new_master).judged()


class _Trial:
    def __init__(
        self, at: Attempt, lab: Lab, client: MongoClient, old_master: bytes, new_master: bytes
    ) -> None:
        self.at, self.lab, self.client = at, lab, client
        self.old, self.new = old_master, new_master
        self.forget = int(at.task["forget"])
        self.copied = _COPIED[lab]
        self.before = {person["_id"]: person for person in vault.people(_SEED, _PEOPLE)}
        self.server = copies.read(client)
        self.under_old = list(copies.data_keys(self.server, old_master))
        self.under_new = list(copies.data_keys(self.server, new_master))

    def judged(self) -> str:
        """The verdict: the old key first, then the one person, then all others."""
        places = list(dict.fromkeys([vault.VAULT, *self._vaults()]))
        by_old = {place: self._open_with(self.old, place) for place in places}
        by_new = {place: self._open_with(self.new, place) for place in places}
        for place in places:
            self.at.note(_FORMER, f"open data keys in {place}", f"{len(by_old[place])} open")
        return (
            self._old_opens_the_vault(by_old, by_new)
            or self._others()
            or self._one_is_gone(places)
            or self._old_opens_elsewhere(by_old)
            or self._in_the_clear()
            or self._new_is_secret()
            or RIGHT
        )

    # -- data keys ------------------------------------------------------------------------------

    def _vaults(self) -> Iterator[str]:
        """The collections that hold data keys."""
        for where, document in copies.documents(self.client):
            if "keyMaterial" in document and "masterKey" in document:
                yield where

    def _open_with(self, master: bytes, place: str) -> list[Binary]:
        """The ids of the data keys of a collection that a master key opens."""
        found = []
        with vault.with_key(self.client, master, place) as encryption:
            for key in _named(self.client, place).distinct("_id"):
                try:
                    encryption.encrypt("tried", vault.RANDOM, key_id=key)
                except (EncryptionError, TypeError, ValueError):
                    continue
                found.append(key)
        return found

    def _old_opens_the_vault(self, by_old: dict, by_new: dict) -> str | None:
        opens = by_old[vault.VAULT]
        if not opens:
            return None
        self.at.values.update(many=len(opens))
        if by_new[vault.VAULT]:
            return "some_old"
        copied = [place for place, keys in by_new.items() if keys]
        self.at.values["where"] = ", ".join(copied)
        return "only_a_copy" if copied else "not_rotated"

    def _old_opens_elsewhere(self, by_old: dict) -> str | None:
        left = [place for place, keys in by_old.items() if keys]
        for copy, _ in self.under_old:  # also within another document, or written otherwise
            if copy.where not in left:
                self.at.note(_FORMER, f"look for old data keys in {copy.where}", "found")
                left.append(copy.where)
        self.at.values["where"] = ", ".join(left)
        return "old_opens_dump" if left else None

    # -- the people -------------------------------------------------------------------------------

    def _others(self) -> str | None:
        """Whether everybody but one is there, with a key of their own under the new master key."""
        now = {person["_id"]: person for person in _named(self.client, "sensenets.people").find()}
        lost, changed = [], ""
        with vault.with_key(self.client, self.new) as encryption:
            for number, person in self.before.items():
                found = dict(now.get(number, {}))
                if number == self.forget:
                    continue
                if vault.is_encrypted(found.get(_FIELD)):
                    found[_FIELD] = vault.opened(encryption, found[_FIELD])
                if found.get(_FIELD) != person[_FIELD]:
                    lost.append(number)
                elif found != person:
                    names = [n for n in {**person, **found} if person.get(n) != found.get(n)]
                    changed = changed or f"of person {number}, {', '.join(names)}"
        others = len(self.before) - 1
        self.at.note(
            _HOLDER, f"open {_FIELD} of {others} other people", f"{others - len(lost)} open"
        )
        self.at.values.update(lost=len(lost))
        self.stays = self.forget in now
        if not lost:
            return self._keys_are_shared(now) or self._something_else_is_gone(changed)
        gone = self._opens_with([vault.VAULT])
        return "wrong_person" if len(lost) == 1 and gone else "others_lost"

    def _keys_are_shared(self, now: dict) -> str | None:
        """Whether several people have one data key, so that no single one can be forgotten."""
        values = [person.get(_FIELD) for n, person in now.items() if n != self.forget]
        many = Counter(bytes(vault.key_id(v)) for v in values if vault.is_encrypted(v))
        sharing = sum(n for n in many.values() if n > 1)
        answer = f"{sharing} share one with somebody" if sharing else "each has one"
        self.at.note(_HOLDER, "look for the data keys of the others", answer)
        self.at.values["sharing"] = sharing
        return "key_shared" if sharing else None

    def _something_else_is_gone(self, changed: str) -> str | None:
        gone = changed or vault.lost_elsewhere(self.client, _SEED, _PEOPLE)
        if not gone:
            return None
        self.at.note(_HOLDER, "compare everything else with what was there", gone)
        self.at.values["gone"] = gone
        return "dropped"

    def _opens_with(self, places: list[str]) -> list[str]:
        """Where a data key stands with which the forgotten person's old ciphertext opens."""
        value, found = self.copied.values[self.forget], []
        for place in places:
            for master in (self.new, self.old):
                with vault.with_key(self.client, master, place) as encryption:
                    plain = vault.opened(encryption, value)
                if plain == self.before[self.forget][_FIELD] and place not in found:
                    found.append(place)
        return found

    def _one_is_gone(self, places: list[str]) -> str | None:
        """Whether the forgotten person's data key lies nowhere, wrapped or not."""
        found = self._opens_with(places)
        own = copies.unwrapped(self.old, self.copied.keys[_key_name(self.forget)])
        lying = [copy for copy, key in (*self.under_old, *self.under_new) if key == own]
        lying += copies.of_key(self.server, own)
        found += [c.where for c in dict.fromkeys(lying) if c.where not in found]
        found = list(dict.fromkeys(found))
        self.at.note(
            _WITH_BOTH,
            f"open {_FIELD} of person {self.forget}",
            f"with {', '.join(found)}" if found else "refused",
        )
        if not found:
            return self._under_another_key(places)
        self.at.values["where"] = ", ".join(found)
        if vault.VAULT in found:
            return "not_shredded" if self.stays else "document_only"
        old = {key for copy, key in self.under_old if copy.where == found[0]}
        return "dump_forgotten" if len(old) >= _PEOPLE else "person_in_dump"

    def _under_another_key(self, vaults: list[str]) -> str | None:
        """Whether the forgotten person's value was encrypted again, with a key that is left."""
        plain, found = str(self.before[self.forget][_FIELD]), []
        sealed = [
            (where, value)
            for where, number, value in copies.sealed_values(self.client)
            if not self._is_somebody_elses(number, plain)
        ]
        for place in vaults:
            with vault.with_key(self.client, self.new, place) as encryption:
                for where, value in sealed:
                    if plain in str(vault.opened(encryption, value)) and where not in found:
                        found.append(where)
        told = f"opens in {', '.join(found)}" if found else "nowhere"
        self.at.note(_HOLDER, f"look for the {_FIELD} of person {self.forget} everywhere", told)
        self.at.values["where"] = ", ".join(found)
        return "under_another_key" if found else None

    def _is_somebody_elses(self, number: object, plain: str) -> bool:
        """Whether another person has the same value, and by right."""
        other = self.before.get(number) if isinstance(number, int) else None
        return number != self.forget and other is not None and other[_FIELD] == plain

    def _in_the_clear(self) -> str | None:
        every = [str(person[_FIELD]) for person in self.before.values()]
        left = copies.of_unique(self.server, every)
        self.at.note(_FORMER, f"look for each {_FIELD} in clear", copies.told(left) or "nowhere")
        self.at.values["where"] = copies.told(left)
        return "in_the_clear" if left else None

    def _new_is_secret(self) -> str | None:
        known = vault.where_known(self.lab, self.server, self.new)
        told = f"found: {known[1]}" if known else "nowhere"
        self.at.note(_FORMER, "look for the new master key", told)
        self.at.values["where"] = known[1] if known else ""
        return "new_key_known" if known else None
