"""Exercise 05, question 5: a list in which nobody is alone, and no group tells its secret.

The learner's function is tried on two lists. All columns but the reason are what somebody may know.
No number in the release may be larger than in the list: rows can be left out, and not invented. A
number that is larger tells how it came to be: each mistake that explains all of them has its name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.why_a_trace_identifies_town import as_pandas, must_have
from leftopen.learner import Draw
from leftopen.synth import clinic

_VARIANTS = 12
_WIDE = 0.7  # of the steps with enough rows; where fewer are told apart, they are too wide


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


def _cells(rows: pd.DataFrame, years: int, later: int = 0) -> pd.Series:
    """How many rows there are by sex, step of birth years and reason; born some years later."""
    step = ((_years(rows["born"]) + later) // years * years).rename("step")
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


def _table(given: object) -> pd.DataFrame:
    """What was published; a column that is an index is asked for.

    Raises:
        BadAnswer: it is no frame, or lacks a column because of an index or altogether.
    """
    release = as_pandas(given, "publish")
    index = set(getattr(getattr(given, "index", None), "names", ()))
    must_have(release, "publish", ["reason", *sorted({"sex", "born"} & index)])
    return release


def _check(at: Attempt, publish: Callable[[pd.DataFrame], pd.DataFrame]) -> str:
    """Both lists: groups large enough, reasons enough, and the counts that are needed."""
    seed = at.task["seed"]
    each = asked(seed - 1_501)
    earlier = None
    for what, number in (("your list", seed), ("another list", seed + 77)):
        patients = clinic.patients(number)
        release = _table(publish(patients.copy()))
        at.note(what, "rows that are published", f"{len(release)} of {len(patients)}")
        if release.empty:
            return "nothing_published"
        if earlier is not None and release.equals(earlier):
            return "same_for_each_list"
        for column in ("sex", "born"):
            if column not in release or release[column].nunique() < 2:
                at.values["column"] = column
                return "column_dropped"
        if _are_counts(release, patients):
            return "counts_given"
        found = _look(release, each)
        least = int(found.reasons.min())
        at.note(what, f"rows in groups of fewer than {each.k}", str(int(found.small.sum())))
        at.note(what, "different reasons in a group, at least", str(least))
        at.values["least"] = least
        for told in (_useless(at, patients, release, each, found), _tells(at, found, each)):
            if told:
                return told
        earlier = release
    return RIGHT


def _are_counts(release: pd.DataFrame, patients: pd.DataFrame) -> bool:
    """Whether a column counts patients: its sum is theirs, and the rows are far fewer."""
    beside = release.drop(columns=["sex", "born", "reason", "quarter"], errors="ignore")
    sums = beside.select_dtypes("number").sum()
    few = len(release) < len(patients) / 2
    return few and sums.between(len(patients) / 2, len(patients)).any()


def _useless(
    at: Attempt, patients: pd.DataFrame, release: pd.DataFrame, each: Asked, found: Found
) -> str:
    """Why the release does not serve its purpose, or nothing."""
    given, true = _cells(release, each.years), _cells(patients, each.years)
    if _exceeds(given, true):
        return _too_many(at, patients, release, each)
    if _later(release, patients, each.years):
        return "not_the_first_year"
    lost = 1 - given.sum() / len(patients)
    at.note("the purpose", f"rows lost, at most {each.lost} %", f"{100 * lost:.1f} %")
    at.values["percent"] = f"{100 * lost:.1f}"
    return "too_much_left_out" if 100 * lost > each.lost else ""


def _exceeds(given: pd.Series, true: pd.Series) -> bool:
    """Whether a number is larger than in the list."""
    return bool((given.sub(true, fill_value=0) > 0).any())


def _later(release: pd.DataFrame, patients: pd.DataFrame, years: int) -> bool:
    """Whether somebody is given a year of the step that is later than that of birth.

    The first year of a step is none. So within a step no more rows begin at a year or after it than
    people were born from then on.
    """
    given, true = (_within(rows, years) for rows in (release, patients))
    return bool((given.sub(true, fill_value=0).loc[:, 1:] > 0).any(axis=None))


def _within(rows: pd.DataFrame, years: int) -> pd.DataFrame:
    """By sex and step how many have a year that is so much after the first one, or more."""
    born = _years(rows["born"])
    steps = [rows["sex"].astype(str), (born // years * years).rename("step")]
    after = pd.crosstab(steps, (born % years).rename("after"))
    return (
        after.reindex(columns=range(years), fill_value=0).iloc[:, ::-1].cumsum(axis=1).iloc[:, ::-1]
    )


def _too_many(at: Attempt, patients: pd.DataFrame, release: pd.DataFrame, each: Asked) -> str:
    """The mistake by which numbers came to be larger than in the list."""
    given, true = _cells(release, each.years), _cells(patients, each.years)
    sexes = sorted(set(patients["sex"]))
    if not set(release["sex"].astype(str)) <= set(sexes):
        return "sex_changed"
    swapped = release.assign(sex=release["sex"].map(dict(zip(sexes, sexes[::-1], strict=True))))
    if not _exceeds(_cells(swapped, each.years), true):
        return "sex_changed"
    if len(release) > len(patients):
        return "rows_invented"
    groups, all_groups = (cells.groupby(level=[0, 1]).sum() for cells in (given, true))
    if len(groups) < _WIDE * (all_groups >= each.k).sum() and not _ends(groups, all_groups):
        return "steps_too_wide"
    if not _exceeds(groups, all_groups):
        return "reasons_changed"
    if _ends(groups, all_groups):
        return "ends_gathered"
    moved = (years for years in range(-each.years + 1, each.years) if years)
    if any(not _exceeds(given, _cells(patients, each.years, years)) for years in moved):
        return "steps_elsewhere"
    return "rows_invented"


def _ends(groups: pd.Series, all_groups: pd.Series) -> bool:
    """Whether only the first and the last step have more, by those before and after them."""
    steps, every = (each.index.get_level_values(1) for each in (groups, all_groups))
    first, last = steps.min(), steps.max()
    gathered = every.where(every > first, first)
    gathered = gathered.where(gathered < last, last)
    sexes = all_groups.index.get_level_values(0)
    explained = all_groups.groupby([sexes, gathered]).sum()
    many = groups.sub(all_groups, fill_value=0)
    many = set(many[many > 0].index.get_level_values(1))
    return bool(many) and many <= {first, last} and not _exceeds(groups, explained)


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
