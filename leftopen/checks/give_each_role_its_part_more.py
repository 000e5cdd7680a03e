"""Exercise 08: an account that is narrowed while it works, and one that works from one place."""

import ipaddress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pymongo import MongoClient

from leftopen.checks.persona import (
    ELSEWHERE,
    MAKES_ACCOUNTS,
    READS_ELSEWHERE,
    Persona,
    administrator,
    locked_lab,
    operator,
    try_all,
    variant,
    words,
)
from leftopen.checks.probe import Who, credentials
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

_COLLECTIONS = ("people", "positions", "trackers")
_HERE = "127.0.0.1"

# -- 4: an account that is too wide -------------------------------------------------------------


@dataclass(frozen=True)
class _State:
    """What a narrowing must leave as it was, and what it may change."""

    pid: int | None
    user_id: object
    held: frozenset[str]
    accounts: int
    roles: int
    neighbour: frozenset[str]


_BEGAN: WeakKeyDictionary[Lab, _State] = WeakKeyDictionary()


def narrow_task(draw: Draw) -> Task:
    """Which account, which role, and what must remain."""
    draw = variant(draw, 4)
    read, change = draw.shuffle("policy", _COLLECTIONS)[:2]
    bird = draw.pick("account", ("crake", "dotterel", "garganey"))
    return Task(
        **administrator(draw),
        account=(f"{bird}_desk", "the account of a program that is in use now"),
        account_password=(draw.password("account"), "its password"),
        role=(draw.pick("role", ("service", "town_hall")), "the role that it holds now"),
        read=(read, "the one collection that it must go on reading"),
        change=(change, "the one collection in which it must go on inserting and updating"),
        other=(f"{bird}_report", "another account with the same role; its work goes on as it is"),
        other_password=(draw.password("other"), "the password of the other account"),
    )


def narrow_lab(task: Task) -> Lab:
    """A server on which two accounts share one role that is too wide for the first of them."""
    wide = "dbOwner" if task["role"] == "town_hall" else "readWrite"

    def prepare(client: MongoClient) -> None:
        client.sensenets.command("createRole", task["role"], privileges=[], roles=[wide])
        held = [{"role": task["role"], "db": "sensenets"}]
        for name in ("account", "other"):
            password = task[f"{name}_password"]
            client.admin.command("createUser", task[name], pwd=password, roles=held)

    lab = locked_lab(task, prepare)
    try:
        with operator(lab, task) as admin:
            _BEGAN[lab] = _state(lab, task, admin)
    except BaseException:
        lab.close()
        raise
    return lab


def _state(lab: Lab, task: Task, admin: MongoClient) -> _State:
    users = admin.admin.command("usersInfo", {"forAllDBs": True})["users"]
    mine = next((u for u in users if (u["user"], u["db"]) == (task["account"], "admin")), None)
    roles = [
        role
        for name in ("admin", "sensenets")
        for role in admin[name].command("rolesInfo", 1)["roles"]
    ]
    other = _shared(lab, task, "other", Attempt(task))
    return _State(
        pid=lab.server_pid,
        user_id=mine and bytes(mine["userId"]),
        held=frozenset(role["role"] for role in mine["roles"]) if mine else frozenset(),
        accounts=len(users),
        roles=len(roles),
        neighbour=other.can if other else frozenset(),
    )


def _shared(lab: Lab, task: Task, row: str, at: Attempt) -> Persona | None:
    login = {"username": task[row], "password": task[f"{row}_password"], "authSource": "admin"}
    return try_all(at, "as the program", lab.inside.uri, login)


def narrowed(at: Attempt, lab: Lab) -> str:
    """The account does its work with its password, and no more; nothing else has changed."""
    began, task = _BEGAN[lab], at.task
    same = began.pid == lab.server_pid
    at.note("the server", "has run since the question began", "yes" if same else "no")
    if not same:
        return "restarted"
    with operator(lab, task) as admin:
        now = _state(lab, task, admin)
    program = _shared(lab, task, "account", at)
    if program is None:
        return "password_changed" if now.user_id else "account_gone"
    wanted = {f"find {task['read']}", f"insert {task['change']}", f"update {task['change']}"}
    surplus, missing = program.more_than(wanted), wanted - program.can
    at.values.update(more=words(surplus), missing=words(missing))
    if surplus:
        return _still_too_wide(task, began, now)
    if missing:
        return "program_broken" if missing == wanted else "work_missing"
    works = now.neighbour == began.neighbour
    at.note(
        "as the other account", "all that it could do before", "accepted" if works else "refused"
    )
    if not works:
        return "other_broken"
    kept = now.user_id == began.user_id
    at.note("the account", "was there all the time (userId)", "yes" if kept else "no")
    return RIGHT if kept else "account_replaced"


def _still_too_wide(task: Task, began: _State, now: _State) -> str:
    if task["role"] not in now.held:
        return "still_wide"
    if len(now.held) > 1:
        return "old_role_left"
    if now.neighbour != began.neighbour:
        return "shared_role_changed"
    if now.accounts > began.accounts:
        return "new_account"
    return "role_not_given" if now.roles > began.roles else UNTOUCHED


# -- 5: one place alone -------------------------------------------------------------------------

_LATER = "added_later"  # a collection that is not there yet


def place_task(draw: Draw) -> Task:
    """Which database is read, and who must go on working from outside."""
    draw = variant(draw, 5)
    bird = draw.pick("colleague", ("brambling", "redwing", "whinchat"))
    return Task(
        **administrator(draw),
        database=(
            draw.pick("database", ("sensenets", ELSEWHERE[0])),
            "the database that the backup reads",
        ),
        colleague=(f"{bird}_office", "an account that is used from outside, and must go on"),
        colleague_password=(draw.password("colleague"), "its password"),
    )


def place_lab(task: Task) -> Lab:
    """A server with an account that works from outside."""

    def prepare(client: MongoClient) -> None:
        cameras = {"resource": {"db": "sensenets", "collection": "trackers"}, "actions": ["find"]}
        client.admin.command("createRole", "cameras", privileges=[cameras], roles=[])
        name, password = task["colleague"], task["colleague_password"]
        client.admin.command("createUser", name, pwd=password, roles=["cameras"])

    return locked_lab(task, prepare)


def placed(at: Attempt, lab: Lab, backup_uri: str) -> str:
    """The backup reads one whole database, from the server's own machine alone."""
    login = credentials(lab, "backup_uri", backup_uri)
    if not _colleague_works(at, lab):
        return "door_shut"
    with operator(lab, at.task) as admin:
        restrictions = _restrictions(admin, login)
    outside = _outside(at, lab, login, restrictions)
    database = at.task["database"]
    of = {"sensenets": _COLLECTIONS}.get(database, (ELSEWHERE[1], "salaries"))
    elsewhere = ELSEWHERE if database == "sensenets" else ("sensenets", "people")
    backup = try_all(
        at, "as the backup, inside", lab.inside.uri, login, (*of, _LATER), database, elsewhere
    )
    if backup is None:
        return "wrong_way_round" if outside else "shut_to_all"
    if found := _backup_rights(at, backup, of):
        return found
    if outside:
        return "restriction_too_wide" if restrictions else "no_restriction"
    return RIGHT


def _colleague_works(at: Attempt, lab: Lab) -> bool:
    label = "as the colleague, outside"
    if not lab.outside.is_open:
        at.note(label, "connect", "nothing answers")
        return False
    login = {"username": at.task["colleague"], "password": at.task["colleague_password"]}
    with Who(at, label, lab.outside.uri, login) as colleague:
        return colleague.reads("trackers")


def _backup_rights(at: Attempt, backup: Persona, of: tuple[str, ...]) -> str:
    """What is wrong with the backup's rights, wherever it comes from."""
    wanted = {f"find {collection}" for collection in (*of, _LATER)}
    # The built-in role read brings these; they show what find shows.
    wanted |= {
        f"{do} {of}" for do in ("find", "changeStream") for of in ("every collection", "system.js")
    }
    more, missing = backup.more_than(wanted), {f"find {name}" for name in of} - backup.can
    at.values.update(more=words(more), missing=words(missing))
    if MAKES_ACCOUNTS in backup.can:
        return "allow_everything"
    if any(f"{do} {name}" in backup.can for do in ("insert", "update", "remove") for name in of):
        return "may_write"
    if READS_ELSEWHERE in backup.can:
        return "reads_elsewhere"
    if missing:
        return "denied" if len(missing) == len(of) else "part_missing"
    if f"find {_LATER}" not in backup.can:
        return "later_missed"
    return "more_than_asked" if more else ""


def _outside(at: Attempt, lab: Lab, login: dict[str, str], restrictions: list) -> bool:
    """Whether the account is let in from outside.

    Where a machine has one loopback address only, outside and inside look the same to the server.
    Then nothing can be tried, and what the server says about the account has to do.
    """
    label = "as the backup, outside"
    with Who(at, label, lab.outside.uri, login) as backup:
        with MongoClient(lab.outside.uri, timeoutMS=8000) as nobody:
            place = nobody.admin.command("whatsmyuri")["you"].rpartition(":")[0]
        if place != _HERE:
            return backup.logs_in()
    at.note(label, "log in", f"cannot be told here: outside comes from {_HERE} too")
    return all(any(_admits(one, "127.0.0.2") for one in group) for group in restrictions)


def _restrictions(admin: MongoClient, login: dict[str, str]) -> list[list[dict]]:
    """What an account and its roles ask of a client's address; one of each list must fit."""
    who = {"user": login["username"], "db": login["authSource"]}
    told = admin.admin.command("usersInfo", who, showAuthenticationRestrictions=True)["users"]
    found = [told[0]["authenticationRestrictions"]] if told else []
    found += told[0].get("inheritedAuthenticationRestrictions", []) if told else []
    return [group for group in found if group]


def _admits(restriction: dict, address: str) -> bool:
    ranges = restriction.get("clientSource", ["0.0.0.0/0"])
    networks = [ipaddress.ip_network(text, strict=False) for text in ranges]
    return any(ipaddress.ip_address(address) in network for network in networks)
