"""How long a backup takes, and how long until it is back: dump, sign, seal, open, check, restore.

Run by `make bench`, or by itself: ``python tests/benchmarks/bench_backup.py [--times N]``. The
small scale is a sample as the lessons open it; the larger one has N times as many documents. Each
row is checked: what came back is as much as there was.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opensearchpy import OpenSearch, helpers
from pymongo import MongoClient

from leftopen import backup
from leftopen.at_rest import Desk
from leftopen.cases import sensenets, smart_city, tongren
from leftopen.proof import sql

STEPS = ("dump", "seal", "sign", "check", "open", "restore")


class Clock:
    """Seconds of the steps of one backup."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, step: str, do: Callable, *arguments: Any) -> Any:
        """Do a step, and keep how long it took."""
        began = time.perf_counter()
        done = do(*arguments)
        self.seconds[step] = time.perf_counter() - began
        return done


def size(path: Path) -> int:
    """The bytes of a file, or of the files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def measure(
    name: str,
    dump: Callable[[Path], Path],
    empty: Callable[[], Any],
    restore: Callable[[Path], dict[str, int]],
    expected: int,
) -> None:
    """Time one backup from the dump to the restore, and print a row.

    Args:
        name: what is backed up.
        dump: makes the dump in a folder.
        empty: takes everything out of the server.
        restore: restores a dump, and says how much each collection has.
        expected: how much there must be in the end.
    """
    desk, clock = Desk(), Clock()
    key, signer = pyrage.x25519.Identity.generate(), Ed25519PrivateKey.generate()
    plain = clock.time("dump", dump, desk.new("dump"))
    public = str(key.to_public())
    sealed = clock.time("seal", backup.seal, plain, desk.new("backup.age"), public)
    clock.time("sign", backup.sign_manifest, sealed.parent, signer)
    empty()
    clock.time("check", backup.check_manifest, sealed.parent, signer.public_key())
    opened = clock.time("open", backup.open_sealed, sealed, str(key), desk.new("opened"))
    back = clock.time("restore", restore, opened)
    assert sum(back.values()) == expected, f"{back} came back, not {expected}"
    cells = "".join(f"{clock.seconds[step]:>9.2f}" for step in STEPS)
    until = sum(clock.seconds[step] for step in ("check", "open", "restore"))
    megabytes = size(plain) / 1e6
    print(f"{name:<12}{expected:>10,}{megabytes:>8.1f}{cells}{until:>11.2f}", flush=True)
    desk.clear()


def mongodb(times: int) -> None:
    """SenseNets, with its people and positions so many times."""
    lab = sensenets.open_lab()
    try:
        with MongoClient(lab.inside.uri) as client:
            database = client[sensenets.DATABASE]
            for collection in ("people", "positions"):
                documents = list(database[collection].find())
                step = len(documents)
                for round_ in range(1, times):
                    for n, document in enumerate(documents):
                        document["_id"] = round_ * step + n + 1_000_000_000
                    database[collection].insert_many(documents, ordered=False)
            database["people"].create_index("idNumber")
            counted = [database[n].count_documents({}) for n in sensenets.COLLECTIONS]
            name = sensenets.DATABASE
            measure(
                "MongoDB",
                lambda folder: backup.dump_mongodb(client, name, folder),
                lambda: client.drop_database(name),
                lambda folder: backup.restore_mongodb(folder, client, name),
                sum(counted),
            )
    finally:
        lab.close()


def postgres(times: int) -> None:
    """One Tongren door log, with its passages so many times."""
    lab = tongren.small_lab(15, residents=500, days=3)
    try:
        uri = lab.inside.uri_of("doors_1")
        copy = (
            "INSERT INTO passages SELECT passage + n::bigint * 100000000, at, building, door, "
            "direction, person, visitor, flat, status "
            f"FROM passages, generate_series(1, {times - 1}) n"
        )
        sql(uri, copy)
        sql(uri, "CREATE INDEX ON passages (person)")
        tables = ("buildings", "residents", "visitors", "passages")
        counted = [sql(uri, f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        measure(
            "PostgreSQL",
            lambda folder: backup.dump_postgres(uri, folder),
            lambda: sql(uri, f"DROP TABLE {', '.join(tables)}"),
            lambda folder: backup.restore_postgres(folder, uri),
            sum(counted),
        )
    finally:
        lab.close()


def opensearch(times: int) -> None:
    """The smart city's face scans, so many times."""
    lab = smart_city.small_lab(15, people=400, days=30)
    try:
        with OpenSearch(lab.inside.uri, timeout=600) as client:
            indices = list(client.indices.get(index="faces-*"))
            found = helpers.scan(client, index="faces-*", query={"query": {"match_all": {}}})
            documents = [(hit["_index"], hit["_source"]) for hit in found]
            more = (
                {"_index": index, "_source": source}
                for _ in range(times - 1)
                for index, source in documents
            )
            helpers.bulk(client, more, chunk_size=2000, refresh=True)
            counted = client.count(index="faces-*")["count"]
            measure(
                "OpenSearch",
                lambda folder: backup.dump_opensearch(client, "faces-*", folder, lab.snapshots),
                lambda: client.indices.delete(index=",".join(indices)),
                lambda folder: backup.restore_opensearch(folder, client, lab.snapshots),
                counted,
            )
    finally:
        lab.close()


def main() -> None:
    """Print one row for each engine and scale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="the larger scale, of the sample")
    times = parser.parse_args().times
    heads = "".join(f"{f'{step} (s)':>9}" for step in STEPS)
    print(f"{'':<12}{'records':>10}{'MB':>8}{heads}{'until back':>11}")
    for scale in (1, times):
        for engine in (mongodb, postgres, opensearch):
            engine(scale)


if __name__ == "__main__":
    main()
