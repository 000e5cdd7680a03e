"""Recovering a district beside hashlib on all cores, and beside `openssl speed`: a rate a core.

Run it with ``python tests/benchmarks/bench_hash.py``. The goal: 0.6 of openssl's rate a core.
"""

import hashlib
import os
import re
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date

from leftopen import recover

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_PART = date(1925, 12, 31)  # of a hundred years, for the slower way


def _with_hashlib(years: tuple[date, date]) -> float:
    """The processor's seconds for some birth dates, by hashlib, in one process."""
    numbers = recover.numbers(103, *years).to_list()
    wanted, begin = {"0" * 64}, time.process_time()
    for number in numbers:
        if hashlib.sha256(number.encode()).hexdigest() in wanted:
            raise AssertionError("found what is not there")
    return time.process_time() - begin


def _openssl() -> float | None:
    """Hashes of 18 bytes a second, on one core; ``None`` where there is no openssl."""
    command = ["openssl", "speed", "-seconds", "2", "-bytes", "18", "-evp", "sha256"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return float(re.search(r"^sha256\s+([\d.]+)k", told.stdout, re.MULTILINE)[1]) * 1000 / 18


def main() -> None:
    """Print the table."""
    rows = []
    for cores in sorted({1, _CORES}):
        wall, cpu = time.perf_counter(), time.process_time()
        recover.recover(["0" * 64], 103, cores=cores, progress=False)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rows.append((f"the district, {cores} at a time", recover.CANDIDATES, wall, cpu))
    count = ((_PART - recover.FIRST).days + 1) * 1000
    with ProcessPoolExecutor(_CORES) as pool:
        wall = time.perf_counter()
        cpu = sum(pool.map(_with_hashlib, [(recover.FIRST, _PART)] * _CORES))
        wall = time.perf_counter() - wall
    rows.append((f"hashlib, {_CORES} processes, 6 years each", count * _CORES, wall, cpu))
    openssl = _openssl()
    print(f"{'what':<38}{'s':>8}{'M/s':>8}{'M/s a core':>12}{'of openssl':>12}")
    for what, hashes, wall, cpu in rows:
        rate = hashes / cpu
        ratio = f"{rate / openssl:.2f}" if openssl else "-"
        print(f"{what:<38}{wall:>8.2f}{hashes / wall / 1e6:>8.2f}{rate / 1e6:>12.2f}{ratio:>12}")
    if openssl:
        print(f"{'openssl speed, 18 bytes, one core':<38}{'':>16}{openssl / 1e6:>12.2f}{1:>12.2f}")


if __name__ == "__main__":
    main()
