"""What a deterministic column tells without its key.

Each value has one ciphertext, so the counts of the ciphertexts are the counts of the values, and
public statistics of the same thing name them: frequency analysis, as in Naveed, Kamara and Wright,
"Inference Attacks on Property-Preserving Encrypted Databases", CCS 2015. The commonest ciphertext
stands for the value that the statistics call commonest, the next one for the next. By the
rearrangement inequality no other assignment has a smaller sum of squared differences between the
two lists of counts.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from leftopen.errors import DataError
from leftopen.synth.identifiers import FIRST_DATE
from leftopen.synth.people import SEXES
from leftopen.synth.quarter import FRIDAY, Quarter, make_quarter, residents_table

RESIDENTS = 2_000
"""How many people live in an invented district."""

_ANOTHER_YEAR = 2**63  # what is added to a district's seed for the statistics of another year
_YEAR_DAYS = 365.25
_AGES = ("0 to 5", "6 to 17", "18 to 39", "40 to 61", "62 or more")
_AGE_BEGINS = (6, 18, 40, 62)


def match(sealed: Iterable[bytes], public: Mapping[str, float]) -> dict[bytes, str]:
    """Name each ciphertext by its rank: the commonest is the value that is commonest in public.

    Those of the same frequency stand in the order in which they first come.

    Args:
        sealed: the column, a ciphertext a row.
        public: value -> how common it is elsewhere; counts or shares.

    Returns:
        Ciphertext -> value. If there are more ciphertexts than values, the rarest have no name.
    """
    ranked = (name for name, _ in Counter(sealed).most_common())
    return dict(zip(ranked, sorted(public, key=public.__getitem__, reverse=True), strict=False))


def recovered(
    sealed: Sequence[Hashable], truth: Sequence[str], public: Mapping[str, float]
) -> float:
    """The share of the rows that :func:`match` names rightly, 0 to 1.

    Among those of the same frequency the order is a matter of luck. So this is the mean over all
    such orders: it depends neither on the key nor on the order of the rows.

    Args:
        sealed: the column, a ciphertext a row.
        truth: what each row holds.
        public: value -> how common it is elsewhere; counts or shares.

    Raises:
        DataError: the two columns differ in length, or a ciphertext stands for two values.
    """
    rows = Counter(zip(sealed, truth, strict=False))
    if len(sealed) != len(truth) or len({one for one, _ in rows}) != len(rows):
        raise DataError(
            "These are no column and its ciphertexts: each row needs both, and one ciphertext "
            "can stand for one value alone."
        )
    here = _ranks(list(rows.values()))
    there = dict(zip(public, _ranks(list(public.values())), strict=True))
    right = 0.0
    for ((_, value), count), (first, after) in zip(rows.items(), here, strict=True):
        low, high = there.get(value, (0, 0))
        if (shared := min(high, after) - max(low, first)) > 0:
            right += count * shared / ((high - low) * (after - first))
    return right / len(truth)


def beside(
    sealed: Sequence[bytes], truth: Sequence[str], public: Mapping[str, float]
) -> pd.DataFrame:
    """Each ciphertext beside its name: what it is in truth, how it is named, and both counts."""
    names, real = match(sealed, public), dict(zip(sealed, truth, strict=True))
    found = [
        (real[one], names.get(one), count, public.get(names.get(one)))
        for one, count in Counter(sealed).most_common()
    ]
    return pd.DataFrame(found, columns=["in truth", "named", "here", "in public"])


def percent(table: pd.DataFrame) -> pd.DataFrame:
    """A table of shares in percent, with two decimals; the number of ``values`` stays."""
    shares = {name: (100 * table[name]).round(2) for name in table if name != "values"}
    return table.assign(**shares)


def guessed(truth: Sequence[str], public: Mapping[str, float]) -> float:
    """The share of the rows that are right when the commonest value is named for everybody.

    It takes no ciphertext at all, so only what :func:`recovered` has above it is a leak.
    """
    commonest = max(public, key=public.__getitem__)
    return sum(value == commonest for value in truth) / len(truth)


def confused(
    sealed: Sequence[bytes], truth: Sequence[str], public: Mapping[str, float]
) -> list[str]:
    """The values that :func:`match` takes for others, the commonest first."""
    names = beside(sealed, truth, public)
    return names[names["in truth"] != names["named"]]["in truth"].tolist()


def by_length(
    sealed: Sequence[bytes],
    truth: Sequence[str],
    public: Mapping[str, float],
    sizes: Mapping[str, int],
) -> float:
    """The share of the rows that are right when each is named by the length of its ciphertext.

    It gets the commonest value whose ciphertext is as long. No two ciphertexts need be equal.

    Args:
        sealed: the column, a ciphertext a row.
        truth: what each row holds.
        public: value -> how common it is elsewhere; counts or shares.
        sizes: value -> bytes of its ciphertext, which whoever knows the cipher can compute.
    """
    commonest: dict[int, str] = {}
    for value in sorted(public, key=public.__getitem__, reverse=True):
        commonest.setdefault(sizes[value], value)
    named = (commonest.get(len(one)) for one in sealed)
    return sum(one == other for one, other in zip(named, truth, strict=True)) / len(truth)


class District(NamedTuple):
    """An invented district, and what is published of such districts."""

    people: pd.DataFrame
    """A row for each resident; the columns are those of `public`, all text."""
    public: dict[str, dict[str, int]]
    """Column -> value -> how common it is.

    Most come from another invented year, so from other people. Of the houses everybody can count
    the flats. Of the identity numbers it is known that each belongs to one person.
    """


def district(seed: int, residents: int = RESIDENTS) -> District:
    """Return an invented district; the same seed gives the same one.

    Args:
        seed: which district, 0 to 2**63 - 1.
        residents: how many people live there, 1 to 30,000.
    """
    columns, public = _district(seed, residents)
    return District(pd.DataFrame(columns), public)


def rates(
    people: Mapping[str, Iterable[str]],
    sealed: Mapping[str, Iterable[Hashable]],
    public: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """Recover each column; a row for each, with its number of ``values``, and two shares, 0 to 1.

    The shares are ``guessed``, as of :func:`guessed`, and ``recovered``, as of :func:`recovered`.

    Args:
        people: column -> what each row holds.
        sealed: column -> the ciphertext of each row.
        public: column -> value -> how common it is elsewhere.

    Raises:
        DataError: as for :func:`recovered`.
    """
    found = {}
    for name, shares in public.items():
        truth = list(people[name])
        share = recovered(list(sealed[name]), truth, shares)
        found[name] = len(set(truth)), guessed(truth, shares), share
    heads = ["values", "guessed", "recovered"]
    return pd.DataFrame.from_dict(found, orient="index", columns=heads)


def trial(districts: Iterable[int]) -> pd.DataFrame:
    """Recover each column of many invented districts; a row for each column.

    The plain values stand for their ciphertexts, which have the same counts.

    Args:
        districts: the seeds.

    Returns:
        The columns of :func:`rates`, with the median of ``values`` and the means of the shares,
        and ``whole``: in what share of the districts every row was recovered, 0 to 1.
    """
    drawn = (_district(seed, RESIDENTS) for seed in districts)
    every = pd.concat(rates(columns, columns, public) for columns, public in drawn)
    every["whole"] = every["recovered"] > 1 - 1e-9
    told = every.groupby(level=0, sort=False)
    return told.mean().assign(values=told["values"].median().astype(int))


def _district(seed: int, residents: int) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    quarter = make_quarter(seed, 0, residents, 1)
    columns = _columns(quarter)
    later = _columns(make_quarter(seed + _ANOTHER_YEAR, 0, residents, 1))
    public = {name: dict(Counter(column)) for name, column in later.items()}
    public["house"] = dict(zip(quarter.houses, quarter.house_flats.tolist(), strict=True))
    numbers = residents_table(quarter)["id_number"].to_pylist()
    columns["identity number"] = numbers
    public["identity number"] = dict.fromkeys(numbers, 1)
    return columns, public


def _ranks(counts: Sequence[float]) -> list[tuple[int, int]]:
    """The ranks that each entry can have: the first, and one past the last."""
    rising = np.sort(counts)
    first = len(counts) - np.searchsorted(rising, counts, side="right")
    after = len(counts) - np.searchsorted(rising, counts, side="left")
    return list(zip(first.tolist(), after.tolist(), strict=True))


def _columns(quarter: Quarter) -> dict[str, list[str]]:
    """What is known of each resident, from few values to many."""
    born = quarter.born + np.datetime64(FIRST_DATE)
    months = born.astype("M8[M]")
    year = born.astype("M8[Y]").astype(int) + 1970
    age = (np.datetime64(FRIDAY) - born).astype(int) / _YEAR_DAYS
    numbers = {
        "people in the flat": np.bincount(quarter.flat)[quarter.flat],
        "decade of birth": year // 10 * 10,
        "month of birth": months.astype(int) % 12 + 1,
        "house": quarter.flat_house[quarter.flat],
        "day of birth": (born - months).astype(int) + 1,
        "year of birth": year,
    }
    text = {name: [str(number) for number in column.tolist()] for name, column in numbers.items()}
    text["house"] = [quarter.houses[number] for number in numbers["house"].tolist()]
    return {
        "car": [("no", "yes")[car] for car in quarter.car.tolist()],
        "sex": [SEXES[female] for female in quarter.female.tolist()],
        "age band": [_AGES[band] for band in np.searchsorted(_AGE_BEGINS, age, side="right")],
        **text,
    }
