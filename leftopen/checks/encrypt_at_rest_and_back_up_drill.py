"""Exercise 15, question 4: a restore after a stranger has emptied the database.

The stranger does what the waves of 2017 did: comes in through an open door, drops every table and
leaves a note; and makes an account, to come back. The newest backup was made after that.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
import pyrage
from psycopg import sql

from leftopen import backup as backups
from leftopen.audit.postgres.accounts import fits
from leftopen.cases import tongren
from leftopen.checks import sql_lab
from leftopen.checks.encrypt_at_rest_and_back_up_door import closed
from leftopen.checks.encrypt_at_rest_and_back_up_rows import began
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import DATABASE, Who, words
from leftopen.engines.process import disk
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.proof import sql_words

OLDER, LAST, TOO_LATE = (f"2020-08-{day}.tar.age" for day in (16, 17, 18))
"""The three backups; only the second is the one to restore."""

_CUT = datetime.fromisoformat("2020-08-16T00:00:00+08:00")
_INDEX = "residents_by_number"
_STRANGER = "CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}"
_NOTES = ("read_me", "readme_to_recover", "warning", "please_read")
_ROLES = ("backup_user", "sysadmin", "repl_user", "postgres_")


def drill_task(draw: Draw) -> Task:
    """Two accounts with their passwords, which are to work again."""
    draw = variant(draw, "15", 4)
    clerk = draw.pick("clerk", ("clerk", "front_desk", "office"))
    door = f"{draw.pick('site', ('garage', 'lobby', 'stairs', 'gate'))}_door"
    return Task(
        clerk=(clerk, "reads residents"),
        clerk_password=(draw.password("clerk"), "the clerk's password, as it was"),
        door=(door, "adds rows to passages, and may do nothing else"),
        door_password=(draw.password("door"), "the doors' password, as it was"),
    )


def _left(task: Task) -> tuple[str, str]:
    """What the stranger leaves: the table with the note, and a role."""
    draw = Draw(str(task["door_password"]), "15 stranger")
    return draw.pick("note", _NOTES), draw.pick("role", _ROLES)


def drill_lab(task: Task) -> PostgresLab:
    """A server as found, emptied by a stranger, with three sealed backups beside it."""
    clerk, door = str(task["clerk"]), str(task["door"])
    lab = sql_lab.open_lab(
        f"GRANT SELECT ON residents TO {clerk}; GRANT INSERT ON passages TO {door}; "
        f"CREATE UNIQUE INDEX {_INDEX} ON residents (id_number)",
        {clerk: str(task["clerk_password"]), door: str(task["door_password"])},
        tongren.AS_FOUND,
        tongren.HBA_AS_FOUND,
    )
    try:
        _history(lab, task)
    except BaseException:
        lab.close()
        raise
    return lab


def _history(lab: PostgresLab, task: Task) -> None:
    """Three days with a backup each, and the stranger before the last."""
    folder = lab.log.parent
    owner = pyrage.x25519.Identity.generate()
    with disk():
        (folder / "safe").mkdir(mode=0o700)
        (folder / "backups").mkdir(mode=0o700)
        (folder / "safe" / "identity.txt").write_text(str(owner))
    with _operator(lab) as operator:
        delete = f"DELETE FROM passages WHERE at >= '{_CUT}' RETURNING *"
        yesterday = operator.execute(delete).fetchall()
        _back_up(lab, OLDER, owner)
        places = sql.SQL(", ").join([sql.Placeholder()] * len(yesterday[0]))
        insert = sql.SQL("INSERT INTO passages VALUES ({})").format(places)
        operator.cursor().executemany(insert, yesterday)
        _back_up(lab, LAST, owner)
        operator.execute(
            "INSERT INTO passages SELECT passage + 1000000, at + interval '1 day', "
            "building, door, direction, person, visitor, flat, status FROM passages "
            "ORDER BY passage DESC LIMIT 12"
        )
    _empty(lab, task)
    _back_up(lab, TOO_LATE, owner)


def _back_up(lab: PostgresLab, name: str, owner: pyrage.x25519.Identity) -> None:
    folder = lab.log.parent / "backups"
    dump = backups.dump_postgres(lab.inside.uri_of(DATABASE), folder / "dump", accounts=True)
    backups.seal(dump, folder / name, str(owner.to_public()))
    shutil.rmtree(dump)


def _empty(lab: PostgresLab, task: Task) -> None:
    """What the stranger does, from outside, as the superuser who needs no password."""
    note, role = _left(task)
    with psycopg.connect(lab.outside.uri_as("postgres", "", DATABASE), autocommit=True) as stranger:
        stranger.execute("DROP TABLE buildings, residents, visitors, passages")
        for account in ("clerk", "door"):
            stranger.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(str(task[account]))))
        stranger.execute(f"CREATE TABLE {note} (note text)")
        text = "Your database is backed up on our server. To recover it, send a message to nobody."
        stranger.execute(f"INSERT INTO {note} VALUES (%s)", [text])
        stranger.execute(_STRANGER.format(role, "'come back'"))


@contextmanager
def _operator(lab: PostgresLab) -> Iterator[psycopg.Connection]:
    try:
        connection = psycopg.connect(lab.inside.uri_of(DATABASE), autocommit=True)
    except psycopg.OperationalError as error:
        raise BadAnswer(
            f"The operator does not reach the database {DATABASE}: {sql_words(error)}. It is to "
            "have its name again"
        ) from None
    with connection:
        yield connection


# -- the check ----------------------------------------------------------------------------------


def drill(at: Attempt, lab: PostgresLab) -> str:
    """All rows of the last good backup, the accounts with their rights; no note, no open door."""
    note, role = _left(at.task)
    with _operator(lab) as operator:
        tables = {name for (name,) in operator.execute(_TABLES)}
        own = [str(at.task["clerk"]), str(at.task["door"])]
        roles = {name for (name,) in operator.execute(_STRANGE, [own, role])}
        if not tables & set(sql_lab.TABLES):
            if lab.is_as_found and note in tables and role in roles:
                return UNTOUCHED
            at.note("in the database", "look for the four tables in public", "none")
            return "never_restored"
        fault = _rows(at, operator, tables) or _indexes(at, operator)
        fault = fault or _accounts(at, lab, operator)
        if fault:
            return fault
    surplus = sorted(tables - set(sql_lab.TABLES))
    at.note("in the database", "look for tables that are not yours", ", ".join(surplus) or "none")
    at.values["names"] = ", ".join(surplus)
    if surplus:
        return "note_kept"
    strange = sorted(roles)
    at.note("on the server", "look for accounts that are not yours", ", ".join(strange) or "none")
    at.values["names"] = ", ".join(strange)
    return "stranger_stays" if strange else closed(at, lab)


_STRANGE = """
SELECT rolname FROM pg_roles WHERE rolname <> 'postgres' AND rolname !~ '^pg_'
AND rolname <> ALL (%s) AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolname = %s)
"""
_TABLES = """
SELECT CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END || relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE relkind IN ('r', 'p', 'm', 'v') AND nspname NOT IN ('pg_catalog', 'information_schema',
'pg_toast')
"""


def _rows(at: Attempt, operator: psycopg.Connection, tables: set[str]) -> str | None:
    """Whether each table has the rows of the last good backup; ``None`` when all are there."""
    wrong: dict[str, int] = {}
    older = False
    for name, table in began().items():
        wanted = {tuple(row.values()) for row in table.to_pylist()}
        columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
        query = sql.SQL("SELECT {} FROM public.{}").format(columns, sql.Identifier(name))
        try:
            there = operator.execute(query).fetchall() if name in tables else []
        except psycopg.errors.UndefinedColumn:
            there = []
        right = len(wanted & set(there))
        at.note("in the database", f"the rows of {name}", f"{right} of {len(wanted)} as they were")
        if right < len(wanted) or len(there) > right:
            wrong[name] = len(wanted) - right + len(there) - right
            before = {row for row in wanted if "at" in table.column_names and row[1] < _CUT}
            older = bool(before) and set(there) == before
    at.values.update(names=", ".join(wrong), count=sum(wrong.values()))
    if wrong:
        return "older_backup" if older and len(wrong) == 1 else "part"
    return None


def _indexes(at: Attempt, operator: psycopg.Connection) -> str | None:
    """Whether the unique index, the keys and the rules of the tables are there."""
    unique = operator.execute(
        "SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
        "AND a.attnum = i.indkey[0] WHERE i.indrelid = 'public.residents'::regclass "
        "AND i.indisunique AND i.indnatts = 1 AND a.attname = 'id_number'"
    ).fetchone()
    rules = operator.execute(
        "SELECT count(*) FILTER (WHERE contype = 'p'), count(*) FILTER (WHERE contype = 'c') "
        "FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    ).fetchone()
    lost = [] if unique else ["the unique index on id_number"]
    lost += ["a primary key"] * (rules[0] < len(sql_lab.TABLES))
    lost += ["a CHECK of passages"] * (rules[1] < _CHECKS)
    at.note("in the database", "indexes, keys and rules", ", ".join(lost) or "as they were")
    at.values["what"] = ", ".join(lost)
    return "indexes_lost" if lost else None


_CHECKS = tongren.SCHEMA.count("CHECK (")


def _accounts(at: Attempt, lab: PostgresLab, operator: psycopg.Connection) -> str | None:
    """Whether both accounts log in as before, and may do their part and no more."""
    for name, ability, table in (("clerk", "select", "residents"), ("door", "insert", "passages")):
        account = str(at.task[name]), str(at.task[f"{name}_password"])
        wanted = {f"{ability} {table}.{column}" for column in sql_lab.TABLES[table]}
        with Who(at, f"as {account[0]}", lab, account) as who:
            at.values["account"] = account[0]
            if not who.logs_in():
                return "shut_out" if _has_password(operator, *account) else "accounts_lost"
            if not _from_elsewhere(at, lab, account):
                return "shut_outside"
            can = who.rights_in_any_role(sql_lab.TABLES)
        can |= _beyond(at, operator, account[0])
        at.values.update(missing=words(wanted - can), more=words(can - wanted))
        if can != wanted:
            return "rights_lost" if wanted - can else "rights_too_wide"
    return None


def _from_elsewhere(at: Attempt, lab: PostgresLab, account: tuple[str, str]) -> bool:
    """Whether an account is let in from another machine, where those who use it are."""
    if not lab.outside.is_open:
        at.note(f"as {account[0]}", "connect from outside", "no answer")
        return False
    with Who(at, f"as {account[0]}, from outside", lab, account, outside=True) as who:
        return who.logs_in()


def _has_password(operator: psycopg.Connection, name: str, password: str) -> bool:
    """Whether the account is there, may log in, and this is its password."""
    query = "SELECT rolpassword FROM pg_authid WHERE rolcanlogin AND rolname = %s"
    (stored,) = operator.execute(query, [name]).fetchone() or [None]
    return fits(name, password, stored or "")


def _beyond(at: Attempt, operator: psycopg.Connection, account: str) -> set[str]:
    """What nobody sees in the rights on tables: functions with another's rights, tables to come."""
    found = {f"run {name} as its owner" for (name,) in operator.execute(_FUNCTIONS, [account])}
    with operator.transaction(force_rollback=True):
        operator.execute("CREATE TABLE public.left_open_tries_this ()")
        query = "SELECT has_table_privilege(%s, 'public.left_open_tries_this', %s)"
        if operator.execute(query, [account, _ANY]).fetchone()[0]:
            found.add("use each table that will be made")
    for what in sorted(found):
        at.note(f"as {account}", what, "accepted")
    return found


_ANY = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE"
_FUNCTIONS = """
SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE prosecdef AND nspname NOT IN ('pg_catalog', 'information_schema')
AND has_function_privilege(%s, p.oid, 'EXECUTE')
"""
