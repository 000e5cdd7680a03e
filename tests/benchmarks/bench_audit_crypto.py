"""The auditor on faults of cryptography: in dumps, and in tables on real servers on loopback.

Each case is planted alone. A fault counts as found when exactly its ids are told with their
severities, and a right case as right when none is. The time is that of reading the sample and of
the checks of cryptography; for a dump it is that of the whole audit.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bson

sys.path.insert(0, str(Path(__file__).parents[1]))

import seeded_crypto as seeded
import seeded_postgres
import seeded_sealing as sealing
import seeded_servers

from leftopen import audit
from leftopen.audit.checks import run_all
from leftopen.audit.crypto.run import MODULES
from leftopen.audit.look import Look
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding
from leftopen.audit.shared import Target
from leftopen.errors import EngineMissing

GOAL = 1.0  # seconds for one case
Try = Callable[[sealing.Tables], tuple[list[Finding], float]]


def dumped(tables: sealing.Tables) -> tuple[list[Finding], float]:
    """The audit of the tables as a dump; what is in clear in every case is left out."""
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in tables.items():
            (Path(folder) / f"{name}.bson").write_bytes(b"".join(map(bson.encode, rows)))
        begun = time.perf_counter()
        report = audit(dump=folder)
        took = time.perf_counter() - begun
    return [f for f in report.findings if f.id != "X12"], took


def looked(look: Look | PostgresLook) -> tuple[list[Finding], float]:
    """What the checks of cryptography find on a server, and how many seconds they took."""
    begun = time.perf_counter()
    outcome = run_all(look, MODULES)
    took = time.perf_counter() - begun
    look.close()
    return outcome.findings, took


@contextlib.contextmanager
def mongodb() -> Iterator[Try]:
    """Each case in a MongoDB server that is otherwise right."""
    stage = seeded_servers.Stage()
    login = {"user": "ops", "password": seeded_servers.OPS}
    with contextlib.closing(stage.lab), stage.admin() as client:

        def each(tables: sealing.Tables) -> tuple[list[Finding], float]:
            for name, rows in tables.items():
                client.crypto[name].insert_many(rows)
            found = looked(Look(Target("127.0.0.1", stage.lab.inside.port, stage.lab, **login)))
            client.drop_database("crypto")
            return found

        yield each


@contextlib.contextmanager
def postgres() -> Iterator[Try]:
    """Each case in a PostgreSQL server that is otherwise right."""
    stage = seeded_postgres.Stage()
    with contextlib.closing(stage.lab):

        def each(tables: sealing.Tables) -> tuple[list[Finding], float]:
            with seeded.tables_in(stage, tables):
                return looked(PostgresLook(Target("127.0.0.1", stage.lab.inside.port, stage.lab)))

        yield each


def measured(place: str, each: Try) -> bool:
    """Every case at one place; whether all were told as they should be, each in time."""
    hits: dict[bool, int] = {True: 0, False: 0}
    took = []
    for case in (*seeded.FAULTS, *seeded.RIGHT):
        found, seconds = each(case.tables())
        told = {f.id: f.severity.value for f in found}
        hits[bool(case.finds)] += told == case.finds
        took.append(seconds)
        if told != case.finds:
            print(f"  {case.name}: wanted {case.finds}, told {told}")
    print(
        f"{place:12}{hits[True]:3} of {len(seeded.FAULTS)} faults found, "
        f"{hits[False]:3} of {len(seeded.RIGHT)} right ones left alone; "
        f"median {statistics.median(took):.3f} s, most {max(took):.3f} s",
        flush=True,
    )
    return sum(hits.values()) == len(took) and max(took) < GOAL


def main() -> None:
    """Measure and print."""
    met = measured("dump", dumped)
    for name, place in (("MongoDB", mongodb), ("PostgreSQL", postgres)):
        try:
            with place() as each:
                met &= measured(name, each)
        except EngineMissing as error:
            print(f"{name} left out: {error}")
    print(f"goal: exactly the fault, each under {GOAL} s: {'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    main()
