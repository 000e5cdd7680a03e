"""Linkage: how many people share what is known of one of them.

Sweeney, "Simple Demographics Often Identify People Uniquely" (2000), for the question; Sweeney,
"k-anonymity", IJUFKS 10 (2002), for k; Machanavajjhala and others, "l-diversity", TKDD 1 (2007),
for the distinct values of what is secret (the paper's simplest form).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl

from leftopen.errors import DataError
from leftopen.trace.frames import (
    WORD,
    Frame,
    Ints,
    axis,
    bits_for,
    dense,
    read,
    series_like,
    starts,
)


class Linkage(NamedTuple):
    """How many share the columns with each person."""

    k: pl.Series | pd.Series
    """For each person, in the order of the rows, how many have the same values: 1 is alone."""
    groups: int
    """How many different combinations there are."""
    unique: float
    """The share of people who are alone, 0 to 1."""
    under_5: float
    """The share of people with k below 5, 0 to 1."""


def linkage(people: Frame, columns: Sequence[str] | str) -> Linkage:
    """Count, for each person, how many share the values of some columns.

    Args:
        people: a row for each person.
        columns: what somebody knows of a person, as ``["quarter", "birthday", "sex"]``.

    Raises:
        DataError: the frame is empty or lacks a column, or no column is named.
    """
    columns = _named(columns)
    group = _groups(read(people, "people", columns), columns)
    sizes = np.bincount(group)
    k = sizes[group]
    unique, under_5 = (float(np.count_nonzero(k < limit)) / len(k) for limit in (2, 5))
    return Linkage(series_like(pl.Series("k", k), people), len(sizes), unique, under_5)


def distinct(people: Frame, columns: Sequence[str] | str, sensitive: str) -> pl.Series | pd.Series:
    """Count, for each person, the values of a secret among those who share some columns.

    Where it is 1, whoever knows the columns knows the secret too, however large the group is.

    Args:
        people: a row for each person.
        columns: what somebody knows of a person.
        sensitive: the column that is secret.

    Returns:
        A number for each person, in the order of the rows.

    Raises:
        DataError: the frame is empty or lacks a column, or no column is named.
    """
    columns = _named(columns)
    frame = read(people, "people", [*columns, sensitive])
    group, secret = _groups(frame, columns), axis(frame[sensitive])
    pairs = np.sort((group << secret.bits) | secret.code)
    values = np.bincount(pairs[starts(pairs)] >> secret.bits)
    return series_like(pl.Series("distinct", values[group]), people)


def _groups(frame: pl.DataFrame, columns: list[str]) -> Ints:
    """For each row the number of its combination of values, from 0; each number is given."""
    group, bits = np.zeros(len(frame), dtype=np.int64), 0
    for column in map(axis, frame[columns]):
        if bits + column.bits > WORD:
            values, group = dense(group, bits)
            bits = bits_for(len(values))
        group, bits = (group << column.bits) | column.code, bits + column.bits
    return dense(group, bits)[1]


def _named(columns: Sequence[str] | str) -> list[str]:
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names:
        raise DataError("No column is named, so all people are alike. Name at least one.")
    return names
