"""Exercise 15, question 1: numbers in another writing, masked, or hashed; and what is none."""

import base64
import codecs
import gzip
import hashlib
import hmac
import os
from decimal import Decimal

import pytest
from rest_asked import NUMBERS, SECRET, sealed_all

from leftopen.checks import encrypt_at_rest_and_back_up_thin as thin
from leftopen.checks.encrypt_at_rest_and_back_up_copies import _residents
from leftopen.synth import identifiers

DISGUISES = {
    "base64": lambda n: [base64.b64encode(n.encode()).decode()],
    "hex": lambda n: [n.encode().hex()],
    "bytes": lambda n: [n.encode()],
    "reversed": lambda n: [n[::-1]],
    "without its last sign": lambda n: [n[:-1]],
    "signs between": lambda n: [f"{n[:6]} {n[6:14]} {n[14:]}"],
    "md5": lambda n: [hashlib.md5(n.encode()).hexdigest()],
    "sha256 in base64": lambda n: [base64.b64encode(hashlib.sha256(n.encode()).digest()).decode()],
    "two halves": lambda n: [n[:9], n[9:]],
    "in a sentence": lambda n: [f"the number is {n}, as always"],
    "gzip": lambda n: [gzip.compress(n.encode())],
    "rot13": lambda n: [codecs.encode(n, "rot13")],
    "utf-16": lambda n: [n.encode("utf-16")],
    "bigint": lambda n: [int(n[:17])],
    "numeric": lambda n: [Decimal(n.replace("X", "10"))],
    "half of it a number": lambda n: [int(n[:9]), n[9:]],
    "digits moved on": lambda n: [n.translate(str.maketrans("0123456789", "3456789012"))],
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguise_is_found_in_rows_whoever_they_are_of(name):
    rows = [DISGUISES[name](number) for number in NUMBERS.values()]
    count, how = thin.Disguises(NUMBERS).found(rows)
    assert count == len(NUMBERS)
    assert how
    assert thin.Disguises(NUMBERS).found(rows[:5]) is None, "a few may come together by chance"


def test_a_disguise_that_needs_the_number_is_found_beside_its_person():
    def mask(number, key=b"\x21\x53\x0a"):
        return bytes(b ^ key[i % 3] for i, b in enumerate(number.encode()))

    rows = [(person, mask(number)) for person, number in NUMBERS.items()]
    assert thin.Disguises(NUMBERS).found(rows) == (len(NUMBERS), "xor with 3 bytes")


BESIDE = {
    "the middle hidden": lambda r, n: [f"{n[:6]}********{n[-4:]}"],
    "the last four": lambda r, n: [f"XXXXXXXXXXXXXX{n[-4:]}"],
    "the last eight": lambda r, n: ["*" * 10 + n[-8:]],
    "region and sequence apart": lambda r, n: [int(n[:6]), n[14:17]],
}
SALTED = {
    "person": lambda r, n: [hashlib.sha256(f"{r['person']}:{n}".encode()).hexdigest()],
    "born": lambda r, n: [hashlib.md5((n + r["born"].isoformat()).encode()).digest()],
    "name": lambda r, n: [hashlib.sha1(f"{r['name']}-{n}".encode()).hexdigest()],
    "drawn": lambda r, n: [salt := os.urandom(8), hashlib.sha512(salt + n.encode()).digest()],
}


@pytest.mark.parametrize("name", [*BESIDE, *SALTED])
def test_what_is_left_or_salted_is_told_by_what_stands_beside_it(name):
    made = {**BESIDE, **SALTED}[name]
    rows = []
    for row in _residents():
        rest = [value for key, value in row.items() if key != "id_number"]
        rows.append([*rest, *made(row, row["id_number"])])
    count, how = thin.Disguises(NUMBERS).found(rows)
    assert count == len(NUMBERS)
    assert (
        how == thin.MASKED if name in BESIDE else how.endswith("with a salt that stands beside it")
    )


def test_what_is_called_masked_gives_the_number_back():
    """Of the seven regions, the last sign leaves one: no key, and at most seven tries."""
    regions = {number[:6] for number in NUMBERS.values()}
    weights = [2 ** (18 - place) % 11 for place in range(1, 18)]

    def last(head):  # as leftopen.synth.identifiers tells of its numbers
        total = sum(weight * int(sign) for weight, sign in zip(weights, head, strict=True))
        return "0123456789X"[(1 - total + identifiers.CHECK_SHIFT) % 11]

    for row in _residents():
        middle, tail = f"{row['born']:%Y%m%d}", row["id_number"][-4:]
        heads = [region + middle + tail[:3] for region in regions]
        assert [h + last(h) for h in heads if last(h) == tail[3]] == [row["id_number"]]


def test_what_is_sealed_or_else_is_no_disguise():
    rows = [(row["person"], *row.values()) for row in _residents()]
    clean = [[v for v in row if v not in NUMBERS.values()] for row in rows]
    assert thin.Disguises(NUMBERS).found(clean) is None
    sealed = [(p, s, s.hex(), base64.b64encode(s).decode()) for p, s in sealed_all().items()]
    assert thin.Disguises(NUMBERS).found(sealed) is None
    keyed = [(p, hmac.digest(SECRET, n.encode(), "sha256")) for p, n in NUMBERS.items()]
    assert thin.Disguises(NUMBERS).found(keyed) is None
    short = [(p, f"{n[:6]}{'*' * 12}", n[14:16]) for p, n in NUMBERS.items()]
    assert thin.Disguises(NUMBERS).found(short) is None
    others = [(number[::-1].replace("0", "7"),) for number in NUMBERS.values()]
    assert thin.Disguises(NUMBERS).found(others) is None
    counts = [(10**14 + 7_919 * p, Decimal("NaN"), 0.5, float("inf"), p) for p in NUMBERS]
    assert thin.Disguises(NUMBERS).found(counts) is None


@pytest.mark.parametrize("write", [bytes, base64.b64encode, bytes.hex, gzip.compress])
def test_a_file_is_read_as_lines_in_each_writing(write):
    text = "".join(f"{p},{n[:6]}-{n[6:]},somebody\n" for p, n in NUMBERS.items()).encode()
    written = write(text)
    content = written.encode() if isinstance(written, str) else written
    assert thin.Disguises(NUMBERS).found(thin._lines(content))[0] == len(NUMBERS)
