"""What TLS costs: connection, small reads, bulk insert, in clear and by TLS, on all three engines.

Run by `make bench`, or by itself: ``python tests/benchmarks/bench_wire.py [--rounds N]``.
MongoDB and PostgreSQL serve both kinds of client at once here, and the rounds take turns, so that
a busy minute meets both. An OpenSearch node serves one kind, so it is started once for each.
PostgreSQL inserts with COPY. Shown is the best round of each, and how far the median lies above it.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pandas as pd
import psycopg
from opensearchpy import OpenSearch, helpers
from pymongo import MongoClient

from leftopen.cases import sensenets, smart_city, tongren
from leftopen.lab_opensearch import SearchLab

TIMES = {"connect": 20, "one small read": 300, "bulk insert": 1}
INSERTS = 10_000
NAME, PASSWORD = "bench", "a-password-of-the-bench"
Tasks = dict[str, Callable[[], object]]


def round_of(tasks: Tasks) -> dict[str, float]:
    """Each task's milliseconds for one time, in one round."""
    found = {}
    for name, work in tasks.items():
        begun = time.perf_counter()
        for _ in range(TIMES[name]):
            work()
        found[name] = (time.perf_counter() - begun) / TIMES[name] * 1000
    return found


def measure(ways: dict[str, Tasks], rounds: int) -> dict[str, dict[str, list[float]]]:
    """The milliseconds of each way, task by task; the ways take turns, after one to warm up."""
    kept = {way: {name: [] for name in tasks} for way, tasks in ways.items()}
    for tasks in ways.values():
        round_of(tasks)
    for _ in range(rounds):
        for way, tasks in ways.items():
            for name, milliseconds in round_of(tasks).items():
                kept[way][name].append(milliseconds)
    return kept


def mongodb(rounds: int) -> dict:
    """One mongod that serves both."""
    with closing(sensenets.small_lab(1, "net: {bindIp: 127.0.0.1}")) as lab:
        pki = lab.certificates
        files = f"certificateKeyFile: '{pki.server}', CAFile: '{pki.ca}'"
        more = "allowConnectionsWithoutCertificates: true"
        lab.configure(f"net: {{tls: {{mode: preferTLS, {files}, {more}}}}}")
        port, trust = lab.inside.port, {"tls": True, "tlsCAFile": str(pki.ca)}
        kept: dict[str, Tasks] = {}
        clients = []
        for way, how in (("clear", {}), ("TLS", trust)):

            def fresh(how: dict = how) -> None:
                with MongoClient("127.0.0.1", port, directConnection=True, **how) as new:
                    new.admin.command("ping")

            client = MongoClient("127.0.0.1", port, directConnection=True, **how)
            clients.append(client)
            people, copies = client.sensenets.people, client.bench[f"copies_{way}"]
            rows = [{"n": n, "note": "a line of text as long as this"} for n in range(INSERTS)]
            kept[way] = {
                "connect": fresh,
                "one small read": lambda people=people: people.find_one({}),
                "bulk insert": lambda copies=copies, rows=rows: copies.insert_many(
                    {**row} for row in rows
                ),
            }
        found = measure(kept, rounds)
        for client in clients:
            client.close()
    return found


def postgresql(rounds: int) -> dict:
    """One PostgreSQL that serves both."""

    def account(connect: Callable) -> None:
        with connect("doors_1") as operator:
            operator.execute(f"CREATE ROLE {NAME} LOGIN PASSWORD '{PASSWORD}'")
            operator.execute(f"GRANT SELECT ON residents TO {NAME}")

    hba = "host all all 127.0.0.1/32 scram-sha-256"
    with closing(tongren.small_lab(1, tongren.LOCKED, hba, account)) as lab:
        where = {"host": "127.0.0.1", "port": lab.inside.port, "dbname": "doors_1"}
        where |= {"user": NAME, "password": PASSWORD, "autocommit": True}
        trust = {"sslmode": "verify-full", "sslrootcert": str(lab.certificates.ca)}
        kept: dict[str, Tasks] = {}
        clients = []
        for way, how in (("clear", {"sslmode": "disable"}), ("TLS", trust)):
            client = psycopg.connect(**where, **how)
            clients.append(client)
            client.execute("CREATE TEMPORARY TABLE copies (n integer, note text)")

            def insert(client: psycopg.Connection = client) -> None:
                with client.cursor().copy("COPY copies FROM STDIN") as copy:
                    for n in range(INSERTS):
                        copy.write_row((n, "a line of text as long as this"))

            kept[way] = {
                "connect": lambda how=how: psycopg.connect(**where, **how).close(),
                "one small read": lambda client=client: client.execute(
                    "SELECT name FROM residents WHERE person = 1"
                ).fetchone(),
                "bulk insert": insert,
            }
        found = measure(kept, rounds)
        for client in clients:
            client.close()
    return found


def opensearch(rounds: int) -> dict:
    """One node, started for each way; the login is asked for in both."""
    files = smart_city.security_files(NAME, PASSWORD)
    lab = smart_city.small_lab(1, smart_city.LOCKED, files)
    found = {}
    with closing(lab):
        for way in ("TLS", "clear"):
            if way == "clear":
                lab.configure("plugins.security.ssl.http.enabled: false")
            how = {"http_auth": (NAME, PASSWORD), "timeout": 60}
            how |= {"ca_certs": str(lab.certificates.ca)} if way == "TLS" else {}
            with OpenSearch(lab.inside.uri, **how) as client:
                found |= measure({way: _search(lab, client, how)}, rounds)
    return found


def _search(lab: SearchLab, client: OpenSearch, how: dict) -> Tasks:
    person = client.search(index="residents", size=1)["hits"]["hits"][0]["_id"]

    def fresh() -> None:
        with OpenSearch(lab.inside.uri, **how) as new:
            new.get(index="residents", id=person)

    def documents() -> Iterator[dict]:
        for n in range(INSERTS):
            yield {"_index": "copies", "n": n, "note": "a line of text as long as this"}

    return {
        "connect": fresh,
        "one small read": lambda: client.get(index="residents", id=person),
        "bulk insert": lambda: helpers.bulk(client, documents(), chunk_size=5000),
    }


def main() -> None:
    """Measure the three engines, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = []
    for engine, run in (
        ("MongoDB", mongodb),
        ("PostgreSQL", postgresql),
        ("OpenSearch", opensearch),
    ):
        found = run(rounds)
        for task in TIMES:
            clear, tls = found["clear"][task], found["TLS"][task]
            noise = max(statistics.median(each) / min(each) - 1 for each in (clear, tls))
            rows.append(
                {
                    "engine": engine,
                    "task": f"{INSERTS:,} inserts" if task == "bulk insert" else task,
                    "clear, ms": round(min(clear), 2),
                    "TLS, ms": round(min(tls), 2),
                    "TLS / clear": round(min(tls) / min(clear), 2),
                    "median above the best": f"{noise:.0%}",
                }
            )
    print(f"Loopback, keys on P-256, the best of {rounds} rounds; one time each:")
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
