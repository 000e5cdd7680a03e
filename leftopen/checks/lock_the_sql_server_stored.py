"""Exercise 10, question 2: what the server stores of passwords, now and later."""

import secrets

import psycopg

from leftopen.cases import tongren
from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import LEAST_LIBPQ, Who, operator
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

_IN = "accepted"
_MD5_HBA = tongren.HBA_LOCKED.replace("scram-sha-256", "md5")
_MD5_CONFIG = tongren.LOCKED.replace("'scram-sha-256'", "'md5'")
_WEAK = ("door", "scanner", "display", "archive")


def stored_task(draw: Draw) -> Task:
    """Two programs with their passwords, and an account whose password is its name."""
    draw = variant(draw, "10", 2)
    first, second = draw.shuffle("programs", ("doors_app", "garage_app", "monthly_job"))[:2]
    accounts = {name: draw.password(name) for name in (first, second)}
    return Task(
        accounts=(accounts, "two programs' accounts, with the passwords that they keep"),
        guessed=(draw.pick("guessed", _WEAK), "an account whose password is its own name"),
        new_password=(draw.password("new"), "the password that this account is to have"),
    )


def stored_lab(task: Task) -> PostgresLab:
    """A server that was set up when passwords were stored as md5."""
    name = task["guessed"]
    return sql_lab.open_lab(
        f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {name} LOGIN PASSWORD '{name}'",
        task["accounts"],
        _MD5_CONFIG,
        _MD5_HBA,
    )


def stored(at: Attempt, lab: PostgresLab) -> str:
    """No password is stored as md5, now or later; who should log in does, and no guess does."""
    guessed, accounts = str(at.task["guessed"]), dict(at.task["accounts"])
    with operator(lab) as connection:
        verifiers = dict(
            connection.execute(
                "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"
            ).fetchall()
        )
        setting = connection.execute("SHOW password_encryption").fetchone()[0]
        ask = "SELECT bool_or(auth_method = 'scram-sha-256') FROM pg_hba_file_rules"
        (demanded,) = connection.execute(ask).fetchone()
    md5 = sorted(name for name, verifier in verifiers.items() if verifier.startswith("md5"))
    at.note("as the operator", "look for passwords stored as md5", ", ".join(md5) or "none")
    why = {name: _why_not(at, lab, name, password) for name, password in accounts.items()}
    lost = {name: said for name, said in why.items() if said}
    by_name = _logs_in(at, lab, guessed, guessed)
    for name in accounts:
        at.note(f"as {name}", "log in with its password", "refused" if name in lost else _IN)
    at.note(f"as {guessed}", "log in with its own name", _IN if by_name else "refused")
    if not lost:
        with Who(at, "as a program", lab, next(iter(accounts.items()))) as who:
            later = who.run("SHOW password_encryption")[0][0]
            setting = setting if setting == "md5" else later
    at.note("as the operator", "how the next password will be stored", setting)
    at.values.update(md5=", ".join(md5), lost=", ".join(lost), setting=setting)
    if any(_logs_in(at, lab, name, secrets.token_hex(9)) for name in (*accounts, guessed)):
        at.note("as a stranger", "log in with any password", _IN)
        return "nobody_is_asked"
    if lost:
        at.values["said"] = next(iter(lost.values()))
        wrong = all("password authentication failed" in said for said in lost.values())
        return "scram_demanded" if wrong and demanded and set(lost) <= set(md5) else "shut_out"
    if set(md5) >= set(accounts):
        if setting != "md5":
            return "only_setting"
        return UNTOUCHED if by_name else "md5_again"
    if md5:
        return "some_left"
    if by_name:
        return "name_as_password"
    if said := _why_not(at, lab, guessed, str(at.task["new_password"])):
        at.note(f"as {guessed}", "log in with the new password", "refused")
        at.values["said"] = said
        return "new_one_refused"
    return "next_is_md5" if setting == "md5" else _besides(at, lab, accounts) or RIGHT


def _besides(at: Attempt, lab: PostgresLab, accounts: dict[str, str]) -> str | None:
    """What was opened besides: the login without TLS, in clear, and superusers."""
    first = next(iter(accounts.items()))
    with Who(at, f"as {first[0]}, without TLS", lab, first, sslmode="disable") as who:
        if who.logs_in():
            return "without_tls"
    guessed = str(at.task["guessed"]), str(at.task["new_password"])
    if psycopg.pq.version() >= LEAST_LIBPQ:
        for account in (*accounts.items(), guessed):
            with Who(at, account[0], lab, account, require_auth="scram-sha-256") as who:
                try:
                    _ = who.connection
                    continue
                except psycopg.OperationalError as error:
                    if "authentication method" not in str(error):
                        raise
            at.note(f"as {account[0]}", "insist on SCRAM", "no SCRAM")
            at.values["account"] = account[0]
            return "asked_in_clear"
    with operator(lab) as connection:
        ask = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolsuper ORDER BY rolname"
        rows = connection.execute(ask).fetchall()
    supers = ", ".join(name for (name,) in rows if name != "postgres")
    at.note("as the operator", "look for further superusers", supers or "none")
    at.values["names"] = supers
    return "now_superuser" if supers else None


def _why_not(at: Attempt, lab: PostgresLab, name: str, password: str) -> str | None:
    with Who(Attempt(at.task), name, lab, (name, password), sslmode="prefer") as who:
        return who.why_not()


def _logs_in(at: Attempt, lab: PostgresLab, name: str, password: str) -> bool:
    return _why_not(at, lab, name, password) is None
