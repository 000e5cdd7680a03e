"""The trace analyses again, by plain pandas and by SQL: slow, short, and written by themselves."""

import math

import duckdb
import pandas as pd

PRIME = 2**31 - 1
MULTIPLIERS = (742_938_285, 950_706_376, 1_226_874_159)
LAST = 62_089_911


def microseconds(times):
    return times.astype("datetime64[us, UTC]").astype("int64")


def lot(seed, *values):
    """The number that decides which points are drawn: in whole numbers of Python."""
    drawn = seed % PRIME
    for value, factor in zip(values, MULTIPLIERS, strict=False):
        drawn = ((drawn ^ (drawn >> 15)) + value % PRIME) * factor % PRIME
    return (drawn ^ (drawn >> 15)) * LAST % PRIME


def alone(positions, points, people=None, seed=0):
    """Of each person with so many points, whether the drawn ones pick out that person alone."""
    rows = positions.assign(at=microseconds(positions["at"]))
    traces = {
        person: set(zip(rows["tracker"], rows["at"], strict=True))
        for person, rows in rows.groupby("person")[["tracker", "at"]]
    }
    able = [person for person, trace in traces.items() if len(trace) >= points]
    able = sorted(able, key=lambda person: (lot(seed, person), person))[:people]
    found = {}
    for person in able:
        drawn = sorted(traces[person], key=lambda point: (lot(seed, person, *point), point))
        found[person] = sum(set(drawn[:points]) <= trace for trace in traces.values()) == 1
    return found


def dwell(positions):
    stays = []
    for _, rows in positions.sort_values(["at", "tracker"]).groupby("person"):
        stay = (rows["tracker"] != rows["tracker"].shift()).cumsum()
        for _, seen in rows.groupby(stay):
            lasts = (seen["at"].max() - seen["at"].min()) // pd.Timedelta("1us")
            stays.append((seen["place"].iloc[0], len(seen), lasts))
    made = []
    for place in sorted({place for place, _, _ in stays}):
        lasts = sorted(lasts for where, count, lasts in stays if where == place and count > 1)
        once = sum(where == place and count == 1 for where, count, _ in stays)
        count = len(lasts)
        if not count:
            made.append((place, 0, once, None, None, None))
            continue
        middle = (lasts[(count - 1) // 2] + lasts[count // 2]) / 2
        ninth = next(value for n, value in enumerate(lasts, 1) if 10 * n >= 9 * count)
        minutes = (middle / 6e7, sum(lasts) / count / 6e7, ninth / 6e7)
        made.append((place, count, once, *minutes))
    return made


def top_places(positions, n):
    counts = positions.groupby(["person", "tracker"]).size().reset_index(name="sightings")
    counts = counts.sort_values(["person", "sightings", "tracker"], ascending=[True, False, True])
    counts["rank"] = counts.groupby("person").cumcount() + 1
    counts = counts[counts["rank"] <= n][["person", "rank", "tracker", "sightings"]]
    return list(counts.itertuples(index=False, name=None))


def group_sizes(people, columns):
    return people.groupby(columns, dropna=False)[columns[0]].transform("size").tolist()


def distinct(people, columns, sensitive):
    return people.groupby(columns)[sensitive].transform("nunique").tolist()


# DuckDB's SQL. `$` stands where a number is put in.

_LOT = f"""
CREATE OR REPLACE MACRO turn(drawn, value, factor) AS
    (xor(drawn, drawn >> 15) + value % {PRIME}) * factor % {PRIME};
CREATE OR REPLACE MACRO last(drawn) AS xor(drawn, drawn >> 15) * {LAST} % {PRIME};
CREATE OR REPLACE MACRO lot(seed, person, tracker, moment) AS last(turn(turn(turn(
    seed, person::BIGINT, {MULTIPLIERS[0]}), tracker::BIGINT, {MULTIPLIERS[1]}), moment,
    {MULTIPLIERS[2]}));
"""
_UNICITY = """
WITH points AS (SELECT DISTINCT person, tracker, epoch_us("at") AS "at" FROM positions),
ranked AS (SELECT *, row_number() OVER (PARTITION BY person
    ORDER BY lot($seed::BIGINT, person, tracker, "at"), tracker, "at") AS r,
    count(*) OVER (PARTITION BY person) AS n FROM points),
drawn AS (SELECT person, tracker, "at" FROM ranked WHERE n >= $points AND r <= $points),
held AS (SELECT drawn.person, points.person AS holder, count(*) AS held
    FROM drawn JOIN points USING (tracker, "at") GROUP BY ALL)
SELECT avg((holders = 1)::INTEGER) FROM (
    SELECT person, count(*) FILTER (WHERE held = $points) AS holders FROM held GROUP BY person)
"""
_DWELL = """
WITH numbered AS (SELECT *, tracker IS DISTINCT FROM lag(tracker) OVER (PARTITION BY person
    ORDER BY "at", tracker) AS new FROM positions),
stayed AS (SELECT *, sum(new::INTEGER) OVER (PARTITION BY person ORDER BY "at", tracker
    ROWS UNBOUNDED PRECEDING) AS stay FROM numbered),
stays AS (SELECT any_value(place) AS place, count(*) AS seen,
    epoch_us(max("at")) - epoch_us(min("at")) AS lasts FROM stayed GROUP BY person, stay)
SELECT place, count(*) FILTER (WHERE seen > 1), count(*) FILTER (WHERE seen = 1),
    median(lasts) FILTER (WHERE seen > 1) / 6e7,
    sum(lasts) FILTER (WHERE seen > 1) / count(*) FILTER (WHERE seen > 1) / 6e7,
    quantile_disc(lasts, 0.9) FILTER (WHERE seen > 1) / 6e7
FROM stays GROUP BY place ORDER BY place::VARCHAR
"""
_TOP = """
SELECT person, r, tracker, sightings FROM (SELECT person, tracker, count(*) AS sightings,
    row_number() OVER (PARTITION BY person ORDER BY count(*) DESC, tracker) AS r
    FROM positions GROUP BY person, tracker) WHERE r <= $n ORDER BY person, r
"""
_SIZES = "SELECT k, count(*) FROM (SELECT count(*) OVER (PARTITION BY $columns) AS k FROM people)"


def sql(query, tables, **numbers):
    """The rows of a query, over pandas frames."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            engine.register(name, table)
        engine.execute(_LOT)
        for name, number in numbers.items():
            query = query.replace(f"${name}", str(number))
        return engine.execute(query).fetchall()


def sql_unicity(positions, points, seed=0):
    return sql(_UNICITY, {"positions": positions}, seed=seed, points=points)[0][0]


def sql_dwell(positions):
    rows = sql(_DWELL, {"positions": positions})
    return [tuple(None if value != value else value for value in row) for row in rows]


def sql_top_places(positions, n):
    return sql(_TOP, {"positions": positions}, n=n)


def sql_sizes(people, columns):
    query = f"{_SIZES} GROUP BY k ORDER BY k"
    return sql(query, {"people": people}, columns=", ".join(f'"{name}"' for name in columns))


def same(one, other):
    """Whether two lists of rows are the same: floating-point numbers to the last digit or two."""
    if len(one) != len(other):
        return False
    pairs = [pair for rows in zip(one, other, strict=True) for pair in zip(*rows, strict=True)]
    return all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b))
        for a, b in pairs
    )
