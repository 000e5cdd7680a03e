"""Exercise 05, question 3: what a release of a town's positions serves, and whom it picks out.

The counts by place and hour are compared with the true ones. What the table tells apart from the
person is a point; people are picked out as :func:`leftopen.trace.unicity` says. A trace is the
places and hours of rows that are one person's.
"""

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from leftopen import trace
from leftopen.checks.why_a_trace_identifies_town import positions

PEOPLE, ROWS = 1_500, 9_000
POINTS = (2, 3, 4)
DAY = pd.Timestamp("2019-02-12", tz="UTC")
HOUR = "hour of at"  # a column that no learner has
_HOURS = 32  # a day, and room for a clock that goes wrong; two places are the bits of a number
_LONG = 4  # points of a trace that is looked for


def hour(at: pd.Series) -> pd.Series:
    """Whole hours since the day began."""
    return (at - DAY) // pd.Timedelta(hours=1)


def counts(rows: pd.DataFrame, places: tuple[str, str]) -> pd.Series:
    """How many different people were at each kind of place in each hour."""
    rows = rows[rows["place"].isin(places)]
    if "person" not in rows.columns:
        return rows.groupby(["place", HOUR])["people"].sum()
    once = rows.drop_duplicates(["person", "place", HOUR])
    return once.groupby(["place", HOUR]).size()


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
    known = [column for column in release if column not in ("person", HOUR)]
    cell = release.astype(dict.fromkeys(known, str)).groupby(known, dropna=False).ngroup()
    person = pd.factorize(release["person"].astype(str), sort=True)[0]
    rows = pd.DataFrame({"person": person, "tracker": cell}).assign(at=pd.Timestamp(2019, 2, 12))
    table = trace.unicity_table(rows, most=max(able)).set_index("points")["alone"]
    return max((min(1, table.get(points, 0) / people), points) for points, people in able.items())


def bits(rows: pd.DataFrame, places: tuple[str, str]) -> np.ndarray:
    """For each row a number with one bit: its place and hour."""
    at = rows[HOUR].clip(0, _HOURS - 1) + _HOURS * (rows["place"] == places[1])
    return np.uint64(1) << at.to_numpy("uint64")


Traces = tuple[np.ndarray, np.ndarray]
"""Different traces, each as a number with the bits of its points, and how many people have it."""


def traces(who: np.ndarray, points: np.ndarray) -> Traces:
    """The traces with enough points.

    Args:
        who: for each row whose it is taken for.
        points: for each row its place and hour, from :func:`bits`.
    """
    order = np.argsort(who, kind="stable")
    first = np.flatnonzero(np.r_[True, who[order][1:] != who[order][:-1]])
    found = np.bitwise_or.reduceat(points[order], first)
    return np.unique(found[np.bitwise_count(found) >= _LONG], return_counts=True)


@dataclass(frozen=True)
class Town:
    """A town as it was recorded, and what it tells.

    Attributes:
        seen: its positions, in the order of time.
        wanted: those at the two kinds of place, with the hour.
        places: the two kinds of place.
        able: for each number of points how many people have as many different ones.
        true: how many people were where in which hour.
        traces: those of its people, as far as the counts need them.
    """

    seen: pd.DataFrame
    wanted: pd.DataFrame
    places: tuple[str, str]
    able: dict[int, int]
    true: pd.Series
    traces: Traces


@functools.lru_cache(maxsize=4)
def town(seed: int, places: tuple[str, str]) -> Town:
    """A town, and what a release of it is compared with."""
    seen = positions(seed, PEOPLE, ROWS)
    distinct = seen.drop_duplicates(["person", "tracker", "at"]).groupby("person").size()
    able = {points: int((distinct >= points).sum()) for points in POINTS}
    plain = seen.assign(place=seen["place"].astype(str))
    plain[HOUR] = hour(seen["at"])
    wanted = plain[plain["place"].isin(places)].reset_index(drop=True)
    whole = traces(wanted["person"].to_numpy(), bits(wanted, places))
    return Town(seen, wanted, places, able, counts(plain, places), whole)
