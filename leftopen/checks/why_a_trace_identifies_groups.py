"""Exercise 05, question 4: who is alone in a list with place, year of birth and sex.

The list holds everybody who was seen at one kind of place, once; it comes from a join of positions
and people, which has a row for each sighting.
"""

import functools
from dataclasses import dataclass
from numbers import Real

import pandas as pd

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw
from leftopen.synth import sensenets

PEOPLE, ROWS = 12_000, 31_200
_VARIANTS = 12
_QUARTERS = 18
_NAMES = ("Ashby", "Brook", "Combe", "Dene", "Elm", "Firth")
_KINDS = ("station", "restaurant")
_NEAR = 0.0035
_KNOWN = ["district", "born", "sex"]


@dataclass(frozen=True)
class Groups:
    """A list, and what it tells.

    Attributes:
        seed: the number of the town.
        kind: at which kind of place the people in the list were seen.
        districts: which quarters make up which district.
        who: the person whose k is asked for.
        alone: for the right reading and each mistaken one, the share of each district.
        k: the same for the k of that person.
    """

    seed: int
    kind: str
    districts: dict[str, list[int]]
    who: int
    alone: dict[str, dict[str, float]]
    k: dict[str, int]


def _lists(seed: int, kind: str, districts: dict[str, list[int]]) -> tuple[pd.DataFrame, ...]:
    """The join with a row for each sighting, the people of the register, and those seen at all."""
    made = sensenets.sample(seed, people=PEOPLE, positions=ROWS)
    people = made.people.select(["_id", "homeAddress", "birthday", "sex"]).to_pandas()
    quarter = people["homeAddress"].str[-4:].astype(int)
    named = {quarter: name for name, quarters in districts.items() for quarter in quarters}
    people = people.assign(
        quarter=quarter, district=quarter.map(named), born=people["birthday"].dt.year
    )
    seen = made.positions.select(["person", "place"]).to_pandas()
    joined = seen[seen["place"] == kind].merge(people, left_on="person", right_on="_id")
    people = people.assign(person=people["_id"])
    return joined, people, people[people["person"].isin(seen["person"])]


def _sizes(rows: pd.DataFrame, columns: list[str]) -> pd.Series:
    return rows.groupby(columns, observed=True)["person"].transform("size")


def _alone(rows: pd.DataFrame, columns: list[str] = _KNOWN) -> dict[str, float]:
    return (_sizes(rows, columns) == 1).groupby(rows["district"]).mean().to_dict()


def _of_all(rows: pd.DataFrame) -> dict[str, float]:
    """The number alone in each district, over everybody in the list."""
    return ((_sizes(rows, _KNOWN) == 1).groupby(rows["district"]).sum() / len(rows)).to_dict()


def _of_groups(rows: pd.DataFrame) -> dict[str, float]:
    groups = rows.groupby(_KNOWN, observed=True).size()
    return (groups == 1).groupby("district").mean().to_dict()


def _readings(
    joined: pd.DataFrame, people: pd.DataFrame, anywhere: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """The shares, and what they seem to be by each mistake."""
    once = joined.drop_duplicates("person")
    return {
        "right": _alone(once),
        "rows_of_the_join": _alone(joined),
        "share_of_groups": _of_groups(once),
        "of_the_whole_list": _of_all(once),
        "whole_register": _alone(people),
        "seen_anywhere": _alone(anywhere),
        "birthday_in_full": _alone(once, ["district", "birthday", "sex"]),
        "sex_forgotten": _alone(once, ["district", "born"]),
        "place_forgotten": _alone(once, ["born", "sex"]),
        "quarter_for_district": _alone(once, ["quarter", "born", "sex"]),
    }


def _ks(joined: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """For each person of the list k, and what it seems to be by each mistake."""
    once = joined.drop_duplicates("person").set_index("person", drop=False)
    rows = joined.assign(size=_sizes(joined, _KNOWN)).drop_duplicates("person")
    register = people.assign(size=_sizes(people, _KNOWN)).set_index("person")["size"]
    right = _sizes(once, _KNOWN)
    return pd.DataFrame({
        "right": right,
        "k_without_oneself": right - 1,
        "k_of_rows": rows.set_index("person")["size"],
        "k_of_the_register": register.reindex(once.index),
        "k_without_sex": _sizes(once, ["district", "born"]),
        "k_without_place": _sizes(once, ["born", "sex"]),
        "k_of_the_quarter": _sizes(once, ["quarter", "born", "sex"]),
    })  # fmt: skip


def _apart(shares: dict[str, dict[str, float]]) -> bool:
    """Whether no two readings are the same within what counts as equal."""
    every = list(shares.values())
    return all(not _same(a, b, 2) for n, a in enumerate(every) for b in every[:n])


def _same(one: dict[str, float], other: dict[str, float], times: float = 1) -> bool:
    return all(abs(one[name] - other.get(name, 0)) <= times * _NEAR for name in one)


@functools.lru_cache(maxsize=_VARIANTS)
def groups(number: int) -> Groups:
    """The list of a learner: the first town in which each mistake shows."""
    draw = Draw(f"set {number}", "05 question 4")
    quarters = draw.shuffle("quarters", range(1, _QUARTERS + 1))
    small, middle = 1 + draw.number("small", 2), 3 + draw.number("middle", 3)
    names = draw.shuffle("names", _NAMES)[:3]
    parts = (quarters[:small], quarters[small : small + middle], quarters[small + middle :])
    districts = {name: sorted(part) for name, part in zip(names, parts, strict=True)}
    kind = draw.pick("kind", _KINDS)
    for seed in range(1_301 + number, 10_000, _VARIANTS):
        joined, people, anywhere = _lists(seed, kind, districts)
        found = _readings(joined, people, anywhere)
        ks = _ks(joined, people)
        clear = ks[(ks["right"] > 2) & (ks.nunique(axis=1) == ks.shape[1])]
        if len(clear) and _apart(found):
            who = draw.pick("who", clear.index.tolist())
            return Groups(seed, kind, districts, who, found, clear.loc[who].astype(int).to_dict())
    raise AssertionError(f"no town for set {number}")


def _task(draw: Draw) -> Task:
    number = draw.number("groups", _VARIANTS)
    each = groups(number)
    return Task(
        seed=(each.seed, "the number of your town"),
        kind=(each.kind, "the list has everybody who was seen at such a place"),
        districts=(each.districts, "each district, with its quarters"),
        who=(each.who, "a person of the list: the number in people._id and positions.person"),
    )


def _check(at: Attempt, alone: dict, k: int) -> str:
    """The share of each district, and the k of one person."""
    each = groups((at.task["seed"] - 1_301) % _VARIANTS)
    names = list(each.districts)
    if set(alone) != set(names):
        raise BadAnswer(
            f"`alone` has {'the keys ' + ', '.join(map(str, alone)) if alone else 'no keys'}. "
            f"Its keys are the districts: {', '.join(names)}"
        )
    for name in names:
        given = alone[name]
        if isinstance(given, bool) or not isinstance(given, Real) or given != given:
            raise BadAnswer(f"`alone` has {given!r} for {name}. Give a share from 0 to 1")
        at.note("your answer", f"alone in {name}", f"{given:.4f}")
    at.note("your answer", f"k of person {each.who}", str(k))
    at.values.update(answer=k, right_k=each.k["right"], kind=each.kind)
    right = each.alone["right"]
    if not _same(right, alone):
        return _shares_wrong(alone, each)
    wrong = (name for name, value in each.k.items() if value == k)
    found = next(wrong, "another_k")
    return RIGHT if found == "right" else found


def _shares_wrong(alone: dict, each: Groups) -> str:
    right = each.alone["right"]
    if _same(right, {name: value / 100 for name, value in alone.items()}):
        return "shares_in_per_cent"
    if _same({name: 1 - value for name, value in right.items()}, alone):
        return "those_in_company"
    if (
        all(value == int(value) and value <= PEOPLE for value in alone.values())
        and max(alone.values()) > 1
    ):
        return "counts_not_shares"
    wrong = (name for name, value in each.alone.items() if _same(value, alone))
    return next(wrong, "nobody_alone" if max(alone.values()) <= _NEAR else "other_shares")


QUESTION = Question(asks={"alone": dict, "k": int}, check=_check, task=_task, value=True)
