"""Rows as BSON, column by column: the bytes of the driver's own encoder, whatever the values."""

from datetime import UTC, datetime, timedelta

import bson
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leftopen.cases.bson_columns import encode
from leftopen.errors import DataError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("_id", pa.int32()),
        ("name", pa.string()),
        ("at", pa.timestamp("ms", tz="UTC")),
        ("ä place", pa.string()),
        ("x", pa.int32()),
    ]
)
INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(max_size=40)
MOMENT = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)
ROW = st.fixed_dictionaries({"_id": INT32, "name": TEXT, "at": MOMENT, "ä place": TEXT, "x": INT32})


def batch(rows, schema=SCHEMA):
    return pa.RecordBatch.from_pylist(rows, schema=schema)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROW, max_size=20))
def test_the_bytes_are_those_of_the_driver(rows):
    made = encode(batch(rows))
    expected = [bson.encode({name: row[name] for name in SCHEMA.names}) for row in rows]
    assert made.each() == expected
    assert made.data == b"".join(expected)
    assert len(made) == len(rows)
    by_driver = bson.encode({"array": [dict(bson.decode(document)) for document in expected]})
    assert by_driver == b"".join(
        [len(by_driver).to_bytes(4, "little"), b"\x04array\x00", made.as_array(), b"\x00"]
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(INT32, TEXT, st.binary(min_size=12, max_size=12)), max_size=20))
def test_an_object_id_comes_first(rows):
    schema = pa.schema([("person", pa.int32()), ("place", pa.string())])
    plain = [{"person": person, "place": place} for person, place, _ in rows]
    ids = np.frombuffer(b"".join(i for *_, i in rows), dtype=np.uint8).reshape(-1, 12)
    expected = [
        bson.encode({"_id": bson.ObjectId(i), **row})
        for (*_, i), row in zip(rows, plain, strict=True)
    ]
    assert encode(batch(plain, schema), ids).each() == expected


def test_a_part_of_a_larger_batch_is_that_part():
    rows = [
        {"_id": n, "name": "ä" * n, "at": EPOCH + timedelta(days=n), "ä place": "", "x": -n}
        for n in range(50)
    ]
    for start, stop in ((0, 50), (7, 8), (13, 44), (50, 50)):
        made = encode(batch(rows).slice(start, stop - start))
        assert made.each() == [bson.encode(row) for row in rows[start:stop]]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.timestamp("us"), pa.bool_()])
def test_another_type_is_refused(kind):
    with pytest.raises(DataError, match=r"^x is of the type \S+, which is not known here\.$"):
        encode(pa.record_batch([pa.array([1], pa.int64()).cast(kind)], names=["x"]))


def test_a_row_without_a_value_is_refused():
    with pytest.raises(DataError, match=r"^name has rows without a value"):
        encode(pa.record_batch([pa.array(["a", None])], names=["name"]))


@pytest.mark.parametrize("shape", [(1, 12), (2, 11), (3, 12)])
def test_ids_that_do_not_fit_are_refused(shape):
    with pytest.raises(DataError, match="2 rows need as many ids of 12 bytes"):
        encode(pa.record_batch([pa.array(["a", "b"])], names=["name"]), np.zeros(shape, np.uint8))
