"""Exercise 05, question 2: a function for the share of people whom known points pick out.

The function is asked for four pairs of tables of one learner: a town, the same town as a log that
repeats itself, a few people among whom each mistake shows, and a small town on two days.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real

import pandas as pd

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.why_a_trace_identifies_town import positions
from leftopen.learner import Draw

PEOPLE, ROWS = 400, 2_400
_KNOWN = 60
_SMALL, _OF_A_DAY, _KNOWN_SMALL = 200, 900, 30  # of the town on two days
_VARIANTS = 12
_NEAR = 0.0006
_ROUNDED = 0.0055  # of a share with two decimals

Point = tuple[int, pd.Timestamp]
Traces = dict[int, Counter[Point]]
"""For each person the points, and how many rows say so."""
_DAY = pd.Timestamp("2019-02-12", tz="UTC")


@dataclass(frozen=True)
class Tables:
    """One pair of tables.

    Attributes:
        what: what the pair is, for the evidence.
        seen: a row for each sighting: ``person``, ``tracker``, ``at``.
        known: a row for each known point, with the same columns.
    """

    what: str
    seen: pd.DataFrame
    known: pd.DataFrame


def _traces(rows: pd.DataFrame) -> Traces:
    found: Traces = {}
    for person, tracker, at in zip(rows["person"], rows["tracker"], rows["at"], strict=True):
        found.setdefault(person, Counter())[(tracker, at)] += 1
    return found


def share(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    """The share of the people in ``known`` all of whose points nobody else has."""
    return _by_others(_traces(seen), _traces(known), lambda points, trace: points <= trace)


def _by_others(
    traces: Traces, known: Traces, fits: Callable[[set, set], bool], base: int | None = None
) -> float:
    """The share of people whom no other trace fits."""
    sets = {person: set(points) for person, points in traces.items()}
    alone = sum(
        not any(fits(set(points), trace) for other, trace in sets.items() if other != person)
        for person, points in known.items()
    )
    return alone / (base or len(known))


def _first(points: Iterable[Point]) -> set[Point]:
    return {next(iter(points))}


def _as_parts(part: int) -> Callable[[pd.DataFrame, pd.DataFrame], float]:
    def only(points: set[Point]) -> set:
        return {point[part] for point in points}

    def found(seen: pd.DataFrame, known: pd.DataFrame) -> float:
        return _by_others(_traces(seen), _traces(known), lambda p, t: only(p) <= only(t))

    return found


def _first_point(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    first = known.drop_duplicates("person")
    return _by_others(_traces(seen), _traces(first), lambda p, t: p <= t)


def _crossed(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    """Not alone as soon as each point has somebody else, whoever that is."""
    at = Counter(point for points in _traces(seen).values() for point in points)
    people = _traces(known).values()
    return sum(any(at[point] == 1 for point in points) for points in people) / len(people)


def _with_oneself(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    traces = _traces(seen).values()
    people = _traces(known).values()
    return sum(not any(set(p) <= set(t) for t in traces) for p in people) / len(people)


def _rows_as_people(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    """A merge whose rows are counted, and compared with the number of known rows."""
    joined = known.merge(seen, on=["tracker", "at"], suffixes=("", "_other"))
    joined = joined[joined["person"] != joined["person_other"]]
    hits = joined.groupby(["person", "person_other"]).size().rename("hits").reset_index()
    wanted = known.groupby("person").size()
    full = hits[hits["hits"] == hits["person"].map(wanted)]
    return 1 - full["person"].nunique() / known["person"].nunique()


def _only_known(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    del seen
    return _by_others(_traces(known), _traces(known), lambda p, t: p <= t)


def _points_alone(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    at = Counter(point for points in _traces(seen).values() for point in points)
    found = [at[point] == 1 for points in _traces(known).values() for point in points]
    return sum(found) / len(found)


def _equal(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    """Only those count as equal whose whole trace is the known points."""
    return _by_others(_traces(seen), _traces(known), lambda p, t: p == t)


def _of_everybody(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    return share(seen, known) * known["person"].nunique() / seen["person"].nunique()


def _days_ignored(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    return share(*(rows.assign(at=rows["at"].dt.hour) for rows in (seen, known)))


def _taken_apart(seen: pd.DataFrame, known: pd.DataFrame) -> float:
    """As many points at any of the trackers and in any of the hours, in place of these points."""

    def fits(points: set[Point], trace: set[Point]) -> bool:
        trackers, hours = ({point[part] for point in points} for part in (0, 1))
        found = [each for each in trace if each[0] in trackers and each[1] in hours]
        return len(found) >= len(points)

    return _by_others(_traces(seen), _traces(known), fits)


# In this order a mistake is looked for: whose shares all of the learner's are.
MISTAKES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], float]] = {
    "in_per_cent": lambda seen, known: 100 * share(seen, known),
    "those_not_alone": lambda seen, known: 1 - share(seen, known),
    "of_everybody": _of_everybody,
    "oneself_counted": _with_oneself,
    "first_point_only": _first_point,
    "any_point": lambda seen, known: _by_others(
        _traces(seen), _traces(known), lambda p, t: bool(p & t)
    ),
    "times_ignored": _as_parts(0),
    "places_ignored": _as_parts(1),
    "days_ignored": _days_ignored,
    "pairs_taken_apart": _taken_apart,
    "each_by_somebody": _crossed,
    "whole_traces_compared": _equal,
    "only_known_people": _only_known,
    "points_in_place_of_people": _points_alone,
    "rows_as_people": _rows_as_people,
}


def _known(seen: pd.DataFrame, draw: Draw, people: int = _KNOWN) -> pd.DataFrame:
    """Two to four distinct points of each of some people."""
    points = seen[["person", "tracker", "at"]].drop_duplicates()
    traces = {person: rows for person, rows in points.groupby("person") if len(rows) > 1}
    found = []
    for person in draw.shuffle("known people", sorted(traces))[:people]:
        rows = traces[person]
        count = min(len(rows), 2 + draw.number(f"points {person}", 3))
        places = draw.shuffle(f"drawn {person}", range(len(rows)))[:count]
        found.append(rows.iloc[sorted(places)])
    return pd.concat(found, ignore_index=True)


def _few(draw: Draw) -> Tables:
    """A handful of people, each with what one mistake stumbles over."""
    trackers = draw.shuffle("few trackers", range(1, 53))
    hours = draw.shuffle("few hours", range(6, 22))
    points = {
        letter: (trackers[n], _DAY + pd.Timedelta(hours=hours[n]))
        for n, letter in enumerate("abcdefghijk")
    }
    points["A"] = (points["a"][0], points["c"][1])  # a's place at c's time
    # For each person the trace, and what is known of it.
    people = (
        ("abaa", "aba"),  # shared point by point, with different people: alone
        ("ac", ""),
        ("bd", ""),
        ("cdA", "cd"),  # as the next one: not alone
        ("cdb", ""),
        ("ecA", "ec"),  # has one point alone
        ("f", "f"),  # the only one there, with the one point
        ("hi", "h"),
        ("hij", "hi"),
        ("hk", "h"),
    )
    names = draw.shuffle("few people", range(11, 40))
    rows = [
        [(names[n], *points[letter]) for n, one in enumerate(people) for letter in one[part]]
        for part in (0, 1)
    ]
    return Tables(
        "a few people", *(pd.DataFrame(r, columns=["person", "tracker", "at"]) for r in rows)
    )


def _two_days(number: int) -> Tables:
    """A small town in which each does on the second day what the next one did on the first."""
    first = positions(801 + number, _SMALL, _OF_A_DAY)[["person", "tracker", "at"]]
    second = first.assign(
        person=first["person"] % _SMALL + 1, at=first["at"] + pd.Timedelta(days=1)
    )
    seen = pd.concat([first, second], ignore_index=True)
    seen = seen.assign(at=seen["at"].dt.floor("h")).drop_duplicates(ignore_index=True)
    draw = Draw(f"set {number}", "05 question 2, two days")
    return Tables("a small town on two days", seen, _known(seen, draw, _KNOWN_SMALL))


@functools.lru_cache(maxsize=4)
def tables(number: int) -> tuple[Tables, ...]:
    """The four pairs of a learner; not to be changed in place."""
    draw = Draw(f"set {number}", "05 question 2")
    seen = positions(701 + number, PEOPLE, ROWS)[["person", "tracker", "at"]]
    seen = seen.assign(at=seen["at"].dt.floor("h"))
    known = _known(seen, draw)
    once = seen.drop_duplicates(ignore_index=True)
    often = pd.concat([seen, seen[::3]]).sort_values("at", kind="stable", ignore_index=True)
    twice = pd.concat([known, known[::2]], ignore_index=True)
    return (
        Tables("a town, each point once", once, known),
        Tables("a town whose rows repeat", often, twice),
        _few(draw),
        _two_days(number),
    )


@functools.lru_cache(maxsize=4)
def _shares(number: int) -> tuple[float, ...]:
    return tuple(share(each.seen, each.known) for each in tables(number))


@functools.lru_cache(maxsize=4)
def _mistaken(number: int) -> dict[str, tuple[float, ...]]:
    asked = tables(number)
    return {
        name: tuple(mistaken(each.seen, each.known) for each in asked)
        for name, mistaken in MISTAKES.items()
    }


def _task(draw: Draw) -> Task:
    number = draw.number("tables", _VARIANTS)
    return Task(
        number=(number, "the number of your tables"),
        seed=(901 + number, "of a town to try your function on"),
    )


def _check(at: Attempt, unique_share: Callable[[pd.DataFrame, pd.DataFrame], float]) -> str:
    """The function gives the right share of each pair of tables."""
    asked, right = tables(at.task["number"]), _shares(at.task["number"])
    given = []
    for each, value in zip(asked, right, strict=True):
        found = unique_share(each.seen.copy(), each.known.copy())
        if isinstance(found, bool) or not isinstance(found, Real):
            raise BadAnswer(
                f"`unique_share` returned {found!r} for {each.what}. Return a number from 0 to 1"
            )
        given.append(float(found))
        people = each.known["person"].nunique()
        told = "right" if _same(found, value) else f"{found:.4g}, and not {value:.4g}"
        at.note("your function", f"{each.what}, {people} people known", told)
    wrong = [n for n, value in enumerate(right) if not _same(given[n], value)]
    if not wrong:
        return RIGHT
    at.values.update(what=asked[wrong[0]].what, answer=f"{given[wrong[0]]:.4g}",
                     right=f"{right[wrong[0]]:.4g}")  # fmt: skip
    if _exchanged(unique_share, asked, right):
        return "arguments_exchanged"
    for name, shares in _mistaken(at.task["number"]).items():
        if all(map(_same, given, shares)):
            return name
    if max(given) - min(given) < _NEAR:
        return "arguments_ignored"
    if all(abs(one - value) <= _ROUNDED for one, value in zip(given, right, strict=True)):
        return "rounded_too_much"
    return "rows_as_people" if wrong[0] == 1 else "another_share"


def _exchanged(unique_share: Callable, asked: tuple[Tables, ...], right: tuple[float, ...]) -> bool:
    """Whether the function is right when its arguments come the other way round."""
    try:
        return all(
            _same(float(unique_share(each.known.copy(), each.seen.copy())), value)
            for each, value in zip(asked, right, strict=True)
        )
    except Exception:  # it is not made for that
        return False


def _same(given: float, value: float) -> bool:
    return abs(given - value) <= _NEAR


QUESTION = Question(asks={"unique_share": Callable}, check=_check, task=_task)
