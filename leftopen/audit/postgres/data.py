"""Checks of what lies in the tables: which applications see data of people in clear."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

from leftopen.audit.checks import check
from leftopen.audit.data import RANSOM
from leftopen.audit.personal import DEVICES_AND_GROUPS, Identifier, identifiers
from leftopen.audit.postgres.access import entries
from leftopen.audit.postgres.accounts import applications
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.postgres.rows import OWN
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

SAMPLE = 20
"""Rows that are read of each table."""
_MOST_TABLES = 60
_MOST_TOLD = 4
_NAMES = {**DEVICES_AND_GROUPS, "plate": "a number plate", "numberplate": "a number plate"}
_TABLES = f"""
SELECT c.oid::int8, n.nspname, c.relname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {OWN} ORDER BY 2, 3
"""
_READERS = """
SELECT r.rolname, a.attname FROM pg_roles r, pg_attribute a
WHERE r.rolcanlogin AND NOT r.rolsuper AND a.attrelid = %s::oid AND a.attname = ANY (%s)
AND has_column_privilege(r.oid, a.attrelid, a.attnum, 'SELECT') ORDER BY 1, 2
"""


@check("identifiers-in-clear")
def identifiers_in_clear(look: PostgresLook) -> Iterator[Finding]:
    """Do columns that identify people stand there for an application to read?"""
    names, seen = {role.name for role in applications(look)}, 0
    readers: set[str] = set()
    kinds: dict[str, str] = {}
    where: list[str] = []
    anyone = {entry.client.role for entry in entries(look)}
    is_open = any(look.roles[name].superuser for name in anyone if name in look.roles)
    for database in look.databases:
        for oid, schema, table in look.rows(_TABLES, database):
            seen += 1
            found = {f.field: f.kind for f in _sample(look, database, schema, table)}
            if not found or seen > _MOST_TABLES:
                continue
            rows = look.rows(_READERS, database, [oid, list(found)])
            those = {(name, column) for name, column in rows if name in names}
            if those or is_open:
                where.append(f"{database}.{schema}.{table}")
                readers |= {name for name, _ in those}
                shown = {column for _, column in those} or found.keys()
                kinds |= {column: found[column] for column in shown}
    if not seen:
        raise NothingToLookAt("there is no table of an application")
    if kinds:
        yield _told(look, is_open, sorted(readers), where, kinds)


def _sample(look: PostgresLook, database: str, schema: str, table: str) -> list[Identifier]:
    query = sql.SQL("SELECT * FROM {} LIMIT {}").format(sql.Identifier(schema, table), SAMPLE)
    try:
        cursor = look.connection(database).execute(query)
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except psycopg.Error as error:
        raise CouldNotLook(f"{schema}.{table} in {database} cannot be read: {error}") from None
    return identifiers(rows, _NAMES)


def _told(
    look: PostgresLook, is_open: bool, readers: list[str], where: list[str], kinds: dict[str, str]
) -> Finding:
    more = f" and {len(where) - _MOST_TOLD} more" if len(where) > _MOST_TOLD else ""
    column, table = sorted(kinds)[0], where[0].partition(".")[2]
    return Finding(
        "identifiers-in-clear",
        Severity.WARN if is_open else Severity.NOTE,
        f"{'Everyone' if is_open else ', '.join(map(repr, readers))} can read columns that "
        "identify people.",
        f"SELECT from {', '.join(where[:_MOST_TOLD])}{more} → "
        + "; ".join(f"{name}: {kind}" for name, kind in sorted(kinds.items())),
        "What an account does not see, nobody can take through it. Most work on such data needs "
        "the place and the time, and not the person.",
        "CWE-359",
        f"REVOKE SELECT ON {table} FROM …;\n"
        f"GRANT SELECT (building, flat) ON {table} TO …  -- the columns that it needs",
        f"as that account: SELECT {column} FROM {table}  -- wanted: permission denied",
    )


@check("ransom-note")
def ransom_note(look: PostgresLook) -> Iterator[Finding]:
    """Has somebody left a demand in the place of the data?"""
    found = [name for name in look.databases if RANSOM.search(name)]
    for database in look.databases:
        found += [
            f"{database}.{schema}.{table}"
            for _, schema, table in look.rows(_TABLES, database)
            if RANSOM.search(table)
        ]
    if found:
        yield Finding(
            "ransom-note",
            Severity.FIX,
            "Names look like the note of somebody who took the data.",
            f"pg_database, pg_class → {', '.join(found)}",
            "Such notes are left by programs that copy or wipe open databases. Treat the data as "
            "taken, and the machine as evidence.",
            "CWE-284",
            "# close the server to everyone first; keep a copy of it; then restore from a backup",
            "SELECT datname FROM pg_database",
        )
