"""Checks of row security: is it on, and who goes past it.

Superusers and accounts with BYPASSRLS always do; a table's owner does unless it is FORCEd; a view
looks with the eyes of its owner unless it is a ``security_invoker``; permissive policies are joined
by OR (PostgreSQL manual, "Row Security Policies", "CREATE VIEW", "CREATE POLICY").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from leftopen.audit.checks import check
from leftopen.audit.postgres.accounts import applications, held
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding, Severity
from leftopen.audit.shared import NothingToLookAt

OWN = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' "
    "AND n.nspname NOT LIKE 'pg_temp%'"
)
"""The schemas of applications, of a ``pg_namespace n``."""
_EVERYONE = "PUBLIC"
_SAME = re.compile(r"(?P<left>[\w.']+) = (?P=left)")


@dataclass(frozen=True)
class Table:
    """A table that has policies, or row security, or both."""

    database: str
    name: str
    owner: str
    is_on: bool
    is_forced: bool

    @property
    def full(self) -> str:
        """As ``doors_1.public.residents``."""
        return f"{self.database}.{self.name}"


def tables(look: PostgresLook) -> list[Table]:
    """The tables whose rows are guarded, or were meant to be.

    Raises:
        NothingToLookAt: there is none.
    """
    if "guarded" not in look.kept:
        look.kept["guarded"] = [
            Table(database, *row)
            for database in look.databases
            for row in look.rows(
                "SELECT n.nspname || '.' || c.relname, pg_get_userbyid(c.relowner), "
                "c.relrowsecurity, c.relforcerowsecurity "
                "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                f"WHERE c.relkind IN ('r', 'p') AND {OWN} AND (c.relrowsecurity OR "
                "EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = c.oid)) ORDER BY 1",
                database,
            )
        ]
    if not look.kept["guarded"]:
        raise NothingToLookAt("no table has row security or a policy")
    return look.kept["guarded"]


@check("row-security-off")
def row_security_off(look: PostgresLook) -> Iterator[Finding]:
    """Are there policies on a table where row security is off?"""
    off = [table for table in tables(look) if not table.is_on]
    if off:
        name = off[0].name
        yield Finding(
            "row-security-off",
            Severity.FIX,
            "Tables have policies, and row security is off.",
            f"pg_class.relrowsecurity → off on {', '.join(t.full for t in off)}",
            "A policy says who may see which rows. Until row security is switched on for the table "
            "nobody asks it.",
            "CWE-285",
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\n"
            f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
            f"SELECT relrowsecurity FROM pg_class WHERE oid = '{name}'::regclass",
        )


@check("row-security-bypass")
def row_security_bypass(look: PostgresLook) -> Iterator[Finding]:
    """Does an account go past the policies: by its attribute, as an owner, or through a view?"""
    guarded = [table for table in tables(look) if table.is_on]
    if not guarded:
        raise NothingToLookAt("row security is on for no table")
    yield from _by_attribute(look, guarded)
    yield from _by_ownership(look, guarded)
    yield from _by_view(look)


def _by_attribute(look: PostgresLook, guarded: list[Table]) -> Iterator[Finding]:
    for role in applications(look):
        each = [r.name for r in held(look, role) if r.bypasses]
        if each and not role.superuser:
            yield Finding(
                "row-security-bypass",
                Severity.FIX,
                f"{role.name!r} sees every row, whatever the policies say.",
                f"pg_roles.rolbypassrls → {', '.join(each)}; guarded: "
                f"{', '.join(table.full for table in guarded)}",
                "BYPASSRLS takes an account out of every policy of every database.",
                "CWE-285",
                f"ALTER ROLE {each[0]} NOBYPASSRLS",
                f"SELECT rolbypassrls FROM pg_roles WHERE rolname = '{each[0]}'  -- wanted: false",
            )


def _by_ownership(look: PostgresLook, guarded: list[Table]) -> Iterator[Finding]:
    for role in applications(look):
        own = [
            table
            for table in guarded
            if not table.is_forced and table.owner in {r.name for r in held(look, role)}
        ]
        if own and not role.superuser:
            yield Finding(
                "row-security-bypass",
                Severity.FIX,
                f"{role.name!r} owns guarded tables, so the policies do not hold for it.",
                f"pg_class.relforcerowsecurity → off on {', '.join(t.full for t in own)}; "
                f"owner: {own[0].owner}",
                "Row security leaves out a table's owner unless it is told not to. An owner can "
                "also switch it off: an application's account should own nothing.",
                "CWE-285",
                f"ALTER TABLE {own[0].name} FORCE ROW LEVEL SECURITY;\n"
                f"ALTER TABLE {own[0].name} OWNER TO …  -- an account that cannot log in",
                f"SELECT relforcerowsecurity FROM pg_class WHERE oid = '{own[0].name}'::regclass",
            )


_VIEWS = f"""
WITH RECURSIVE uses AS (
    SELECT w.ev_class AS view, d.refobjid AS rel FROM pg_rewrite w JOIN pg_depend d
    ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
), reads AS (
    SELECT view, rel FROM uses
    UNION SELECT reads.view, uses.rel FROM reads JOIN uses ON uses.view = reads.rel
)
SELECT n.nspname || '.' || v.relname, o.rolname, t.oid::regclass::text,
    'security_barrier=true' = ANY (coalesce(v.reloptions, '{{}}')),
    coalesce(substring(w.ev_action::text FROM ':hasAggs (true|false)') = 'true', false),
    array(SELECT r.rolname::text FROM pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper
          AND has_any_column_privilege(r.oid, v.oid, 'SELECT') ORDER BY 1)
FROM reads JOIN pg_class v ON v.oid = reads.view JOIN pg_namespace n ON n.oid = v.relnamespace
JOIN pg_class t ON t.oid = reads.rel JOIN pg_roles o ON o.oid = v.relowner
JOIN pg_rewrite w ON w.ev_class = v.oid AND w.rulename = '_RETURN'
WHERE t.relrowsecurity AND v.relkind IN ('v', 'm') AND {OWN}
AND (v.relkind = 'm' OR NOT coalesce(v.reloptions, '{{}}') && ARRAY['security_invoker=true',
     'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'])
AND (o.rolsuper OR o.rolbypassrls OR (o.oid = t.relowner AND NOT t.relforcerowsecurity))
ORDER BY 1, 3
"""


def _by_view(look: PostgresLook) -> Iterator[Finding]:
    names = {role.name for role in applications(look)}
    for database in look.databases:
        for view, owner, table, barrier, counts, readers in look.rows(_VIEWS, database):
            readers = [name for name in readers if name in names and name != owner]
            if not readers:
                continue
            yield Finding(
                "row-security-bypass",
                Severity.NOTE if counts else Severity.WARN if barrier else Severity.FIX,
                f"A view of {owner}'s shows "
                + ("figures from rows" if counts else "rows")
                + f" that the policies keep from {' and '.join(readers)}.",
                f"pg_class.reloptions of {database}.{view} → no security_invoker; it reads {table}",
                "A view looks with the eyes of its owner, for whom the policies do not hold. "
                + ("It may be meant so: see that no figure is about one person." if counts else ""),
                "CWE-285",
                f"ALTER VIEW {view} SET (security_invoker = true)",
                f"as {readers[0]}: SELECT count(*) FROM {view}  -- and of {table}",
            )


_POLICIES = """
SELECT schemaname || '.' || tablename, policyname, roles::text[], cmd, coalesce(qual, with_check)
FROM pg_policies WHERE permissive = 'PERMISSIVE' ORDER BY 1, 2
"""


@check("policy-true")
def policy_true(look: PostgresLook) -> Iterator[Finding]:
    """Is there a policy that lets every row through?"""
    tables(look)
    for database in look.databases:
        found = [(t, p, set(r), c, q) for t, p, r, c, q in look.rows(_POLICIES, database)]
        for table, policy, roles, cmd, condition in found:
            if not is_always_true(condition or ""):
                continue
            if cmd == "INSERT" and "public" not in roles:
                continue  # who may add rows at all is a matter of grants
            for_all = "public" in roles
            beside = _beside(found, table, roles, cmd)
            yield _true(database, table, policy, roles, for_all, beside)


def _beside(found: list, table: str, roles: set[str], cmd: str) -> list[str]:
    """Policies of the same table that this one makes meaningless."""
    return [
        policy
        for t, policy, them, command, condition in found
        if t == table
        and not is_always_true(condition or "")
        and ("public" in roles | them or roles & them)
        and (cmd == command or "ALL" in (cmd, command))
    ]


def _true(
    database: str, table: str, policy: str, roles: set[str], for_all: bool, beside: list[str]
) -> Finding:
    whom = _EVERYONE if for_all else ", ".join(sorted(roles))
    told = f"; beside it: {', '.join(beside)}" if beside else ""
    return Finding(
        "policy-true",
        Severity.FIX if for_all or beside else Severity.NOTE,
        f"A policy lets {whom} have every row of {table}.",
        f"pg_policies in {database} → {policy} to {whom}: true{told}",
        "Permissive policies are joined by OR: one that is always true makes all others of the "
        "table mean nothing."
        if for_all or beside
        else "That is right for an account which is meant to see everything, and for no other.",
        "CWE-285",
        f"DROP POLICY {policy} ON {table}",
        f"SELECT policyname, roles, qual FROM pg_policies WHERE tablename = "
        f"'{table.partition('.')[2]}'",
    )


def is_always_true(condition: str) -> bool:
    """Whether a policy's condition holds for every row, as far as its text tells."""
    plain = condition.strip()
    while plain.startswith("(") and plain.endswith(")"):
        plain = plain[1:-1].strip()
    return plain == "true" or _SAME.fullmatch(plain) is not None
