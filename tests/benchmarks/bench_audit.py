"""The auditor on servers with one fault each, beside mongoaudit and nmap's scripts.

Every server is real and on loopback. A fault counts as found by ours when its id stands in the
report with the expected severity, and not in that of the right server. The others say neither ids
nor severities of ours, so they get the benefit of the doubt: a fault counts as found when any of
their tests turns worse than on the server without the fault.
"""

import argparse
import contextlib
import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import planted
import seeded_faults as seeded
import seeded_search as search
import seeded_search_faults as search_seeds
import seeded_servers as servers

from leftopen.audit import Report, run
from leftopen.errors import EngineMissing

PINS = ("mongoaudit==0.1.1", "pymongo==3.13.0", "urwid==2.6.16")
GOAL = 1.0  # seconds for one audit
# Run inside mongoaudit's own environment. It is a program for the screen; this calls its tests in
# the order of its runner, and goes on where one of them crashes, which the program would not. With
# "pauses" it sleeps half a second after each test, as its runner does.
DRIVER = """
import json, pathlib, sys, time
import mongoaudit
from mongoaudit.testers import testers
order = json.loads(sys.stdin.read())
data = pathlib.Path(mongoaudit.__file__).parent / "data" / "tests.json"
tests = json.loads(data.read_text())
chosen = tests["basic"] + (tests["advanced"] if order["username"] else [])
cred = {k: order[k] for k in ("username", "password", "database")}
cred["nodelist"] = [("127.0.0.1", order["port"])]
told, begun = {}, time.perf_counter()
tester = testers.Tester(cred, chosen)
for test in tester.tests:
    try:
        result = test.run()["result"]
    except Exception as error:
        told[test.test_name] = ["crashed", test.title]
        continue
    told[test.test_name] = [result, test.title]
    time.sleep(0.5 if order["pauses"] else 0)
    if test.breaks == bool(result):
        break
print(json.dumps([time.perf_counter() - begun, told]))
"""
_WORSE = {1: 0, 3: 0, "crashed": 0, 2: 1, 0: 2}  # mongoaudit's success, omitted, warning, error
Login = tuple[str, str, str] | None


def mongoaudit_python() -> str:
    """The Python of mongoaudit's own environment, made once in the user's cache; empty if not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "leftopen" / PINS[0].replace("==", "-")
    python = folder / "bin" / "python"
    done = folder / ".complete"
    if not done.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *PINS], check=True, timeout=300)
            done.touch()
        except (OSError, subprocess.SubprocessError) as error:
            print(f"mongoaudit is left out: it could not be installed ({error})")
            return ""
    return str(python)


def mongoaudit(python: str, port: int, login: Login, pauses: bool = False) -> tuple[float, dict]:
    """Seconds, and each test's result and title."""
    user, password, database = login or (None, None, None)
    order = {
        "port": port,
        "username": user,
        "password": password,
        "database": database,
        "pauses": pauses,
    }
    told = subprocess.run(
        [python, "-W", "ignore", "-c", DRIVER],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if told.returncode:
        return 0.0, {"none": ["crashed", (told.stderr.strip().splitlines() or ["?"])[-1]]}
    took, results = json.loads(told.stdout.splitlines()[-1])
    return took, results


def worse(results: dict, baseline: dict) -> list[str]:
    """The names of the tests that turned worse than on the server without the fault."""
    return [
        name
        for name, (result, _) in results.items()
        if _WORSE[result] > _WORSE[baseline.get(name, [1])[0]]
    ]


def nmap(port: int) -> tuple[float, set[str]]:
    """Seconds, and what its MongoDB scripts tell of databases and accounts."""
    begun = time.perf_counter()
    scripts = "+mongodb-info,+mongodb-databases,+mongodb-brute"
    words = ["nmap", "-Pn", "-n", "-p", str(port), "127.0.0.1", "--script", scripts]
    words += ["--script-args", "unpwdb.timelimit=5s"]
    told = subprocess.run(words, capture_output=True, text=True, timeout=300).stdout
    named = re.findall(r"name = (\S+)|- Valid credentials|No authentication needed", told)
    return time.perf_counter() - begun, {name or "login" for name in named}


class Bench:
    """What is measured on each server, and its row."""

    def __init__(self, python: str, with_nmap: bool) -> None:
        self.python, self.with_nmap = python, with_nmap
        self.right: Report | None = None
        self.theirs: dict[bool, dict] = {}  # the right server's results, with a login and without
        self.nmap_right: set[str] = set()
        self.rows: list[list[str]] = []
        self.seconds: dict[str, list[float]] = {"ours": [], "mongoaudit": [], "nmap": []}
        self.hits: dict[str, int] = dict.fromkeys(self.seconds, 0)

    def measure(
        self, fault: seeded.Fault, audit: Callable[[], Report], port: int, base: dict | None = None
    ) -> None:
        """Let all of them look at one server with one fault."""
        begun = time.perf_counter()
        report = audit()
        took = time.perf_counter() - begun
        ours = seeded.found(report, fault) and not (
            self.right and base is None and seeded.found(self.right, fault)
        )
        row = [fault.name, ", ".join(fault.finds), self._tell("ours", ours, took)]
        if self.python:
            took, results = mongoaudit(self.python, port, fault.login)
            baseline = base if base is not None else self.theirs[fault.login is not None]
            turned = worse(results, baseline)
            row.append(self._tell("mongoaudit", bool(turned), took, ",".join(turned)))
        if self.with_nmap:
            took, told = nmap(port)
            row.append(self._tell("nmap", bool(told - self.nmap_right), took))
        self.rows.append(row)
        print_row(row)

    def _tell(self, who: str, hit: bool, took: float, how: str = "") -> str:
        self.seconds[who].append(took)
        self.hits[who] += hit
        return f"{'found' if hit else '–':6}{took:6.2f} s {how}"


def print_row(row: list[str]) -> None:
    """One line of the table."""
    print(f"{row[0]:38}{row[1][:36]:38}" + "".join(f"{cell:24}" for cell in row[2:]), flush=True)


def right_server(bench: Bench, stage: servers.Stage) -> None:
    """The server without a fault: what each says of it."""
    timed = []
    for _ in range(5):
        begun = time.perf_counter()
        bench.right = stage.audit()
        timed.append(time.perf_counter() - begun)
    count = {s: sum(f.severity == s for f in bench.right.findings) for s in ("fix", "warn", "note")}
    print(f"the right server, ours: {count}, median {statistics.median(timed):.2f} s of 5")
    port = stage.lab.inside.port
    if bench.python:
        login = ("shop_app", servers.APP, "shop")
        took, results = mongoaudit(bench.python, port, login, pauses=True)
        flagged = [title for result, title in results.values() if result in (0, 2)]
        print(f"the right server, mongoaudit: {len(flagged)} complaints, {took:.1f} s: {flagged}")
        bench.theirs = {True: results, False: mongoaudit(bench.python, port, None)[1]}
    if bench.with_nmap:
        bench.nmap_right = nmap(port)[1]


def lab_faults(bench: Bench, stage: servers.Stage) -> None:
    """The faults that are planted in the right server."""
    for fault in seeded.FAULTS:
        if fault.plant is None:
            continue
        stage.reset()
        fault.plant(stage)
        bench.measure(fault, stage.audit, stage.lab.inside.port)
        if fault.plant is servers.no_users:
            servers.make_ops_again(stage)
    stage.reset()


def bare_faults(bench: Bench) -> None:
    """The faults of servers that are no lab; their baseline is a server like them without it."""
    base = {}
    if bench.python:
        with servers.bare_mongod("net: {}") as port:
            base = mongoaudit(bench.python, port, None)[1]
    for fault in seeded.FAULTS:
        if not fault.bare:
            continue
        if "root-process" in fault.finds and os.geteuid() != 0:
            print(f"{fault.name}: left out, because only root can start a server as root")
            continue
        with servers.bare_mongod(fault.bare) as port:
            bench.measure(fault, lambda port=port: run(f"mongodb://127.0.0.1:{port}"), port, base)


def search_faults() -> None:
    """The faults of a search cluster, ours alone: the other two programs look at MongoDB."""
    try:
        begun = time.perf_counter()
        stage = search.Stage()
    except EngineMissing as error:
        print(f"the search cluster is left out: {error}")
        return
    with contextlib.closing(stage.lab):
        print(f"a search cluster opened in {time.perf_counter() - begun:.1f} s")
        timed, rows = [], []
        for _ in range(5):
            begun = time.perf_counter()
            right = stage.audit()
            timed.append(time.perf_counter() - begun)
        print(
            f"the right cluster: {len(right.findings)} findings, {len(right.passed)} checks found "
            f"nothing, median {statistics.median(timed):.2f} s of 5"
        )
        for fault in (*search_seeds.LIVE, *search_seeds.RESTARTS):
            fault.plant(stage)
            begun = time.perf_counter()
            report = stage.audit(**fault.more)
            took = time.perf_counter() - begun
            fault.mend(stage)
            for pair in fault.finds.items():
                hit = planted.found(report, dict([pair]))
                new = not planted.found(right, dict([pair]))
                rows.append((hit and new, took))
                print_row(
                    [fault.name[:37], pair[0], f"{'found' if hit and new else '–':6}{took:6.2f} s"]
                )
    seconds = [took for _, took in rows]
    print(
        f"search cluster: found {sum(hit for hit, _ in rows)} of {len(rows)} in "
        f"{len(search_seeds.LIVE) + len(search_seeds.RESTARTS)} faulty clusters; "
        f"median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", action="store_true", help="ours alone: no mongoaudit, no nmap")
    parser.add_argument("--search", action="store_true", help="the search cluster alone")
    words = parser.parse_args()
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)  # it tells each refused request
    if words.search:
        search_faults()
        return
    alone = words.alone
    python = "" if alone else mongoaudit_python()
    with_nmap = not alone and shutil.which("nmap") is not None
    if not alone and not with_nmap:
        print("nmap is left out: it is not installed (apt-get install nmap)")
    bench = Bench(python, with_nmap)
    stage = servers.Stage()
    with contextlib.closing(stage.lab):
        right_server(bench, stage)
        names = ["ours"] + ["mongoaudit"] * bool(python) + ["nmap"] * with_nmap
        print_row(["fault", "expected of ours", *names])
        lab_faults(bench, stage)
    bare_faults(bench)
    for name in names:
        took = bench.seconds[name]
        print(
            f"{name}: found {bench.hits[name]} of {len(bench.rows)}; "
            f"median {statistics.median(took):.2f} s, most {max(took):.2f} s"
            + (" without its own pauses of 0.5 s after each test" if name == "mongoaudit" else "")
        )
    most = max(bench.seconds["ours"])
    print(
        f"goal for ours: all found, each under {GOAL} s: "
        f"{'met' if bench.hits['ours'] == len(bench.rows) and most < GOAL else 'NOT MET'}"
    )
    search_faults()


if __name__ == "__main__":
    main()
