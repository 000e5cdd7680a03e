"""Accounts and what their roles amount to, as the server itself says."""

from dataclasses import dataclass, field

from leftopen.audit.look import SYSTEM, Look
from leftopen.audit.shared import NothingToLookAt

BROAD = {
    "root": "everything",
    "__system": "everything, past every rule",
    "dbOwner": "every action on its database, and the accounts of it",
    "dbAdmin": "dropping and changing every collection of its database",
    "userAdmin": "making accounts, and giving itself any role of its database",
    "readAnyDatabase": "reading every database",
    "readWriteAnyDatabase": "reading and changing every database",
    "dbAdminAnyDatabase": "dropping and changing every collection of every database",
    "userAdminAnyDatabase": "making accounts, and giving itself any role",
    "clusterAdmin": "every action on the server itself",
    "restore": "writing every database, the accounts too",
}
"""Built-in roles that an application never needs, and what each allows (MongoDB manual,
"Built-In Roles")."""
_RULE_THE_SERVER = ("root", "__system", "userAdminAnyDatabase", "clusterAdmin", "restore")
_DATA = {"find", "insert", "update", "remove"}
_ACCOUNTS = {"createUser", "grantRole", "changePassword", "createRole", "setUser"}
_ADMIN = {"dropDatabase", "enableProfiler", "bypassDocumentValidation"}
WRITES = {"insert", "update", "remove"}
_WRITING_ROLES = {"readWrite", "readWriteAnyDatabase", "dbOwner", "root"}
_BUILT_IN = {*BROAD, "read", "readWrite", "backup", "clusterMonitor", "clusterManager"} | {
    "hostManager",
    "enableSharding",
    "directShardOperations",
    "searchCoordinator",
}


@dataclass(frozen=True)
class Grant:
    """A role that an account holds, and its privileges where it is a role of the learner's."""

    role: str
    database: str
    inherited: tuple[str, ...] = ()
    privileges: tuple[dict, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """As ``readWrite on sensenets``."""
        return f"{self.role} on {self.database}"

    @property
    def too_broad(self) -> str:
        """What it amounts to that no application needs; empty when it does not."""
        if self.role in BROAD:
            return BROAD[self.role]
        for role in self.inherited:
            if role in BROAD:
                return f"{BROAD[role]}, inherited from {role}"
        return next(filter(None, (_broad(p) for p in self.privileges)), "")

    @property
    def rules(self) -> bool:
        """Whether it makes its holder an administrator of the whole server."""
        return self.role in _RULE_THE_SERVER or any(r in _RULE_THE_SERVER for r in self.inherited)

    @property
    def writes(self) -> bool:
        """Whether it allows changes to documents."""
        inherited = {self.role, *self.inherited} & _WRITING_ROLES
        return bool(inherited) or any(WRITES & set(p["actions"]) for p in self.privileges)

    @property
    def reaches(self) -> set[str]:
        """The databases whose documents it opens."""
        found = {self.database} if self.role in ("read", "readWrite", "dbOwner") else set()
        found |= {
            p["resource"]["db"]
            for p in self.privileges
            if _DATA & set(p["actions"]) and p["resource"].get("db")
        }
        return found - set(SYSTEM)


def _broad(privilege: dict) -> str:
    resource, actions = privilege["resource"], set(privilege["actions"])
    if resource.get("anyResource"):
        return "every resource of the server (anyResource)"
    whole_database = resource.get("collection") == ""
    if whole_database and resource.get("db") == "" and actions & _DATA:
        return f"{', '.join(sorted(actions & _DATA))} in every database"
    if actions & _ACCOUNTS:
        return f"making or changing accounts ({', '.join(sorted(actions & _ACCOUNTS))})"
    if whole_database and actions & _ADMIN:
        return f"administering the database ({', '.join(sorted(actions & _ADMIN))})"
    return ""


@dataclass(frozen=True)
class Account:
    """An account of the server."""

    name: str
    database: str
    grants: tuple[Grant, ...]
    mechanisms: tuple[str, ...]
    credentials: dict = field(repr=False)
    purpose: str = ""

    @property
    def rules(self) -> bool:
        """Whether it is an administrator of the whole server."""
        return any(grant.rules for grant in self.grants)


def accounts(look: Look) -> list[Account]:
    """Every account, its roles resolved.

    Raises:
        CouldNotLook: the accounts may not be read.
        NothingToLookAt: there is none yet (the localhost exception is open).
    """
    if look.inside.find != 0 and look.inside.names is not None:
        raise NothingToLookAt("there is no account yet")
    told = look.run("admin", "usersInfo", {"forAllDBs": True}, showCredentials=True)["users"]
    custom = {
        (role["role"], role["db"])
        for user in told
        for role in user["roles"]
        if role["role"] not in _BUILT_IN
    }
    known = {place: _custom(look, *place) for place in sorted(custom)}
    return [
        Account(
            user["user"],
            user["db"],
            tuple(
                known.get((r["role"], r["db"])) or Grant(r["role"], r["db"]) for r in user["roles"]
            ),
            tuple(user.get("mechanisms", ())),
            user.get("credentials", {}),
            str((user.get("customData") or {}).get("purpose", "")),
        )
        for user in sorted(told, key=lambda user: (user["db"], user["user"]))
    ]


def _custom(look: Look, role: str, database: str) -> Grant:
    place = {"role": role, "db": database}
    told = look.run(database, "rolesInfo", place, showPrivileges=True)["roles"]
    if not told:
        return Grant(role, database)
    inherited = tuple(r["role"] for r in told[0].get("inheritedRoles", ()))
    # What built-in roles bring is judged by their names; a backup role may read everything.
    by_name = any(name in _BUILT_IN for name in inherited)
    own = told[0].get("privileges" if by_name else "inheritedPrivileges", ())
    return Grant(role, database, inherited, tuple(own))
