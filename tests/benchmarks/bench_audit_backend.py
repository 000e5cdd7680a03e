"""The auditor on HTTP services with one fault each, and on services with none.

Every service is real and on loopback; all of them run in one process, each under its own path. A
fault counts as found when the report holds what it must, each with the expected severity, and
nothing else.
"""

import contextlib
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import seeded_backend as seeded
from jwt.warnings import InsecureKeyLengthWarning

from leftopen.audit import Report

GOAL = 1.0  # seconds for one audit


def timed(stage: seeded.Stage, fault: seeded.Fault) -> tuple[Report, float]:
    """One audit, and how many seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        return stage.audit(fault, Path(folder)), time.perf_counter() - begun


def measure(stage: seeded.Stage, faults: tuple[seeded.Fault, ...]) -> list[tuple[bool, float]]:
    """Audit each, and print its line."""
    rows = []
    for fault in faults:
        report, took = timed(stage, fault)
        hit = seeded.found(report) == fault.finds
        rows.append((hit, took))
        wanted = ", ".join(f"{name} ({severity})" for name, severity in fault.finds.items())
        told = {True: "as expected", False: f"NOT AS EXPECTED: {sorted(seeded.found(report))}"}[hit]
        print(f"{fault.name:30}{wanted[:58] or 'nothing':60}{told:14}{took:5.2f} s", flush=True)
    return rows


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # two of the faults are short keys
    with contextlib.closing(seeded.Stage()) as stage:
        right, faulty = measure(stage, seeded.RIGHT), measure(stage, seeded.FAULTS)
        print(f"right services: {sum(hit for hit, _ in right)} of {len(right)} clean")
        print(f"faults: {sum(hit for hit, _ in faulty)} of {len(faulty)} found, and nothing else")
    seconds = [took for _, took in (*right, *faulty)]
    print(f"one audit: median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s")
    met = all(hit for hit, _ in (*right, *faulty)) and statistics.median(seconds) < GOAL
    print(f"goal: all as expected, the median under {GOAL} s: {'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    main()
