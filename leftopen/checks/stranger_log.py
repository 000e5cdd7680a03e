"""Exercise 06, question 6: which of a server's visitors left more in its log than their arrival."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from leftopen.cases import sensenets
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.stranger_servers import missing, of, server
from leftopen.errors import EngineFailed
from leftopen.lab import Lab
from leftopen.learner import Draw

_QUESTION = 6
_NAMES = ("avocet", "dunlin", "fulmar", "kestrel", "linnet", "merlin", "plover", "siskin")
_OPERATOR = "maintenance"
_CLIENTS = frozenset((*_NAMES, _OPERATOR))
_CONNECTIONS = "NETWORK"  # the component of the lines on connections
_METADATA, _SLOW, _LOGIN_FAILED, _ENDED, _INTERRUPTED = 51800, 51803, 20249, 22944, 20883
# A greeting that waits for a change is broken off when its client goes, and then has a line of
# that, or as a slow command. Whoever asks in turn leaves nothing that waits.
_IN_TURN = {"directConnection": True, "serverMonitoringMode": "poll"}
_GONE_SECONDS = 20.0
_WHOLE: WeakKeyDictionary[Lab, int] = WeakKeyDictionary()  # the lines of a log as it is handed over
# No command takes so long by itself, so that a slow machine does not write other lines.
_CONFIG = "net:\n  bindIp: 0.0.0.0\noperationProfiling:\n  slowOpThresholdMs: 60000\n"


def _log_in(case: Database) -> None:
    with suppress(OperationFailure):
        host, port = "127.0.0.1", case.client.address[1]
        app, login = case.client.options.pool_options.appname, {"username": "admin"}
        with MongoClient(host, port, appname=app, password="admin", **login, **_IN_TURN) as client:
            client.admin.command("ping")


def _make_and_drop(case: Database) -> None:
    case.create_collection("drafts")
    case.drop_collection("drafts")


# What a visitor did, and how. The first ones leave no line by themselves, the others do.
_QUIET: dict[str, Callable[[Database], object]] = {
    "read everyone": lambda case: list(case.people.find()),
    "counted the people": lambda case: case.people.count_documents({}),
    "listed the databases": lambda case: case.client.list_database_names(),
    "added a person": lambda case: case.people.insert_one({"_id": -1}),
    "changed an address": lambda case: case.people.update_one(
        {"_id": 1}, {"$set": {"homeAddress": "House 0000"}}
    ),
    "deleted a sighting": lambda case: case.positions.delete_one({}),
    "read the server's options": lambda case: case.client.admin.command("getCmdLineOpts"),
}
_LOUD: dict[str, Callable[[Database], object]] = {
    "made a collection and dropped it": _make_and_drop,
    "built an index": lambda case: case.people.create_index("birthday"),
    "renamed a collection": lambda case: case.trackers.rename("cameras"),
}
_GUESS = "tried a password"
_DEEDS = {**_QUIET, **_LOUD, _GUESS: _log_in}


def _visits(task: Task) -> tuple[list[tuple[str, str]], int]:
    """Who came and what they did, in order; and after how many of them everything is logged."""
    draw = of(task, _QUESTION)
    quiet = draw.shuffle("quiet", tuple(_QUIET))
    late = 1 + draw.number("late", 3)
    early = [*quiet[late:4], draw.pick("loud", tuple(_LOUD)), _GUESS]
    deeds = draw.shuffle("early", early) + quiet[:late]
    names = draw.shuffle("names", _NAMES)
    return list(zip(names, deeds, strict=False)), len(early)


def _task(draw: Draw) -> Task:
    row = server(_QUESTION, draw)
    visits, _ = _visits(Task(server=row))
    return Task(
        server=row,
        visitors=(tuple(sorted(name for name, _ in visits)), "what the visitors called themselves"),
        visits=(tuple(f"{name} {deed}" for name, deed in visits), "what they did, in this order"),
    )


def _lab(task: Task) -> Lab:
    """A server on which the visitors have been; before the last of them the log was widened."""
    lab = sensenets.small_lab(task["server"], config=_CONFIG, people=90, positions=200)
    visits, quiet = _visits(task)
    for place, (name, deed) in enumerate(visits):
        if place == quiet:
            _wait_until_gone(lab)
            _visit(lab.inside.port, _OPERATOR, lambda case: case.command("profile", 0, slowms=0))
        _visit(lab.outside.port, name, _DEEDS[deed])
    _wait_until_gone(lab)
    _WHOLE[lab] = len(_texts(lab))
    return lab


def _wait_until_gone(lab: Lab) -> None:
    """Wait until the log has the end of every connection of those who have a name."""
    deadline = time.monotonic() + _GONE_SECONDS
    while time.monotonic() < deadline:
        lines = _read(_texts(lab))
        named = {x["ctx"] for x in lines if x["id"] == _METADATA and _name(x) in _CLIENTS}
        if named <= {x["ctx"] for x in lines if x["id"] == _ENDED}:
            return
        time.sleep(0.02)
    lab.close()
    raise EngineFailed(
        f"The visitors were still connected after {_GONE_SECONDS:.0f} s. Run lab = ex.lab(6) again."
    )


def _visit(port: int, name: str, deed: Callable[[Database], object]) -> None:
    with MongoClient("127.0.0.1", port, appname=name, **_IN_TURN) as client:
        client.admin.command("ping")  # now it has an address
        deed(client[sensenets.DATABASE])


def _texts(lab: Lab) -> list[str]:
    return lab.log.read_text(encoding="utf-8", errors="replace").splitlines()


def _read(texts: list[str]) -> list[dict]:
    """The lines of a log; the last one may be half written, and a restart leaves an empty one."""
    lines = []
    for text in texts:
        with suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def _name(metadata: dict) -> str | None:
    """What a client called itself; ``None`` where it gave no name."""
    return metadata["attr"]["doc"].get("application", {}).get("name")


def _lines(lab: Lab) -> dict[str, list[dict]]:
    """The lines of the log for each client with a name, as they were when the lab was opened.

    A client has several connections. Each is told by its number ("ctx"), and the client's name is
    in the metadata of each. Later lines are left out: after a restart the numbers begin again.
    """
    lines = _read(_texts(lab)[: _WHOLE.get(lab)])
    names = {line["ctx"]: _name(line) for line in lines if line["id"] == _METADATA}
    found: dict[str, list[dict]] = {}
    for line in lines:
        if name := names.get(line["ctx"]):
            found.setdefault(name, []).append(line)
    return found


def _counts(line: dict) -> bool:
    """Whether a line says more than that a client came, greeted, and went."""
    greeting = line["id"] == _SLOW and "hello" in line["attr"].get("command", {})
    return line["c"] != _CONNECTIONS and line["id"] != _INTERRUPTED and not greeting


def _left_a_line(at: Attempt, lab: Lab, left_a_line: set) -> str:
    """Those of whom the log has a line that is not about their connection."""
    logged, visitors = _lines(lab), at.task["visitors"]
    if not set(visitors) <= set(logged):
        raise BadAnswer("The log of this server is not whole. lab = ex.lab(6) makes a new one")
    if unknown := sorted(map(repr, left_a_line - set(visitors))):
        none = " (None: the server itself, and connections without an application name)"
        raise BadAnswer(
            f"`left_a_line` holds {', '.join(unknown)}{none if None in left_a_line else ''}, which "
            "is not in task['visitors']: other clients are in the log too, as the operator's own"
        )
    spoken = {n: [x for x in lines if _counts(x)] for n, lines in logged.items()}
    there = {name for name in visitors if spoken[name]}
    extra, missed = sorted(left_a_line - there), sorted(there - left_a_line)
    for name in extra[:1] or sorted(left_a_line):
        parts = ", ".join(sorted({line["c"] for line in spoken[name]}))
        at.note(f"in the log, of {name}", "components of the lines that count", parts or "none")
    if not extra and not missed:
        return RIGHT
    if missed:
        at.note("your answer", "visitors who left a line", missing(len(missed)))
    at.values |= {"name": extra[0] if extra else "", "missing": missing(len(missed))}
    if not left_a_line:
        return "nobody_named"
    if left_a_line == set(visitors):
        return "arrivals_counted"
    if extra:
        return "believed_to_be_logged"
    ids = {line["id"] for line in spoken[missed[0]]}
    if _LOGIN_FAILED in ids:
        return "password_missed"
    return "slow_lines_missed" if _SLOW in ids else "change_missed"


QUESTION = Question(
    asks={"lab": Lab, "left_a_line": set}, check=_left_a_line, task=_task, lab=_lab, value=True
)
