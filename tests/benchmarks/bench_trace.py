"""The four analyses of a trace at full scale: ours, DuckDB and pandas, side by side.

Run by `make bench`, or by itself:

    python tests/benchmarks/bench_trace.py [--people N] [--positions N] [--repeat N] [--only NAME]

Each contender does each analysis in a process of its own: from the Parquet file to the result,
imports not counted, while the parent watches the memory of the process. The best time and the
highest memory of `--repeat` runs count; DuckDB may use as many threads as there are cores. The
results must be the same, to the last person: that is compared, and a difference ends the run.

DuckDB and pandas go by the same idea as ours, as the plain way takes them ten times as long or more
memory than there is: for unicity they list the people of each pair of points, and look up the pair
of the two rarest points that were drawn. pandas does so in parts.
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PEOPLE, POSITIONS = 2_565_724, 6_680_348
CONTENDERS = ("ours", "duckdb", "pandas")
ANALYSES = ("unicity", "dwell", "top_places", "linkage")
MOST, MINUTES = 5, 60
MEMORY_MIB = 2_048
KNOWN = ["quarter", "birthday", "sex"]
_HOUR = 3_600_000_000  # in microseconds
_PRIME = 2**31 - 1


def digest(*columns) -> str:
    """One text for columns of whole numbers."""
    import numpy as np

    whole = hashlib.sha256()
    for column in columns:
        whole.update(np.ascontiguousarray(column, dtype=np.int64).tobytes())
    return whole.hexdigest()


# Ours


def ours(folder: Path, analysis: str):
    import polars as pl

    from leftopen import trace

    positions, people = folder / "positions.parquet", folder / "people.parquet"
    yield
    if analysis == "unicity":
        frame = pl.read_parquet(positions, columns=["person", "tracker", "at"])
        table = trace.unicity_table(trace.coarse(frame, MINUTES), MOST)
        yield table.select("points", "people", "alone").rows()
    elif analysis == "dwell":
        yield trace.dwell(pl.read_parquet(positions)).rows()
    elif analysis == "top_places":
        top = trace.top_places(pl.read_parquet(positions, columns=["person", "tracker"]))
        yield lambda: digest(*(top[name] for name in ("person", "tracker", "sightings")))
    else:
        frame = pl.read_parquet(people, columns=["homeAddress", "birthday", "sex"])
        frame = frame.with_columns(quarter=pl.col("homeAddress").str.slice(-12))
        made = trace.linkage(frame, KNOWN)
        yield lambda: [made.unique, made.under_5, digest(made.k)]


# DuckDB

_LOT = f"""
CREATE MACRO turn(drawn, value, factor) AS
    (xor(drawn, drawn >> 15) + value % {_PRIME}) * factor % {_PRIME};
CREATE MACRO last(drawn) AS xor(drawn, drawn >> 15) * 62089911 % {_PRIME};
CREATE MACRO lot(person, tracker, moment) AS last(turn(turn(turn(
    0::BIGINT, person::BIGINT, 742938285), tracker, 950706376), moment, 1226874159));
"""
_POINTS = f"""
CREATE TEMP TABLE points AS SELECT DISTINCT person,
    (tracker::BIGINT << 32) | (epoch_us("at") // {_HOUR}) AS cell FROM '$positions';
CREATE TEMP TABLE drawn AS SELECT person, cell, crowd, n, r FROM (
    SELECT *, count(*) OVER (PARTITION BY person) AS n, row_number() OVER (PARTITION BY person
        ORDER BY lot(person, cell >> 32, (cell & 4294967295) * {_HOUR}), cell) AS r FROM points)
JOIN (SELECT cell, count(*) AS crowd FROM points GROUP BY cell) USING (cell) WHERE r <= {MOST};
"""
_HELD = """
WITH wanted AS (SELECT person, list(cell ORDER BY crowd, cell) AS cells FROM drawn
    WHERE n >= $points AND r <= $points GROUP BY person),
named AS (SELECT *, least(cells[1], cells[2]) AS one, greatest(cells[1], cells[2]) AS other
    FROM wanted),
asked AS (SELECT DISTINCT one, other FROM named),
pairs AS (SELECT a.person, a.cell AS one, b.cell AS other FROM points a JOIN points b
    ON a.person = b.person AND a.cell < b.cell
    SEMI JOIN asked ON asked.one = a.cell AND asked.other = b.cell),
found AS (SELECT DISTINCT w.person FROM named w JOIN pairs o
    ON o.one = w.one AND o.other = w.other AND o.person <> w.person $more)
SELECT (SELECT count(*) FROM wanted), (SELECT count(*) FROM found)
"""
_DWELL = """
WITH numbered AS (SELECT *, tracker IS DISTINCT FROM lag(tracker) OVER (PARTITION BY person
    ORDER BY "at", tracker) AS new FROM '$positions'),
stayed AS (SELECT *, sum(new::INTEGER) OVER (PARTITION BY person ORDER BY "at", tracker
    ROWS UNBOUNDED PRECEDING) AS stay FROM numbered),
stays AS (SELECT any_value(place) AS place, count(*) AS seen,
    epoch_us(max("at")) - epoch_us(min("at")) AS lasts FROM stayed GROUP BY person, stay)
SELECT place, count(*) FILTER (WHERE seen > 1), count(*) FILTER (WHERE seen = 1),
    median(lasts) FILTER (WHERE seen > 1) / 6e7,
    sum(lasts) FILTER (WHERE seen > 1) / count(*) FILTER (WHERE seen > 1) / 6e7,
    quantile_disc(lasts, 0.9) FILTER (WHERE seen > 1) / 6e7
FROM stays GROUP BY place ORDER BY place
"""
# The fastest of three ways that were tried: sightings and tracker in one number.
_TOP = """
SELECT person, 4294967296 - best % 4294967296 AS tracker, best // 4294967296 AS sightings
FROM (SELECT person, max((n << 32) + 4294967296 - tracker) AS best
    FROM (SELECT person, tracker, count(*) AS n FROM '$positions' GROUP BY person, tracker)
    GROUP BY person) ORDER BY person
"""
_LINKAGE = """
SELECT count(*) OVER (PARTITION BY right("homeAddress", 12), birthday, sex) AS k
FROM '$people' ORDER BY _id
"""


def duckdb(folder: Path, analysis: str):
    import duckdb as engine

    def run(statement: str, points: int = 0, more: str = ""):
        filled = statement.replace("$positions", str(folder / "positions.parquet"))
        filled = filled.replace("$people", str(folder / "people.parquet"))
        return engine.execute(filled.replace("$points", str(points)).replace("$more", more))

    run("SET TimeZone = 'UTC'")
    run("SET enable_progress_bar = false")
    yield
    if analysis == "unicity":
        run(_LOT + _POINTS)
        rows = [run("SELECT 1, count(*), sum((crowd = 1)::INTEGER) FROM drawn WHERE r = 1")]
        rows = [tuple(map(int, rows[0].fetchone()))]
        more = ""
        for points in range(2, MOST + 1):
            if points > 2:
                more += (
                    f" SEMI JOIN points p{points} ON p{points}.person = o.person"
                    f" AND p{points}.cell = w.cells[{points}]"
                )
            people, found = run(_HELD, points, more).fetchone()
            rows.append((points, people, people - found))
        yield rows
    elif analysis == "dwell":
        yield run(_DWELL).fetchall()
    elif analysis == "top_places":
        made = run(_TOP).fetchnumpy()
        yield lambda: digest(*made.values())
    else:
        k = run(_LINKAGE).fetchnumpy()["k"]
        unique, under_5 = (float((k < most).sum()) / len(k) for most in (2, 5))
        yield lambda: [unique, under_5, digest(k)]


# pandas

_PART = 50_000  # people whose candidates pandas has in memory at once


def pandas(folder: Path, analysis: str):
    import pandas as pd

    positions, people = folder / "positions.parquet", folder / "people.parquet"
    yield
    if analysis == "unicity":
        yield _pandas_unicity(pd.read_parquet(positions, columns=["person", "tracker", "at"]))
    elif analysis == "dwell":
        yield _pandas_dwell(pd.read_parquet(positions))
    elif analysis == "top_places":
        frame = pd.read_parquet(positions, columns=["person", "tracker"])
        counts = frame.groupby(["person", "tracker"]).size().reset_index(name="sightings")
        order = ["person", "sightings", "tracker"]
        counts = counts.sort_values(order, ascending=[True, False, True])
        top = counts.drop_duplicates("person")
        yield lambda: digest(top["person"], top["tracker"], top["sightings"])
    else:
        frame = pd.read_parquet(people, columns=["homeAddress", "birthday", "sex"])
        frame["quarter"] = frame["homeAddress"].str[-12:]
        k = frame.groupby(KNOWN)["homeAddress"].transform("size")
        unique, under_5 = (float((k < most).sum()) / len(k) for most in (2, 5))
        yield lambda: [unique, under_5, digest(k)]


def _pandas_dwell(frame) -> list[tuple]:
    frame = frame.sort_values(["person", "at", "tracker"])
    new = (frame["person"] != frame["person"].shift()) | (
        frame["tracker"] != frame["tracker"].shift()
    )
    times = frame["at"].dt.as_unit("us").astype("int64")
    stays = times.groupby(new.cumsum()).agg(["first", "last", "size"])
    stays["place"] = frame["place"][new].to_numpy()
    stays["lasts"] = stays["last"] - stays["first"]
    long = stays[stays["size"] > 1].groupby("place")["lasts"]
    made = zip(
        long.size(),
        stays[stays["size"] == 1].groupby("place").size(),
        long.median() / 6e7,
        long.sum() / long.size() / 6e7,
        long.agg(lambda lasts: lasts.sort_values().iloc[-(-9 * len(lasts) // 10) - 1]) / 6e7,
        strict=True,
    )
    return [(place, *values) for place, values in zip(long.size().index, made, strict=True)]


def _pandas_unicity(frame) -> list[tuple]:
    import numpy as np
    import pandas as pd

    hour = frame["at"].dt.as_unit("us").astype("int64") // _HOUR
    frame["cell"] = frame["tracker"].astype("int64") * 2**32 + hour
    points = frame[["person", "cell"]].drop_duplicates().sort_values(["person", "cell"])
    lot = np.zeros(len(points), dtype=np.int64)
    values = (points["person"], points["cell"] // 2**32, points["cell"] % 2**32 * _HOUR)
    for value, factor in zip(values, (742_938_285, 950_706_376, 1_226_874_159), strict=True):
        lot = ((lot ^ (lot >> 15)) + value.to_numpy() % _PRIME) * factor % _PRIME
    points["lot"] = (lot ^ (lot >> 15)) * 62_089_911 % _PRIME
    points["crowd"] = points.groupby("cell")["cell"].transform("size")
    points["n"] = points.groupby("person")["person"].transform("size")
    drawn = points.sort_values(["person", "lot", "cell"])
    drawn["r"] = drawn.groupby("person").cumcount()
    rows = [(1, int((drawn["r"] == 0).sum()), int((drawn["crowd"][drawn["r"] == 0] == 1).sum()))]
    points = points[["person", "cell"]]
    pairs = points.merge(points, on="person", suffixes=("_one", "_other"))
    pairs = pairs[pairs["cell_one"] < pairs["cell_other"]]
    members = pd.MultiIndex.from_frame(points)
    for count in range(2, MOST + 1):
        some = drawn[(drawn["n"] >= count) & (drawn["r"] < count)]
        some = some.sort_values(["person", "crowd", "cell"])
        cells = some["cell"].to_numpy().reshape(-1, count)
        wanted = pd.DataFrame(cells[:, 2:]).add_prefix("more_")
        wanted.insert(0, "asker", some["person"].to_numpy()[::count])
        wanted["cell_one"], wanted["cell_other"] = (
            cells[:, :2].min(axis=1),
            cells[:, :2].max(axis=1),
        )
        asked = wanted[["cell_one", "cell_other"]].drop_duplicates()
        near, held = pairs.merge(asked, on=["cell_one", "cell_other"]), 0
        for first in range(0, len(wanted), _PART):
            part = wanted.iloc[first : first + _PART]
            both = part.merge(near, on=["cell_one", "cell_other"])
            both = both[both["asker"] != both["person"]]
            for more in range(count - 2):
                keys = pd.MultiIndex.from_arrays([both["person"], both[f"more_{more}"]])
                both = both[members.get_indexer(keys) >= 0]
            held += both["asker"].nunique()
        rows.append((count, len(wanted), len(wanted) - held))
    return rows


# The measure


def child(contender: str, analysis: str, folder: Path) -> None:
    steps = globals()[contender](folder, analysis)
    next(steps)
    started = time.perf_counter()
    result = next(steps)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, result() if callable(result) else result]))


def measure(contender: str, analysis: str, folder: Path) -> tuple[float, float, object]:
    """Run one analysis in a process of its own: seconds, peak MiB, and the result."""
    command = [sys.executable, __file__, "--contender", contender, "--analysis", analysis]
    process = psutil.Popen([*command, "--folder", folder], stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # it may have just ended
            peak = max(peak, process.memory_info().rss)
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"{contender} failed to run {analysis}.")
    seconds, result = json.loads(process.stdout.read())
    return seconds, peak / 2**20, result


def same(one: object, other: object) -> bool:
    """Whether two results are the same: floating-point numbers to the last digit or two."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-12 * abs(one)
    return one == other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--positions", type=int, default=POSITIONS)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--only", choices=ANALYSES, help="one analysis alone")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--analysis", choices=ANALYSES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        child(asked.contender, asked.analysis, asked.folder)
        return

    from leftopen.synth.sensenets import write

    with tempfile.TemporaryDirectory() as folder:
        write(folder, asked.people, asked.positions, progress=False)
        print(f"{asked.people:,} people and {asked.positions:,} positions,")
        print(f"{psutil.cpu_count()} cores; best of {asked.repeat}, pandas once\n")
        print(f"{'':12}{'':8}{'seconds':>9}{'ours is':>10}{'peak MiB':>10}   goal")
        for analysis in (asked.only,) if asked.only else ANALYSES:
            compare(analysis, Path(folder), asked.repeat)


def compare(analysis: str, folder: Path, repeat: int) -> None:
    """Measure one analysis by all, by turns so that a busy machine slows each, and print it."""
    best, results = {}, {}
    for turn in range(repeat):
        for name in CONTENDERS if turn == 0 else CONTENDERS[:2]:
            seconds, peak, results[name] = measure(name, analysis, folder)
            least, most = best.get(name, (seconds, peak))
            best[name] = min(least, seconds), max(most, peak)
            if not same(results["ours"], results[name]):
                raise SystemExit(
                    f"{analysis}: {results['ours']} by ours, {results[name]} by {name}"
                )
    for name, (seconds, peak) in best.items():
        ratio = seconds / best["ours"][0]
        met, goal = peak <= MEMORY_MIB, f"memory at most {MEMORY_MIB:,} MiB"
        if name == "duckdb":
            met, goal = ratio >= 1, "time at least ours"
        end = "" if name == "pandas" else f"   {goal}: {'met' if met else 'not met'}"
        times = "" if name == "ours" else f"{ratio:.1f} x"
        print(f"{analysis:12}{name:8}{seconds:9.2f}{times:>10}{peak:10.0f}{end}", flush=True)
    print(f"{'':12}the same results\n")


if __name__ == "__main__":
    main()
