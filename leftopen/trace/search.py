"""Who else was at all of some points: looked up, and not looked for among everybody.

Somebody who was at all of them was at the first two. So the people of each pair of points are
listed, and those of the pair that was drawn are looked through: some at first, then more, until
one is found who was at the others too. 64 bits that say roughly where a person was spare most
comparisons. Where traces are so long that there would be too many pairs, the list of a single
point takes the place of the pair's. The method is our own.
"""

import numpy as np

from leftopen.trace.frames import WORD, Ints, bits_for, starts
from leftopen.trace.traces import Traces

_MOST_PAIRS = 1 << 25  # 256 MB
_FIRST_LOOK, _LOOKS_GROW, _AT_ONCE = 8, 8, 1 << 19


class Search:
    """Finds who shares points, in one set of traces."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._bits = bits_for(len(traces.length))
        self._cell_bits = bits_for(traces.cells)
        number = np.arange(traces.cells) * 40_503 >> 3 & 63
        self._bit = np.left_shift(np.uint64(1), number.astype(np.uint64))
        self._rough = np.bitwise_or.reduceat(self._bit[traces.cell], traces.start)
        self._members = np.sort((traces.cell << self._bits) | traces.trace)
        pairs = int((traces.length * (traces.length - 1) // 2).sum())
        fits = 2 * self._cell_bits + self._bits <= WORD
        self._pairs = _pairs(traces, self._bits) if 0 < pairs <= _MOST_PAIRS and fits else None
        lists = self._members if self._pairs is None else self._pairs
        begin = starts(lists >> self._bits)
        self._names, self._begin = lists[begin] >> self._bits, begin
        self._size = np.diff(begin, append=len(lists))
        self._there = lists & ((1 << self._bits) - 1)

    def held_by_others(self, traces: Ints, cells: Ints) -> np.ndarray:
        """For each trace whether another one holds all of its row of points."""
        crowd = self._traces.crowd
        if cells.shape[1] == 1:
            return crowd[cells[:, 0]] > 1
        ranked = np.sort((crowd[cells] << self._cell_bits) | cells, axis=1)
        cells = ranked & ((1 << self._cell_bits) - 1)
        if self._pairs is None:
            name, others = cells[:, 0], cells[:, 1:]
        else:
            low, high = cells[:, :2].min(axis=1), cells[:, :2].max(axis=1)
            name, others = (low << self._cell_bits) | high, cells[:, 2:]
        # In the order of the lists, so that what lies together is read together.
        order = np.sort((name << self._bits) | np.arange(len(name)))
        name, row = order >> self._bits, order & ((1 << self._bits) - 1)
        which = np.searchsorted(self._names, name)
        begin, size = self._begin[which], self._size[which]
        held = np.empty(len(row), dtype=bool)
        held[row] = self._look(traces[row], begin, size, others[row]) if others.size else size > 1
        return held

    def _look(self, traces: Ints, begin: Ints, size: Ints, others: Ints) -> np.ndarray:
        """Look through the list of each trace for one that was at the others too."""
        need = np.bitwise_or.reduce(self._bit[others], axis=1)
        found = np.zeros(len(traces), dtype=bool)
        left, done, width = np.flatnonzero(size > 1), 0, _FIRST_LOOK
        while len(left):
            rows = max(1, _AT_ONCE // width)
            for at in range(0, len(left), rows):
                some = left[at : at + rows]
                looks = np.minimum(size[some] - done, width)
                row = np.repeat(some, looks)
                seen = np.arange(len(row)) + np.repeat(
                    begin[some] + done - np.cumsum(looks) + looks, looks
                )
                other = self._there[seen]
                keep = (self._rough[other] & need[row] == need[row]) & (other != traces[row])
                row, other = row[keep], other[keep]
                for column in range(others.shape[1]):
                    key = (others[row, column] << self._bits) | other
                    spot = np.searchsorted(self._members, key)
                    keep = self._members[np.minimum(spot, len(self._members) - 1)] == key
                    row, other = row[keep], other[keep]
                found[row] = True
            done, width = done + width, min(width * _LOOKS_GROW, _AT_ONCE)
            left = left[~found[left] & (size[left] > done)]
        return found


def _pairs(traces: Traces, bits: int) -> Ints:
    """Each pair of points of each trace, and the trace, as one number; in order."""
    cell_bits, made = bits_for(traces.cells), []
    for length in np.unique(traces.length):
        number = np.flatnonzero(traces.length == length)
        one, other = np.triu_indices(length, 1)
        cells = traces.cell[traces.start[number][:, None] + np.arange(length)]
        pair = (cells[:, one] << cell_bits) | cells[:, other]
        made.append(((pair << bits) | number[:, None]).ravel())
    return np.sort(np.concatenate(made))
