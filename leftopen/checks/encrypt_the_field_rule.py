"""Exercise 13, question 2: the server itself takes nothing that is not encrypted."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from bson.binary import Binary
from pymongo import MongoClient
from pymongo.errors import EncryptionError, OperationFailure, WriteError

from leftopen.checks import encrypt_the_field_copies as copies
from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

KEY = "people"
"""The name of the data key, beside its id."""
_SEED, _PEOPLE, _OLD = 14, 40, 5
_NEW_ID = 900_001  # of the people whom the check inserts, and removes again
_REFUSED_BY_RULE = 121  # DocumentValidationFailure
_APPLICATION = "as the application, which encrypts"
_CARELESS = "as a program that does not encrypt"
_STRANGER = "as a stranger, who reads all of the server"
_PLACE = "sensenets.people"


def task(draw: Draw) -> Task:
    """Which field is searched, which are not, and the master key."""
    draw = variant(draw, "13", 2)
    other = draw.pick("other", ("homeAddress", "photo", "group"))
    return Task(
        searched=("idNumber", "encrypted deterministically"),
        others=(draw.shuffle("others", ("birthday", other)), "encrypted at random"),
        master=(draw.password("master", vault.MASTER_BYTES), "the master key; .encode() it"),
        key_name=(KEY, "the data key's name, in key_alt_name"),
    )


def _fields(task: Task) -> dict[str, str]:
    """The encrypted fields, each with its algorithm."""
    return {str(task["searched"]): vault.FIXED, **dict.fromkeys(task["others"], vault.RANDOM)}


def open_lab(task: Task) -> MongoLab:
    """People whose fields are encrypted, but for a few who came in before that."""

    def prepare(client: MongoClient) -> None:
        client.drop_database("encryption")
        with vault.with_key(client, str(task["master"]).encode()) as encryption:
            encryption.create_data_key("local", key_alt_names=[KEY])
            collection = client["sensenets"]["people"]
            for person in vault.people(_SEED, _PEOPLE)[_OLD:]:
                collection.replace_one({"_id": person["_id"]}, _sealed(encryption, task, person))

    return vault.open_lab(_SEED, _PEOPLE, prepare)


def _sealed(encryption, task: Task, person: dict) -> dict:
    hidden = {
        name: encryption.encrypt(person[name], how, key_alt_name=KEY)
        for name, how in _fields(task).items()
    }
    return {**person, **hidden}


def refused(at: Attempt, lab: Lab) -> str:
    """What is encrypted is taken, everything else is not, and nothing old is left in clear."""
    with vault.operator(lab) as client:
        try:
            with vault.with_key(client, str(at.task["master"]).encode()) as encryption:
                return _Trial(at, lab, client, encryption).judged()
        except EncryptionError:
            at.note(_APPLICATION, "use the data key", "it is not there, or does not open")
            return "lost"


class _Trial:
    """What the server does with the same people, written by two programs."""

    def __init__(self, at: Attempt, lab: Lab, client: MongoClient, encryption) -> None:
        self.at, self.lab, self.client, self.encryption = at, lab, client, encryption
        self.database = client["sensenets"]
        self.people = self.database["people"]
        self.before = {person["_id"]: person for person in vault.people(_SEED, _PEOPLE)}
        self.now = {person["_id"]: person for person in self.people.find()}
        self.fields = list(_fields(at.task))
        self.why_refused = ""
        self.old = list(self.before)[:_OLD]
        self._first_and_last = {self.old[0], list(self.before)[-1]}
        # Somebody else, in case that the collection keeps a field unique.
        self.clear = {**vault.people(_SEED + 1, 1)[0], "_id": _NEW_ID}
        self.sealed = _sealed(encryption, at.task, self.clear)

    def judged(self) -> str:
        """The verdict."""
        if self.now.keys() != self.before.keys() or not self._all_open():
            self.at.note(_APPLICATION, f"open the fields of {len(self.before)} people", "not all")
            return "lost"
        if gone := vault.lost_elsewhere(self.client, _SEED, _PEOPLE):
            self.at.note(_APPLICATION, "count the documents of the other collections", gone)
            self.at.values["gone"] = gone
            return "dropped"
        left = [n for n in self.now if any(self._is_clear(n, name) for name in self.fields)]
        self.at.note(_CARELESS, "read people in plain text", f"{len(left)} of {len(self.now)}")
        self.at.values.update(left=len(left))
        if fault := self._plain_text(left):
            return UNTOUCHED if fault == "no_rule" and len(left) == _OLD else fault
        if fault := self._the_application(left):
            return fault
        if left:  # the rule is kept by the very values that stood there
            return "old_exempt"
        return self._as_bytes() or self._packed() or self._five_tell() or self._copies() or RIGHT

    def _is_clear(self, number: int, name: str) -> bool:
        return self.now[number].get(name) == self.before[number][name]

    def _all_open(self) -> bool:
        for number, person in self.before.items():
            for name, value in person.items():
                found = self.now[number].get(name)
                if name in self.fields and vault.is_encrypted(found):
                    found = vault.opened(self.encryption, found)
                if found != value:
                    return False
        return True

    # -- what may not be taken ------------------------------------------------------------------

    def _plain_text(self, left: list[int]) -> str | None:
        taken = [name for name in self.fields if self._inserts({name: self.clear[name]})]
        for name in self.fields:
            answer = "accepted" if name in taken else "refused"
            self.at.note(_CARELESS, f"insert a person with {name} in plain text", answer)
        self.at.values["taken"] = ", ".join(taken)
        if taken:
            return self._why(len(taken) == len(self.fields))
        for turn, number in enumerate(self.before):  # an exception may be for anybody
            for name in self.fields if number in self._first_and_last else [self.fields[turn % 3]]:
                if self._changes(number, {name: _other(self.clear[name])}):
                    self.at.note(
                        _CARELESS, f"put plain text into person {number}: {name}", "accepted"
                    )
                    level = self._options().get("validationLevel")
                    return "moderate" if level == "moderate" else "old_exempt"
        self.at.note(_CARELESS, f"put plain text into one of {len(self.before)} people", "refused")
        return None

    def _why(self, whole: bool) -> str:
        """Why plain text is taken; the options choose the sentence alone."""
        options = self._options()
        if not whole:
            return "some_fields"
        if options.get("validator"):
            off = options.get("validationLevel") == "off"
            only_told = options.get("validationAction") == "warn"
            return "switched_off" if off else "warns_only" if only_told else "rule_misses"
        every = (each.get("options", {}) for each in self.database.list_collections())
        return "another_collection" if any(each.get("validator") for each in every) else "no_rule"

    def _options(self) -> dict:
        return self.people.options()

    def _as_bytes(self) -> str | None:
        """Whether bytes that are not encrypted pass for what is, also of the same length."""
        for name in self.fields:
            written = vault.as_bytes(self.clear[name])[0]
            filled = written.ljust(len(self.sealed[name]))
            for value, how in (
                (Binary(written, 0), "as plain bytes"),
                (Binary(written, 128), "as bytes of a type of its own"),
                (Binary(filled, 0), f"as plain bytes, filled up to {len(filled)}"),
                (Binary(filled, 128), f"as bytes of a type of its own, filled up to {len(filled)}"),
            ):
                if self._inserts({name: value}):
                    self.at.note(_CARELESS, f"insert a person with {name} {how}", "accepted")
                    self.at.values["bytes"] = how.removeprefix("as ")
                    return "any_bytes"
        self.at.note(_CARELESS, "insert a person with a field as plain bytes", "refused")
        return None

    def _packed(self) -> str | None:
        """Whether plain text passes in a list or in a document of its own."""
        for name in self.fields:
            plain = self.clear[name]
            for value, how in (([plain], "in a list"), ({"is": plain}, "in a document")):
                if self._inserts({name: value}):
                    self.at.note(_CARELESS, f"insert a person with {name} {how}", "accepted")
                    self.at.values.update(name=name, packed=how)
                    return "packed"
        self.at.note(_CARELESS, "insert a person with a field in a list or a document", "refused")
        return None

    # -- what a stranger reads ------------------------------------------------------------------

    def _five_tell(self) -> str | None:
        """Whether a field that was to be encrypted at random was encrypted otherwise."""
        told = []
        for name in self.fields[1:]:
            values = [bytes(person[name]) for person in self.now.values()]
            fixed = sum(value[0] == vault.IS_FIXED for value in values)
            equal = len(values) - len(set(values))
            if fixed or equal:
                told.append(f"{name} of {fixed or equal + 1} people")
        answer = "; ".join(told) or "none of them"
        self.at.note(_STRANGER, "look for deterministic values in the other fields", answer)
        self.at.values["told"] = answer
        return "old_deterministic" if told else None

    def _copies(self) -> str | None:
        """Whether the values, or the key, stand elsewhere on the server."""
        server = copies.read(self.client)
        left = []
        for name in self.fields:
            values = [person[name] for person in self.before.values()]
            if isinstance(values[0], datetime):
                left += copies.of_dates(server, values, _PLACE)
            elif len(set(values)) == len(values):
                left += copies.of_unique(server, values)
            else:
                left += copies.of_shared(server, values, _PLACE)
        beside = self._fields_beside()
        where = ", ".join([*beside, *(str(c) for c in dict.fromkeys(left) if c.where != _PLACE)])
        if not beside and any(copy.where == _PLACE for copy in left):
            where = f"{where}, {_PLACE}".removeprefix(", ")
        self.at.note(_STRANGER, "look for the same values elsewhere", where or "nowhere")
        master = str(self.at.task["master"]).encode()
        key = copies.told(copies.of_key(server, master))
        if not where:
            self.at.note(_STRANGER, "look for the master key", key or "nowhere")
        self.at.values["where"] = where or key
        return "copy_left" if where else "key_beside" if key else None

    def _fields_beside(self) -> list[str]:
        """Further fields of people in which the values of the encrypted ones stand in clear."""
        found = {}
        for number, person in self.now.items():
            for name in sorted(person.keys() - self.before[number].keys()):
                texts = [str(self.before[number][hidden]) for hidden in self.fields]
                if any(text in str(person[name]) for text in texts):
                    found[f"the field {name} of {_PLACE}"] = True
        return list(found)

    # -- what must be taken ---------------------------------------------------------------------

    def _the_application(self, left: list[int]) -> str | None:
        taken = self._inserts({})
        answer = "accepted" if taken else f"refused: {self.why_refused}"
        self.at.note(_APPLICATION, "insert a person with encrypted fields", answer)
        if not taken:
            self.at.values["named"] = self.why_refused
            return "application_refused"
        stuck = [n for n in self.now if not self._changes(n, {"employer": "Employer-0000"})]
        answer = f"refused for {len(stuck)} of {len(self.now)}" if stuck else "accepted"
        self.at.note(_APPLICATION, "write another employer of each person", answer)
        self.at.values.update(stuck=len(stuck), named=self.why_refused)
        if stuck:
            return "old_ones_stuck" if left else "application_refused"
        searched = self.fields[0]
        key = vault.key_id(self.sealed[searched])
        lost = [n for n in self.now if n not in left and not self._is_found(n, searched, key)]
        self.at.note(_APPLICATION, f"find each person by {searched}", f"{len(lost)} are not found")
        return "old_not_found" if lost else None

    def _is_found(self, number: int, name: str, key: Binary) -> bool:
        plain = self.before[number][name]
        return vault.finds(self.encryption, self.people, name, plain, key) == [number]

    # -- both: each leaves nothing behind -------------------------------------------------------

    def _inserts(self, change: dict) -> bool:
        try:
            return self._allowed(lambda: self.people.insert_one({**self.sealed, **change}))
        finally:
            self.people.delete_one({"_id": _NEW_ID})

    def _allowed(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except (WriteError, OperationFailure) as error:
            if error.code != _REFUSED_BY_RULE:
                raise
            named = list(_operators((error.details or {}).get("errInfo", {})))
            self.why_refused = (
                f"the server names {named[-1]} as the reason" if named else "by the rule"
            )
            return False
        return True

    def _changes(self, number: int, change: dict) -> bool:
        """Whether a document takes a change; it is put back as it was."""
        try:
            return self._allowed(lambda: self.people.update_one({"_id": number}, {"$set": change}))
        finally:
            before = {"$set": {name: self.now[number][name] for name in change}}
            self.people.update_one({"_id": number}, before, bypass_document_validation=True)


def _operators(details: object) -> Iterator[str]:
    """The operators in a server's account of why a document was refused, the innermost last."""
    if isinstance(details, dict):
        if name := details.get("operatorName"):
            yield str(name)
        for inner in details.values():
            yield from _operators(inner)
    elif isinstance(details, list):
        for inner in details:
            yield from _operators(inner)


def _other(value: object) -> object:
    return value + timedelta(days=1) if isinstance(value, datetime) else f"{value}."
