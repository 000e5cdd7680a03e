"""No number may be possible: judged by the standard, in another way than it was made."""

import re
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import imei, imsi, luhn, mac
from stdnum.cn import ric
from stdnum.iso7064 import mod_11_2

from leftopen.synth.identifiers import (
    DATED_BODIES,
    DAYS,
    FIRST_DATE,
    PHONES,
    SEQUENCES,
    TELEPHONES,
    dated_bodies,
    imeis,
    imsis,
    macs,
    plates,
    resident_ids,
    telephones,
    unique_bodies,
)

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


# People whose birth date is chosen


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), born=st.integers(200, DAYS - 1))
def test_a_chosen_birth_date_is_kept_within_months_and_no_two_bodies_meet(seed, born):
    index = np.arange(DATED_BODIES)
    # All on one day, the hardest case.
    region, day, sequence = dated_bodies(index, np.full(DATED_BODIES, born), index % 2, seed)
    assert set((born - day).tolist()) <= set(range(1, 128))
    bodies = (region * 10**9 + day * 10**3 + sequence).tolist()
    assert len(set(bodies)) == DATED_BODIES
    assert set(np.unique(region).tolist()) == set(range(201, 208))
    ids = resident_ids(region, day, sequence)[::100]
    assert not (remainders(ids) == 1).any()
    assert (remainders(put_right(ids)) == 1).all()
    assert ((ids[:, 16] % 2 == 0) == (index[::100] % 2 == 1)).all()


def test_they_live_in_districts_of_their_own():
    index = np.arange(5_000)
    other = unique_bodies(index, index % 2, 1)[0]
    assert not set(dated_bodies(index, index + 200, index % 2, 1)[0]) & set(other)


# Telephones and plates

# North American Numbering Plan: no area code has a 9 in the middle; 555-0100 to 555-0199 are kept
# for fiction.
AREA = re.compile(r"\+1-([2-9])([0-8])(\d)-([2-9]\d\d-\d{4})")
FICTION = re.compile(r"\+1-\d{3}-555-01\d\d")
# Convention on Road Traffic (1968), annex 2: numerals, and capital letters of whatever alphabet.
# Between them stand at most spaces, hyphens, dots and colons.
PLATE = re.compile(r"[^\W\d_]*[\w .:·-]*")


def could_be_a_plate(number):
    """Whether a country could issue it: more than it does, rather than less."""
    return bool(PLATE.fullmatch(number)) and "_" not in number and number == number.upper()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), first=st.integers(0, 10**7))
def test_any_seed_gives_telephones_and_plates_that_nobody_has(seed, first):
    index = np.arange(first, first + 500)
    for number in as_text(telephones(index, seed)):
        assert FICTION.fullmatch(number)
        assert not AREA.fullmatch(number)
    assert not any(could_be_a_plate(plate) for plate in as_text(plates(index, seed)))


def test_the_judges_take_real_forms():
    # Numbers of the second are for fiction, in an area that could exist; the first is of none.
    assert AREA.fullmatch("+1-212-664-7665")
    assert AREA.fullmatch("+1-212-555-0123")
    assert not AREA.fullmatch("+1-290-555-0123")
    assert not FICTION.fullmatch("+1-290-555-0223")
    for plate in (
        "京A·D1234",
        "AB-123-CD",
        "AB12 CDE",
        "МР 123",
        "12가 3456",
        "DL 01 CAA 1111",
        "12",
    ):
        assert could_be_a_plate(plate), plate
    one = as_text(plates(np.arange(1), 1))[0]
    # Either lock is enough: small letters, and the underscore.
    assert not could_be_a_plate(one.upper())
    assert not could_be_a_plate(one.replace("_", "-"))
    assert could_be_a_plate(one.upper().replace("_", "-"))


def test_telephones_and_plates_do_not_repeat_before_they_must():
    index = np.arange(TELEPHONES)
    assert len(set(as_text(telephones(index, 3)))) == TELEPHONES == 8 * 10 * 100
    assert as_text(telephones(index[:9] + TELEPHONES, 3)) == as_text(telephones(index[:9], 3))
    assert len(np.unique(plates(np.arange(MILLION), 3).view("S11"))) == MILLION


# Phones


def luhn_remainders(numbers):
    """Luhn over the whole number, from the right, where the maker works on the body from the left.

    A number is right if the remainder is 0.
    """
    digits = numbers[:, ::-1].astype(np.int64) - ord("0")
    twice = digits[:, 1::2] * 2
    return (digits[:, ::2].sum(axis=1) + (twice - 9 * (twice > 9)).sum(axis=1)) % 10


def with_luhns_digit(numbers):
    bodies = [number[:14] for number in as_text(numbers)]
    return matrix(*[body + luhn.calc_check_digit(body) for body in bodies])


@pytest.fixture(scope="module")
def phones():
    index = np.arange(MILLION // 4)
    return {make: make(index, seed=11) for make in (imsis, imeis, macs)}


def test_the_judge_of_luhn_knows_right_from_wrong():
    # The classic example of the algorithm, and the worked one of facts: its right digit is 8.
    assert luhn_remainders(matrix("79927398713")).tolist() == [0]
    for last in "0123456789":
        right = luhn_remainders(matrix("00000000000001" + last))[0] == 0
        assert right == luhn.is_valid("00000000000001" + last) == (last == "8")


def test_no_imei_has_its_check_digit(phones):
    made = phones[imeis]
    assert made.shape == (MILLION // 4, 15)
    assert not (luhn_remainders(made) == 0).any()
    assert (made[:, :2] == ord("0")).all()


def test_stdnum_agrees_and_would_take_the_right_digit(phones):
    some = phones[imeis][::125]
    assert not any(imei.is_valid(number) or luhn.is_valid(number) for number in as_text(some))
    repaired = with_luhns_digit(some)
    assert all(imei.is_valid(number) for number in as_text(repaired))
    assert (luhn_remainders(repaired) == 0).all()


def test_every_imsi_is_of_the_network_for_tests(phones):
    assert phones[imsis].shape == (MILLION // 4, 15)
    for number in as_text(phones[imsis][::125]):
        assert imsi.split(number)[:2] == ("001", "01")
        assert imsi.info(number)["country"] == "Test networks"
    assert (phones[imsis][:, :5] == np.frombuffer(b"00101", dtype=np.uint8)).all()
    assert imsi.info("460001234567890")["country"] != "Test networks", "a network of a country"


def test_every_mac_is_given_locally_and_is_of_one_device(phones):
    # The second character holds the two bits: given locally (2), and not for a group (1).
    assert set(as_text(phones[macs][:, 1:2])) == set("26ae")
    for address in as_text(phones[macs][::5_000]):
        assert mac.is_locally_administered(address)
        assert mac.is_unicast(address)
    for address in as_text(phones[macs][::25_000]):  # stdnum reads its list of makers each time
        assert mac.is_valid(address)
        assert not mac.is_valid(address, validate_manufacturer=True)
    # The judge takes a maker's address, and one for a group, for what they are.
    assert mac.is_valid("d0:50:99:84:a2:a0", validate_manufacturer=True)
    assert not mac.is_locally_administered("d0:50:99:84:a2:a0")
    assert not mac.is_unicast("03:00:00:00:00:01")


@pytest.mark.parametrize("make", [imsis, imeis, macs])
def test_no_two_phones_share_a_number(phones, make):
    width = phones[make].shape[1]
    numbers = phones[make].view(f"S{width}").ravel()
    # An IMEI is told apart by its body; the check digit follows from that.
    assert len(np.unique(numbers.astype("S14") if make is imeis else numbers)) == MILLION // 4


@settings(deadline=None)
@given(seed=st.integers(0, 2**64 - 1), first=st.integers(0, PHONES - 200))
def test_any_seed_gives_impossible_phones(seed, first):
    index = np.arange(first, first + 200)
    assert not any(imei.is_valid(number) for number in as_text(imeis(index, seed)))
    assert all(number.startswith("00101") for number in as_text(imsis(index, seed)))
    assert all(mac.is_locally_administered(address) for address in as_text(macs(index, seed)))
    assert all(mac.is_unicast(address) for address in as_text(macs(index, seed)))
