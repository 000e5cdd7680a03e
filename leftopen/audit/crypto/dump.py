"""A dump or a backup, read as files alone: what is sealed in it, and what anybody can read.

Documents are taken from BSON (mongodump), JSON with or without MongoDB's extensions, CSV, and the
rows that pg_dump writes, plain or packed; also within gzip, tar, zip, bzip2 and xz. Everything else
is looked through as text.
"""

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion, UuidRepresentation

from leftopen.audit.crypto.sample import Table, both_ends, row_of
from leftopen.audit.crypto.search import BROKEN, streams

SEALED = (
    b"age-encryption.org/",
    b"-----BEGIN AGE ENCRYPTED FILE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"Salted__",
)
"""What a sealed file begins with: age, PGP, and ``openssl enc``."""
MANIFEST = re.compile(
    r"(^|[^a-z])(manifest|checksums?|(md5|sha1|sha256|sha512|b2)sums?)([^a-z]|$)|"
    r"\.(sha256|sha512|sha1|md5)$",
    re.IGNORECASE,
)
"""What a file is called that lists the others; a table of people is not."""
_HEAD = 32 << 20  # bytes of a file that are looked at
_MOST_FILES = 2000
_BUDGET = 512 << 20  # bytes that are looked at in all; beyond them only the beginnings of files
_LITTLE = 128 << 10  # more than the first piece that age sealed, with which its key is tried
_PIECE = 4 << 10  # bytes at a time, so that little is lost where a packed file is damaged
_COPY = re.compile(r"^COPY ([\w.\"]+) \(([^)]*)\) FROM stdin;$", re.MULTILINE)
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\\\": "\\", "\\r": "\r"}
_ESCAPE = re.compile(r"\\[tnr\\]")
_OPTIONS = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_NO_DATA = ("system.users.bson", "system.roles.bson", ".metadata.json")
_UNREAD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_UNREAD += (csv.Error, bson.errors.BSONError)
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK\x03\x04", b"PGDMP")


@dataclass(frozen=True)
class File:
    """One file of the dump, or one within a packed one.

    Attributes:
        name: its path, as ``monday.tar.gz/people.bson``.
        head: its beginning, up to 32 MiB.
        is_sealed: whether it is encrypted in a known form.
        is_packed: whether it is compressed, so that what is in it is looked at in its stead.
        tables: what could be read from it as documents or rows.
    """

    name: str
    head: bytes = field(repr=False)
    is_sealed: bool
    is_packed: bool
    tables: tuple[Table, ...] = field(repr=False)


class DumpLook:
    """One look at a folder.

    Attributes:
        files: what was found, in the order of the paths.
        kept: what the checks have worked out, by name.
        is_cut: whether there was more than is looked at.
        damaged: the names of files that could not be read or unpacked, or not to their end.
    """

    def __init__(self, folder: Path) -> None:
        self.files: list[File] = []
        self.is_cut = False
        self.damaged: list[str] = []
        spent = 0
        for name, stream in streams(folder, self._pass_over):
            if len(self.files) == _MOST_FILES:
                self.is_cut = True
                break
            head, has_more, is_whole = _head(stream, _HEAD if spent < _BUDGET else _LITTLE)
            self.is_cut |= has_more
            if not is_whole:
                self._pass_over(name)
            spent += len(head)
            self.files.append(_file(name, head))
        samples = [table for file in self.files for table in file.tables if table.rows]
        self.kept: dict[str, Any] = {"samples": samples}

    def _pass_over(self, name: str) -> None:
        if name not in self.damaged:
            self.damaged.append(name)


def _head(stream: IO[bytes], most: int) -> tuple[bytes, bool, bool]:
    """The beginning of a stream, whether there is more, and whether it could be read undamaged.

    What was read before the damage is kept.
    """
    pieces, size = [], 0
    try:
        while size < most and (piece := stream.read1(min(_PIECE, most - size))):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces), size == most and bool(stream.read1(1)), True
    except BROKEN:
        return b"".join(pieces), False, False


def _file(name: str, head: bytes) -> File:
    sealed = head.lstrip()[:64].startswith(SEALED)
    packed = head.startswith(_PACKED) or head[257:262] == b"ustar"
    found: tuple[Table, ...] = ()
    last = name.rpartition("/")[2]
    is_data = not (MANIFEST.search(last) or last.endswith(_NO_DATA))
    if head and is_data and not sealed and not packed:
        with contextlib.suppress(*_UNREAD):  # it is looked through as text
            found = tuple(
                Table(place, tuple(rows), f"# read {name}: FIELD", "dump")
                for place, rows in _tables(name, head)
            )
    return File(name, head, sealed, packed, found)


def _tables(name: str, data: bytes) -> Iterator[tuple[str, list[dict]]]:
    if documents := _bson(data):
        yield name, documents
        return
    if (text := _text(data)) is None:
        return
    if re.search(r"/data \d+$", name):  # a table of pg_dump -Fc
        lines = (line.split("\t") for line in text.splitlines() if line != "\\.")
        yield name, _rows(lines, None)
    elif _COPY.search(text):
        for match in _COPY.finditer(text):
            body = text[match.end() + 1 :].partition("\n\\.")[0]
            names = [part.strip(' "') for part in match[2].split(",")]
            yield f"{name}/{match[1]}", _rows((li.split("\t") for li in body.splitlines()), names)
    elif documents := _json(text):
        yield name, documents
    elif name.endswith((".csv", ".tsv")):
        lines = csv.reader(io.StringIO(text), delimiter="\t" if name.endswith("tsv") else ",")
        names = next(lines, [])
        yield name, _rows(lines, names)


def _text(data: bytes) -> str | None:
    """A file as text, also one that was cut within its last letter; ``None`` for what is none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_cut = error.reason == "unexpected end of data"
        return data[: error.start].decode("utf-8-sig") if is_cut else None


def _bson(data: bytes) -> list[dict]:
    """Documents that stand one after the other; none unless the first is whole."""
    size = int.from_bytes(data[:4], "little")
    if not 5 <= size <= len(data) or data[size - 1]:
        return []

    def each() -> Iterator[dict]:
        at = 0
        while at + 5 <= len(data):
            size = int.from_bytes(data[at : at + 4], "little")
            if not 5 <= size <= len(data) - at:
                return
            yield bson.decode(data[at : at + size], _OPTIONS)
            at += size

    try:
        return [row_of(document) for document in both_ends(each())]
    except _UNREAD:
        return []


def _json(text: str) -> list[dict]:
    """The documents of a JSON file: a list of them, one a line, or the hits of a search."""
    if text[:1] not in "{[":
        return []
    try:
        found = json_util.loads(text)
    except _UNREAD:
        found = []
        for line in text.splitlines():
            try:
                found.append(json_util.loads(line))
            except _UNREAD:
                if not found:
                    return []
    if isinstance(found, dict):
        inner = [value for value in found.values() if isinstance(value, list)]
        found = max(inner, key=len, default=[]) if inner else [found]
    documents = [d for d in found if isinstance(d, dict)]
    # A search cluster's bulk form has a line that names the document before each.
    sources = [d.get("_source", d) for d in documents if not d.keys() <= {"index", "create"}]
    return [row_of(document) for document in both_ends(sources)]


def _rows(lines: Iterable[list[str]], names: list[str] | None) -> list[dict]:
    found = []
    for values in both_ends(lines):
        keys = names or [f"column {n}" for n in range(1, len(values) + 1)]
        row = dict(zip(keys, map(_value, values), strict=False))
        found.append(row_of({key: value for key, value in row.items() if value is not None}))
    return found


def _value(text: str) -> Any:
    """A value as COPY and CSV write it."""
    if text == "\\N":
        return None
    if text.startswith("\\\\x"):
        try:
            return bytes.fromhex(text[3:])
        except ValueError:
            return text
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return _ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)
