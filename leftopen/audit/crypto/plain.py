"""Checks of what stayed readable: by an encoding without a key, or beside its encrypted values."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from leftopen.audit.checks import check
from leftopen.audit.crypto import encodings
from leftopen.audit.crypto.kinds import (
    Column,
    bare,
    columns,
    is_digest,
    is_driver,
    is_personal,
    is_readable,
    points_at_person,
)
from leftopen.audit.crypto.sample import tables, words
from leftopen.audit.personal import kind_of, kinds_in
from leftopen.audit.report import Finding, Severity

_MOST_TRIED = 40  # values of a column that are decoded
_SHARE = 0.8  # of them that must be readable, since a few are by chance
_LEAST = 4  # letters of a text that no name calls personal
_SHIFTED = 5  # values on which every single byte is tried
_LONGEST = 4096  # bytes of a value that are decoded
_ANYTHING = {"value", "data", "content", "payload", "body", "text", "raw"}
_SHORT = 28  # bytes of a nonce and a tag; a text of fewer may be a drawn code
_USED = {"hex", "base64", "base32", "gzip", "zlib", "utf-16", "escaped bytes"}


@check("X5")
def encoded(look: Any) -> Iterator[Finding]:
    """Is what looks encrypted only encoded, so that anyone reads it?"""
    seen = False
    for table in tables(look):
        about = any(map(points_at_person, table.columns))
        for name, values in table.columns.items():
            tried = [v for v in values if isinstance(v, str | bytes) and not is_driver(v)]
            told = _reading(tried[:_MOST_TRIED], name, about)
            seen = seen or bool(told)
            if not told:
                continue
            how, hits, kind = told
            yield Finding(
                "X5",
                Severity.FIX,
                f"{table.place}.{name} is encoded, not encrypted: it holds {kind} in {how}.",
                f"{len(tried[:_MOST_TRIED])} values of {table.place}.{name} → {hits} of them can "
                f"be read without any key, as {how}",
                "An encoding has no key. Whoever gets the values reads them, and so does any "
                "program that tries the usual encodings.",
                "CWE-311",
                "# encrypt the value: nonce + AESGCM(key).encrypt(nonce, value, row_id), with the "
                "key elsewhere",
                table.reading(name),
            )
    if not seen:
        columns(look)  # raises, where there was nothing to look at


def _reading(values: list[str | bytes], name: str, about: bool) -> tuple[str, int, str] | None:
    """The encoding of a column, how many values it opens, and what they are.

    Args:
        values: what is tried.
        name: the column's name.
        about: whether the table is about people, so that whatever it hides is theirs.
    """
    if not values:
        return None
    ways: dict[str, list[str]] = {}
    for number, value in enumerate(values):
        raw = (value.encode() if isinstance(value, str) else bytes(value))[:_LONGEST]
        if kind_of(value):
            return None  # it is readable as it stands, which other checks tell
        if number == _SHIFTED and not any(len(texts) > 2 for texts in ways.values()):
            break
        for how, text in _readings(raw):
            ways.setdefault(how, []).append(text)
    ways |= _shifted(values)
    for how, texts in sorted(ways.items(), key=lambda way: (-len(way[1]), len(way[0]), way[0])):
        if len(texts) >= _SHARE * len(values) and (kind := _kind(texts, name, about)):
            return how, len(texts), kind
    return None


def _readings(raw: bytes) -> Iterator[tuple[str, str]]:
    """What can be read in a value, under each encoding."""
    for how, inner in encodings.layers(raw, 2):
        if set(how.split(" in ")) <= _USED and (text := _text(inner)):
            yield how, text
    if (text := _text(raw[::-1])) and kind_of(text):
        yield "reversed", text


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) > 1 and text.replace("\n", " ").isprintable() else ""


def _kind(texts: list[str], name: str, about: bool) -> str:
    """What kind of personal data the texts are; empty if they are none."""
    kinds = Counter(
        kind for text in texts if (kind := kind_of(text) or next(iter(kinds_in(text)), ""))
    )
    if kinds and 2 * kinds.total() >= len(texts):
        return kinds.most_common(1)[0][0]
    if is_personal(name):
        return "what its name says"
    long = min(map(len, texts)) >= _LEAST and len(set(texts)) > 1  # short ones are by chance
    return "text about people" if about and long else ""


def _shifted(values: list[str | bytes]) -> dict[str, list[str]]:
    """Values whose bytes were all XORed with one, where that gives identifiers."""
    raws = [value for value in values if isinstance(value, bytes) and 6 <= len(value) <= 64]
    for key in range(1, 256) if raws else ():
        table = bytes(byte ^ key for byte in range(256))
        if all(kind_of(_text(raw.translate(table))) for raw in raws[:_SHIFTED]):
            return {"xor with one byte": [_text(raw.translate(table)) for raw in raws]}
    return {}


@check("X6")
def plain_beside_sealed(look: Any) -> Iterator[Finding]:
    """Does a field hold readable values beside encrypted ones?"""
    for found in columns(look):
        plain = [value for value in found.values if is_readable(value)]
        few = max(1, len(found.values) // 10)
        if not plain or not found.sealed:
            continue
        if found.is_text and (len(found.sealed) < max(3, few) or found.named & _ANYTHING):
            continue
        if found.is_text and max(map(len, found.sealed)) < _SHORT:
            continue  # as short as a code that was drawn
        yield _plain_beside(
            f"{found.full} holds readable values beside encrypted ones.",
            f"{len(found.values)} values of {found.full} → {len(found.sealed)} encrypted, "
            f"{len(plain)} readable",
            found.retest,
        )
    for found, name, hits in _plain_columns(columns(look)):
        yield _plain_beside(
            f"{found.table.place}.{name} holds in clear what {found.name} holds encrypted.",
            f"{len(found.table.rows)} rows of {found.table.place} → {len(found.sealed)} with "
            f"{found.name}, {hits} with a readable {name}",
            found.table.reading(name),
        )


def _plain_beside(what: str, told: str, retest: str) -> Finding:
    return Finding(
        "X6",
        Severity.FIX,
        what,
        told,
        "Encryption began with new writes, or with a copy, and the old values stayed. Whoever "
        "reads them reads those people, and nothing says that they were forgotten.",
        "CWE-311",
        "# encrypt the old values too, let the server refuse readable ones, and then remove the "
        "old copies: free pages, indexes, logs, backups",
        retest,
    )


def _plain_columns(every: list[Column]) -> Iterator[tuple[Column, str, int]]:
    """Encrypted columns, and the readable one of personal values that has their name."""
    for found in every:
        about = set(bare(found.name))
        if not found.sealed or is_digest(found) or not about or about & {"nonce", "iv", "tag"}:
            continue
        for name, values in found.table.columns.items():
            if name == found.name or not about <= set(words(name)):
                continue
            plain = [v for v in values if is_readable(v) and (kind_of(v) or is_personal(name))]
            if plain and 2 * len(plain) >= len(values):
                yield found, name, len(plain)
