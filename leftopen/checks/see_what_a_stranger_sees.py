"""Exercise 06: what stands open on servers that differ, a probe of one's own, and the log."""

from pymongo import MongoClient

from leftopen.cases import sensenets
from leftopen.checks import stranger_log, stranger_probe
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.stranger_servers import (
    ALL,
    GREETING,
    WHO,
    Doors,
    accounts_told,
    counted,
    missing,
    of,
    open_lab,
    opens,
    server,
    show,
    sizes,
    usable,
)
from leftopen.lab import Lab
from leftopen.learner import Draw

_LOGIN_REQUIRED = "net:\n  bindIp: 0.0.0.0\nsecurity:\n  authorization: enabled\n"
_BIRDS = ("avocet", "dunlin", "fulmar", "kestrel", "linnet", "merlin", "plover", "siskin")


def _count(at: Attempt, documents: int, held: dict[str, int], now: dict[str, int]) -> str:
    """Compare a number of documents with what a server held when its question began.

    Right, or in which way it is wrong: in all questions alike, what a learner has left there
    does not count.
    """
    total, left = sum(held.values()), sum(now.values())
    if documents == total:
        at.note(WHO, f"count the documents of {', '.join(held) or 'all'}", f"{total:,}")
        return RIGHT
    if documents == left:
        at.note(WHO, "count the documents", f"{left:,} now, and {total:,} when the question began")
        return "left_behind"
    at.note("your answer", "documents", "too many" if documents > total else "too few")
    if documents > total:
        return "own_rooms"
    beside = sum(n for place, n in held.items() if not place.startswith("sensenets."))
    return "one_database" if documents == total - beside else "too_few"


# -- question 1: what the operator says ----------------------------------------------------------

_SAYS = {
    "port": "We moved the database to another port, where nobody looks for it.",
    "accounts": "Each of our programs has an account, with a password of its own.",
}
_CHANGED = {"port": "the number of the port", "accounts": "that there are accounts"}


def _state_1(task: Task) -> str:
    return of(task, 1).pick("state", tuple(_SAYS))


def _task_1(draw: Draw) -> Task:
    row = server(1, draw)
    says = _SAYS[_state_1(Task(server=row))]
    return Task(server=row, operator=(says, "what its operator says about it"))


def _lab_1(task: Task) -> Lab:
    if _state_1(task) == "port":
        port = 20000 + of(task, 1).number("port", 9999)
        return open_lab(task, 1, f"net:\n  bindIp: 0.0.0.0\n  port: {port}\n")

    def accounts(client: MongoClient) -> None:
        for name in ("gate", "report"):
            secret = of(task, 1).password(name)
            client.admin.command("createUser", name, pwd=secret, roles=["readWriteAnyDatabase"])

    return open_lab(task, 1, prepare=accounts)


def _said_to_be_closed(at: Attempt, lab: Lab, stands_open: set, documents: int) -> str:
    """All stands open; the documents are those of every database but the server's own."""
    answer, doors = usable(stands_open), opens(lab)
    if doors.open != ALL:
        raise BadAnswer(
            "This server is not as the question found it: something of it was closed. "
            "lab = ex.lab(1) opens it again"
        )
    at.values["changed"] = _CHANGED[_state_1(at.task)]
    show(at, doors, answer)
    if "read" not in answer:
        return "port_moved"
    if answer != ALL:
        return "reading_only"
    return _count(at, documents, sizes(at.task, 1), counted(lab))


# -- question 2: nothing in the list -------------------------------------------------------------


def _is_wiped(task: Task) -> bool:
    return task["server"] % 6 == 0  # seldom: what is wiped is equal for all


def _task_2(draw: Draw) -> Task:
    return Task(server=server(2, draw))


def _lab_2(task: Task) -> Lab:
    if not _is_wiped(task):
        return open_lab(task, 2, _LOGIN_REQUIRED)

    def wipe(client: MongoClient) -> None:
        for place in sizes(task, 2):
            client.drop_database(place.split(".")[0])

    return open_lab(task, 2, prepare=wipe)


def _nothing_in_the_list(at: Attempt, lab: Lab, stands_open: set, documents: int) -> str:
    """No account yet, so that a stranger may make the first one; or open, and emptied."""
    answer, doors = usable(stands_open), opens(lab)
    is_open, held = "read" in doors.open, {} if _is_wiped(at.task) else sizes(at.task, 2)
    used = not is_open and "make an account" not in doors.open and not _is_wiped(at.task)
    if used:
        # The learner has tried it: the first account closes the way by which it was made.
        tried = f"{WHO}: create an account → accepted at first, refused since there is one"
        lines = {**doors.lines, "make an account": tried}
        doors = Doors(doors.open | {"make an account"}, lines)
    show(at, doors, answer)
    if answer != doors.open:
        if is_open:
            return "empty_is_not_closed"
        if not answer >= GREETING:
            return "refusal_is_an_answer"
        if answer - doors.open - {"list"}:
            return "before_the_account"
        if answer == GREETING and (used or documents == sum(held.values())):
            return "after_the_account"
        return "trusted_the_list" if "list" in answer else "race_missed"
    if is_open != _is_wiped(at.task):
        raise BadAnswer(
            "This server is not as the question found it: something of it was changed. "
            "lab = ex.lab(2) begins again"
        )
    if documents == 0 and held:
        at.note("your answer", "documents", "none")
        return "way_used_up" if used else "stopped_at_the_door"
    # What is behind the login cannot be counted by a check that has no account.
    now = counted(lab) if is_open else held
    return RIGHT if _count(at, documents, held, now) == RIGHT else "wrong_count"


# -- question 3: names behind the login ----------------------------------------------------------


def _there_3(task: Task) -> list[str]:
    """The accounts of the server, as database.name: two in admin, one or two in sensenets."""
    names = of(task, 3).shuffle("names", _BIRDS)
    extra = [f"sensenets.{names[3]}"] * of(task, 3).number("extra", 2)
    return [f"admin.{names[0]}", f"admin.{names[1]}", f"sensenets.{names[2]}", *extra]


def _task_3(draw: Draw) -> Task:
    row = server(3, draw)
    task = Task(server=row)
    names = of(task, 3).shuffle("names", _BIRDS)
    absent = [f"sensenets.{names[0]}", f"admin.{names[2]}", f"admin.{names[4]}"]
    absent += [f"sensenets.{names[5]}", f"admin.{names[6]}"]
    candidates = tuple(sorted(_there_3(task) + absent))
    return Task(server=row, names=(candidates, "names that a stranger tries, as database.name"))


def _lab_3(task: Task) -> Lab:
    def accounts(client: MongoClient) -> None:
        for account in _there_3(task):
            database, name = account.split(".")
            secret = of(task, 3).password(name)
            role = {"role": "read", "db": sensenets.DATABASE}
            client[database].command("createUser", name, pwd=secret, roles=[role])

    return open_lab(task, 3, _LOGIN_REQUIRED, accounts)


def _names_behind_the_login(at: Attempt, lab: Lab, stands_open: set, accounts: set) -> str:
    """The greeting alone stands open, and `hello` tells which accounts there are."""
    names, answer, doors = at.task["names"], usable(stands_open), opens(lab)
    if unknown := sorted(map(repr, accounts - set(names))):
        raise BadAnswer(
            f"`accounts` holds {', '.join(unknown)}, which is not in task['names']. Write each "
            f"name as it stands there, with its database in front: database.name, as {names[0]}"
        )
    show(at, doors, answer)
    if doors.open - answer:
        return "refused_is_not_silent"
    if answer - doors.open:
        return "more_than_is_open"
    told = accounts_told(lab, names)
    there = {name for name in names if told[name]}
    wrong = [name for name in names if (name in accounts) != (name in there)]
    claimed = [name for name in wrong if name in accounts]
    for name in claimed[:1] or sorted(accounts) if wrong else names:
        answered = ", ".join(told[name]) or "no way of logging in"
        at.note(WHO, f"hello with saslSupportedMechs {name}", answered)
    if not wrong:
        return RIGHT
    at.values["missing"] = missing(len(there - accounts))
    if there - accounts:
        at.note("your answer", "accounts that exist", at.values["missing"])
    if not accounts:
        return "nobody_found"
    if accounts == set(names):
        return "all_of_them"
    if not claimed:
        return "some_missing"
    at.values["name"] = claimed[0]
    elsewhere = {name.split(".")[1] for name in there}
    return "other_database" if claimed[0].split(".")[1] in elsewhere else "not_there"


# -- question 4: silence -------------------------------------------------------------------------


def _state_4(task: Task) -> str:
    return {1: "login", 5: "shut"}.get(task["server"] % 8, "open")


def _task_4(draw: Draw) -> Task:
    return Task(server=server(4, draw))


def _lab_4(task: Task) -> Lab:
    state = _state_4(task)

    def account(client: MongoClient) -> None:
        secret = of(task, 4).password("ops")
        client.admin.command("createUser", "ops", pwd=secret, roles=["root"])

    if state == "login":
        lab = open_lab(task, 4, _LOGIN_REQUIRED, account)
    else:
        shut = "net:\n  bindIp: 127.0.0.1\n"
        lab = open_lab(task, 4, shut if state == "shut" else sensenets.AS_FOUND)
    if state != "shut":
        made = lab.certificates
        lab.configure(
            f"net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: {made.server}\n"
            f"    CAFile: {made.ca}\n    allowConnectionsWithoutCertificates: true\n"
        )
    return lab


def _silence(at: Attempt, lab: Lab, stands_open: set, documents: int) -> str:
    """TLS, with a login or without one; or nothing that answers at all."""
    answer, doors = usable(stands_open), opens(lab)
    show(at, doors, answer)
    if not doors.open:
        return "looked_from_inside" if answer or documents else RIGHT
    if not answer:
        return "silence_is_no_answer"
    if answer == {"connect"}:
        return "connected_only"
    if "read" not in doors.open:
        if answer == doors.open and documents == 0:
            return RIGHT
        return "login_behind_tls" if answer >= doors.open else "greeting_over_tls"
    if "read" not in answer:
        return "tls_is_no_login"
    if answer != doors.open:
        return "tls_reading_only"
    found = _count(at, documents, sizes(at.task, 4), counted(lab))
    return {RIGHT: RIGHT, "left_behind": "tls_left_behind"}.get(found, "tls_wrong_count")


_DOORS = {"lab": Lab, "stands_open": set}
_COUNT = {**_DOORS, "documents": int}

QUESTIONS = {
    1: Question(_COUNT, _said_to_be_closed, _task_1, _lab_1, value=True),
    2: Question(_COUNT, _nothing_in_the_list, _task_2, _lab_2, value=True),
    3: Question({**_DOORS, "accounts": set}, _names_behind_the_login, _task_3, _lab_3, value=True),
    4: Question(_COUNT, _silence, _task_4, _lab_4, value=True),
    5: stranger_probe.QUESTION,
    6: stranger_log.QUESTION,
}
