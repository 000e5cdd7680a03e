"""The invented data of the Tongren case: four door logs, and who passed the doors.

`sample` makes them in memory, `later_passages` what comes after, without an end, `write` makes
Parquet files of any size, and `read` brings them back as `sample` gives them. Run as a module, it
writes the committed sample again: ``python -m leftopen.synth.tongren datasets/tongren``.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leftopen.errors import DataError
from leftopen.synth.asked import whole
from leftopen.synth.doors import day_passages, passages_table
from leftopen.synth.draws import Stream, below, words
from leftopen.synth.parquet import File, write_set
from leftopen.synth.quarter import (
    Quarter,
    Visitors,
    buildings_table,
    make_quarter,
    make_visitors,
    residents_table,
    visitors_table,
)
from leftopen.synth.text import choices, strings

DATABASES = ("doors_1", "doors_2", "doors_3", "doors_4")
"""The four door logs; each has houses, residents and visitors of its own."""
TABLES = ("buildings", "residents", "visitors", "passages")
DEFAULT_SEED = 2020
SAMPLE_RESIDENTS, SAMPLE_DAYS = 2_000, 3
"""Size of the committed sample: Friday 14 to Sunday 16 August 2020."""
FULL_RESIDENTS = 100_000
"""With one visitor to ten residents these are the 110,000 people that were reported."""
RESIDENTS_A_VISITOR = 10

_FORMAT = 1  # to be raised whenever the same parameters come to give other rows
_LEAST, _MOST, _MOST_DAYS = 40, 30_000, 31
_FEWEST_VISITORS = 20
_SUNDAY = 2  # days after Friday: the last day of every sample

Tables = dict[str, dict[str, pa.Table]]
"""Database -> table -> rows."""


def sample(
    seed: int = DEFAULT_SEED,
    residents: int = SAMPLE_RESIDENTS,
    days: int = SAMPLE_DAYS,
    databases: Sequence[str] = DATABASES,
) -> Tables:
    """Return database -> table -> rows: the same arguments give the same rows.

    `residents` are shared out evenly to the databases; besides them there is one visitor to ten
    residents, but 20 at least in each database. The last day is always Sunday, 16 August 2020.

    Raises DataError for impossible numbers, or for a database that is none of the four.
    """
    asked = _quarters(seed, residents, days, databases)
    return {
        name: {table: _table(table, *each, days) for table in TABLES}
        for name, each in asked.items()
    }


def later_passages(
    seed: int = DEFAULT_SEED,
    residents: int = SAMPLE_RESIDENTS,
    databases: Sequence[str] = DATABASES,
) -> Iterator[tuple[str, dict]]:
    """Yield (database, passage) in order of time from Monday, 17 August 2020 on, without an end.

    A passage is what a row of `passages` holds, but for its number, which the table gives.
    Raises DataError for impossible numbers, or for a database that is none of the four.
    """
    asked = _quarters(seed, residents, 1, databases)

    def of(name: str) -> Iterator[tuple[str, dict]]:
        for day in count(_SUNDAY + 1):
            for row in passages_table(*asked[name], day, 0).drop_columns("passage").to_pylist():
                yield name, row

    return merge(*map(of, asked), key=lambda event: event[1]["at"])


def write(
    folder: str | Path,
    residents: int = FULL_RESIDENTS,
    days: int = SAMPLE_DAYS,
    seed: int = DEFAULT_SEED,
    *,
    progress: bool = True,
) -> tuple[Path, ...]:
    """Write the tables of all four databases as one Parquet file each, and return the paths.

    A first column, `database`, says where a row belongs. One database is held in memory at a time.
    What is there already is treated as by `leftopen.synth.parquet.write_set`.

    Raises DataError for impossible numbers, a folder that cannot be written or holds files of
    these names that are not ours, and a full disk.
    """
    asked = _quarters(seed, residents, days, DATABASES)
    rows = {
        "buildings": sum(len(quarter.houses) for quarter, _ in asked.values()),
        "residents": residents,
        "visitors": sum(len(visitors.kind) for _, visitors in asked.values()),
        "passages": sum(
            len(day_passages(*each, day).at) for each in asked.values() for day in _days(days)
        ),
    }
    stamp = {
        "command": "leftopen data tongren",
        "format": _FORMAT,
        "seed": seed,
        "residents": residents,
        "days": days,
    }
    files = [File(f"{table}.parquet", rows[table], _groups(asked, table, days)) for table in TABLES]
    return write_set(Path(folder), files, json.dumps(stamp), progress=progress)


def read(folder: str | Path, databases: Sequence[str] = DATABASES) -> Tables:
    """Return the rows of a folder that `write` filled, as `sample` gives them.

    Raises DataError when a file is missing or cannot be read.
    """
    found: Tables = {name: {} for name in databases}
    for table in TABLES:
        path = Path(folder) / f"{table}.parquet"
        try:
            rows = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path} cannot be read. Run the course from a whole copy of its repository, "
                "or make the files again with `leftopen data tongren`."
            ) from error
        for name in databases:
            mine = pc.equal(rows["database"], name)
            found[name][table] = rows.filter(mine).drop_columns("database")
    return found


def _quarters(
    seed: int, residents: int, days: int, databases: Sequence[str]
) -> dict[str, tuple[Quarter, Visitors]]:
    """Check what was asked for, and return each database's quarter and its visitors."""
    if not databases or not set(databases) <= set(DATABASES):
        raise DataError(f"{databases} are no door logs. There are: {', '.join(DATABASES)}.")
    parts = len(databases)
    seed = whole("as a seed", seed, 0, 2**64 - 1)
    residents = whole("residents", residents, _LEAST * parts, _MOST * parts)
    whole("days", days, 1, _MOST_DAYS)
    gathering = below(words(seed, Stream.GATHERING, 0, 1), parts)[0]
    asked, first_visitor = {}, 1
    for part, name in enumerate(databases):
        first, last = residents * part // parts, residents * (part + 1) // parts
        quarter = make_quarter(seed, DATABASES.index(name), last - first, first + 1)
        guests = max(_FEWEST_VISITORS, (last - first) // RESIDENTS_A_VISITOR)
        visitors = make_visitors(
            quarter, guests, first_visitor, residents + first_visitor, gathering=part == gathering
        )
        asked[name] = quarter, visitors
        first_visitor += guests
    return asked


def _days(days: int) -> range:
    return range(_SUNDAY + 1 - days, _SUNDAY + 1)


def _table(table: str, quarter: Quarter, visitors: Visitors, days: int) -> pa.Table:
    if table == "buildings":
        return buildings_table(quarter)
    if table == "residents":
        return residents_table(quarter)
    if table == "visitors":
        return visitors_table(quarter, visitors)
    parts, number = [], 1
    for day in _days(days):
        parts.append(passages_table(quarter, visitors, day, number))
        number += len(parts[-1])
    return pa.concat_tables(parts).combine_chunks()


def _groups(
    asked: dict[str, tuple[Quarter, Visitors]], table: str, days: int
) -> Iterator[pa.Table]:
    """Yield a table of all databases, one row group for each."""
    for name, each in asked.items():
        rows = _table(table, *each, days)
        where = choices(np.zeros(len(rows), dtype=np.int64), strings([name]))
        yield rows.add_column(0, pa.field("database", where.type, nullable=False), where)


if __name__ == "__main__":
    for path in write(sys.argv[1], SAMPLE_RESIDENTS):
        print(path)
