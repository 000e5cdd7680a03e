"""Linkage: how many people share what is known of one of them.

Sweeney, "Simple Demographics Often Identify People Uniquely" (2000), for the question; Sweeney,
"k-anonymity", IJUFKS 10 (2002), for k; Machanavajjhala and others, "l-diversity", TKDD 1 (2007),
for the distinct values of what is secret (the paper's simplest form).
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import polars as pl

from leftopen.errors import DataError
from leftopen.trace.frames import Frame, read, series_like


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
    frame = _read(people, columns)
    sizes = frame.select(pl.len().over(columns).alias("k"))["k"]
    groups = frame.select(pl.struct(columns).n_unique()).item()
    return Linkage(
        series_like(sizes, people), groups, float((sizes == 1).mean()), float((sizes < 5).mean())
    )


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
    frame = _read(people, [*columns, sensitive])
    counts = frame.select(pl.col(sensitive).n_unique().over(columns).alias("distinct"))["distinct"]
    return series_like(counts, people)


def _named(columns: Sequence[str] | str) -> list[str]:
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names:
        raise DataError("No column is named, so all people are alike. Name at least one.")
    return names


def _read(people: object, columns: list[str]) -> pl.DataFrame:
    return read(people, "people", columns)
