"""Movement over one invented day: who passed which tracker, and when.

Each person has a plan of seven stays: home, a stop near home, work, a stop near work at midday,
work, a stop near home, home. Between two stays lies the time that the way takes, so no two
sightings of a person can ask for an impossible speed. A sighting falls inside a stay, most often as
the person comes or goes: hence the two peaks and the quiet night.
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from leftopen.synth import text
from leftopen.synth.draws import BLOCK, Ints, Stream, Words, below, columns, words
from leftopen.synth.people import TODAY, Population, Residents, residents
from leftopen.synth.places import (
    CAFE,
    HOTEL,
    KINDS,
    POLICE,
    PRAYER,
    RESTAURANT,
    STATION,
    STAY,
    Town,
)

DAY_MS = 86_400_000
"""Length of the day in milliseconds."""
DAY_START_MS = int(datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC).timestamp()) * 1000
"""Start of the day, 2019-02-12 00:00 UTC, in milliseconds since 1970."""
MS_A_METRE = 125
"""Time that a metre of the way takes, in milliseconds: 8 m/s, as a bus in a town."""
MAX_MEAN = 50
"""The most positions that may be asked for, for each person on average."""

_MINUTE = 60_000
_SET_OUT = 3 * _MINUTE
_EDGE = 20 * _MINUTE  # a sighting at the edge of a stay falls within its first or last 20 minutes
_STAYS = 7

# Which stop a person makes, for each hundredth of a draw.
_MORNING = np.repeat([STAY, STATION, PRAYER], [62, 26, 12])
_MIDDAY = np.repeat([STAY, RESTAURANT, CAFE, POLICE], [58, 34, 5, 3])
_EVENING = np.repeat(
    [STAY, STATION, RESTAURANT, PRAYER, CAFE, HOTEL, POLICE], [40, 18, 14, 10, 8, 7, 3]
)

# Which moment of the plan a sighting falls on, for each hundredth of a draw: a stay, and where
# in it (its start, its end, or anywhere).
_START, _END, _ANYWHERE = range(3)
_MOMENTS = (
    (19, 0, _END),
    (10, 1, _START),
    (15, 2, _START),
    (3, 2, _ANYWHERE),
    (7, 3, _START),
    (5, 4, _START),
    (5, 4, _ANYWHERE),
    (13, 4, _END),
    (11, 5, _START),
    (9, 6, _START),
    (1, 0, _ANYWHERE),
    (2, 6, _ANYWHERE),
)
_SHARES, _MOMENT_STAYS, _MOMENT_PARTS = zip(*_MOMENTS, strict=True)
_STAY_SEEN, _PART_SEEN = np.repeat(_MOMENT_STAYS, _SHARES), np.repeat(_MOMENT_PARTS, _SHARES)
_LONGEST_WINDOW = np.where(_PART_SEEN == _ANYWHERE, DAY_MS, _EDGE)
_AT_END = _PART_SEEN == _END

# How often a person is seen: never, sometimes, often or very often, for each hundredth of a draw;
# and from which weight, over how many more.
_HOW_OFTEN = np.repeat([0, 1, 2, 3], [25, 45, 25, 5])
_LEAST_WEIGHT, _WEIGHTS = np.array([0, 8, 40, 150]), np.array([1, 64, 160, 250])


def quota(block: int, people: int, positions: int) -> int:
    """Return how many of all `positions` fall on the people of one block; the sum is exact."""
    first, last = min(block * BLOCK, people), min((block + 1) * BLOCK, people)
    return positions * last // people - positions * first // people


def positions_block(population: Population, block: int) -> pa.Table:
    """Return the positions of one block's people as the collection `positions`.

    Rows are in the order of person, then time.
    """
    who = residents(population, block)
    count = len(who.index)
    drawn = columns(population.seed, Stream.PLAN, block, _STAYS, count)
    trackers, start, end = _plan(population.town, who, drawn)
    rows = quota(block, population.people, population.positions)
    person = np.repeat(np.arange(count), _counts(drawn[1], rows))
    stay, at = _sightings(start, end, person, words(population.seed, Stream.SIGHTING, block, rows))
    # One number holds person, time and stay, so that sorting it orders the rows.
    key = np.sort((person << 30) | (at << 3) | stay, kind="stable")
    person, at, stay = key >> 30, (key >> 3) & (2**27 - 1), key & 7
    tracker = trackers[stay * count + person]
    return text.table(
        {
            "person": text.numbers(who.index[0] + 1 + person),
            "tracker": text.numbers(tracker + 1),
            "at": text.instants(at + DAY_START_MS),
            "place": text.choices(population.town.kind[tracker], text.strings(KINDS)),
        }
    )


def _counts(drawn: Words, rows: int) -> Ints:
    """Share `rows` between people: a quarter is never seen, most sometimes, a few often."""
    kind = _HOW_OFTEN[below(drawn, 100)]
    weight = _LEAST_WEIGHT[kind] + below(drawn, _WEIGHTS[kind], low=True)
    share = np.cumsum(weight)
    if share[-1] == 0:  # the few people of a small block are all of the kind never seen
        share = np.arange(1, len(share) + 1)
    return np.diff(share * rows // share[-1], prepend=0)


def _plan(town: Town, who: Residents, drawn: Words) -> tuple[Ints, Ints, Ints]:
    """Return tracker, start and end (in ms) of each stay of each person: stay by stay, flat."""
    home, work = who.home_tracker, who.work_tracker
    early, early_way = _stop(town, home, _MORNING, drawn[2])
    noon, noon_way = _stop(town, work, _MIDDAY, drawn[3])
    late, late_way = _stop(town, home, _EVENING, drawn[4])

    leave_home = _around(7 * 60, 75, drawn[0])
    at_early = leave_home + early_way
    leave_early = at_early + _minutes(10, 25, drawn[2])
    at_work = leave_early + _SET_OUT + town.distance_m(early, work) * MS_A_METRE
    leave_work = _around(12 * 60 + 10, 30, drawn[5])
    at_noon = leave_work + noon_way
    leave_noon = at_noon + _minutes(25, 50, drawn[3])
    back_at_work = leave_noon + noon_way
    leave_again = _around(17 * 60 + 30, 75, drawn[6])
    at_late = leave_again + _SET_OUT + town.distance_m(work, late) * MS_A_METRE
    leave_late = at_late + _minutes(20, 110, drawn[4])
    at_home = leave_late + late_way

    midnight, next_midnight = np.zeros_like(home), np.full_like(home, DAY_MS)
    start = [midnight, at_early, at_work, at_noon, back_at_work, at_late, at_home]
    end = [leave_home, leave_early, leave_work, leave_noon, leave_again, leave_late, next_midnight]
    trackers = [home, early, work, noon, work, late, home]
    return np.concatenate(trackers), np.concatenate(start), np.concatenate(end)


def _stop(town: Town, near: Ints, kinds: Ints, drawn: Words) -> tuple[Ints, Ints]:
    """Choose a stop near a tracker: return its tracker, and the time in ms that the way takes."""
    cell = kinds[below(drawn, 100)] * len(town.kind) + near
    return town.nearest[cell], _SET_OUT + town.nearest_m[cell] * MS_A_METRE


def _minutes(least: int, most: int, drawn: Words) -> Ints:
    """Return a length of time in ms, from `least` to `most` minutes."""
    return least * _MINUTE + below(drawn, (most - least) * _MINUTE, low=True)


def _around(minute: int, spread: int, drawn: Words) -> Ints:
    """Return a time of day in ms: a triangle centred on `minute`, `spread` minutes to each side."""
    width = spread * _MINUTE
    return minute * _MINUTE - width + below(drawn, width) + below(drawn, width, low=True)


def _sightings(start: Ints, end: Ints, person: Ints, drawn: Words) -> tuple[Ints, Ints]:
    """Return the stay and the time of day in ms of one sighting for each entry of `person`."""
    moment = below(drawn, 100)
    stay = _STAY_SEEN[moment]
    cell = stay * (len(start) // _STAYS) + person
    first = start[cell]
    length = end[cell] - first
    offset = below(drawn, np.minimum(length, _LONGEST_WINDOW[moment]), low=True)
    return stay, first + np.where(_AT_END[moment], length - 1 - offset, offset)
