"""Frames that somebody gives: read, checked, and turned into whole numbers that sort quickly."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from leftopen.errors import DataError

Ints = NDArray[np.int64]
Frame = TypeVar("Frame", pl.DataFrame, pd.DataFrame)
"""A frame of polars or of pandas; what comes back is of the same kind."""

WORD = 63
"""Bits of a whole number that is not negative."""
MOST_BITS = 31
"""Bits that an axis needs at most, as there are fewer rows than that."""

_FEW = 1_000
_TABLE_BITS = 24  # up to here a table of all numbers is smaller than what is sorted


def read(given: object, what: str, columns: Sequence[str]) -> pl.DataFrame:
    """The given frame as one of polars, with the wanted columns alone.

    Args:
        given: a frame of polars or pandas, or an Arrow table.
        what: what its rows are, in the plural.
        columns: which columns it needs.

    Raises:
        DataError: it is no frame, has no rows, lacks a column, or has empty values in one.
    """
    if isinstance(given, pl.LazyFrame):
        names = given.collect_schema().names()
    elif isinstance(given, pl.DataFrame | pd.DataFrame):
        names = list(given.columns)
    elif isinstance(given, pa.Table):
        names = given.column_names
    else:
        raise DataError(
            f"These {what} are a {type(given).__name__}. Give a frame of pandas or polars."
        )
    columns = list(dict.fromkeys(columns))
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(
            f"These {what} have no column {_words(missing)}. Give a frame with the "
            f"column{'s' * (len(columns) > 1)} {_words(columns)}."
        )
    if isinstance(given, pd.DataFrame):
        frame = pl.from_pandas(given[columns])
    elif isinstance(given, pa.Table):
        frame = pl.DataFrame(pl.from_arrow(given.select(columns)))
    else:
        frame = given.lazy().select(columns).collect()
    if frame.is_empty():
        raise DataError(f"There are no {what} here: the frame is empty. Give one with rows.")
    empty = [name for name in columns if frame[name].null_count()]
    if empty:
        raise DataError(
            f"Some {what} have nothing in the column {_words(empty)}. Leave those rows out first."
        )
    return frame


def like(
    made: pl.DataFrame, given: object, *, same_rows: bool = False
) -> pl.DataFrame | pd.DataFrame:
    """What was made, as pandas if that was given; with its index if the rows are the same."""
    if not isinstance(given, pd.DataFrame):
        return made
    return made.to_pandas().set_axis(given.index) if same_rows else made.to_pandas()


def series_like(made: pl.Series, given: object) -> pl.Series | pd.Series:
    """A value for each row of the given frame; for pandas, with its index."""
    if isinstance(given, pd.DataFrame):
        return pd.Series(made.to_numpy(), index=given.index, name=made.name)
    return made


def microseconds(times: pl.Series) -> pl.Series:
    """Times as microseconds since 1970.

    Raises:
        DataError: the column holds none.
    """
    if not times.dtype.is_temporal() or times.dtype in (pl.Time, pl.Duration):
        raise DataError(
            f"The column {times.name} holds {times.dtype} and no times. Turn them into times "
            "first, as pandas.to_datetime does."
        )
    return times.dt.epoch("us")


class Axis(NamedTuple):
    """The values of a column as whole numbers from 0, in the order of the values."""

    code: Ints
    """A number for each row."""
    bits: int
    """How many bits the largest needs: 31 at most, so two axes fit into one number."""
    least: int = 0
    step: int = 1
    values: np.ndarray | None = None
    """What the numbers stand for; without it, number n is ``least + n * step``."""

    def of(self, code: Ints) -> np.ndarray:
        """The values that some numbers stand for."""
        return self.least + self.step * code if self.values is None else self.values[code]

    def number(self, code: Ints) -> Ints:
        """As :meth:`of`, but a number also where the values are none: to draw from."""
        value = self.of(code)
        return value if np.issubdtype(value.dtype, np.integer) else code


def axis(column: pl.Series) -> Axis:
    """Number the values of a column, by subtraction if they are whole numbers in a small range."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype.is_temporal():
        column = column.to_physical()
    if column.dtype.is_integer():
        return _numbered(column.to_numpy().astype(np.int64))
    values = column.unique().sort()
    if column.dtype == pl.String:
        code = column.cast(pl.Enum(values)).to_physical()
    else:
        code = column.rank("dense") - 1
    return Axis(code.to_numpy().astype(np.int64), bits_for(len(values)), values=values.to_numpy())


def _numbered(number: Ints) -> Axis:
    least = int(number.min())
    if int(number.max()) - least >= 2**WORD:
        values, code = dense(number, WORD)
        return Axis(code, bits_for(len(values)), values=values)
    number -= least
    step = _step(number)
    if step > 1:
        number //= step
    bits = bits_for(int(number.max()) + 1)
    if bits <= MOST_BITS:
        return Axis(number, bits, least, step)
    values, code = dense(number, bits)
    return Axis(code, bits_for(len(values)), values=least + step * values)


def joined(*axes: Axis) -> Ints | None:
    """One number for each row that sorts as the columns do, the first one first.

    Returns:
        None if 63 bits are too few for it.
    """
    if sum(each.bits for each in axes) > WORD:
        return None
    key = axes[0].code
    for each in axes[1:]:
        key = (key << each.bits) | each.code
    return key


def parted(key: Ints, *axes: Axis) -> list[Ints]:
    """The numbers of each column, out of what :func:`joined` made of them."""
    codes = []
    for each in reversed(axes):
        codes.append(key & ((1 << each.bits) - 1))
        key = key >> each.bits
    return codes[::-1]


def dense(code: Ints, bits: int) -> tuple[Ints, Ints]:
    """The distinct numbers in order, and for each given one its place among them.

    Args:
        code: whole numbers, not negative.
        bits: how many bits the largest needs at most.
    """
    if bits > _TABLE_BITS:
        values, place = np.unique(code, return_inverse=True)
        return values, place.astype(np.int64)
    there = np.zeros(1 << bits, dtype=bool)
    there[code] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[code]


def starts(sorted_values: np.ndarray) -> Ints:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.concatenate(([True], sorted_values[1:] != sorted_values[:-1])))


def _step(code: Ints) -> int:
    """The largest step of which all numbers are multiples; 1 if all are 0."""
    step, rest = 0, code
    while len(rest):
        step = int(np.gcd.reduce(rest[:_FEW], initial=step))
        if step == 1:
            break
        rest = rest[rest % step != 0] if step else rest[_FEW:]
    return max(1, step)


def bits_for(count: int) -> int:
    """How many bits the numbers from 0 to below ``count`` need."""
    return max(1, (count - 1).bit_length())


def _words(names: Sequence[str]) -> str:
    return ", ".join(map(str, names))
