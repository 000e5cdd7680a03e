"""What a stranger could change on the learner's server: each thing is tried, and left as it was."""

import uuid
from collections.abc import Callable

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, OperationFailure

from leftopen.cases import sensenets
from leftopen.checks.case_sensenets_server import Server
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

_AGAIN = "lab = ex.lab(5) gives a fresh one; your answer can stay."
_VIEWS = ("board", "overview", "display")
_BOUNDS = {"serverSelectionTimeoutMS": 4000, "connectTimeoutMS": 4000, "timeoutMS": 20_000}

# What is asked about: how it is done, and what it would change.
_ALWAYS = {
    "add a person": ("{people}: insert_one", "a whole document more among the people"),
    "make an account": (
        "admin: createUser",
        "a login of the stranger's own",
    ),
    "write into the view": ("{view}: insert_one", "a document in the view"),
}
_EASY = {
    "rewrite a sighting": ("{positions}: update_one", "another place in one sighting"),
    "remove a camera": ("{trackers}: delete_one", "one camera less"),
    "drop the cameras": ("{trackers}: drop", "the whole collection is gone"),
    "rename the sightings": ("{positions}: rename", "the collection has another name"),
    "take the rule away": ("{people}: collMod, validator={{}}", "no rule for the people any more"),
    "log more": ("admin: setParameter, logLevel=1", "what the server writes into its log"),
}
_HARD = {
    "renumber a person": ("{people}: update_one, $set of _id", "another _id for one person"),
    "move the port": ("admin: setParameter, port=37017", "where the running server listens"),
    "switch the login on": (
        "admin: setParameter, authorization='enabled'",
        "whom the running server asks",
    ),
    "drop the database admin": ("drop_database('admin')", "the database of the accounts"),
}
_SHOWN = 8  # of all things; the learner tries these


_DOCUMENTS = {"add a person", "rewrite a sighting", "remove a camera"}
_SPECIAL = {
    "rule_believed": "add a person",
    "account_forgotten": "make an account",
    "view_written": "write into the view",
}


def task(draw: Draw) -> Task:
    """Eight things of which some can be done, each with the way to try it."""
    server = Server.of(draw)
    draw = server.draw
    easy = draw.shuffle("easy", list(_EASY))[: 2 + draw.number("how many", 2)]
    hard = draw.shuffle("hard", list(_HARD))[: _SHOWN - len(_ALWAYS) - len(easy)]
    things = draw.shuffle("order", [*_ALWAYS, *easy, *hard])
    ways = _ALWAYS | _EASY | _HARD
    names = {**server.collections, "view": _view(server)}
    rows = {thing: (ways[thing][0].format(**names), ways[thing][1]) for thing in things}
    return Task(server=server.row, **rows)


def _view(server: Server) -> str:
    return server.draw.pick("view", _VIEWS)


def open_lab(task: Task) -> Lab:
    """The learner's server, with a view, and a rule for the documents of people."""
    server = Server(task["server"])

    def prepare(database: Database) -> None:
        positions, people = server.collections["positions"], server.collections["people"]
        hidden = {"$project": {server.fields["positions.person"]: 0}}
        database.command("create", _view(server), viewOn=positions, pipeline=[hidden])
        needed = [server.fields[f"people.{field}"] for field in ("name", "idNumber", "photo")]
        database.command("collMod", people, validator={"$jsonSchema": {"required": needed}})

    return server.open(prepare)


def check(at: Attempt, lab: Lab, changes: set) -> str:
    """Each thing is done through the relay, and undone at once."""
    things = [thing for thing in at.task if thing != "server"]
    if strange := sorted(repr(thing) for thing in changes if thing not in things):
        raise BadAnswer(
            f"`changes` holds {strange[0]}, which is not in your task. Take the words from it, "
            f"as {things[0]!r}."
        )
    done = _try_all(lab, Server(at.task["server"]), things)
    missing = [thing for thing in things if done[thing] and thing not in changes]
    extra = [thing for thing in things if thing in changes and not done[thing]]
    found = _verdict(changes, missing, extra)
    shown = things if found == RIGHT else [_SPECIAL.get(found, (extra + missing)[0])]
    for thing in shown:
        at.note("as the stranger", thing, "done, and undone" if done[thing] else "refused")
    at.values.update(missing=len(missing), extra=", ".join(map(repr, extra)))
    return found


def _verdict(changes: set, missing: list[str], extra: list[str]) -> str:
    if not missing and not extra:
        return RIGHT
    if not changes:
        return "nothing_changed"
    if extra:
        if extra == ["write into the view"] and not missing:
            return "view_written"
        return "refused_by_the_server" if missing or len(extra) == 1 else "everything"
    if len(missing) == 1:
        single = {thing: name for name, thing in _SPECIAL.items()}
        return single.get(missing[0], "one_more")
    return "only_documents" if changes <= _DOCUMENTS else "several_more"


def _try_all(lab: Lab, server: Server, things: list[str]) -> dict[str, bool]:
    with MongoClient(lab.outside.uri, **_BOUNDS) as client:
        try:
            ways = _ways(client, server)
            return {thing: _works(ways[thing]) for thing in things}
        except ConnectionFailure:
            if not lab.is_running:
                raise
    raise BadAnswer(f"A stranger cannot connect to this server any more. {_AGAIN}")


def _works(action: Callable[[], object]) -> bool:
    try:
        action()
    except OperationFailure:
        return False
    return True


def _ways(client: MongoClient, server: Server) -> dict[str, Callable[[], object]]:
    """Each thing, done by a stranger in a way that leaves nothing behind."""
    database = client[sensenets.DATABASE]
    names = {name: database[here] for name, here in server.collections.items()}
    people, view = names["people"], _view(server)
    person = people.find_one()
    kinds = {c["name"]: c["type"] for c in database.list_collections()}
    if person is None or kinds.get(view) != "view":
        raise BadAnswer(f"What you tried has changed too much on this server to go on. {_AGAIN}")
    new = f"tried-{uuid.uuid4().hex}"
    nobody = {"_id": new}

    def add() -> None:
        people.insert_one({**person, **nobody})
        people.delete_one(nobody)

    def account() -> None:
        client.admin.command("createUser", new, pwd=uuid.uuid4().hex, roles=["root"])
        client.admin.command("dropUser", new)

    def write_into_view() -> None:
        database[view].insert_one(dict(nobody))
        database[view].delete_one(nobody)

    def drop() -> None:
        database[new].insert_one({})
        database[new].drop()

    def rename() -> None:
        database[new].insert_one({})
        database[new].rename(f"{new}-2")
        database[f"{new}-2"].drop()

    def take_rule() -> None:
        (now,) = database.list_collections(filter={"name": people.name})
        database.command("collMod", people.name, validator=now["options"].get("validator", {}))

    def log_more() -> None:
        now = client.admin.command("getParameter", 1, logLevel=1)["logLevel"]
        client.admin.command("setParameter", 1, logLevel=now)

    def parameter(**value: object) -> Callable[[], object]:
        return lambda: client.admin.command("setParameter", 1, **value)

    return {
        "add a person": add,
        "make an account": account,
        "write into the view": write_into_view,
        "rewrite a sighting": lambda: names["positions"].update_one(nobody, {"$set": {"a": 1}}),
        "remove a camera": lambda: names["trackers"].delete_one(nobody),
        "drop the cameras": drop,
        "rename the sightings": rename,
        "take the rule away": take_rule,
        "log more": log_more,
        "renumber a person": lambda: people.update_one(
            {"_id": person["_id"]}, {"$set": {"_id": new}}
        ),
        "move the port": parameter(port=37017),
        "switch the login on": parameter(authorization="enabled"),
        "drop the database admin": lambda: client.drop_database("admin"),
    }
