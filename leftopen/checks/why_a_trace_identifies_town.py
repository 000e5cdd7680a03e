"""Exercise 05: the invented towns of its questions, and the tables that a learner's function gives.

Positions come in the order of time, as a log has them, so that their order tells no person.
"""

import functools
from collections.abc import Sequence

import pandas as pd
import polars as pl
import pyarrow as pa

from leftopen.checks.probe import BadAnswer
from leftopen.synth import sensenets


@functools.lru_cache(maxsize=8)
def positions(seed: int, people: int, rows: int) -> pd.DataFrame:
    """The positions of a town, in the order of time; not to be changed in place."""
    made = sensenets.sample(seed, people=people, positions=rows).positions.to_pandas()
    return made.sort_values("at", kind="stable", ignore_index=True)


def as_pandas(given: object, name: str) -> pd.DataFrame:
    """What a learner's function gave, as a frame of pandas without its index.

    Args:
        given: a frame of pandas or polars, or an Arrow table.
        name: the function's name, for the message.

    Raises:
        BadAnswer: it is none of these.
    """
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if isinstance(given, pl.DataFrame | pa.Table):
        given = given.to_pandas()
    if not isinstance(given, pd.DataFrame):
        raise BadAnswer(
            f"`{name}` returned a {type(given).__name__}. Return a frame of pandas or polars"
        )
    return given.reset_index(drop=True)


def must_have(frame: pd.DataFrame, name: str, columns: Sequence[str]) -> None:
    """Refuse a frame that lacks a column.

    Raises:
        BadAnswer: one is missing.
    """
    if missing := [column for column in columns if column not in frame.columns]:
        has = ", ".join(map(str, frame.columns)) or "none"
        raise BadAnswer(
            f"The table that `{name}` returned has no column {', '.join(missing)}; it has {has}. "
            "If a group-by has made an index of it, reset_index() makes it a column again"
        )
