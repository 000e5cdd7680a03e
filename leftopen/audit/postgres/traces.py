"""Checks of what the server writes down: statements with their values, people's data, failures."""

import re
from collections import Counter
from collections.abc import Iterator

from leftopen.audit.checks import check
from leftopen.audit.personal import kinds_in, told
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.report import Finding, Severity

_MANY = 10
"""From so many failed logins on, somebody is guessing rather than mistyping."""
_FAILED = re.compile(r'FATAL: {2}(?:password|[\w-]+) authentication failed for user "([^"]*)"')
# Which values say that statements are written down (manual, "Error Reporting and Logging").
_WHOLE = {"log_statement": ("all", "mod")}
_SETTINGS = (
    "SELECT coalesce(d.datname, 'every database'), coalesce(r.rolname, 'every account'), s "
    "FROM pg_db_role_setting x LEFT JOIN pg_database d ON d.oid = x.setdatabase "
    "LEFT JOIN pg_roles r ON r.oid = x.setrole, unnest(x.setconfig) s ORDER BY 1, 2, 3"
)


@check("statements-in-log")
def statements_in_log(look: PostgresLook) -> Iterator[Finding]:
    """Are statements written into the log with the values in them?"""
    asked = [(name, value, "") for name, value in look.settings.items()]
    for database, role, line in look.rows(_SETTINGS):
        name, _, value = line.partition("=")
        asked.append((name, value, f" for {role} in {database}"))
    found = [f"{name}{where} → {value}" for name, value, where in asked if _writes(name, value)]
    slow = [f"{n}{w} → {v} ms" for n, v, w in asked if n in _DURATIONS and _number(v) > 0]
    if found or slow:
        yield Finding(
            "statements-in-log",
            Severity.WARN if found else Severity.NOTE,
            "The log holds statements, with the values in them."
            if found
            else "The log holds slow statements, with the values in them.",
            "; ".join(found + slow),
            "A search holds the name or the number that somebody looked for, and ALTER ROLE a "
            "password. Logs are sent on, kept and read by others than the data.",
            "CWE-532",
            "# postgresql.conf\nlog_statement = 'none'\nlog_min_duration_statement = -1\n"
            "log_parameter_max_length = 0  # no values of parameters, where statements must stay",
            "SHOW log_statement; SHOW log_min_duration_statement",
        )


_DURATIONS = ("log_min_duration_statement", "log_min_duration_sample")


def _number(value: str) -> int:
    return int(value) if re.fullmatch(r"-?\d+", value) else -1


def _writes(name: str, value: str) -> bool:
    """Whether a setting has every statement written down, or the values of those that fail."""
    if name == "log_parameter_max_length_on_error":
        return value != "0"
    if name == "log_transaction_sample_rate":
        return value.strip("0.") != ""
    return value in _WHOLE.get(name, ()) or (name == _DURATIONS[0] and value == "0")


@check("personal-data-in-log")
def personal_data_in_log(look: PostgresLook) -> Iterator[Finding]:
    """Do data of people stand in the log?"""
    if found := kinds_in(look.log):
        yield Finding(
            "personal-data-in-log",
            Severity.WARN,
            "The log holds data of people.",
            f"log → {told(found)}",
            "PostgreSQL copies a statement that fails into its log, with the values in it, and "
            "every other one where it is told to. Logs are sent on, kept and read by others than "
            "the data.",
            "CWE-532",
            "# postgresql.conf\nlog_min_error_statement = panic\nlog_error_verbosity = terse\n"
            "# and keep the log as the data are kept: mode 600, with an end",
            "grep -c STATEMENT postgresql.log",
        )


@check("failed-logins")
def failed_logins(look: PostgresLook) -> Iterator[Finding]:
    """Did somebody try to log in, and fail?"""
    failed = Counter(_FAILED.findall(look.log))
    if not failed:
        return
    total = sum(failed.values())
    yield Finding(
        "failed-logins",
        Severity.WARN if total >= _MANY else Severity.NOTE,
        f"The log holds {total} failed login{'' if total == 1 else 's'}.",
        "log → " + ", ".join(f"{name}: {count}" for name, count in failed.most_common(10)),
        "A few are a person who mistyped. Many, or many names, are somebody who guesses. "
        "PostgreSQL itself never slows them down; with %h in log_line_prefix the log says from "
        "where.",
        "CWE-307",
        "# find out who; see that no password can be guessed\nlog_line_prefix = '%m [%p] %h '",
        "grep 'authentication failed' postgresql.log",
    )
