"""The auditor on PostgreSQL servers with one fault each, beside pgdsat where that is installed.

Every server is real and on loopback. A fault counts as found by ours when its id stands in the
report with the expected severity, and not in that of the right server. pgdsat, a program in Perl
that follows the CIS benchmark, gets the benefit of the doubt: a fault counts as found when any of
its lines turns to FAILURE. It is in none of the registries of Debian, Python and Perl; where it is
on PATH, with psql, it is run as its README says.
"""

import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import planted
import seeded_postgres as servers
import seeded_postgres_faults as seeded

from leftopen.audit import Report
from leftopen.errors import EngineMissing

GOAL = 1.0  # seconds for one audit
ELSEWHERE = (
    "pgdsat is left out: it is not on PATH, or psql is not. Not measured here, and found elsewhere "
    "with version 2.0: 7 of 17 faults, 24 failures on a right server, 9.6 s"
)
_FAILURE = re.compile(r"^\s*([\d.]+) - .*=> FAILURE", re.MULTILINE)


def timed(stage: servers.Stage, **more: object) -> tuple[Report, float]:
    """One audit, and how many seconds it took."""
    begun = time.perf_counter()
    return stage.audit(**more), time.perf_counter() - begun


def pgdsat(stage: servers.Stage) -> tuple[set[str], float]:
    """The numbers of the checks that fail, and how many seconds it took."""
    lab = stage.lab
    words = ["pgdsat", "-U", "postgres", "-h", lab.inside.folder, "-p", str(lab.inside.port)]
    words += ["-d", servers.DATABASE, "-D", lab.config_folder, "-f", "text"]
    begun = time.perf_counter()
    told = subprocess.run(
        [*words, "--no-pg-version-check"], capture_output=True, text=True, timeout=300
    )
    return set(_FAILURE.findall(told.stdout)), time.perf_counter() - begun


def cell(hit: bool, took: float) -> str:
    """Whether it was found, and in how many seconds."""
    return f"{'found' if hit else '–':6}{took:6.2f} s"


def right_server(stage: servers.Stage, theirs: bool) -> tuple[Report, set[str]]:
    """The server without a fault: what each says of it."""
    several = [timed(stage) for _ in range(5)]
    right = several[0][0]
    count = {s: sum(f.severity == s for f in right.findings) for s in ("fix", "warn", "note")}
    median = statistics.median(took for _, took in several)
    print(f"the right server, ours: {count}, {len(right.passed)} checks found nothing, ", end="")
    print(f"median {median:.2f} s of 5")
    if not theirs:
        print(ELSEWHERE)
        return right, set()
    failures, took = pgdsat(stage)
    print(f"the right server, pgdsat: {len(failures)} failures, {took:.1f} s")
    return right, failures


def main() -> None:
    """Measure and print."""
    theirs = bool(shutil.which("pgdsat") and shutil.which("psql"))
    try:
        begun = time.perf_counter()
        stage = servers.Stage()
    except EngineMissing as error:
        print(f"left out: {error}")
        return
    ours, others = [], []
    with contextlib.closing(stage.lab):
        print(f"a server opened in {time.perf_counter() - begun:.1f} s")
        right, baseline = right_server(stage, theirs)
        for fault in (*seeded.LIVE, *seeded.RESTARTS):
            fault.plant(stage)
            report, took = timed(stage, **fault.more)
            hit = planted.found(report, fault.finds) and not planted.found(right, fault.finds)
            ours.append((hit, took))
            row = f"{fault.name[:58]:60}{', '.join(fault.finds)[:40]:42}{cell(hit, took)}"
            if theirs:
                failures, took = pgdsat(stage)
                others.append((bool(failures - baseline), took))
                row += f"   {cell(*others[-1])}"
            print(row, flush=True)
            fault.mend(stage)
    for name, found in (("ours", ours), ("pgdsat", others)):
        if found:
            seconds = [took for _, took in found]
            print(
                f"{name}: found {sum(hit for hit, _ in found)} of {len(found)}; "
                f"median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s"
            )
    met = all(hit and took < GOAL for hit, took in ours)
    print(f"goal for ours: all found, each under {GOAL} s: {'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    main()
