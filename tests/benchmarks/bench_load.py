"""How fast the full scale comes into mongod: ours, insert_many of dictionaries, and pymongoarrow.

Run by `make bench`, or by itself:

    python tests/benchmarks/bench_load.py [--part N] [--repeat N] [--full] [--arrow-python PATH]

All begin at the Parquet files and send to a mongod of their own, as the lab starts it. At a tenth
of the scale they take turns, and the best time of each counts; then ours loads the full scale once
(`--full`: all do). Ours also reads every document back and compares it; the others do not.
"insert_many alone" leaves out the time in which the dictionaries are made, which no program that
begins with a file can do.

pymongoarrow is no part of the course: it wants a pyarrow of its own (25.0 for pymongoarrow 1.15).
`--arrow-python` names the Python of an environment that has it; without it, it is left out.
"""

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from pymongo import MongoClient

PEOPLE, POSITIONS = 2_565_724, 6_680_348
NAMES = ("trackers", "people", "positions")
RATIO, MEMORY_MIB = 3, 1_000
_GROUP = 5_000  # documents in one call, as the course loads its sample; 100,000 is no faster


def ours(folder: Path) -> dict:
    """Load with `load_full` into a lab of its own, and say how long reading back took."""
    from leftopen.cases import full_scale_load
    from leftopen.cases.sensenets import small_lab

    compare, read = full_scale_load._Load._compare, [0.0]

    def timed(*arguments):
        begun = time.perf_counter()
        compare(*arguments)
        read[0] += time.perf_counter() - begun

    full_scale_load._Load._compare = timed
    lab = small_lab(1, people=10, positions=10)
    try:
        begun = time.perf_counter()
        table = full_scale_load.load_full(lab, folder, progress=False)
        seconds = time.perf_counter() - begun
    finally:
        lab.close()
    sent = seconds - read[0]
    return {
        "documents": int(table["sent now"].sum()),
        "verified": int(table["read back and equal"].sum()),
        "times": {"ours, sending": sent, "ours, sent and read back": seconds},
    }


def _batches(folder: Path, rows: int) -> Iterator[tuple[str, Any]]:
    for name in NAMES:
        with pq.ParquetFile(folder / f"{name}.parquet") as file:
            for batch in file.iter_batches(rows):
                yield name, batch


def dictionaries(folder: Path, uri: str) -> dict:
    """Load with insert_many of dictionaries, as pyarrow makes them."""
    begun, inserting, documents = time.perf_counter(), 0.0, 0
    with MongoClient(uri) as client:
        for name, batch in _batches(folder, _GROUP):
            rows = batch.to_pylist()
            before = time.perf_counter()
            client.bench[name].insert_many(rows, ordered=False)
            inserting += time.perf_counter() - before
            documents += len(rows)
    seconds = time.perf_counter() - begun
    times = {"insert_many of dictionaries": seconds, "insert_many alone": inserting}
    return {"documents": documents, "verified": 0, "times": times}


def pymongoarrow(folder: Path, uri: str) -> dict:
    """Load with `pymongoarrow.api.write`, a hundred thousand rows at a time."""
    import pyarrow as pa

    write = importlib.import_module("pymongoarrow.api").write
    begun, documents = time.perf_counter(), 0
    with MongoClient(uri) as client:
        for name, batch in _batches(folder, 20 * _GROUP):
            write(client.bench[name], pa.Table.from_batches([batch]))
            documents += len(batch)
    times = {"pymongoarrow": time.perf_counter() - begun}
    return {"documents": documents, "verified": 0, "times": times}


def measure(name: str, folder: Path, python: str) -> tuple[dict, float]:
    """Let a process of its own load; return what it says, and its highest memory in MiB."""
    from leftopen.cases.sensenets import small_lab

    lab = None if name == "ours" else small_lab(1, people=10, positions=10)
    try:
        command = [python, __file__, "--contender", name, "--folder", str(folder)]
        command += ["--uri", lab.inside.uri] if lab else []
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watched, peak = psutil.Process(child.pid), 0
        while child.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)
        told = child.communicate()[0]
        if child.returncode:
            raise SystemExit(f"{name} failed")
        return json.loads(told), peak / 2**20
    finally:
        if lab:
            lab.close()


def compare(folder: Path, pythons: dict[str, str], repeat: int) -> None:
    """Measure all by turns, so that a busy machine slows each, and print a table."""
    times, peaks, counts = {}, {}, {}
    for _ in range(repeat):
        for name, python in pythons.items():
            told, peak = measure(name, folder, python)
            for what, seconds in told["times"].items():
                times[what] = min(times.get(what, seconds), seconds)
                peaks[what] = max(peaks.get(what, peak), peak)
                counts[what] = told["documents"], told["verified"]
    rows = {what: documents for what, (documents, _) in counts.items()}
    if len(set(rows.values())) > 1:
        raise SystemExit(f"They did not load the same: {rows}")
    print(f"{'':28}{'seconds':>8}{'a second':>10}{'ours is':>9}{'verified':>11}{'MiB':>6}")
    for what, seconds in times.items():
        documents, verified = counts[what]
        if what == "ours, sending":
            verified = 0
        other = "" if what.startswith("ours") else f"{seconds / times['ours, sending']:.1f} x"
        print(
            f"{what:28}{seconds:8.1f}{documents / seconds:10,.0f}{other:>9}{verified:11,}"
            f"{peaks[what]:6.0f}",
            flush=True,
        )
    if "insert_many of dictionaries" in times:
        for what in ("ours, sending", "ours, sent and read back"):
            ratio = times["insert_many of dictionaries"] / times[what]
            met = "met" if ratio >= RATIO else "not met"
            print(f"{what}: {ratio:.1f} x insert_many of dictionaries; goal {RATIO} x: {met}")
    most, whole = peaks["ours, sending"], rows["ours, sending"]
    is_met = most <= MEMORY_MIB and counts["ours, sent and read back"][1] == whole
    print(
        f"every one of {whole:,} documents verified, memory at most {MEMORY_MIB:,} MiB: "
        f"{'met' if is_met else 'not met'}\n"
    )


def main() -> None:
    """Make the towns, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", type=int, default=10, help="compare at this part of the scale")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--full", action="store_true", help="compare at the full scale too")
    parser.add_argument("--arrow-python", help="a Python that has pymongoarrow")
    for name in ("--contender", "--folder", "--uri"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        arguments = [Path(asked.folder), *([asked.uri] if asked.uri else [])]
        print(json.dumps(globals()[asked.contender](*arguments)))
        return
    from leftopen.synth.sensenets import write

    pythons = {"ours": sys.executable, "dictionaries": sys.executable}
    if asked.arrow_python or importlib.util.find_spec("pymongoarrow"):
        pythons["pymongoarrow"] = asked.arrow_python or sys.executable
    else:
        print("pymongoarrow is left out: name a Python that has it with --arrow-python.")
    with tempfile.TemporaryDirectory() as folder:
        small, full = Path(folder) / "part", Path(folder) / "full"
        write(small, PEOPLE // asked.part, POSITIONS // asked.part, progress=False)
        print(f"1/{asked.part} of the scale, {psutil.cpu_count()} cores, best of {asked.repeat}")
        compare(small, pythons, asked.repeat)
        write(full, PEOPLE, POSITIONS, progress=False)
        print("the full scale, once")
        compare(full, pythons if asked.full else {"ours": sys.executable}, 1)


if __name__ == "__main__":
    main()
