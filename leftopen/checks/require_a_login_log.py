"""What a lab's mongod wrote into its log: how it was started, and what became of accounts.

The ids are those of mongod's own messages, as 6.0.5 writes them.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from leftopen.lab import Lab

EVERY_COMMAND = "operationProfiling:\n  slowOpThresholdMs: 0\n"
_LISTENING = 23016  # "Waiting for connections"
_OPTIONS = 21951  # "Options set by command line": those of the file too, once for each start
_NEW_COLLECTION = 20320  # "createCollection"
_COMMAND = 51803  # "Slow query"

Account = tuple[str, str]  # its database and its name
Role = tuple[str, str]  # likewise


@dataclass(frozen=True)
class Change:
    """A command that changed accounts: its name, the account, and the roles that it names.

    ``roles`` is ``None`` where the command names none; the account's name is ``"*"`` where all
    accounts of a database are meant.
    """

    verb: str
    account: Account
    roles: frozenset[Role] | None = None

    def __str__(self) -> str:
        database, name = self.account
        names = ", ".join(sorted(role for _, role in self.roles or ())) or "none"
        return f"{self.verb} {database}.{name}" + (
            f" (roles: {names})" if self.roles is not None else ""
        )


@dataclass
class Log:
    """What a log says.

    Attributes:
        starts: how often the server was started.
        unlocked: how often it was started without asking anyone for a login.
        had_account: whether an account was ever made.
        changes: of accounts, since the last start; only where each command is logged.
    """

    starts: int = 0
    unlocked: int = 0
    had_account: bool = False
    changes: list[Change] = field(default_factory=list)


def read(lab: Lab) -> Log:
    """Read the log of a lab."""
    found, asks_nobody = Log(), False
    for line in lab.log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # an empty line between two starts, or one that is being written
            continue
        number, attributes = entry["id"], entry.get("attr", {})
        if number == _LISTENING and entry["msg"] == "Waiting for connections":
            found.starts += 1
            found.unlocked += asks_nobody  # one that found its port taken let nobody in
            found.changes = []
        elif number == _OPTIONS:
            security = attributes["options"].get("security", {})
            asks_nobody = security.get("authorization") != "enabled"
        elif number == _NEW_COLLECTION:
            found.had_account |= attributes.get("namespace") == "admin.system.users"
        elif number == _COMMAND and "errCode" not in attributes:
            found.changes += _changes(attributes.get("command", {}))
    return found


def _changes(command: dict) -> Iterator[Change]:
    for verb in ("createUser", "updateUser", "grantRolesToUser", "revokeRolesFromUser", "dropUser"):
        if verb in command:
            database = command["$db"]
            yield Change(verb, (database, command[verb]), _roles(command.get("roles"), database))
    if "dropAllUsersFromDatabase" in command:
        yield Change("dropUser", (command["$db"], "*"))


def _roles(given: list | None, database: str) -> frozenset[Role] | None:
    """Roles as pairs of database and name; one written by its name alone is of the account's."""
    if given is None:
        return None
    return frozenset(
        (role["db"], role["role"]) if isinstance(role, dict) else (database, role) for role in given
    )


def gap(
    changes: Iterable[Change],
    before: dict[Account, frozenset[Role]],
    others: Iterable[Account],
    does_the_work: Callable[[Role], bool],
) -> str:
    """Whether an application was ever without an account, or without the role for its work.

    It is taken to use, at each moment, whichever account can do the work and is not another's.

    Args:
        changes: what was done, in its order.
        before: the application's accounts before that, with their roles.
        others: the accounts that are not the application's.
        does_the_work: whether a role is enough for it.

    Returns:
        ``"account"`` for a moment without an account, ``"role"`` for one without a role, or ``""``.
    """
    held, others = dict(before), frozenset(others)
    found = ""
    for change in changes:
        if change.account not in others:
            _apply(change, held)
        if not held:
            return "account"
        if not any(map(does_the_work, frozenset().union(*held.values()))):
            found = "role"
    return found


def _apply(change: Change, held: dict[Account, frozenset[Role]]) -> None:
    database, name = change.account
    before, named = held.get(change.account, frozenset()), change.roles or frozenset()
    if change.verb == "dropUser":
        for account in list(held):
            if account == change.account or (name == "*" and account[0] == database):
                del held[account]
    elif change.verb == "grantRolesToUser":
        held[change.account] = before | named
    elif change.verb == "revokeRolesFromUser":
        held[change.account] = before - named
    elif change.roles is not None:  # createUser, and updateUser where it names roles
        held[change.account] = named
