"""Exercise 13, question 6: all that somebody reads who reads every table of a PostgreSQL server.

That is each schema and each database, materialised views too, and what the catalogue keeps of
comments, views, defaults, functions and settings, and its samples of each column: ANALYZE, which
autovacuum runs by itself, keeps common values and the bounds of a histogram (PostgreSQL manual,
"pg_stats"). They go with the column, and stay where it is only emptied.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, time
from decimal import Decimal

import psycopg
from psycopg import sql

from leftopen.audit.crypto import encodings
from leftopen.checks.encrypt_the_field_copies import Copy, Server
from leftopen.checks.sql_lab import SAMPLED
from leftopen.checks.sql_probe import DATABASE, operator
from leftopen.lab_postgres import PostgresLab

SAMPLES = Copy("pg_stats")
"""Where the values stand that the server sampled."""
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
_TABLES = r"""
SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema')
  AND nspname !~ '^pg_(toast|temp)' ORDER BY 1, 2
"""
_CATALOGUE = """
SELECT 'a function', prosrc FROM pg_proc WHERE pronamespace <> 'pg_catalog'::regnamespace
UNION ALL SELECT 'a setting', setting FROM pg_settings
UNION ALL SELECT 'a setting', setconfig::text FROM pg_db_role_setting
UNION ALL SELECT 'a comment', description FROM pg_description
  WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass
UNION ALL SELECT 'a comment', description FROM pg_shdescription
UNION ALL SELECT 'a view', definition FROM pg_views WHERE schemaname !~ '^(pg_|information_)'
UNION ALL SELECT 'a view', definition FROM pg_matviews
UNION ALL SELECT 'a default', pg_get_expr(adbin, adrelid) FROM pg_attrdef
UNION ALL SELECT 'a rule', pg_get_constraintdef(oid) FROM pg_constraint
"""
_SAMPLED = f"SELECT '{SAMPLES.where}', text FROM ({SAMPLED}) AS sampled (text)"
_LEAST = 8  # bytes of what may be a value, or an encoding of one
_NUMBERS = (int, float, Decimal)
_SIMPLE = (str, bytes, date, time)


def read(lab: PostgresLab) -> Server:
    """Read a server as a stranger does who reads every table, with what stands there encoded."""
    parts: dict[Copy, dict[bytes, None]] = {}
    with operator(lab) as connection:
        names = [name for (name,) in connection.execute(_DATABASES).fetchall()]
    for database in names:
        with operator(lab, database) as connection:
            for where, row in (*_rows(connection, database), *_catalogue(connection)):
                _put(parts, where, row)
    return Server({copy: b"\0".join(each) for copy, each in parts.items()})


def _rows(connection: psycopg.Connection, database: str) -> Iterator[tuple[str, tuple]]:
    for schema, table in connection.execute(_TABLES).fetchall():
        named = [database] if database != DATABASE else []
        named += [schema] if named or schema != "public" else []
        # And each row as PostgreSQL writes it, for what lies in arrays, JSON and the like.
        every = sql.SQL("SELECT *, t::text FROM {} AS t").format(sql.Identifier(schema, table))
        with suppress(psycopg.Error):  # it has gone, or its view is not filled
            for row in connection.execute(every).fetchall():
                yield ".".join([*named, table]), row


def _catalogue(connection: psycopg.Connection) -> Iterator[tuple[str, tuple]]:
    for select in (_CATALOGUE, _SAMPLED):
        for where, text in connection.execute(select).fetchall():
            yield where, (text, None)


def _put(parts: dict[Copy, dict[bytes, None]], where: str, row: tuple) -> None:
    """Keep a row's values, and what they are an encoding of; the row's text where it has more."""
    there = parts.setdefault(Copy(where), {})
    *values, text = row
    plain = [str(value) if isinstance(value, _NUMBERS) else value for value in values]
    if not all(value is None or isinstance(value, _SIMPLE) for value in plain):
        there[text.encode()] = None
    for value in plain:
        raw = value.encode() if isinstance(value, str) else value
        if not isinstance(raw, bytes) or len(raw) < _LEAST or raw in there:
            continue
        there[raw] = None
        for how, inner in encodings.layers(raw):
            parts.setdefault(Copy(where, how), {})[inner] = None
