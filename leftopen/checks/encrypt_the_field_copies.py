"""All that a stranger reads on a server, and what of it is a copy of values that were sealed.

A copy counts in whatever writing that needs no key: in clear, also deep in a document or within a
longer text; in base64, hex, gzip and the like; reversed; and as a plain hash, which tells whoever
guesses the value. Values that many people share stand in many places by right, as in a list of what
there is; they are a copy where several of them come again and again.

The local provider wraps a data key with AES-256 in CBC mode and the first half of an HMAC-SHA-512
(libmongocrypt, "AEAD_AES_256_CBC_HMAC_SHA_512", after draft-mcgrew-aead-aes-cbc-hmac-sha2): the
first 32 bytes of the master key are the key of the HMAC, the next 32 that of AES.
"""

import hashlib
import hmac
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import bson
from bson.binary import Binary
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pymongo import MongoClient

from leftopen.audit.crypto import encodings, keys

WRAPPED = 160
"""Bytes of a wrapped data key: IV, 96 bytes and their padding, tag."""
USED = 64
"""Bytes of a master key that wrap: the first 64 of its 96."""
_RAW = CodecOptions(document_class=RawBSONDocument)
_ANY = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
_TOKEN = re.compile(rb"[A-Za-z0-9+/_=-]{16,}")  # what may be base64 or hex within a longer text
_OWN = ("admin.system.", "config.", "local.")  # what the server keeps for itself
_TAG = 32
_OFTEN = 3  # how often a shared value has to come before it is more than a list of values
_PART = 15  # bytes of a key that are enough of it: a multiple of 3 and 5, for base64 and base32
_STEP = 4  # bytes from one beginning of a part to the next
_DIGESTS = ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b")


@dataclass(frozen=True)
class Copy:
    """Where values stand that should stand nowhere.

    Attributes:
        where: the collection's full name.
        how: the writing, as ``gzip``; empty for plain text.
    """

    where: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.where} ({self.how})" if self.how else self.where


@dataclass
class Server:
    """What stands on a server.

    Attributes:
        texts: for each collection and each encoding the bytes under it, one after the other.
        blobs: byte values that are long enough for a wrapped data key, with their collections.
    """

    texts: dict[Copy, bytes] = field(default_factory=dict)
    blobs: list[tuple[Copy, bytes]] = field(default_factory=list)


def documents(client: MongoClient) -> Iterator[tuple[str, RawBSONDocument]]:
    """Every document on the server, with its collection's full name."""
    for database in sorted(client.list_database_names()):
        for info in sorted(client[database].list_collections(), key=lambda each: each["name"]):
            if info["type"] != "view":
                for document in client[database].get_collection(info["name"], _RAW).find():
                    yield f"{database}.{info['name']}", document


def sealed_values(client: MongoClient) -> Iterator[tuple[str, object, Binary]]:
    """Each encrypted value on the server: its collection, its document's ``_id``, the value."""
    for where, raw in documents(client):
        document = bson.decode(raw.raw, _ANY)
        for value in _values(document):
            if isinstance(value, Binary) and value.subtype == 6 and len(value) > 17:
                yield where, document.get("_id"), value


def read(client: MongoClient) -> Server:
    """Read a server as a stranger does: each document, and how the collections are set up."""
    parts: dict[Copy, list[bytes]] = {}
    blobs = []
    for where, raw in (*_settings(client), *((w, d.raw) for w, d in documents(client))):
        parts.setdefault(Copy(where), []).append(raw)
        for value in _values(bson.decode(raw, _ANY)):
            if isinstance(value, bytes) and len(value) >= WRAPPED:
                blobs.append((Copy(where), value))
            for how, inner in _decoded(value.encode() if isinstance(value, str) else value):
                parts.setdefault(Copy(where, how), []).append(inner)
                if len(inner) >= WRAPPED:
                    blobs.append((Copy(where, how), inner))
    return Server({copy: b"\0".join(each) for copy, each in parts.items()}, blobs)


def _settings(client: MongoClient) -> Iterator[tuple[str, bytes]]:
    """Names, rules, views and indexes: they too can hold values."""
    for database in sorted(client.list_database_names()):
        for info in sorted(client[database].list_collections(), key=lambda each: each["name"]):
            name = info["name"]
            yield f"{database}.{name}", bson.encode(info)
            if info["type"] == "collection":
                indexes = [dict(index) for index in client[database][name].list_indexes()]
                yield f"{database}.{name}", bson.encode({"indexes": indexes})


def _values(value: object) -> Iterator[str | bytes]:
    """Each text and each binary value in a document, names included."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _values(inner)
    elif isinstance(value, list):
        whole = all(isinstance(byte, int) and 0 <= byte < 256 for byte in value)
        yield from [bytes(value)] if value and whole else ()
        for inner in value:
            yield from _values(inner)


def _decoded(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield from encodings.layers(value)
    for token in _TOKEN.findall(value):
        if token != value:
            yield from encodings.layers(token)


# -- values --------------------------------------------------------------------------------------


def of_unique(server: Server, values: Iterable[str]) -> list[Copy]:
    """Where one of these values stands, each of which belongs to one person alone.

    What is told of a place is the plainest writing there, whatever the order of the values.
    """
    forms = sorted({form for value in values for form in _forms(value.encode())})
    found = []
    for copy, text in server.texts.items():
        told = next((how for how, form in forms if form in text), None)
        found += [] if told is None else [_with(copy, told)]
    return _once(found)


def of_shared(server: Server, values: Iterable[str], but: str) -> list[Copy]:
    """Where values that many people share stand again and again.

    Args:
        server: what was read.
        values: the values, each of which stands for many people.
        but: the collection that is looked into otherwise.
    """
    forms: dict[str, list[re.Pattern]] = {}
    for value in sorted(set(values)):
        for how, form in _forms(value.encode()):
            edged = rb"(?<![A-Za-z0-9])%s(?![A-Za-z0-9])" if form.isascii() else b"%s"
            forms.setdefault(how, []).append(re.compile(edged % re.escape(form)))
    found = []
    for copy, text in _others(server, but):
        for how, patterns in forms.items():
            often = sum(len(each.findall(text)) >= _OFTEN for each in patterns)
            found += [_with(copy, how)] if often > 1 else []
    return _once(found)


def of_dates(server: Server, values: Iterable[datetime], but: str) -> list[Copy]:
    """Where several of these days stand, as dates or as texts."""
    every = set(values)
    kinds = [{struct.pack("<q", int(day.timestamp() * 1000)) for day in every}]
    kinds += [{day.strftime(form).encode() for day in every} for form in ("%Y-%m-%d", "%d.%m.%Y")]
    return _once(
        copy
        for copy, text in _others(server, but)
        if any(sum(form in text for form in forms) >= _OFTEN for forms in kinds)
    )


def told(copies: Iterable[Copy]) -> str:
    """Copies in words; empty for none."""
    return ", ".join(map(str, copies))


def _others(server: Server, but: str) -> Iterator[tuple[Copy, bytes]]:
    for copy, text in server.texts.items():
        if copy.where != but and not copy.where.startswith(_OWN):
            yield copy, text


def _forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways in which a value may stand there, without a key."""
    yield "", value
    if value[::-1] != value:
        yield "reversed", value[::-1]
    for name in _DIGESTS:
        digest = hashlib.new(name, value)
        yield f"{name}, without a key", digest.digest()
        yield f"{name}, without a key", digest.hexdigest().encode()


def _with(copy: Copy, how: str) -> Copy:
    return Copy(copy.where, " in ".join(filter(None, (how, copy.how))))


def _once(copies: Iterable[Copy]) -> list[Copy]:
    """One for each collection: plain text, if it is that, or the first writing."""
    best: dict[str, Copy] = {}
    for copy in copies:
        best[copy.where] = min(best.get(copy.where, copy), copy, key=lambda c: len(c.how))
    return list(best.values())


# -- keys ----------------------------------------------------------------------------------------


def of_key(server: Server, key: bytes) -> list[Copy]:
    """Where a key stands, or a part of it, in any of their forms.

    A part has 15 bytes or more in a row and begins at a multiple of four: halves of 32 bytes, and
    quarters of 96, are found.
    """
    parts = [key, *(key[at : at + _PART] for at in range(0, len(key) - _PART + 1, _STEP))]
    forms = {form for part in parts for form in keys.forms(part).values()}
    found = (c for c, text in server.texts.items() if any(form in text for form in forms))
    return _once(found)


def data_keys(server: Server, master: bytes) -> Iterator[tuple[Copy, bytes]]:
    """Each data key on the server that a master key opens, wherever and however it lies there."""
    for copy, blob in server.blobs:
        for at in range(len(blob) - WRAPPED + 1):
            if (opened := unwrapped(master, blob[at : at + WRAPPED])) is not None:
                yield copy, opened


def unwrapped(master: bytes, wrapped: bytes) -> bytes | None:
    """A data key as the local provider wrapped it; ``None`` if this master key does not open it."""
    sealed, tag = wrapped[:-_TAG], wrapped[-_TAG:]
    if hmac.digest(master[:32], sealed + bytes(8), "sha512")[:_TAG] != tag:
        return None
    aes = Cipher(algorithms.AES(master[32:64]), modes.CBC(sealed[:16])).decryptor()
    return (aes.update(sealed[16:]) + aes.finalize())[:96]
