"""The distinct points of each person, in whole numbers, and the order in which they are drawn."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from leftopen.trace.frames import (
    WORD,
    Ints,
    axis,
    bits_for,
    dense,
    microseconds,
    read,
    starts,
)

_PRIME = 2**31 - 1
# Multipliers for which multiplying modulo that prime mixes well: Fishman and Moore, "An
# Exhaustive Analysis of Multiplicative Congruential Random Number Generators with Modulus
# 2^31-1", SIAM J. Sci. Stat. Comput. 7 (1986).
_MULTIPLIERS = (742_938_285, 950_706_376, 1_226_874_159)
_LAST = 62_089_911
_LOT_BITS = 31


@dataclass(frozen=True)
class Traces:
    """The traces of all people, one after another: of each, its distinct points.

    Traces and points are numbered from 0. A point's number is that of its tracker and time among
    all that occur, in the order of tracker, then time; so are the points of each trace.
    """

    person: Ints
    """For each trace the number that its person's draws depend on."""
    start: Ints
    """Where each trace begins in ``cell``."""
    length: Ints
    """How many points each trace has."""
    cell: Ints
    """The number of each point."""
    lot: Ints
    """What each point has drawn: the lowest lots of a trace are drawn first."""
    cells: int
    """How many different points there are."""

    @cached_property
    def trace(self) -> Ints:
        """For each point the number of its trace."""
        return np.repeat(np.arange(len(self.length)), self.length)

    @cached_property
    def crowd(self) -> Ints:
        """For each point that there is, how many people were there."""
        return np.bincount(self.cell, minlength=self.cells)

    @cached_property
    def order(self) -> Ints:
        """Where the points are in ``cell``, those of each trace in the order of their draw."""
        within = np.arange(len(self.cell)) - np.repeat(self.start, self.length)
        bits = bits_for(int(self.length.max()))
        if bits_for(len(self.length)) + _LOT_BITS + bits > WORD:
            return np.argsort((self.trace << _LOT_BITS) | self.lot, kind="stable")
        key = np.sort((((self.trace << _LOT_BITS) | self.lot) << bits) | within)
        return np.repeat(self.start, self.length) + (key & ((1 << bits) - 1))

    def drawn(self, traces: Ints, points: int) -> Ints:
        """The first points that are drawn of some traces: a row for each, a column for each."""
        return self.cell[self.order[self.start[traces][:, None] + np.arange(points)]]


def read_traces(positions: object, seed: int) -> Traces:
    """Read the traces of some positions, and draw lots.

    Raises:
        DataError: the frame is empty or lacks a column.
    """
    frame = read(positions, "positions", ["person", "tracker", "at"])
    person, tracker = axis(frame["person"]), axis(frame["tracker"])
    at = axis(microseconds(frame["at"]))
    names, cell = dense((tracker.code << at.bits) | at.code, tracker.bits + at.bits)
    bits = bits_for(len(names))
    key = np.sort((person.code << bits) | cell)
    key = key[starts(key)]
    who, cell = key >> bits, key & ((1 << bits) - 1)
    number = person.number(who)
    where, when = tracker.number(names >> at.bits), at.number(names & ((1 << at.bits) - 1))
    start = starts(who)
    return Traces(
        person=number[start],
        start=start,
        length=np.diff(start, append=len(who)),
        cell=cell,
        lot=lots(seed, number, where[cell], when[cell]),
        cells=len(names),
    )


def lots(seed: int, *columns: Ints) -> Ints:
    """A number from 0 to 2**31 - 2 for each row, that looks drawn: a function of its values alone.

    Whole numbers of 64 bits are enough for it, so it can be written in any engine.
    """
    drawn = np.full(1, seed % _PRIME, dtype=np.int64)
    for column, factor in zip(columns, _MULTIPLIERS, strict=False):
        drawn = ((drawn ^ (drawn >> 15)) + column % _PRIME) * factor % _PRIME
    return (drawn ^ (drawn >> 15)) * _LAST % _PRIME
