"""Exercise 09: the cluster asks for a login over TLS, and each account may do its part alone."""

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection

from leftopen.cases import smart_city
from leftopen.checks import lock_the_search_cluster_field as field
from leftopen.checks import lock_the_search_cluster_log as log
from leftopen.checks import lock_the_search_cluster_roles as roles
from leftopen.checks import search_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Question, Task
from leftopen.checks.search_probe import (
    Who,
    certificate_problem,
    plain_status,
    words,
)
from leftopen.lab import Lab
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw

_NAME = "09"


# -- 1: the door --------------------------------------------------------------------------------


def _door_task(draw: Draw) -> Task:
    return Task(**search_lab.administrator(search_lab.variant(draw, _NAME, 1)))


def _door_lab(task: Task) -> SearchLab:
    return smart_city.small_lab(
        seed=search_lab.SEED,
        security=search_lab.files(task),
        people=search_lab.PEOPLE,
        days=search_lab.DAYS,
    )


@quiet()
def _door(at: Attempt, lab: SearchLab) -> str:
    """The cluster is reached from outside, over TLS that can be verified, by who may alone."""
    if lab.is_as_found:
        return UNTOUCHED
    reached = lab.outside.is_open
    at.note("as a stranger", "connect from outside", "accepted" if reached else "refused")
    plain = plain_status(lab.inside.port)
    spoken = {None: "no answer", 200: "accepted"}.get(plain, "a login is asked for")
    at.note("as a stranger, without TLS", "list the indices", spoken)
    if not reached:
        return "only_narrowed"
    if plain is not None:
        return "still_disabled" if plain == 200 else "http_in_the_clear"
    problem = certificate_problem(lab)
    at.note("as a client that trusts the lab's CA", "verify the certificate", problem or "verified")
    if problem:
        at.values["problem"] = problem
        return "wrong_certificate"
    return _who_is_let_in(at, lab)


def _who_is_let_in(at: Attempt, lab: SearchLab) -> str:
    try:
        with Who(at, "as a stranger", lab, outside=True) as stranger:
            status = stranger.status(_read)
        shown = {200: "accepted", 401: "a login is asked for"}.get(status, "let in, and refused")
        at.note("as a stranger", "read faces-2019.04", shown)
        if status != 401:
            return "anonymous"
        with Who(at, "as the administrator", lab, _administrator(at)) as admin:
            let_in = admin.can("read faces-2019.04", _read)
    except NoConnection:
        at.note("as the administrator", "log in with name and password", "no connection")
        return "admin_shut_out"
    return RIGHT if let_in else "admin_shut_out"


def _read(client: OpenSearch) -> None:
    client.search(index="faces-2019.04", body={"size": 1})


# -- 2: the built-in accounts -------------------------------------------------------------------

_BUILT_IN = {
    "admin": "admin",
    "anomalyadmin": "",
    "kibanaro": "readall",
    "kibanaserver": "",
    "logstash": "logstash",
    "readall": "readall",
    "snapshotrestore": "snapshotrestore",
}
"""The accounts of the plugin's own internal_users.yml, each with its name as its password."""

_USUAL = ("password", "changeme")  # of every list of usual passwords

_MAPPING = {
    "all_access": {"backend_roles": ["admin"]},
    "kibana_server": {"users": ["kibanaserver"]},
    "logstash": {"backend_roles": ["logstash"]},
    "manage_snapshots": {"backend_roles": ["snapshotrestore"]},
    "own_index": {"users": ["*"]},
    "readall": {"backend_roles": ["readall"]},
}
_INDEX = "logstash-2019.04"
_WORK = {"logstash": f"index {_INDEX}", "readall": "search faces-2019.04"}


def _built_in_task(draw: Draw) -> Task:
    draw = search_lab.variant(draw, _NAME, 2)
    return Task(
        **search_lab.administrator(draw),
        keep=(draw.pick("keep", tuple(_WORK)), "the built-in account that a program works with"),
        new_password=(draw.password("new"), "the password that it is to have"),
    )


def _built_in_lab(task: Task) -> SearchLab:
    return search_lab.locked_lab(
        task,
        lambda client: client.index(index=_INDEX, body={"note": "a line of a log"}, refresh=True),
        users={name: search_lab.user(name, role) for name, role in _BUILT_IN.items()},
        mapping=_MAPPING,
    )


@quiet()
def _built_in(at: Attempt, lab: SearchLab) -> str:
    """Nobody logs in with a published password; the program and the administrator still do."""
    keep, password = str(at.task["keep"]), str(at.task["new_password"])
    with Who(at, "as the administrator", lab, _administrator(at)) as admin:
        if not admin.logs_in() or not admin.can("list the accounts", _list_accounts):
            return "administrator_gone"
        there = set(admin.client.security.get_users())
    left = [name for name in _BUILT_IN if name in there and _logs_in(at, lab, name, name)]
    at.note("with the name as the password", "log in", ", ".join(left) or "nobody")
    at.values["left"] = ", ".join(left)
    if left == list(_BUILT_IN):
        with Who(at, "as readall", lab, ("readall", "readall")) as reader:
            return UNTOUCHED if reader.can("read faces-2019.04", _read) else "unmapped"
    if left == [keep]:
        return "keep_default"
    if left:
        return "some_left"
    others = [name for name in _BUILT_IN if name in there and name != keep]
    if swapped := [name for name in others if _is_guessed(at, lab, name)]:
        at.note("with a password that is easy to guess", "log in", ", ".join(swapped))
        at.values["left"] = ", ".join(swapped)
        return "names_swapped"
    with Who(at, f"as {keep}", lab, (keep, password)) as program:
        if not program.logs_in():
            return "keep_gone"
        can = program.rights([_INDEX, "faces-2019.04"])
    if _WORK[keep] not in can:
        return "keep_lost_rights"
    if keep == "readall":
        surplus = {what for what in can if not what.startswith(("search", "get"))}
    else:
        surplus = {what for what in can if not what.endswith(_INDEX)}
    at.values["more"] = words(surplus)
    return "keep_has_more" if surplus else RIGHT


def _administrator(at: Attempt) -> tuple[str, str]:
    return str(at.task["administrator"]), str(at.task["password"])


def _list_accounts(client: OpenSearch) -> None:
    client.security.get_users()


def _logs_in(at: Attempt, lab: SearchLab, name: str, password: str) -> bool:
    with Who(Attempt(at.task), name, lab, (name, password)) as who:
        return who.logs_in()


def _is_guessed(at: Attempt, lab: SearchLab, name: str) -> bool:
    """Whether another account's name, a usual word, or the program's password lets in."""
    guesses = (str(at.task["new_password"]), *_USUAL, *_BUILT_IN)
    return any(_logs_in(at, lab, name, guess) for guess in guesses if guess != name)


QUESTIONS = {
    1: Question(asks={"lab": Lab}, check=_door, task=_door_task, lab=_door_lab),
    2: Question(asks={"lab": Lab}, check=_built_in, task=_built_in_task, lab=_built_in_lab),
    3: Question(
        asks={"lab": Lab, "feeder_password": str},
        check=roles.feeder,
        task=roles.feeder_task,
        lab=search_lab.locked_lab,
    ),
    4: Question(
        asks={"lab": Lab, "officer_password": str},
        check=roles.officer,
        task=roles.officer_task,
        lab=search_lab.locked_lab,
    ),
    5: Question(
        asks={"lab": Lab, "auditor_password": str},
        check=log.audited,
        task=log.audit_task,
        lab=log.audit_lab,
    ),
    6: Question(asks={"lab": Lab}, check=field.removed, task=field.field_task, lab=field.field_lab),
}
