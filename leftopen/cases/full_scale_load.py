"""The full scale of the SenseNets case, loaded into the mongod of a lab, each document read back.

The rows go from the file into BSON column by column (`bson_columns`), and to the server as they are
(`mongo_wire`). While the server writes one group the next one is made.

What reading back sees: every byte that mongod answers with, found through the index on `_id`. The
bytes are compared with those that were made of the file, and the first document of each group with
what the driver itself makes of its row. It does not see what a disk would hold after a power cut;
mongod is asked only to have its journal on disk before it accepts the last group.
"""

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bson
import pandas as pd
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from tqdm import tqdm

from leftopen.cases.bson_columns import Documents
from leftopen.cases.full_scale import FOLDER
from leftopen.cases.full_scale_rows import Rows, find
from leftopen.cases.mongo_wire import Cursor, Wire, documents_in
from leftopen.cases.sensenets import DATABASE
from leftopen.engines.process import has_room
from leftopen.errors import DataError, EngineFailed
from leftopen.lab_mongodb import MongoLab

FULL_DATABASE = "sensenets_full"
"""Where the full scale is loaded, so that the case's sample stays as it is."""
DISK_BYTES = {"trackers": 200, "people": 150, "positions": 60}
"""Disk for each document, compressed, with its part of the index and of the journal, about."""

_AGAIN = "Then run this cell again: what is there is compared, and not sent twice."
_LOCKED = (
    "This server asks for a login or for TLS. Load the full scale into the case as it was found, "
    "then lock it: the data stay."
)
_UNAUTHORIZED = 13
_DUPLICATE = 11000


def load_full(
    lab: MongoLab,
    folder: str | Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Load the town in a folder into the lab's server, and read every document back.

    Each document that the server gives back, in the order of its index on `_id`, is compared with
    the file's row, byte for byte. What an earlier run left there is compared first; only the
    rest is sent. So a run that was interrupted goes on, and a second one only compares.

    Args:
        lab: a lab of the SenseNets case, as it was found: the server may be locked afterwards.
        folder: where `full_scale` put the three files; by default where it puts them by default.
        progress: whether a bar is shown, on stderr.

    Returns:
        For each collection: how many documents were there before, how many were sent now, and
        how many were read back and found equal. The last is the number of rows of the file.

    Raises:
        DataError: it is not a lab of this case; a file is missing, damaged, or of another town;
            other documents are there already, or what the server gives back is not what was sent.
        EngineFailed: the server does not run, stopped under way, asks for a login or for TLS,
            refuses a document, or has too little disk.
    """
    if not isinstance(lab, MongoLab) or lab.name != DATABASE:
        raise DataError(f"This is not a lab of the case: lab = open_case({DATABASE!r}) opens one.")
    if not lab.is_running:
        raise EngineFailed(f"The server of this lab does not run. {lab.way_back} {_AGAIN}")
    tables = find(FOLDER if folder is None else Path(folder))
    if "tls=true" in lab.inside.uri:
        raise EngineFailed(_LOCKED)
    rows = sum(table.count for table in tables)
    with (
        _told(lab),
        contextlib.closing(Wire(lab.inside.port)) as wire,
        ThreadPoolExecutor(1, "leftopen-load") as calls,
        tqdm(
            total=2 * rows, unit=" steps", unit_scale=True, leave=False, disable=not progress
        ) as bar,
    ):
        loads = [_Load(table, wire, calls, bar) for table in tables]
        for load in loads:
            load.compare_what_is_there()
        _enough_disk(lab, loads)
        for load in loads:
            load.send_the_rest()
    return pd.DataFrame(
        [(load.rows.name, load.found, load.sent, load.equal) for load in loads],
        columns=["collection", "there before", "sent now", "read back and equal"],
    ).set_index("collection")


class _Load:
    """One collection under way; `calls` is the one thread that talks to the server."""

    def __init__(self, rows: Rows, wire: Wire, calls: ThreadPoolExecutor, bar: tqdm) -> None:
        self.rows = rows
        self.found = self.sent = self.equal = 0
        self._wire, self._calls, self._bar = wire, calls, bar
        self._last: Any = None  # the _id of the last document that was read back and is equal

    def compare_what_is_there(self) -> None:
        """Read back what an earlier run left."""
        self._bar.set_description(f"{self.rows.name}: what is there")
        refused = f"is not the one of {self.rows.path.name}: other documents were there already"
        self._compare(refused, 2)
        self.found = self.equal

    def send_the_rest(self) -> None:
        """Send what is not there yet, and read it back."""
        if self.equal == self.rows.count:
            return
        self._bar.set_description(f"{self.rows.name}: sending")
        pending: Future | None = None
        for group in self.rows.groups(self.found):
            if pending:
                self._count(pending.result())
            is_last = self.found + self.sent + len(group) == self.rows.count
            pending = self._calls.submit(self._insert, group, is_last)
        if pending:
            self._count(pending.result())
        self._bar.set_description(f"{self.rows.name}: reading back")
        self._compare("came back otherwise than it was sent", 1)
        if self.equal != self.rows.count:
            raise DataError(
                f"{self.rows.count - self.equal:,} of {self.rows.count:,} {self.rows.name} did not "
                f"come back. {_away()}"
            )

    def _count(self, sent: int) -> None:
        self.sent += sent
        self._bar.update(sent)

    def _insert(self, group: Documents, is_last: bool) -> int:
        """Send one group; the last one is accepted when the journal with all of them is on disk."""
        command = {
            "insert": self.rows.name,
            "$db": FULL_DATABASE,
            "ordered": False,
            "writeConcern": {"w": 1, "j": is_last},
        }
        answer = self._wire.call(command, group.data)
        for error in answer.get("writeErrors", []):
            # An interrupted run's last group may have come in meanwhile: reading back decides.
            if error["code"] != _DUPLICATE:
                raise OperationFailure(error["errmsg"], error["code"])
        return len(group)

    def _compare(self, refused: str, worth: int) -> None:
        """Read back what lies behind the last equal document, and compare it with the rows.

        Raises:
            DataError: a document is not equal, or there are more of them than rows.
        """
        cursor = Cursor(self._wire, FULL_DATABASE, self.rows.name, self._last)
        pending: tuple[Documents, Future] | None = None
        for group in self.rows.groups(self.equal):
            if pending and not self._is_equal(*pending, cursor, refused, worth):
                return
            pending = group, self._calls.submit(cursor.read, len(group))
        if pending and not self._is_equal(*pending, cursor, refused, worth):
            return
        if documents_in(self._calls.submit(cursor.read, 1).result()):
            raise DataError(
                f"There are more documents in {FULL_DATABASE}.{self.rows.name} than the "
                f"{self.rows.count:,} rows of {self.rows.path.name}. {_away()}"
            )

    def _is_equal(
        self, group: Documents, coming: Future, cursor: Cursor, refused: str, worth: int
    ) -> bool:
        """Whether the whole group came back; False if the collection ends within it."""
        wanted, found = group.as_array(), coming.result()
        count = len(group)
        if found != wanted:
            count = self._equal_to(group, found, cursor, refused)
        if count:
            last = group.data[group.starts[count - 1] : group.starts[count]]
            self._last = bson.decode(last)["_id"]
        self.equal += count
        self._bar.update(worth * count)
        return count == len(group)

    def _equal_to(self, group: Documents, found: bytes, cursor: Cursor, refused: str) -> int:
        """How many documents of a group came back, if the rest of it is not there."""
        documents = documents_in(found)
        while len(documents) < len(group) and not cursor.is_over:
            more = self._calls.submit(cursor.read, len(group) - len(documents)).result()
            documents += documents_in(more)
        # The collection may end before the group does, hence not strict.
        for at, (is_there, wanted) in enumerate(zip(documents, group.each(), strict=False), 1):
            if is_there != wanted:
                where = f"{FULL_DATABASE}.{self.rows.name}"
                raise DataError(f"Document {self.equal + at:,} of {where} {refused}. {_away()}")
        return len(documents)


def _away() -> str:
    return f"Drop the database {FULL_DATABASE}, then run this cell again."


def _enough_disk(lab: MongoLab, loads: list[_Load]) -> None:
    needed = sum(DISK_BYTES[load.rows.name] * (load.rows.count - load.found) for load in loads)
    free = shutil.disk_usage(lab.log.parent).free
    if needed > free:
        raise EngineFailed(
            f"This takes about {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free at "
            f"{lab.log.parent}. Free some, or set TMPDIR to another folder and open the case again."
        )


@contextlib.contextmanager
def _told(lab: MongoLab) -> Iterator[None]:
    """Turn the errors of the driver into one or two sentences."""
    try:
        yield
    except (PyMongoError, OSError) as error:
        if isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED:
            raise EngineFailed(_LOCKED) from error
        why = lab.why(error).rstrip(".")
        folder = lab.log.parent
        if "No space left" in why or not has_room(folder):
            why = f"the disk of {folder} is full: free some"
        if isinstance(error, ConnectionFailure):
            raise EngineFailed(f"mongod stopped: {why}. {lab.way_back} {_AGAIN}") from error
        raise EngineFailed(f"mongod refuses this: {why}. {_AGAIN}") from error
