"""How long a PostgreSQL lab takes to its first answer, and what it takes of memory and disk.

Run by `make bench`, or by itself: ``python tests/benchmarks/bench_postgres_lab.py [--repeat N]``.
The numbers of `leftopen/engines/README.md` come from here.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import psutil
import psycopg

from leftopen import open_case
from leftopen.cases import tongren
from leftopen.engines import opensearch_home, postgres
from leftopen.lab_postgres import Connect, PostgresLab

PAUSE_SECONDS = 5.0  # ext4 is slow to make files where it has just removed others


def size(folder: Path) -> int:
    """The bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def memory(pid: int) -> int:
    """The bytes of a server and its processes; what they share is counted once."""
    first, total = psutil.Process(pid), 0
    for process in (first, *first.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a client's, which has just ended
            linux = psutil.LINUX
            total += process.memory_full_info().pss if linux else process.memory_info().rss
    return total


def empty() -> PostgresLab:
    """A lab with no records: what the engine alone takes."""

    def load(connect: Connect) -> None:
        connect("postgres").close()

    return PostgresLab("empty", tongren.AS_FOUND, tongren.HBA_AS_FOUND, load)


def first_answer(lab: PostgresLab) -> None:
    """Ask as the operator."""
    with psycopg.connect(lab.inside.uri) as client:
        client.execute("SELECT 1").fetchone()


def measure(name: str, open_it: Callable[[], PostgresLab], repeat: int) -> None:
    """Time from the call to the first answer; memory and disk of the last lab."""
    seconds, backs = [], 0
    for _ in range(repeat):
        begun = time.perf_counter()
        lab = open_it()
        first_answer(lab)
        seconds.append(time.perf_counter() - begun)
        used, disk = memory(lab.server_pid), size(lab.config_folder)
        backs = memory(lab.backend.server_pid) if lab.backend else 0
        lab.close()
        time.sleep(PAUSE_SECONDS)
    print(
        f"{name:44} median {statistics.median(seconds):5.2f} s, at most {max(seconds):5.2f} s; "
        f"{used / 2**20:.0f} MB of memory, {disk / 2**20:.0f} MB of disk"
        + (f"; its service {backs / 2**20:.0f} MB" if backs else "")
    )


def configure(repeat: int) -> None:
    """Time for a change of each of the two files."""
    lab = empty()
    for name, text, file in (
        ("postgresql.conf, with a restart", "work_mem = '{}MB'", "postgresql.conf"),
        ("pg_hba.conf, while it runs", "# {}\nhost all all all trust", "pg_hba.conf"),
    ):
        seconds = []
        for number in range(repeat):
            begun = time.perf_counter()
            lab.configure(text.format(number + 1), file=file)
            first_answer(lab)
            seconds.append(time.perf_counter() - begun)
        print(f"a change of {name:32} median {statistics.median(seconds):5.2f} s")
    lab.close()


def main() -> None:
    """Measure each kind of opening."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    print(f"PostgreSQL {postgres.version(postgres.find())}")
    with tempfile.TemporaryDirectory() as cache:
        with patch.dict(os.environ, {opensearch_home.CACHE: cache}):
            measure("empty, the first time on a machine", empty, 1)
        print(f"the template takes {size(Path(cache)) / 2**20:.0f} MB, once")
    measure("empty", empty, repeat)
    measure("small, as found", lambda: tongren.small_lab(1), repeat)
    locked = {"config": tongren.LOCKED, "hba": tongren.HBA_LOCKED}
    measure("small, locked", lambda: tongren.small_lab(1, **locked), repeat)
    measure("the case, with its service", lambda: open_case("tongren"), repeat)
    configure(repeat)


if __name__ == "__main__":
    main()
