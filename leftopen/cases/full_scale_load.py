"""The full scale of the SenseNets case, loaded into the mongod of a lab, each document read back.

The rows go from the file into BSON column by column (`bson_columns`), and to the server through the
driver, as documents that need no encoding any more. While the server writes one group the next one
is made.

What reading back sees: every byte that mongod answers with, found through the index on `_id`. The
bytes are compared with those that were made of the file, and the first document of each group with
what the driver itself makes of its row. It does not see what a disk would hold after a power cut;
mongod is asked only to have its journal on disk before it accepts the last group.
"""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bson
import pandas as pd
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from tqdm import tqdm

from leftopen.cases.bson_columns import Documents
from leftopen.cases.full_scale import FOLDER
from leftopen.cases.full_scale_rows import GROUP, Rows, find
from leftopen.cases.sensenets import DATABASE
from leftopen.errors import DataError, EngineFailed
from leftopen.lab_mongodb import MongoLab

FULL_DATABASE = "sensenets_full"
"""Where the full scale is loaded, so that the case's sample stays as it is."""
DISK_BYTES = {"trackers": 200, "people": 150, "positions": 60}
"""Disk for each document, compressed, with its part of the index and of the journal, about."""

_AGAIN = "Then run this cell again: what is there is compared, and not sent twice."
_LOGIN_CODES = (13, 18)  # Unauthorized, AuthenticationFailed
_DUPLICATE = 11000
_LEAST_DISK = 2**20


def load_full(
    lab: MongoLab,
    folder: str | Path | None = None,
    progress: bool = True,
    *,
    account: str = "",
    password: str = "",
) -> pd.DataFrame:
    """Load the town in a folder into the lab's server, and read every document back.

    Each document that the server gives back, in the order of its index on `_id`, is compared with
    the file's row, byte for byte. What an earlier run left there is compared first; only the
    rest is sent. So a run that was interrupted goes on, and a second one only compares.

    Args:
        lab: a lab of the SenseNets case.
        folder: where `full_scale` put the three files; by default where it puts them by default.
        progress: whether a bar is shown, on stderr.
        account: the name of the account that writes; none where no login is asked for.
        password: its password.

    Returns:
        For each collection: how many documents were there before, how many were sent now, and
        how many were read back and found equal. The last is the number of rows of the file.

    Raises:
        DataError: it is not a lab of this case; a file is missing, damaged, or of another town;
            other documents are there already, or what the server gives back is not what was sent.
        EngineFailed: the server does not run, stopped under way, refuses this account or a
            document, or has too little disk.
    """
    if not isinstance(lab, MongoLab) or lab.name != DATABASE:
        raise DataError(f"This is not a lab of the case: lab = open_case({DATABASE!r}) opens one.")
    if not lab.is_running:
        raise EngineFailed(f"The server of this lab does not run. {lab.way_back} {_AGAIN}")
    tables = find(FOLDER if folder is None else Path(folder))
    uri = lab.inside.uri_as(account, password) if account else lab.inside.uri
    rows = sum(table.count for table in tables)
    with (
        _told(lab),
        MongoClient(uri) as client,
        ThreadPoolExecutor(1, "leftopen-load") as calls,
        tqdm(
            total=2 * rows, unit=" documents", unit_scale=True, leave=False, disable=not progress
        ) as bar,
    ):
        loads = [_Load(table, client, calls, bar) for table in tables]
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

    def __init__(self, rows: Rows, client: MongoClient, calls: ThreadPoolExecutor, bar: tqdm):
        self.rows = rows
        self.found = self.sent = self.equal = 0
        self._collection: Collection = client[FULL_DATABASE][rows.name]
        self._calls, self._bar = calls, bar
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
            documents = [RawBSONDocument(document) for document in group.each()]
            if pending:
                self._count(pending.result())
            is_last = self.found + self.sent + len(group) == self.rows.count
            pending = self._calls.submit(self._insert, documents, is_last)
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

    def _insert(self, documents: list[RawBSONDocument], is_last: bool) -> int:
        """Send one group; the last one is accepted when the journal with all of them is on disk."""
        # The command itself, because insert_many looks at each document a second time.
        answer = self._collection.database.command(
            {
                "insert": self._collection.name,
                "documents": documents,
                "ordered": False,
                "writeConcern": WriteConcern(w=1, j=is_last or None).document,
            }
        )
        for error in answer.get("writeErrors", []):
            # An interrupted run's last group may have come in meanwhile: reading back decides.
            if error["code"] != _DUPLICATE:
                raise OperationFailure(error["errmsg"], error["code"])
        return len(documents)

    def _compare(self, refused: str, worth: int) -> None:
        """Read back what lies behind the last equal document, and compare it with the rows.

        Raises:
            DataError: a document is not equal, or there are more of them than rows.
        """
        batches = _ahead(self._calls, self._read())
        left = b""
        for group in self.rows.groups(self.equal):
            while len(left) < len(group.data) and (batch := next(batches, b"")):
                left += batch
            size = min(len(left), len(group.data))
            if left[:size] != group.data[:size] or size not in group.starts:
                self._refuse(left, group, refused)
            count = int(group.starts.searchsorted(size))
            if count:
                last = group.data[group.starts[count - 1] : group.starts[count]]
                self._last = bson.decode(last)["_id"]
            self.equal += count
            self._bar.update(worth * count)
            left = left[size:]
            if count < len(group):
                return
        if left or next(batches, b""):
            raise DataError(
                f"There are more documents in {FULL_DATABASE}.{self.rows.name} than the "
                f"{self.rows.count:,} rows of {self.rows.path.name}. {_away()}"
            )

    def _read(self) -> Iterator[bytes]:
        where = {} if self._last is None else {"_id": {"$gt": self._last}}
        return self._collection.find_raw_batches(where, sort=[("_id", 1)], batch_size=GROUP)

    def _refuse(self, left: bytes, group: Documents, refused: str) -> None:
        at, starts = 0, group.starts
        while left[starts[at] : starts[at + 1]] == group.data[starts[at] : starts[at + 1]]:
            at += 1
        where = f"{FULL_DATABASE}.{self.rows.name}"
        raise DataError(f"Document {self.equal + at + 1:,} of {where} {refused}. {_away()}")


def _away() -> str:
    return f"Drop the database {FULL_DATABASE}, then run this cell again."


def _ahead(calls: ThreadPoolExecutor, batches: Iterable[bytes]) -> Iterator[bytes]:
    """The batches, while the next one is being read."""
    left = iter(batches)
    coming = calls.submit(next, left, None)
    while (batch := coming.result()) is not None:
        coming = calls.submit(next, left, None)
        yield batch


def _enough_disk(lab: MongoLab, loads: list[_Load]) -> None:
    needed = sum(DISK_BYTES[load.rows.name] * (load.rows.count - load.found) for load in loads)
    free = shutil.disk_usage(lab.log.parent).free
    if needed > free:
        raise EngineFailed(
            f"This takes about {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free at "
            f"{lab.log.parent}. Free some, or set TMPDIR to another folder and open the case again."
        )


def _has_room(folder: Path) -> bool:
    with contextlib.suppress(OSError):  # the lab was closed, and its folder is gone
        return shutil.disk_usage(folder).free > _LEAST_DISK
    return True


@contextlib.contextmanager
def _told(lab: MongoLab) -> Iterator[None]:
    """Turn the errors of the driver into one or two sentences."""
    try:
        yield
    except (PyMongoError, OSError) as error:
        if isinstance(error, OperationFailure) and error.code in _LOGIN_CODES:
            raise EngineFailed(
                "The server refuses this account, or asks for a login: name one that may write to "
                f"{FULL_DATABASE}, with account= and password=."
            ) from error
        why = lab.why(error).rstrip(".")
        folder = lab.log.parent
        # On a full disk the last line of mongod's log may be cut off, and its reason with it.
        if "No space left" in why or not _has_room(folder):
            why = f"the disk of {folder} is full: free some"
        if isinstance(error, ConnectionFailure):
            raise EngineFailed(f"mongod stopped: {why}. {lab.way_back} {_AGAIN}") from error
        raise EngineFailed(f"mongod refuses this: {why}. {_AGAIN}") from error
