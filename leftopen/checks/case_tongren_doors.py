"""Exercise 03: an open service and its database, read as a stranger, and then closed."""

import re
from collections.abc import Mapping

import pandas as pd

from leftopen.checks import case_tongren_doors_claims as claims
from leftopen.checks import case_tongren_doors_closing as closing
from leftopen.checks import case_tongren_doors_figures as figures
from leftopen.checks import case_tongren_doors_probe as probe
from leftopen.checks.case_tongren_doors_server import Server, counts, morning, on_days, read
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_WHO = "as the stranger"


def _open(task: Task) -> PostgresLab:
    return Server(task["number"]).open()


# -- 1: how often visitors passed the doors of one house -------------------------------------------


def _count_task(draw: Draw) -> Task:
    mine = Server.of(draw)
    server, house = mine.house
    return Task(
        number=mine.row,
        server=(server, "the server to ask"),
        house=(house, "the house that you count for"),
    )


def _count(at: Attempt, lab: Lab, passages: int) -> str:
    """The visitors' passages of one house, on all pages."""
    tables = read(lab)[at.task["server"]]
    found = counts(tables, at.task["house"])
    right = found.pop("right")
    at.note(_WHO, f"passages of {at.task['house']}, on the first page", str(found["page_counted"]))
    at.note(_WHO, f"passages of {at.task['house']}, on all pages", str(found["all_passages"]))
    if passages == right:
        at.note(_WHO, "those of them with a visitor", str(right))
        return RIGHT
    at.values["answer"] = passages
    found["nothing_found"] = 0
    if name := next((name for name, value in found.items() if value == passages), None):
        return name
    days = on_days(tables, at.task["house"])
    at.values["days"] = {1: "one day", 2: "two days"}.get(days.get(passages, 0), "")
    return "days_missing" if passages in days else "another_number"


# -- 2: who comes each morning ---------------------------------------------------------------------

_KEYS = {"visitor": str, "age": int, "minutes": int}


def _morning_task(draw: Draw) -> Task:
    mine = Server.of(draw)
    server, flat = mine.flat
    return Task(
        number=mine.row,
        server=(server, "the server to ask"),
        flat=(flat, "the flat to which somebody comes each day"),
    )


def _morning(at: Attempt, lab: Lab, found: dict) -> str:
    """The daily visitor of a flat, the age of its oldest resident, the length of a visit."""
    _must_be_complete(found)
    tables = read(lab)[at.task["server"]]
    flat = at.task["flat"]
    passages, residents = tables["passages"], tables["residents"]
    at.note(_WHO, f"count the residents of {flat}", str((residents["flat"] == flat).sum()))
    at.note(_WHO, f"count the passages to {flat}", str((passages["flat"] == flat).sum()))
    right = morning(tables, flat)
    wrong = [
        key
        for key in _KEYS
        if (abs(found[key] - right[key]) > 1 if key == "minutes" else found[key] != right[key])
    ]
    if not wrong:
        at.note("your answer", "compare it with the passages", "the same")
        return RIGHT
    at.values.update(wrong=", ".join(wrong), **{key: found[key] for key in wrong})
    if wrong == ["visitor"]:
        return _which_visitor(found["visitor"], right["number"], tables)
    if wrong == ["age"]:
        named = {right["year_age"]: "birthday_to_come", right["younger"]: "younger_one"}
        if found["age"] in right["strangers"] and found["age"] not in named:
            return "of_another_flat"
        return named.get(found["age"], "another_age")
    if wrong == ["minutes"]:
        return _which_minutes(found["minutes"], right["minutes"], right["others"])
    return "several_parts"


def _which_visitor(given: str, number: int, tables: Mapping[str, pd.DataFrame]) -> str:
    # "26", "26.0", or a name that is made of the number
    digits = re.sub(r"\D", "", given.strip().removesuffix(".0"))
    if digits and int(digits) == number:
        return "number_for_a_name"
    if given in set(tables["residents"]["name"]):
        return "resident_named"
    return "another_visitor" if given in set(tables["visitors"]["name"]) else "nobodys_name"


def _which_minutes(given: int, right: int, others: tuple[int, ...]) -> str:
    if abs(given - right * 60) <= 60:
        return "in_seconds"
    if any(abs(given - other) <= 1 for other in others):
        return "another_day"
    if abs(given - right - sum(others)) <= 3:
        return "all_days_added"
    if abs(given - (right + sum(others)) / (1 + len(others))) <= 1:
        return "mean_of_the_days"
    return "another_span"


def _must_be_complete(found: dict) -> None:
    if set(found) != set(_KEYS):
        asked = ", ".join(map(repr, _KEYS))
        raise BadAnswer(f"`found` must have the keys {asked}, and no others")
    for key, wanted in _KEYS.items():
        value = found[key]
        if pd.api.types.is_integer(value) and not isinstance(value, bool):
            found[key] = value = int(value)
        if not isinstance(value, wanted) or isinstance(value, bool):
            told = f"`found[{key!r}]` is of type {type(value).__name__}"
            raise BadAnswer(f"{told}, and the question asks for {wanted.__name__}")


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "passages": int},
        check=_count,
        task=_count_task,
        lab=_open,
        value=True,
    ),
    2: Question(
        asks={"lab": Lab, "found": dict},
        check=_morning,
        task=_morning_task,
        lab=_open,
        value=True,
    ),
    3: figures.QUESTION,
    4: Question(asks={"judged": dict}, check=claims.check, task=claims.task, value=True),
    5: probe.QUESTION,
    6: closing.QUESTION,
}
