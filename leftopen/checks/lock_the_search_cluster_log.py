"""Exercise 09, question 5: the auditor, the audit log, and the application that reached it."""

import contextlib
import secrets
import time
from datetime import UTC, datetime

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from leftopen.checks import lock_the_search_cluster_elsewhere as elsewhere
from leftopen.checks import search_lab
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_probe import CLUSTER_WIDE, IN_AN_INDEX, Who, operator, words
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw

_KINDS = ("faces", "devices", "alarms")
_PATTERN = "security-auditlog-*"
_LATER = "security-auditlog-2999.01.01"
_LOG = "the audit log"
_NEXT_DAY = "a later day's audit log"
_WAIT_SECONDS = 4.0  # an entry is there after some 0.3 s (measured on 2.19.4)
_FEW = {word: IN_AN_INDEX[word] for word in ("search", "index")}  # each refusal is logged
_MOST_SECONDS = 15.0  # for entries that are still coming in: some log each of our own looks, too
_GROWING_SECONDS = 1.0
_LOOKS = 30  # as many as fit into that time; a busy machine needs more for both


def audit_task(draw: Draw) -> Task:
    """The auditor's name, the application's, and where that one works."""
    draw = search_lab.variant(draw, "09", 5)
    kind = draw.pick("kind", _KINDS)
    return Task(
        **search_lab.administrator(draw),
        account=(
            draw.pick("auditor", ("examiner", "reviewer", "auditor")),
            "the auditor's account",
        ),
        application=(f"{kind}_app", "an application's account that is there; its role too"),
        application_password=(draw.password("application"), "its password, which stays"),
        works_in=(f"{kind}-*", "the only indices in which the application reads and writes"),
    )


def audit_lab(task: Task) -> SearchLab:
    """A cluster whose application may read and write everywhere."""
    name = str(task["application"])
    wide = {"index_patterns": ["*"], "allowed_actions": ["crud", "create_index"]}
    return search_lab.locked_lab(
        task,
        users={name: search_lab.user(str(task["application_password"]))},
        roles={name: {"cluster_permissions": _COMPOSITE, "index_permissions": [wide]}},
        mapping={name: {"users": [name]}},
    )


_COMPOSITE = ["cluster_composite_ops"]


@quiet()
def audited(at: Attempt, lab: SearchLab, auditor_password: str) -> str:
    """The auditor reads the audit log alone, the application never, and no bodies stand in it."""
    kind = str(at.task["works_in"]).removesuffix("-*")
    mine, another = f"{kind}-2019.04", min(f"{k}-2019.04" for k in _KINDS if k != kind)
    others = ["residents", another]
    with operator(lab, mine, *others) as admin:
        logins, refusals, bodies = _what_is_logged(at, lab, admin)
        log = _newest(admin)
        there = elsewhere.every_index(admin)
    if found := _auditor(at, lab, auditor_password, log, [mine, *others]):
        return found
    if found := _application(at, lab, log, mine, others):
        return found
    if not logins:
        return "log_off"
    if not refusals:
        return "refusals_missing"
    if bodies:
        return "bodies_logged"
    rest = set(there) - {*log, *others, mine}
    return _in_each_index(at, lab, auditor_password, rest) or RIGHT


# -- the two accounts ---------------------------------------------------------------------------


def _auditor(at: Attempt, lab: SearchLab, password: str, log: list[str], others: list[str]) -> str:
    label = "as the auditor"
    with Who(at, label, lab, (str(at.task["account"]), password)) as who:
        if not who.logs_in():
            return "auditor_cannot_log_in"
        can = who.rights([*log, *others], [_LATER], _called(log))
        later = who.can(f"search {_NEXT_DAY}", lambda it: it.search(index=_LATER))
    wanted = {f"search {_LOG}", f"get {_LOG}"}
    at.values["more"] = words(can - wanted)
    if can & CLUSTER_WIDE:
        return "auditor_all_access"
    if any(what.endswith(tuple(others)) for what in can):
        return "auditor_reads_more"
    if can - wanted:
        return "auditor_may_write"
    if not later:
        return "auditor_today_only" if f"search {_LOG}" in can else "auditor_denied"
    return ""


def _application(at: Attempt, lab: SearchLab, log: list[str], mine: str, others: list[str]) -> str:
    login = str(at.task["application"]), str(at.task["application_password"])
    with Who(at, "as the application", lab, login) as who:
        if not who.logs_in():
            return "application_broken"
        can = who.rights([*log, mine, *others], [_LATER], _called(log))
    at.values["more"] = words(what for what in can if not what.endswith(mine))
    if not {f"search {mine}", f"index {mine}", f"bulk {mine}"} <= can:
        return "application_broken"
    on_the_log = {what for what in can if what.endswith((_LOG, _NEXT_DAY))}
    if on_the_log - {f"search {_LOG}", f"get {_LOG}"}:
        return "log_writable"
    if on_the_log:
        return "log_readable"
    return "application_wide" if any(not what.endswith(mine) for what in can) else ""


def _in_each_index(at: Attempt, lab: SearchLab, password: str, rest: set[str]) -> str:
    """What both may do in the indices not yet tried, and whether the application can go on."""
    where = "in each other index"
    old_log = {index for index in rest if index.startswith(_PATTERN[:-1])}
    with Who(at, "as the auditor", lab, (str(at.task["account"]), password)) as who:
        more = elsewhere.rights_in(who, where, sorted(rest - old_log), _FEW)
    at.values["more"] = words(more)
    if more:
        return "auditor_reads_more"
    works_in = str(at.task["works_in"])[:-1]
    login = str(at.task["application"]), str(at.task["application_password"])
    with Who(at, "as the application", lab, login) as who:
        others = sorted(index for index in rest if not index.startswith(works_in))
        more = elsewhere.rights_in(who, where, others, _FEW)
        begins = who.can(f"create {works_in}2999.01", elsewhere.create(f"{works_in}2999.01"))
    at.values["more"] = words(more)
    if more:
        return "log_readable" if more <= _reads(old_log) else "application_wide"
    return "" if begins else "application_no_next_month"


def _reads(log: set[str]) -> set[str]:
    return {f"{word} {index}" for word in ("search", "get") for index in log}


def _called(log: list[str]) -> dict[str, str]:
    return {_LATER: _NEXT_DAY, **dict.fromkeys(log, _LOG)}


# -- the log ------------------------------------------------------------------------------------


def _what_is_logged(at: Attempt, lab: SearchLab, admin: OpenSearch) -> tuple[bool, bool, bool]:
    """Whether failed logins and refused requests are logged, and the bodies of those."""
    since, marker = datetime.now(UTC).isoformat(), secrets.token_hex(8)
    application = str(at.task["application"])
    login = application, str(at.task["application_password"])
    body = {"query": {"term": {"idNumber": marker}}}
    quietly = Attempt(at.task)
    with Who(quietly, "", lab, login) as who:
        refused = not who.allows(lambda it: it.search(index="residents", body=body))
    with Who(quietly, "", lab, (marker, "wrong")) as who:
        who.logs_in()
    wanted = {("FAILED_LOGIN", marker)}
    wanted |= {("MISSING_PRIVILEGES", application)} if refused else set()
    entries = _wait_for(admin, since, wanted)
    logged = {_what(entry) for entry in entries}
    logins, refusals = (("FAILED_LOGIN", marker) in logged), wanted <= logged
    bodies = any(marker in str(entry.get("audit_request_body")) for entry in entries)
    for what, there in (
        ("a login that failed", logins),
        ("a request that was refused", ("MISSING_PRIVILEGES", application) in logged),
        ("the body of that request", bodies),
    ):
        at.note(f"in {_LOG}", what, "there" if there else "not there")
    return logins, refusals, bodies


def _what(entry: dict) -> tuple[str, str]:
    return entry["audit_category"], entry.get("audit_request_effective_user", "")


def _wait_for(admin: OpenSearch, since: str, wanted: set[tuple[str, str]]) -> list[dict]:
    """The log's entries since a moment, once what is wanted is there or the time is over.

    While older entries still come in, as after many refusals, the time is not over yet.
    """
    began = time.monotonic()
    deadline, lines = began + _WAIT_SECONDS, 0
    query = {"size": 1_000, "query": {"range": {"@timestamp": {"gte": since}}}}
    looks = 0
    while True:
        with contextlib.suppress(NotFoundError):  # refused by a pattern that names nothing
            admin.indices.refresh(index=_PATTERN)
        hits = admin.search(index=_PATTERN, body=query)["hits"]["hits"]
        found = [hit["_source"] for hit in hits]
        now, before, lines = time.monotonic(), lines, admin.count(index=_PATTERN)["count"]
        if lines > before and now < began + _MOST_SECONDS:
            deadline = max(deadline, now + _GROWING_SECONDS)
        looks += 1
        over = looks >= _LOOKS and time.monotonic() > deadline
        if over or wanted <= {_what(entry) for entry in found}:
            return found
        time.sleep(0.1)


def _newest(admin: OpenSearch) -> list[str]:
    """The log's index of today, as a list; empty when there is none."""
    names = admin.indices.get_alias(index=_PATTERN)
    return sorted(names)[-1:]
