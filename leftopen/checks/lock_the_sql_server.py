"""Exercise 10: the SQL server asks who is there, and each account may do its part alone."""

import asyncio
import ipaddress
import secrets
import ssl
import struct

import psycopg

from leftopen import loopback
from leftopen.cases import tongren
from leftopen.checks import lock_the_sql_server_log as log
from leftopen.checks import lock_the_sql_server_roles as roles
from leftopen.checks import lock_the_sql_server_rows as rows
from leftopen.checks import lock_the_sql_server_views as views
from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import DATABASE, Who, operator
from leftopen.engines.postgres_server import DOOR_LINES
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.proof import sql_words

_NAME = "10"
_IN = "accepted"
_OTHER_DATABASE = "postgres"
_LEAST_LIBPQ = 160000  # the first whose clients can insist on a mechanism (require_auth)


# -- 1: the door --------------------------------------------------------------------------------


def _door_task(draw: Draw) -> Task:
    draw = variant(draw, _NAME, 1)
    site = draw.pick("site", ("garage", "lobby", "stairs", "gate"))
    bird = draw.pick("administrator", ("kestrel", "plover", "dunlin", "linnet"))
    return Task(
        door=(f"{site}_door", "the account of the doors, which come from many addresses"),
        door_password=(draw.password("door"), "its password"),
        administrator=(f"{bird}_admin", "a superuser, who comes from this machine alone"),
        password=(draw.password("administrator"), "the administrator's password"),
    )


def _door_lab(task: Task) -> PostgresLab:
    return sql_lab.open_lab(
        f"ALTER ROLE {task['administrator']} SUPERUSER; "
        f"GRANT SELECT ON buildings TO {task['door']}",
        {
            str(task["door"]): str(task["door_password"]),
            str(task["administrator"]): str(task["password"]),
        },
        tongren.AS_FOUND,
        tongren.HBA_AS_FOUND,
    )


class _Doorbell:
    """Logins at the door, each noted with what came of it."""

    def __init__(self, at: Attempt, lab: PostgresLab) -> None:
        self.at, self.lab = at, lab
        self.said = ""

    def ring(self, label: str, what: str, account: tuple[str, str], **how: str | bool) -> str:
        """Try a login, and return ``accepted``, ``refused``, ``no TLS`` or ``not trusted``."""
        how = {"sslmode": "require", "outside": True, **how}
        with Who(Attempt(self.at.task), label, self.lab, account, **how) as who:
            try:
                self.said = who.why_not() or ""
                answer = "refused" if self.said else _IN
            except psycopg.OperationalError as error:
                self.said = sql_words(error)
                if "does not support SSL" in self.said:
                    answer = "no TLS"
                elif "FATAL:" in str(error):  # a method that the server cannot use
                    answer = "refused"
                elif "certificate" in self.said or "authentication method" in str(error):
                    answer = "not trusted"
                else:
                    raise
        self.at.note(label, what, answer)
        return answer


def _door(at: Attempt, lab: PostgresLab) -> str:
    """The doors come in over TLS with a password, the administrator from here, nobody else."""
    if lab.is_as_found:
        return UNTOUCHED
    task, bell = at.task, _Doorbell(at, lab)
    door = str(task["door"]), str(task["door_password"])
    admin = str(task["administrator"]), str(task["password"])
    if not lab.outside.is_open:
        at.note("as a stranger", "connect from outside", "no answer")
        return "only_narrowed"
    with operator(lab) as connection:
        roles = connection.execute(_WHO_LOGS_IN).fetchall()
    names = ["postgres", door[0], admin[0]]
    names += [name for name, _ in roles if name not in names]
    for outside, where in ((True, "from outside"), (False, "from this machine")):
        let_in = [
            name
            for name in names
            if bell.ring(
                "as a stranger",
                f"log in {where} as {name}, without a password",
                (name, ""),
                outside=outside,
                sslmode="prefer",
            )
            == _IN
        ]
        if let_in:
            at.values["names"] = ", ".join(let_in)
            return _why_let_in(at, lab) if outside else "trust_here"
    fault = _the_doors(at, bell, door, admin) or _the_administrator(at, bell, door, admin)
    supers = [name for name, is_super in roles if is_super and name not in ("postgres", admin[0])]
    at.note("as the operator", "look for further superusers", ", ".join(supers) or "none")
    at.values["names"] = ", ".join(supers)
    return fault or ("more_superusers" if supers else RIGHT)


_WHO_LOGS_IN = "SELECT rolname, rolsuper FROM pg_roles WHERE rolcanlogin ORDER BY rolname"


def _why_let_in(at: Attempt, lab: PostgresLab) -> str:
    """What the server's own reading of pg_hba.conf says of strangers who came in."""
    with operator(lab) as connection:
        rules = connection.execute(
            "SELECT line_number, auth_method FROM pg_hba_file_rules WHERE type LIKE 'host%' "
            "ORDER BY line_number"
        ).fetchall()
    trusting = [line for line, method in rules if method == "trust"]
    asking = [line for line, method in rules if method not in ("trust", "reject")]
    if trusting and asking and max(asking) > trusting[0]:
        number = trusting[0] - DOOR_LINES
        written = " ".join(lab.hba.splitlines()[number - 1].split())
        at.values.update(number=number, written=written)
        return "trust_above"
    return "still_trust"


def _the_doors(
    at: Attempt, bell: _Doorbell, door: tuple[str, str], admin: tuple[str, str]
) -> str | None:
    over_tls = "log in from outside over verified TLS, with the password"
    answer = bell.ring("as the doors", over_tls, door, sslmode="verify-full")
    at.values["said"] = bell.said
    if answer == "no TLS":
        return "no_tls"
    if answer == "not trusted":
        return "wrong_certificate"
    if answer != _IN:
        local = {"outside": False}
        here = "log in from this machine over TLS, with the password"
        alone = bell.ring("as the administrator", here, admin, **local) != _IN
        if not alone and "password authentication failed" in at.values["said"]:
            return "door_password"
        return "all_refused" if alone else "door_shut_out"
    for who, account, outside in (
        ("the doors", door, True),
        ("the doors", door, False),
        ("the administrator", admin, False),
    ):
        where = "from outside" if outside else "from this machine"
        what = f"log in {where} without TLS, with the password"
        if bell.ring(f"as {who}", what, account, outside=outside, sslmode="disable") == _IN:
            at.values.update(who=who, where=where)
            return "plaintext"
    here = bell.ring("as the doors", "log in from this machine over TLS", door, outside=False)
    asked = {
        "127.0.0.1": here == _IN,
        _ELSEWHERE: _is_asked(bell.lab, door[0]),
        str(_FAR): _would_be_asked(bell.lab, door[0]),
    }
    at.note("as the doors", "log in from a third address", _asked(asked[_ELSEWHERE]))
    at.note("as the server reads its rules", f"the doors from {_FAR}", _asked(asked[str(_FAR)]))
    if not all(asked.values()):
        at.values["address"] = next(where for where, served in asked.items() if not served)
        return "one_address"
    if psycopg.pq.version() >= _LEAST_LIBPQ:
        what = "log in from outside, and insist on SCRAM"
        if bell.ring("as the doors", what, door, require_auth="scram-sha-256") != _IN:
            return "password_in_clear"
    return None


# Messages of the protocol (PostgreSQL manual, "Message Formats"): SSLRequest, StartupMessage 3.0.
_SSL_REQUEST, _VERSION = struct.pack("!II", 8, 80877103), struct.pack("!I", 196608)
_ELSEWHERE = "127.0.0.3"  # of neither side
_FAR = ipaddress.ip_address("203.0.113.7")  # kept for examples (RFC 5737)
_RULES = """
SELECT address, netmask, auth_method FROM pg_hba_file_rules
WHERE type IN ('host', 'hostssl') AND database && ARRAY['all', %(database)s]
AND EXISTS (SELECT FROM unnest(user_name) named WHERE named IN ('all', %(account)s)
    OR pg_has_role(%(account)s, (SELECT oid FROM pg_roles WHERE '+' || rolname = named), 'MEMBER'))
ORDER BY line_number
"""


def _asked(yes: bool) -> str:
    return "asked for its password" if yes else "refused"


def _would_be_asked(lab: PostgresLab, account: str) -> bool:
    """Whether the first rule that fits an account from afar, over TLS, asks for its password.

    No machine can come to loopback from there: it is the server's own reading of its rules.
    """
    with operator(lab) as connection:
        rules = connection.execute(_RULES, {"database": DATABASE, "account": account}).fetchall()
    for address, netmask, method in rules:
        if address == "all" or (
            netmask and "." in address and _FAR in ipaddress.ip_network(f"{address}/{netmask}")
        ):
            return method != "reject"
    return False


def _is_asked(lab: PostgresLab, account: str) -> bool:
    """Whether the server asks an account that comes from a third address for its password."""
    trusts_lab = ssl.create_default_context(cafile=str(lab.certificates.ca))
    new = loopback.connect_async(loopback.HERE, lab.inside.port, 4.0, _ELSEWHERE)
    with asyncio.run(new) as plain:
        plain.settimeout(4.0)
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            return False
        with trusts_lab.wrap_socket(plain, server_hostname=loopback.HERE) as wire:
            names = f"user\0{account}\0database\0{DATABASE}\0\0".encode()
            wire.sendall(struct.pack("!I", 8 + len(names)) + _VERSION + names)
            return wire.recv(1) == b"R"


def _the_administrator(
    at: Attempt, bell: _Doorbell, door: tuple[str, str], admin: tuple[str, str]
) -> str | None:
    for database in (_OTHER_DATABASE, "template1"):
        for outside, where in ((True, "from outside"), (False, "from this machine")):
            what = f"log in {where} to the database {database}"
            where_to = {"database": database, "outside": outside}
            if bell.ring("as the doors", what, door, **where_to) == _IN:
                at.values.update(database=database, where=where)
                return "every_database"
    label = "as the administrator"
    for database in (DATABASE, _OTHER_DATABASE):
        what = f"log in from outside over TLS to {database}, with the password"
        if bell.ring(label, what, admin, database=database) == _IN:
            return "admin_from_outside"
    for database in (DATABASE, _OTHER_DATABASE):
        what = f"log in from this machine over TLS to {database}, with the password"
        if bell.ring(label, what, admin, outside=False, database=database) != _IN:
            at.values["said"] = bell.said
            return "admin_shut_out"
    return None


# -- 2: what is stored --------------------------------------------------------------------------

_MD5_HBA = tongren.HBA_LOCKED.replace("scram-sha-256", "md5")
_MD5_CONFIG = tongren.LOCKED.replace("'scram-sha-256'", "'md5'")
_WEAK = ("door", "scanner", "display", "archive")


def _stored_task(draw: Draw) -> Task:
    draw = variant(draw, _NAME, 2)
    first, second = draw.shuffle("programs", ("doors_app", "garage_app", "monthly_job"))[:2]
    accounts = {name: draw.password(name) for name in (first, second)}
    return Task(
        accounts=(accounts, "two programs' accounts, with the passwords that they keep"),
        guessed=(draw.pick("guessed", _WEAK), "an account whose password is its own name"),
        new_password=(draw.password("new"), "the password that this account is to have"),
    )


def _stored_lab(task: Task) -> PostgresLab:
    name = task["guessed"]
    return sql_lab.open_lab(
        f"SET password_encryption = 'scram-sha-256'; CREATE ROLE {name} LOGIN PASSWORD '{name}'",
        task["accounts"],
        _MD5_CONFIG,
        _MD5_HBA,
    )


def _stored(at: Attempt, lab: PostgresLab) -> str:
    """No password is stored as md5, now or later; who should log in does, and no guess does."""
    guessed, accounts = str(at.task["guessed"]), dict(at.task["accounts"])
    with operator(lab) as connection:
        stored = dict(
            connection.execute(
                "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"
            ).fetchall()
        )
        setting = connection.execute("SHOW password_encryption").fetchone()[0]
        ask = "SELECT bool_or(auth_method = 'scram-sha-256') FROM pg_hba_file_rules"
        (demanded,) = connection.execute(ask).fetchone()
    md5 = sorted(name for name, verifier in stored.items() if verifier.startswith("md5"))
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
    """What was opened besides: the login without TLS, and superusers."""
    first = next(iter(accounts.items()))
    with Who(at, f"as {first[0]}, without TLS", lab, first, sslmode="disable") as who:
        if who.logs_in():
            return "without_tls"
    with operator(lab) as connection:
        rows = connection.execute(_WHO_LOGS_IN).fetchall()
    supers = ", ".join(name for name, is_super in rows if is_super and name != "postgres")
    at.note("as the operator", "look for further superusers", supers or "none")
    at.values["names"] = supers
    return "now_superuser" if supers else None


def _why_not(at: Attempt, lab: PostgresLab, name: str, password: str) -> str | None:
    with Who(Attempt(at.task), name, lab, (name, password), sslmode="prefer") as who:
        return who.why_not()


def _logs_in(at: Attempt, lab: PostgresLab, name: str, password: str) -> bool:
    return _why_not(at, lab, name, password) is None


QUESTIONS = {
    1: Question(asks={"lab": Lab}, check=_door, task=_door_task, lab=_door_lab),
    2: Question(asks={"lab": Lab}, check=_stored, task=_stored_task, lab=_stored_lab),
    3: Question(
        asks={"lab": Lab, "password": str},
        check=roles.granted,
        task=roles.grant_task,
        lab=roles.grant_lab,
    ),
    4: Question(asks={"lab": Lab}, check=rows.limited, task=rows.row_task, lab=rows.row_lab),
    5: Question(asks={"lab": Lab}, check=views.counted, task=views.view_task, lab=views.view_lab),
    6: Question(
        asks={"lab": Lab, "password": str}, check=log.kept, task=log.log_task, lab=log.log_lab
    ),
}
