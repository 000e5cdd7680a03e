"""Exercise 08, question 4: what an account lacked for a while, out of mongod's log.

A check sees the end. Whether a program could work all the time stands in the log, which has each
command of a server that runs with ``slowOpThresholdMs: 0``: the changes of accounts and roles are
gone through in their order, as the server did.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from leftopen.cases import sensenets
from leftopen.lab import Lab

EVERY_COMMAND = "operationProfiling:\n  slowOpThresholdMs: 0\n"
_LISTENING, _COMMAND = 23016, 51803  # ids in mongod's log: "Waiting for connections", "Slow query"
_USERS = ("createUser", "updateUser", "dropUser", "grantRolesToUser", "revokeRolesFromUser")
_ROLES = ("createRole", "updateRole", "dropRole", "grantRolesToRole", "revokeRolesFromRole")
_ROLES += ("grantPrivilegesToRole", "revokePrivilegesFromRole")

# What the built-in roles allow of what is asked here (MongoDB manual, "Built-In Roles", 6.0).
_READS, _WRITES = {"find"}, {"find", "insert", "update"}
_EVERYWHERE = {"readAnyDatabase": _READS, "readWriteAnyDatabase": _WRITES, "root": _WRITES}
_HERE = {"read": _READS, "readWrite": _WRITES, "dbOwner": _WRITES}

Name = tuple[str, str]  # database and name


def changes(lab: Lab) -> list[tuple[str, dict]]:
    """The changes of accounts and roles since the server's last start: verb and command."""
    found: list[tuple[str, dict]] = []
    for line in lab.log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # an empty line between two starts, or one that is being written
            continue
        attributes = entry.get("attr", {})
        if entry["id"] == _LISTENING:
            found = []
        elif entry["id"] == _COMMAND and "errCode" not in attributes:
            command = attributes.get("command", {})
            found += [(verb, command) for verb in (*_USERS, *_ROLES) if verb in command]
    return found


def said(found: Iterable[tuple[str, dict]]) -> str:
    """Changes as a line of evidence."""
    return ", then ".join(f"{verb} {command[verb]}" for verb, command in found) or "none"


def passwords_set(found: Iterable[tuple[str, dict]], account: str) -> int:
    """How often the password of an account in ``admin`` was set; the log does not show to what."""
    return sum(
        verb == "updateUser" and _name(verb, command) == ("admin", account) and "pwd" in command
        for verb, command in found
    )


def lacked(
    found: Sequence[tuple[str, dict]], account: str, role: str, wanted: frozenset[str]
) -> frozenset[str]:
    """What an account in ``admin`` could not do for a while, and can do at the end.

    Args:
        found: what :func:`changes` gives.
        account: the name of the account.
        role: the role of ``sensenets`` that it holds at the beginning, which allows all of it.
        wanted: abilities such as ``"find people"``.
    """
    server = _Roles(("sensenets", role), wanted)
    held: set[Name] = {("sensenets", role)}
    moments = []
    for verb, command in found:
        if verb in _ROLES:
            server.change(verb, command)
        elif _name(verb, command) == ("admin", account):
            held = _held(held, verb, command)
        moments.append(server.allow(held))
    at_the_end = moments[-1] if moments else wanted
    return frozenset().union(*(wanted - moment for moment in moments)) & at_the_end


class _Roles:
    """The roles of a server, as far as the log tells of them."""

    def __init__(self, first: Name, allows: Iterable[str]) -> None:
        self._own: dict[Name, set[str]] = {first: set(allows)}
        self._inherits: dict[Name, set[Name]] = {}

    def allow(self, held: Iterable[Name], seen: frozenset[Name] = frozenset()) -> set[str]:
        """What some roles allow together."""
        found: set[str] = set()
        for role in set(held) - seen:
            found |= self._own.get(role, set()) | _built_in(role)
            found |= self.allow(self._inherits.get(role, ()), seen | {role})
        return found

    def change(self, verb: str, command: dict) -> None:
        """Do what a command did."""
        name = _name(verb, command)
        own, inherits = self._own.get(name, set()), self._inherits.get(name, set())
        given = set(_abilities(command.get("privileges", [])))
        roles = set(_named(command))
        if verb == "dropRole":
            own, inherits = set(), set()
        elif verb in ("createRole", "updateRole"):
            own = given if "privileges" in command else own
            inherits = roles if "roles" in command else inherits
        elif verb.startswith("grant"):
            own, inherits = own | given, inherits | roles
        else:
            own, inherits = own - given, inherits - roles
        self._own[name], self._inherits[name] = own, inherits


def _held(held: set[Name], verb: str, command: dict) -> set[Name]:
    """The roles of an account after a command."""
    if verb == "dropUser":
        return set()
    roles = set(_named(command))
    if verb in ("createUser", "updateUser"):
        return roles if "roles" in command else held
    return held | roles if verb == "grantRolesToUser" else held - roles


def _name(verb: str, command: dict) -> Name:
    return command["$db"], command[verb]


def _named(command: dict) -> Iterator[Name]:
    for role in command.get("roles", []):
        yield (command["$db"], role) if isinstance(role, str) else (role["db"], role["role"])


def _abilities(privileges: Iterable[dict]) -> Iterator[str]:
    for privilege in privileges:
        resource = privilege["resource"]
        if resource.get("anyResource") or resource.get("db") in ("", sensenets.DATABASE):
            only = resource.get("collection")
            for collection in [only] if only else sensenets.COLLECTIONS:
                yield from (f"{action} {collection}" for action in privilege["actions"])


def _built_in(role: Name) -> set[str]:
    database, name = role
    actions = _EVERYWHERE.get(name, set()) if database == "admin" else set()
    actions |= _HERE.get(name, set()) if database == sensenets.DATABASE else set()
    return {f"{action} {collection}" for action in actions for collection in sensenets.COLLECTIONS}
