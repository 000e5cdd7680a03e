"""Checks of what everyone was given, and of functions that act as their owner."""

from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.postgres.accounts import applications
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.postgres.rows import OWN
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

_NOT_OF_AN_EXTENSION = (
    "NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.objid = {0}.oid AND x.deptype = 'e' "
    "AND x.classid = '{1}'::regclass)"
)
_TABLES = f"""
SELECT n.nspname || '.' || c.relname, string_agg(DISTINCT a.privilege_type, ', ')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
LATERAL (SELECT x.* FROM aclexplode(c.relacl) x UNION ALL
         SELECT x.* FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid) a
WHERE a.grantee = 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {OWN}
AND {_NOT_OF_AN_EXTENSION.format("c", "pg_class")} GROUP BY 1 ORDER BY 1
"""
_DEFAULTS = """
SELECT pg_get_userbyid(d.defaclrole), string_agg(DISTINCT a.privilege_type, ', ')
FROM pg_default_acl d, aclexplode(d.defaclacl) a
WHERE a.grantee = 0 AND d.defaclobjtype = 'r' GROUP BY 1 ORDER BY 1
"""
_SCHEMAS = f"""
SELECT 'schema ' || n.nspname FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND {OWN}
UNION ALL SELECT 'database ' || d.datname FROM pg_database d, aclexplode(d.datacl) a
WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'CREATE' ORDER BY 1
"""
_DEFINERS = f"""
SELECT n.nspname || '.' || p.proname, pg_get_function_identity_arguments(p.oid), o.rolname,
    o.rolsuper, (SELECT substring(s FROM 13) FROM unnest(p.proconfig) s
                 WHERE s LIKE 'search_path=%'),
    array(SELECT r.rolname::text FROM pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper
          AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1),
    EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            WHERE a.grantee = 0)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner
WHERE p.prosecdef AND p.prosqlbody IS NULL AND {OWN}
AND {_NOT_OF_AN_EXTENSION.format("p", "pg_proc")} ORDER BY 1, 2
"""


@check("public-grant")
def public_grant(look: PostgresLook) -> Iterator[Finding]:
    """Was a table given to everyone, or will the next one be?"""
    given, coming = [], []
    for database in look.databases:
        given += [(f"{database}.{name}", what) for name, what in look.rows(_TABLES, database)]
        coming += [(f"{database}, by {who}", what) for who, what in look.rows(_DEFAULTS, database)]
    if given:
        name = given[0][0].partition(".")[2]
        yield Finding(
            "public-grant",
            Severity.FIX,
            "Tables are given to everyone who can log in.",
            "pg_class.relacl → " + "; ".join(f"{table}: {what}" for table, what in given),
            "PUBLIC is every account, also those that are made next year for something else.",
            "CWE-732",
            f"REVOKE ALL ON {name} FROM PUBLIC;\nGRANT SELECT ON {name} TO …",
            f"SELECT relacl FROM pg_class WHERE oid = '{name}'::regclass"
            "  -- wanted: nothing that begins with =",
        )
    if coming:
        yield Finding(
            "public-grant",
            Severity.WARN,
            "The next table will be given to everyone.",
            "pg_default_acl → " + "; ".join(f"{where}: {what}" for where, what in coming),
            "Default privileges hold for tables that are not there yet, and nobody thinks of them "
            "when one is made.",
            "CWE-276",
            "ALTER DEFAULT PRIVILEGES … REVOKE ALL ON TABLES FROM PUBLIC",
            "SELECT * FROM pg_default_acl",
        )


@check("public-schema")
def public_schema(look: PostgresLook) -> Iterator[Finding]:
    """May everyone put things where others look for theirs?"""
    found = [f"{name}: {what}" for name in look.databases for (what,) in look.rows(_SCHEMAS, name)]
    if found:
        yield Finding(
            "public-schema",
            Severity.WARN,
            "Everyone may create objects beside those of others.",
            f"pg_namespace.nspacl, pg_database.datacl → CREATE to PUBLIC on {'; '.join(found)}",
            "A function of the same name as a known one, put where others look first, runs with "
            "the rights of whoever calls it (CVE-2018-1058). Databases from before PostgreSQL 15 "
            "have kept this default.",
            "CWE-426",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "SELECT has_schema_privilege('public', 'public', 'CREATE')  -- wanted: false",
        )


@check("definer-search-path")
def definer_search_path(look: PostgresLook) -> Iterator[Finding]:
    """Does a function that acts as its owner let its caller choose where it looks?"""
    names, seen = {role.name for role in applications(look)}, 0
    for database in look.databases:
        for name, arguments, owner, rules, path, callers, everyone in look.rows(
            _DEFINERS, database
        ):
            seen += 1
            callers = [c for c in callers if c in names and c != owner]
            if not (callers or everyone):
                continue
            if path is None:
                yield _open(database, f"{name}({arguments})", owner, rules, callers, everyone)
            elif not _is_closed(path):
                yield _half_open(database, f"{name}({arguments})", path)
    if not seen:
        raise NothingToLookAt("no function acts as its owner (SECURITY DEFINER)")


def _is_closed(path: str) -> bool:
    """Whether no schema of the caller's own comes before those that are named.

    Temporary tables are looked at first unless pg_temp is named, last (manual, "CREATE FUNCTION").
    """
    parts = [part.strip().strip('"') for part in path.split(",")]
    return parts in ([""], ["pg_catalog"]) or parts[-1] == "pg_temp"


def _open(
    database: str, function: str, owner: str, rules: bool, callers: list[str], everyone: bool
) -> Finding:
    whom = "everyone" if everyone else " and ".join(callers)
    return Finding(
        "definer-search-path",
        Severity.FIX if rules else Severity.WARN,
        f"A function acts as {owner}, and its caller says where it looks for names.",
        f"pg_proc in {database} → {function}: SECURITY DEFINER, no search_path; "
        f"may be called by {whom}",
        "The caller sets search_path to a schema of their own, with a table or a function of the "
        f"expected name in it, and that runs as {owner}.",
        "CWE-426",
        f"ALTER FUNCTION {function} SET search_path = pg_catalog, pg_temp;\n"
        f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC",
        f"SELECT proconfig FROM pg_proc WHERE oid = '{function}'::regprocedure",
    )


def _half_open(database: str, function: str, path: str) -> Finding:
    return Finding(
        "definer-search-path",
        Severity.NOTE,
        "A function that acts as its owner looks at its caller's temporary tables first.",
        f"pg_proc in {database} → {function}: search_path={path}",
        "Where pg_temp is not named, it comes first for tables. Name it, last.",
        "CWE-426",
        f"ALTER FUNCTION {function} SET search_path = {path}, pg_temp",
        f"SELECT proconfig FROM pg_proc WHERE oid = '{function}'::regprocedure",
    )
