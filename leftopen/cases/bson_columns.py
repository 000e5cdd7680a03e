"""Rows of an Arrow table as BSON documents, made column by column.

A driver turns each row into a dictionary and each dictionary into bytes. Here Arrow joins the
pieces of all rows at once: lengths, names and values, in the order of the fields. The format is
that of https://bsonspec.org/spec.html, version 1.1.
"""

import functools
import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leftopen.errors import DataError

_TEXT, _DOCUMENT, _OBJECT_ID, _DATE, _INT32 = b"\x02", b"\x03", b"\x07", b"\x09", b"\x10"
_END = b"\x00"
_ID_BYTES = 12


@dataclass(frozen=True)
class Documents:
    """Documents of BSON, one after the other.

    Args:
        data: the bytes of all of them.
        starts: where each begins in `data`, and where the last one ends: one more than there are.
    """

    data: bytes
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def each(self) -> list[bytes]:
        """The documents, one by one."""
        starts = self.starts.tolist()
        return [self.data[a:b] for a, b in pairwise(starts)]

    def as_array(self) -> bytes:
        """The documents as an array of BSON, in which their numbers as text are the names."""
        ends = pa.py_buffer(self.starts.astype(np.int32))
        buffers = [None, ends, pa.py_buffer(self.data)]
        documents = pa.Array.from_buffers(pa.binary(), len(self), buffers)
        joined = pc.binary_join_element_wise(_names(len(self)), documents, b"")
        elements = b"".join(joined.buffers()[2:])[: pc.sum(pc.binary_length(joined)).as_py() or 0]
        return struct.pack("<i", len(elements) + 5) + elements + _END


@functools.lru_cache(maxsize=4)
def _names(count: int) -> pa.Array:
    """The head of each element of an array of documents."""
    heads = [_DOCUMENT + str(number).encode() + _END for number in range(count)]
    return pa.array(heads, pa.binary())


def encode(batch: pa.RecordBatch, ids: np.ndarray | None = None) -> Documents:
    """Make a document of each row, with the fields in the order of the columns.

    Args:
        batch: columns of int32, text, and points in time in milliseconds, none of them empty.
        ids: an array of bytes, of rows × 12: an ObjectId for each row, which becomes its first
            field, `_id`. None where `batch` has an `_id` of its own.

    Raises:
        DataError: a column is of another type, or has a row without a value.
    """
    rows = batch.num_rows
    sizes = np.full(rows, 5, dtype=np.int64)  # the length itself, and the zero at the end
    pieces: list[pa.Array | pa.Scalar] = []
    if ids is not None:
        if ids.shape != (rows, _ID_BYTES):
            raise DataError(f"{rows} rows need as many ids of {_ID_BYTES} bytes: give an array so.")
        sizes += _add(pieces, _OBJECT_ID, "_id", _of_width(ids, _ID_BYTES))
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if column.null_count:
            raise DataError(f"{field.name} has rows without a value: leave them out first.")
        if pa.types.is_int32(field.type):
            values = _of_width(column.to_numpy().astype("<i4"), 4)
            sizes += _add(pieces, _INT32, field.name, values)
        elif pa.types.is_timestamp(field.type) and field.type.unit == "ms":
            values = _of_width(column.cast(pa.int64()).to_numpy().astype("<i8"), 8)
            sizes += _add(pieces, _DATE, field.name, values)
        elif pa.types.is_string(field.type):
            # Text has its length in front and a zero behind, which the length counts.
            lengths = pc.binary_length(column).to_numpy() + 1
            sizes += _add(pieces, _TEXT, field.name, _of_width(lengths.astype("<i4"), 4))
            pieces += [column.cast(pa.binary()), pa.scalar(_END)]
            sizes += lengths
        else:
            raise DataError(f"{field.name} is of the type {field.type}, which is not known here.")
    whole = _of_width(sizes.astype("<i4"), 4)
    joined = pc.binary_join_element_wise(whole, *pieces, pa.scalar(_END), b"")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    data = joined.buffers()[2].to_pybytes()[: starts[-1]] if rows else b""
    return Documents(data, starts)


def _add(pieces: list, kind: bytes, name: str, values: pa.Array) -> int:
    """Add an element's type, name and values; return how many bytes that is in each document."""
    head = kind + name.encode() + _END
    pieces += [pa.scalar(head), values]
    return len(head) + (len(values[0].as_py()) if len(values) else 0)


def _of_width(values: np.ndarray, width: int) -> pa.Array:
    """The bytes of an array's rows, of `width` bytes each, as binary values."""
    ends = np.arange(0, (len(values) + 1) * width, width, dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)
