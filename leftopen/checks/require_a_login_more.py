"""Exercise 07, questions 2 and 4: the accounts of applications."""

from collections.abc import Iterable, Sequence
from itertools import product

from pymongo import MongoClient

from leftopen.cases import sensenets
from leftopen.checks import require_a_login_log as log
from leftopen.checks.passwords import judge
from leftopen.checks.probe import Who, credentials
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.engines import config
from leftopen.lab import Lab
from leftopen.learner import Draw

LOCKED = f"{sensenets.AS_FOUND}security:\n  authorization: enabled\n"
ADMINISTRATOR = "account_admin"
WORKSHOP = "workshop"  # the second database: the orders by which trackers are repaired
COLLECTIONS = {sensenets.DATABASE: sensenets.COLLECTIONS, WORKSHOP: ("orders", "parts")}
READ, WRITE = "read", "read and write"
_UNLOCKED_STARTS = 1  # of a lab that begins locked: the one to load it

# What the built-in roles allow on their database (MongoDB manual, "Built-In Roles", 6.0 to 8.0).
_READS = """
changeStream collStats dbHash dbStats find killCursors listCollections listIndexes
listSearchIndexes planCacheRead
"""
_WRITES = """
compactStructuredEncryptionData convertToCapped createCollection createIndex createSearchIndexes
dropCollection dropIndex dropSearchIndex insert remove renameCollectionSameDB update
updateSearchIndex
"""
_ALLOWED = {READ: frozenset(_READS.split()), WRITE: frozenset((_READS + _WRITES).split())}


def admin_rows(draw: Draw) -> dict[str, tuple[object, str]]:
    """The rows of a task with the account by which the learner makes accounts."""
    return {
        "administrator": (ADMINISTRATOR, "an account that may make accounts, and reads no records"),
        "admin_password": (draw.password("administrator"), "its password"),
    }


def add_workshop(client: MongoClient) -> None:
    """The second database, with a few orders and parts."""
    orders = [{"_id": n, "tracker": n, "part": "lens"} for n in range(1, 6)]
    client[WORKSHOP]["orders"].insert_many(orders)
    client[WORKSHOP]["parts"].insert_many([{"_id": "lens"}, {"_id": "cable"}])


def add_administrator(client: MongoClient, task: Task) -> None:
    """The administrator's account of a task."""
    password, roles = task["admin_password"], ["userAdminAnyDatabase"]
    client.admin.command("createUser", task["administrator"], pwd=password, roles=roles)


# -- question 2: an account of its own ------------------------------------------------------------


def application(draw: Draw, question: int, names: Sequence[str]) -> tuple[Draw, dict]:
    """An application's name, database and access, and a source for what else its task needs.

    Learners share the few cases, so that the suite can try all of them.
    """
    cases = tuple(product(names, COLLECTIONS, (READ, WRITE)))
    name, database, access = case = draw.pick(f"question {question}", cases)
    rows = {
        "account": (name, "the name of the application's account"),
        "database": (database, "the database that the application works with"),
        "access": (access, "what it does there, in every collection"),
    }
    return Draw(" ".join(case), f"07_require_a_login {question}"), rows


def task_2(draw: Draw) -> Task:
    """Which application, which database, and whether it writes: one of twelve cases."""
    source, rows = application(draw, 2, ("report", "planner", "repair"))
    return Task(**admin_rows(source), **rows)


def open_lab_2(task: Task) -> Lab:
    """A server that requires a login, with an administrator and two databases."""

    def prepare(client: MongoClient) -> None:
        add_workshop(client)
        add_administrator(client, task)

    return sensenets.small_lab(seed=9, config=LOCKED, prepare=prepare)


def own_account(at: Attempt, lab: Lab, app_uri: str) -> str:
    """The application does its work with an account of its own, and nothing else."""
    login = credentials(lab, "app_uri", app_uri)
    if anyone_reads(at, lab):
        return "login_off"
    with Who(at, "as the application", lab.inside.uri, login) as app:
        if not app.logs_in():
            elsewhere = is_elsewhere(at, lab, login, "as the application")
            return "wrong_source" if elsewhere else "no_login"
    if (login["authSource"], login["username"]) == ("admin", at.task["administrator"]):
        return "one_for_all"
    if login["username"] != at.task["account"]:
        return "another_name"
    if fault := rights(at, lab, login, at.task["database"], at.task["access"]):
        return fault
    if was_unlocked(at, lab):
        return "was_open"
    return judge(at, "the application's password", login["username"], login["password"]) or RIGHT


def anyone_reads(at: Attempt, lab: Lab, who: str = "without a login") -> bool:
    """Whether the people are read without a login; ``who`` stands in the evidence."""
    with Who(at, who, lab.inside.uri) as anyone:
        return anyone.reads("people")


def was_unlocked(at: Attempt, lab: Lab) -> bool:
    """Whether the server was started without a login since the question began with one."""
    times = log.read(lab).unlocked - _UNLOCKED_STARTS
    at.note("the server's log", "starts without a login since the question began", str(times))
    return times > 0


def opens_later(at: Attempt, lab: Lab) -> bool:
    """Whether a server that requires a login would ask for none after its next start."""
    file = config.parse(lab.config)[0]
    says = config.get(file, "security.authorization") or "not there"
    locks = says == "enabled" or bool(config.get(file, "security.keyFile"))
    if not locks:
        at.note("the configuration file", "security.authorization", says)
    return not locks


def is_elsewhere(at: Attempt, lab: Lab, login: dict[str, str], who: str) -> bool:
    """Whether another database has an account with this name and password."""
    for source in ("admin", *COLLECTIONS):
        if source != login["authSource"]:
            label = f"{who}, with authSource={source}"
            with Who(at, label, lab.inside.uri, {**login, "authSource": source}) as app:
                if app.logs_in():
                    at.values.update(source=source, asked=login["authSource"])
                    return True
    return False


def rights(at: Attempt, lab: Lab, login: dict[str, str], database: str, access: str) -> str:
    """How an account's rights differ from what its work needs: a near miss, or nothing."""
    ((other, others),) = ((d, c) for d, c in COLLECTIONS.items() if d != database)
    label = "as the application"
    with Who(at, f"{label}, in {other}", lab.inside.uri, login, other) as app:
        beyond = [app.reads(others[0]), app.inserts(others[0])]
    with Who(at, f"{label}, in {database}", lab.inside.uri, login, database) as app:
        reads = _in_each(at, app, "read")
        writes = [_in_each(at, app, verb) for verb in ("insert into", "update", "remove from")]
        administers = [app.makes_accounts(database), _changes_rules(app)]
        privileges = app.privileges()
    if any(beyond):
        if administers[0]:
            return "everything"
        if not any(reads):
            return "role_elsewhere"
        found = " and ".join(w for w, can in zip(("reads", "writes"), beyond, strict=True) if can)
        at.values.update(other=other, found=found)
        named = any(p["resource"].get("db") == other for p in privileges)
        return "both_databases" if named else "any_database"
    if any(administers):
        return "database_admin"
    if access == READ and any(map(any, writes)):
        return "writes_too"
    if privileges and not any(p["resource"].get("db") == database for p in privileges):
        return "role_elsewhere"
    if not all(reads) or (access == WRITE and not all(map(all, writes))):
        return "too_little"
    extra = _surplus(privileges, database, _ALLOWED[access])
    at.note(label, "list its further rights", ", ".join(extra) or "none")
    at.values["extra"] = ", ".join(extra)
    return "another_right" if extra else ""


def _in_each(at: Attempt, app: Who, verb: str) -> list[bool]:
    """Whether something is allowed in each collection of a database; one line of evidence."""
    tries = {
        "read": app.reads,
        "insert into": app.inserts,
        "update": app.updates,
        "remove from": app.removes,
    }
    before = len(at.tried)
    found = [tries[verb](collection) for collection in COLLECTIONS[app.database]]
    del at.tried[before:]
    said = "accepted" if all(found) else "accepted in part" if any(found) else "refused"
    at.note(app.label, f"{verb} each collection", said)
    return found


def _changes_rules(app: Who) -> bool:
    """Whether it may change what a collection accepts; the one that is named does not exist."""
    command = {"collMod": "no-such-collection"}
    return app.can(
        "change the rules of a collection", lambda: app.client[app.database].command(command)
    )


def _surplus(privileges: Iterable[dict], database: str, allowed: frozenset[str]) -> list[str]:
    """The actions of an account beyond those allowed, in their order."""
    found: set[str] = set()
    for privilege in privileges:
        here = privilege["resource"].get("db") == database
        found |= set(privilege["actions"]) - (allowed if here else frozenset())
    return sorted(found)


# -- question 4: another password, without an outage ----------------------------------------------

ARCHIVE = "archive"  # another application, which the change must not touch
_STARTS = 2  # of a lab that begins locked: one to make the accounts, one with the login on
_ROLE = {READ: "read", WRITE: "readWrite"}


def task_4(draw: Draw) -> Task:
    """Which application, what it does, and the password that leaked: one of twelve cases."""
    source, rows = application(draw, 4, ("planner", "map", "report"))
    rows["account"] = (rows["account"][0], "the application's account, made in its database")
    leaked = (source.password("leaked"), "its password, which stood in a public notebook")
    return Task(**admin_rows(source), **rows, leaked_password=leaked)


def open_lab_4(task: Task) -> Lab:
    """A locked server with two applications; its log has each command."""
    database = task["database"]

    def prepare(client: MongoClient) -> None:
        add_workshop(client)
        add_administrator(client, task)
        password, role = task["leaked_password"], _ROLE[task["access"]]
        client[database].command("createUser", task["account"], pwd=password, roles=[role])
        roles = [{"role": "read", "db": database}]
        client.admin.command("createUser", ARCHIVE, pwd=_archive_password(task), roles=roles)

    return sensenets.small_lab(seed=10, config=LOCKED + log.EVERY_COMMAND, prepare=prepare)


def _archive_password(task: Task) -> str:
    return Draw(task["leaked_password"], "07_require_a_login 4").password(ARCHIVE)


def rotated(at: Attempt, lab: Lab, new_uri: str) -> str:
    """The application's new login works as the old one did, and the old one is refused."""
    task, new = at.task, credentials(lab, "new_uri", new_uri)
    old = {
        "username": task["account"],
        "password": task["leaked_password"],
        "authSource": task["database"],
    }
    if anyone_reads(at, lab):
        return "login_off"
    told = log.read(lab)
    at.note("the server's log", "starts since the question began", str(told.starts - _STARTS))
    if told.starts > _STARTS:
        return "restarted"
    done = ", then ".join(map(str, told.changes)) or "none"
    at.note("the server's log", "changes of accounts, in their order", done)
    with Who(at, "with the leaked password", lab.inside.uri, old) as thief:
        leaked = thief.logs_in()
    label = "as the application, with the new login"
    with Who(at, label, lab.inside.uri, new) as app:
        works = app.logs_in()
    same = all(new[part] == old[part] for part in ("username", "password"))
    if new == old or (same and not works):
        return "unchanged" if leaked else "still_the_old_one"
    if not works:
        if is_elsewhere(at, lab, new, label):
            return "wrong_source"
        return "no_new_login" if leaked else "nobody_left"
    if new["authSource"] == "admin" and new["username"] in (task["administrator"], ARCHIVE):
        return "anothers_account"
    if fault := rights(at, lab, new, task["database"], task["access"]):
        return {"too_little": "fewer_rights", "role_elsewhere": fault}.get(fault, "more_rights")
    if leaked:
        return "old_one_left"
    if not _others_work(at, lab):
        return "others_hit"
    if opens_later(at, lab):
        return "next_restart_opens"
    if fault := _gap(at, told.changes):
        return fault
    if new["password"] == old["password"]:
        return "leaked_again"
    return judge(at, "the new password", new["username"], new["password"]) or RIGHT


def _gap(at: Attempt, changes: list[log.Change]) -> str:
    """Whether the application stood still for a moment, by the order of what was done."""
    database, writes = at.task["database"], at.task["access"] == WRITE

    def does_the_work(role: log.Role) -> bool:
        only_reads = role[1] in ("read", "readAnyDatabase")
        return role[0] in (database, "admin") and not (writes and only_reads)

    before = {(database, at.task["account"]): frozenset({(database, _ROLE[at.task["access"]])})}
    others = [("admin", at.task["administrator"]), ("admin", ARCHIVE)]
    return {"account": "a_gap", "role": "without_role", "": ""}[
        log.gap(changes, before, others, does_the_work)
    ]


def _others_work(at: Attempt, lab: Lab) -> bool:
    """Whether the administrator and the other application still get in with their passwords."""
    task = at.task
    others = {task["administrator"]: task["admin_password"], ARCHIVE: _archive_password(task)}
    found = []
    for name, password in others.items():
        login = {"username": name, "password": password, "authSource": "admin"}
        with Who(at, f"as {name}", lab.inside.uri, login) as other:
            found.append(other.logs_in())
    return all(found)
