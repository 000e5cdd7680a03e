"""How fast the invented data are made and written: ours, DuckDB and Faker, side by side.

Run by `make bench`, or by itself:

    python tests/benchmarks/bench_generation.py [--people N] [--positions N] [--repeat N]

Each contender runs in a process of its own, which the parent times from start to end (imports
included) while it adds up the memory of that process and its children. The best of `--repeat` runs
counts. All write the same columns, of the same types and string shapes, compressed by snappy, in
row groups of about the same size, and ours and DuckDB flush the files to the disk. DuckDB is asked
for identity numbers that are unique and wrong, and for a person's positions in the order of time,
but not for the order of its row groups; that a person's day is possible is asked of ours alone.
Faker makes a few thousand rows, each value by itself, and its time is scaled by the row.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PEOPLE, POSITIONS = 2_565_724, 6_680_348
FAKER_PEOPLE, FAKER_POSITIONS = 4_000, 10_000
DUCKDB_RATIO, FAKER_RATIO, MEMORY_MIB = 1.5, 200, 300


def ours(folder: Path, people: int, positions: int) -> None:
    from leftopen.synth.sensenets import write

    write(folder, people, positions)


# The tables from which DuckDB joins its strings: faster than to format each row's own.
_DUCKDB_TABLES = """
CREATE TABLE days AS SELECT d::INTEGER AS day, born::TIMESTAMP_MS AS born, ymd,
    list_sum([ymd[i]::INTEGER * (1 << (12 - i)) % 11 for i in range(1, 9)])::INTEGER
        AS s
FROM (SELECT d, DATE '1929-01-01' + d::INTEGER AS born, strftime(born, '%Y%m%d') AS ymd
      FROM range(27028) t(d));
CREATE TABLE sequences AS SELECT q::INTEGER AS seq, lpad(q::VARCHAR, 3, '0') AS digits,
    (q // 100 * 8 + q // 10 % 10 * 4 + q % 10 * 2)::INTEGER AS s FROM range(1000) t(q);
CREATE TABLE regions AS SELECT r::INTEGER AS region, '00010' || r AS digits,
    ((1 << 14) % 11 + r * (1 << 12) % 11)::INTEGER AS s FROM range(1, 8) t(r);
CREATE TABLE cards AS SELECT d::INTEGER AS age, (DATE '2019-02-11' - d::INTEGER)::TIMESTAMP_MS
    AS issued, (issued + INTERVAL 10 YEAR)::TIMESTAMP_MS AS expires FROM range(3650) t(d);
CREATE TABLE houses AS SELECT h::INTEGER AS house,
    format('House {:04d}, Street {:04d}, ', h % 500 + 1, h // 500 + 1) AS words
FROM range(2500) t(h);
CREATE TABLE quarters AS SELECT q::INTEGER AS quartier, format('Quarter {:04d}', q + 1) AS words
FROM range(415) t(q);
CREATE TABLE employers AS SELECT e::INTEGER AS job,
    CASE e WHEN 0 THEN 'none' ELSE format('Employer-{:04d}', e) END AS words
FROM range(5001) t(e);
CREATE TABLE places AS SELECT t::INTEGER AS tracker, ['home street', 'workplace',
    'place of prayer', 'hotel', 'restaurant', 'station', 'police post', 'internet cafe'][1 + t % 8]
    AS place FROM range(1, 1040) t(t);
CREATE TABLE numbers AS SELECT i FROM range(greatest($people, $positions)) t(i);
"""

_DUCKDB_PEOPLE = """
SELECT p.id AS _id, 'Person-' || right((10000001 + p.i)::VARCHAR, 7) AS name,
    regions.digits || days.ymd || sequences.digits
        || '6543210X987'[1 + (days.s + sequences.s + regions.s) % 11] AS "idNumber",
    cards.issued AS "idIssued", cards.expires AS "idExpires",
    CASE WHEN p.seq % 2 = 1 THEN 'male' ELSE 'female' END AS sex,
    CASE WHEN p.luck < 0.4 THEN 'Alder' WHEN p.luck < 0.75 THEN 'Birch' ELSE 'Cedar' END
        AS "group",
    houses.words || quarters.words AS "homeAddress", days.born AS birthday,
    'token-' || hex(hash(p.i) | 9223372036854775808) AS photo, employers.words AS employer
FROM (SELECT i, (i + 1)::INTEGER AS id, (slot % 27028)::INTEGER AS day,
        (slot // 27028 % 1000)::INTEGER AS seq, (1 + slot // 27028000)::INTEGER AS region,
        floor(random() * 3650)::INTEGER AS age, random() AS luck,
        floor(random() * 2500)::INTEGER AS house, floor(random() * 415)::INTEGER AS quartier,
        floor(random() * 5001)::INTEGER AS job
      FROM (SELECT i, i * 100000007 % 189196000 AS slot FROM numbers WHERE i < $people)) p
LEFT JOIN days USING (day) LEFT JOIN sequences USING (seq) LEFT JOIN regions USING (region)
LEFT JOIN cards USING (age) LEFT JOIN houses USING (house) LEFT JOIN quarters USING (quartier)
LEFT JOIN employers USING (job)
"""

_DUCKDB_POSITIONS = """
SELECT p.person, p.tracker, make_timestamp_ms(p.at)::TIMESTAMP_MS AS at, places.place
FROM (SELECT (1 + i * $people // $positions)::INTEGER AS person,
        1 + floor(random() * 1039)::INTEGER AS tracker,
        1549929600000 + floor((i * $people % $positions + $people * random())
            * (86400000 / ($positions + $people)))::BIGINT AS at
      FROM numbers WHERE i < $positions) p
LEFT JOIN places USING (tracker)
"""


def duckdb(folder: Path, people: int, positions: int) -> None:
    import duckdb as engine

    def run(statement: str) -> None:
        filled = statement.replace("$people", str(people)).replace("$positions", str(positions))
        engine.execute(filled)

    run(_DUCKDB_TABLES)
    for name, query, rows in (
        ("people", _DUCKDB_PEOPLE, 131_072),
        ("positions", _DUCKDB_POSITIONS, 262_144),
    ):
        run(
            f"COPY ({query}) TO '{folder / name}.parquet' (FORMAT parquet, "
            f"COMPRESSION snappy, ROW_GROUP_SIZE {rows}, PARQUET_VERSION V2)"
        )
        with (folder / f"{name}.parquet").open("r+b") as written:
            os.fsync(written.fileno())  # as ours does


def faker(folder: Path, people: int, positions: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from faker import Faker

    fake = Faker()
    places = ("home street", "workplace", "hotel", "restaurant", "station", "internet cafe")

    def person(number: int) -> dict:
        return {
            "_id": number,
            "name": fake.numerify("Person-#######"),
            "idNumber": fake.numerify("00010#############"),
            "idIssued": fake.date_time_between("-10y"),
            "idExpires": fake.date_time_between("now", "+10y"),
            "sex": fake.random_element(("male", "female")),
            "group": fake.random_element(("Alder", "Birch", "Cedar")),
            "homeAddress": fake.numerify("House ####, Street ####, Quarter ####"),
            "birthday": fake.date_time_between("-90y", "-16y"),
            "photo": fake.hexify("token-^^^^^^^^^^^^^^^^"),
            "employer": fake.numerify("Employer-####"),
        }

    def position() -> dict:
        return {
            "person": fake.random_int(1, PEOPLE),
            "tracker": fake.random_int(1, 1_039),
            "at": fake.date_time_between("-1d"),
            "place": fake.random_element(places),
        }

    started = time.perf_counter()
    pq.write_table(
        pa.Table.from_pylist([person(number) for number in range(people)]),
        folder / "people.parquet",
    )
    for_people = time.perf_counter() - started
    started = time.perf_counter()
    pq.write_table(
        pa.Table.from_pylist([position() for _ in range(positions)]), folder / "positions.parquet"
    )
    print(json.dumps([for_people / people, (time.perf_counter() - started) / positions]))


def measure(contender: str, people: int, positions: int) -> tuple[float, float, str]:
    """Run a contender in a process of its own: seconds, peak MiB of its tree, what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--contender", contender, "--folder", folder]
        command += ["--people", str(people), "--positions", str(positions)]
        started = time.perf_counter()
        child = psutil.Popen(command, stdout=subprocess.PIPE, text=True)
        peak = 0
        while child.poll() is None:
            try:
                tree = [child, *child.children(recursive=True)]
                peak = max(peak, sum(process.memory_info().rss for process in tree))
            except psutil.Error:
                pass  # it has just ended
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        printed = child.stdout.read()
        if child.returncode:
            raise SystemExit(f"{contender} failed to run.")
    return seconds, peak / 2**20, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--positions", type=int, default=POSITIONS)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best counts")
    parser.add_argument("--contender", choices=["ours", "duckdb", "faker"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        globals()[asked.contender](asked.folder, asked.people, asked.positions)
        return

    best = {}
    for _ in range(asked.repeat):
        for name in ("ours", "duckdb"):  # by turns, so that a busy machine slows both
            seconds, peak, _ = measure(name, asked.people, asked.positions)
            least, most = best.get(name, (seconds, peak))
            best[name] = min(least, seconds), max(most, peak)
    _, faker_peak, printed = measure("faker", FAKER_PEOPLE, FAKER_POSITIONS)
    a_person, a_position = json.loads(printed)
    best["faker"] = asked.people * a_person + asked.positions * a_position, faker_peak

    rows = asked.people + asked.positions
    goals = {
        "ours": (MEMORY_MIB, "MiB"),
        "duckdb": (DUCKDB_RATIO, "x"),
        "faker": (FAKER_RATIO, "x"),
    }
    print(f"{asked.people:,} people and {asked.positions:,} positions, {psutil.cpu_count()} cores,")
    print(f"best of {asked.repeat}; Faker scaled from {FAKER_PEOPLE + FAKER_POSITIONS:,} rows\n")
    print(f"{'':8}{'seconds':>10}{'rows/s':>12}{'ours is':>12}{'peak MiB':>10}   goal")
    for name, (seconds, peak) in best.items():
        ratio = seconds / best["ours"][0]
        goal, unit = goals[name]
        met = peak <= goal if name == "ours" else ratio >= goal
        limit = f"at {'most' if name == 'ours' else 'least'} {goal:g} {unit}"
        times = "" if name == "ours" else f"{ratio:.1f} x"
        print(
            f"{name:8}{seconds:10.2f}{rows / seconds:12,.0f}{times:>12}{peak:10.0f}"
            f"   {limit}: {'met' if met else 'not met'}"
        )


if __name__ == "__main__":
    main()
