"""One account on a locked server: all that it may do, tried and told, collection by collection.

The words are MongoDB's own names of the actions, so that ``find people`` can be read as a line of
a policy, as evidence, and as a part of a privilege.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen.cases import sensenets
from leftopen.checks.probe import BadAnswer, Who
from leftopen.checks.question import Attempt, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

ELSEWHERE = ("payroll", "staff")  # a database that is none of these accounts' business
MAKES_ACCOUNTS = "create an account"
READS_OPTIONS = "read the server's options"
READS_ELSEWHERE = "find in another database"
SERVER_WIDE = {MAKES_ACCOUNTS, READS_ELSEWHERE, READS_OPTIONS}

# They tell how much there is and where, and show no document.
_HARMLESS = {"collStats", "dbHash", "dbStats", "indexStats", "killCursors", "planCacheRead"}
_HARMLESS |= {"listCollections", "listDatabases", "listIndexes"}


@dataclass(frozen=True)
class Persona:
    """What an account may do.

    Attributes:
        can: what was tried and accepted, as ``{"find people", "create an account"}``.
        told: what the server says beyond that (connectionStatus, showPrivileges), in the same
            words; what shows no document is left out.
    """

    can: frozenset[str]
    told: frozenset[str]

    def more_than(self, wanted: Iterable[str]) -> set[str]:
        """What it may do beyond a policy; what the server tells counts where nothing else is."""
        return (self.can - set(wanted)) or (self.told - set(wanted))


def try_all(
    at: Attempt,
    label: str,
    uri: str,
    login: dict[str, str],
    collections: Iterable[str] = sensenets.COLLECTIONS,
    database: str = sensenets.DATABASE,
    elsewhere: tuple[str, str] = ELSEWHERE,
) -> Persona | None:
    """Try everything as one account, and change nothing.

    Args:
        at: where the evidence goes: for each collection what is accepted, and what is refused.
        label: who it is, as ``"as the gate service"``.
        uri: the side of the lab from which it comes.
        login: what :func:`leftopen.checks.probe.credentials` found.
        collections: where it is tried.
        database: where those are.
        elsewhere: database and collection that nobody's policy names.

    Returns:
        What it may do; ``None`` when its login is refused.
    """
    with Who(Attempt(at.task), label, uri, login, database) as who:
        if not who.logs_in():
            at.note(label, "log in", "refused")
            return None
        can = set()
        for collection in collections:
            tries = _tries(who, collection)
            answers = {action: attempt() for action, attempt in tries.items()}
            for answer, allowed in (("accepted", True), ("refused", False)):
                if actions := [action for action, found in answers.items() if found is allowed]:
                    at.note(label, f"in {collection}: {', '.join(actions)}", answer)
                if allowed:
                    can |= {f"{action} {collection}" for action in actions}
        beyond = {
            READS_ELSEWHERE: _reads_elsewhere(who, elsewhere),
            MAKES_ACCOUNTS: who.makes_accounts() or who.makes_accounts(database),
            READS_OPTIONS: who.administers(),
        }
        for what, allowed in beyond.items():
            shown = f"{what} ({'.'.join(elsewhere)})" if what == READS_ELSEWHERE else what
            at.note(label, shown, "accepted" if allowed else "refused")
        can |= {what for what, allowed in beyond.items() if allowed}
        return Persona(frozenset(can), frozenset(_told(who, database)))


def _tries(who: Who, collection: str) -> dict[str, Callable[[], bool]]:
    # An unknown stage is refused after the privileges were looked at (code 40324; 6.0.5).
    change = {"collMod": collection, "viewOn": collection, "pipeline": [{"$none": 1}]}
    run = who.client[who.database].command
    return {
        "find": lambda: who.reads(collection),
        "insert": lambda: who.inserts(collection),
        "update": lambda: who.updates(collection),
        "remove": lambda: who.removes(collection),
        "dropCollection": lambda: who.drops(collection),
        "collMod": lambda: who.can("redefine", lambda: run(change)),
    }


def _reads_elsewhere(who: Who, elsewhere: tuple[str, str]) -> bool:
    database, collection = elsewhere
    return who.can("read elsewhere", lambda: who.client[database][collection].find_one())


def _told(who: Who, database: str) -> Iterable[str]:
    for privilege in who.privileges():
        resource = privilege["resource"]
        where = resource.get("collection") or "every collection"
        if resource.get("db") != database:
            where = f"{resource['db'] or 'any database'}.{where}" if "db" in resource else "server"
        yield from (f"{action} {where}" for action in set(privilege["actions"]) - _HARMLESS)


def is_open(at: Attempt, lab: Lab) -> bool:
    """Whether the server has stopped asking for a login."""
    with Who(at, "as somebody without a login", lab.inside.uri) as stranger:
        return stranger.reads("people")


def misspelt(at: Attempt, lab: Lab, label: str, persona: Persona) -> str:
    """A collection for which an account has rights and which does not exist, or nothing."""
    with operator(lab, at.task) as admin:
        known = {*admin[sensenets.DATABASE].list_collection_names(), "every collection", "server"}
    named = {what.split(" ", 1)[1] for what in persona.told}
    if not (strange := sorted(name for name in named - known if "." not in name)):
        return ""
    at.note(label, f"has rights for {strange[0]}", "there is no such collection")
    at.values["strange"] = strange[0]
    return strange[0]


def words(abilities: Iterable[str]) -> str:
    """Abilities as a part of a sentence, in a fixed order, and not more than four of them."""
    rest = sorted(abilities)
    return ", ".join(rest[:4]) + (f" and {len(rest) - 4} more" if len(rest) > 4 else "")


def variant(draw: Draw, question: int, of: int = 12) -> Draw:
    """Draws for one of ``of`` sets of values, so that learners share some sets of them."""
    number = draw.number(f"question {question}", of)
    return Draw(f"set {number}", f"08 question {question}")


def administrator(draw: Draw) -> dict[str, tuple[object, str]]:
    """The rows of a task that let a learner in as the administrator."""
    bird = draw.pick("administrator", ("kestrel", "plover", "dunlin", "linnet", "siskin"))
    return {
        "administrator": (f"{bird}_admin", "the administrator, who may do everything"),
        "password": (draw.password("administrator"), "the administrator's password"),
    }


def locked_lab(
    task: Task,
    prepare: Callable[[MongoClient], None] | None = None,
    settings: str = "",
) -> Lab:
    """A small server that requires a login and has the administrator of the task.

    Args:
        task: has the rows of :func:`administrator`.
        prepare: makes what else the question begins with.
        settings: what else its mongod.conf has.

    Raises:
        EngineMissing, EngineFailed: as for :class:`leftopen.lab.Lab`.
    """

    def load(client: MongoClient) -> None:
        name, password = task["administrator"], task["password"]
        client.admin.command("createUser", name, pwd=password, roles=["root"])
        database, collection = ELSEWHERE
        client[database][collection].insert_one({"_id": 1, "name": "Ada Example"})
        client[database]["salaries"].insert_one({"_id": 1, "grade": 4})
        if prepare is not None:
            prepare(client)

    locked = f"{sensenets.AS_FOUND}security:\n  authorization: enabled\n{settings}"
    return sensenets.small_lab(seed=8, config=locked, prepare=load)


def operator(lab: Lab, task: Task) -> MongoClient:
    """A client of the task's administrator, to look at what an account cannot show.

    Raises:
        BadAnswer: the administrator is not let in any more, or has fewer rights.
    """
    login = {"username": task["administrator"], "password": task["password"]}
    client: MongoClient = MongoClient(lab.inside.uri, timeoutMS=8000, **login)
    try:
        client.admin.command("usersInfo", 1)
        client.sensenets.people.find_one()
    except OperationFailure:
        client.close()
        raise BadAnswer(
            f"the account {login['username']!r} of the task is not let in any more, or has lost "
            "rights, and the check needs it. Open the question's lab again and leave that "
            "account as it is"
        ) from None
    return client
