"""Checks of what lies in the server: data of people in clear, for how long, and a thief's note."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pymongo.errors import OperationFailure

from leftopen.audit.checks import check
from leftopen.audit.look import SYSTEM, Look
from leftopen.audit.personal import Identifier, identifiers, points_at_people
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

SAMPLE = 20
"""Documents that are read of each collection."""
_MOST_COLLECTIONS = 60
# The wording of notes that were reported in the ransom waves of 2017 to 2020; the facts are in
# the ledger of claims, the patterns are ours.
RANSOM = re.compile(
    r"read_?me|warning|pwned|recover|ransom|restore_your|your_(data|database)|contact_(me|us)|"
    r"please_read|how_to_|hacked|send_bitcoin|[_-]meow$|^meow",
    re.IGNORECASE,
)
"""Names that a note of somebody who took the data has."""


@dataclass(frozen=True)
class Collection:
    """One collection, and what a sample of it says."""

    database: str
    name: str
    options: dict = field(repr=False)
    identifiers: tuple[Identifier, ...]
    about_people: bool
    expires: bool

    @property
    def full(self) -> str:
        """As ``sensenets.people``."""
        return f"{self.database}.{self.name}"


def _collections(look: Look) -> list[Collection]:
    """The learner's collections, read once for all checks; views are left out."""
    if "collections" not in look.kept:
        try:
            look.kept["collections"] = list(_read(look))
        except OperationFailure as error:
            name = (error.details or {}).get("codeName", error.code)
            raise CouldNotLook(f"this login may not read every collection: {name}") from None
    if not look.kept["collections"]:
        raise NothingToLookAt("there is no collection")
    return look.kept["collections"]


def _read(look: Look) -> Iterator[Collection]:
    count = 0
    for database in sorted(look.eye.list_database_names()):
        if database in SYSTEM:
            continue
        for told in sorted(look.eye[database].list_collections(), key=lambda c: c["name"]):
            if told["type"] != "collection" or told["name"].startswith("system."):
                continue
            count += 1
            if count > _MOST_COLLECTIONS:
                return
            table = look.eye[database][told["name"]]
            sample = list(table.find().limit(SAMPLE))
            expires = any("expireAfterSeconds" in index for index in table.list_indexes())
            found = tuple(identifiers(sample))
            about = bool(found or points_at_people(sample))
            yield Collection(database, told["name"], told["options"], found, about, expires)


@check("identifiers-in-clear")
def identifiers_in_clear(look: Look) -> Iterator[Finding]:
    """Do fields that identify people stand there for every reader?"""
    for table in _collections(look):
        if table.identifiers:
            told = "; ".join(
                f"{i.field}: {i.hits} of the {i.sampled} sampled hold {i.kind}"
                for i in table.identifiers
            )
            yield Finding(
                "identifiers-in-clear",
                Severity.WARN if look.inside.find == 0 else Severity.NOTE,
                f"{table.full} holds identifiers of people in clear.",
                f"find in {table.full} → {told}",
                "Everyone who may read the collection, and everyone who gets a copy or a backup, "
                "can tell who the people are.",
                "CWE-311",
                "# encrypt the field in the application (ClientEncryption), or keep a keyed hash "
                "in its place",
                f'client["{table.database}"]["{table.name}"]'
                f'.find_one({{}}, {{"{table.identifiers[0].field}": 1}})',
            )


@check("no-validator")
def no_validator(look: Look) -> Iterator[Finding]:
    """Can anything at all be written into a collection about people?"""
    bare = [t for t in _collections(look) if t.about_people and not t.options.get("validator")]
    if bare:
        yield Finding(
            "no-validator",
            Severity.NOTE,
            "Collections about people take documents of any form.",
            f"listCollections → no validator on {', '.join(t.full for t in bare)}",
            "A field that should never be stored, or never in clear, is refused by a validator "
            "alone; an agreement among programmers is forgotten.",
            "CWE-20",
            f'client["{bare[0].database}"].command("collMod", "{bare[0].name}", '
            'validator={"$jsonSchema": {…}})',
            f'client["{bare[0].database}"]["{bare[0].name}"].options()',
        )


@check("no-retention")
def no_retention(look: Look) -> Iterator[Finding]:
    """Are data of people kept without an end?"""
    kept = [t for t in _collections(look) if t.about_people and not t.expires]
    if kept:
        yield Finding(
            "no-retention",
            Severity.NOTE,
            "Collections about people have no end to how long they are kept.",
            f"listIndexes → no expireAfterSeconds on {', '.join(t.full for t in kept)}",
            "What was deleted in time cannot leak. If a program of yours deletes, that is as "
            "good; this audit cannot see it.",
            "CWE-212",
            f'client["{kept[0].database}"]["{kept[0].name}"].create_index("…", '
            "expireAfterSeconds=30 * 86400)",
            f'client["{kept[0].database}"]["{kept[0].name}"].index_information()',
        )


@check("ransom-note")
def ransom_note(look: Look) -> Iterator[Finding]:
    """Has somebody left a demand in the place of the data?"""
    listed = look.run("admin", "listDatabases", nameOnly=True)["databases"]
    names = [d["name"] for d in listed if d["name"] not in SYSTEM]
    found = [n for n in names if RANSOM.search(n)]
    for database in names:
        listed = look.run(database, "listCollections", nameOnly=True)["cursor"]["firstBatch"]
        found += [f"{database}.{c['name']}" for c in listed if RANSOM.search(c["name"])]
    if found:
        yield Finding(
            "ransom-note",
            Severity.FIX,
            "Names look like the note of somebody who took the data.",
            f"listDatabases, listCollections → {', '.join(found)}",
            "Such notes are left by programs that copy or wipe open databases. Treat the data as "
            "taken, and the machine as evidence. Those who paid in 2017 got nothing back.",
            "CWE-284",
            "# close the server to everyone first; keep a copy of it; then restore from a backup",
            f'client["{found[0].partition(".")[0]}"].list_collection_names()',
        )
