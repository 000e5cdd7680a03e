"""Exercise 10, question 5: a view and a function that run with the rights of their owner."""

import psycopg
from psycopg import sql

from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import Who, operator, words
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.proof import sql_words

_FUNCTION = "may_open"
_LAB = """
CREATE FUNCTION may_open(who integer, place text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
AS 'SELECT EXISTS (SELECT FROM residents WHERE person = who AND building = place)';
UPDATE residents SET born = '2006-08-16' WHERE person = (SELECT min(person) FROM residents);
"""
# The caller's own temporary table, with the name of the real one and a person who lives nowhere.
_TRICK = """
CREATE TEMPORARY TABLE residents (person integer, building text);
INSERT INTO residents VALUES (-1, 'A01');
GRANT SELECT ON residents TO PUBLIC;
SELECT public.may_open(-1, 'A01');
"""
_DAY = "2006-08-16"
"""Who was born later was under 14 on 16 August 2020, the last day of the log."""


def view_task(draw: Draw) -> Task:
    """The two accounts, the view's name, and by what it counts."""
    draw = variant(draw, "10", 5)
    auditor = draw.pick("auditor", ("auditor", "city_auditor", "examiner"))
    door = f"{draw.pick('site', ('garage', 'lobby', 'stairs', 'gate'))}_door"
    return Task(
        auditor=(auditor, "the account that reads the view, and nothing else"),
        auditor_password=(draw.password("auditor"), "its password"),
        view=(draw.pick("view", ("adults", "head_count", "occupancy")), "the view that you make"),
        by=(
            draw.pick("by", ("building", "sex")),
            "the first column of the view; the second: people",
        ),
        door=(door, "the account that calls may_open, and may do nothing else"),
        door_password=(draw.password("door"), "its password"),
    )


def view_lab(task: Task) -> PostgresLab:
    """A server with two accounts without any right, and a function that everybody may call."""
    names = ("auditor", "door")
    accounts = {str(task[name]): str(task[f"{name}_password"]) for name in names}
    return sql_lab.open_lab(_LAB, accounts)


def counted(at: Attempt, lab: PostgresLab) -> str:
    """The auditor is shown counts without children; nobody tricks the function of the doors."""
    with operator(lab) as connection:
        ask = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
        kinds = connection.execute(ask, [_view(at).as_string()]).fetchall()
        no_view, copied = kinds in ([], [("r",)]), kinds == [("r",)]  # a table is a copy of today
        ask = "SELECT count(*) FROM pg_proc WHERE proname = %s"
        (functions,) = connection.execute(ask, [_FUNCTION]).fetchone()
        for what, gone in ((str(at.task["view"]), no_view), (_FUNCTION, not functions)):
            at.note("as the operator", f"look for {what}", "not there" if gone else "there")
        if not functions:
            return "function_gone"
        changed, hardened = connection.execute(
            "SELECT proacl IS NOT NULL OR proconfig IS NOT NULL OR NOT prosecdef, "
            "proconfig IS NOT NULL FROM pg_proc WHERE proname = %s",
            [_FUNCTION],
        ).fetchone()
        if no_view:
            return "view_missing" if changed or copied else UNTOUCHED
        groups = sql.SQL("SELECT {by}::text, count(*) FROM residents {where} GROUP BY 1")
        by = sql.Identifier(str(at.task["by"]))
        adults = sql.SQL("WHERE born <= {}").format(_DAY)
        truth = dict(connection.execute(groups.format(by=by, where=adults)).fetchall())
        every = dict(connection.execute(groups.format(by=by, where=sql.SQL(""))).fetchall())
        person = connection.execute("SELECT person, building FROM residents LIMIT 1").fetchone()
    return (
        _auditor(at, lab, truth, every)
        or _frozen(at, lab)
        or _door(at, lab, person, hardened)
        or RIGHT
    )


def _view(at: Attempt) -> sql.Identifier:
    return sql.Identifier("public", str(at.task["view"]))


# -- the view -----------------------------------------------------------------------------------


def _auditor(at: Attempt, lab: PostgresLab, truth: dict, every: dict) -> str | None:
    by, login = str(at.task["by"]), (str(at.task["auditor"]), str(at.task["auditor_password"]))
    with Who(at, "as the auditor", lab, login) as who:
        if not who.logs_in():
            return "view_refused"
        can = who.rights_in_any_role(sql_lab.TABLES)
        rows = who.run(sql.SQL("SELECT to_jsonb(v) FROM {} v").format(_view(at)))
    shown = "refused" if rows is None else f"{len(rows)} rows"
    at.note("as the auditor", f"read {at.task['view']}", shown)
    at.values["more"] = words(can)
    if can:
        return "auditor_reads_tables"
    if not rows:
        return "view_refused"
    entries = [row for (row,) in rows]
    columns = set(entries[0])
    at.note("as the auditor", "columns of the view", words(columns))
    at.values.update(
        columns=words(columns), wanted=f"{by}, people", rows=len(rows), groups=len(truth)
    )
    if columns != {by, "people"}:
        return "other_columns"
    told = {str(entry[by]): entry["people"] for entry in entries}
    if len(rows) != len(told):
        return "other_columns"
    at.note("as the auditor", "people in all", f"{_sum(told)} of {_sum(truth)} from 14 on")
    at.values.update(told=_sum(told), truth=_sum(truth))
    if told == every:
        return "children_counted"
    return None if told == truth else "wrong_counts"


_COPIES = """
SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' ORDER BY oid
"""
_MOVED_IN = """
INSERT INTO residents SELECT (jsonb_populate_record(r, '{"person": -1, "id_number": "none"}')).*
FROM residents r WHERE born <= '2006-08-16' ORDER BY person LIMIT 1
"""


def _frozen(at: Attempt, lab: PostgresLab) -> str | None:
    """Whether the view counts a resident who is added now, and taken back.

    What is refreshed, as a materialized view, is refreshed first.
    """
    count = sql.SQL("SELECT sum(people) FROM {}").format(_view(at))
    with operator(lab) as connection, connection.transaction(force_rollback=True):
        before = connection.execute(count).fetchone()[0]
        connection.execute(_MOVED_IN)
        for (name,) in connection.execute(_COPIES).fetchall():
            connection.execute(f"REFRESH MATERIALIZED VIEW {name}")
        moved = connection.execute(count).fetchone()[0] - before
    at.note("as the operator", "add an adult, and count again", f"{moved} more")
    return None if moved == 1 else "frozen"


def _sum(counts: dict) -> int:
    return sum(int(number) for number in counts.values() if isinstance(number, int | float))


# -- the function -------------------------------------------------------------------------------


def _door(at: Attempt, lab: PostgresLab, person: tuple, hardened: bool) -> str | None:
    login = str(at.task["door"]), str(at.task["door_password"])
    auditor = str(at.task["auditor"]), str(at.task["auditor_password"])
    with Who(at, "as the door", lab, login) as who:
        can = who.rights_in_any_role(sql_lab.TABLES) if who.logs_in() else frozenset()
        here, said = _asks(who, *person)
        elsewhere, _ = _asks(who, person[0], "no such place")
        works = here is True and elsewhere is False
        at.note("as the door", f"call {_FUNCTION}", "works" if works else said or "fails")
        if who.allows(sql.SQL("SELECT FROM {}").format(_view(at))):
            can |= {f"select {at.task['view']}"}
        at.values["more"] = words(can)
        if can:
            return "door_reads"
        if not works:
            at.values["said"] = said or f"it says {here} for a building where the person lives"
            if here is elsewhere is True:
                return "always_yes"
            missing = f"for function {_FUNCTION}" in said
            return "not_executable" if missing else "function_broken"
        tricked = _tricked(who)
        at.note("as the door", "let in a person who lives nowhere", "yes" if tricked else "no")
        ask, decided = "call it with a search_path of its own", ""
        if not tricked:
            decided = _decided(who, *person)
            at.note("as the door", ask, decided or "the same answer")
    if tricked:
        return "temporary_first" if hardened else "path_of_the_caller"
    if decided:
        at.values["said"] = decided
        return "only_the_tool"
    with Who(at, "as the auditor", lab, auditor) as who:
        called = _asks(who, *person)[0] is not None
        at.note("as the auditor", f"call {_FUNCTION}", "accepted" if called else "refused")
    return "everybody_calls" if called else None


def _asks(who: Who, person: int, place: str) -> tuple[bool | None, str]:
    """What the function answers, and what the server says against the call."""
    ask = "SELECT public.may_open(%s::integer, %s::text)"
    try:
        with who.connection.transaction(force_rollback=True):
            return who.connection.execute(ask, [person, place]).fetchone()[0], ""
    except psycopg.Error as error:
        return None, sql_words(error)


def _decided(who: Who, person: int, place: str) -> str:
    """What comes of a call when the caller's search_path leads nowhere; nothing if it is right."""
    with who.connection.transaction(force_rollback=True):
        who.connection.execute("SET LOCAL search_path = pg_catalog")
        answer, said = _asks(who, person, place)
    return "" if answer else said or f"it says {answer}"


def _tricked(who: Who) -> bool:
    try:
        rows = who.run(_TRICK)
    except psycopg.ProgrammingError:  # its temporary table was found, and does not fit
        return True
    return bool(rows and rows[0][0])
