"""Exercise 04, question 4: after how many days half of the open servers were closed.

Four things are easily done otherwise: which rows, which servers, from which day, and what a server
counts that is still open. A log is one in which no combination of them gives the right number.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw
from leftopen.synth import exposures

_VARIANTS = 20
_NEAR = 0.01
_APART = 1.5  # days by which each mistake differs from the right number
_LAST = pd.Timestamp(exposures.LAST)
_SLIPS = {
    "reports_counted": "second reports are kept",
    "reachable_taken": "servers that ask for a login are kept",
    "since_it_was_found": "the days begin when it was found",
    "since_it_was_told": "the days begin when the owner was told",
    "open_left_out": "those still open are left out",
    "open_as_zero": "those still open count as closed at once",
}
_ROWS = (("reports_counted", None), ("", "first"), ("", "last"))
_SERVERS = (("", ("none",)), ("reachable_taken", ("none", "asked")))
_BEGINS = (("", "open_since"), ("since_it_was_found", "found"), ("since_it_was_told", "told"))
_STILL_OPEN = (("", "behind"), ("", "until the end"), ("open_left_out", "left out"),
               ("open_as_zero", "zero"))  # fmt: skip

Slips = tuple[str, ...]


def right(log: pd.DataFrame) -> float:
    """Median days from open_since to closed, one row a server, those without a login."""
    servers = log[log["login"] == "none"].drop_duplicates("server")
    days = (servers["closed"] - servers["open_since"]).dt.days
    return float(days.fillna(float("inf")).median())


def medians(log: pd.DataFrame) -> Iterator[tuple[Slips, float]]:
    """Every combination of slips with the median that it gives; some give several, one none.

    A server that is open counts in four ways. Behind all others, and until the end of the log, are
    both right, since each of them has been open for longer than the median. It has to be so: of one
    that was open for less, nobody could say on which side of the median it belongs.
    """
    for (many, keep), (asked, logins) in itertools.product(_ROWS, _SERVERS):
        rows = log[log["login"].isin(logins)]
        rows = rows.drop_duplicates("server", keep=keep) if keep else rows
        for since, begin in _BEGINS:
            days = (rows["closed"] - rows[begin]).dt.days.to_numpy(float)
            until_end = (_LAST - rows[begin]).dt.days.to_numpy(float)
            for still, how in _STILL_OPEN:
                slips = tuple(filter(None, (many, asked, since, still)))
                yield slips, float(np.median(_filled(days, until_end, how)))


def _filled(days: np.ndarray, until_end: np.ndarray, how: str) -> np.ndarray:
    """Days of which a missing one, of a server that is still open, is filled or left out."""
    missing = np.isnan(days)
    if how == "left out":
        return days[~missing]
    return np.where(missing, {"behind": np.inf, "until the end": until_end, "zero": 0.0}[how], days)


def others(log: pd.DataFrame) -> dict[str, float]:
    """What is no median from any day to the end, by the name of the near miss."""
    one = log[log["login"] == "none"].drop_duplicates("server")
    until_last = (one["closed"].fillna(_LAST) - one["open_since"]).dt.days
    return {
        "mean_taken": float(until_last.mean()),
        "mean_of_the_closed": float((one["closed"] - one["open_since"]).dt.days.mean()),
        "until_it_was_found": float((one["found"] - one["open_since"]).dt.days.median()),
        "one_day_more": right(log) + 1,
    }


@functools.cache
def number_for(drawn: int) -> int:
    """The next log from a drawn number on, in which no slip gives the right number.

    Nor does one slip alone give what another one gives, or two others together.
    """
    while not _is_telling(exposures.log(drawn)):
        drawn += 1
    return drawn


def _is_telling(log: pd.DataFrame) -> bool:
    aim, found = right(log), list(medians(log))
    means = [value for name, value in others(log).items() if name != "one_day_more"]
    if any(abs(value - aim) <= _APART for value in [*means, *(v for slips, v in found if slips)]):
        return False
    alone = {(slips[0], value) for slips, value in found if len(slips) == 1}
    pairs = [(slips, value) for slips, value in found if len(slips) in (1, 2)]
    return not any(
        value in means or any(value == other for slips, other in pairs if slip not in slips)
        for slip, value in alone
    )


def _task(draw: Draw) -> Task:
    number = number_for(10 * draw.number("log", _VARIANTS))
    return Task(
        number=(number, "the number of your log, for exposures.log"),
        last=(exposures.LAST.isoformat(), "the day on which the log ends"),
    )


def _check(at: Attempt, days: float) -> str:
    """The median over servers without a login, those that are still open among them."""
    log = exposures.log(at.task["number"])
    bare = log[log["login"] == "none"].drop_duplicates("server")
    at.note("the log", "reports", str(len(log)))
    at.note("your answer", "days", f"{days:,.4g}")
    at.values.update(answer=f"{days:,.4g}", still=int(bare["closed"].isna().sum()))
    if abs(days - right(log)) < _NEAR:
        at.note("the log", "different servers without a login", str(len(bare)))
        at.note("the log", "of these still open on the last day", str(at.values["still"]))
        youngest = (_LAST - bare["open_since"][bare["closed"].isna()]).dt.days.min()
        at.note("the log", "the shortest of these so far", f"{youngest} days, behind the median")
        return RIGHT
    return _mistake(at, log, days)


def _mistake(at: Attempt, log: pd.DataFrame, days: float) -> str:
    """Name the fewest slips that give this number."""
    for name, value in others(log).items():
        if abs(days - value) < _NEAR + 0.05:
            return name
    same = [slips for slips, value in medians(log) if slips and abs(days - value) < _NEAR]
    if not same:
        return "another_number_of_days"
    slips = min(same, key=len)
    if len(slips) == 1:
        return slips[0]
    told = [_SLIPS[slip] for slip in slips]
    at.values["slips"] = f"{', '.join(told[:-1])} and {told[-1]}"
    return "several_slips"


QUESTION = Question(asks={"days": float}, check=_check, task=_task, value=True)
