"""A dump of one MongoDB database, in the form of mongodump, and its restore.

The layout is mongodump's (MongoDB Database Tools, "mongodump"): in a folder of the database's name,
for each collection its documents as BSON, one after the other, and its options and indexes as JSON.
mongodump and mongorestore are packages of their own, which the course does not bring; they do the
same, and more: many threads, many databases, time series. As with them, what is written while the
dump runs may be in it or not.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bson import json_util
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from leftopen.backup.files import Bar, inside, new_folder, reading
from leftopen.errors import DataError

_RAW = CodecOptions(document_class=RawBSONDocument)
_ACCOUNTS = ("system.users", "system.roles")
_TEMPORARY = ("tempusers", "temproles")
_LARGEST = (16 << 20) + (16 << 10)  # bytes of a document inside the server (MongoDB's limits)
_BATCH = 8 << 20


def dump_mongodb(client: MongoClient, database: str, folder: Path, accounts: bool = False) -> Path:
    """Dump a database: its collections with options and indexes, its views.

    Args:
        client: who reads; it needs ``read`` there, and for accounts the role ``backup``. A client
            that decrypts by itself is refused by its driver: the dump would hold plain values.
        database: which one.
        folder: the folder to make; it must not be there.
        accounts: also dump the accounts and roles of the whole server.

    Returns:
        The folder.

    Raises:
        DataError: there is nothing in the database, the server refuses, or the disk is full;
            nothing is left behind.
    """
    with _told(f"{database} could not be dumped"), new_folder(folder) as new:
        source = client[database]
        total = source.command("dbStats")["dataSize"]
        place = new / database
        place.mkdir()
        entries = [e for e in source.list_collections() if not e["name"].startswith("system.")]
        if not entries:
            raise DataError(
                f"There is nothing to dump: the server holds no database {database!r}. A backup of "
                "nothing must not take the place of the last good one."
            )
        with Bar("Dumped:", int(total)) as bar:
            for entry in entries:
                _dump(source, entry, place, bar)
            if accounts:
                (new / "admin").mkdir()
                for name in _ACCOUNTS:
                    _write(client["admin"], name, new / "admin" / f"{name}.bson", bar)
    return Path(folder)


def _dump(source: Any, entry: dict, place: Path, bar: Bar) -> None:
    name, kind = entry["name"], entry.get("type", "collection")
    if kind not in ("collection", "view"):
        raise DataError(f"{name} is a {kind}, which these functions do not dump; mongodump does.")
    told = {"collectionName": name, "type": kind, "options": entry.get("options", {})}
    stem = quote(name, safe=" $,()'!;=@+&")
    if kind == "collection":
        told["indexes"] = list(source[name].list_indexes())
        _write(source, name, place / f"{stem}.bson", bar)
    text = json_util.dumps(told, json_options=json_util.CANONICAL_JSON_OPTIONS)
    (place / f"{stem}.metadata.json").write_text(text)


def _write(source: Any, name: str, path: Path, bar: Bar) -> None:
    with path.open("wb") as file:
        for batch in source[name].find_raw_batches():
            file.write(batch)
            bar.add(len(batch))


def restore_mongodb(
    folder: Path, client: MongoClient, database: str, accounts: bool = False
) -> dict[str, int]:
    """Restore a dump of :func:`dump_mongodb`, or of mongodump, into a database that is empty.

    Every file is looked at before the first document is written. When something fails on the way,
    what was restored is dropped again.

    Args:
        folder: the dump.
        client: who writes; the role ``restore`` has all that it needs.
        database: into which database; it may have another name than the one that was dumped.
        accounts: also restore the server's accounts and roles; one that is there is replaced.

    Returns:
        Collection -> how many documents it has now.

    Raises:
        DataError: the dump is not whole, the database is not empty, or the server refuses.
    """
    place = _source(Path(folder), database)
    metadata = [_metadata(path) for path in inside(place) if path.name.endswith(".metadata.json")]
    files = {told["collectionName"]: told["bson"] for told in metadata if told["bson"]}
    logins = [Path(folder) / "admin" / f"{name}.bson" for name in _ACCOUNTS] if accounts else []
    total = sum(_check(path) for path in [*files.values(), *logins])
    with _told(f"{database} could not be restored"), Bar("Restored:", total) as bar:
        target = client[database]
        there = [n for n in target.list_collection_names() if not n.startswith("system.")]
        if there:
            raise DataError(
                f"{database} is not empty: it holds {', '.join(sorted(there))}. Restore under "
                "another name; or keep what is evidence, and drop it first."
            )
        try:
            for told in sorted(metadata, key=lambda told: told["type"] == "view"):
                _restore(target, told, bar)
            if logins:
                _merge_accounts(client, logins, bar)
        except BaseException:
            for told in metadata:
                target.drop_collection(told["collectionName"])
            raise
        return {name: target[name].count_documents({}) for name in sorted(files)}


def _source(folder: Path, database: str) -> Path:
    inside(folder)
    found = sorted({path.parent for path in folder.glob("*/*.metadata.json")})
    found = [path for path in found if path.name != "admin"]
    named = [path for path in found if path.name == database]
    if len(named or found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder} is not the dump of one database; it holds: {names}.")
    return (named or found)[0]


def _metadata(path: Path) -> dict:
    try:
        with reading(path):
            told = json_util.loads(path.read_text())
        name, kind = told["collectionName"], told.get("type", "collection")
        made = dict(told["options"]), list(told.get("indexes", ()))
    except (ValueError, KeyError, TypeError, BSONError):
        raise DataError(f"{path} is cut or changed: its metadata cannot be read.") from None
    bson = path.with_name(path.name.replace(".metadata.json", ".bson"))
    return {
        "collectionName": name,
        "type": kind,
        "options": made[0],
        "indexes": made[1],
        "bson": bson if kind == "collection" else None,
    }


def _check(path: Path) -> int:
    """Read a file once, so that a cut one is found before anything is restored; its size."""
    for _ in _documents(path):
        pass
    return path.stat().st_size


def _documents(path: Path) -> Iterator[bytes]:
    """The documents of a BSON file; each begins with its length, and ends in a zero byte."""
    with reading(path), path.open("rb") as file:
        while head := file.read(4):
            length = int.from_bytes(head, "little")
            body = file.read(length - 4) if 5 <= length <= _LARGEST else b""
            if len(head) + len(body) != length or body[-1:] != b"\0":
                raise DataError(f"{path} is cut or changed. Take another copy of this dump.")
            yield head + body


def _restore(target: Any, told: dict, bar: Bar) -> None:
    name = told["collectionName"]
    target.command({"create": name, **told["options"]})
    if told["bson"] is None:
        return
    _insert(target, name, told["bson"], bar)
    indexes = [index for index in told["indexes"] if index["name"] != "_id_"]
    if indexes:
        target.command({"createIndexes": name, "indexes": indexes})


def _insert(target: Any, name: str, path: Path, bar: Bar) -> None:
    collection = target.get_collection(name, codec_options=_RAW)
    batch, size = [], 0

    def send() -> None:
        if batch:
            collection.insert_many(batch, ordered=False, bypass_document_validation=True)
            bar.add(size)

    for document in _documents(path):
        batch.append(RawBSONDocument(document))
        size += len(document)
        if size >= _BATCH:
            send()
            batch, size = [], 0
    send()


def _merge_accounts(client: MongoClient, logins: list[Path], bar: Bar) -> None:
    """Put accounts back as mongorestore does: into temporary collections, from which mongod takes
    them (MongoDB Database Tools, mongorestore's source, ``RestoreUsersOrRoles``).
    """
    admin = client["admin"]
    try:
        for name, path in zip(_TEMPORARY, logins, strict=True):
            admin.drop_collection(name)
            admin.create_collection(name)
            _insert(admin, name, path, bar)
        admin.command(
            "_mergeAuthzCollections",
            1,
            tempUsersCollection=f"admin.{_TEMPORARY[0]}",
            tempRolesCollection=f"admin.{_TEMPORARY[1]}",
            drop=False,
            db="",
        )
    finally:
        for name in _TEMPORARY:
            admin.drop_collection(name)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (PyMongoError, BSONError) as error:
        words = str(error).split(", full error")[0].splitlines()[0].rstrip(".")
        raise DataError(f"{what}: {words}.") from error
