"""Strangers who have another address than the lab's first one, for exercises about PostgreSQL.

Who shuts out one address has shut out nobody else. What can be tried is tried from a second one;
of addresses that cannot come to loopback, the server's own reading of its lines tells.
"""

import contextlib
from collections.abc import Iterator

from leftopen import loopback
from leftopen.audit.postgres import hba
from leftopen.audit.postgres.look import PostgresLook
from leftopen.audit.shared import Target
from leftopen.lab_postgres import PostgresLab
from leftopen.outside import Outside

SECOND = "127.53.0.9"
"""An address of loopback's that nobody was told."""
COPIES = "replication"
"""The word that stands for copies of the whole server; ``all`` does not cover it."""


@contextlib.contextmanager
def another_stranger(*doors: Outside) -> Iterator[None]:
    """Strangers come from a second address. Where the system has none, it is the first again.

    Args:
        doors: the relays by which they come.
    """
    for door in doors:
        door.source = SECOND
    try:
        yield
    finally:
        for door in doors:
            door.source = None


def let_in_from(lab: PostgresLab, *places: str) -> tuple[hba.Rule, hba.Client] | None:
    """The first line that lets in a client from afar who says a name, and that client.

    Of loopback's own addresses nothing is said here, since those can be tried.

    Args:
        lab: the server.
        places: ``hba.ANYWHERE``, ``hba.NAMED``.
    """
    look = PostgresLook(Target(loopback.HERE, lab.inside.port, lab))
    try:
        roles = {name: role for name, role in look.roles.items() if role.logs_in}
        every = [*look.databases, "template1"]
        goals = {
            name: [*every, COPIES] if role.superuser or role.replicates else every
            for name, role in roles.items()
        }
        groups = {name: role.groups for name, role in roles.items()}
        found = hba.reaches(look.rules, groups, goals, look.setting("ssl") == "on", in_a_lab=False)
    finally:
        look.close()
    for reach in found:
        clients = reach.those(*places)
        if reach.rule.method == hba.ASKS_NOTHING and clients:
            return reach.rule, clients[0]
    return None
