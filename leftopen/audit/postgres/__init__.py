"""The checks of PostgreSQL: who is let in, the accounts, their grants, the wire, the log."""

from leftopen.audit.postgres import (
    access,
    accounts,
    client,
    data,
    grants,
    rows,
    software,
    tls,
    traces,
)
from leftopen.audit.postgres.look import PostgresLook

MODULES = (access, accounts, grants, rows, tls, client, data, traces, software)
"""The modules whose checks entered themselves into the list; their findings stand in this order."""
ALWAYS_BLIND = (
    "what the data mean, and whether they should be kept at all",
    "who knows a password, and where it is written down",
    "backups, dumps and replicas: where they are, and who can read them",
    "accounts that another system keeps: LDAP, Kerberos, RADIUS",
    "the service in front of the database, and what it lets its own callers do",
    "the network before the server: firewalls, poolers, tunnels, other machines",
    "a fault that this list of checks does not have",
)

__all__ = ["ALWAYS_BLIND", "MODULES", "PostgresLook"]
