"""Exercise 15, questions 1 and 4: the rows with which a question begins, and those that are there.

Read is every table of every database that lets anybody in, templates too: a copy hides in any; and
what the planner has sampled of their columns.
"""

import functools
from collections.abc import Iterator, Mapping

import psycopg
import pyarrow as pa
from psycopg import sql

from leftopen.checks import sql_lab
from leftopen.checks.sql_probe import DATABASE, operator
from leftopen.lab_postgres import PostgresLab
from leftopen.synth.tongren import sample

_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname"
_TABLES = """
SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1, 2
"""


@functools.cache
def began() -> Mapping[str, pa.Table]:
    """The tables with which a question begins, by their names."""
    return sample(sql_lab.SEED, 240, 3, (DATABASE,))[DATABASE]


def every_table(
    lab: PostgresLab, columns: str = "t.*"
) -> Iterator[tuple[str, psycopg.Cursor[tuple]]]:
    """Each table of a server, and its rows.

    Args:
        lab: the server.
        columns: what is read of a row of the table ``t``, in SQL.

    Yields:
        The name of the table, and its rows; read them before the next one.
    """
    for database in _databases(lab):
        with operator(lab, database) as there:
            for schema, table in there.execute(_TABLES).fetchall():
                query = sql.SQL(f"SELECT {columns} FROM {{}} t")
                yield table, there.execute(query.format(sql.Identifier(schema, table)))


def sampled(lab: PostgresLab) -> Iterator[str]:
    """What ANALYZE has kept of the values of each column, in every database."""
    for database in _databases(lab):
        with operator(lab, database) as there:
            yield from (text for (text,) in there.execute(sql_lab.SAMPLED) if text)


def _databases(lab: PostgresLab) -> list[str]:
    with operator(lab) as connection:
        return [name for (name,) in connection.execute(_DATABASES)]
