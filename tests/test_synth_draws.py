"""Draws depend on seed, stream and block alone, and have the range that they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen.synth.draws import BLOCK, Stream, below, columns, permute, words


def test_the_generator_is_philox():
    # Known answer of Random123's kat_vectors for philox4x64-10, counter and key zero. numpy steps
    # the counter before the first block, so it starts one below zero.
    start = np.full(4, 2**64 - 1, dtype=np.uint64)
    first = np.random.Philox(counter=start, key=np.zeros(2, dtype=np.uint64)).random_raw(4)
    known = ["16554d9eca36314c", "db20fe9d672d0fdc", "d7e772cee186176b", "7e68b68aec7ba23b"]
    assert [f"{word:016x}" for word in first.tolist()] == known


def test_seed_stream_and_block_each_give_other_words():
    asked = [
        (seed, stream, block)
        for seed in (0, 1, 2**64 - 1)
        for stream in Stream
        for block in range(9)
    ]
    drawn = [words(*each, 64).tolist() for each in asked]
    assert len({tuple(each) for each in drawn}) == len(asked)
    assert drawn[0] == words(*asked[0], 64).tolist()


@settings(deadline=None)
@given(rows=st.integers(1, BLOCK), width=st.integers(1, 5))
def test_fewer_rows_or_columns_are_a_part_of_more(rows, width):
    whole = columns(3, Stream.PLAN, 2, 6, BLOCK)
    assert (columns(3, Stream.PLAN, 2, width, rows) == whole[:width, :rows]).all()


@settings(deadline=None)
@given(seed=st.integers(0, 2**64 - 1), size=st.integers(1, 3_000))
def test_a_permutation_loses_nothing(seed, size):
    assert sorted(permute(np.arange(size), size, seed, Stream.PLAN).tolist()) == list(range(size))


def test_a_permutation_scatters():
    moved = permute(np.arange(10_000), 10_000, 5, Stream.PLAN)
    neighbours = np.abs(np.diff(moved))
    assert (neighbours == 1).mean() < 0.01
    assert abs(np.corrcoef(np.arange(10_000), moved)[0, 1]) < 0.05


@pytest.mark.parametrize("low", [False, True])
@settings(deadline=None)
@given(bound=st.integers(1, 86_400_000))
def test_below_stays_below(low, bound):
    extremes = np.array([0, 2**32 - 1, 2**32, 2**64 - 1], dtype=np.uint64)
    got = below(extremes, bound, low=low).tolist()
    first, last = 0, bound - 1
    assert got == ([first, last, first, last] if low else [first, first, got[2], last])
    assert 0 <= got[2] < bound


def test_below_is_even():
    drawn = words(1, Stream.PLAN, 0, 60_000)
    for low in (False, True):
        counts = np.bincount(below(drawn, 6, low=low), minlength=6)
        # Chi-squared with 5 degrees of freedom: above 35 once in a million.
        assert ((counts - 10_000) ** 2 / 10_000).sum() < 35
