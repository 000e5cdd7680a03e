"""Checks of digests: identifiers hashed without a key, one salt for all, passwords hashed fast.

No value is guessed but for a few hundred that anyone would: a digest counts as recovered where it
is that of a value which stands in the same sample. The least parameters of password hashes are
OWASP's ("Password Storage Cheat Sheet", as read in 2026).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from leftopen.audit.checks import check
from leftopen.audit.crypto import passwords
from leftopen.audit.crypto.kinds import (
    DIGESTS,
    Column,
    bytes_in,
    columns,
    points_at_person,
    tells_of_person,
)
from leftopen.audit.crypto.sample import Row, Table, tables, words
from leftopen.audit.report import Finding, Severity

_ALGORITHMS = {16: ("md5",), 20: ("sha1",), 28: ("sha224",), 32: ("sha256", "sha3_256", "blake2s")}
_ALGORITHMS |= {48: ("sha384",), 64: ("sha512", "blake2b", "sha3_512")}
_MOST = 8_000  # readable values that are hashed
_MOST_SALTS = 3
_TINY = [
    *"FMfm", "female", "male", "Female", "Male", "yes", "no", "true", "false",
    "A", "B", "AB", "O", "A+", "A-", "B+", "B-", "AB+", "AB-", "O+", "O-",
    *map(str, range(1000)),
]  # fmt: skip
_GUESSES = "values that anyone guesses"
_OTHERS = {"password", "passwd", "pwd", "pw", "salt", "nonce", "iv", "key"}
_PASSWORDS = {"password", "passwd", "pwd", "pw", "pass", "passphrase"}
_LOGINS = {"login", "user", "username", "account"}
_ABOUT_THEM = {"algorithm", "algo", "scheme", "kdf", "salt", "hint", "iterations", "rounds"}
_ABOUT_THEM |= {"changed", "reset", "policy", "type", "expires", "at", "on", "length"}
_Match = tuple[str, str, str, int]


@check("X7")
def unkeyed_hash(look: Any) -> Iterator[Finding]:
    """Is an identifier hidden by a hash that anyone can compute?"""
    for found in columns(look):
        match = _match(found, look)
        if not match or match[2]:
            continue
        name, where, _, hits = match
        yield Finding(
            "X7",
            Severity.FIX,
            f"{found.full} is a hash without a key, and its values are known again.",
            f"{len(found.values)} values of {found.full} → {hits} are the {name} of {where}",
            "Who can list all candidates hashes them all: a district's identity numbers take "
            "seconds. A hash without a key hides nothing that can be listed.",
            "CWE-759",
            "# hmac.new(key, value, hashlib.sha256), with the key elsewhere; or a random token "
            "for each person",
            found.retest,
        )


@check("X8")
def one_salt(look: Any) -> Iterator[Finding]:
    """Do several digests share a salt?"""
    every = columns(look)
    for table in tables(look):
        for name, values in _salts(table.rows):
            shared = sum(n for n in Counter(values).values() if n > 1)
            if len(values) < 3 or 2 * shared < len(values):
                continue
            yield _one_salt(
                f"{table.place}.{name}",
                f"{len(values)} rows → as few salts as {len(set(values))}",
                table.reading(name),
            )
    for found in every:
        match = _match(found, look)
        if match and match[2]:
            name, where, salt, hits = match
            yield _one_salt(
                found.full,
                f"{len(found.values)} values → {hits} are the {name} of {where} with the one salt "
                f"in {salt}",
                found.retest,
            )


def _one_salt(where: str, told: str, retest: str) -> Finding:
    return Finding(
        "X8",
        Severity.WARN,
        f"{where} has one salt for all.",
        told,
        "With one salt a table of candidates is made once, and serves for every row; equal values "
        "look equal. A salt is for one row; it hides nothing that can be listed either way.",
        "CWE-760",
        "# passwords: Argon2id, whose salt is drawn for each; identifiers: hmac.new(key, value, "
        "hashlib.sha256), with the key elsewhere",
        retest,
    )


@check("X9")
def weak_password_hash(look: Any) -> Iterator[Finding]:
    """Are passwords hashed fast, or with too few rounds?"""
    columns(look)
    for table in tables(look):
        for name, values in table.columns.items():
            if not (_is_password(name, table) or any(map(passwords.is_known, values))):
                continue
            faults = Counter(
                fault
                for row in table.rows
                if name in row and (fault := passwords.fault(row[name], _beside(row, name)))
            )
            if not faults:
                continue
            worst = faults.most_common(1)[0][0]
            yield Finding(
                "X9",
                Severity.FIX if worst.is_fast else Severity.WARN,
                f"Passwords in {table.place}.{name} are "
                + ("there for the guessing." if worst.is_fast else "hashed with too little work."),
                f"{sum(name in row for row in table.rows)} values of {table.place}.{name} → "
                + "; ".join(f"{n} are {fault.words}" for fault, n in faults.most_common()),
                "A graphics card tries billions of fast hashes a second, so that most passwords "
                "are found. A slow hash with much memory makes each guess dear.",
                "CWE-916",
                "# Argon2id(salt=os.urandom(16), length=32, iterations=2, lanes=1, "
                "memory_cost=19456)\n# wrap the old hashes at once, and hash anew at each login",
                table.reading(name),
            )


def _is_password(name: str, table: Table) -> bool:
    """Whether a field by its name holds passwords; a bare hash does in a table of accounts."""
    own = set(words(name))
    if own & _ABOUT_THEM:
        return False
    if own == {"hash"}:
        return any(set(words(other)) & _LOGINS for other in table.columns)
    return bool(own & _PASSWORDS)


def _beside(row: Row, name: str) -> Row:
    """What stands beside a password's hash, in the same inner document."""
    before = name.rpartition(".")[0]
    return {path: v for path, v in row.items() if path.rpartition(".")[0] == before}


def _salts(rows: Iterable[Row]) -> Iterator[tuple[str, list[str]]]:
    """The salts of a table: columns of that name, and those within the hashes of passwords."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        for name, value in row.items():
            salt = passwords.salt_in(value) if isinstance(value, str) and "$" in value else ""
            if "salt" in words(name):
                salt = repr(value)
            if salt:
                rest = repr(sorted((k, repr(v)) for k, v in row.items() if k not in (name, "_id")))
                found.setdefault(name, {})[f"{rest}{value!r}"] = salt
    for name, salts in found.items():
        yield name, list(salts.values())


def _match(found: Column, look: Any) -> _Match | None:
    """Which readable values a column's digests are of: how, whose, with which salt, how many."""
    key = f"match {found.full}"
    if key not in look.kept:
        look.kept[key] = _matched(found, look)
    return look.kept[key]


def _matched(found: Column, look: Any) -> _Match | None:
    digests = {raw for raw in found.sealed if len(raw) in DIGESTS}
    sizes = {len(raw) for raw in digests}
    if found.is_driver or len(sizes) != 1 or found.named & _OTHERS:
        return None
    about = points_at_person(found.name) or any(map(points_at_person, found.table.columns))
    candidates = {
        text: place for text, (place, personal) in _candidates(look).items() if personal or about
    }
    for where, salt in [("", b""), *_few_salts(look)]:
        for name in _ALGORITHMS[max(sizes)]:
            hits = _hits(digests, name, salt, candidates)
            places = Counter(place for place in hits.values() if place != _GUESSES)
            if places or len(hits) == len(digests) > 1:
                told = f"values in {places.most_common(1)[0][0]}" if places else _GUESSES
                rows = sum(raw in hits for raw in found.sealed)
                return name.upper().replace("_", "-"), told, where, rows
    return None


def _hits(
    digests: set[bytes], name: str, salt: bytes, candidates: dict[bytes, str]
) -> dict[bytes, str]:
    """Which of the digests are those of a candidate, and where that stands."""
    found = {}
    for text, place in candidates.items():
        for joined in (salt + text, text + salt) if salt else (text,):
            digest = hashlib.new(name, joined).digest()
            if digest in digests:
                found[digest] = place
    return found


def _candidates(look: Any) -> dict[bytes, tuple[str, bool]]:
    """Readable values of the sample, each with where it stands and whether it is personal."""
    if "candidates" not in look.kept:
        found: dict[bytes, tuple[str, bool]] = {}
        for table in tables(look):
            for name, values in table.columns.items():
                for value in values:
                    if isinstance(value, bool) or not isinstance(value, str | int):
                        continue
                    text = str(value)
                    if not 0 < len(text) <= 64 or bytes_in(text) or len(found) > _MOST:
                        continue
                    place = (f"{table.place}.{name}", tells_of_person(value, name))
                    for form in (text, text.lower(), text.upper(), text.strip()):
                        found.setdefault(form.encode(), place)
        for text in _TINY:
            found.setdefault(text.encode(), (_GUESSES, True))
        look.kept["candidates"] = found
    return look.kept["candidates"]


def _few_salts(look: Any) -> list[tuple[str, bytes]]:
    """Salts that stand alone in the sample, each with where."""
    if "few salts" not in look.kept:
        found: dict[bytes, str] = {}
        for table in tables(look):
            for name, values in table.columns.items():
                if set(words(name)) & {"salt", "pepper"} and len(set(map(repr, values))) == 1:
                    for raw in _as_bytes(values[0]):
                        found.setdefault(raw, f"{table.place}.{name}")
        look.kept["few salts"] = [(where, raw) for raw, where in found.items()][: 2 * _MOST_SALTS]
    return look.kept["few salts"]


def _as_bytes(value: Any) -> list[bytes]:
    if isinstance(value, bytes):
        return [bytes(value), bytes(value).hex().encode()]
    text = str(value)
    return [text.encode(), *([raw] if (raw := bytes_in(text)) else [])]
