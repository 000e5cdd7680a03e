"""Exercise 05, question 3: a release that a town can plan with, and in which nobody is found.

The function is tried on two towns. What its table tells apart from the person is a point; people
are picked out as :func:`leftopen.trace.unicity` says. Traces that were cut are put together again
where the table itself tells how. New pseudonyms have to be drawn by lot in each call: what is the
same in a second one can be made again by whoever has the code. So does the order of the rows, if
it comes from the people or from a fixed seed.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd

from leftopen import trace
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.why_a_trace_identifies_town import as_pandas, must_have, positions
from leftopen.learner import Draw

PEOPLE, ROWS = 1_500, 9_000
_VARIANTS = 8
_POINTS = (2, 3, 4)
_AGAIN = 4  # points of a trace that is put together again
_BACK = 0.7  # so many of the traces must come back; by chance it is half, where people swap
_NOTHING = 0.05  # a share of all who should be counted
_PARTS = 6  # of a pseudonym that is a text
_MANY = 100  # values of a column that could stand for people
_AGAIN_SAME = 0.98  # by lot, numbers from 1 within the hour are the same for far fewer
_HOUR = "hour of at"  # a column that no learner has
_DAY = pd.Timestamp("2019-02-12", tz="UTC")

_COUNTS = ("place", "at", "people")
_ROWS = ("person", "place", "at", "tracker")


@dataclass(frozen=True)
class Asked:
    """What is asked of a learner.

    Attributes:
        seed: the number of the town to try on.
        places: the kinds of place at which people are counted.
        most: of 100 people with enough points, so many may be picked out.
        off: of 100 people counted, so many may be counted wrongly.
    """

    seed: int
    places: tuple[str, str]
    most: int
    off: int


def asked(number: int) -> Asked:
    """The values of a learner."""
    draw = Draw(f"set {number}", "05 question 3")
    other = draw.pick("other place", ("station", "restaurant"))
    places = tuple(draw.shuffle("places", ("workplace", other)))
    return Asked(1_101 + number, places, 8 + draw.number("most", 3), 3 + draw.number("off", 4))


def _task(draw: Draw) -> Task:
    number = draw.number("release", _VARIANTS)
    each = asked(number)
    return Task(
        seed=(each.seed, "the number of a town to try your function on"),
        places=(list(each.places), "kinds of place; how many people are there in each hour?"),
        off=(each.off / 100, "so much may the counts be off, all errors together, of all counted"),
        points=(list(_POINTS), "so many points somebody knows of a person"),
        most=(each.most / 100, "so many, of the people with enough points, may be picked out"),
    )


# -- what a release is worth -----------------------------------------------------------------------


def _hour(at: pd.Series) -> pd.Series:
    """Whole hours since the day began."""
    return (at - _DAY) // pd.Timedelta(hours=1)


def counts(rows: pd.DataFrame, places: tuple[str, str]) -> pd.Series:
    """How many different people were at each kind of place in each hour."""
    rows = rows[rows["place"].isin(places)]
    if "person" not in rows.columns:
        return rows.groupby(["place", _HOUR])["people"].sum()
    once = rows.drop_duplicates(["person", "place", _HOUR])
    return once.groupby(["place", _HOUR]).size()


def off(given: pd.Series, true: pd.Series) -> float:
    """All differences together, as a share of all who were counted."""
    return float(given.sub(true, fill_value=0).abs().sum() / true.sum())


def picked_out(release: pd.DataFrame, able: dict[int, int]) -> tuple[float, int]:
    """The largest share of people who are picked out, and by how many points.

    Points and people are numbered in the order of their values, whatever that of the rows is.

    Args:
        release: ``person``, and columns that together are a point.
        able: for each number of points how many people had as many before.
    """
    known = [column for column in release if column not in ("person", _HOUR)]
    cell = release.astype(dict.fromkeys(known, str)).groupby(known, dropna=False).ngroup()
    person = pd.factorize(release["person"].astype(str), sort=True)[0]
    rows = pd.DataFrame({"person": person, "tracker": cell}).assign(at=pd.Timestamp(2019, 2, 12))
    table = trace.unicity_table(rows, most=max(able)).set_index("points")["alone"]
    return max((min(1, table.get(points, 0) / people), points) for points, people in able.items())


@dataclass(frozen=True)
class Town:
    """A town as it was recorded, and what it tells.

    Attributes:
        seen: its positions.
        able: for each number of points how many people have as many different ones.
        true: how many people were where in which hour.
        traces: for each of some people the places and hours, as far as the counts need them.
    """

    seen: pd.DataFrame
    able: dict[int, int]
    true: pd.Series
    traces: frozenset[frozenset]


@functools.lru_cache(maxsize=4)
def town(seed: int, places: tuple[str, str]) -> Town:
    """A town, and what a release of it is compared with."""
    seen = positions(seed, PEOPLE, ROWS)
    distinct = seen.drop_duplicates(["person", "tracker", "at"]).groupby("person").size()
    able = {points: int((distinct >= points).sum()) for points in _POINTS}
    plain = seen.assign(place=seen["place"].astype(str))
    plain[_HOUR] = _hour(seen["at"])
    wanted = plain[plain["place"].isin(places)]
    return Town(seen, able, counts(plain, places), _traces(wanted, wanted["person"]))


def _traces(rows: pd.DataFrame, person: pd.Series) -> frozenset[frozenset]:
    """For each person the set of place and hour, of those with enough of them."""
    found: dict[object, set] = {}
    for who, *point in zip(person, rows["place"], rows[_HOUR], strict=True):
        found.setdefault(who, set()).add(tuple(point))
    return frozenset(frozenset(each) for each in found.values() if len(each) >= _AGAIN)


def _numbers(person: pd.Series) -> Iterator[pd.Series]:
    """What a pseudonym may have of the number it stands for."""
    text = person.astype(str)
    if text.str.fullmatch(r"\d{1,15}").all():
        number = text.astype("int64")
        for divisor in (10, 24, 100, 1_000, 10_000, 100_000, 1_000_000):
            yield number // divisor
            yield number % divisor
    yield text.str[2:]
    yield text.str[:-2]
    parts = text.map(lambda each: re.findall(r"\d+|[^\W\d_]+", each))
    for place in range(min(_PARTS, parts.map(len).max())):
        yield parts.map(lambda found, at=place: found[at] if at < len(found) else "")


def _shifted_back(rows: pd.DataFrame, of: Town) -> Iterator[pd.Series]:
    """Whole numbers less what was added to all of their hour, if they are sums of that sort."""
    text = rows["person"].astype(str)
    if not text.str.fullmatch(r"-?\d{1,15}").all():
        return
    number = text.astype("int64")
    seen = of.seen[of.seen["place"].astype(str).isin(rows["place"])]
    real = seen.groupby(_hour(seen["at"]))["person"].unique()

    def less(given: pd.Series) -> pd.Series:
        there = real.get(given.name, np.zeros(1, "int64"))
        added, often = np.unique(np.subtract.outer(given.unique(), there), return_counts=True)
        return given - added[often.argmax()]

    yield number.groupby(rows[_HOUR]).transform(less)


def _runs(rows: pd.DataFrame) -> pd.Series:
    """Rows in which time goes on, as the same person's."""
    return (rows[_HOUR] < rows[_HOUR].shift()).cumsum()


def _back(rows: pd.DataFrame, who: pd.Series, of: Town) -> bool:
    """Whether most traces come back when rows of the same value are taken for one person's."""
    return len(of.traces & _traces(rows, who)) > _BACK * len(of.traces)


def put_together(rows: pd.DataFrame, of: Town) -> str:
    """How cut traces come back, or nothing: a number that stayed, or the order of the rows."""
    within = (rows["at"] - rows["at"].dt.floor("h")).dt.total_seconds()
    beside = [each for each in (within, rows.get("tracker")) if each is not None]
    beside = [each for each in beside if each.nunique() > _MANY]
    by_pseudonym = pd.Series(pd.factorize(rows["person"], sort=True)[0])
    orders = [rows, rows.iloc[by_pseudonym.argsort(kind="stable")]]
    numbers = itertools.chain(beside, _numbers(rows["person"]), _shifted_back(rows, of))
    if any(_back(rows, each, of) for each in numbers):
        return "number_left"
    return "order_tells" if any(_back(each, _runs(each), of) for each in orders) else ""


def _pseudonyms(rows: pd.DataFrame) -> set[tuple]:
    return set(zip(rows["place"], rows[_HOUR], rows["person"].astype(str), strict=True))


def _numbering(rows: pd.DataFrame) -> bool:
    """Whether the people of an hour are numbered one after another, which tells no number."""
    number = pd.to_numeric(rows["person"], errors="coerce")
    for columns in ([_HOUR], [_HOUR, "place"]):
        found = number.groupby([rows[column] for column in columns]).agg(["min", "max", "nunique"])
        if (found["max"] - found["min"] + 1 == found["nunique"]).all():
            return True
    return False


def not_by_lot(rows: pd.DataFrame, again: pd.DataFrame, of_half: pd.DataFrame) -> str:
    """How the pseudonyms are made, if it is not by lot in each call, or nothing.

    Args:
        rows: what the function made of a town, at the places that count.
        again: what it made of the same town in another call.
        of_half: what it made of half of its people.
    """
    first = _pseudonyms(rows)
    for name, other in (("computed_from_the_number", of_half), ("same_again", again)):
        found = _pseudonyms(other)
        if found and len(found & first) >= _AGAIN_SAME * len(found) and not _numbering(rows):
            return name
    return ""


def _sequence(rows: pd.DataFrame) -> pd.DataFrame:
    """What the rows say one after another, but for the person."""
    return rows[[column for column in ("place", "tracker", _HOUR) if column in rows]]


def order_again(rows: pd.DataFrame, again: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether the order of the rows comes from the people, or from a fixed seed.

    An order that a second call repeats is harmless where one column sorts the rows, and the other
    table, of the same town with its people numbered the other way round, has it too.
    """
    said = _sequence(rows)
    if not said.equals(_sequence(again)):
        return False
    values = said.astype(str)
    changes = (values != values.shift()).sum()  # the first row is one
    is_sorted = (changes == values.nunique()) & (values.nunique() > 1)
    return not is_sorted.any() or not said.equals(_sequence(others))


# -- the check -------------------------------------------------------------------------------------


def _times(at: pd.Series) -> pd.Series:
    """The times of a release, in UTC.

    Raises:
        BadAnswer: they are no times, or most of them are of another day.
    """
    shown = str(at.iloc[0]) if len(at) else ""
    try:
        if pd.api.types.is_numeric_dtype(at) and len(at):
            raise ValueError("an hour is no time")
        found = pd.to_datetime(at, utc=True, format="mixed")
    except (ValueError, TypeError) as error:
        raise BadAnswer(
            f"`at` begins with {shown}, which is no time. Give the beginning of the hour with "
            'its day, as at.dt.floor("h") does'
        ) from error
    if len(found) and (found.dt.floor("D") == _DAY).mean() < 0.5:
        raise BadAnswer(
            f"`at` begins with {shown}, which is not a time of the day of `positions`. Give the "
            "hour with its day, 12 February 2019 in UTC"
        )
    return found


def _released(coarsen: Callable, seen: pd.DataFrame) -> pd.DataFrame:
    """What the function makes of positions, with the hour of each row."""
    release = as_pandas(coarsen(seen.copy()), "coarsen")
    who = "people" if "person" not in release and "people" in release else "person"
    must_have(release, "coarsen", [who, "place", "at"])
    at = _times(release["at"])
    release = release.assign(at=at, place=release["place"].astype(str))
    if release[who].dtype == object:  # what is in it may be anything, a list too
        release[who] = release[who].map(lambda each: each if isinstance(each, Real) else str(each))
    release[_HOUR] = _hour(at)
    return release


def _at(release: pd.DataFrame, places: tuple[str, str]) -> pd.DataFrame:
    return release[release["place"].isin(places)].reset_index(drop=True)


def _check(at: Attempt, coarsen: Callable[[pd.DataFrame], pd.DataFrame]) -> str:
    """On both towns few are picked out, and the counts are right."""
    seed = at.task["seed"]
    each = asked(seed - 1_101)
    earlier = None
    for what, number in (("your town", seed), ("another town", seed + 300)):
        of = town(number, each.places)
        release = _released(coarsen, of.seen)
        known = _ROWS if "person" in release else _COUNTS
        if beside := [str(c) for c in release if c not in (*known, _HOUR)]:
            at.note(what, "columns that nobody asked for", ", ".join(beside))
            at.values.update(column=", ".join(beside), known=", ".join(known))
            return "more_columns"
        wrong = off(counts(release, each.places), of.true)
        at.note(what, "counts are off by", f"{wrong:.1%}, at most {each.off} %")
        alone = 0.0
        if "person" in release and len(release):
            alone, points = picked_out(release, of.able)
            base = f"picked out by {points} points, of all who had {points} in positions"
            at.note(what, base, f"{alone:.1%}, at most {each.most} %")
        at.values.update(off=f"{100 * wrong:.1f}", share=f"{100 * alone:.1f}", allowed=each.off,
                         places=" and ".join(each.places))  # fmt: skip
        if wrong > each.off / 100:
            same = earlier is not None and earlier.equals(counts(release, each.places))
            return "same_for_each_town" if same else _ruined(release, of, each)
        if alone > each.most / 100:
            return _still_found(release, of, each)
        if cut := _cut(at, what, coarsen, _at(release, each.places), of, each):
            return cut
        earlier = counts(release, each.places)
    return RIGHT


def _cut(
    at: Attempt, what: str, coarsen: Callable, rows: pd.DataFrame, of: Town, each: Asked
) -> str:
    """How traces that were broken off are put together again, or nothing."""
    # Where whole traces are kept, their points have been tried.
    if "person" not in rows or _back(rows, rows["person"], of):
        return ""
    if found := put_together(rows, of):
        at.note(what, "put the traces together again", "most come back")
        return found
    half = of.seen[of.seen["person"] % 2 == 0].reset_index(drop=True)
    others = of.seen.assign(person=PEOPLE + 1 - of.seen["person"])
    again, of_half, renumbered = (
        _at(_released(coarsen, seen), each.places) for seen in (of.seen, half, others)
    )
    if found := not_by_lot(rows, again, of_half):
        whose = "the same rows" if found == "same_again" else "half of the people"
        at.note(what, f"call it again with {whose}", "the same pseudonyms")
    elif order_again(rows, again, renumbered):
        at.note(what, "call it again with the same rows", "the same order of rows")
        return "order_again"
    return found


def _ruined(release: pd.DataFrame, of: Town, each: Asked) -> str:
    """Why the counts are off."""
    total = counts(release, each.places).sum() / of.true.sum()
    if total < _NOTHING:
        return "nothing_left"
    if release["at"].nunique() <= 12:
        return "too_coarse"
    if "person" in release and _moved(release, of):
        return "times_moved"
    if total > 1.1:
        return "counted_twice"
    return "too_much_deleted" if total < 0.9 else "other_hours"


def _exact(release: pd.DataFrame) -> bool:
    within = (release["at"] != release["at"].dt.floor("h")).mean()
    return within > 0.5 and release["at"].nunique() > 0.5 * len(release)


def _moved(release: pd.DataFrame, of: Town) -> bool:
    """Whether the times are as exact as they were, and other ones."""
    recorded = of.seen["at"].dt.floor("s")
    return _exact(release) and release["at"].dt.floor("s").isin(recorded).mean() < 0.5


def _still_found(release: pd.DataFrame, of: Town, each: Asked) -> str:
    """What it is that picks people out."""
    if _moved(release, of):
        return "times_moved"
    if _exact(release):
        return "pseudonyms_only" if "tracker" in release else "time_exact"
    if "tracker" in release:
        return "tracker_betrays"
    if set(release["place"]) - set(each.places):
        return "places_not_asked_for"
    return "still_picked_out"


QUESTION = Question(asks={"coarsen": Callable}, check=_check, task=_task)
