"""Exercise 08: an account that is narrowed while it works, and one that works from one place."""

import ipaddress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pymongo import MongoClient

from leftopen.checks import give_each_role_its_part_log as log
from leftopen.checks.persona import (
    ELSEWHERE,
    MAKES_ACCOUNTS,
    READS_ELSEWHERE,
    SERVER_WIDE,
    Persona,
    administrator,
    is_open,
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
    neighbour: frozenset[str] | None  # what the other account may do, if it is let in


_BEGAN: WeakKeyDictionary[Lab, _State] = WeakKeyDictionary()


def narrow_task(draw: Draw) -> Task:
    """Which account, which role, and what must remain."""
    draw = variant(draw, 4)
    read, change = draw.shuffle("policy", _COLLECTIONS)[:2]
    bird = draw.pick("account", ("crake", "dotterel", "garganey"))
    return Task(
        **administrator(draw),
        account=(f"{bird}_desk", "the account of a program that works from outside"),
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

    lab = locked_lab(task, prepare, log.EVERY_COMMAND)
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
        neighbour=other.can if other else None,
    )


def _shared(lab: Lab, task: Task, row: str, at: Attempt) -> Persona | None:
    return try_all(at, "as the program, outside", lab.outside.uri, _login(task, row))


def _login(task: Task, row: str) -> dict[str, str]:
    return {"username": task[row], "password": task[f"{row}_password"], "authSource": "admin"}


def narrowed(at: Attempt, lab: Lab) -> str:
    """The account does its work with its password, and no more; nothing else has changed."""
    began, task = _BEGAN[lab], at.task
    same = began.pid == lab.server_pid
    at.note("the server", "has run since the question began", "yes" if same else "no")
    if not same:
        return "restarted"
    with operator(lab, task) as admin:
        now = _state(lab, task, admin)
        restrictions = _restrictions(admin, _login(task, "account"))
    program = _shared(lab, task, "account", at)
    if restrictions and not (program and _admitted(restrictions)):
        at.note("the account", "may come from outside (authenticationRestrictions)", "no")
        return "tied_to_a_place"
    if program is None:
        return "password_changed" if now.user_id else "account_gone"
    wanted = {f"find {task['read']}", f"insert {task['change']}", f"update {task['change']}"}
    surplus, missing = program.more_than(wanted), wanted - program.can
    at.values.update(more=words(surplus), missing=words(missing))
    if surplus:
        return _still_too_wide(task, began, now) or _too_much(task, program, surplus, missing)
    if missing:
        return "program_broken" if missing == wanted else "work_missing"
    if found := _neighbour(at, began, now):
        return found
    kept = now.user_id == began.user_id
    at.note("the account", "was there all the time (userId)", "yes" if kept else "no")
    return _meanwhile(at, lab, frozenset(wanted)) if kept else "account_replaced"


def _still_too_wide(task: Task, began: _State, now: _State) -> str:
    """What was done, while the account still has the role with which it began."""
    if task["role"] not in now.held:
        return ""
    if len(now.held) > 1:
        return "old_role_left"
    if (began.neighbour or frozenset()) - (now.neighbour or frozenset()):
        return "shared_role_changed"
    if now.accounts > began.accounts:
        return "new_account"
    return "role_not_given" if now.roles > began.roles else UNTOUCHED


def _too_much(task: Task, program: Persona, surplus: set[str], missing: set[str]) -> str:
    """What is wrong with the role that came in the place of the old one."""
    for action in ("find", "insert", "update", "remove", "collMod"):
        if {f"{action} {collection}" for collection in _COLLECTIONS} <= program.can:
            return "still_wide"
    if surplus & SERVER_WIDE:
        return "still_wide"
    read, change = task["read"], task["change"]
    if program.can == {f"find {change}", f"insert {read}", f"update {read}"}:
        return "swapped"
    return "more_and_less" if missing else "more_than_asked"


def _neighbour(at: Attempt, began: _State, now: _State) -> str:
    """Whether the other account has lost or gained anything."""
    before, after = began.neighbour or frozenset(), now.neighbour or frozenset()
    lost, gained = before - after, after - before
    at.note(
        "as the other account", "all that it could do before", "refused" if lost else "accepted"
    )
    at.values.update(lost=words(lost), gained=words(gained))
    if now.neighbour is None:
        return "other_gone"
    if lost:
        return "other_broken"
    if gained:
        at.note("as the other account", words(gained), "accepted, and was refused before")
    return "other_has_more" if gained else ""


def _meanwhile(at: Attempt, lab: Lab, wanted: frozenset[str]) -> str:
    """Whether the program noticed something before all was right."""
    account, changes = at.task["account"], log.changes(lab)
    at.note("the server's log", "changes of accounts and roles, in their order", log.said(changes))
    gap = log.lacked(changes, account, at.task["role"], wanted)
    times = log.passwords_set(changes, account)
    at.values.update(gap=words(gap), times=times)
    if gap:
        return "taken_first"
    # Set once, it is the old one, since the program was let in with it.
    return "password_set" if times > 1 else RIGHT


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
    if is_open(at, lab):
        return "authorization_off"
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
    if instead := _reads_instead(backup, of, elsewhere[0], login["authSource"]):
        at.values["instead"] = instead
        return "another_database"
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


def _reads_instead(backup: Persona, of: tuple[str, ...], other: str, home: str) -> str:
    """Another database that is read in place of the task's, or nothing."""
    if MAKES_ACCOUNTS in backup.can or any(f"find {name}" in backup.can for name in (*of, _LATER)):
        return ""
    if READS_ELSEWHERE in backup.can:
        return other
    return home if f"find {home}.every collection" in backup.told else ""


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
    return _admitted(restrictions)


def _admitted(restrictions: list[list[dict]]) -> bool:
    """Whether a client at outside's address would be let in."""
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
