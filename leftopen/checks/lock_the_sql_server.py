"""Exercise 10: the SQL server asks who is there, and each account may do its part alone."""

import asyncio
import ssl
import struct

import psycopg

from leftopen import loopback
from leftopen.cases import tongren
from leftopen.checks import lock_the_sql_server_log as log
from leftopen.checks import lock_the_sql_server_roles as roles
from leftopen.checks import lock_the_sql_server_rows as rows
from leftopen.checks import lock_the_sql_server_rules as rules
from leftopen.checks import lock_the_sql_server_stored as stored
from leftopen.checks import lock_the_sql_server_views as views
from leftopen.checks import sql_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import DATABASE, LEAST_LIBPQ, Who, operator
from leftopen.engines.postgres_server import DOOR_LINES
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw
from leftopen.proof import sql_words

_NAME = "10"
_IN = "accepted"
_OTHER_DATABASE = "postgres"


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
        """Try a login: ``accepted``, ``refused``, ``no TLS``, ``no SCRAM`` or ``not trusted``."""
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
                elif "authentication method" in str(error):
                    answer = "no SCRAM"
                elif "certificate" in self.said:
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
    if copied := _copied(at, bell, [name for name, is_super in roles if is_super]):
        return copied
    fault = _the_doors(at, bell, door, admin) or _the_administrator(at, bell, door, admin)
    supers = [name for name, is_super in roles if is_super and name not in ("postgres", admin[0])]
    at.note("as the operator", "look for further superusers", ", ".join(supers) or "none")
    at.values["names"] = ", ".join(supers)
    fault = fault or ("more_superusers" if supers else None)
    return fault or _elsewhere(at, lab, door[0], admin[0]) or RIGHT


_WHO_LOGS_IN = "SELECT rolname, rolsuper FROM pg_roles WHERE rolcanlogin ORDER BY rolname"


def _copied(at: Attempt, bell: _Doorbell, superusers: list[str]) -> str | None:
    """Whether a stranger may copy the whole server; ``all`` in a line is not for that."""
    for outside, where in ((True, "from outside"), (False, "from this machine")):
        for name in superusers:
            what = f"copy the server {where} as {name}, without a password"
            how = {"outside": outside, "sslmode": "prefer", "replication": "true"}
            if bell.ring("as a stranger", what, (name, ""), **how) == _IN:
                at.values.update(who=name, where=where)
                return "copied"
    return None


def _elsewhere(at: Attempt, lab: PostgresLab, door: str, administrator: str) -> str | None:
    """What the lines say of clients that cannot come to this machine, as those of IPv6."""
    found = rules.line_too_many(lab, door, administrator)
    label = "as the server reads its rules"
    at.note(label, "let in too many, or by less than SCRAM", found.what if found else "no line")
    if found is None:
        return None
    at.values.update(number=found.number, written=found.written, what=found.what)
    return found.near_miss


def _why_let_in(at: Attempt, lab: PostgresLab) -> str:
    """What the server's own reading of pg_hba.conf says of strangers who came in."""
    with operator(lab) as connection:
        lines = connection.execute(
            "SELECT line_number, auth_method FROM pg_hba_file_rules WHERE type LIKE 'host%' "
            "ORDER BY line_number"
        ).fetchall()
    trusting = [line for line, method in lines if method == "trust"]
    asking = [line for line, method in lines if method not in ("trust", "reject")]
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
        str(rules.FAR): rules.would_be_asked(bell.lab, door[0]),
        _ELSEWHERE: _is_asked(bell.lab, door[0]),
        "127.0.0.1": here == _IN,
    }
    at.note("as the doors", "log in from a third address", _asked(asked[_ELSEWHERE]))
    far = str(rules.FAR)
    at.note("as the server reads its rules", f"the doors from {far}", _asked(asked[far]))
    if not all(asked.values()):
        at.values["address"] = next(where for where, served in asked.items() if not served)
        return "one_address"
    if psycopg.pq.version() >= LEAST_LIBPQ:
        for who, account, outside in (("doors", door, True), ("administrator", admin, False)):
            where = "from outside" if outside else "from this machine"
            what = f"log in {where}, and insist on SCRAM"
            how = {"outside": outside, "require_auth": "scram-sha-256"}
            if bell.ring(f"as the {who}", what, account, **how) == "no SCRAM":
                at.values.update(who=who, account=account[0])
                return (
                    "stored_md5" if _is_stored_as_md5(bell.lab, account[0]) else "password_in_clear"
                )
    return None


def _is_stored_as_md5(lab: PostgresLab, account: str) -> bool:
    with operator(lab) as connection:
        ask = "SELECT rolpassword LIKE 'md5%%' FROM pg_authid WHERE rolname = %s"
        return bool(connection.execute(ask, [account]).fetchone()[0])


# Messages of the protocol (PostgreSQL manual, "Message Formats"): SSLRequest, StartupMessage 3.0.
_SSL_REQUEST, _VERSION = struct.pack("!II", 8, 80877103), struct.pack("!I", 196608)
_ELSEWHERE = "127.0.0.3"  # of neither side


def _asked(yes: bool) -> str:
    return "asked for its password" if yes else "refused"


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


QUESTIONS = {
    1: Question(asks={"lab": Lab}, check=_door, task=_door_task, lab=_door_lab),
    2: Question(
        asks={"lab": Lab}, check=stored.stored, task=stored.stored_task, lab=stored.stored_lab
    ),
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
