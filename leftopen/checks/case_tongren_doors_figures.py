"""Exercise 03, question 3: how much of a full door log the reported records could be."""

import itertools
from datetime import date

from leftopen import ledger
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

_LAST = date(2020, 8, 16)
_FIRST = (date(2020, 5, 1), date(2020, 5, 11), date(2020, 5, 20), date(2020, 5, 31))
_A_DAY = (2, 3, 5)
_NEAR = 0.055  # per cent: an answer may be rounded to one decimal


def _task(draw: Draw) -> Task:
    first = draw.pick("first day", _FIRST)
    return Task(
        passages=(draw.pick("passages", _A_DAY), "door passages of a person on a day"),
        first=(first.isoformat(), "the day on which the records begin, as we assume"),
        last=(_LAST.isoformat(), "the day of the report"),
    )


def _check(at: Attempt, share: float) -> str:
    """The reported records, in per cent of a log in which nothing is left out."""
    people, records = ledger.number("TG4"), ledger.number("TG5")
    rate = at.task["passages"]
    days = (_LAST - date.fromisoformat(at.task["first"])).days
    full = people * rate * days
    for claim, value in (("TG4", people), ("TG5", records)):
        at.note("the ledger", claim, f"{value:,.0f}")
    at.note("the calendar", "days from the first to the last", str(days))
    # Whether the last day counts makes a difference of one per cent of the answer, at most.
    if any(_is(share, 100 * records / (people * rate * d)) for d in (days, days + 1)):
        at.note("a full log", f"{people:,.0f} people × {rate} a day × {days}", f"{full:,.0f} rows")
        return RIGHT
    at.values["answer"] = f"{share:,.4g}"
    if share == round(100 * records / full):
        return "rounded_too_far"
    for name, value in mistakes(people, records, rate, days).items():
        if _is(share, value):
            return name
    for its_rate, its_days in _others(rate, days):
        if _is(share, 100 * records / (people * its_rate * its_days)):
            at.values.update(rate=its_rate, days=its_days)
            return "figures_of_the_lesson"
    return "another_share"


def _others(rate: int, days: int) -> list[tuple[int, int]]:
    """Passages a day and days, where one of them or both are the lesson's and not the task's."""
    rates, spans = {rate: None, 2: None, 4: None}, {days: None, 77: None, 107: None}
    return [pair for pair in itertools.product(rates, spans) if pair != (rate, days)]


def mistakes(people: float, records: float, rate: int, days: int) -> dict[str, float]:
    """What is easily computed instead of the share, by the name of the near miss.

    Args:
        people: whom the system recorded.
        records: how many records there are.
        rate: door passages of a person on a day.
        days: over how many days.
    """
    full = people * rate * days
    right = 100 * records / full
    return {
        "not_in_per_cent": right / 100,
        "rows_of_a_full_log": full,
        "millions_of_rows": full / 1e6,
        "days_left_out": 100 * records / (people * rate),
        "passages_left_out": right * rate,
        "people_left_out": 100 * records / (rate * days),
        "records_a_person": records / people,
        "what_is_missing": 100 - right,
        "in_and_out_again": right / 2,
        "one_of_four_servers": right / 4,
        "people_of_one_server": right * 4,
    }


def _is(given: float, value: float) -> bool:
    return abs(given - value) <= min(_NEAR, 0.02 * value) or abs(given / value - 1) <= 0.001


QUESTION = Question(asks={"share": float}, check=_check, task=_task, value=True)
