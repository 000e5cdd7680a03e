"""Exercise 08: each account may do its task, and nothing else."""

from collections import Counter

from pymongo import MongoClient

from leftopen.checks import give_each_role_its_part_more as more
from leftopen.checks import give_each_role_its_part_proof as proof
from leftopen.checks.persona import (
    MAKES_ACCOUNTS,
    READS_ELSEWHERE,
    SERVER_WIDE,
    Persona,
    administrator,
    is_open,
    locked_lab,
    misspelt,
    operator,
    try_all,
    variant,
    words,
)
from leftopen.checks.probe import Who, credentials
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

_BIRDS = ("avocet", "fulmar", "merlin", "pipit", "wigeon")
_GATES = (
    ("positions", "trackers"),
    ("positions", "people"),
    ("people", "trackers"),
    ("people", "positions"),
    ("trackers", "positions"),
)
_ALL = {"people", "positions", "trackers"}


# -- 1: the gate --------------------------------------------------------------------------------


def _gate_task(draw: Draw) -> Task:
    draw = variant(draw, 1)
    into, read = draw.pick("policy", _GATES)
    return Task(
        **administrator(draw),
        account=(f"{draw.pick('account', _BIRDS)}_gate", "the name of the gate's account"),
        insert_into=(into, "the one collection into which the gate inserts"),
        read=(read, "the one collection that the gate reads"),
    )


def _gate(at: Attempt, lab: Lab, gate_uri: str) -> str:
    """The gate inserts into one collection, reads another, and can do nothing else."""
    login = credentials(lab, "gate_uri", gate_uri)
    if is_open(at, lab):
        return "authorization_off"
    if login["username"] == at.task["administrator"]:
        return "one_account"
    gate = try_all(at, "as the gate", lab.inside.uri, login)
    if gate is None:
        return "cannot_log_in"
    into, read = at.task["insert_into"], at.task["read"]
    (other,) = _ALL - {into, read}
    wanted = {f"insert {into}", f"find {read}"}
    missing, surplus = wanted - gate.can, gate.more_than(wanted)
    at.values.update(other=other, missing=words(missing), works=words(wanted & gate.can))
    at.values.update(more=words(surplus))
    if misspelt(at, lab, "as the gate", gate):
        return "misspelt"
    if found := _far_too_much(gate.can, other):
        return found
    if gate.can == {f"find {into}", f"insert {read}"}:
        return "swapped"
    if surplus == {f"find {into}", f"insert {read}"}:
        return "both_actions"
    if surplus:
        return "more_than_asked"
    if missing:
        return "denied" if missing == wanted else "part_missing"
    return RIGHT if login["username"] == at.task["account"] else "another_name"


def _far_too_much(can: frozenset[str], other: str) -> str:
    """Which of the common roles that are too wide an account seems to have."""
    if MAKES_ACCOUNTS in can:
        return "root"
    if READS_ELSEWHERE in can:
        return "any_database"
    if f"collMod {other}" in can:
        return "db_admin"
    if f"remove {other}" in can:
        return "read_write"
    return "every_collection" if {f"find {other}", f"insert {other}"} & can else ""


# -- 2: the analyst -----------------------------------------------------------------------------

_COUNTED = ("sex", "employer", "birthday", "idIssued", "idExpires")
_VIEWS = ("people_for_counts", "people_short")


def _analyst_task(draw: Draw) -> Task:
    draw = variant(draw, 2)
    return Task(
        **administrator(draw),
        view=(draw.pick("view", _VIEWS), "the name of the view, in the database sensenets"),
        show=(
            ", ".join(sorted(draw.shuffle("show", _COUNTED)[:3])),
            "the fields of people that the view shows; no others, and none that comes later",
        ),
    )


def _analyst(at: Attempt, lab: Lab, analyst_uri: str) -> str:
    """The analyst reads a view with the fields of the task, and nothing else."""
    login = credentials(lab, "analyst_uri", analyst_uri)
    view = at.task["view"]
    if is_open(at, lab):
        return "authorization_off"
    with operator(lab, at.task) as admin:
        if admin.sensenets[view].find_one() is None:  # a document without fields is one
            at.note("as the administrator", f"look into {view}", "nothing is there")
            return "no_view"
        collections = ("people", "positions", "trackers", view)
        analyst = try_all(at, "as the analyst", lab.inside.uri, login, collections)
        if analyst is None:
            return "cannot_log_in"
        surplus = analyst.more_than({f"find {view}"})
        at.values["more"] = words(surplus)
        if found := _past_the_view(analyst, view):
            return found
        if surplus:
            return "more_than_asked"
        with Who(at, "as the analyst", lab.inside.uri, login) as who:
            for detour in ({"$unionWith": "people"}, _LOOKUP):
                who.runs(f"{next(iter(detour))} people, from {view}", view, [detour])
            return _what_the_view_shows(at, admin, who.client)


_LOOKUP = {"$lookup": {"from": "people", "pipeline": [], "as": "hidden"}}


def _past_the_view(analyst: Persona, view: str) -> str:
    """Where the analyst's account is wrong, whatever the view shows."""
    can = analyst.can
    if can & SERVER_WIDE:
        return "allow_everything"
    changes_view = bool({f"collMod {view}", f"dropCollection {view}"} & can)
    if f"find {view}" not in can:
        if changes_view:
            return "can_change_view"
        return "another_in_place" if analyst.more_than(()) else "denied"
    if {"find people", "find positions"} <= can:
        return "whole_database"
    if "find people" in can:
        return "base_still_read"
    return "can_change_view" if changes_view else ""


def _what_the_view_shows(at: Attempt, admin: MongoClient, analyst: MongoClient) -> str:
    """What is wrong with the view's fields and rows, as the analyst reads them."""
    show, view = at.task["show"].split(", "), analyst.sensenets[at.task["view"]]
    people = admin.sensenets.people
    rows, number = list(view.find()), people.count_documents({})
    people.insert_one({**people.find_one(), "_id": -1, "addedLater": "tried"})
    try:
        after = list(view.find())
    finally:
        people.delete_one({"_id": -1})
    fields = set().union(*rows)
    at.note("as the analyst", "the fields of the view", ", ".join(sorted(fields)))
    at.note("as the analyst", "the rows of the view", f"{len(rows)} of {number}")
    at.note("as the analyst", "the same, while there is one person more", str(len(after)))
    hidden, lacking = fields - set(show), set(show) - fields
    at.values.update(fields=words(hidden or lacking), rows=len(rows), number=number)
    if fields <= {"_id"}:
        return "no_fields"
    if len(rows) == number == len(after):
        return "a_copy"
    if hidden:
        return "id_shows" if hidden == {"_id"} and not lacking else "hidden_shows"
    if lacking:
        return "hides_too_much"
    if len(rows) != number:
        return "people_missing"
    wanted = Counter(tuple(person.get(field) for field in show) for person in people.find())
    if wanted != Counter(tuple(row.get(field) for field in show) for row in rows):
        return "values_differ"
    return "new_field_shows" if "addedLater" in set().union(*after) else RIGHT


# -- 3: the deletion job ------------------------------------------------------------------------


def _deletion_task(draw: Draw) -> Task:
    draw = variant(draw, 3)
    return Task(
        **administrator(draw),
        remove_from=(draw.pick("policy", sorted(_ALL)), "the one collection in which it removes"),
        ready_role=(
            draw.pick("role", ("housekeeping", "cleaner", "night_jobs")),
            "a role that is there already; you may use it, if it fits",
        ),
    )


def _deletion_lab(task: Task) -> Lab:
    def prepare(client: MongoClient) -> None:
        everywhere = {"resource": {"db": "sensenets", "collection": ""}, "actions": ["remove"]}
        name = task["ready_role"]
        client.sensenets.command("createRole", name, privileges=[everywhere], roles=[])

    return locked_lab(task, prepare)


def _deletion(at: Attempt, lab: Lab, job_uri: str) -> str:
    """The job removes in one collection, and can do nothing else."""
    login = credentials(lab, "job_uri", job_uri)
    if is_open(at, lab):
        return "authorization_off"
    job = try_all(at, "as the deletion job", lab.inside.uri, login)
    if job is None:
        return "cannot_log_in"
    here = at.task["remove_from"]
    others = _ALL - {here}
    wanted = {f"remove {here}"}
    surplus = job.more_than(wanted)
    reached = sorted(other for other in others if f"remove {other}" in job.can)
    at.values.update(more=words(surplus), others=" and ".join(reached))
    if misspelt(at, lab, "as the deletion job", job):
        return "misspelt"
    if job.can & SERVER_WIDE:
        return "allow_everything"
    if {f"find {here}", f"insert {here}", f"find {min(others)}"} <= job.can:
        return "read_write"
    if f"collMod {here}" in job.can:
        return "db_admin"
    if reached and wanted <= job.can:
        return "everywhere" if len(reached) == len(others) else "one_collection_more"
    if reached:
        return "wrong_collection"
    if not wanted <= job.can:
        return "other_action" if surplus else "denied"
    if f"find {here}" in job.can:
        return "may_read"
    if f"dropCollection {here}" in job.can:
        return "may_drop"
    return "more_than_asked" if surplus else RIGHT


QUESTIONS = {
    1: Question(
        asks={"lab": Lab, "gate_uri": str},
        check=_gate,
        task=_gate_task,
        lab=locked_lab,
    ),
    2: Question(
        asks={"lab": Lab, "analyst_uri": str},
        check=_analyst,
        task=_analyst_task,
        lab=locked_lab,
    ),
    3: Question(
        asks={"lab": Lab, "job_uri": str},
        check=_deletion,
        task=_deletion_task,
        lab=_deletion_lab,
    ),
    4: Question(
        asks={"lab": Lab},
        check=more.narrowed,
        task=more.narrow_task,
        lab=more.narrow_lab,
    ),
    5: Question(
        asks={"lab": Lab, "backup_uri": str},
        check=more.placed,
        task=more.place_task,
        lab=more.place_lab,
    ),
    6: Question(
        asks={"lab": Lab, "breaks": set},
        check=proof.proved,
        task=proof.proof_task,
        lab=proof.proof_lab,
        value=True,
    ),
}
