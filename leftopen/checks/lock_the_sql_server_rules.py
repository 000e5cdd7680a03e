"""Exercise 10, question 1: what the lines of pg_hba.conf do for clients that cannot come here.

No machine can come to loopback from afar, or by IPv6: the server's own reading of its lines says
what it would answer.
"""

import ipaddress
from dataclasses import dataclass

from leftopen import loopback
from leftopen.audit.postgres import hba
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.shared import Target
from leftopen.checks.elsewhere import COPIES
from leftopen.checks.sql_probe import DATABASE, operator
from leftopen.lab_postgres import PostgresLab

FAR = ipaddress.ip_address("203.0.113.7")
"""An address kept for examples (RFC 5737)."""
_RULES = """
SELECT address, netmask, auth_method FROM pg_hba_file_rules
WHERE type IN ('host', 'hostssl') AND database && ARRAY['all', %(database)s]
AND EXISTS (SELECT FROM unnest(user_name) named WHERE named IN ('all', %(account)s)
    OR pg_has_role(%(account)s, (SELECT oid FROM pg_roles WHERE '+' || rolname = named), 'MEMBER'))
ORDER BY line_number
"""


@dataclass(frozen=True)
class Line:
    """A line that does more than it should, and for whom.

    Attributes:
        near_miss: the name of the verdict.
        number: of the line, in the learner's own file.
        written: the line, as it may be shown.
        what: whom it lets in, and how, in words.
    """

    near_miss: str
    number: int
    written: str
    what: str


def would_be_asked(lab: PostgresLab, account: str) -> bool:
    """Whether the first line that fits an account from afar, over TLS, asks for its password."""
    with operator(lab) as connection:
        rules = connection.execute(_RULES, {"database": DATABASE, "account": account}).fetchall()
    for address, netmask, method in rules:
        if address == "all" or (
            netmask and "." in address and FAR in ipaddress.ip_network(f"{address}/{netmask}")
        ):
            return method != hba.REFUSES
    return False


def line_too_many(lab: PostgresLab, door: str, administrator: str) -> Line | None:
    """The first line that lets in whom it should not, or asks for less than SCRAM.

    Args:
        lab: the server.
        door: the account that comes from everywhere, to one database.
        administrator: the account that comes from this machine alone.
    """
    look = PostgresLook(Target(loopback.HERE, lab.inside.port, lab))
    try:
        reaches = look.reaches
    finally:
        look.close()
    for near_miss, fault in (("another_line", _surplus), ("md5_line", _is_md5)):
        for reach in reaches:
            for client in reach.those(hba.ANYWHERE, hba.NAMED, hba.HERE):
                how = fault(reach.rule.method, client, door, administrator)
                if how and reach.rule.method != hba.REFUSES:
                    what = "copies of the whole server" if _copies(client) else client.database
                    what = f"{client.role} from {client.place} to {what}, {how}"
                    return Line(near_miss, reach.rule.line, reach.rule.text, what)
    return None


def _copies(client: hba.Client) -> bool:
    return client.database == COPIES


def _surplus(method: str, client: hba.Client, door: str, administrator: str) -> str:
    """In words, what is too much about letting this client in; or nothing."""
    if method == hba.ASKS_NOTHING:
        return "without a password"
    if client.role == administrator and client.place != hba.HERE:
        return "with the password of a superuser"
    if client.role == door and client.database != DATABASE:
        return "where it has nothing to do"
    ours = client.role in (door, administrator) and not _copies(client)
    return "without TLS" if ours and client.way == "clear" else ""


def _is_md5(method: str, client: hba.Client, door: str, administrator: str) -> str:
    ours = client.role in (door, administrator) and not _copies(client)
    return "by the method md5" if ours and method == "md5" else ""
