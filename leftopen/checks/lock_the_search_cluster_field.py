"""Exercise 09, question 6: a field that should never have been stored is taken away."""

import json
from collections.abc import Iterable

from opensearchpy import OpenSearch

from leftopen.checks import search_lab
from leftopen.checks.question import RIGHT, UNTOUCHED, Attempt, Task
from leftopen.checks.search_probe import Who, operator, words
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw
from leftopen.synth.smart_city import MAPPINGS, sample

_FIELD = "group"
_FACES = "faces-*"


def field_task(draw: Draw) -> Task:
    """The field, and an account that goes on reading."""
    draw = search_lab.variant(draw, "09", 6)
    reader = draw.pick("reader", ("counter", "night_shift", "statistics"))
    return Task(
        **search_lab.administrator(draw),
        field=(_FIELD, "the field of faces-* that is to go"),
        reader=(reader, "an account that reads faces-*, and must find the events there"),
        reader_password=(draw.password("reader"), "its password"),
    )


def field_lab(task: Task) -> SearchLab:
    """A cluster with an account that reads all face events, of two months."""
    name = str(task["reader"])
    may = {"index_patterns": [_FACES], "allowed_actions": ["read"]}
    return search_lab.locked_lab(
        task,
        users={name: search_lab.user(str(task["reader_password"]))},
        roles={name: {"cluster_permissions": [], "index_permissions": [may]}},
        mapping={name: {"users": [name]}},
    )


@quiet()
def removed(at: Attempt, lab: SearchLab) -> str:
    """No stored event has the field, no mapping names it, and the reader lacks nothing else."""
    faces = sample(search_lab.SEED, search_lab.PEOPLE, search_lab.DAYS)
    before = {event["_id"]: event for name in faces if "faces" in name for event in faces[name]}
    with operator(lab) as admin:
        rows = [row for row in admin.cat.indices(format="json") if _may_hold_events(row["index"])]
        closed = [row["index"] for row in rows if row["status"] == "close"]
        names = [row["index"] for row in rows if row["status"] != "close"]
        stored = [event for name in names for event in _all(admin, name)]
        naming = [name for name in names if _FIELD in _properties(admin, name)]
    with_field = [event for event in stored if _FIELD in event["_source"]]
    at.note("as the operator", f"events with {_FIELD} that are stored", str(len(with_field)))
    at.note("as the operator", f"indices whose mapping names {_FIELD}", str(len(naming)))
    at.note("as the operator", "indices that are closed and keep all", str(len(closed)))
    found, counted = _as_the_reader(at, lab)
    at.note("as the reader", "events that it finds in faces-*", f"{len(found)} of {len(before)}")
    at.note("as the reader", "count all of them by camera", "works" if counted else "fails")
    at.values.update(stored=len(with_field), found=len(found), all=len(before))
    if closed or (with_field and len(stored) > len(before)):
        return "old_left"
    if with_field:
        return _what_is_left(with_field, naming, found, len(before))
    if lost := _what_is_lost(at, before, found):
        return lost
    kept = _says_the_same(before, stored)
    at.note("as the operator", f"other fields that say what {_FIELD} said", words(kept) or "none")
    at.values["kept"] = words(kept)
    return "renamed" if kept else _how_it_is_kept(naming, counted)


def _says_the_same(before: dict[str, dict], stored: Iterable[dict]) -> set[str]:
    """The new fields, in any index, whose values go one to one with those that were to go."""
    pairs: dict[str, set[tuple[str, str]]] = {}
    for event in stored:
        old = before.get(event["_id"], {})
        for name in set(event["_source"]) - set(old) if old else ():
            pair = json.dumps(old[_FIELD]), json.dumps(event["_source"][name], sort_keys=True)
            pairs.setdefault(name, set()).add(pair)
    return {name for name, both in pairs.items() if _one_to_one(both)}


def _one_to_one(pairs: set[tuple[str, str]]) -> bool:
    sides = {len(set(side)) for side in zip(*pairs, strict=True)}
    return len(pairs) > 1 and sides == {len(pairs)}


def _may_hold_events(index: str) -> bool:
    kind = index.split("-")[0]
    return not index.startswith(".") and kind not in (*set(MAPPINGS) - {"faces"}, "security")


def _all(client: OpenSearch, index: str) -> list[dict]:
    return client.search(index=index, body={"size": 5_000})["hits"]["hits"]


def _properties(client: OpenSearch, index: str) -> dict:
    (told,) = client.indices.get_mapping(index=index).values()
    return told["mappings"].get("properties", {})


def _as_the_reader(at: Attempt, lab: SearchLab) -> tuple[list[dict], bool]:
    """The events that the reader finds, and whether it can count them by camera."""
    login = str(at.task["reader"]), str(at.task["reader_password"])
    by_camera = {"size": 0, "aggs": {"by": {"terms": {"field": "camera"}}}}
    with Who(at, "as the reader", lab, login) as who:
        if who.status(lambda it: it.search(index=_FACES, body={"size": 1})) != 200:
            return [], False
        answer = who.client.search(index=_FACES, body=by_camera, ignore=[400])
        return _all(who.client, _FACES), answer.get("_shards", {}).get("failed", 1) == 0


def _what_is_left(with_field: list[dict], naming: list[str], found: list[dict], all_: int) -> str:
    if not any(event["_source"][_FIELD] for event in with_field):
        return "emptied"
    if len(with_field) < all_:
        return "some_left"
    if not naming:
        return "only_unmapped"
    shown = any(_FIELD in event["_source"] for event in found)
    return UNTOUCHED if shown else "only_hidden"


def _what_is_lost(at: Attempt, before: dict[str, dict], found: list[dict]) -> str:
    after = {event["_id"]: event["_source"] for event in found}
    if not found:
        return "not_found"
    if len(found) < len(before):
        return "events_lost"
    if set(after) != set(before) or len(found) > len(before):
        return "ids_changed"
    differ = {
        name
        for number, event in before.items()
        for name in set(event) - {"_id", _FIELD}
        if after[number].get(name, ...) != event[name]
    }
    at.note("as the reader", "other fields that have changed", words(differ) or "none")
    at.values["differ"] = words(differ)
    return "more_lost" if differ else ""


def _how_it_is_kept(naming: list[str], counted: bool) -> str:
    if not counted:
        return "types_lost"
    return "mapping_left" if naming else RIGHT
