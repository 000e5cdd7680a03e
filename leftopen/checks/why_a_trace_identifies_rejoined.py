"""Exercise 05, question 3: how traces that were broken off are put together again.

A part of the pseudonym tells the person if rows with the same part are one person's trace. So each
part that stands in a fixed place is tried: it need not be the number as it was written, only the
same for all rows of a person. New pseudonyms have to be drawn by lot in each call: what is the same
in a second one can be made again by whoever has the code. So does the order of the rows.
"""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from leftopen.checks.why_a_trace_identifies_release import (
    HOUR,
    PEOPLE,
    Town,
    bits,
    traces,
)

_WHOLE = 0.7  # with so many of the traces in it, a release has not broken them off
_BACK = 0.5  # of the traces that the pseudonym does not keep, a part of it brings back so many
_WIDE = 12  # characters of a number in any usual notation: 1,500 has eleven binary digits
_LONGEST = 160  # characters of a pseudonym that are looked at
_PARTS = 6  # of a pseudonym that has words or runs of digits
_MANY = 100  # values of a column that could stand for people
_STEPS = (24, 60, PEOPLE, PEOPLE + 1, *(10**n for n in range(1, 13)), *(2**n for n in range(1, 41)))
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_AGAIN_SAME = 0.98  # by lot, numbers from 1 within the hour are the same for far fewer


def come_back(who: np.ndarray, points: np.ndarray, of: Town) -> float:
    """The share of a town's traces that are there when rows of one value are one person's."""
    found, often = traces(who, points)
    true, people = of.traces
    _, here, there = np.intersect1d(found, true, assume_unique=True, return_indices=True)
    return float(np.minimum(often[here], people[there]).sum() / people.sum())


def kept(rows: pd.DataFrame, of: Town) -> float:
    """The share of the town's traces that the column ``person`` keeps."""
    return come_back(pd.factorize(rows["person"])[0], bits(rows, of.places), of)


def whole(rows: pd.DataFrame, of: Town) -> bool:
    """Whether most traces are kept as they were."""
    return kept(rows, of) > _WHOLE


def _slices(text: list[str]) -> Iterator[np.ndarray]:
    """A number for each run of characters: from the left, from the right, and between both.

    Where all texts are equally long, these are the same.
    """
    width, shortest = max(map(len, text)), min(map(len, text))
    for side in (str.ljust, str.rjust):
        made = np.array([side(each, width) for each in text])
        columns = made.view(np.uint32).reshape(len(text), width).astype(np.uint64).T
        for start in range(width):
            code = np.zeros(len(text), np.uint64)
            for column in columns[start : start + _WIDE]:
                code = code * _PRIME + column
                yield code
        if width == shortest:
            return
    left = np.array([each.ljust(width) for each in text])
    columns = left.view(np.uint32).reshape(len(text), width).astype(np.uint64).T
    ends = np.array([len(each) for each in text])
    for cut in range(shortest):
        code = np.zeros(len(text), np.uint64)
        for start in range(width - cut - 1, -1, -1):
            code = np.where(start < ends - cut, code * _PRIME + columns[start], code)
            if start < shortest - cut and start + _WIDE >= width - cut:
                yield code


def _words(text: list[str]) -> Iterator[np.ndarray]:
    """A number for each word and each run of digits or letters, from the left and the right."""
    for pattern in (r"[^\W_]+", r"\d+|[^\W\d_]+"):
        parts = [re.findall(pattern, each) for each in text]
        most = min(_PARTS, max(map(len, parts)))
        for place in (*range(most), *range(-most, 0)):
            has = [each[place] if -len(each) <= place < len(each) else "" for each in parts]
            yield pd.factorize(np.array(has, dtype=object))[0]


def _whole_numbers(values: pd.Series) -> np.ndarray | None:
    """The values as whole numbers, if they are."""
    text = values.astype(str)
    return text.astype("int64").to_numpy() if text.str.fullmatch(r"-?\d{1,18}").all() else None


def parts(values: pd.Series) -> Iterator[np.ndarray]:
    """For each row a number that stands for one part of its value, part after part."""
    text = [each[:_LONGEST] for each in values.astype(str)]
    yield from _slices(text)
    yield from _words(text)
    if (number := _whole_numbers(values)) is not None:
        for step in _STEPS:
            yield number // step
            yield number % step


def _shifted_back(rows: pd.DataFrame, of: Town) -> Iterator[np.ndarray]:
    """Whole numbers less what was added to all of their hour, if they are sums of that sort."""
    number = _whole_numbers(rows["person"])
    if number is None:
        return
    seen = of.wanted[of.wanted["place"].isin(rows["place"])]
    real = seen.groupby(HOUR)["person"].unique()

    def less(given: pd.Series) -> pd.Series:
        there = real.get(given.name, np.zeros(1, "int64"))
        added, often = np.unique(np.subtract.outer(given.unique(), there), return_counts=True)
        return given - added[often.argmax()]

    yield pd.Series(number).groupby(rows[HOUR]).transform(less).to_numpy()


def put_together(rows: pd.DataFrame, of: Town) -> str:
    """How cut traces come back, or nothing: a number that stayed, or the order of the rows.

    Args:
        rows: a release, at the places that count.
        of: the town that it is of.
    """
    least = _BACK + (1 - _BACK) * kept(rows, of)
    once = rows.drop_duplicates(["person", "place", HOUR], ignore_index=True)
    within = (rows["at"] - rows["at"].dt.floor("h")).dt.total_seconds()
    beside = [each for each in (within, rows.get("tracker")) if each is not None]
    tried = [(rows, parts(each)) for each in beside if each.nunique() > _MANY]
    tried += [(once, parts(once["person"])), (once, _shifted_back(once, of))]
    for those, numbers in tried:
        points = bits(those, of.places)
        if any(come_back(each, points, of) > least for each in numbers):
            return "number_left"
    for those in (rows, _by_pseudonym(rows)):
        run = (those[HOUR] < those[HOUR].shift()).cumsum().to_numpy()  # in each, time goes on
        if come_back(run, bits(those, of.places), of) > least:
            return "order_tells"
    return ""


def _by_pseudonym(rows: pd.DataFrame) -> pd.DataFrame:
    place = pd.factorize(rows["person"], sort=True)[0]
    return rows.iloc[np.argsort(place, kind="stable")]


# -- by lot ----------------------------------------------------------------------------------------


def _pseudonyms(rows: pd.DataFrame) -> set[tuple]:
    return set(zip(rows["place"], rows[HOUR], rows["person"].astype(str), strict=True))


def _numbering(rows: pd.DataFrame) -> bool:
    """Whether the people of an hour are numbered one after another, which tells no number."""
    number = pd.to_numeric(rows["person"], errors="coerce")
    for columns in ([HOUR], [HOUR, "place"]):
        found = number.groupby([rows[column] for column in columns]).agg(["min", "max", "nunique"])
        if (found["max"] - found["min"] + 1 == found["nunique"]).all():
            return True
    return False


def not_by_lot(rows: pd.DataFrame, again: pd.DataFrame, of_half: pd.DataFrame) -> str:
    """How the pseudonyms are made, if it is not by lot in each call, or nothing.

    Args:
        rows: what the function made of a town, at the places that count.
        again: what it made of the same town in another call.
        of_half: what it made of half of its people.
    """
    first = _pseudonyms(rows)
    for name, other in (("computed_from_the_number", of_half), ("same_again", again)):
        found = _pseudonyms(other)
        if found and len(found & first) >= _AGAIN_SAME * len(found) and not _numbering(rows):
            return name
    return ""


# -- the order of the rows -------------------------------------------------------------------------


def order_of_the_log(rows: pd.DataFrame, of: Town) -> bool:
    """Whether the rows, forwards or backwards, or their numbers go on as people were seen.

    Within an hour, places then follow each other as they do in the log. By lot they do not.
    """
    said = ["place", HOUR]
    log = of.wanted
    as_seen = [log, log.drop_duplicates(["person", *said])]
    as_seen.append(log.drop_duplicates(["person", "tracker", *said]))
    in_log = [each[said].reset_index(drop=True) for each in as_seen]
    orders = (rows, rows[::-1], _by_pseudonym(rows))
    given = [each[said].reset_index(drop=True) for each in orders]
    return any(_alike(one, other) for one in given for other in in_log)


def _alike(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return len(one) == len(other) and (one.to_numpy() == other.to_numpy()).all()


def order_again(rows: pd.DataFrame, again: pd.DataFrame) -> bool:
    """Whether a second call gave the same order, and it is not that of what the rows say.

    Rows that say the same stand together where all columns but the person sort them. Which of them
    is whose tells the order all the same, if people have several: by lot that is never repeated.
    """
    columns = [column for column in ("place", "tracker", HOUR) if column in rows]
    said, said_again = (each[columns] for each in (rows, again))
    whose, whose_again = (
        pd.factorize(pd.MultiIndex.from_frame(each[[*columns, "person"]]))[0]
        for each in (rows, again)
    )
    if not _alike(said, said_again) or (whose != whose_again).any():
        return False
    changes = (said != said.shift()).any(axis=1).sum()  # the first row is one
    repeated = len(rows) - len(set(whose))
    return bool(changes > len(said.drop_duplicates()) or repeated > _MANY)
