"""Identity numbers that no real person can hold, and numbers that no phone and no car can have.

GB 11643-1999 gives 18 places: 6 for the region (GB/T 2260), 8 for the birth date, 3 for the
sequence (odd male, even female) and 1 check character (ISO 7064 MOD 11-2). Two things make each
number here impossible, by construction and not by chance: its region starts with 00, and no
province has that code; and its check character is the right one moved on by `CHECK_SHIFT`. A random
character would be the right one in 1 number of 11.

Of the three numbers of a phone, the IMEI is made wrong in the same way: it begins with 00, and its
last digit is Luhn's (3GPP TS 23.003, Annex B) moved on. The IMSI begins with 001 01, the country
and the network for tests (ITU-T E.212). The MAC address says of itself that it was given locally
(IEEE 802, second bit of the first octet), so it belongs to no maker of devices.

A telephone number is of the North American plan, where 555-0100 to 555-0199 are kept for fiction.
Its area code has a 9 in the middle, and no such code is given to an area. No range of number plates
is kept for fiction, so a plate has what no country puts on one: small letters (the Convention on
Road Traffic of 1968, annex 2, asks for numerals and capital letters) and an underscore.
"""

from datetime import date

import numpy as np

from leftopen.synth import text
from leftopen.synth.draws import Ints, Stream, permute

FIRST_DATE = date(1920, 1, 1)
"""The first birth date that a number can hold."""
DAYS = 36_525
"""Birth dates that a number can hold: the hundred years 1920 to 2019."""
SEQUENCES = 1_000
"""Sequence numbers for one region and one day."""
DISTRICTS = range(101, 108)
"""The invented districts, as the last four of six region digits: 000101 to 000107."""
CHECK_SHIFT = 5
"""How far a check character stands from the right one; anything from 1 to 9 is wrong in both."""
PHONES = 10**10
"""Phones that can be told apart: an IMSI has ten digits after those of the network."""
TELEPHONES = 8_000
"""Telephone numbers that can be told apart: 80 area codes with a 9 in the middle, 100 lines each.
From this index on they come again: there are no more that are kept for fiction."""
DATED_BODIES = 224_000
"""People whose birth date is chosen, and who can be told apart."""

_CHARACTERS = np.frombuffer(b"0123456789X", dtype=np.uint8)
_WEIGHTS = [2 ** (18 - place) % 11 for place in range(1, 18)]
_DATES = np.arange(DAYS) + np.datetime64(FIRST_DATE)
_YEAR = _DATES.astype("M8[Y]").astype(np.int64) + 1970
_MONTH = _DATES.astype("M8[M]").astype(np.int64) % 12 + 1
_DAY = (_DATES - _DATES.astype("M8[M]")).astype(np.int64) + 1


def _date_text() -> text.Bytes:
    made = text.rows(b"yyyymmdd", DAYS)
    text.put_digits(made, 0, _YEAR)
    text.put_digits(made, 4, _MONTH * 100 + _DAY)
    return made


def _tails() -> text.Bytes:
    """Return the last four characters for each sequence number and check character."""
    made = text.rows(b"sssc", SEQUENCES * 11)
    text.put_digits(made, 0, np.repeat(np.arange(SEQUENCES), 11) * 10)
    made[:, 3] = np.tile(_CHARACTERS, SEQUENCES)
    return made


def _weighed(digits: text.Bytes, first: int) -> Ints:
    """Sum each row's digits by their weights; `first` is the place of the first one."""
    weights = np.array(_WEIGHTS[first : first + digits.shape[1]])
    return (digits.astype(np.int64) - ord("0")) @ weights


_DATE_TEXT, _TAILS = _date_text(), _tails()
_DATE_WORDS, _TAIL_WORDS = _DATE_TEXT.view("<u8").ravel(), _TAILS.view("<u4").ravel()
_REGION_SUMS = _weighed(text.FOUR_DIGITS, 2)
_DATE_SUMS = _weighed(_DATE_TEXT, 6)
_SEQUENCE_SUMS = _weighed(_TAILS[::11, :3], 14)
# For each sum of weighed digits: the value of the wrong check character.
_WRONG = (12 - np.arange(9 * sum(_WEIGHTS) + 1) % 11 + CHECK_SHIFT) % 11


def resident_ids(region: Ints, day: Ints, sequence: Ints) -> text.Bytes:
    """Return impossible identity numbers as a matrix of 18 characters a row.

    `region` is the last four digits of the region code (0 to 9999, after the impossible 00),
    `day` counts birth dates from `FIRST_DATE`, `sequence` is 0 to 999.
    """
    total = _REGION_SUMS[region] + _DATE_SUMS[day] + _SEQUENCE_SUMS[sequence]
    made = text.rows(b"00rrrryyyymmddsssc", len(total))
    text.put_digits(made, 2, region)
    text.put(made, 6, _DATE_WORDS[day])
    text.put(made, 14, _TAIL_WORDS[sequence * 11 + _WRONG[total]])
    return made


# The pyramid of ages: how many steps of 32 sequence pairs a birth date of each year offers.
_STEP = 32
_YEARS = range(1929, 2003)


def _steps(year: int) -> int:
    return min(14, 2 + (year - 1929) // 3) - max(0, (year - 1990) // 4)


_STEPS_OF_YEAR = np.array([_steps(year) if year in _YEARS else 0 for year in range(1920, 2020)])
_STEPS = _STEPS_OF_YEAR[_YEAR - FIRST_DATE.year]
_DAY_OF_STEP = np.repeat(np.arange(DAYS), _STEPS)
_FIRST_STEP = np.cumsum(_STEPS) - _STEPS
_SLOTS = len(_DAY_OF_STEP) * _STEP * len(DISTRICTS)


def unique_bodies(index: Ints, female: Ints, seed: int) -> tuple[Ints, Ints, Ints]:
    """Return (region, day, sequence) for people number `index`, no two of them alike.

    Each person takes one slot of (district, day, pair of sequence numbers) by a permutation, so
    no two meet, whoever draws them. People are 16 to 89 years old in February 2019.
    """
    slot = permute(index, _SLOTS, seed, Stream.IDENTITY)
    rest = slot // len(DISTRICTS)
    region = slot - rest * len(DISTRICTS) + DISTRICTS[0]
    day = _DAY_OF_STEP[rest // _STEP]
    pair = rest - _FIRST_STEP[day] * _STEP
    return region, day, 2 * pair + 1 + female


# People whose birth date is chosen live in districts of their own, 000201 to 000207.
_DATED_DISTRICT, _SPREAD = 201, 64
_PLACES = len(DISTRICTS) * SEQUENCES // 2


def dated_bodies(index: Ints, day: Ints, female: Ints, seed: int) -> tuple[Ints, Ints, Ints]:
    """Return (region, day, sequence) for people number `index`, born on about `day`, none alike.

    `index` is below `DATED_BODIES`. A birth date moves back by 1 to 127 days: two people with the
    same district and sequence number are told apart by the day's remainder of 64.
    """
    slot = permute(index, DATED_BODIES, seed, Stream.BIRTH)
    place, remainder = slot % _PLACES, slot // _PLACES
    region = _DATED_DISTRICT + place % len(DISTRICTS)
    moved = (day // _SPREAD - 1) * _SPREAD + remainder
    return region, moved, 2 * (place // len(DISTRICTS)) + 1 - female


# Luhn: each second digit from the right of the body counts twice, and then digit by digit.
_DOUBLED = np.array([2 * digit // 10 + 2 * digit % 10 for digit in range(10)])
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def imsis(index: Ints, seed: int) -> text.Bytes:
    """Return the IMSI of each phone number `index` (below `PHONES`): 15 digits, no two alike."""
    number = permute(index, PHONES, seed, Stream.SUBSCRIBER)
    made = text.rows(b"00101nnnnnnnnnn", len(number))
    text.put_digits(made, 3, 100 + number // 10**8)  # the network's last two digits, and two more
    text.put_digits(made, 7, number // 10**4 % 10**4)
    text.put_digits(made, 11, number % 10**4)
    return made


def imeis(index: Ints, seed: int) -> text.Bytes:
    """Return the IMEI of each phone number `index`: 15 digits with a wrong last one."""
    number = permute(index, 10**12, seed, Stream.HANDSET)
    made = text.rows(b"00nnnnnnnnnnnnc", len(number))
    text.put_digits(made, 2, number // 10**8)
    text.put_digits(made, 6, number // 10**4 % 10**4)
    text.put_digits(made, 10, number % 10**4)
    digits = made[:, :14].astype(np.int64) - ord("0")
    total = digits[:, ::2].sum(axis=1) + _DOUBLED[digits[:, 1::2]].sum(axis=1)
    made[:, 14] = ord("0") + (10 - total % 10 + CHECK_SHIFT) % 10
    return made


def macs(index: Ints, seed: int) -> text.Bytes:
    """Return the MAC address of each phone number `index`: given locally, for one device."""
    number = permute(index, 2**46, seed, Stream.RADIO)
    bits = (number >> 40 << 42) | (0b10 << 40) | (number & (2**40 - 1))
    made = text.rows(b"hh:hh:hh:hh:hh:hh", len(number))
    for place in range(12):
        made[:, place + place // 2] = _HEX[bits >> (44 - 4 * place) & 15]
    return made


def telephones(index: Ints, seed: int) -> text.Bytes:
    """Return the telephone number of each of people number `index`, as +1-290-555-0123."""
    number = permute(index % TELEPHONES, TELEPHONES, seed, Stream.TELEPHONE)
    area, line = number // 100, number % 100
    made = text.rows(b"+1-n9n-555-01ll", len(number))
    for place, digit in ((3, 2 + area // 10), (5, area % 10), (13, line // 10), (14, line % 10)):
        made[:, place] = ord("0") + digit
    return made


def plates(index: Ints, seed: int) -> text.Bytes:
    """Return the number plate of each car number `index` (below 10**8), as lo_00000000."""
    number = permute(index, 10**8, seed, Stream.PLATE)
    made = text.rows(b"lo_nnnnnnnn", len(number))
    text.put_digits(made, 3, number // 10**4)
    text.put_digits(made, 7, number % 10**4)
    return made
