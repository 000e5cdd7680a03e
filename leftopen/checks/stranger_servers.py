"""The servers of exercise 06, and what stands open on each to a stranger, tried live.

Each server is drawn from one number. What stands open is named in the words of ``WORDS``.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from leftopen import stranger
from leftopen.cases import sensenets
from leftopen.checks.probe import BadAnswer, Who
from leftopen.checks.question import Attempt, Task
from leftopen.lab import Lab
from leftopen.learner import Draw

EXERCISE = "06_see_what_a_stranger_sees"
WORDS = ("connect", "hello", "version", "list", "read", "write", "options", "make an account")
ALL = frozenset(WORDS)
GREETING = frozenset(("connect", "hello", "version"))
OWN = ("admin", "config", "local")  # databases that mongod keeps for itself
SERVERS = 24  # how many different servers a question has
WHO = "as the stranger"
_ROOMS = ("archive", "billing", "intranet", "rota", "stock", "visits")
_SHELVES = ("bills", "cards", "doors", "letters", "orders", "shifts")


# -- what a stranger may do ---------------------------------------------------------------------


class Doors(NamedTuple):
    """Which of ``WORDS`` stand open, and for each of them what was tried and came back."""

    open: frozenset[str]
    lines: dict[str, str]


def opens(lab: Lab) -> Doors:
    """Try as a stranger what stands open. Nothing is changed by it."""
    if not lab.outside.is_open:
        return Doors(frozenset(), dict.fromkeys(WORDS, f"{WHO}: connect → connection refused"))
    found = Attempt(Task())
    with Who(found, WHO, stranger_uri(lab)) as who:
        tries: dict[str, Callable[[], bool]] = {
            "connect": lambda: who.can("connect", lambda: None),
            "hello": lambda: who.can("hello", lambda: who.client.admin.command("hello")),
            "version": lambda: who.can("buildInfo", lambda: who.client.admin.command("buildInfo")),
            "list": lambda: _lists(who),
            "read": lambda: who.reads("people"),
            "write": lambda: who.inserts("people"),
            "options": who.administers,
            "make an account": who.makes_accounts,
        }
        allowed = [word for word, attempt in tries.items() if attempt()]
    return Doors(frozenset(allowed), dict(zip(tries, found.tried, strict=True)))


def stranger_uri(lab: Lab) -> str:
    """The stranger's address of a lab; over TLS, with any certificate, where it speaks TLS."""
    tls = stranger.speaks_tls("127.0.0.1", lab.outside.port)
    return f"{lab.outside.uri}&tls=true&tlsInsecure=true" if tls else lab.outside.uri


def _lists(who: Who) -> bool:
    """Whether the server shows the name of any database."""
    try:
        names = who.client.list_database_names()
    except OperationFailure:
        return who.can("list the databases", who.client.list_database_names)
    who.at.note(who.label, "list the databases", ", ".join(sorted(names)) or "no name is shown")
    return bool(names)


def counted(lab: Lab) -> dict[str, int]:
    """How many documents a stranger can read in each collection, but those of the server's own."""
    with MongoClient("127.0.0.1", lab.outside.port, directConnection=True, **_tls(lab)) as client:
        return {
            f"{database}.{name}": client[database][name].count_documents({})
            for database in sorted(set(client.list_database_names()) - set(OWN))
            for name in sorted(client[database].list_collection_names())
        }


def _tls(lab: Lab) -> dict[str, bool]:
    return {"tls": True, "tlsInsecure": True} if "tls=true" in stranger_uri(lab) else {}


def accounts_told(lab: Lab, names: Iterable[str]) -> dict[str, list[str]]:
    """For each account, as database.name, the ways of logging in that `hello` tells a stranger."""
    with MongoClient("127.0.0.1", lab.outside.port, directConnection=True, **_tls(lab)) as client:
        answers = {name: client.admin.command("hello", saslSupportedMechs=name) for name in names}
    return {name: sorted(answer.get("saslSupportedMechs", [])) for name, answer in answers.items()}


def usable(words: set) -> set[str]:
    """The words of an answer.

    Raises:
        BadAnswer: one of them is not in the list of words.
    """
    if unknown := sorted(map(repr, words - ALL)):
        raise BadAnswer(
            f"`stands_open` holds {', '.join(unknown)}, which is not in the list of words. "
            f"The words are: {', '.join(WORDS)}"
        )
    return words


def missing(count: int) -> str:
    """How many are missing, in words; a verdict does not say which."""
    return {0: "none is missing", 1: "one is missing"}.get(count, f"{count} are missing")


def show(at: Attempt, doors: Doors, answer: set[str]) -> None:
    """Note the evidence: of a word that is wrongly there, or how many are missing, or all of it."""
    # An empty list says least, so another word is shown rather.
    order = sorted(WORDS, key=lambda word: word == "list")
    claimed = [word for word in order if word in answer - doors.open]
    lacks = missing(len(doors.open - answer))
    at.values |= {"word": claimed[0] if claimed else "", "missing": lacks}
    if claimed:
        at.tried.append(doors.lines[claimed[0]])
    elif doors.open - answer:
        at.note("your answer", "words for what stands open", lacks)
    else:
        at.tried += [doors.lines[word] for word in WORDS if word in doors.open or word == "connect"]


# -- the servers --------------------------------------------------------------------------------


def server(question: int, draw: Draw) -> tuple[int, str]:
    """The number of the server that a learner has in a question, as a row of the task."""
    number = draw.number(f"server {question}", SERVERS)
    return number, "the number of your server; what is on it is drawn from it"


def of(task: Task, question: int) -> Draw:
    """The draw of what is on a server: from its number, and from nothing else."""
    return Draw(f"server {task['server']}", f"{EXERCISE}, question {question}")


def sizes(task: Task, question: int) -> dict[str, int]:
    """How many documents are in each collection of the server of a question, by what is drawn."""
    draw = of(task, question)
    room = draw.pick("room", _ROOMS)
    shelves = draw.shuffle("shelves", _SHELVES)[:2]
    return {
        "sensenets.people": 60 + draw.number("people", 90),
        "sensenets.positions": 160 + draw.number("positions", 140),
        "sensenets.trackers": 52,
    } | {f"{room}.{shelf}": 5 + draw.number(shelf, 30) for shelf in shelves}


def open_lab(
    task: Task,
    question: int,
    config: str = sensenets.AS_FOUND,
    prepare: Callable[[MongoClient], None] = lambda _: None,
) -> Lab:
    """Open a server with what is drawn for it: the case's records, and a database beside them."""
    held = sizes(task, question)

    def fill(client: MongoClient) -> None:
        for place, size in held.items():
            database, name = place.split(".")
            if database != sensenets.DATABASE:
                client[database][name].insert_many({"_id": n} for n in range(size))
        prepare(client)

    people, positions = held["sensenets.people"], held["sensenets.positions"]
    return sensenets.small_lab(
        task["server"], config=config, prepare=fill, people=people, positions=positions
    )
