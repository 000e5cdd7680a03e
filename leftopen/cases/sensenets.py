"""The SenseNets case: MongoDB, reachable from everywhere, without a login."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
from pymongo import MongoClient

from leftopen.errors import DataError
from leftopen.lab_mongodb import MongoLab
from leftopen.synth.sensenets import sample

DATABASE = "sensenets"
COLLECTIONS = ("people", "positions", "trackers")
RECORDS = Path(__file__).resolve().parents[2] / "datasets" / "sensenets"

AS_FOUND = """\
# Every address of the machine, so that anyone on the Internet can connect.
# There is no `security` section: mongod asks nobody for a login.
net:
  bindIp: 0.0.0.0
"""
_BATCH = 5_000  # documents in one message to the server


def open_lab() -> MongoLab:
    """Open the case on a real mongod, with the invented sample in it.

    Raises:
        DataError: the records are not there.
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_mongodb.MongoLab`.
    """
    files = {name: RECORDS / f"{name}.parquet" for name in COLLECTIONS}
    for path in files.values():
        if not path.exists():
            raise DataError(
                f"{path} is missing. Run the course from a whole copy of its repository."
            )

    def load(client: MongoClient) -> None:
        for name, path in files.items():
            for batch in _documents(path):
                client[DATABASE][name].insert_many(batch)

    return MongoLab(DATABASE, AS_FOUND, load)


def small_lab(
    seed: int,
    config: str = AS_FOUND,
    prepare: Callable[[MongoClient], None] | None = None,
    people: int = 400,
    positions: int = 1_040,
) -> MongoLab:
    """Open a small SenseNets server for an exercise, with people of its own.

    Args:
        seed: which people; the same seed gives the same ones.
        config: the configuration with which it begins, as the text of a mongod.conf.
        prepare: what else to do before ``security`` holds, as to make accounts, given a client.
        people: how many people.
        positions: how many sightings of them in one day.

    Raises:
        DataError, EngineMissing, EngineFailed: as for :class:`leftopen.lab_mongodb.MongoLab`.
    """

    def load(client: MongoClient) -> None:
        tables = sample(seed, people, positions)
        for name, table in tables._asdict().items():
            if "at" in table.column_names:
                table = table.sort_by([("at", "ascending"), ("person", "ascending")])
            client[DATABASE][name].insert_many(table.to_pylist())
        if prepare is not None:
            prepare(client)

    return MongoLab(DATABASE, config, load)


def _documents(path: Path) -> Iterator[list[dict]]:
    """The rows of a Parquet file as documents; positions in order of time, as they came in."""
    table = pq.read_table(path)
    if "at" in table.column_names:
        table = table.sort_by([("at", "ascending"), ("person", "ascending")])
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield batch.to_pylist()
