"""Exercise 04, question 1: days from loopback by default to a login by default.

The learner's function is asked for the engines of the real table, and for invented ones, each of
which is a trial of one mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from numbers import Integral, Real
from typing import NamedTuple

import pandas as pd

from leftopen import incidents
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

_VARIANTS = 24
_BIRDS = ("Avocet", "Bittern", "Curlew", "Dunlin", "Egret", "Fulmar", "Godwit", "Heron", "Ibis",
          "Jacana")  # fmt: skip
# In this order a mistake is named: one that shows in several trials is the first of them.
_TRIALS = {
    "possible": "possible_counted",
    "partly": "partly_counted",
    "again": "not_the_first",
    "before": "order_believed",
    "none": "not_yet_has_days",
}
_YEAR = 365.25


@dataclass(frozen=True)
class Engine:
    """One engine with its changes, which are a trial of one mistake.

    Attributes:
        name: its name in the table.
        trial: what is tried with it.
        changes: topic, since and by_default of each row, in the order of the table.
    """

    name: str
    trial: str
    changes: tuple[tuple[str, str, str], ...]

    def rows(self) -> list[dict[str, str | None]]:
        """The rows as the table has them."""
        columns = ("topic", "since", "by_default")
        return [
            {"id": f"{self.name[:2].upper()}{n}", "engine": self.name, "version": f"{n}.0"}
            | dict(zip(columns, change, strict=True))
            | {"since": change[1] or None}
            for n, change in enumerate(self.changes, 1)
        ]


class Trial(NamedTuple):
    """A table and an engine in it that the learner's function is called with."""

    rows: pd.DataFrame
    engine: str
    name: str


class Answer(NamedTuple):
    """What the learner's function gave for an engine, and what is right."""

    trial: str
    engine: str
    given: int | None
    right: int | None


def right(table: pd.DataFrame, engine: str) -> int | None:
    """Days from the first network row that is on by default to the first such login row."""
    first = {}
    for topic in ("network", "login"):
        rows = table[(table["engine"] == engine) & (table["topic"] == topic)]
        since = rows[rows["by_default"] == "yes"]["since"].dropna()
        first[topic] = pd.to_datetime(since, format="ISO8601").min()
    days = first["login"] - first["network"]
    return None if pd.isna(days) else days.days


def engines(number: int) -> list[Engine]:
    """The invented engines of a learner: at least one for each trial.

    A date without a day stands on one side only, so that another day for it shows.
    """
    draw = Draw(f"set {number}", "04 question 1")
    names = iter(draw.shuffle("names", _BIRDS))

    def engine(trial: str, *changes: tuple[str, int, str]) -> Engine:
        name = next(names)
        start = date(2021, 1, 1) + timedelta(draw.number(f"start of {name}", 700))
        made = []
        for place, (topic, months, by_default) in enumerate(changes):
            day = start + timedelta(30 * months + draw.number(f"{name} {place}", 29))
            text = day.isoformat()
            made.append((topic, text[:7] if trial == f"month of {topic}" else text, by_default))
        return Engine(name, trial, tuple(made))

    n, log, yes = "network", "login", "yes"
    return [
        engine("plain", (n, 0, yes), ("hash", 5, yes), ("encryption", 9, yes), (log, 40, yes)),
        engine("plain", ("hash", 0, yes), (n, 12, yes), (log, 33, yes), ("encryption", 60, yes)),
        engine("possible", (n, 0, yes), (log, 10, "no"), (log, 52, yes)),
        engine("partly", (n, 0, "partly"), (n, 20, yes), (log, 33, "partly"), (log, 70, yes)),
        engine("again", (n, 9, yes), (n, 0, yes), (log, 80, yes), (log, 50, yes)),
        engine("before", (log, 0, yes), (n, 31, yes)),
        engine("month of login", (n, 0, yes), (log, 47, yes)),
        engine("month of network", (n, 0, yes), (log, 29, yes)),
        engine("none", (n, 0, yes), (log, 22, "no"), (log, 60, "partly")),
        engine("none", (log, 0, yes), (n, 13, "partly")),
    ]


def table(some: list[Engine]) -> pd.DataFrame:
    """Engines as a table with columns of datasets/defaults.csv."""
    return pd.DataFrame([row for engine in some for row in engine.rows()])


def _task(draw: Draw) -> Task:
    number = draw.number("table", _VARIANTS)
    shown = engines(number)[0]
    rows = {f"{n}.0": ", ".join(change) for n, change in enumerate(shown.changes, 1)}
    return Task(
        number=(number, "the number of your invented engines"),
        engine=(shown.name, "one of them, to try your function by hand"),
        rows=(rows, "its versions: topic, since, by_default"),
        days=(right(table([shown]), shown.name), "what your function gives for it"),
    )


def _check(at: Attempt, gap: Callable[[pd.DataFrame, str], int | None]) -> str:
    """The function gives the right days, or None, for each engine of two tables."""
    real, invented = incidents.defaults(), engines(at.task["number"])
    real_names = sorted(set(real["engine"]))
    trials = [Trial(real, name, _real_trial(real, name)) for name in real_names]
    trials += [Trial(table(invented), engine.name, engine.trial) for engine in invented]
    trials.sort(key=lambda each: each.name == "none")  # an error there is then no other one
    answers: list[Answer] = []
    failed = ""
    for trial in trials:
        expected = right(trial.rows, trial.engine)
        try:
            given = gap(trial.rows.copy(), trial.engine)
        except Exception as error:
            if expected is not None:
                raise
            failed = failed or f"{trial.engine}: {type(error).__name__}"
            continue
        if given is not None and not _is_whole(given):
            at.values["engine"] = trial.engine
            return _other_type(at, trial.engine, given, expected)
        answers.append(Answer(trial.name, trial.engine, given, expected))
    wrong = [each for each in answers if each.given != each.right]
    asked = f"{len(real_names)} engines of the real table, and {len(invented)} invented ones"
    at.note("your function", f"call it for {asked}", f"{len(wrong)} wrong")
    if failed and not wrong:
        at.values.update(zip(("engine", "error"), failed.split(": "), strict=True))
        at.note("your function", f"call it for {at.values['engine']}", at.values["error"])
        return "not_yet_fails"
    return _verdict(at, answers, wrong, set(real_names)) if wrong else RIGHT


def _real_trial(real: pd.DataFrame, name: str) -> str:
    if right(real, name) is None:
        return "none"
    rows = real[(real["engine"] == name) & real["topic"].isin(("network", "login"))]
    return "plain" if set(rows["by_default"]) == {"yes"} else "possible"


def _is_whole(given: object) -> bool:
    if isinstance(given, bool) or not isinstance(given, Real) or pd.isna(given):
        return False
    return isinstance(given, Integral) or float(given).is_integer()


def _other_type(at: Attempt, name: str, given: object, expected: int | None) -> str:
    """What is wrong with an answer that is neither a whole number nor ``None``."""
    at.note("your function", f"call it for {name}", f"{given!r}, a {type(given).__name__}")
    if pd.api.types.is_scalar(given) and pd.isna(given):
        return "nothing_is_none"
    if isinstance(given, Real) and expected and abs(given - expected / _YEAR) < 1:
        at.values["days"] = f"{given:,.2f}"
        return "in_years"
    raise BadAnswer(f"`gap` must return an int or None; for {name} it returned {given!r}")


def _verdict(at: Attempt, answers: list[Answer], wrong: list[Answer], real: set[str]) -> str:
    """Name the mistake by what all wrong answers have in common, or by the trials that failed."""
    both = [each for each in wrong if None not in (each.given, each.right)]
    failed = {each.trial for each in wrong}
    if all(each.given is None for each in answers):
        name = "nothing_returned"
    elif not any(each.engine in real for each in wrong) and all(
        each.given is None for each in answers if each.engine not in real
    ):
        name = "table_not_read"
    elif all(each.given is None for each in wrong):
        name = "dates_lost"
    elif both and "plain" in failed and all(each.given == -each.right for each in both):
        name = "turned_round"
    elif (
        both
        and "plain" in failed
        and all(abs(each.given - each.right / _YEAR) < 1 for each in both)
    ):
        name = "in_years"
    elif failed <= {"month of login", "month of network"}:
        name = "another_day_of_the_month"
    elif "plain" in failed or not failed & set(_TRIALS):
        name = "another_gap"
    else:
        name = next(told for trial, told in _TRIALS.items() if trial in failed)
    shown = next((each for each in wrong if _TRIALS.get(each.trial) == name), wrong[0])
    at.values.update(engine=shown.engine, days=shown.given, right=shown.right)
    at.note("your function", f"call it for {shown.engine}", f"{shown.given}, and not {shown.right}")
    return name


QUESTION = Question(asks={"gap": Callable}, check=_check, task=_task)
