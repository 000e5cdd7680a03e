"""What TLS costs on this machine: the same three tasks in clear and by TLS, side by side.

The best of a few rounds is kept (timeit's own advice): what else the machine does can only make a
round longer. The rounds take turns, so that a busy minute meets both ways.
"""

import contextlib
import timeit
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from leftopen.cases import three_servers as three
from leftopen.lab_mongodb import MongoLab
from leftopen.lab_postgres import PostgresLab

TASKS = {"connect and log in": 3, "one small read": 50, "1,000 inserts": 1}
"""Each task, and how often it is done in a round."""
_ROUNDS = 7
Work = list[Callable[[], Any]]


def costs(
    mongo: MongoLab,
    doors: PostgresLab,
    mongo_tls: Mapping[str, Any],
    sql_tls: Mapping[str, Any],
) -> pd.DataFrame:
    """Measure both servers; for that time they serve clients in clear, too.

    Args:
        mongo: a mongod that requires TLS.
        doors: a PostgreSQL with :data:`three_servers.HBA`.
        mongo_tls: pymongo's options for TLS, with a client's certificate if it wants one.
        sql_tls: libpq's options for TLS.

    Returns:
        A row for each task; columns are the engine, and ``clear`` or ``TLS``; in milliseconds.
    """
    with contextlib.ExitStack() as back:
        back.callback(mongo.configure, "net: {tls: {mode: requireTLS}}")
        back.callback(doors.configure, three.HBA, file="pg_hba.conf")
        mongo.configure("net: {tls: {mode: preferTLS}}")
        doors.configure(three.HBA.replace("hostssl", "host"), file="pg_hba.conf")
        port = mongo.inside.port
        by_tls = three.OPERATOR | dict(mongo_tls)
        with (
            three.mongo_client(port, **three.OPERATOR) as clear,
            three.mongo_client(port, **by_tls) as closed,
        ):
            back.callback(_drop, port, by_tls)
            first = _best(_mongo(port, clear, {}), _mongo(port, closed, mongo_tls))
        port, open_ = doors.inside.port, {"sslmode": "disable"}
        with three.sql_client(port, **open_) as clear, three.sql_client(port, **sql_tls) as closed:
            second = _best(_sql(port, clear, open_), _sql(port, closed, sql_tls))
    found = {("MongoDB", way): first[way] for way in first}
    found |= {("PostgreSQL", way): second[way] for way in second}
    return pd.DataFrame(found, index=list(TASKS)).round(2)


def _drop(port: int, options: Mapping[str, Any]) -> None:
    """Take away what the inserts have left; of PostgreSQL's nothing outlives the connection."""
    with three.mongo_client(port, **options) as client:
        client.sensenets.copies.drop()


def _best(clear: Work, closed: Work) -> dict[str, list[float]]:
    ways = {"clear": clear, "TLS": closed}
    found: dict[str, list[float]] = {way: [] for way in ways}
    for place, times in enumerate(TASKS.values()):
        rounds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(_ROUNDS):
            for way, work in ways.items():
                rounds[way].append(timeit.timeit(work[place], number=times))
        for way, seconds in rounds.items():
            found[way].append(1000 * min(seconds) / times)
    return found


def _mongo(port: int, client: Any, options: Mapping[str, Any]) -> Work:
    people, copies = client.sensenets.people, client.sensenets.copies

    def connect() -> None:
        with three.mongo_client(port, **options) as new:
            new.admin.command("ping")

    return [
        connect,
        lambda: people.find_one({"_id": 1}),
        lambda: copies.insert_many([{"n": n} for n in range(1_000)]),
    ]


def _sql(port: int, client: Any, options: Mapping[str, Any]) -> Work:
    client.execute("CREATE TEMPORARY TABLE copies (n integer)")
    rows = [(n,) for n in range(1_000)]
    return [
        lambda: three.sql_client(port, **options).close(),
        lambda: client.execute("SELECT name FROM residents WHERE person = 1"),
        lambda: client.cursor().executemany("INSERT INTO copies VALUES (%s)", rows),
    ]
