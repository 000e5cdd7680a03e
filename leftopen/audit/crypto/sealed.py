"""Checks of ciphertexts: modes that repeat, nonces that come again, values that give counts away.

No key is needed for any of it, and none is looked for here. What the driver encrypts by itself
(client-side field level encryption) has its nonces from the driver; of that only the equal values
and the readable ones beside it are looked at.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from leftopen.audit.checks import check
from leftopen.audit.crypto import ciphertext, encodings
from leftopen.audit.crypto.kinds import Column, columns, is_digest, raw_of
from leftopen.audit.crypto.sample import words
from leftopen.audit.report import Finding, Severity

_NONCE, _BLOCK = 12, 16
_WRAPPED = 40  # bytes that a wrapped key has at least (RFC 3394: eight more than the key)
_CLEAR = 0.9  # share of bytes without a high bit that no two drawn texts reach
_DRAWN = 0.8  # share that drawn bytes stay below: half of them have none
_ENOUGH = 24  # bytes to compare, so that this does not come about by chance
_FEW, _TIMES, _LEAST = 64, 4, 20  # a column of few values: at most, how often each, rows
_JOINS = {"id", "ref", "key", "pseudonym", "token", "person", "subject", "uuid", "version"}
_FERNET = b"\x80\0\0\0\0"
AEAD = (
    "# seal each value with a nonce of its own: nonce = os.urandom(12); "
    "nonce + AESGCM(key).encrypt(nonce, value, row_id)"
)


@check("X1")
def repeated_blocks(look: Any) -> Iterator[Finding]:
    """Do blocks of ciphertext come again, as in the ECB mode?"""
    for found in columns(look):
        if told := _mode(found).get("X1"):
            yield Finding(
                "X1",
                Severity.FIX,
                f"{found.full} is encrypted block by block: equal blocks of text look equal.",
                f"{len(found.sealed)} values of {found.full} → {told}",
                "In the ECB mode each block is encrypted by itself, so whoever sees the values "
                "counts equal parts, guesses them from their shares, and can move blocks about.",
                "CWE-327",
                AEAD,
                found.retest,
            )


@check("X2")
def repeated_nonces(look: Any) -> Iterator[Finding]:
    """Were several values sealed under one nonce, in one column or in two of a table?"""
    free: dict[int, list[Column]] = {}
    for found in columns(look):
        mode = _mode(found)
        if told := mode.get("X2"):
            yield _under_one_nonce(found.full, len(found.sealed), told, found.retest)
        if not (mode or found.is_driver or is_digest(found)) and found.sealed:
            free.setdefault(id(found.table), []).append(found)
    for several in free.values():
        values = sorted({value for found in several for value in found.sealed})
        if len(several) > 1 and (told := _one_nonce(values)):
            names = " and ".join(found.full for found in several)
            yield _under_one_nonce(names, len(values), told, several[0].retest)


def _under_one_nonce(where: str, count: int, told: str, retest: str) -> Finding:
    return Finding(
        "X2",
        Severity.FIX,
        f"Values of {where} were sealed under one nonce.",
        f"{count} values of {where} → {told}",
        "Two values under one key and one nonce show the XOR of their texts, and whoever knows "
        "one reads the other. With GCM a stranger can then forge values too.",
        "CWE-323",
        AEAD,
        retest,
    )


@check("X3")
def restarted_nonces(look: Any) -> Iterator[Finding]:
    """Do nonces count up, and begin again?"""
    for found in columns(look):
        if told := _mode(found).get("X3"):
            yield Finding(
                "X3",
                Severity.FIX,
                f"The nonces of {found.full} count, and the counter began again.",
                f"{len(found.sealed)} values of {found.full} → {told}",
                "A counter is a good nonce while nobody sets it back. After each restart this one "
                "uses the old nonces a second time, and two values under one nonce show the XOR "
                "of their texts.",
                "CWE-323",
                AEAD,
                found.retest,
            )


@check("X4")
def few_values(look: Any) -> Iterator[Finding]:
    """Are equal values of a column with few of them equal when encrypted too?"""
    for found in columns(look):
        if _mode(found) or not _counts_tell(found, look):
            continue
        counts = Counter(found.sealed).most_common()
        shares = ", ".join(str(n) for _, n in counts[:6]) + (", …" if len(counts) > 6 else "")
        yield Finding(
            "X4",
            Severity.WARN,
            f"Equal values of {found.full} are equal when encrypted, and there are few of them.",
            f"{len(found.sealed)} values of {found.full} → {len(counts)} different ciphertexts, "
            f"which stand there {shares} times",
            "Such a column keeps its counts. Laid beside public statistics they tell which "
            "ciphertext is which value, and then everyone's value is known.",
            "CWE-327",
            "# random encryption for what has few values; deterministic encryption only for what "
            "is different in nearly every row and must be searched",
            found.retest,
        )


def _mode(found: Column) -> dict[str, str]:
    """Which of X1 to X3 a column is, at most one, with its evidence."""
    distinct = sorted(set(found.sealed))
    if len(distinct) < 2 and not any(len(value) >= 4 * _BLOCK for value in distinct):
        return {}
    if found.is_driver or is_digest(found) or all(v.startswith(_FERNET) for v in distinct):
        return {}
    if told := _of_nonce_column(found):
        return told
    if told := _counting(distinct):
        return {"X3": told}
    if told := _one_nonce(distinct) or _one_stream(distinct):
        return {"X2": told}
    if told := _blocks(distinct):
        return {"X1": told}
    return {}


def _counting(values: list[bytes]) -> str:
    """Evidence of nonces that count and began again; empty for none.

    A part of a header and a first drawn byte may look like a number as well. So values of one
    number must share a keystream, and values of two must not.
    """
    for at in range(min(ciphertext.common_prefix(values), 32) + 1):
        counting = ciphertext.counter_nonces(values, _NONCE, at)
        if counting is None or not counting.restarts:
            continue
        groups = _groups(values, at + _NONCE)
        within = ciphertext.clear_bytes(
            (group[0], other) for group in groups for other in group[1:]
        )
        across = ciphertext.clear_bytes(
            (one[0], other[0]) for one, other in itertools.pairwise(groups)
        )
        if within[1] < _ENOUGH or within[0] < _CLEAR * within[1] or across[0] > _DRAWN * across[1]:
            continue
        return (
            f"the nonces are numbers from {counting.lowest % 2**32} to "
            f"{counting.highest % 2**32}, and {counting.repeated} of them stand before more than "
            "one value"
        )
    return ""


def _groups(values: list[bytes], size: int) -> list[list[bytes]]:
    """Values that begin alike, together."""
    found: dict[bytes, list[bytes]] = {}
    for value in values:
        found.setdefault(value[:size], []).append(value)
    return list(found.values())


def _one_nonce(values: list[bytes]) -> str:
    """Evidence of nonces that came again; empty for none.

    Values behind one header begin alike as well. Under one nonce what follows is the XOR of texts,
    which has hardly a byte with a high bit.
    """
    groups = _groups(values, _NONCE)
    pairs = ((group[0], other) for group in groups for other in group[1:])
    clear, total = ciphertext.clear_bytes(pairs)
    shared = sum(len(group) for group in groups if len(group) > 1)
    if total < _ENOUGH or clear < _CLEAR * total:
        return ""
    return (
        f"{shared} different values begin with the same {_NONCE} bytes as another, and the XOR of "
        f"two such values is that of two texts: {clear} of {total} bytes have no high bit"
    )


def _one_stream(values: list[bytes]) -> str:
    """Evidence of one nonce that is not stored with the values; empty for none.

    Bytes that were never encrypted have hardly a high bit of their own; they are none of this.
    """
    clear, total = ciphertext.clear_bytes((values[0], other) for other in values[1:])
    whole = b"".join(values)
    high = sum(byte >= 0x80 for byte in whole) / max(1, len(whole))
    if total < 4 * _ENOUGH or clear < _CLEAR * total or not 1 - _DRAWN < high < _DRAWN:
        return ""
    return (
        f"the XOR of two of them is that of two texts: {clear} of {total} bytes have no high bit, "
        "so that one stream of bytes lies over all"
    )


def _blocks(values: list[bytes]) -> str:
    """Evidence of blocks that came again; empty for none.

    What a value shares with another from its beginning on may be a header or a wrapped key, and
    so may a long part up to its end; neither counts.
    """
    rest = len(values[0]) % _BLOCK if len({len(v) % _BLOCK for v in values}) == 1 else 0
    begins = _shared(values)
    backwards = _shared([value[::-1] for value in values])
    ends = [n if n >= _WRAPPED else 0 for n in backwards]
    for header in sorted({0, rest, ciphertext.common_prefix(values) % _BLOCK}):
        blocks = Counter(
            value[at : at + _BLOCK]
            for value, begin, end in zip(values, begins, ends, strict=True)
            for at in range(header, len(value) - _BLOCK + 1, _BLOCK)
            if at >= begin and at + _BLOCK <= len(value) - end
        )
        again = {block: n for block, n in blocks.items() if n > 1}
        if sum(again.values()) > 2 or (len(values) == 1 and again):
            most = max(again.values())
            return (
                f"{len(again)} blocks of {_BLOCK} bytes stand in them more than once, one of them "
                f"{most} times; drawn blocks never come again"
            )
    return ""


def _shared(values: list[bytes]) -> list[int]:
    """How many bytes each value begins with in common with the one that it has most with."""
    order = sorted(values)
    most = dict.fromkeys(values, 0)
    for one, other in itertools.pairwise(order):
        at = ciphertext.common_prefix([one, other])
        most[one], most[other] = max(most[one], at), max(most[other], at)
    return [most[value] for value in values]


def _of_nonce_column(found: Column) -> dict[str, str]:
    """The same, where nonces have a column of their own beside the ciphertext's."""
    for name, values in found.table.columns.items():
        if not set(words(name)) & {"nonce", "iv"} or name == found.name:
            continue
        if not _belongs(name, found):
            continue
        pairs = sorted(
            {
                (nonce, raw)
                for row in found.table.rows
                if (nonce := _short(row.get(name))) and (raw := raw_of(row.get(found.name)))
            }
        )
        counts = Counter(nonce for nonce, _ in pairs)
        again = sum(n for n in counts.values() if n > 1)
        if not again or len(values) < 2:
            continue
        size = min(map(len, counts))
        if counting := ciphertext.counter_nonces((n + raw for n, raw in pairs), size):
            return {"X3": f"{name} counts, and {counting.repeated} numbers stand there again"}
        return {"X2": f"{again} different values have a {name} that another has too"}
    return {}


def _belongs(nonce: str, found: Column) -> bool:
    """Whether a column of nonces is that of this ciphertext: by its name, or as the only one."""
    about = [word for word in words(nonce) if word not in ("nonce", "iv")]
    if about:
        return set(about) <= found.named
    others = [
        name
        for name, values in found.table.columns.items()
        if name != nonce and any(raw_of(value) for value in values)
    ]
    return others == [found.name]


def _short(value: Any) -> bytes | None:
    """A nonce as bytes, also one that is written as text."""
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value)
        except ValueError:
            value = dict(encodings.decoded(value.encode())).get("base64", value.encode())
    return bytes(value) if isinstance(value, bytes) and 8 <= len(value) <= 24 else None


def _counts_tell(found: Column, look: Any) -> bool:
    """Whether a column has few values and each often, and no name that makes it a reference.

    The same ciphertexts unique in another table are a reference too, whatever its name.
    """
    counts = Counter(found.sealed)
    few = 2 <= len(counts) <= _FEW and len(found.sealed) >= max(_LEAST, _TIMES * len(counts))
    if not few or is_digest(found) or found.named & (_JOINS | {"nonce", "iv", "salt", "tag"}):
        return False
    return not any(
        set(other.sealed) >= counts.keys() and len(set(other.sealed)) == len(other.sealed)
        for other in columns(look)
        if other is not found and other.sealed
    )
