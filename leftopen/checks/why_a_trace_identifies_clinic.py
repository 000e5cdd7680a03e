"""Exercise 05, question 5: a list in which nobody is alone, and no group tells its secret.

The learner's function is tried on two lists. All columns but the reason are what somebody may know.
No number in the release may be larger than in the list: rows can be left out, and not invented.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.why_a_trace_identifies_town import as_pandas, must_have
from leftopen.learner import Draw
from leftopen.synth import clinic

_VARIANTS = 12
_WIDE = 0.7  # of the steps; where fewer are told apart, they are too wide


@dataclass(frozen=True)
class Asked:
    """What is asked of a learner.

    Attributes:
        seed: of the list to try on.
        k: the least number of rows in a group.
        reasons: the least number of different reasons in a group.
        years: the steps of birth years that the purpose needs.
        lost: of 100 rows, so many may be left out.
    """

    seed: int
    k: int
    reasons: int
    years: int
    lost: int


def asked(number: int) -> Asked:
    """The values of a learner."""
    draw = Draw(f"set {number}", "05 question 5")
    return Asked(
        1_501 + number,
        5 + draw.number("k", 5),
        2 + draw.number("reasons", 2),
        draw.pick("years", (5, 10)),
        11 + draw.number("lost", 4),
    )


def _task(draw: Draw) -> Task:
    each = asked(draw.number("clinic", _VARIANTS))
    return Task(
        seed=(each.seed, "the number of a list to try your function on"),
        k=(each.k, "rows that each group has at least"),
        reasons=(each.reasons, "different reasons that each group has at least"),
        years=(each.years, "steps of birth years in which the reasons are counted"),
        lost=(each.lost / 100, "so many of the rows may be left out, at most"),
    )


def _cells(rows: pd.DataFrame, years: int) -> pd.Series:
    """How many rows there are by sex, step of birth years and reason."""
    step = (_years(rows["born"]) // years * years).rename("step")
    return rows.groupby([rows["sex"].astype(str), step, rows["reason"].astype(str)]).size()


@dataclass(frozen=True)
class Found:
    """What a release is worth.

    Attributes:
        small: for each row whether its group is too small.
        reasons: for each row the number of different reasons in its group.
        beside: columns that are neither needed nor constant.
        exact: whether years are told apart more exactly than the purpose needs.
    """

    small: pd.Series
    reasons: pd.Series
    beside: list[str]
    exact: bool


def _years(born: pd.Series) -> pd.Series:
    """The first four digits of each value, as a year."""
    return pd.to_numeric(born.astype(str).str.extract(r"(\d{4})")[0])


def _look(release: pd.DataFrame, each: Asked) -> Found:
    known = [column for column in release if column != "reason"]
    text = release.astype(dict.fromkeys(known, str))
    groups = text.groupby(known, dropna=False)["reason"]
    beside = [c for c in known if c not in ("sex", "born") and text[c].nunique() > 1]
    year = _years(release["born"])
    exact = year.nunique() > (year // each.years).nunique()
    return Found(groups.transform("size") < each.k, groups.transform("nunique"), beside, exact)


def _check(at: Attempt, publish: Callable[[pd.DataFrame], pd.DataFrame]) -> str:
    """Both lists: groups large enough, reasons enough, and the counts that are needed."""
    seed = at.task["seed"]
    each = asked(seed - 1_501)
    for what, number in (("your list", seed), ("another list", seed + 77)):
        patients = clinic.patients(number)
        release = as_pandas(publish(patients.copy()), "publish")
        at.note(what, "rows that are published", f"{len(release)} of {len(patients)}")
        if release.empty:
            return "nothing_published"
        must_have(release, "publish", ["reason"])
        for column in ("sex", "born"):
            if column not in release or release[column].nunique() < 2:
                at.values["column"] = column
                return "column_dropped"
        found = _look(release, each)
        least = int(found.reasons.min())
        at.note(what, f"rows in groups of fewer than {each.k}", str(int(found.small.sum())))
        at.note(what, "different reasons in a group, at least", str(least))
        at.values["least"] = least
        for told in (_useless(at, patients, release, each, found), _tells(at, found, each)):
            if told:
                return told
    return RIGHT


def _useless(
    at: Attempt, patients: pd.DataFrame, release: pd.DataFrame, each: Asked, found: Found
) -> str:
    """Why the release does not serve its purpose, or nothing."""
    true, given = _cells(patients, each.years), _cells(release, each.years)
    more = given.sub(true, fill_value=0)
    if (more > 0).any():
        if len(release) > len(patients):
            return "rows_invented"
        steps = [len(cells.groupby(level=[0, 1]).sum()) for cells in (given, true)]
        if steps[0] < _WIDE * steps[1]:
            return "steps_too_wide"
        level = more.groupby(level=[0, 1]).sum()
        return "steps_elsewhere" if (level > 0).any() else "reasons_changed"
    lost = 1 - given.sum() / len(patients)
    at.note("the purpose", f"rows lost, at most {each.lost} %", f"{100 * lost:.1f} %")
    at.values["percent"] = f"{100 * lost:.1f}"
    return "too_much_left_out" if 100 * lost > each.lost else ""


def _tells(at: Attempt, found: Found, each: Asked) -> str:
    """Why somebody in the release is found, or told of, or nothing."""
    count = int(found.small.sum())
    at.values.update(count=count, column=", ".join(found.beside))
    if not count:
        return "one_reason_in_a_group" if found.reasons.min() < each.reasons else ""
    if found.beside:
        return "column_left"
    return "years_too_exact" if found.exact else "small_groups_left"


QUESTION = Question(asks={"publish": Callable}, check=_check, task=_task)
