"""Invented people: who they are on paper, where they live and where they work."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from leftopen.synth import text
from leftopen.synth.draws import BLOCK, Ints, Stream, Words, below, columns
from leftopen.synth.identifiers import DAYS, FIRST_DATE, resident_ids, unique_bodies
from leftopen.synth.places import Town, make_town

TODAY = date(2019, 2, 12)
"""The invented day that the data describe."""

GROUPS = ("Alder", "Birch", "Cedar")
"""Invented groups. They depend on nothing else, and nothing else depends on them."""
GROUP_PERCENT = (40, 35, 25)
"""Shares of the groups; on purpose not the shares that were reported for the real system."""

SEXES = ("male", "female")
MAX_PEOPLE = 9_999_999
"""The most people that a seven-digit name can number."""

_GROUP = np.repeat(np.arange(3), GROUP_PERCENT)
_MS_A_DAY = 86_400_000
_WORKING_PERCENT = 80
_HOUSES_A_STREET = 500
_MAX_EMPLOYERS = 5_000

_DATES = np.arange(DAYS) + np.datetime64(FIRST_DATE)
_EPOCH_DAY = int(_DATES[0].astype(np.int64))
_TODAY_DAY = (TODAY - FIRST_DATE).days


@dataclass(frozen=True)
class Population:
    """What all blocks have in common: the parameters, the town and its employers."""

    seed: int
    people: int
    positions: int
    town: Town
    employers: pa.StringArray
    """Names of the employers; the first stands for having none."""
    work_trackers: Ints
    """For each employer, the tracker at the place of work; the first is never used."""

    @property
    def blocks(self) -> range:
        """The blocks that hold these people."""
        return range(-(-self.people // BLOCK))


def make_population(seed: int, people: int, positions: int, trackers: int) -> Population:
    """Return the population with these parameters; an employer has about 50 people or more."""
    town = make_town(seed, trackers)
    employers = max(len(town.works), min(_MAX_EMPLOYERS, people // 50))
    names = ["none", *(f"Employer-{number:04d}" for number in range(1, employers + 1))]
    works = town.works[np.arange(len(names)) % len(town.works)]
    return Population(seed, people, positions, town, text.strings(names), works)


@dataclass(frozen=True)
class Residents:
    """What decides where people go; one entry for each person of a block."""

    index: Ints
    """The person's `_id` less one."""
    quarter: Ints
    """The quarter of the town in which the home is."""
    home: Ints
    """Number of the home inside its quarter."""
    home_tracker: Ints
    employer: Ints
    """Number of the employer, 0 for none."""
    work_tracker: Ints
    """The tracker at work; for those without an employer, the one at home."""


def residents(population: Population, block: int) -> Residents:
    """Return the people of one block."""
    town = population.town
    index = np.arange(block * BLOCK, min((block + 1) * BLOCK, population.people))
    homes, jobs = columns(population.seed, Stream.RESIDENCE, block, 2, len(index))
    quarter = below(homes, len(town.homes))
    home = below(homes, 1 + population.people * 2 // 5 // len(town.homes), low=True)
    employer = 1 + below(jobs, len(population.employers) - 1, low=True)
    employer[below(jobs, 100) >= _WORKING_PERCENT] = 0
    home_tracker = town.homes[quarter]
    work_tracker = np.where(employer, population.work_trackers[employer], home_tracker)
    return Residents(index, quarter, home, home_tracker, employer, work_tracker)


def people_block(population: Population, block: int) -> pa.Table:
    """Return the people of one block as the collection `people`, in the order of their `_id`."""
    who = residents(population, block)
    first, second, third = columns(population.seed, Stream.PAPERS, block, 3, len(who.index))
    female = below(first, 2)
    group = _GROUP[below(first, 100, low=True)]
    region, day, sequence = unique_bodies(who.index, female, population.seed)
    issued, expires = _card(day, second)
    made = {
        "_id": text.numbers(who.index + 1),
        "name": text.to_arrow(names(who.index + 1)),
        "idNumber": text.to_arrow(resident_ids(region, day, sequence)),
        "idIssued": _midnights(issued),
        "idExpires": _midnights(expires),
        "sex": text.choices(female, text.strings(SEXES)),
        "group": text.choices(group, text.strings(GROUPS)),
        "homeAddress": text.to_arrow(_addresses(who.quarter, who.home)),
        "birthday": _midnights(day),
        "photo": text.to_arrow(_tokens(third)),
        "employer": text.choices(who.employer, population.employers),
    }
    return text.table(made)


def _years_later(years: int) -> Ints:
    """Return, for each day number, the one `years` later; 29 February may become the 28th."""
    month = _DATES.astype("M8[M]")
    target = month + 12 * years
    last = (target + 1).astype("M8[D]") - 1
    later = np.minimum(target.astype("M8[D]") + (_DATES - month.astype("M8[D]")), last)
    return (later - _DATES[0]).astype(np.int64)


_AFTER_10, _AFTER_16, _AFTER_20, _AFTER_26 = map(_years_later, (10, 16, 20, 26))
# For each birth date: how many days ago, at most, the card was issued.
_LONGEST = np.where(
    _TODAY_DAY - _AFTER_26 > 365,
    np.minimum(_TODAY_DAY - _AFTER_26, 7_300),
    np.minimum(_TODAY_DAY - _AFTER_16, 3_650),
)


def _card(day: Ints, drawn: Words) -> tuple[Ints, Ints]:
    """Return the days of issue and of expiry for people born on `day`.

    An invented rule, close to many real ones: a card is first given at 16; it lasts 10 years, or
    20 when its holder was 26 or older on the day of issue. Every card is valid on `TODAY`.
    """
    issued = _TODAY_DAY - 1 - below(drawn, _LONGEST[day])
    return issued, np.where(issued >= _AFTER_26[day], _AFTER_20[issued], _AFTER_10[issued])


def _midnights(day: Ints) -> pa.Array:
    return text.instants((day.astype(np.int64) + _EPOCH_DAY) * _MS_A_DAY)


def names(number: Ints) -> text.Bytes:
    """Return the names of people by their number (1 to `MAX_PEOPLE`), as Person-0000001."""
    made = text.rows(b"Person-0000000", len(number))
    thousands = number // 1000
    text.put_digits(made, 10, number - thousands * 1000)
    text.put_digits(made, 7, thousands)
    return made


def _addresses(quarter: Ints, home: Ints) -> text.Bytes:
    made = text.rows(b"House 0000, Street 0000, Quarter 0000", len(home))
    street = home // _HOUSES_A_STREET
    text.put_digits(made, 6, home - street * _HOUSES_A_STREET + 1)
    text.put_digits(made, 19, street + 1)
    text.put_digits(made, 33, quarter + 1)
    return made


def _tokens(drawn: Words) -> text.Bytes:
    made = text.rows(b"token-0000000000000000", len(drawn))
    text.put_hex(made, 6, drawn)
    return made
