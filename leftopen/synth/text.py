"""Fixed-width text made as byte matrices, one row each, and handed to Arrow without a copy."""

from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leftopen.synth.draws import Ints, Words

Bytes = NDArray[np.uint8]

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def _every_four(characters: Bytes) -> Bytes:
    """Return all strings of four of `characters`, in order, one a row."""
    places = np.meshgrid(*[characters] * 4, indexing="ij")
    return np.stack(places, axis=-1).reshape(-1, 4)


FOUR_DIGITS = _every_four(_HEX[:10])
"""The strings 0000 to 9999."""
# Four characters at a time are looked up and stored as one 32-bit number.
_FOUR_DIGITS, _FOUR_HEX = FOUR_DIGITS.view("<u4").ravel(), _every_four(_HEX).view("<u4").ravel()


def rows(template: bytes, count: int) -> Bytes:
    """Return `count` copies of `template` as a (count, width) matrix to fill in."""
    filled = bytearray(template) * count
    return np.frombuffer(filled, dtype=np.uint8).reshape(count, len(template))


def put(matrix: Bytes, at: int, values: NDArray) -> None:
    """Store one number of 4 or 8 bytes per row at byte `at`, as it lies in memory."""
    field = {"names": ["x"], "formats": [values.dtype], "offsets": [at]}
    whole = np.dtype(field | {"itemsize": matrix.shape[1]})
    matrix.view(whole)["x"][:, 0] = values


def put_digits(matrix: Bytes, at: int, numbers: Ints) -> None:
    """Write `numbers` (0 to 9999) as four digits at byte `at` of each row."""
    put(matrix, at, _FOUR_DIGITS[numbers])


def put_hex(matrix: Bytes, at: int, drawn: Words) -> None:
    """Write each 64-bit word as sixteen hexadecimal digits at byte `at` of its row."""
    quarters = np.ascontiguousarray(drawn, dtype="<u8").view("<u2")
    halves = _FOUR_HEX[quarters].view("<u8")
    put(matrix, at, halves[::2])
    put(matrix, at + 8, halves[1::2])


def to_arrow(matrix: Bytes) -> pa.StringArray:
    """Return the rows as an Arrow string column that shares the matrix's memory."""
    count, width = matrix.shape
    ends = np.arange(0, (count + 1) * width, width, dtype=np.int32)[: count + 1]
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(matrix))


def table(columns: dict[str, pa.Array], nullable: Collection[str] = ()) -> pa.Table:
    """Return the columns as a table in which nothing may be missing but in those `nullable`."""
    fields = [pa.field(name, column.type, name in nullable) for name, column in columns.items()]
    return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))


def strings(names: Iterable[str]) -> pa.StringArray:
    """Return a column of strings of any width."""
    encoded = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    parts = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), parts)


def choices(codes: Ints, names: pa.StringArray) -> pa.DictionaryArray:
    """Return a column in which each code stands for the name at that place."""
    places = _column(pa.int16(), codes.astype(np.int16))
    return pa.DictionaryArray.from_arrays(places, names)


def numbers(values: Ints) -> pa.Array:
    """Return a column of 32-bit whole numbers."""
    return _column(pa.int32(), values.astype(np.int32))


def instants(milliseconds: Ints) -> pa.Array:
    """Return milliseconds since 1970 as UTC timestamps, the precision that BSON keeps."""
    return _column(pa.timestamp("ms", tz="UTC"), milliseconds)


def big_numbers(values: Ints) -> pa.Array:
    """Return a column of 64-bit whole numbers."""
    return _column(pa.int64(), values)


def days(since_1970: Ints) -> pa.Array:
    """Return days since 1970 as dates."""
    return _column(pa.date32(), since_1970.astype(np.int32))


def where(present: NDArray, column: pa.Array) -> pa.Array:
    """Return the column with nothing where `present` is False."""
    bits = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(column.type, len(column), [bits, *column.buffers()[1:]])


def _column(kind: pa.DataType, values: NDArray) -> pa.Array:
    # pa.array() would import pandas: a third of a second and 40 MiB, to look whether it is used.
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
