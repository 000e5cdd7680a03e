"""Exercise 04, question 4: after how many days half of the open servers were closed."""

import functools

import pandas as pd

from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw
from leftopen.synth import exposures

_VARIANTS = 20
_NEAR = 0.01
_APART = 1.5  # days by which each mistake differs from the right number
_LAST = pd.Timestamp(exposures.LAST)


def _half(days: pd.Series) -> float:
    """The median, where a missing number is larger than any other."""
    return float(days.fillna(float("inf")).median())


def right(log: pd.DataFrame) -> float:
    """Median days from open_since to closed, one row a server, those without a login."""
    servers = log[log["login"] == "none"].drop_duplicates("server")
    return _half((servers["closed"] - servers["open_since"]).dt.days)


def mistakes(log: pd.DataFrame) -> dict[str, float]:
    """What is easily computed instead, by the name of the near miss."""
    bare = log[log["login"] == "none"]
    one, each = bare.drop_duplicates("server"), log.drop_duplicates("server")

    def days(rows: pd.DataFrame, begin: str = "open_since") -> pd.Series:
        return (rows["closed"] - rows[begin]).dt.days

    until_last = (one["closed"].fillna(_LAST) - one["open_since"]).dt.days
    return {
        "mean_taken": float(until_last.mean()),
        "mean_of_the_closed": float(days(one).mean()),
        "open_left_out": float(days(one).median()),
        "open_as_zero": float(days(one).fillna(0).median()),
        "since_it_was_told": _half(days(one, "told")),
        "since_it_was_found": _half(days(one, "found")),
        "until_it_was_found": float((one["found"] - one["open_since"]).dt.days.median()),
        "reachable_taken": _half(days(each)),
        "reports_counted": _half(days(bare)),
        "all_at_once": float(days(log).median()),
        "all_at_once ": float(days(log).mean()),
        "all_at_once  ": float(days(each).median()),
        "one_day_more": right(log) + 1,
    }


@functools.cache
def number_for(drawn: int) -> int:
    """The next log from a drawn number on, in which each mistake gives a number of its own."""
    while True:
        log = exposures.log(drawn)
        aim = right(log)
        values = [value for name, value in mistakes(log).items() if name != "one_day_more"]
        if all(abs(value - aim) > _APART for value in values) and len(set(values)) == len(values):
            return drawn
        drawn += 1


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
        return RIGHT
    named = (n.strip() for n, value in mistakes(log).items() if abs(days - value) < _NEAR + 0.05)
    return next(named, "another_number_of_days")


QUESTION = Question(asks={"days": float}, check=_check, task=_task, value=True)
