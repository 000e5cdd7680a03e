"""Exercise 15, question 2: a backup that its owner can open, and nobody else.

The check restores it into a server of its own and compares every document. A sealed file begins
with a line that says so (age-encryption.org/v1).
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from itertools import permutations
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pyrage
from pymongo import MongoClient

from leftopen import backup as backups
from leftopen.audit.crypto import keys, search
from leftopen.audit.crypto.encodings import layers
from leftopen.cases import sensenets
from leftopen.checks import persona
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.engines.mongodb import MongoServer
from leftopen.errors import DataError
from leftopen.lab_mongodb import MongoLab
from leftopen.learner import Draw

_HEAD = b"age-encryption.org/v1"
_KEY = re.compile(r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]+", re.IGNORECASE)
_MOST = 16 << 20  # bytes of a file that is looked into for encodings
_SAMPLES = 12  # people and positions that are searched for
_LINE, _FIELDS = 400, 12  # signs and numbers of a line that are looked at
_TRACES = 10  # positions that no file shows by chance
_SMALL = re.compile(rb"(?<![\w.])\d{1,4}(?![\w.])")  # a person or a tracker, as it is written
_INDEX = "idNumber_1"


def sealed_task(draw: Draw) -> Task:
    """The administrator, and which database is to be saved."""
    draw = variant(draw, "15", 2)
    return Task(
        database=("sensenets", "what is to be in the backup, all of it"),
        **persona.administrator(draw),
    )


def sealed_lab(task: Task) -> MongoLab:
    """A locked server with an index to lose, and another database beside."""

    def prepare(client: MongoClient) -> None:
        people = client[sensenets.DATABASE].people
        people.create_index("idNumber", unique=True)
        client[sensenets.DATABASE].create_collection("settings")
        client[sensenets.DATABASE].settings.insert_one({"_id": "retention", "days": 30})

    lab = persona.locked_lab(task, prepare)
    try:
        with persona.operator(lab, task) as admin:
            _MADE[lab] = _contents(admin[sensenets.DATABASE])
    except BaseException:
        lab.close()
        raise
    return lab


_MADE: MutableMapping[MongoLab, dict] = WeakKeyDictionary()
"""What stood in each lab when its question began."""


def sealed(at: Attempt, lab: MongoLab, backup: Path, identity: Path) -> str:
    """Closed without the key, which is elsewhere; and with it, every document comes back."""
    if not backup.is_dir() or not any(path.is_file() for path in backup.rglob("*")):
        raise BadAnswer(
            "`backup_folder` is not a folder with files in it. Give the folder of your backup"
        )
    key = _private_key(identity)
    with persona.operator(lab, at.task) as admin:
        truth = _contents(admin[sensenets.DATABASE])
        disk = _disk(backup)
        made = _MADE[lab]
        fault = _closed(at, disk, made) or _elsewhere(at, lab, disk, identity, key, admin)
    return fault or _comes_back(at, backup, key, truth) or _was_whole(at, made, truth)


def _disk(backup: Path) -> Path:
    """All that leaves the house with a backup: the folder that plays the disk, if it lies there.

    It is looked for below the folder for temporary files alone, where a desk is: above it, and
    elsewhere, a folder of that name is one of the machine's.
    """
    here, root = backup.resolve(), Path(tempfile.gettempdir()).resolve()
    above = [path for path in (here, *here.parents) if root in path.parents]
    return next((path for path in above if path.name == "disk"), here)


def _private_key(identity: Path) -> str:
    try:
        found = _KEY.findall(identity.read_text())
        pyrage.x25519.Identity.from_str(found[0].upper())
    except (OSError, ValueError, IndexError, pyrage.IdentityError):
        raise BadAnswer(
            "`identity_file` is not a file with a private key of age. str(pyrage.x25519.Identity"
            ".generate()) is one, as text; write it into a file, and give the file's path"
        ) from None
    return found[0].upper()


def _contents(database: Any) -> dict[str, tuple[dict, set]]:
    """Collection -> its documents by _id, and what its indexes are."""
    return {
        name: (
            {repr(document["_id"]): document for document in database[name].find()},
            {repr(sorted(i.items())) for i in map(_index, database[name].list_indexes())},
        )
        for name in sorted(database.list_collection_names())
    }


def _index(told: dict) -> dict:
    return {k: list(v.items()) if k == "key" else v for k, v in told.items() if k != "ns"}


# -- without the key ----------------------------------------------------------------------------


def _closed(at: Attempt, backup: Path, truth: dict) -> str | None:
    """Whether anything of the records can be read in the folder without a key."""
    needles, traces = _needles(truth), _traces(truth)
    found = sorted({name for name, _, _ in search.plain_in_folder(backup, needles)})
    found += [name for name, stream in search.streams(backup) if _shows(stream.read(_MOST), traces)]
    for path in sorted(path for path in backup.rglob("*") if path.is_file()):
        data = path.read_bytes()[:_MOST]
        if not data.startswith(_HEAD) and any(
            _inside(inner, needles) or _shows(inner, traces) for _, inner in layers(data)
        ):
            found.append(path.relative_to(backup).as_posix())
    told = "there" if found else "not there"
    at.note("as whoever finds the backup", "look for people and positions without a key", told)
    if not found:
        return None
    at.values["place"] = found[0]
    return "plain_beside" if any(_sealed_files(backup)) else "opens_with_nothing"


def _needles(truth: dict) -> list[bytes]:
    """What tells of people and of where they were: numbers, names, and the keys of positions."""
    people = list(truth["people"][0].values())[:_SAMPLES]
    texts = [str(person[name]) for person in people for name in ("idNumber", "name")]
    positions = list(truth["positions"][0].values())[:_SAMPLES]
    keys_of = [position["_id"] for position in positions]
    return [
        *map(str.encode, texts),
        *(form for key in keys_of for form in (key.binary, str(key).encode())),
    ]


def _traces(truth: dict) -> set[tuple[bytes, bytes]]:
    """Who passed which tracker, as two numbers."""
    positions = truth["positions"][0].values()
    return {(b"%d" % each["person"], b"%d" % each["tracker"]) for each in positions}


def _shows(data: bytes, traces: set[tuple[bytes, bytes]]) -> bool:
    """Whether many lines of a text say who passed which tracker."""
    if data.startswith(_HEAD):
        return False
    shown: set[tuple[bytes, bytes]] = set()
    for line in data.splitlines():
        numbers = _SMALL.findall(line[:_LINE])
        shown |= traces & set(permutations(numbers[:_FIELDS], 2))
    return len(shown) >= _TRACES


def _inside(data: bytes, needles: list[bytes]) -> bool:
    with tempfile.TemporaryDirectory(prefix="leftopen-") as folder:
        path = Path(folder, "decoded")
        path.write_bytes(data)
        return bool(search.plain_in_folder(path, needles))


def _sealed_files(backup: Path) -> Iterator[Path]:
    for path in sorted(backup.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(_HEAD)) == _HEAD:
                    yield path


def _elsewhere(
    at: Attempt, lab: MongoLab, backup: Path, identity: Path, key: str, admin: MongoClient
) -> str | None:
    """Whether the private key is kept apart from what it opens."""
    forms = [*keys.forms(key.encode()).values(), key.lower().encode()]
    where = identity.resolve()
    in_backup = search.plain_in_folder(backup, forms) or where.is_relative_to(backup.resolve())
    in_backup = in_backup or any(_in_lines(path, key) for path in backup.rglob("*"))
    at.note("beside the backup", "look for the private key", "there" if in_backup else "not there")
    if in_backup:
        return "key_beside"
    server = lab.log.parent
    here = search.plain_in_folder(server, forms) or where.is_relative_to(server.resolve())
    rows = (d for name in admin.list_database_names() for d in _documents(admin[name]))
    written = [form.decode("latin-1") for form in forms]
    in_rows = any(form in text for text in map(repr, rows) for form in written)
    told = "in the database" if in_rows else "in its folder" if here else "not there"
    at.note("on the server", "look for the private key", told)
    if in_rows:
        return "key_in_dump"
    if here:
        return "key_on_server"
    others = identity.stat().st_mode & 0o077 if os.name == "posix" else 0
    at.note("as another account of this machine", "read the key", "may" if others else "may not")
    at.values["who"] = "every account of this machine" if others & 0o007 else "all of its group"
    return "key_for_all" if others else None


def _in_lines(path: Path, key: str) -> bool:
    """Whether a file is the key with spaces, or ends of lines, in it."""
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as file:
        return key.encode() in b"".join(file.read(_MOST).split()).upper()


def _documents(database: Any) -> Iterator[dict]:
    for name in database.list_collection_names():
        if not name.startswith("system."):
            yield from database[name].find()


# -- with the key -------------------------------------------------------------------------------


def _comes_back(at: Attempt, backup: Path, key: str, truth: dict) -> str | None:
    """Open the backup, restore it into a server of the check's own, compare."""
    newest = sorted(_sealed_files(backup), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    with tempfile.TemporaryDirectory(prefix="leftopen-") as folder:
        opened = []
        for number, path in enumerate(newest):
            try:
                opened.append(backups.open_sealed(path, key, Path(folder, str(number))))
            except DataError as error:
                at.values["said"] = str(error).replace(str(path), "the file").rstrip(".")
        at.note("with your private key", "open the backup", "opened" if opened else "refused")
        if not opened:
            at.values.setdefault("said", "there is no file of age in it")
            return "does_not_open"
        return _restored(at, _one_of(opened, Path(folder, "parts")), truth)


def _one_of(opened: list[Path], together: Path) -> Path:
    """The newest of several backups; or all of them, where each is another part of one."""
    files = [p.relative_to(each) for each in opened for p in each.rglob("*") if p.is_file()]
    if len(set(files)) < len(files) or len(opened) == 1:
        return opened[0]
    for each in opened:
        shutil.copytree(each, together, dirs_exist_ok=True)
    return together


def _restored(at: Attempt, folder: Path, truth: dict) -> str | None:
    server = MongoServer({})
    try:
        with MongoClient(f"mongodb://127.0.0.1:{server.port}/?directConnection=true") as client:
            try:
                backups.restore_mongodb(folder, client, sensenets.DATABASE)
            except DataError as error:
                at.note("on a server of its own", "restore it", "refused")
                at.values["said"] = str(error).replace(str(folder), "what opens").rstrip(".")
                return "no_dump"
            return _compared(at, truth, _contents(client[sensenets.DATABASE]))
    finally:
        server.close()


def _compared(at: Attempt, truth: dict, found: dict) -> str | None:
    wrong: dict[str, int] = {}
    same = lost = 0
    for name, (wanted, _) in truth.items():
        there = found.get(name, ({}, set()))[0]
        equal = sum(there.get(key) == document for key, document in wanted.items())
        same += equal
        told = f"{equal} of {len(wanted)} documents as in the database"
        surplus = len(there.keys() - wanted.keys())
        at.note("restored", name, told + (f", {surplus} others" if surplus else ""))
        if equal < len(wanted) or surplus or name not in found:
            wrong[name] = len(wanted) - equal + surplus
            lost += name not in found or not there
    at.values.update(names=", ".join(wrong), count=sum(wrong.values()))
    if not same and any(wanted for wanted, _ in truth.values()):
        return "another_database"
    if lost:
        return "part"
    if wrong:
        return "stale"
    bare = [name for name, (_, indexes) in truth.items() if not indexes <= found[name][1]]
    at.note("restored", "indexes", f"missing in {', '.join(bare)}" if bare else "as they were")
    at.values["names"] = ", ".join(bare)
    return "indexes_lost" if bare else None


def _was_whole(at: Attempt, made: dict, truth: dict) -> str:
    """Whether what was saved is still what the question began with."""
    gone = {}
    for name, (wanted, indexes) in made.items():
        there, left = truth.get(name, ({}, set()))
        lost = sum(there.get(key) != document for key, document in wanted.items())
        gone |= {name: lost} if lost or not indexes <= left else {}
    told = f"not as they were: {', '.join(gone)}" if gone else "as they were"
    at.note("in your database", "what stood there at the beginning", told)
    at.values.update(names=", ".join(gone), count=sum(gone.values()))
    return "lost_before" if gone else RIGHT
