"""Exercise 10, question 6: the job that deletes old passages, and the log that keeps secrets."""

import secrets
from collections.abc import Callable

import psycopg

from leftopen.cases import tongren
from leftopen.checks import sql_lab
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import SERVER_WIDE, Who, operator, words
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_CONFIG = f"{tongren.LOCKED}log_statement = 'all'\nlog_connections = on\n"
_REFUSAL = "permission denied for table residents"
# The settings that write a statement into the log when it is slow, or by chance: what they do to
# one search proves nothing, so they are read (PostgreSQL manual, "When to Log").
_SOMETIMES = """
SELECT name FROM pg_settings
WHERE (name = 'log_min_duration_statement' AND setting <> '-1')
OR (name = 'log_min_duration_sample' AND setting <> '-1'
    AND current_setting('log_statement_sample_rate')::float8 > 0)
OR (name = 'log_transaction_sample_rate' AND setting::float8 > 0)
ORDER BY name
"""
_NEEDS = (("at",), ("at", "building"), ("at", "status"), ("at", "door"))


def log_task(draw: Draw) -> Task:
    """The job's account, and by which columns it deletes."""
    draw = variant(draw, "10", 6)
    return Task(
        account=(
            draw.pick("job", ("retention", "cleaner", "sweeper")),
            "the account that you make",
        ),
        columns=(", ".join(draw.pick("needs", _NEEDS)), "the only columns of passages it reads"),
        clerk=("clerk", "an account that searches residents by their identity numbers"),
        clerk_password=(draw.password("clerk"), "the clerk's password"),
    )


def log_lab(task: Task) -> PostgresLab:
    """A server that writes every statement into its log."""
    accounts = {"clerk": str(task["clerk_password"])}
    return sql_lab.open_lab("GRANT SELECT ON residents TO clerk", accounts, _CONFIG)


def kept(at: Attempt, lab: PostgresLab, password: str) -> str:
    """The job deletes and reads no one; the log has refusals, and neither password nor data."""
    at.values["log"] = lab.log.name
    with operator(lab):
        known = bool(password) and password in _text(lab)
    if found := _job(at, lab, password):
        return found
    at.note("in the log", "the job's password", "there" if known else "not there")
    return "password_in_log" if known else _logged(at, lab, password)


def _job(at: Attempt, lab: PostgresLab, password: str) -> str | None:
    columns = str(at.task["columns"]).split(", ")
    wanted = {"delete passages"} | {f"select passages.{column}" for column in columns}
    with Who(at, "as the job", lab, (str(at.task["account"]), password)) as who:
        if not who.logs_in():
            return "cannot_log_in"
        can = who.rights_in_any_role(sql_lab.TABLES)
        values = " AND ".join(f"{column} = {column}" for column in columns)
        old = f"DELETE FROM public.passages WHERE at < '2020-08-15 00:00+08' AND {values}"
        deleted = who.changes(old)
    at.note("as the job", "delete what is older than a day", f"{deleted} passages")
    surplus = can - wanted
    at.values.update(more=words(surplus), missing=words(wanted - can))
    if surplus & SERVER_WIDE:
        at.values["more"] = words(surplus & SERVER_WIDE)
        return "job_superuser"
    if any(what.startswith("own ") for what in surplus):
        return "job_owns"
    if reads := {what for what in surplus if what.startswith("select")}:
        at.values["more"] = words(reads)
        return "job_reads"
    if surplus:
        return "job_changes"
    return None if deleted else "job_cannot_delete"


# -- the log ------------------------------------------------------------------------------------


def _logged(at: Attempt, lab: PostgresLab, password: str) -> str:
    """What the log keeps of a search, of its parameters, and of a statement that is refused."""
    job, clerk = str(at.task["account"]), (str(at.task["clerk"]), str(at.task["clerk_password"]))
    ask = "SELECT person FROM public.residents WHERE id_number = "
    before = len(_text(lab))
    marks = {name: secrets.token_hex(9) for name in ("search", "parameter", "failed", "refused")}
    with Who(at, "as the clerk", lab, clerk) as who:
        if who.run(f"{ask}'{marks['search']}'") is None:
            return "clerk_broken"
        every = who.run("SHOW log_statement")[0][0] == "all"
        sometimes = [name for (name,) in who.run(_SOMETIMES) or []]
        who.run(f"{ask}%s", [marks["parameter"]])
        _quietly(lambda: who.run(f"{ask}'{marks['failed']}' AND person = 1 / (person - person)"))
        _quietly(lambda: who.run(f"SELECT '{marks['failed']}' FROM public.no_such_table"))
    with Who(at, job, lab, (job, password)) as who:
        who.run(f"{ask}'{marks['refused']}'")
    # The server writes an entry before it sends the answer: what is not there now will not come.
    text = _text(lab)[before:]
    there = {name: mark in text for name, mark in marks.items()}
    refusal = _REFUSAL in text
    for name, what in (
        ("search", "the number that the clerk searched for"),
        ("parameter", "the number that came as a parameter"),
        ("failed", "the number in a statement that failed"),
        ("refused", "the number in a statement that was refused"),
    ):
        at.note("in the log", what, "there" if there[name] else "not there")
    at.note("in the log", "that the job was refused", "there" if refusal else "not there")
    if not every:
        found = ", ".join(sometimes)
        at.note("as the clerk", "look for what logs some statements whole", found or "none")
        if sometimes:
            at.values["setting"] = found
            return "some_logged"
    if there["search"]:
        return "statements_logged" if there["parameter"] else "only_parameters"
    if there["parameter"]:
        return "statements_logged"
    if there["failed"] or there["refused"]:
        return "errors_logged"
    return RIGHT if refusal else "log_silent"


def _quietly(action: Callable[[], object]) -> None:
    """Do what is meant to fail."""
    try:
        action()
    except psycopg.Error:
        return


def _text(lab: PostgresLab) -> str:
    try:
        return lab.log.read_text(errors="replace")
    except FileNotFoundError:
        raise BadAnswer(
            f"The log {lab.log.name} was removed, and the server still writes into what nobody can "
            "read. Begin the question again, with the cell that has ex.lab; to empty a log, write "
            'an empty text: lab.log.write_text("")'
        ) from None
