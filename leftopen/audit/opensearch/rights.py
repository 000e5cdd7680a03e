"""Accounts, roles and mappings of the security plugin, and what they amount to.

The rules are the plugin's own (OpenSearch documentation, "Defining users and roles"): an account
has the roles that name it under ``users``, that name one of its backend roles, or that its own
entry lists; action groups stand for actions; ``*`` and ``?`` are wildcards, and a pattern between
slashes is a regular expression.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from leftopen.audit.opensearch.look import SearchLook

READ, WRITE = "indices:data/read/search", "indices:data/write/index"
DELETE_INDEX = "indices:admin/delete"
_DATA = {"reading": READ, "writing": WRITE, "deleting": DELETE_INDEX}
_PROBE = "leftopen-probe-7f3a"
"""A name that no index has: a pattern that takes it takes every name."""
CLUSTER_RIGHTS = {
    "changing the cluster's settings": "cluster:admin/settings/update",
    "snapshots, which copy every index to another place": "cluster:admin/snapshot/create",
    "restoring snapshots over indices": "cluster:admin/snapshot/restore",
    "naming the places that snapshots go to": "cluster:admin/repository/put",
    "moving shards": "cluster:admin/reroute",
    "changing accounts and roles (restapi:admin)": "restapi:admin/internalusers",
}
"""Rights over the cluster that an application never needs, with the action that stands for each."""
SYSTEM_INDICES = (".opendistro_security", ".opensearch-observability", ".plugins-ml-config")
"""Indices in which the server and its plugins keep what they obey."""


@dataclass(frozen=True)
class IndexRight:
    """What a role may do in the indices of some patterns; its actions are resolved."""

    patterns: tuple[str, ...]
    actions: tuple[str, ...]
    dls: str = ""
    fls: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()

    def allows(self, action: str, index: str) -> bool:
        """Whether it allows this action in this index."""
        return any(matches(p, index) for p in self.patterns) and any_matches(self.actions, action)

    @property
    def takes_all(self) -> str:
        """The pattern that takes every index; empty without one."""
        return next((p for p in self.patterns if matches(p, _PROBE)), "")

    def shows(self, field_name: str) -> bool:
        """Whether it shows a field in clear (field-level security, field masking)."""
        masked = {entry.partition("::")[0] for entry in self.masked}
        if any(matches(entry, field_name) for entry in masked):
            return False
        out = [f.lstrip("~!") for f in self.fls if f[:1] in "~!"]
        only = [f for f in self.fls if f[:1] not in "~!"]
        if any(_field(entry, field_name) for entry in out):
            return False
        return not only or any(_field(entry, field_name) for entry in only)


@dataclass(frozen=True)
class Role:
    """A role, its action groups resolved."""

    name: str
    cluster: tuple[str, ...]
    indices: tuple[IndexRight, ...]

    @property
    def rules(self) -> bool:
        """Whether its holder is an administrator of everything."""
        everything = any(r.takes_all and "*" in r.actions for r in self.indices)
        return "*" in self.cluster and everything

    @property
    def too_broad(self) -> str:
        """What of its indices no application needs; empty when there is nothing."""
        if self.rules:
            return "everything, in every index and in the cluster"
        for right in self.indices:
            done = [
                what
                for what, action in _DATA.items()
                if right.takes_all and any_matches(right.actions, action)
            ]
            if done:
                return f"{' and '.join(done)} every index (pattern {right.takes_all})"
        return ""

    @property
    def dangerous(self) -> list[str]:
        """What of its rights leads past its indices."""
        found = [w for w, action in CLUSTER_RIGHTS.items() if any_matches(self.cluster, action)]
        for right in self.indices:
            named = [i for i in SYSTEM_INDICES if any(matches(p, i) for p in right.patterns)]
            if named and not right.takes_all and any_matches(right.actions, WRITE):
                found.append(f"writing the system index {named[0]}")
        return found


@dataclass(frozen=True)
class Account:
    """An internal user, with its roles and by which way it has each."""

    name: str
    backend_roles: tuple[str, ...]
    roles: dict[str, str]


@dataclass(frozen=True)
class Model:
    """All of it: who is there, and who may do what."""

    accounts: tuple[Account, ...]
    roles: dict[str, Role]
    for_everyone: dict[str, str] = field(default_factory=dict)

    def held(self, account: Account) -> list[Role]:
        """The roles of an account."""
        return [self.roles[name] for name in account.roles if name in self.roles]

    def rules(self, account: Account) -> bool:
        """Whether an account is an administrator of everything."""
        return any(role.rules for role in self.held(account))


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of the plugin takes a name.

    A name in the pattern that the plugin fills in, as ``${user_name}``, takes nothing here.
    """
    if pattern.startswith("/") and pattern.endswith("/") and len(pattern) > 1:
        try:
            return re.fullmatch(pattern[1:-1], name) is not None
        except re.error:
            return False
    form = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(form, name, re.DOTALL) is not None


def any_matches(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns takes a name."""
    return any(matches(pattern, name) for pattern in patterns)


def _field(entry: str, name: str) -> bool:
    return matches(entry, name) or matches(f"{entry}.*", name)


def model(look: SearchLook) -> Model:
    """Read accounts, roles, mappings and action groups, once for all checks.

    Raises:
        NothingToLookAt: the plugin is off.
        CouldNotLook: they may not be read.
    """
    if "model" not in look.kept:
        users, mappings = look.api("internalusers"), look.api("rolesmapping")
        roles, groups = look.api("roles"), look.api("actiongroups")
        look.kept["model"] = build(users, roles, mappings, groups)
    return look.kept["model"]


def build(users: dict, roles: dict, mappings: dict, groups: dict) -> Model:
    """The model, from the four parts as the plugin's REST API gives them."""
    known = {name: _role(name, told, groups) for name, told in sorted(roles.items())}
    everyone = {
        name: part
        for name, mapping in sorted(mappings.items())
        for part in ("users", "backend_roles", "hosts")
        if "*" in mapping.get(part, ())
    }
    accounts = [_account(name, told, mappings) for name, told in sorted(users.items())]
    return Model(tuple(accounts), known, everyone)


def _role(name: str, told: dict, groups: dict) -> Role:
    indices = [
        IndexRight(
            tuple(part.get("index_patterns", ())),
            tuple(_resolve(part.get("allowed_actions", ()), groups)),
            str(part.get("dls") or ""),
            tuple(part.get("fls") or ()),
            tuple(part.get("masked_fields") or ()),
        )
        for part in told.get("index_permissions", ())
    ]
    return Role(name, tuple(_resolve(told.get("cluster_permissions", ()), groups)), tuple(indices))


def _resolve(actions: Iterable[str], groups: dict, above: tuple[str, ...] = ()) -> list[str]:
    """Actions, with every action group replaced by what it stands for."""
    found: list[str] = []
    for action in actions:
        if action in groups and action not in above:
            inner = groups[action].get("allowed_actions", ())
            found += _resolve(inner, groups, (*above, action))
        elif action not in groups:
            found.append(action)
    return list(dict.fromkeys(found))


def _account(name: str, told: dict, mappings: dict) -> Account:
    backend = tuple(told.get("backend_roles", ()))
    held = dict.fromkeys(told.get("opendistro_security_roles", ()), "its own entry")
    for role, mapping in sorted(mappings.items()):
        if way := _way(name, backend, mapping):
            held[role] = way
    return Account(name, backend, held)


def _way(name: str, backend: tuple[str, ...], mapping: dict) -> str:
    """How a mapping gives its role to an account; empty if it does not."""
    for entry in mapping.get("users", ()):
        if matches(entry, name):
            return "its name" if entry == name else f"users: {entry}"
    for entry in mapping.get("backend_roles", ()):
        if any(matches(entry, role) for role in backend):
            return f"backend role {entry}"
    both = mapping.get("and_backend_roles") or ()
    if both and all(any(matches(entry, role) for role in backend) for entry in both):
        return f"backend roles {' and '.join(both)}"
    return "hosts: *" if "*" in mapping.get("hosts", ()) else ""


def can_touch_data(role: Role | None, is_system: Callable[[str], bool]) -> str:
    """What a role may do with data, in words; empty when it may not touch any."""
    if role is None:
        return ""
    if broad := role.too_broad:
        return broad
    for right in role.indices:
        patterns = [p for p in right.patterns if not is_system(p)]
        for what, action in (("read", READ), ("write", WRITE)):
            if patterns and any_matches(right.actions, action):
                return f"{what} {', '.join(patterns)} (role {role.name})"
    return ""
