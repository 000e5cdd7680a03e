"""Exercise 15, question 1: numbers that stand there in another writing, which needs no key.

Looked into are the rows of every table and the lines of every file that is not the server's own.
What the server's own files hold of such writings is not looked for: that takes too long.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain, product
from math import isfinite
from pathlib import Path

from leftopen.audit.crypto import encodings, search
from leftopen.audit.crypto.ciphertext import is_encoding_of
from leftopen.checks.encrypt_at_rest_and_back_up_rows import every_table
from leftopen.lab_postgres import PostgresLab

MASKED = "masked"
"""What is told of numbers of which the signs that say most still stand there."""
_LENGTH = 18  # digits of a number; the last one follows from the others
_HALF = 9
_FEW = 5  # numbers that may come together by chance
_SHORTEST = 9  # bytes of a value that could hold half of a number
_MOST = 16 << 20  # bytes of a file
_OWN = ("data/", "pki/")
_NUMBERS = (int, float, Decimal)
_LEAST_DIGITS = 14  # of a number that is kept as one: those of the first 17 signs, less zeros
_APART = re.compile(rb"[,;|\t]")
_JOINTS = re.compile(rb"(?<=\d)[ ./:_-](?=[\dX])")  # what people put between digits
_RUN = re.compile(rb"\d{17,}X?")
_TOKEN = re.compile(rb"[A-Za-z0-9+/_=\\-]{16,}")
_DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b")
_OF_SIZE = {
    size: [name for name in _DIGESTS if hashlib.new(name).digest_size == size]
    for size in sorted({hashlib.new(name).digest_size for name in _DIGESTS})
}
_WRITTEN = {n for size in _OF_SIZE for n in (size, 2 * size, -(-size // 3) * 4)}  # hex, base64
_BETWEEN = (b"", b":", b"-", b"_", b"|", b" ", b",", b";", b"/", b".")
_TURNS = [bytes.maketrans(b"0123456789", b"0123456789"[n:] + b"0123456789"[:n]) for n in range(10)]
_ALONE = re.compile(rb"\d{17}[\dX]")
_PIECE = re.compile(rb"\d+X?")
_REGION, _SEQUENCE = slice(0, 6), slice(14, 17)  # places of a number; between is the day of birth
_TAIL = 4  # last signs: with the day of birth, and a region of a few, they are the number


class Disguises:
    """Which of some numbers stand in rows of values, and how.

    Args:
        numbers: person -> number.
    """

    def __init__(self, numbers: Mapping[int, str]) -> None:
        self.numbers = {person: number.encode() for person, number in numbers.items()}
        self._whole = set(self.numbers.values())
        self._heads = {number[:-1]: number for number in self._whole}
        self._tails = {number[_HALF:]: number for number in self._whole}
        self._digests = {
            form: (number, name)
            for number in self._whole
            for name in _DIGESTS
            for digest in [hashlib.new(name, number).digest()]
            for form in (digest, digest.hex().encode())
        }
        self._seen: dict[bytes, tuple[bytes, str] | None] = {}

    def found(self, rows: Iterable[Sequence[object]]) -> tuple[int, str] | None:
        """How many numbers stand in some rows, and in which writing most of them.

        A few could be chance: then ``None``.
        """
        whole: dict[bytes, str] = {}
        for row in rows:
            values = [value for value in map(_bytes, row) if value and len(value) >= _SHORTEST]
            people = [self.numbers[v] for v in row if isinstance(v, int) and v in self.numbers]
            for value in values:
                told = self._read(value) or self._turned(value, people)
                if told := told or _salted(value, row, people):
                    whole.setdefault(*told)
            for number in people:
                if _is_masked(row, number):
                    whole.setdefault(number, MASKED)
            for tail, number in self._halves([*values, *_filled(row)]):
                whole.setdefault(number, tail)
        if len(whole) <= _FEW:
            return None
        return len(whole), Counter(sorted(whole.values())).most_common(1)[0][0]

    def _read(self, value: bytes) -> tuple[bytes, str] | None:
        """The number that a value holds, whoever's it is."""
        if value not in self._seen:
            self._seen[value] = self._look(value)
        return self._seen[value]

    def _look(self, value: bytes) -> tuple[bytes, str] | None:
        if value in self._digests:
            number, name = self._digests[value]
            return number, f"{name}, without a key"
        if told := self._plain(value):
            return told
        if _ALONE.fullmatch(value):
            for places, turn in enumerate(_TURNS[1:], start=1):
                if number := self._heads.get(value.translate(turn)[:-1]):
                    return number, f"each digit moved on by {10 - places}"
        for name, inner in (*encodings.layers(value), ("reversed", value[::-1])):
            if inner in self._digests:
                number, digest = self._digests[inner]
                return number, f"{digest} in {name}, without a key"
            if told := self._plain(inner):
                return told[0], name if told[1] == "plain text" else f"{told[1]}, {name}"
        return None

    def _plain(self, text: bytes) -> tuple[bytes, str] | None:
        if _LEAST_DIGITS <= len(text) < _LENGTH - 1 and text.isdigit():
            for signs in (_LENGTH - 1, _LENGTH, _LENGTH + 1):  # the last: X, written as 10
                if number := self._heads.get(text.zfill(signs)[: _LENGTH - 1]):
                    return number, "a number"
        for joined, how in ((text, ""), (_JOINTS.sub(b"", text), ", with signs between")):
            for run in _RUN.findall(joined):
                for at in range(len(run) - _LENGTH + 2):
                    if (part := run[at : at + _LENGTH]) in self._whole:
                        return part, f"plain text{how}"
                    if number := self._heads.get(part[:-1] if len(part) == _LENGTH else part):
                        return number, f"plain text without its last sign{how}"
        return None

    @staticmethod
    def _turned(value: bytes, numbers: Iterable[bytes]) -> tuple[bytes, str] | None:
        """The change that turns a person's own number into a value."""
        for number in numbers:
            for plain in (number, number[:-1]):
                if told := is_encoding_of(value, plain):
                    return number, told
        return None

    def _halves(self, values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """Numbers of which both halves stand in one row, each by itself."""
        for value in values:
            number = self._tails.get(value) or self._tails.get(value[::-1])
            if number and any(v in (number[:_HALF], number[:_HALF][::-1]) for v in values):
                yield "two halves", number


def _salted(
    value: bytes, row: Iterable[object], numbers: Sequence[bytes]
) -> tuple[bytes, str] | None:
    """Whether a value is the digest of a person's number with something that the row says."""
    if not numbers or len(value) not in _WRITTEN:
        return None
    read = (value, *(inner for _, inner in encodings.decoded(value)))
    digests = [digest for digest in read if len(digest) in _OF_SIZE]
    salts = {salt for other in row for salt in _as_salt(other)} - {value} if digests else ()
    for digest in digests:
        for number, salt, sign in product(numbers, sorted(salts), _BETWEEN):
            for text in (salt + sign + number, number + sign + salt):
                for name in _OF_SIZE[len(digest)]:
                    if hashlib.new(name, text).digest() == digest:
                        return number, f"{name}, with a salt that stands beside it"
    return None


def _as_salt(value: object) -> list[bytes]:
    if isinstance(value, date):
        return [value.isoformat().encode(), f"{value:%Y%m%d}".encode()]
    if isinstance(value, bytes | bytearray | memoryview):
        return [bytes(value), bytes(value).hex().encode()]
    return [str(value).encode()] if isinstance(value, str | int) and value != "" else []


def _is_masked(row: Iterable[object], number: bytes) -> bool:
    """Whether a row has those signs of a number that, with the day of birth, are all of it."""
    pieces: set[bytes] = set()
    for value in row:
        if isinstance(value, int):
            pieces |= {str(value).zfill(signs).encode() for signs in (3, _TAIL, 6)}
        elif isinstance(value, str | bytes):
            raw = value.encode() if isinstance(value, str) else value
            pieces.update(_PIECE.findall(raw))
    return {number[_REGION], number[_SEQUENCE]} <= pieces or any(
        _TAIL <= len(piece) < _LENGTH - 1 and number.endswith(piece) for piece in pieces
    )


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    whole = _whole(value)
    return None if whole is None or whole < 10 ** (_SHORTEST - 1) else str(whole).encode()


def _whole(value: object) -> int | None:
    """A number of any type without its sign and its fraction; ``None`` for what is none."""
    if not isinstance(value, _NUMBERS) or not isfinite(value):
        return None
    return abs(int(value))


def _filled(row: Iterable[object]) -> Iterator[bytes]:
    """The small numbers of a row, with the zeros that half of a number has lost."""
    for value in row:
        whole = _whole(value)
        if whole is not None and whole < 10**_HALF:
            yield str(whole).zfill(_HALF).encode()


def places(lab: PostgresLab, numbers: Mapping[int, str]) -> dict[str, tuple[int, str]]:
    """Where numbers stand in another writing: place -> how many, and which writing.

    Args:
        lab: the server; its own log is its own business.
        numbers: person -> number.
    """
    look = Disguises(numbers)
    every = {}
    tables = ((f"the table {table}", rows) for table, rows in every_table(lab))
    for place, rows in chain(tables, _files(lab.log)):
        if told := look.found(rows):
            every[place] = told
    return every


def _files(log: Path) -> Iterator[tuple[str, list[list[object]]]]:
    for name, stream in search.streams(log.parent):
        if name.startswith(_OWN) or name == log.name:
            continue
        content = stream.read(_MOST)
        yield name.partition(".gz/")[0] + (".gz" if ".gz/" in name else ""), _lines(content)


def _lines(content: bytes) -> list[list[object]]:
    """A file as rows: its lines, and those of what it is decoded."""
    rows = []
    for text in (content, *(inner for _, inner in encodings.layers(content))):
        for line in text.splitlines():
            fields = [field.strip(b" \"'") for field in _APART.split(line)]
            numbers = [int(field) for field in fields if field.isdigit() and len(field) < 9]
            rows.append([*fields, line, *_TOKEN.findall(line), *numbers])
    return rows
