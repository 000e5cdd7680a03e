"""No identity number may be possible: judged by the standard, in another way than it was made."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.iso7064 import mod_11_2

from leftopen.synth.identifiers import DAYS, FIRST_DATE, SEQUENCES, resident_ids, unique_bodies

MILLION = 1_000_000


def remainders(ids):
    """ISO 7064's recursion over the whole string, where the maker adds up weighed digits.

    A number is right if the remainder is 1.
    """
    values = np.where(ids == ord("X"), 10, ids.astype(np.int64) - ord("0"))
    remainder = np.zeros(len(ids), dtype=np.int64)
    for place in values.T:
        remainder = (remainder * 2 + place) % 11
    return remainder


def as_text(ids):
    return [bytes(row).decode() for row in ids]


def matrix(*numbers):
    return np.array([list(number.encode()) for number in numbers], dtype=np.uint8)


def put_right(ids):
    """The same bodies with the check character that belongs to them, by stdnum."""
    bodies = [number[:17] for number in as_text(ids)]
    return matrix(*[body + mod_11_2.calc_check_digit(body) for body in bodies])


@pytest.fixture(scope="module")
def population():
    index = np.arange(MILLION)
    female = index % 3 % 2
    return female, resident_ids(*unique_bodies(index, female, seed=11))


def test_the_judge_knows_right_from_wrong():
    # The example of the standard's own text, and the worked one of facts: its right character is 2.
    assert remainders(matrix("11010519491231002X", "000000199902300012")).tolist() == [1, 1]
    for wrong in "013456789X":
        assert remainders(matrix("00000019990230001" + wrong))[0] != 1


def test_a_million_numbers_are_impossible(population):
    _, ids = population
    assert ids.shape == (MILLION, 18)
    assert not (remainders(ids) == 1).any()
    assert (ids[:, :2] == ord("0")).all(), "a region outside the provinces 11 to 91"


def test_the_same_bodies_with_the_right_character_would_be_caught(population):
    _, ids = population
    assert (remainders(put_right(ids[:2_000])) == 1).all()


def test_stdnum_agrees(population):
    _, ids = population
    some = ids[:: MILLION // 2_000]
    assert not any(mod_11_2.is_valid(number) or ric.is_valid(number) for number in as_text(some))
    repaired = as_text(put_right(some))
    assert all(mod_11_2.is_valid(number) for number in repaired)
    # The second lock: even with the right character, the place of birth is none.
    assert not any(ric.is_valid(number) for number in repaired)
    assert ric.is_valid("11010519491231002X")


def test_a_million_numbers_are_unique(population):
    _, ids = population
    assert len(np.unique(ids[:, :17].copy().view("S17"))) == MILLION


def test_dates_are_real_and_the_sequence_tells_the_sex(population):
    female, ids = population
    digits = ids[:, 6:17].astype(np.int64) - ord("0")
    days = digits[:, :8] @ 10 ** np.arange(7, -1, -1)
    real = {int(f"{date(1920, 1, 1) + timedelta(days=n):%Y%m%d}") for n in range(DAYS)}
    assert set(np.unique(days).tolist()) <= real
    assert ((digits[:, 10] % 2 == 0) == (female == 1)).all()


@settings(deadline=None)
@given(
    region=st.integers(0, 9_999),
    day=st.integers(0, DAYS - 1),
    sequence=st.integers(0, SEQUENCES - 1),
)
def test_any_body_gives_an_impossible_number(region, day, sequence):
    made = resident_ids(*(np.array([value]) for value in (region, day, sequence)))
    (number,) = as_text(made)
    birth = FIRST_DATE + timedelta(days=day)
    assert number[:17] == f"00{region:04}{birth:%Y%m%d}{sequence:03}"
    assert number[17] in "0123456789X"
    assert not mod_11_2.is_valid(number)


@settings(deadline=None)
@given(seed=st.integers(0, 2**64 - 1), first=st.integers(0, 9_990_000))
def test_any_seed_gives_impossible_numbers_without_a_repeat(seed, first):
    index = np.arange(first, first + 500)
    ids = resident_ids(*unique_bodies(index, index % 2, seed))
    assert not (remainders(ids) == 1).any()
    assert len(set(as_text(ids))) == 500


def test_a_district_has_thirty_six_and_a_half_million_bodies():
    assert (date(2020, 1, 1) - FIRST_DATE).days == DAYS
    assert round(DAYS * SEQUENCES / 1e6, 1) == 36.5
