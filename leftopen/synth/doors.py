"""What the doors of a quarter write down on one day: who went out, who came in, who visited whom.

Each resident has a plan of up to three trips a day, each visitor of up to five visits. A trip is
two passages at the own house, and two more at another one if a friend lives there; a visit is two.
No two trips of a person overlap, so nobody leaves twice in a row. It is August: pupils are at home.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leftopen.synth import text
from leftopen.synth.draws import Ints, Stream, Words, below, words
from leftopen.synth.quarter import (
    CALLER,
    COURIER,
    EVENING_GUEST,
    FRIDAY,
    IN_GATHERING,
    NIGHT_WORKER,
    NURSE,
    SUNDAY_GUEST,
    TODDLER,
    Quarter,
    Visitors,
)

DOORS = ("main", "garage")
DIRECTIONS = ("in", "out")
STATUSES = ("normal", "abnormal")
ABNORMAL_PER_1000 = 15
"""How many of a thousand passages are marked abnormal, by lot."""

Bools = NDArray[np.bool_]

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_AHEAD = timedelta(hours=8)  # of UTC: the quarter's clocks
_START = datetime(FRIDAY.year, FRIDAY.month, FRIDAY.day, tzinfo=UTC) - _AHEAD
_START_S = int(_START.timestamp())
_FRIDAY_BLOCK, _BLOCKS = 1_000, 1 << 20  # a quarter's blocks of draws, one for each day
_SATURDAY, _SUNDAY = 5, 6
_LAST_BACK = 22 * _HOUR + 30 * _MINUTE
_TRIPS, _VISITS = 3, 5

# How a trip is drawn, in minutes: of 100 days on how many; when it begins, and how much later at
# most; how long it lasts at least, and how much longer at most. One row a trip, for each habit.
_NONE = (0, 0, 1, 1, 1)
_WEEKDAY = np.array(
    [
        [(90, 510, 70, 30, 90), (64, 860, 140, 30, 90), (29, 1110, 60, 30, 50)],  # at home
        [(93, 455, 20, 510, 90), (42, 1080, 60, 30, 80), _NONE],  # worker
        [(60, 870, 90, 40, 60), (25, 1020, 60, 30, 60), _NONE],  # night worker
        [(86, 570, 90, 50, 110), (70, 840, 120, 70, 110), (27, 1120, 60, 30, 45)],  # pupil
    ]
)
_WEEKEND = np.array(
    [
        [(86, 540, 90, 30, 120), (63, 870, 140, 40, 110), (26, 1110, 60, 30, 50)],
        [(83, 585, 110, 50, 180), (58, 870, 150, 50, 140), (25, 1120, 60, 30, 80)],
        [(60, 870, 90, 40, 60), (25, 1020, 60, 30, 60), _NONE],
        [(82, 600, 100, 50, 130), (64, 860, 120, 60, 130), (20, 1120, 60, 30, 60)],
    ]
)
_BY_CAR = (75, 45, 30)  # of 100 trips of those who have a car: the first, the second, the third


class Passages(NamedTuple):
    """Passages through doors; each array has one entry a passage."""

    at: Ints
    """Seconds from midnight of the day."""
    house: Ints
    garage: Ints
    out: Ints
    person: Ints
    """The resident, from 0, or -1."""
    visitor: Ints
    """The visitor, from 0, or -1."""
    flat: Ints
    """The flat that is visited, or -1."""


def day_passages(quarter: Quarter, visitors: Visitors, day: int) -> Passages:
    """Return the passages of one day in order of time; `day` counts from Friday, 14 August 2020."""
    parts = [*_trips(quarter, day), *_nights(quarter, day), *_visits(quarter, visitors, day)]
    joined = Passages(*map(np.concatenate, zip(*parts, strict=True)))
    order = np.argsort(joined.at, kind="stable")
    return Passages(*(column[order] for column in joined))


def passages_table(quarter: Quarter, visitors: Visitors, day: int, first_passage: int) -> pa.Table:
    """Return the passages of one day as the table `passages`, numbered from `first_passage`."""
    seen = day_passages(quarter, visitors, day)
    count = len(seen.at)
    lot = words(quarter.seed, Stream.STATUS, _block(quarter, day), count)
    abnormal = (below(lot, 1000) < ABNORMAL_PER_1000).astype(np.int64)
    made = {
        "passage": text.big_numbers(np.arange(count) + first_passage),
        "at": text.instants((seen.at + _START_S + day * _DAY) * 1000),
        "building": _words(seen.house, quarter.houses),
        "door": _words(seen.garage, DOORS),
        "direction": _words(seen.out, DIRECTIONS),
        "person": _maybe(seen.person, text.numbers(seen.person + quarter.first_resident)),
        "visitor": _maybe(seen.visitor, text.numbers(seen.visitor + visitors.first)),
        "flat": _maybe(seen.flat, _words(np.maximum(seen.flat, 0), quarter.flats)),
        "status": _words(abnormal, STATUSES),
    }
    return text.table(made, nullable=("person", "visitor", "flat"))


def _words(codes: Ints, names: list[str] | tuple[str, ...]) -> pa.Array:
    return text.choices(codes, text.strings(names)).dictionary_decode()


def _maybe(number: Ints, column: pa.Array) -> pa.Array:
    return text.where(number >= 0, column)


def _block(quarter: Quarter, day: int) -> int:
    return quarter.number * _BLOCKS + _FRIDAY_BLOCK + day


def _trips(quarter: Quarter, day: int) -> list[Passages]:
    """Return what the residents' trips of a day leave behind at their own and at other houses."""
    count, width = quarter.residents, 3 * _TRIPS
    drawn = words(quarter.seed, Stream.TRIP, _block(quarter, day), count * width)
    each = drawn.reshape(count, _TRIPS, 3).transpose(1, 2, 0)
    weekend = (day + 4) % 7 >= _SATURDAY
    how = (_WEEKEND if weekend else _WEEKDAY)[np.minimum(quarter.habit, TODDLER - 1)]
    back = np.zeros(count, dtype=np.int64)
    passed = []
    for trip in range(_TRIPS):
        lots, times, more = each[trip]
        chance, start, later, least, longer = how[:, trip].T
        made = below(lots, 100) < chance
        wish = start * _MINUTE + below(times, later * _MINUTE)
        wish += quarter.usual * _MINUTE if trip == 0 else 0
        leave = np.maximum(wish, back + 20 * _MINUTE + below(more, 20 * _MINUTE, low=True))
        home = leave + least * _MINUTE + below(times, longer * _MINUTE, low=True)
        made &= home < _LAST_BACK
        garage = quarter.car * (below(lots, 100, low=True) < _BY_CAR[trip])
        calls = made & (quarter.friend >= 0) & (below(more, 100) < 55) if trip == 1 else None
        back = np.where(made, home, back)
        passed += _of_trip(quarter, lots, made, leave, home, garage, calls)
    return passed


def _of_trip(
    quarter: Quarter,
    lots: Words,
    made: Bools,
    leave: Ints,
    back: Ints,
    garage: Ints,
    calls: Bools | None,
) -> list[Passages]:
    """Return the passages of everybody's first, second or third trip; toddlers go with somebody."""
    own, with_whom = np.arange(quarter.residents), quarter.guardian
    behind = np.where(own == with_whom, 0, 1 + below(lots, 8))
    made = made[with_whom] & ((own == with_whom) | (below(lots, 100) < 70))
    leave, back, garage = leave[with_whom] + behind, back[with_whom] + behind, garage[with_whom]
    house = quarter.flat_house[quarter.flat]

    def pair(who: Ints, first: Ints, last: Ints, where: Ints, flat: Ints, out: int) -> list:
        nobody, ones = np.full(len(who), -1), np.ones(len(who), dtype=np.int64)
        return [
            Passages(first[who], where, garage[who], ones * out, who, nobody, flat),
            Passages(last[who], where, garage[who], ones * (1 - out), who, nobody, flat),
        ]

    who = np.flatnonzero(made)
    passed = pair(who, leave, back, house[who], np.full(len(who), -1), 1)
    if calls is not None:
        who = np.flatnonzero(made & calls[with_whom])
        walk = 3 * _MINUTE + below(lots, 7 * _MINUTE, low=True)[with_whom]
        flat = quarter.friend[with_whom[who]]
        passed += pair(who, leave + walk, back - walk, quarter.flat_house[flat], flat, 0)
    return passed


def _nights(quarter: Quarter, day: int) -> list[Passages]:
    """Return how those who work at night come home in the morning, and leave in the evening."""
    who = np.flatnonzero(quarter.habit == NIGHT_WORKER)
    house, nobody = quarter.flat_house[quarter.flat[who]], np.full(len(who), -1)
    passed = []
    for of, hour, out in ((day - 1, 6, 0), (day, 23, 1)):
        drawn = words(quarter.seed, Stream.NIGHT, _block(quarter, of), len(who))
        at = hour * _HOUR - 5 * _MINUTE + below(drawn, 10 * _MINUTE, low=bool(out))
        garage = quarter.car[who]
        passed.append(Passages(at, house, garage, nobody * -out, who, nobody, nobody))
    return passed


def _visits(quarter: Quarter, visitors: Visitors, day: int) -> list[Passages]:
    """Return how visitors come and go."""
    count, width = len(visitors.kind), 3 * _VISITS
    drawn = words(quarter.seed, Stream.VISIT, _block(quarter, day), count * width)
    each = drawn.reshape(count, _VISITS, 3).transpose(1, 2, 0)
    passed = []
    for visit in range(_VISITS):
        lots, times, more = each[visit]
        made, arrive, leave = _visit(visitors, (day + 4) % 7, day, visit, lots, times)
        who = np.flatnonzero(made)
        courier = visitors.kind[who] == COURIER
        flat = np.where(courier, below(more[who], len(quarter.flats)), visitors.host[who])
        house, nobody = quarter.flat_house[flat], np.full(len(who), -1)
        garage = visitors.car[who] * (below(lots[who], 100, low=True) < 60)
        for at, out in ((arrive, 0), (leave, 1)):
            passed.append(Passages(at[who], house, garage, nobody * -out, nobody, who, flat))
    return passed


def _visit(
    visitors: Visitors, weekday: int, day: int, visit: int, lots: Words, times: Words
) -> tuple[Bools, Ints, Ints]:
    """Return who makes the first, second … visit of a day, when they come and when they leave."""
    chance, turn = below(lots, 100), (day + visitors.lot) % 3 == 0
    ones, sunday = np.ones(len(chance), dtype=np.int64), weekday == _SUNDAY
    saturday_too = sunday | ((weekday == _SATURDAY) & (chance < 25))
    # For each kind: whether somebody comes; from when on, and within how many minutes; how long
    # somebody stays at least, and how much longer at most, in minutes.
    hours = {
        NURSE: (ones > 0, 8 * 60 + 2, 16, 35, 20),
        CALLER: (ones * (not sunday) > 0, 10 * 60 + visitors.usual, 12, 40, 30),
        EVENING_GUEST: (turn | (chance < 12), 18 * 60, 130, 45, 110),
        SUNDAY_GUEST: (saturday_too, 10 * 60 + 30, 210, 100, 180),
        COURIER: (~turn & ((chance < 70) | (visit == 0)), 9 * 60 + 130 * visit, 100, 2, 6),
        IN_GATHERING: (ones * sunday > 0, 9 * 60 + 5, 25, 125, 15),
    }
    conditions = [visitors.kind == kind for kind in hours]
    comes, start, later, least, longer = (
        np.select(conditions, [ones * told[place] for told in hours.values()]) for place in range(5)
    )
    arrive = start * _MINUTE + below(times, later * _MINUTE)
    leave = arrive + least * _MINUTE + below(times, longer * _MINUTE, low=True)
    return (comes > 0) & ((visit == 0) | (visitors.kind == COURIER)), arrive, leave
