"""Exercise 05, question 6: records, days and tiers before and after a fix, and what it removed.

The arithmetic is that of lesson 05 (leftopen/cases/exposure.py). All numbers are invented.
"""

import functools
import itertools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

from leftopen.cases import exposure
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

_VARIANTS = 24
_CLOSE = 0.002  # of the exposure before the fix, and of the share that is removed
_FIELDS = {
    "people.photo": "T0",
    "people.idNumber": "T1",
    "people.homeAddress": "T1",
    "people.employer": "T2",
    "people.sex": "T3",
    "positions.tracker": "T1",
    "positions.at": "T1",
    "positions.place": "T0",
}
_MAY_GO = ("people.photo", "people.idNumber", "people.homeAddress", "people.employer")


@dataclass(frozen=True)
class Held:
    """What stood open, and for how long.

    Attributes:
        fields: the fields, each with its tier.
        people: records of people.
        daily: positions that come in a day.
        kept: days for which each position is kept.
        days: how long all of it stood open.
    """

    fields: Mapping[str, str]
    people: float
    daily: float
    kept: float
    days: float

    def exposure(self, weights: Mapping[str, float] = exposure.WEIGHTS) -> float:
        """Records x days x weight of the tier, over all fields."""
        return sum(self._records(name) * weights[tier] for name, tier in self.fields.items()) * (
            self.days
        )

    def gravest_alone(self) -> float:
        """Each record counted once, with the weight of its gravest field: a mistake."""
        most: dict[str, float] = {}
        for name, tier in self.fields.items():
            table = name.split(".")[0]
            most[table] = max(most.get(table, 0), self._records(name) * exposure.WEIGHTS[tier])
        return sum(most.values()) * self.days

    def _records(self, name: str) -> float:
        return self.people if name.startswith("people.") else self.daily * self.kept


@dataclass(frozen=True)
class Sum:
    """The numbers of a learner.

    Attributes:
        before: what is asked about, as it was.
        after: the same after the fix.
        town: people in the town's list.
        county: people in the county's.
        both: people in both.
        opened: days for which seven databases of this kind stood open.
        dropped: the field that is not collected any more.
    """

    before: Held
    after: Held
    town: int
    county: int
    both: int
    opened: tuple[int, ...]
    dropped: str

    @property
    def removed(self) -> float:
        """The share of the exposure that the fix removes."""
        return 1 - self.after.exposure() / self.before.exposure()

    def mistaken(self) -> dict[str, float]:
        """The exposure before the fix, by each mistake."""
        before, mean = self.before, statistics.mean(self.opened)
        alike = dict.fromkeys(exposure.WEIGHTS, 1.0)
        return {
            "mean_of_days": replace(before, days=mean).exposure(),
            "middle_of_the_list": replace(before, days=self.opened[3]).exposure(),
            "days_added_up": replace(before, days=sum(self.opened)).exposure(),
            "counted_twice": replace(before, people=self.town + self.county).exposure(),
            "town_alone": replace(before, people=self.town).exposure(),
            "county_alone": replace(before, people=self.county).exposure(),
            "longest": replace(before, days=max(self.opened)).exposure(),
            "both_left_out": replace(before, people=before.people - self.both).exposure(),
            "one_day_of_positions": replace(before, kept=1).exposure(),
            "positions_of_all_days": replace(before, kept=before.days).exposure(),
            "one_field_a_record": before.gravest_alone(),
            "without_weights": before.exposure(alike),
            "days_forgotten": replace(before, days=1).exposure(),
        }

    def alone(self) -> dict[str, float]:
        """What each part of the fix would remove by itself."""
        before, after = self.before, self.after
        parts = {
            "kept": replace(before, kept=after.kept),
            "dropped": replace(before, fields=after.fields),
            "days": replace(before, days=after.days),
        }
        whole = before.exposure()
        return {name: 1 - held.exposure() / whole for name, held in parts.items()}

    def mistaken_share(self) -> dict[str, float]:
        """The share that the fix removes, by each mistake."""
        before, after = self.before.exposure(), self.after.exposure()
        parts = self.alone()
        no_days = replace(self.after, days=self.before.days)
        return {
            "share_that_is_left": after / before,
            "of_what_is_left": (before - after) / after,
            "parts_added": sum(parts.values()),
            "share_in_per_cent": 100 * (1 - after / before),
            "days_not_shortened": 1 - no_days.exposure() / before,
            "removed_in_numbers": before - after,
        } | {f"one_part_only {name}": share for name, share in parts.items()}


@functools.lru_cache(maxsize=8)
def numbers(number: int) -> Sum:
    """The numbers of a learner."""
    draw = Draw(f"set {number}", "05 question 6")
    town, county = (1_000 * (20 + draw.number(name, 40)) + 300 for name in ("town", "county"))
    both = min(town, county) * (11 + draw.number("both", 20)) // 100
    dropped = draw.pick("dropped", _MAY_GO)
    spare = draw.pick("spare", [name for name in _MAY_GO if name != dropped])
    fields = {name: tier for name, tier in _FIELDS.items() if name != spare}
    days = [9 + draw.number("first", 6)]
    for n in range(4):
        days.append(days[-1] + 3 + draw.number(f"day {n}", 5))
    days += [90 + draw.number("long", 60), 300 + draw.number("longest", 200)]
    opened = draw.shuffle("opened", days)
    before = Held(
        fields,
        people=town + county - both,
        daily=1_000 * (8 + draw.number("daily", 30)) + 700,
        kept=6 + draw.number("kept", 9),
        days=days[3],
    )
    after = replace(
        before,
        fields={name: tier for name, tier in fields.items() if name != dropped},
        kept=2 + draw.number("kept after", 3),
        days=5 + draw.number("days after", 5),
    )
    for printed in (days[2], days[1]):  # in the middle of the printed list: no median, no end
        place = opened.index(printed)
        opened[3], opened[place] = opened[place], opened[3]
        made = Sum(before, after, town, county, both, tuple(opened), dropped)
        if _apart(made):
            return made
    raise AssertionError(f"no numbers for set {number}")


def _apart(made: Sum) -> bool:
    """Whether no two mistakes come to the same; the two lists by themselves are one mistake."""
    found = made.mistaken() | {"right": made.before.exposure()}
    return not any(
        {one, other} != {"town_alone", "county_alone"}
        and abs(found[one] - found[other]) <= 2 * _CLOSE * found[other]
        for one, other in itertools.combinations(found, 2)
    )


def _task(draw: Draw) -> Task:
    number = draw.number("exposure", _VARIANTS)
    each = numbers(number)
    fix = {"not collected": each.dropped, "kept": each.after.kept, "days": each.after.days}
    return Task(
        number=(number, "the number of your configuration"),
        weights=(dict(exposure.WEIGHTS), "what one field of one record counts, by its tier"),
        fields=(dict(each.before.fields), "the fields, each with its tier"),
        town=(each.town, "people in the town's list"),
        county=(each.county, "people in the county's list"),
        both=(each.both, "people in both lists; each is one record"),
        daily=(each.before.daily, "positions that come in a day"),
        kept=(each.before.kept, "days for which each position is kept"),
        opened=(list(each.opened), "days for which seven such databases stood open"),
        fix=(fix, "a field less; days for which positions are kept; days until it is closed"),
    )


def _check(at: Attempt, before: float, removed: float) -> str:
    """The exposure before the fix, and the share that the fix removes."""
    each = numbers(at.task["number"])
    for name, given in {"before": before, "removed": removed}.items():
        if not isfinite(given):
            raise BadAnswer(f"`{name}` is {given}. Give a number")
    right = each.before.exposure()
    at.note("your answer", "before", f"{before:,.0f}")
    at.note("your answer", "removed", f"{removed:.4g}")
    at.values.update(days=f"{each.before.days:.0f}", mean=f"{statistics.mean(each.opened):.1f}")
    if not _is(before, right):
        wrong = (name for name, value in each.mistaken().items() if _is(before, value))
        found = next(wrong, "another_exposure")
        return "one_list_alone" if found in ("town_alone", "county_alone") else found
    if abs(removed - each.removed) <= _CLOSE:
        return RIGHT
    wrong = (name for name, value in each.mistaken_share().items() if _is(removed, value))
    return next(wrong, "another_share_removed").split()[0]


def _is(given: float, value: float) -> bool:
    return abs(given - value) <= _CLOSE * abs(value)


QUESTION = Question(asks={"before": float, "removed": float}, check=_check, task=_task, value=True)
