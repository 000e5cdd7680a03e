"""Exercise 09, questions 3 and 4: the sensor feeder, and the duty officer."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from leftopen.checks import lock_the_search_cluster_elsewhere as elsewhere
from leftopen.checks import search_lab
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.checks.search_probe import (
    CHANGING,
    CLUSTER_WIDE,
    IN_AN_INDEX,
    OTHER_WAYS,
    READING,
    Who,
    operator,
    words,
)
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw

_NAME = "09"
_KINDS = ("faces", "devices", "alarms")
_LOST = "has lost its role; run lab = ex.lab(3) again"
_INDICES = (*(f"{kind}-2019.04" for kind in _KINDS), "residents")


# -- 3: the feeder ------------------------------------------------------------------------------


def feeder_task(draw: Draw) -> Task:
    """Which indices the feeder writes, and the name of its account."""
    draw = search_lab.variant(draw, _NAME, 3)
    kind = draw.pick("kind", _KINDS)
    return Task(
        **search_lab.administrator(draw),
        account=(f"{kind}_feeder", "the name of the feeder's account"),
        pattern=(f"{kind}-*", "the indices into which it writes: one a month, and no others"),
    )


@quiet()
def feeder(at: Attempt, lab: SearchLab, feeder_password: str) -> str:
    """The feeder writes into the indices of one pattern, begins new ones, and reads none."""
    kind = str(at.task["pattern"]).removesuffix("-*")
    mine, later = f"{kind}-2019.04", f"{kind}-2999.01"
    others = [index for index in _INDICES if index != mine]
    login = str(at.task["account"]), feeder_password
    with operator(lab, mine, *others) as admin, Who(at, "as the feeder", lab, login) as who:
        if not who.logs_in():
            return "cannot_log_in"
        can = who.rights((mine, *others), [later], more=OTHER_WAYS)
        wanted = {f"index {mine}", f"bulk {mine}", f"create {later}"}
        if wanted == can:
            can |= _in_each_index(who, admin, kind, others)
    missing, surplus = wanted - can, can - wanted
    strange = {what for what in surplus if _is_elsewhere(what, kind)}
    at.values.update(missing=words(missing), more=words(surplus), elsewhere=words(strange))
    if surplus & CLUSTER_WIDE:
        at.values["lost"] = "keeps its role" if _administrator_is_there(at, lab) else _LOST
        return "all_access"
    if strange:
        return "every_index" if wanted <= can else "other_indices"
    ways = {what.split()[0] for what in surplus}
    if ways & {"search", "get", *READING}:
        return "may_read"
    if ways & {"delete", "drop", *CHANGING}:
        return "may_delete"
    if "update" in ways:
        return "reads_by_update"
    if missing == {f"create {later}"}:
        return "no_next_month"
    if not missing:
        return RIGHT
    return "nothing_written" if f"create {later}" in can else "not_mapped"


def _is_elsewhere(what: str, kind: str) -> bool:
    return what not in CLUSTER_WIDE and not what.split()[-1].startswith(f"{kind}-")


def _in_each_index(who: Who, admin: OpenSearch, kind: str, tried: Iterable[str]) -> set[str]:
    """What the feeder may do beyond writing, in its own months and in the indices not yet tried."""
    there = elsewhere.every_index(admin)
    months = [index for index in there if index.startswith(f"{kind}-")]
    rest = [index for index in there if index not in {*months, *tried}]
    ways, own = {**IN_AN_INDEX, **OTHER_WAYS}, "in each month of its own"
    return (
        elsewhere.rights_in(who, own, months, ways, wanted=("index", "bulk"))
        | elsewhere.drops(who, admin, own, months)
        | elsewhere.rights_in(who, "in each other index", rest)
    )


def _administrator_is_there(at: Attempt, lab: SearchLab) -> bool:
    login = str(at.task["administrator"]), str(at.task["password"])
    with Who(at, "as the administrator", lab, login) as admin:
        return admin.can("list the accounts", lambda it: it.security.get_users())


# -- 4: the duty officer ------------------------------------------------------------------------

_FACES = ("faces-2019.03", "faces-2019.04")
_ESTATES = ("Plover Court", "Thimble Yard")
_NAMES = ("name", "idNumber", "resident")  # each of them says who it was
_DESKS = ("gatehouse", "night_desk", "lodge")


def officer_task(draw: Draw) -> Task:
    """Which estate the officer sees, and which fields stay hidden."""
    draw = search_lab.variant(draw, _NAME, 4)
    return Task(
        **search_lab.administrator(draw),
        account=(f"{draw.pick('account', _DESKS)}_officer", "the name of the officer's account"),
        estate=(draw.pick("estate", _ESTATES), "the one estate whose events in faces-* it reads"),
        hide=(
            [*_NAMES, draw.pick("hide", ("group", "reason"))],
            "a list: the fields of faces-* that it does not see; it sees all others",
        ),
    )


@quiet()
def officer(at: Attempt, lab: SearchLab, officer_password: str) -> str:
    """The officer reads the face events of one estate, without the fields that say who it was."""
    hide = list(at.task["hide"])
    others = ("devices-2019.04", "residents")
    with operator(lab, *_FACES, *others) as admin:
        truth = _events(admin, _FACES)
        told = admin.indices.get_alias(index="faces-*").values()
        defined = admin.security.get_roles()
    filters = any("filter" in alias for index in told for alias in index["aliases"].values())
    with Who(at, "as the officer", lab, (at.task["account"], officer_password)) as who:
        if not who.logs_in():
            return "officer_cannot_log_in"
        can = who.rights((*_FACES, *others))
        if found := _more_than_read(at, can, others):
            return found
        seen = _events(who.client, [index for index in _FACES if f"search {index}" in can])
        if found := _which_events(at, truth, seen):
            if found == "officer_denied" and _hides(_own_entries(who, defined), "estate"):
                return "hides_its_filter"
            return "filtered_alias" if filters and found == "both_estates" else found
        elsewhere = next(key for key, event in truth.items() if key not in seen)
        if who.can("fetch an event of the other estate by its _id", _fetch(*elsewhere)):
            return "both_estates"
        roles = who.client.security.authinfo()["roles"]
        shown = _shown(truth, seen, hide)
        at.note("as the officer", "the hidden fields that it sees", ", ".join(shown) or "none")
        if shown:
            at.values.update(shown=", ".join(shown), roles=words(roles))
            return _why_shown(truth, seen, shown, roles)
        leaks = [what for what, found in _detours(who.client, truth, hide).items() if found]
        at.note("as the officer", "find them by a detour", ", ".join(leaks) or "nothing comes back")
        lost = _lost(truth, seen, hide)
        at.note("as the officer", "the other fields that it lacks", words(lost) or "none")
        at.values.update(shown=", ".join(leaks), lost=words(lost))
        if leaks:
            return "identifiers_shown"
        if lost:
            return "fields_missing"
    return _officer_elsewhere(at, lab, officer_password, others)


def _officer_elsewhere(at: Attempt, lab: SearchLab, password: str, tried: Iterable[str]) -> str:
    """What else the officer may do, in each index that is there."""
    login = str(at.task["account"]), password
    with operator(lab) as admin, Who(at, "as the officer", lab, login) as who:
        rest = [name for name in elsewhere.every_index(admin) if name not in {*_FACES, *tried}]
        reached = elsewhere.rights_in(who, "in each other index", rest)
        where = "in the face events"
        changed = elsewhere.rights_in(who, where, _FACES, elsewhere.CHANGES)
        changed |= elsewhere.drops(who, admin, where, _FACES)
    at.values["more"] = words(reached or changed)
    if reached:
        return "officer_other_indices"
    return "may_write" if changed else RIGHT


def _lost(truth: dict, seen: dict, hide: Iterable[str]) -> set[str]:
    """The fields that an event has, and that are not shown in it as they are."""
    return {
        field
        for key, event in seen.items()
        for field, value in truth[key].items()
        if field not in hide and event.get(field) != value
    }


def _events(client: OpenSearch, indices: Iterable[str]) -> dict[tuple[str, str], dict]:
    """Every event that a client is shown, by index and _id."""
    found = {}
    for index in indices:
        hits = client.search(index=index, body={"size": 2_000})["hits"]["hits"]
        found |= {(hit["_index"], hit["_id"]): hit["_source"] for hit in hits}
    return found


def _fetch(index: str, number: str) -> Callable[[OpenSearch], object]:
    def fetch(client: OpenSearch) -> None:
        if not client.exists(index=index, id=number):
            raise TransportError(403, "not found", {})

    return fetch


def _more_than_read(at: Attempt, can: frozenset[str], others: Iterable[str]) -> str:
    wanted = {f"{word} {index}" for word in ("search", "get") for index in _FACES}
    at.values["more"] = words(can - wanted)
    if can & CLUSTER_WIDE:
        return "officer_all_access"
    if any(what.endswith(tuple(others)) for what in can):
        return "officer_other_indices"
    if can - wanted:
        return "may_write"
    return "" if any(what.startswith("search") for what in can) else "officer_denied"


def _which_events(at: Attempt, truth: dict, seen: dict) -> str:
    mine = {key for key, event in truth.items() if event["estate"] == at.task["estate"]}
    found, strange = len(mine & set(seen)), len(set(seen) - mine)
    at.note("as the officer", f"events of {at.task['estate']}", f"{found} of {len(mine)}")
    at.note("as the officer", "events of the other estate", str(strange))
    at.values.update(number=found, all=len(mine), strange=strange)
    if not seen:
        return "officer_denied"
    if strange:
        return "both_estates" if found else "wrong_estate"
    return "" if mine == set(seen) else "events_missing"


def _own_entries(who: Who, defined: dict) -> list[dict]:
    """The entries for indices of an account's roles."""
    roles = [defined.get(role, {}) for role in who.client.security.authinfo()["roles"]]
    return [entry for role in roles for entry in role.get("index_permissions", [])]


def _hides(entries: list[dict], field: str) -> bool:
    """Whether an entry with a query, in dls, hides the field."""
    lists = [entry.get("fls") or [] for entry in entries if entry.get("dls")]
    return any(not _passes(field, names) for names in lists)


def _passes(field: str, names: list[str]) -> bool:
    hidden = [name[1:] for name in names if name.startswith("~")]
    kept = [name for name in names if not name.startswith("~")] or ["*"]
    return any(fnmatchcase(field, name) for name in kept) and not any(
        fnmatchcase(field, name) for name in hidden
    )


def _shown(truth: dict, seen: dict, hide: Iterable[str]) -> list[str]:
    """The fields to be hidden that stand in what is seen, with any value."""
    return [field for field in hide if any(field in event for event in seen.values())]


def _why_shown(truth: dict, seen: dict, shown: list[str], roles: list[str]) -> str:
    """Which mistake it is that fields are shown."""
    values = {(field, key) for field in shown for key in seen if seen[key].get(field) is not None}
    if any(seen[key][field] != truth[key][field] for field, key in values):
        return "masked"  # numbers stay as they are: masking is for text (2.19.4)
    if len(roles) > 1:
        return "second_role"
    if len({key[0] for _, key in values}) < len(_FACES):
        return "one_month"
    return "identifiers_shown" if "idNumber" in shown else "still_named"


def _detours(client: OpenSearch, truth: dict, hide: Iterable[str]) -> dict[str, bool]:
    """Ways to a value that is not shown, and whether a true one came back."""
    found = {}
    for field in hide:
        values = {event[field] for event in truth.values() if event[field] is not None}
        term = {"term": {field: min(values)}}
        ask = {
            "aggregation": {"size": 0, "aggs": {"it": {"terms": {"field": field, "size": 99}}}},
            "sort": {"size": 99, "sort": [{field: {"order": "desc", "missing": "_last"}}]},
            "docvalue_fields": {"size": 99, "docvalue_fields": [field]},
            "query": {"query": term},
            "highlight": {"highlight": {"fields": {field: {"highlight_query": term}}}},
        }
        for way, body in ask.items():
            answer = client.search(index="faces-*", body=body, ignore=[400, 403, 500])
            found[f"{field} by {way}"] = bool(values & set(_told(way, field, answer, min(values))))
        caps = client.field_caps(index="faces-*", fields=field, ignore=[403])
        found[f"{field} by _field_caps"] = bool(caps.get("fields"))
    return found


def _told(way: str, field: str, answer: dict, asked: object) -> Iterator[object]:
    """The values that an answer gives away."""
    for bucket in answer.get("aggregations", {}).get("it", {}).get("buckets", []):
        yield bucket["key"]
    for hit in answer.get("hits", {}).get("hits", []):
        yield from hit.get("sort", [])
        yield from hit.get("fields", {}).get(field, [])
        if way == "query" or field in hit.get("highlight", {}):
            yield asked
