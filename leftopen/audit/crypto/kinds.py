"""What a column holds, as far as its values and its name tell: ciphertexts, digests, text."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from bson import Binary, ObjectId

from leftopen.audit.crypto import encodings
from leftopen.audit.crypto.sample import Table, tables, words
from leftopen.audit.personal import DEVICES_AND_GROUPS, NAMES, PERSONS, kind_of
from leftopen.audit.shared import NothingToLookAt

CSFLE = 6
"""The subtype of BSON's binary for what the driver has encrypted (BSON specification 1.1)."""
CSFLE_HEAD = 18
"""Bytes before the ciphertext: the algorithm, the data key's UUID, the type of the value (MongoDB,
"Client-side encryption subtype 6")."""
DIGESTS = {16: "MD5", 20: "SHA-1", 28: "SHA-224", 32: "SHA-256", 48: "SHA-384", 64: "SHA-512"}
_HEX = re.compile(r"(?:\\x|0x)?(?:[0-9a-f]{2}){16,}|(?:\\x|0x)?(?:[0-9A-F]{2}){16,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
_KNOWN_FILES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"RIFF",
)
_PERSON = {"person", "persons", "people", "patient", "citizen", "resident", "customer", "holder"}
_PERSONAL_NAMES = {"name", "diagnosis", "sex", "gender", *NAMES, *PERSONS, *DEVICES_AND_GROUPS}
_PERSONAL_NAMES -= {"mac", "group"}  # a message's code, and an account's
_SEALED_WORDS = {"enc", "encrypted", "cipher", "ciphertext", "sealed", "secret", "b", "base", "64"}
_SEALED_WORDS |= {"hash", "hashed", "sha", "256", "md", "5", "hex", "1", "b64", "base64"}
AGE_KEY = re.compile(rb"AGE-SECRET-KEY-(?:1|PQ-1)[0-9A-Z]{20,}", re.IGNORECASE)
MARKS = {
    "a private key (PEM)": re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----"),
    "a private key of age": AGE_KEY,
    "a private key of PGP": re.compile(rb"-----BEGIN PGP PRIVATE KEY BLOCK-----"),
}
"""What private keys begin with, in files and in values."""
_STORED = re.compile(
    r"\$\w{1,10}\$.|\{S?(?:SHA|MD5)|(?:pbkdf2|scrypt)[_:$-]",  # a password
    re.IGNORECASE,
)
_MATERIAL = {"salt", "password", "passwd", "pwd", "key", "secret", "encrypted", "cipher", "sealed"}


@dataclass(frozen=True)
class Column:
    """A column that has to do with cryptography.

    Attributes:
        table, name: where it is.
        values: every value that is there, as sampled.
        sealed: the bytes of those that look like ciphertexts; of a driver's without its header.
        is_driver: whether the driver has encrypted them (client-side field level encryption).
        is_text: whether they are stored as text, in base64 or hex.
    """

    table: Table
    name: str
    values: tuple[Any, ...]
    sealed: tuple[bytes, ...]
    is_driver: bool
    is_text: bool

    @property
    def full(self) -> str:
        """As ``shop.people.idNumber``."""
        return f"{self.table.place}.{self.name}"

    @property
    def retest(self) -> str:
        """A line that reads the column."""
        return self.table.reading(self.name)

    @property
    def named(self) -> set[str]:
        """The words of its name."""
        return set(words(self.name))


def columns(look: Any) -> list[Column]:
    """Every column of a server or a dump, worked out once for all checks.

    Raises:
        NothingToLookAt: none of them has to do with cryptography.
        CouldNotLook: the tables cannot be read.
    """
    if "columns" not in look.kept:
        found = [column(t, name, v) for t in tables(look) for name, v in t.columns.items()]
        look.kept["columns"] = found
        look.kept["has material"] = any(
            c.sealed or c.named & _MATERIAL or any(map(_is_marked, c.values)) for c in found
        )
    if not look.kept["has material"]:
        raise NothingToLookAt("nothing in the sample is encrypted, hashed or a key")
    return look.kept["columns"]


def _is_marked(value: Any) -> bool:
    """Whether a value says itself that it is a key or a stored password."""
    if not isinstance(value, str | bytes):
        return False
    is_stored = isinstance(value, str) and _STORED.match(value)
    return bool(is_stored or private_keys_in(value))


def private_keys_in(value: str | bytes) -> list[str]:
    """The kinds of private keys that stand in a text or in bytes, in the order of ``MARKS``."""
    raw = value.encode(errors="replace") if isinstance(value, str) else value
    if b"KEY" not in raw.upper():
        return []
    return [kind for kind, mark in MARKS.items() if mark.search(raw)]


def column(table: Table, name: str, values: Iterable[Any]) -> Column:
    """What is known of a column from its values."""
    values = tuple(values)
    sealed = [(value, raw) for value in values if (raw := raw_of(value)) is not None]
    driver = any(is_driver(value) for value, _ in sealed)
    if driver:
        sealed = [(value, raw[CSFLE_HEAD:]) for value, raw in sealed if is_driver(value)]
    return Column(
        table, name, values, tuple(raw for _, raw in sealed), driver,
        any(isinstance(value, str) for value, _ in sealed),
    )  # fmt: skip


def is_driver(value: Any) -> bool:
    """Whether a driver has encrypted the value."""
    return isinstance(value, Binary) and value.subtype == CSFLE


def raw_of(value: Any) -> bytes | None:
    """The bytes of a value that looks like a ciphertext, a digest or a key; ``None`` of others."""
    if isinstance(value, Binary) and value.subtype in (3, 4):  # UUIDs
        return None
    if isinstance(value, bytes):
        raw = bytes(value)
    elif isinstance(value, str):
        raw = bytes_in(value)
    else:
        return None
    return raw if raw is not None and is_random(raw) else None


def bytes_in(text: str) -> bytes | None:
    """The bytes that a text holds in hex or base64; ``None`` where it looks like neither."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.removeprefix("\\x").removeprefix("0x"))
    if not _BASE64.fullmatch(text) or not _is_mixed(text):
        return None
    return dict(encodings.decoded(text.encode())).get("base64")


def _is_mixed(text: str) -> bool:
    """Whether small letters, capitals and digits are in it, as in nearly every long base64."""
    return all(re.search(form, text) for form in ("[a-z]", "[A-Z]", "[0-9]"))


def is_random(raw: bytes) -> bool:
    """Whether bytes look drawn: neither text, nor a file of a known kind, nor mostly one byte.

    The last 16 are looked at, where a tag or a block stands, and else the first 16.
    """
    if len(raw) < 16 or raw.startswith(_KNOWN_FILES):
        return False
    if _is_text(raw) or any(how == "zlib" for how, _ in encodings.decoded(raw[:4096])):
        return False
    return any(_is_drawn(part) for part in (raw[-16:], raw[:16]))


def _is_drawn(part: bytes) -> bool:
    counts = Counter(part)
    return len(counts) >= 9 and max(counts.values()) <= 4 and not _is_text(part)


def _is_text(raw: bytes) -> bool:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n" for c in text)


def is_readable(value: Any) -> bool:
    """Whether a value can be read by anyone: text, a number, a date, or bytes that are text."""
    if isinstance(value, bool | ObjectId | UUID) or value is None:
        return False
    if isinstance(value, bytes):
        return len(value) > 0 and _is_text(value)
    if isinstance(value, str):
        return not (_HEX.fullmatch(value) or _BASE64.fullmatch(value))  # or it may be either
    return isinstance(value, int | float | date | Decimal)


def is_digest(found: Column) -> bool:
    """Whether the sealed values are rather digests than ciphertexts: one length, one of those."""
    sizes = {len(raw) for raw in found.sealed}
    if found.is_driver or len(sizes) != 1 or not sizes & DIGESTS.keys():
        return False
    hashed = {"hash", "hashed", "hmac", "digest", "sha", "md", "pseudonym", "fingerprint", "token"}
    text = [value for value in found.values if isinstance(value, str) and bytes_in(value)]
    return bool(found.named & hashed) or any(_HEX.fullmatch(value) for value in text)


def is_personal(name: str) -> bool:
    """Whether a field by its name holds what identifies a person, or what one keeps to oneself."""
    return "".join(bare(name)) in _PERSONAL_NAMES


def bare(name: str) -> list[str]:
    """The words of a field's name without those that say how it is hidden."""
    return [word for word in words(name) if word not in _SEALED_WORDS]


def points_at_person(name: str) -> bool:
    """Whether a field by its name stands for a person: an identifier, or a pseudonym."""
    own = set(words(name))
    return is_personal(name) or bool(own & (_PERSON | NAMES.keys() | {"pseudonym"}))


def tells_of_person(value: Any, name: str) -> bool:
    """Whether a readable value is personal: by its own form, or by the name of its field."""
    return bool(kind_of(value)) or points_at_person(name)
