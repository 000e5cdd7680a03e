"""Exercise 05, question 1: who was at both of two places, by a witness's watch."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from numbers import Real

import pandas as pd

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.why_a_trace_identifies_town import positions
from leftopen.learner import Draw

PEOPLE, ROWS = 600, 4_800
_DAY = pd.Timestamp("2019-02-12", tz="UTC")
_VARIANTS = 12
_LONG = 90  # minutes that a window is long
_FEWEST, _MOST = 2, 7
_CLOCKS = (1, 2, 3, -1, -2)  # hours that a watch is ahead of UTC

_TOLD_AS = {
    "first_point": "one_point",
    "second_point": "one_point",
    "first_hour_alone": "whole_hours",
}

Window = tuple[int, int]
"""From, inclusive, and to, exclusive: minutes since midnight."""


@dataclass(frozen=True)
class Scene:
    """What two witnesses saw, and who fits.

    Attributes:
        seed: the number of the town.
        ahead: hours that the witnesses' watches are ahead of UTC.
        points: two trackers, each with its window in UTC.
        found: the people who fit, by the right reading and by each mistaken one.
        further: the same for mistakes by which perhaps nobody is found.
    """

    seed: int
    ahead: int
    points: tuple[tuple[int, Window], tuple[int, Window]]
    found: dict[str, frozenset[int]]
    further: dict[str, frozenset[int]]

    def seen(self, place: int) -> dict[str, object]:
        """One of the two points as its witness tells it."""
        tracker, (start, end) = self.points[place]
        local = [minute + 60 * self.ahead for minute in (start, end)]
        begins, ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in local)
        return {"tracker": tracker, "from": begins, "to": ends}


Rows = tuple[tuple[int, int, float, str], ...]
"""Person, tracker, minutes since midnight, kind of place."""


@functools.lru_cache(maxsize=2)
def _rows(seed: int) -> Rows:
    seen = positions(seed, PEOPLE, ROWS)
    minute = (seen["at"] - _DAY).dt.total_seconds() / 60
    return tuple(zip(seen["person"], seen["tracker"], minute, seen["place"], strict=True))


def _at(rows: Rows, tracker: int, window: Window, hours: int = 0) -> frozenset[int]:
    """Who was at a tracker in a window that is later by some hours."""
    start, end = (minute + 60 * hours for minute in window)
    return frozenset(p for p, t, minute, _ in rows if t == tracker and start <= minute < end)


def _readings(
    rows: Rows, points: tuple[tuple[int, Window], ...], ahead: int
) -> Iterator[tuple[str, frozenset[int]]]:
    """Who was at both points, and who it seems to be by each mistake; what tells most first."""
    own = {tracker: tuple(row for row in rows if row[1] == tracker) for tracker, _ in points}

    def both(those) -> frozenset[int]:
        first, second = (frozenset(those(*point)) for point in points)
        return first & second

    def wide(window: Window) -> Window:
        return window[0] // 60 * 60, -(-window[1] // 60) * 60

    def kind(tracker: int) -> str:
        return own[tracker][0][3]

    first, second = (_at(own[tracker], tracker, window) for tracker, window in points)
    yield "right", first & second
    yield "watch_taken_for_utc", both(lambda t, w: _at(own[t], t, w, ahead))
    yield "whole_hours", both(lambda t, w: _at(own[t], t, wide(w)))
    yield "times_ignored", both(lambda t, _: (row[0] for row in own[t]))
    yield "first_point", first
    yield "second_point", second
    yield "either", first | second
    yield (
        "by_kind_of_place",
        both(lambda t, w: (p for p, _, m, k in rows if k == kind(t) and w[0] <= m < w[1])),
    )
    yield "places_ignored", both(lambda _, w: (p for p, _, m, _ in rows if w[0] <= m < w[1]))


def _distinct(
    rows: Rows, points: tuple[tuple[int, Window], ...], ahead: int
) -> dict[str, frozenset[int]] | None:
    """All readings, if few people fit and no two readings find the same people."""
    found: dict[str, frozenset[int]] = {}
    for name, people in _readings(rows, points, ahead):
        if name == "right" and not _FEWEST <= len(people) <= _MOST:
            return None
        if people in found.values() or not people:
            return None
        found[name] = people
    return found


def _further(
    rows: Rows, points: tuple[tuple[int, Window], ...]
) -> Iterator[tuple[str, frozenset[int]]]:
    """Who it seems to be with the hour in which a window begins, and with places exchanged."""
    (one, first), (other, second) = points
    begun = [(window[0] // 60 * 60, window[0] // 60 * 60 + 60) for window in (first, second)]
    yield "first_hour_alone", _at(rows, one, begun[0]) & _at(rows, other, begun[1])
    yield "places_exchanged", _at(rows, other, first) & _at(rows, one, second)


def _tries(rows: Rows, draw: Draw) -> Iterator[tuple[tuple[int, Window], ...]]:
    """Pairs of points of one person each, with windows around them."""
    by_person: dict[int, list] = {}
    for row in rows:
        by_person.setdefault(row[0], []).append(row)
    for person in draw.shuffle("people", sorted(by_person)):
        points = []
        for _, tracker, minute, _ in by_person[person]:
            start = int(minute) // 30 * 30 - 15
            points.append((int(tracker), (start, start + _LONG)))
        for first, second in itertools.combinations(dict.fromkeys(points), 2):
            if first[0] != second[0]:
                yield (first, second)


@functools.lru_cache(maxsize=_VARIANTS)
def scene(number: int) -> Scene:
    """The first pair of points of a town for which each mistake finds others than who fit."""
    draw = Draw(f"set {number}", "05 question 1")
    clocks = draw.shuffle("watch", _CLOCKS)
    for seed in range(501 + number, 10_000, _VARIANTS):
        rows = _rows(seed)
        for points in _tries(rows, draw):
            for ahead in clocks:
                minutes = [m + 60 * h for _, window in points for m in window for h in (0, ahead)]
                found = _distinct(rows, points, ahead)
                if found is None or min(minutes) < 0 or max(minutes) >= 1_440:
                    continue
                further = dict(_further(rows, points))
                if not any(people and people in found.values() for people in further.values()):
                    return Scene(seed, ahead, points, found, further)
    raise AssertionError(f"no town for set {number}")


def _task(draw: Draw) -> Task:
    number = draw.number("scene", _VARIANTS)
    shown = scene(number)
    first, second = shown.seen(0), shown.seen(1)
    return Task(
        seed=(shown.seed, "the number of your town"),
        first=(first, "where somebody was seen, and between which times of the day"),
        second=(second, "where the same person was seen, too"),
        watch=(f"UTC{shown.ahead:+d}", "the time that both witnesses' watches show; `at` is UTC"),
    )


def _check(at: Attempt, who: set) -> str:
    """Exactly the people who were at both places."""
    shown = scene((at.task["seed"] - 501) % _VARIANTS)
    given = _people(who)
    at.note("your answer", "people in it", str(len(given)))
    for place in (0, 1):
        there = shown.found[("first_point", "second_point")[place]]
        told = f"{len(given & there)} of {len(given)}"
        at.note("your answer", f"were at tracker {shown.points[place][0]} at that time", told)
    if given == shown.found["right"]:
        return RIGHT
    at.values.update(count=len(given), told=_told(given, shown))
    if not given:
        return "nobody"
    wrong = {name: people for name, people in shown.found.items() if name != "right"}
    wrong |= shown.further
    name = next((name for name, people in wrong.items() if people == given), "other_people")
    return _TOLD_AS.get(name, name)


def _told(given: frozenset[int], shown: Scene) -> str:
    """Who is missing in an answer, and at which point somebody in it was not."""
    parts = []
    if missing := len(shown.found["right"] - given):
        parts.append(f"of those who were at both, your set lacks {missing}")
    for place, name in enumerate(("first_point", "second_point")):
        if outside := len(given - shown.found[name]):
            was = "was" if outside == 1 else "were"
            tracker = shown.points[place][0]
            parts.append(f"{outside} in your set {was} not at tracker {tracker} at that time")
    return "; ".join(parts)


def _people(who: set) -> frozenset[int]:
    for each in sorted(who, key=repr):
        if isinstance(each, str):
            raise BadAnswer(
                f"`who` holds {each!r}, which is text, and people have the numbers 1 to {PEOPLE}. "
                "Give numbers, as int"
            )
        whole = isinstance(each, Real) and isfinite(each) and each == int(each)
        if isinstance(each, bool) or not whole or not 1 <= each <= PEOPLE:
            raise BadAnswer(
                f"`who` holds {each!r}, and people have the numbers 1 to {PEOPLE}. Take them from "
                "the column person, not from the rows' index"
            )
    return frozenset(int(each) for each in who)


QUESTION = Question(asks={"who": set}, check=_check, task=_task, value=True)
