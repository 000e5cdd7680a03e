"""Exercise 10, question 4: each desk sees and changes the residents of its own building."""

import re

import psycopg
from psycopg import sql

from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import Who, operator, words
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.proof import sql_words

_TABLE, _VIEW = "residents", "resident_list"
_PEOPLE = 240  # in the lab, as it opens
_LAB = """
ALTER TABLE residents OWNER TO {owner};
GRANT SELECT, INSERT, UPDATE ON residents TO {other};
GRANT SELECT ON residents TO {city};
CREATE VIEW resident_list AS SELECT name, flat, building FROM residents;
GRANT SELECT ON resident_list TO {owner}, {other};
"""
_STATE = """
SELECT c.relrowsecurity, c.relforcerowsecurity, c.relowner::regrole::text,
       (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid),
       (SELECT reloptions IS NULL FROM pg_class WHERE oid = to_regclass('public.resident_list'))
FROM pg_class c WHERE c.oid = 'public.residents'::regclass
"""
_NEW = (
    "INSERT INTO public.residents (person, name, id_number, born, sex, phone, building, flat) "
    "VALUES (-1, 'new', 'none', '1990-01-01', 'female', 'none', {building}, {flat})"
)


def row_task(draw: Draw) -> Task:
    """Two desks, their buildings, and which of them owns the table."""
    draw = variant(draw, "10", 4)
    kind = draw.pick("kind", ("desk", "porter", "manager", "warden"))
    buildings = draw.shuffle("buildings", sql_lab.BUILDINGS)[:2]
    desks = {f"{kind}_{building.lower()}": building for building in buildings}
    office = draw.pick("office", ("city_office", "census", "planning"))
    return Task(
        desks=(desks, "the accounts of two desks, each with its building"),
        passwords=({name: draw.password(name) for name in (*desks, office)}, "their passwords"),
        owner=(next(iter(desks)), "the desk whose program made the table, and owns it"),
        office=(office, "an account that reads the residents of every building"),
        view=(_VIEW, "a view that both desks use"),
    )


def row_lab(task: Task) -> PostgresLab:
    """A server on which each desk sees and changes every building."""
    owner, other = task["desks"]
    statements = _LAB.format(owner=owner, other=other, city=task["office"])
    return sql_lab.open_lab(statements, task["passwords"])


def limited(at: Attempt, lab: PostgresLab) -> str:
    """Each desk: its own building, read and written, by table and by view. The office: all."""
    with operator(lab) as connection:
        truth = dict(connection.execute(_count(_TABLE)).fetchall())
        state = connection.execute(_STATE).fetchone()
        settings = _settings(connection)
    enabled, _, _, policies, plain_view = state
    at.values["all_residents"] = sum(truth.values())
    if sum(truth.values()) < _PEOPLE:
        at.note("as the operator", "count the residents", f"{sum(truth.values())} of {_PEOPLE}")
        return "people_lost"
    for account, building in dict(at.task["desks"]).items():
        with Who(at, f"as {account}", lab, (account, at.task["passwords"][account])) as who:
            if not who.logs_in():
                at.values["account"] = account
                return "shut_out"
            if fault := _read(at, who, account, building, truth):
                return (
                    UNTOUCHED
                    if _is_new(enabled, policies, plain_view)
                    else _why(at, lab, fault, account, state)
                )
            if fault := _borrowed(at, who, account, building, truth, settings):
                return fault
    if fault := _office(at, lab, truth):
        return fault
    for fault_of in (_listed, _written):
        for account, building in dict(at.task["desks"]).items():
            with Who(at, f"as {account}", lab, (account, at.task["passwords"][account])) as who:
                at.values.update(account=account, building=building)
                if fault := fault_of(at, who, building, truth):
                    return fault
    return _more(at, lab) or _own_list(at, lab) or RIGHT


def _is_new(enabled: bool, policies: int, plain_view: bool | None) -> bool:
    return not enabled and not policies and bool(plain_view)


def _count(table: str) -> sql.Composed:
    each = sql.SQL("SELECT building, count(*) FROM public.{} GROUP BY building")
    return each.format(sql.Identifier(table))


def _settings(connection: psycopg.Connection) -> list[str]:
    """The settings of a session that policies ask for."""
    rows = connection.execute("SELECT qual, with_check FROM pg_policies").fetchall()
    text = " ".join(part for row in rows for part in row if part)
    return sorted(set(re.findall(r"current_setting\('([^']+)'", text)))


# -- what a desk reads --------------------------------------------------------------------------


def _read(at: Attempt, who: Who, account: str, building: str, truth: dict[str, int]) -> str | None:
    said = _said(who, _count(_TABLE))
    if "permission denied" in said:
        at.note(f"as {account}", "read residents", said)
        at.values.update(account=account, said=said)
        return "no_right"
    seen = dict(who.run(_count(_TABLE)) or {})
    own, strange = seen.get(building, 0), sum(seen.values()) - seen.get(building, 0)
    at.note(f"as {account}", f"residents of {building}", f"{own} of {truth[building]}")
    at.note(f"as {account}", "residents of other buildings", str(strange))
    at.values.update(
        account=account, building=building, number=own, all=truth[building], strange=strange
    )
    if strange:
        return "strange" if own else "wrong_building"
    return None if own == truth[building] else "blind"


def _said(who: Who, statement: str | sql.Composed) -> str:
    """What the server says against a statement, which is taken back; or nothing."""
    try:
        with who.connection.transaction(force_rollback=True):
            who.connection.execute(statement)
    except psycopg.Error as error:
        return sql_words(error)
    return ""


def _why(at: Attempt, lab: PostgresLab, fault: str, account: str, state: tuple) -> str:
    """Why a desk sees what it should not, from the server's own tables."""
    enabled, forced, owner, policies, _ = state
    if fault != "strange":
        return "no_policy" if fault == "blind" and not policies else fault
    with operator(lab) as connection:
        ask = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"
        bypasses = connection.execute(ask, [account]).fetchone()[0]
        ask = "SELECT pg_has_role(%s, %s, 'USAGE')"
        owns = connection.execute(ask, [account, owner]).fetchone()[0]
    if bypasses:
        return "bypasses"
    if not enabled:
        return "not_enabled"
    return "owner_free" if owns and not forced else "using_true"


def _borrowed(
    at: Attempt, who: Who, account: str, building: str, truth: dict[str, int], settings: list[str]
) -> str | None:
    """Whether a desk sees more when it changes a setting on which a policy relies."""
    values = [*(other for other in truth if other != building), *at.task["desks"]]
    for name in settings:
        for value in values:
            change = sql.SQL("SELECT set_config({}, {}, true); ").format(name, value)
            seen = dict(who.run(change + _count(_TABLE)) or {})
            if set(seen) - {building}:
                at.note(f"as {account}", f"set {name} to {value}", "sees another building")
                at.values["setting"] = name
                return "setting_of_own"
    return None


def _office(at: Attempt, lab: PostgresLab, truth: dict[str, int]) -> str | None:
    name = str(at.task["office"])
    with Who(at, f"as {name}", lab, (name, at.task["passwords"][name])) as who:
        can = who.rights_in_any_role(sql_lab.TABLES) if who.logs_in() else frozenset()
        seen = dict(who.run(_count(_TABLE)) or {}) if can else {}
    more = can - {f"select {_TABLE}.{column}" for column in sql_lab.TABLES[_TABLE]}
    every = sum(truth.values())
    at.values.update(number=sum(seen.values()), more=words(more))
    at.note(f"as {name}", "residents of every building", f"{sum(seen.values())} of {every}")
    if more:
        return "office_more"
    return None if seen == truth else "office_blind"


def _more(at: Attempt, lab: PostgresLab) -> str | None:
    """Whether a desk may do more than before, beside the rows of residents."""
    for account in at.task["desks"]:
        with Who(at, f"as {account}", lab, (account, at.task["passwords"][account])) as who:
            can = who.rights_in_any_role(sql_lab.TABLES)
        own = {what for what in can if what.split(" ")[1].split(".")[0] == _TABLE}
        if f"own {_TABLE}" not in can:
            verbs = {"select", "insert", "update", "delete" * (account == at.task["owner"])}
            own = {what for what in own if what.split(" ")[0] in verbs}
        if can - own:
            at.values.update(account=account, more=words(can - own))
            return "desk_more"
    return None


# What a role may write that is neither a table of the case nor a view, after SET ROLE, too.
_WRITABLE = """
SELECT DISTINCT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
CROSS JOIN pg_roles r
WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%%'
AND NOT (nspname = 'public' AND relname = ANY(%(tables)s))
AND pg_has_role(%(account)s, r.oid, 'MEMBER')
AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
     OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE'))
ORDER BY 1
"""


def _own_list(at: Attempt, lab: PostgresLab) -> str | None:
    """Whether a desk may write into the table that says which building is whose, or another."""
    with operator(lab) as connection:
        for account in at.task["desks"]:
            values = {"account": account, "tables": list(sql_lab.TABLES)}
            tables = [name for (name,) in connection.execute(_WRITABLE, values).fetchall()]
            at.note(f"as {account}", "write into another table", ", ".join(tables) or "refused")
            if tables:
                at.values.update(account=account, table=tables[0])
                return "list_of_own"
    return None


# A function of the desk's own that says yes to all, and costs so little that it is asked first
# (PostgreSQL manual, "Rules and Privileges").
_LEAK = """
CREATE TEMPORARY TABLE shown (building text);
CREATE FUNCTION pg_temp.look(place text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
    AS 'BEGIN INSERT INTO pg_temp.shown VALUES (place); RETURN true; END';
DO 'BEGIN PERFORM FROM public.resident_list WHERE pg_temp.look(building::text); END';
SELECT building, count(*) FROM pg_temp.shown GROUP BY building
"""


def _leaked(at: Attempt, who: Who, building: str) -> str | None:
    """Whether a function in the desk's own question is shown rows that the view then hides."""
    seen = who.run(_LEAK)
    strange = sum(number for place, number in seen or [] if place != building)
    what = f"other buildings that a function of its own is shown in {_VIEW}"
    at.note(who.label, what, "refused" if seen is None else str(strange))
    at.values.update(strange=strange)
    return "view_leaks" if strange else None


def _listed(at: Attempt, who: Who, building: str, truth: dict[str, int]) -> str | None:
    named = "SELECT building, least(count(name), count(flat)) FROM public.{} GROUP BY building"
    try:
        rows = who.run(sql.SQL(named).format(sql.Identifier(_VIEW)))
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        rows = None
    seen = dict(rows or {})
    own, strange = seen.get(building, 0), sum(seen.values()) - seen.get(building, 0)
    shown = "refused" if rows is None else f"{own} of {building}, {strange} of other buildings"
    at.note(who.label, f"residents in {_VIEW}", shown)
    at.values.update(strange=strange)
    if strange:
        return "view_around"
    return _leaked(at, who, building) if own == truth[building] else "view_broken"


# -- what it writes -----------------------------------------------------------------------------


def _written(at: Attempt, who: Who, building: str, truth: dict[str, int]) -> str | None:
    other = next(name for name in truth if name != building)

    def new(place: str) -> sql.Composed:
        return sql.SQL(_NEW).format(building=place, flat=f"{place}-0101")

    # Without WHERE, since a condition would be looked at with the rules for reading, too.
    change = f"UPDATE public.{_TABLE} SET phone = 'none'"
    changed, added = who.changes(change), who.changes(new(building))
    at.note(who.label, "residents whose phone it may change", str(changed))
    at.note(who.label, f"add a resident to {building}", "accepted" if added else "refused")
    if changed < truth[building] or not added:
        lost, tried = ("add", new(building)) if changed >= truth[building] else ("change", change)
        at.values.update(lost=lost, said=_said(who, tried) or f"{changed} rows")
        return "cannot_change"
    strange = changed - truth[building]
    elsewhere = who.changes(new(other))
    at.note(who.label, f"add a resident to {other}", "accepted" if elsewhere else "refused")
    removed = max(who.changes(f"DELETE FROM public.{_TABLE}") - truth[building], 0)
    does = {"adds residents there": elsewhere, f"changes {strange} that it cannot see": strange}
    does |= {f"deletes {removed} that it cannot see": removed}
    at.values["does"] = " and ".join(what for what, number in does.items() if number)
    if at.values["does"]:
        return "writes_elsewhere"
    moved = who.changes(sql.SQL("UPDATE public.residents SET building = {}").format(other))
    at.note(who.label, f"move residents to {other}", "accepted" if moved else "refused")
    at.values["other"] = other
    return "moves_away" if moved else None
