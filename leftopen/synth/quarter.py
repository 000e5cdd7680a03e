"""An invented quarter of a town: its houses, who lives in them, and who comes to visit.

A quarter is what one database of the Tongren case records. Its houses are those of no real place.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from leftopen.synth import text
from leftopen.synth.draws import Ints, Stream, Words, below, words
from leftopen.synth.identifiers import (
    FIRST_DATE,
    dated_bodies,
    plates,
    resident_ids,
    telephones,
)
from leftopen.synth.people import SEXES, names

FRIDAY = date(2020, 8, 14)
"""The first of the three invented days; ages are those of this day."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWX"
"""First letters of houses: each quarter has every fourth one, for 99 houses each."""
QUARTERS = 4

GROWN, ELDER, CHILD = range(3)
# Who lives together, and how many of a hundred households are like that. Children come last.
_HOUSEHOLDS = (
    ((GROWN,), 14),
    ((GROWN, GROWN), 24),
    ((GROWN, GROWN, CHILD), 20),
    ((GROWN, GROWN, CHILD, CHILD), 12),
    ((GROWN, CHILD), 5),
    ((GROWN, GROWN, ELDER, CHILD), 7),
    ((GROWN, GROWN, ELDER, ELDER, CHILD), 4),
    ((ELDER,), 6),
    ((ELDER, ELDER), 8),
)
_KIND = np.repeat(np.arange(len(_HOUSEHOLDS)), [share for _, share in _HOUSEHOLDS])
_SIZE = np.array([len(roles) for roles, _ in _HOUSEHOLDS])
_ROLE = np.array([[*roles, *[-1] * (5 - len(roles))] for roles, _ in _HOUSEHOLDS])
_GROWNS, _ELDERS, _CHILDREN = (
    np.array([roles.count(role) for roles, _ in _HOUSEHOLDS]) for role in (GROWN, ELDER, CHILD)
)

AT_HOME, WORKER, NIGHT_WORKER, PUPIL, TODDLER = range(5)
"""How people spend their days. A toddler goes where somebody of the household goes."""

_YEAR = 365
_SCHOOL_AGE = 6 * _YEAR
_WORKS_UNTIL = 62 * _YEAR
_EPOCH_DAY = (FIRST_DATE - date(1970, 1, 1)).days
_TODAY = (FRIDAY - FIRST_DATE).days
_EMPTY = 12  # after so many flats that are lived in comes one that is not

NURSE, CALLER, EVENING_GUEST, SUNDAY_GUEST, COURIER, IN_GATHERING = range(6)
"""Why people come to visit."""
GATHERED = 12
"""How many come to the flat in which people gather on a Sunday morning."""
_VISITOR_KIND = np.repeat(np.arange(5), (2, 6, 42, 40, 10))


@dataclass(frozen=True)
class Quarter:
    """One quarter; what is said of residents and visitors has one entry for each of them."""

    seed: int
    number: int
    """Which quarter it is, 0 to 3: it decides about all draws and about the houses' letters."""
    first_resident: int
    """The number of the first resident, over all quarters; the first of all has 1."""
    houses: list[str]
    storeys: Ints
    house_flats: Ints
    """How many flats each house has."""
    flats: list[str]
    """The flats that somebody lives in; a flat's place here is its number."""
    flat_house: Ints
    flat: Ints
    """The number of each resident's flat."""
    born: Ints
    """Birth dates, in days from `identifiers.FIRST_DATE`."""
    female: Ints
    head: Ints
    """The resident whose telephone is used for a child; for anybody else, themselves."""
    guardian: Ints
    """With whom a toddler goes out; for anybody else, themselves."""
    habit: Ints
    """`AT_HOME`, `WORKER`, `NIGHT_WORKER`, `PUPIL` or `TODDLER`."""
    usual: Ints
    """How many minutes later than others, or earlier, somebody usually leaves: -60 to 60."""
    car: Ints
    """1 for those who have a car, else 0."""
    friend: Ints
    """The flat of another house that somebody visits now and then, or -1."""
    elders_alone: Ints
    """The flats in which nobody but old people live."""

    @property
    def residents(self) -> int:
        """How many people live here."""
        return len(self.flat)


def make_quarter(seed: int, number: int, residents: int, first_resident: int) -> Quarter:
    """Return the quarter with this number, 0 to 3, and so many residents (1 to 30,000)."""
    drawn = words(seed, Stream.HOUSE, number, residents * 3).reshape(residents, 3).T
    kind = _KIND[below(drawn[0], 100)]
    ends = np.cumsum(_SIZE[kind])
    homes = int(np.searchsorted(ends, residents)) + 1
    kind = kind[:homes]
    household = np.repeat(np.arange(homes), _SIZE[kind])[:residents]
    first = (ends[:homes] - _SIZE[kind])[household]
    place = np.arange(residents) - first
    role = _ROLE[kind[household], place]

    each = words(seed, Stream.HOUSEMATE, number, residents * 6).reshape(residents, 6).T
    age = _ages(kind, drawn[1], household, role, place, each[0])
    habit = _habits(kind[household], role, age, each[1])
    carer = np.minimum(first + _GROWNS[kind[household]] + _ELDERS[kind[household]], residents) - 1
    houses, storeys, house_flats, flats, flat_house = _houses(seed, number, homes)
    own = np.arange(residents)
    friend = below(each[3], homes, low=True)
    has_friend = (below(each[3], 100) < 8) & (flat_house[friend] != flat_house[household])
    grown = role != CHILD
    cars = np.where(place == 0, 38, 10) * (grown & (age < 75 * _YEAR))
    return Quarter(
        seed=seed,
        number=number,
        first_resident=first_resident,
        houses=houses,
        storeys=storeys,
        house_flats=house_flats,
        flats=flats,
        flat_house=flat_house,
        flat=household,
        born=_TODAY - age,
        female=below(each[4], 2),
        head=np.where(grown, own, first),
        guardian=np.where(habit == TODDLER, carer, own),
        habit=habit,
        usual=below(each[2], 61) + below(each[2], 61, low=True) - 60,
        car=(below(each[5], 100) < cars).astype(np.int64),
        friend=np.where(has_friend & (habit != TODDLER), friend, -1),
        elders_alone=np.flatnonzero(_ELDERS[kind] == _SIZE[kind]),
    )


def _ages(kind: Ints, drawn: Words, household: Ints, role: Ints, place: Ints, each: Words) -> Ints:
    """Return ages in days: parents and their parents are at least 20 years older than a child."""
    family = _CHILDREN[kind] > 0
    least, span = np.where(family, 27, 22), np.where(family, 20, 40)
    base = (least * _YEAR + below(drawn[: len(kind)], span * _YEAR))[household]
    alone = (_ELDERS == _SIZE)[kind][household]
    grown = base + np.where(place > 0, below(each, 6 * _YEAR) - 3 * _YEAR, 0)
    elder = np.where(alone, 62 * _YEAR, base + 24 * _YEAR)
    elder += below(each, np.where(alone, 27, 9) * _YEAR, low=True)
    oldest = np.minimum(base - 24 * _YEAR, 17 * _YEAR)
    child = 230 + below(each, np.maximum(oldest - 230, 1))
    return np.choose(role, [grown, elder, child])


def _habits(kind: Ints, role: Ints, age: Ints, drawn: Words) -> Ints:
    """Return how people spend their days; somebody without children works at night, if possible."""
    works = (role == GROWN) & (age < _WORKS_UNTIL) & (below(drawn, 100) < 78)
    habit = np.where(works, WORKER, AT_HOME)
    alone = (role == GROWN) & (_CHILDREN[kind] == 0)
    lot = np.where(alone, below(drawn, 1000, low=True), 1000)
    habit[alone & (lot < np.maximum(15, lot.min() + 1))] = NIGHT_WORKER
    return np.where(role == CHILD, np.where(age < _SCHOOL_AGE, TODDLER, PUPIL), habit)


def _houses(seed: int, number: int, homes: int) -> tuple[list[str], Ints, Ints, list[str], Ints]:
    """Return houses, their storeys and flats, the flats that are lived in and their houses."""
    slots = np.arange(homes) + np.arange(homes) // _EMPTY
    lot = words(seed, Stream.HOUSE, QUARTERS + number, homes)
    storeys, doors = 6 + below(lot, 13), 2 + below(lot, 3, low=True)
    ends = np.cumsum(storeys * doors)
    count = int(np.searchsorted(ends, slots[-1], side="right")) + 1
    storeys, doors, ends = storeys[:count], doors[:count], ends[:count]
    houses = [
        f"{LETTERS[number + QUARTERS * (house // 99)]}{house % 99 + 1:02}" for house in range(count)
    ]
    house = np.searchsorted(ends, slots, side="right")
    inside = slots - (ends - storeys * doors)[house]
    storey, door = inside // doors[house] + 1, inside % doors[house] + 1
    flats = [
        f"{houses[h]}-{s:02}{d:02}"
        for h, s, d in zip(house.tolist(), storey.tolist(), door.tolist(), strict=True)
    ]
    return houses, storeys, storeys * doors, flats, house


@dataclass(frozen=True)
class Visitors:
    """Who comes to visit; one entry for each visitor."""

    first: int
    """The number of the first visitor, over all quarters; the first of all has 1."""
    first_person: int
    """The number that this visitor has as a person, after all residents."""
    kind: Ints
    host: Ints
    """The number of the flat that somebody visits; a courier's own choice changes each time."""
    usual: Ints
    """When a caller usually comes, in minutes from 10 h."""
    lot: Ints
    """By which an evening guest's days are chosen: 0, 1 or 2."""
    car: Ints


def make_visitors(
    quarter: Quarter, count: int, first: int, first_person: int, *, gathering: bool
) -> Visitors:
    """Return the visitors of a quarter, `count` of them.

    One of them at least is a nurse. With `gathering`, twelve go to one flat each Sunday morning.
    """
    flats = len(quarter.flats)
    drawn = words(quarter.seed, Stream.VISITOR, quarter.number, 4 * count).reshape(4, count)
    order, kinds, hosts, more = drawn
    kind, host = _VISITOR_KIND[below(kinds, 100)], below(hosts, flats)
    nurse, *gathered = np.argsort(order, kind="stable")[: 1 + GATHERED]
    kind[nurse] = NURSE
    if len(old := quarter.elders_alone):
        host = np.where(kind == NURSE, old[below(hosts, len(old))], host)
    if gathering:
        kind[gathered] = IN_GATHERING
        host[gathered] = (host[nurse] + 1 + below(more[nurse], flats - 1)) % flats
    return Visitors(
        first=first,
        first_person=first_person,
        kind=kind,
        host=host,
        usual=below(more, 8) * 60,
        lot=below(more, 3, low=True),
        car=(below(hosts, 100, low=True) < 25).astype(np.int64),
    )


def buildings_table(quarter: Quarter) -> pa.Table:
    """Return the houses as the table `buildings`."""
    return text.table(
        {
            "building": text.strings(quarter.houses),
            "storeys": text.numbers(quarter.storeys),
            "flats": text.numbers(quarter.house_flats),
        }
    )


def residents_table(quarter: Quarter) -> pa.Table:
    """Return the people who live here as the table `residents`."""
    person = np.arange(quarter.residents) + quarter.first_resident
    number, born = _papers(quarter.seed, person, quarter.born, quarter.female)
    heads = telephones(quarter.head + quarter.first_resident - 1, quarter.seed)
    houses = text.strings(quarter.houses)
    return text.table(
        {
            "person": text.numbers(person),
            "name": text.to_arrow(names(person)),
            "id_number": text.to_arrow(number),
            "born": text.days(born + _EPOCH_DAY),
            "sex": text.choices(quarter.female, text.strings(SEXES)).dictionary_decode(),
            "phone": text.to_arrow(heads),
            "plate": _plates(quarter.seed, person, quarter.car),
            "building": text.choices(quarter.flat_house[quarter.flat], houses).dictionary_decode(),
            "flat": text.choices(quarter.flat, text.strings(quarter.flats)).dictionary_decode(),
        },
        nullable=("plate",),
    )


def visitors_table(quarter: Quarter, visitors: Visitors) -> pa.Table:
    """Return the people who come to visit as the table `visitors`."""
    index = np.arange(len(visitors.kind))
    person = index + visitors.first_person
    drawn = words(quarter.seed, Stream.VISITOR, QUARTERS + quarter.number, len(index))
    age = 20 * _YEAR + below(drawn, 50 * _YEAR)
    number, _ = _papers(quarter.seed, person, _TODAY - age, below(drawn, 2, low=True))
    return text.table(
        {
            "visitor": text.numbers(index + visitors.first),
            "name": text.to_arrow(names(person)),
            "id_number": text.to_arrow(number),
            "phone": text.to_arrow(telephones(person - 1, quarter.seed)),
            "plate": _plates(quarter.seed, person, visitors.car),
        },
        nullable=("plate",),
    )


def _papers(seed: int, person: Ints, born: Ints, female: Ints) -> tuple[text.Bytes, Ints]:
    """Return identity numbers, and the birth dates that stand in them."""
    region, day, sequence = dated_bodies(person - 1, born, female, seed)
    return resident_ids(region, day, sequence), day


def _plates(seed: int, person: Ints, car: Ints) -> pa.Array:
    return text.where(car == 1, text.to_arrow(plates(person, seed)))
