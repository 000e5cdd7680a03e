"""Exercise 10, question 3: one account, its columns, and the tables that come later."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import SERVER_WIDE, Who, operator, words
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_MONTH = "monthly.passages_2020_08"
_TABLES = {**sql_lab.TABLES, _MONTH: ("passage", "at", "flat")}
_LATER = "monthly.passages_2999_01"
_READS = (
    ("residents", ("person", "building", "flat")),
    ("residents", ("person", "plate")),
    ("visitors", ("visitor", "plate")),
    ("visitors", ("visitor", "name")),
)
_LAB = """
CREATE ROLE loader;
CREATE SCHEMA monthly AUTHORIZATION loader;
CREATE TABLE monthly.passages_2020_08 (LIKE passages);
ALTER TABLE monthly.passages_2020_08 OWNER TO loader;
GRANT SELECT ON buildings TO clerk;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


def grant_task(draw: Draw) -> Task:
    """The account's name, and which columns of which table it reads."""
    draw = variant(draw, "10", 3)
    site = draw.pick("site", ("garage", "lobby", "stairs", "gate"))
    table, columns = draw.pick("reads", _READS)
    return Task(
        account=(f"{site}_door", "the account that you make"),
        table=(table, "the one table that it reads"),
        columns=(", ".join(columns), "the only columns of it that it reads"),
        writes=("passages", "the table into which it inserts new rows"),
        schema=("monthly", "into each table of this schema it inserts too, also into later ones"),
        loader=("loader", "the role that makes the tables of that schema"),
        clerk=("clerk", "an account that reads all of buildings, and nothing else"),
        clerk_password=(draw.password("clerk"), "the clerk's password"),
    )


def grant_lab(task: Task) -> PostgresLab:
    """A server on which everybody may do everything to the four tables."""
    return sql_lab.open_lab(_LAB, {"clerk": str(task["clerk_password"])})


def granted(at: Attempt, lab: PostgresLab, password: str) -> str:
    """The account reads its columns, inserts where it should, now and later, and that is all."""
    account, table = str(at.task["account"]), str(at.task["table"])
    reads = {f"select {table}.{column}" for column in str(at.task["columns"]).split(", ")}
    month = {f"insert {_MONTH}.{column}" for column in _TABLES[_MONTH]}
    wanted = reads | month | {f"insert passages.{column}" for column in _TABLES["passages"]}
    with operator(lab), Who(at, "as the new account", lab, (account, password)) as who:
        if not who.logs_in():
            return "cannot_log_in"
        can = who.rights_in_any_role(_TABLES)
        taken = [account, *(() if can & SERVER_WIDE else who.roles())]
    if can & SERVER_WIDE:
        at.values["more"] = words(can & SERVER_WIDE)
        return "superuser"
    at.values["more"] = words(can - wanted)
    later = _later(at, lab, "as the new account", taken)
    if found := _clerk(at, lab, wanted):
        return found
    if surplus := can - wanted:
        whole = {f"select {table}.{column}" for column in _TABLES[table]} <= can
        return _too_much(surplus, table, whole)
    at.values["missing"] = words(wanted - can)
    if later is None:
        return "loader_broken"
    if wanted - can:
        return "month_missing" if wanted - can <= month else "cannot_work"
    at.values["more"] = words(later - {"insert"})
    if "insert" not in later:
        return "later_missing"
    if later - {"insert"}:
        return "later_too_much"
    return "later_elsewhere" if _promised(at, lab, taken) else RIGHT


_PROMISES = """
SELECT lower(given.privilege_type), given.is_grantable, coalesce(reader.rolname, 'PUBLIC'),
       defaclrole::regrole::text, coalesce(nspname, 'every schema')
FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace
CROSS JOIN LATERAL aclexplode(defaclacl) given
LEFT JOIN pg_roles reader ON reader.oid = given.grantee
WHERE defaclobjtype = 'r' AND given.grantee <> defaclrole
ORDER BY 1, 3, 4, 5
"""


def _promised(at: Attempt, lab: PostgresLab, taken: list[str]) -> bool:
    """Whether default privileges give more than INSERT on the loader's later tables.

    Without IN SCHEMA they count in every schema. That is no more today: the loader can make tables
    in one schema alone, and the account has no USAGE on another.
    """
    with operator(lab) as connection:
        rows = connection.execute(_PROMISES).fetchall()
    more = {
        f"{what}{' with grant option' * grants} to {whom}, on what {maker} makes in {schema}"
        for what, grants, whom, maker, schema in rows
        if (what, grants) != ("insert", False)
        or whom not in taken
        or (schema != "monthly" and maker != "loader")
    }
    beyond = "default privileges beyond INSERT on what loader makes"
    at.note("as the operator", beyond, words(more) or "none")
    at.values["more"] = words(more)
    return bool(more)


def _clerk(at: Attempt, lab: PostgresLab, wanted: set[str]) -> str | None:
    login = "clerk", str(at.task["clerk_password"])
    own = {f"select buildings.{column}" for column in _TABLES["buildings"]}
    with Who(at, "as the clerk", lab, login) as who:
        if not who.logs_in():
            return "clerk_broken"
        can = who.rights_in_any_role(_TABLES)
    later = _later(at, lab, "as the clerk", ["clerk"]) or set()
    at.values["clerks"] = words(can - own)
    if extra := can - own:
        return "to_public" if extra <= wanted else "public_left"
    if later:
        at.values["clerks"] = words(f"{what} a later table" for what in later)
        return "to_public"
    return "clerk_broken" if own - can else None


def _too_much(surplus: Iterable[str], table: str, whole: bool) -> str:
    verbs = {what.split(" ")[0] for what in surplus}
    if "own" in verbs:
        return "owner"
    if not verbs & {"insert", "update", "delete", "truncate", "select"}:
        return "may_more"
    if verbs != {"select"}:
        return "may_change"
    tables = {what.split(" ")[1].rpartition(".")[0] for what in surplus}
    if tables != {table}:
        return "all_tables"
    return "whole_table" if whole else "another_column"


_ON_A_TABLE = {
    "select": "SELECT FROM {} LIMIT 0",
    "insert": "INSERT INTO {} (passage) VALUES (1)",
    "update": "UPDATE {} SET at = DEFAULT",
    "delete": "DELETE FROM {}",
    "truncate": "TRUNCATE {}",
}


def _later(at: Attempt, lab: PostgresLab, label: str, roles: list[str]) -> set[str] | None:
    """What some roles may do in a table that the loader makes now, and that is taken back.

    ``None`` when the loader cannot make one.
    """
    name, found = sql.Identifier(*_LATER.split(".")), set()
    with operator(lab) as connection, connection.transaction(force_rollback=True):
        try:
            connection.execute("SET LOCAL ROLE loader")
            make = sql.SQL("CREATE TABLE {} (passage bigint, at timestamptz)")
            connection.execute(make.format(name))
        except psycopg.ProgrammingError:
            at.note("as the loader", "make a table for a later month", "refused")
            return None
        for role in roles:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            for what, statement in _ON_A_TABLE.items():
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(sql.SQL(statement).format(name))
                    found.add(what)
                except psycopg.errors.InsufficientPrivilege:
                    continue
    at.note(label, "in a table that the loader makes later", words(found) or "refused")
    return found
