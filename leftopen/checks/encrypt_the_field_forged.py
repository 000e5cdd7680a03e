"""Exercise 13, question 4: what somebody tries on sealed values who may write and has no key."""

import hashlib
import itertools
import json
import random
import zlib
from collections.abc import Callable, Iterator

from leftopen.audit.crypto import keys
from leftopen.audit.crypto.encodings import decoded
from leftopen.sealing import xor

Seal = Callable[[str, str, int], bytes]
Open = Callable[[bytes, str, int], object]
Place = tuple[str, int]

_LONG = "OfThePersonWhoLivesInTheHouse2026"  # makes a column's name longer than most are cut to
_MOST_SPLICED = 256  # bytes of a value of which every slice may be put into another
_MOST_SLICES = 16_000  # all of 64 bytes or fewer, in a value of 256
_PART = 8  # bytes of a key in a row that a value does not have by chance
_NONCES = (0, 8, 12, 16, 24)
_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "SHA-256": lambda data: hashlib.sha256(data).digest(),
    "SHA-512": lambda data: hashlib.sha512(data).digest(),
    "SHA-1": lambda data: hashlib.sha1(data).digest(),
    "MD5": lambda data: hashlib.md5(data).digest(),
    "SHA3-256": lambda data: hashlib.sha3_256(data).digest(),
    "BLAKE2b": lambda data: hashlib.blake2b(data).digest(),
    "CRC-32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
}


class Refused:
    """What a value opens to that does not open."""


REFUSED = Refused()


def answer(open_: Open, value: bytes, place: Place) -> object:
    """What a value opens to, or ``REFUSED``.

    Args:
        open_: opens a value in its place; it raises an exception where it does not.
        value: what was sealed.
        place: column and row.
    """
    try:
        return open_(value, *place)
    except Exception:
        return REFUSED


def neighbours(column: str, row: int) -> list[Place]:
    """Places that differ little: one letter, its case, an end; a number with the same last digits.

    Args:
        column: letters and digits.
        row: the row's number.
    """
    names = [column + "1", column.upper(), column.lower(), column.capitalize(), column[:-1]]
    for at, old in enumerate(column):
        names.append(column[:at] + ("q" if old != "q" else "j") + column[at + 1 :])
    rows = [row + step for step in (1, *(10**n for n in range(1, 7)), 2**8, 2**16, 2**24, 2**32)]
    rows += [-row, row * 10]
    return [(name, row) for name in dict.fromkeys(names) if name not in ("", column)] + [
        (column, other) for other in rows
    ]


def long_name(column: str) -> str:
    """A column with a long name that begins like this one's."""
    return column + _LONG


def spliced(one: bytes, other: bytes) -> Iterator[bytes]:
    """The first value with slices of the second in the same place: the shortest, up to a number."""
    size = min(len(one), len(other))
    differ = [at for at in range(size) if one[at] != other[at]]
    slices = (
        (end - begin, begin)
        for begin in differ
        for end in (at + 1 for at in differ if at >= begin)
        if size <= _MOST_SPLICED or end - begin <= 64 or begin == differ[0]
    )
    for length, begin in itertools.islice(sorted(slices), _MOST_SLICES):
        end = begin + length
        yield one[:begin] + other[begin:end] + one[end:]


def opens_elsewhere(seal: Seal, open_: Open, here: Place, there: Place) -> bool:
    """Whether a text opens in another place once a part of that place's own value is put in."""
    text, own = "House 0012, Street 0007", "House 9955, Street 4321"
    one, other = seal(text, *here), seal(own, *there)
    return any(answer(open_, value, there) not in (REFUSED, own) for value in spliced(one, other))


def unread(open_: Open, value: bytes, place: Place) -> int:
    """How many bytes of a value can be changed, each bit of them, and it opens all the same."""
    text = answer(open_, value, place)
    return sum(
        all(answer(open_, _flipped(value, at, 1 << bit), place) == text for bit in range(8))
        for at in range(len(value))
    )


def holds_key(value: bytes, key: bytes) -> bool:
    """Whether the key stands in a sealed value, or a good part of it, in whatever writing."""
    parts = {key[at : at + _PART] for at in range(len(key) - _PART + 1)}
    inside = [value, *(inner for _, inner in decoded(value))]
    forms = [*keys.forms(key).values(), *parts, *(part.hex().encode() for part in parts)]
    return any(form in each for form in forms for each in inside)


def shown(one: list[bytes], other: list[bytes]) -> int:
    """How many bytes of a sealed value tell the text, whatever the key.

    Args:
        one: a text, sealed in one place under several keys.
        other: another text of the same length, in the same place, also under several keys.

    Returns:
        The bytes, counted from the front or from the back, that no key changes and the text does.
    """
    most = 0
    for turn in (1, -1):
        columns = [list(zip(*(v[::turn] for v in values), strict=False)) for values in (one, other)]
        fixed = [(set(a), set(b)) for a, b in zip(*columns, strict=False)]
        most = max(most, sum(len(a) == len(b) == 1 and a != b for a, b in fixed))
    return most


def forged(seal: Seal, open_: Open, place: Place) -> str | None:
    """The digest that a stranger computes anew, without a key, for a text of their own.

    Tried are the usual digests of the sealed bytes, the text and the place, in the usual orders:
    behind or in front of the ciphertext, and inside of a stream that is laid over text and digest.
    """
    text, wanted = b"House 0012, Street 0007", b"House 9955, Street 4321"
    value = seal(text.decode(), *place)
    change = xor(text, wanted)
    for name, digest in _DIGESTS.items():
        tried = (
            *_outside(value, digest, change, place),
            *_inside(value, digest, text, change, place),
        )
        if any(answer(open_, new, place) == wanted.decode() for new in tried):
            return name
    return None


def _outside(
    value: bytes, digest: Callable[[bytes], bytes], change: bytes, place: Place
) -> Iterator[bytes]:
    """The value with another text, and a digest over it that was found to be one without a key."""
    size = len(digest(b""))
    for tag, body, join in (
        (value[-size:], value[:-size], lambda tag, body: body + tag),
        (value[:size], value[size:], lambda tag, body: tag + body),
    ):
        for skip in _NONCES:
            for where in _places(place):
                for before in (True, False):
                    over = _over(digest, where, before, skip)
                    if over(body) == tag:
                        for at in range(len(body) - len(change) + 1):
                            new = _changed(body, at, change)
                            yield join(over(new), new)


def _over(
    digest: Callable[[bytes], bytes], where: bytes, before: bool, skip: int
) -> Callable[[bytes], bytes]:
    return lambda body: digest(where + body[skip:] if before else body[skip:] + where)


def _inside(
    value: bytes, digest: Callable[[bytes], bytes], text: bytes, change: bytes, place: Place
) -> Iterator[bytes]:
    """The value with text and digest changed, both under a stream that goes over them."""
    wanted = xor(text, change)
    size = len(digest(b""))
    for where in _places(place):
        for old, new in ((text + where, wanted + where), (where + text, where + wanted)):
            tags = xor(digest(old), digest(new))
            for nonce in _NONCES:
                if len(value) >= nonce + len(text) + size:
                    yield _changed(value, nonce, change + tags)
                    yield _changed(value, nonce, tags + change)


def _places(place: Place) -> list[bytes]:
    """How column and row are usually written, and nothing."""
    column, row = place
    pairs = [(column, str(row)), (str(row), column)]
    found = [
        sign.join(pair)
        for pair in pairs
        for sign in ("/", ":", "|", ".", "\0", "-", "_", " ", ",", "")
    ]
    found += [json.dumps(list(place)), repr(place), json.dumps(list(place)[::-1]), column, str(row)]
    return [b"", *(each.encode() for each in found)]


def _changed(value: bytes, at: int, change: bytes) -> bytes:
    end = at + len(change)
    return value[:at] + xor(value[at:end], change) + value[end:]


def _flipped(value: bytes, at: int, mask: int) -> bytes:
    return value[:at] + bytes([value[at] ^ mask]) + value[at + 1 :]


def part_of_key(opens: Callable[[bytes], bool], key: bytes, enough: int) -> int:
    """How many keys that differ from this one in a single bit open its values, too.

    Each byte is changed once. If enough of them are found to matter, it is 0: half of 32 bytes,
    which no one guesses, are as good as all.
    """
    refused = 0
    order = list(range(len(key)))
    random.Random(13).shuffle(order)
    for at in order:
        refused += not opens(_flipped(key, at, 1 << at % 8))
        if refused >= enough:
            return 0
    return len(key) - refused
