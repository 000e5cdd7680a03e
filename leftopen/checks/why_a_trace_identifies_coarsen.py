"""Exercise 05, question 3: a release that a town can plan with, and in which nobody is found.

The function is tried on two towns: what its table serves and whom it picks out, whether traces that
were cut come back, and what the order of the rows tells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import pandas as pd

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.why_a_trace_identifies_rejoined import (
    not_by_lot,
    order_again,
    order_of_the_log,
    put_together,
    whole,
)
from leftopen.checks.why_a_trace_identifies_release import (
    DAY,
    HOUR,
    POINTS,
    Town,
    counts,
    hour,
    off,
    picked_out,
    town,
)
from leftopen.checks.why_a_trace_identifies_town import as_pandas, must_have
from leftopen.learner import Draw

_VARIANTS = 8
_NOTHING = 0.05  # a share of all who should be counted

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
    return Asked(1_101 + number, places, 12 + draw.number("most", 2), 3 + draw.number("off", 4))


def _task(draw: Draw) -> Task:
    number = draw.number("release", _VARIANTS)
    each = asked(number)
    return Task(
        seed=(each.seed, "the number of a town to try your function on"),
        places=(list(each.places), "kinds of place; how many people are there in each hour?"),
        off=(each.off / 100, "so much may the counts be off, all errors together, of all counted"),
        points=(list(POINTS), "so many points somebody knows of a person"),
        most=(each.most / 100, "so many, of the people with enough points, may be picked out"),
    )


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
    if len(found) and (found.dt.floor("D") == DAY).mean() < 0.5:
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
    release[HOUR] = hour(at)
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
        if beside := [str(c) for c in release if c not in (*known, HOUR)]:
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
    """How broken traces, or the seconds, come back out of rows of people, or nothing."""
    if "person" not in rows:
        return ""
    if not whole(rows, of):  # where whole traces are kept, their points have been tried
        if found := put_together(rows, of):
            at.note(what, "put the traces together again", "many come back")
            return found
        half = of.seen[of.seen["person"] % 2 == 0].reset_index(drop=True)
        again, of_half = (_at(_released(coarsen, seen), each.places) for seen in (of.seen, half))
        if found := not_by_lot(rows, again, of_half):
            whose = "the same rows" if found == "same_again" else "half of the people"
            at.note(what, f"call it again with {whose}", "the same pseudonyms")
            return found
        if order_again(rows, again) and not order_of_the_log(rows, of):
            at.note(what, "call it again with the same rows", "the same order of rows")
            return "order_again"
    if order_of_the_log(rows, of):
        at.note(what, "the order of the rows, within each hour", "that in which people were seen")
        return "order_of_the_log"
    return ""


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
