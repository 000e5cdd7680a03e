"""Exercise 06, question 6: which of a server's visitors left more in its log than their arrival."""

import json
from collections.abc import Callable
from contextlib import suppress

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from leftopen.cases import sensenets
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.stranger_servers import of, server
from leftopen.lab import Lab
from leftopen.learner import Draw

_QUESTION = 6
_NAMES = ("avocet", "dunlin", "fulmar", "kestrel", "linnet", "merlin", "plover", "siskin")
_OPERATOR = "maintenance"
_CONNECTIONS = "NETWORK"  # the component of the lines on connections
_METADATA, _SLOW, _LOGIN_FAILED, _STARTS = 51800, 51803, 20249, 4615611
# No command takes so long by itself, so that a slow machine does not write other lines.
_CONFIG = "net:\n  bindIp: 0.0.0.0\noperationProfiling:\n  slowOpThresholdMs: 60000\n"


def _log_in(case: Database) -> None:
    with suppress(OperationFailure):
        host, port = "127.0.0.1", case.client.address[1]
        app, options = case.client.options.pool_options.appname, {"directConnection": True}
        login = {"username": "admin", "password": "admin"}
        with MongoClient(host, port, appname=app, **login, **options) as client:
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
            _visit(lab.inside.port, _OPERATOR, lambda case: case.command("profile", 0, slowms=0))
        _visit(lab.outside.port, name, _DEEDS[deed])
    return lab


def _visit(port: int, name: str, deed: Callable[[Database], object]) -> None:
    with MongoClient("127.0.0.1", port, appname=name, directConnection=True) as client:
        client.admin.command("ping")  # now it has an address
        deed(client[sensenets.DATABASE])


def _lines(lab: Lab) -> dict[str, list[dict]]:
    """The lines of the log for each client, by what it called itself; up to the first restart.

    A client has several connections. Each is told by its number ("ctx"), which begins again with
    every start of the server, and the client's name is in the metadata of each.
    """
    names: dict[str, str] = {}
    lines: dict[str, list[dict]] = {}
    starts = 0
    texts = lab.log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in map(json.loads, filter(str.strip, texts)):  # a restart leaves an empty line
        starts += line["id"] == _STARTS
        if starts > 1:
            break
        if line["id"] == _METADATA:
            application = line["attr"]["doc"].get("application", {})
            names[line["ctx"]] = application.get("name", "")
        if line["ctx"] in names:
            lines.setdefault(names[line["ctx"]], []).append(line)
    return lines


def _left_a_line(at: Attempt, lab: Lab, left_a_line: set) -> str:
    """Those of whom the log has a line that is not about their connection."""
    logged, visitors = _lines(lab), at.task["visitors"]
    if not set(visitors) <= set(logged):
        raise BadAnswer("The log of this server is not whole. lab = ex.lab(6) makes a new one")
    spoken = {n: [x for x in lines if x["c"] != _CONNECTIONS] for n, lines in logged.items()}
    there = {name for name in visitors if spoken[name]}
    # A name that is no visitor's comes first, so that it is the one that is told.
    extra = sorted(left_a_line - there, key=lambda name: (name in visitors, str(name)))
    missed = sorted(there - left_a_line)
    for name in (extra + missed)[:1] or visitors:
        parts = ", ".join(sorted({line["c"] for line in spoken.get(name, [])}))
        at.note(f"in the log, of {name}", "lines but those of NETWORK", parts or "none")
    if not extra and not missed:
        return RIGHT
    at.values["name"] = (extra + missed)[0]
    if not left_a_line:
        return "nobody_named"
    if left_a_line == set(visitors):
        return "arrivals_counted"
    if extra:
        return "believed_to_be_logged" if set(extra) <= set(visitors) else "not_a_visitor"
    ids = {line["id"] for line in spoken[missed[0]]}
    if _LOGIN_FAILED in ids:
        return "password_missed"
    return "slow_lines_missed" if _SLOW in ids else "change_missed"


QUESTION = Question(
    asks={"lab": Lab, "left_a_line": set}, check=_left_a_line, task=_task, lab=_lab, value=True
)
