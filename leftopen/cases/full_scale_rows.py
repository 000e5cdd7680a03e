"""The files of the full scale, read in groups of rows as documents of BSON, in a fixed order.

People and trackers come in the order of their `_id`, positions in the order of time, as they came
in. A position's `_id` is an ObjectId made of its second, of the data set, and of its number in
that order, so the same file always gives the same documents, byte for byte.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bson
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leftopen.cases.bson_columns import Documents, encode
from leftopen.errors import DataError

GROUP = 20_000
"""How many documents are read, sent and compared at once: 2 to 6 MB, of the 48 MB of a message."""
COLUMNS = {
    "trackers": "_id name kind x y",
    "people": "_id name idNumber idIssued idExpires sex group homeAddress birthday photo employer",
    "positions": "person tracker at place",
}
"""The collections, the smallest first, and the columns of their files."""
MOST_POSITIONS = 2**24
"""The number within an ObjectId has three bytes."""

_COMMAND = "leftopen data sensenets"
_AGAIN = "Make the town first, with full_scale(), then run this cell again."


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Args:
        name: of the collection; the file has the same one.
        path: of the file.
        count: how many rows it has.
        mark: five bytes that stand for this data set in an ObjectId.
    """

    name: str
    path: Path
    count: int
    mark: bytes

    def groups(self, start: int = 0) -> Iterator[Documents]:
        """The documents from row `start` on, at most `GROUP` at a time.

        Raises:
            DataError: the file is damaged, or its columns are not those of this case.
        """
        with _readable(self.path):
            if self.name == "positions":
                yield from self._in_time(start)
            else:
                yield from self._as_written(start)

    def _as_written(self, start: int) -> Iterator[Documents]:
        at = 0
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(GROUP):
                skipped = min(max(start - at, 0), len(batch))
                at += len(batch)
                if skipped < len(batch):
                    yield _encoded(batch.slice(skipped))

    def _in_time(self, start: int) -> Iterator[Documents]:
        # `place` as numbers of its few words; the order of the file decides between equal times.
        with pq.ParquetFile(self.path, read_dictionary=["place"]) as file:
            table = file.read().combine_chunks()
        times = table["at"].cast(pa.int64()).to_numpy()
        order = np.argsort(times, kind="stable")
        place = table.schema.get_field_index("place")
        text = table.schema.set(place, pa.field("place", pa.string()))
        for first in range(start, len(order), GROUP):
            chosen = order[first : first + GROUP]
            rows = table.take(chosen).cast(text).combine_chunks().to_batches()[0]
            yield _encoded(rows, self._ids(times[chosen], first))

    def _ids(self, times: np.ndarray, first: int) -> np.ndarray:
        """An ObjectId for each: four bytes of seconds, five of the data set, three of a number."""
        ids = np.empty((len(times), 12), dtype=np.uint8)
        numbers = np.arange(first, first + len(times), dtype=">u4")
        ids[:, :4] = (times // 1000).astype(">u4").view(np.uint8).reshape(-1, 4)
        ids[:, 4:9] = np.frombuffer(self.mark, dtype=np.uint8)
        ids[:, 9:] = numbers.view(np.uint8).reshape(-1, 4)[:, 1:]
        return ids


def find(folder: Path) -> list[Rows]:
    """The three files of a folder, the smallest first.

    Raises:
        DataError: one is missing, damaged, or not of the same town as the others.
    """
    paths = [folder / f"{name}.parquet" for name in COLUMNS]
    for path in paths:
        if not path.is_file():
            raise DataError(f"There is no {path.name} in {folder}. {_AGAIN}")
    stamps, counts = set(), []
    for path in paths:
        with _readable(path):
            about = pq.read_metadata(path)
            stamp = json.loads(about.metadata[b"leftopen"])
            stamps.add(json.dumps(stamp, sort_keys=True))
            if stamp["command"] != _COMMAND or stamp[path.stem] != about.num_rows:
                raise ValueError(f"{about.num_rows} rows of {stamp}")
            if about.schema.names != COLUMNS[path.stem].split():
                raise ValueError(f"columns {about.schema.names}")
            counts.append(about.num_rows)
    if len(stamps) > 1:
        raise DataError(
            f"The files in {folder} are of different towns. Delete that folder. {_AGAIN}"
        )
    if counts[-1] > MOST_POSITIONS:
        raise DataError(f"At most {MOST_POSITIONS:,} positions can be loaded, not {counts[-1]:,}.")
    mark = hashlib.sha256(stamps.pop().encode()).digest()[:5]
    return [Rows(*row, mark) for row in zip(COLUMNS, paths, counts, strict=True)]


def _encoded(batch: pa.RecordBatch, ids: np.ndarray | None = None) -> Documents:
    """The rows as documents; the first one is made by the driver too, and must be the same."""
    made = encode(batch, ids)
    own_id = {} if ids is None else {"_id": bson.ObjectId(ids[0].tobytes())}
    by_driver = bson.encode(own_id | batch.slice(0, 1).to_pylist()[0])
    if made.data[: made.starts[1]] != by_driver:
        raise AssertionError(f"{batch.schema.names} are encoded otherwise than by the driver")
    return made


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into one sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged, half-written or not of this case. Delete its folder. {_AGAIN}"
        ) from error
