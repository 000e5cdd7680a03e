"""Random draws that depend on the seed and the row alone, never on who draws them.

Rows are drawn in blocks of `BLOCK`. Everything in block *b* of stream *s* comes from a Philox
generator keyed with (seed, s, b), so any chunk size and any number of processes give the same rows.

Relied on: `numpy.random.Philox(key=...)` and `random_raw`, whose integers numpy guarantees for
a fixed key (numpy manual, "Philox", compatibility guarantee). The methods of `Generator` may
change between versions (NEP 19) and are not used; nor are floating-point functions but the square
root, as the others differ between processors. Philox: Salmon et al., "Parallel Random Numbers: As
Easy as 1, 2, 3", SC11 (2011).
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

BLOCK = 32_768
"""Rows in a block: the smallest part that is drawn at once."""

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


class Stream(IntEnum):
    """What a draw is for; each stream is independent of the others."""

    TRACKER = 1
    IDENTITY = 2
    RESIDENCE = 3
    PAPERS = 4
    PLAN = 5
    SIGHTING = 6
    REGISTER = 7
    HOUSEHOLD = 8
    RANK = 9
    SUBSCRIBER = 10
    HANDSET = 11
    RADIO = 12
    DAY = 13
    ALARM = 14
    BIRTH = 15
    TELEPHONE = 16
    PLATE = 17
    HOUSE = 18
    HOUSEMATE = 19
    VISITOR = 20
    GATHERING = 21
    TRIP = 22
    NIGHT = 23
    VISIT = 24
    STATUS = 25


def words(seed: int, stream: Stream, block: int, count: int) -> Words:
    """Return the first `count` 64-bit words of one block; `seed` is at most 2**64 - 1."""
    key = np.array([seed, (int(stream) << 32) | block], dtype=np.uint64)
    return np.random.Philox(key=key).random_raw(count)


def columns(seed: int, stream: Stream, block: int, width: int, rows: int) -> Words:
    """Return `width` words for each of the first `rows` rows of a block: shape (width, rows)."""
    return words(seed, stream, block, width * BLOCK).reshape(width, BLOCK)[:, :rows]


def below(drawn: Words, bound: Ints | int, *, low: bool = False) -> Ints:
    """Turn words into whole numbers from 0 to `bound` - 1, with a bias below `bound` / 2**32.

    The high half of each word is used, or the low half, so that a word serves for two draws.
    Multiply and shift: Lemire, "Fast Random Integer Generation in an Interval", 2019.
    """
    bits = drawn & np.uint64(0xFFFFFFFF) if low else drawn >> np.uint64(32)
    return ((bits * np.asarray(bound, dtype=np.uint64)) >> np.uint64(32)).view(np.int64)


def permute(index: Ints, size: int, seed: int, stream: Stream) -> Ints:
    """Map each of 0 .. `size` - 1 to another one, without a collision.

    A Feistel network of four rounds over the next even number of bits, walked again until the
    result is inside (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002).
    It scatters; it hides nothing and is not cryptography.
    """
    half = ((size - 1).bit_length() + 1) // 2
    keys = words(seed, stream, 0, 8)
    result = index.astype(np.uint64)
    todo = np.arange(len(result))
    while len(todo):
        walked = _feistel(result[todo], half, keys)
        result[todo] = walked
        todo = todo[walked >= size]
    return result.view(np.int64)


def _feistel(values: Words, half: int, keys: Words) -> Words:
    width, mask, top = np.uint64(half), np.uint64((1 << half) - 1), np.uint64(64 - half)
    left, right = values >> width, values & mask
    for factor, summand in keys.reshape(4, 2):
        left, right = right, left ^ ((right * (factor | np.uint64(1)) + summand) >> top)
    return (left << width) | right
