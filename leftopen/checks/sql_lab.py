"""Servers for the questions on PostgreSQL: small, with the roles that a question begins with."""

from collections.abc import Mapping

from psycopg import sql

from leftopen.cases import tongren, tongren_schema
from leftopen.checks.sql_probe import DATABASE
from leftopen.lab_postgres import Connect, PostgresLab

SEED = 10
BUILDINGS = ("A01", "A02", "A03")
"""The buildings of this seed's door log."""

TABLES: dict[str, tuple[str, ...]] = {}
"""Each table with its columns."""
SAMPLED = """
SELECT concat_ws(' ', most_common_vals, histogram_bounds, most_common_elems)
FROM pg_stats WHERE schemaname <> 'pg_catalog'
UNION ALL SELECT most_common_vals::text FROM pg_stats_ext
"""
"""What ANALYZE keeps of the columns' values, as texts (PostgreSQL manual, "pg_stats"). It goes with
a column, and stays where the column is only emptied, until the next ANALYZE."""

for _field in tongren_schema.FIELDS:
    TABLES[_field.collection] = (*TABLES.get(_field.collection, ()), _field.field)


def open_lab(
    statements: str = "",
    accounts: Mapping[str, str] | None = None,
    config: str = tongren.LOCKED,
    hba: str = tongren.HBA_LOCKED,
) -> PostgresLab:
    """A small server with accounts that log in, and what some statements make of it.

    Args:
        statements: SQL that the operator runs in the database, after the accounts are there.
        accounts: role -> password.
        config: the postgresql.conf with which it begins; by default it is locked.
        hba: the pg_hba.conf with which it begins.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab_postgres.PostgresLab`.
    """

    def prepare(connect: Connect) -> None:
        with connect(DATABASE) as operator:
            for name, password in (accounts or {}).items():
                new = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                operator.execute(new.format(sql.Identifier(name), password))
            if statements:
                operator.execute(statements)

    return tongren.small_lab(SEED, config, hba, prepare)
