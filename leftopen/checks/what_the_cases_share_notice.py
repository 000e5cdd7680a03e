"""Exercise 04, question 5: a notice that an owner can act on, and that harms nobody.

The learner's function is called for several leaks, and returns a letter in parts, each with a name.
What a part must hold was put into the leak, and is looked for in that part alone; what no part may
hold was put into it too. Tone and intent are not judged. All of it is invented; the addresses are
kept for examples (RFC 5737, RFC 6761).
"""

import copy
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parseaddr
from numbers import Integral
from typing import NamedTuple

import numpy as np

from leftopen.checks import what_the_cases_share_letter as letter
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw
from leftopen.synth import identifiers

_VARIANTS = 24
_LEAKS = 6
_NO_OWNER = (1, 4)  # leaks of which nobody knows the owner
_OFFSETS = (-420, -300, 60, 120, 330, 480, 600)  # minutes from UTC
_NETS = ("192.0.2", "198.51.100", "203.0.113")
_LIST = 'mongosh --host {} --port {} --eval "db.adminCommand({{listDatabases: 1}})"'
_ENGINES = {
    "MongoDB": (27017, _LIST),
    "Elasticsearch": (9200, "curl http://{}:{}/_cat/indices"),
    "PostgreSQL": (5432, "psql -h {} -p {} -U postgres -l"),
}
_TABLES = ("visits", "residents", "door_log", "sightings", "cards", "appointments", "plates")
_OWNERS = ("clinic", "college", "harbour", "library", "museum", "tramway")
_STEPS = {
    "": "Close port {} to everybody outside, in the firewall, and keep the log.",
    "first_destroys": "Delete the tables, so that nobody can read them.",
    "first_destroys ": "Empty the log, and start the server again.",
    "first_is_slow": "Order a new server, and move the tables there next month.",
}
_ALL_NAMES = "Person-00"  # what the names of all records begin with: it tells nobody's
_KEPT = ("no record", "the list of the tables", "the names of the fields")
PARTS = ("What", "Where", "Tables", "Seen", "First", "Check", "We kept", "Contact")
"""Parts that each letter has; "Tables" is a dict, and all others are texts."""

MORE = ("How we know", "Then")
"""Parts that a letter may have."""


class Letter(NamedTuple):
    """A letter: its addresses, its table of rows, and its texts by the names of the parts."""

    to: list[str]
    rows: dict[str, int]
    texts: dict[str, str]


def leaks(number: int) -> list[dict[str, object]]:
    """The leaks of a learner, as the function gets them; the first is the one of the task."""
    draw = Draw(f"set {number}", "04 question 5")
    return [_leak(draw, n) for n in range(_LEAKS)]


def _leak(draw: Draw, n: int) -> dict[str, object]:
    engine = draw.pick(f"engine {n}", tuple(_ENGINES))
    address = f"{draw.pick(f'net {n}', _NETS)}.{3 + draw.number(f'host {n}', 250)}"
    port, command = _ENGINES[engine]
    offset = draw.pick(f"zone {n}", _OFFSETS)
    day = datetime(2031, 1, 1, tzinfo=UTC) + timedelta(draw.number(f"day {n}", 330))
    # Soon after midnight or soon before it in UTC: for half of the leaks another day than here.
    late = offset > 0 if n % 2 else draw.number(f"late {n}", 2)
    minute = (23 * 60 if late else 0) + 13 + draw.number(f"minute {n}", 46)
    seen = (day + timedelta(minutes=minute)).astimezone(timezone(timedelta(minutes=offset)))
    owner = draw.pick(f"owner {n}", _OWNERS)
    return {
        "address": address,
        "port": port,
        "engine": engine,
        "tables": {
            name: 1_000 + draw.number(f"{name} {n}", 80_000)
            for name in draw.shuffle(f"tables {n}", _TABLES)[:2]
        },
        "seen": seen.isoformat(),
        "steps": _steps(draw, n, port),
        "kept": _KEPT[n % len(_KEPT)],
        "command": command.format(address, port),
        "finder": f"{draw.pick(f'finder {n}', ('ann', 'bo', 'cai', 'dov'))}@watchers.example",
        "owner": None if n in _NO_OWNER else f"it@{owner}.example",
        "provider": f"abuse@{draw.pick(f'provider {n}', ('rack', 'cloud', 'hosting'))}.example",
        "newspaper": "desk@daily.example",
        "record": _record(draw, n),
        "password": draw.password(f"password {n}", 12),
    }


def _record(draw: Draw, n: int) -> dict[str, str]:
    """One record of a leak, of nobody: see leftopen/synth/identifiers.py."""
    drawn = [1 + draw.number(f"district {n}", 90), 9_000 + draw.number(f"born {n}", 20_000),
             draw.number(f"sequence {n}", 1_000)]  # fmt: skip
    number = identifiers.resident_ids(*np.array(drawn)[:, None]).tobytes().decode()
    # A telephone number that does not end as the one of the lesson's letter.
    person = next(
        each
        for k in range(100)
        if not _phone(each := draw.number(f"person {n} {k}", 100_000)).endswith("23")
    )
    return {"name": f"Person-{person:07}", "number": number, "phone": _phone(person)}


def _steps(draw: Draw, n: int, port: int) -> dict[str, str]:
    """Steps under letters, in another order for each leak."""
    texts = [step.format(port) for step in _STEPS.values()]
    return dict(zip("ABCD", draw.shuffle(f"steps {n}", texts), strict=True))


def _phone(person: int) -> str:
    return identifiers.telephones(np.array([person]), 4).tobytes().decode()


def _task(draw: Draw) -> Task:
    number = draw.number("leaks", _VARIANTS)
    leak = leaks(number)[0]
    means = {
        "address": "of the server",
        "port": "at which it answered without a login",
        "engine": "what answered",
        "tables": "what stood in it, with the number of rows",
        "seen": "when you saw it, by your own clock",
        "steps": "one of them comes first, and the others are wrong",
        "kept": "what you have kept of what you saw",
        "command": "shows whether it is still open, and no record",
        "finder": "where you can be reached",
        "owner": "who runs the server; None where nobody knows",
        "provider": "on whose machines it stands",
        "newspaper": "would like to have the story",
        "record": "on your screen when you looked",
        "password": "stood in a table of settings",
    }
    rows = {name: (leak[name], meaning) for name, meaning in means.items()}
    return Task(number=(number, "the number of your leaks; not a part of them"), **rows)


def _check(at: Attempt, notice: Callable[[dict], dict]) -> str:
    """Each leak's letter goes where it should, holds what helps, and nothing that harms."""
    asked = leaks(at.task["number"])
    for n, leak in enumerate(asked, 1):
        who = f"leak {n}"
        at.values.update(leak=n, total=_LEAKS)
        try:
            given = notice(copy.deepcopy(leak))
        except Exception as error:
            if leak["owner"] is None:
                at.note(who, "nobody knows its owner", f"your function ended with {error!r}")
                return "nobody_told"
            raise
        read = _read(given, leak)
        at.note(who, "the letter goes to", ", ".join(read.to) or "nobody")
        found = (
            _receivers(at, read.to, leak, asked)
            or _harm(at, read, leak)
            or _lack(at, read, leak, asked)
        )
        if found:
            return found
        at.note(who, "what the reader needs, and no record", "so it is")
    return RIGHT


def _read(given: object, leak: dict) -> Letter:
    """A letter from what the learner's function returned; the case of the names does not count."""
    names = {name.casefold(): name for name in ("to", *PARTS, *MORE)}
    if not isinstance(given, Mapping):
        raise BadAnswer(
            f"`notice` must return a dict with the parts to, {', '.join(PARTS)}; it returned a "
            f"{type(given).__name__}"
        )
    parts = {}
    for key, value in given.items():
        name = names.get(str(key).strip().casefold())
        if name is None:
            raise BadAnswer(
                f"`notice` returned a part {key!r}. The parts are to, {', '.join(PARTS)}; "
                f"{' and '.join(MORE)} may be there too"
            )
        parts[name] = value
    rows = parts.pop("Tables", {})
    if not isinstance(rows, Mapping) or not all(_is_count(n) for n in rows.values()):
        raise BadAnswer(
            '"Tables" must be a dict: the name of each table, with its number of rows as an int; '
            f"it is {rows!r}"
        )
    to = _addresses(parts.pop("to", []), leak)
    for name, value in parts.items():
        if not isinstance(value, str):
            raise BadAnswer(f'"{name}" must be a str; it is a {type(value).__name__}')
    return Letter(to, {str(name): int(n) for name, n in rows.items()}, parts)


def _is_count(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _addresses(to: object, leak: dict) -> list[str]:
    shape = '"to" must be a list of addresses, each a str'
    if not isinstance(to, list | tuple | set):
        raise BadAnswer(f"{shape}; it is {to!r}")
    if leak["owner"] is None and None in to:
        if any(to):
            raise BadAnswer(f"{shape}; there is a None in it, where nobody knows the owner")
        to = []
    if not all(isinstance(each, str) for each in to):
        raise BadAnswer(f"{shape}; it is {to!r}")
    return sorted(parseaddr(each)[1].casefold() or each for each in to)


def _receivers(at: Attempt, to: list[str], leak: dict, asked: list[dict]) -> str:
    """What is wrong with who gets the letter, or nothing."""
    known = {leak[name] for name in ("owner", "provider", "newspaper", "finder")}
    elsewhere = {other[name] for other in asked for name in ("owner", "provider", "finder")}
    if leak["newspaper"] in to:
        return "public_first"
    if strangers := set(to) - known:
        at.values["found"] = min(strangers)
        return "another_leak" if strangers <= elsewhere else "somebody_else"
    if leak["owner"] is None and leak["provider"] not in to:
        return "nobody_told"
    if leak["owner"] is not None and leak["owner"] not in to:
        return "owner_not_told"
    return ""


def _harm(at: Attempt, read: Letter, leak: dict) -> str:
    """What stands in the letter and must not, or nothing."""
    text = "\n".join([*read.texts.values(), *read.rows])
    if leak["newspaper"] in text.casefold():
        return "public_first"
    for key, value in leak["record"].items():
        if piece := letter.piece_in(text, _pieces(leak, key, value)):
            at.note(f"leak {at.values['leak']}", f"a piece of the {key} of the record", piece)
            at.values.update(key=key, found=piece)
            return "record_attached"
    if piece := letter.piece_in(text, letter.pieces(leak["password"])):
        at.note(f"leak {at.values['leak']}", "a piece of the password", piece)
        at.values["found"] = piece
        return "password_quoted"
    for part, words in read.texts.items():
        if part != "Seen" and (found := letter.demand(words)):
            at.values.update(part=part, found=found)
            return "demand_made"
    return ""


def _pieces(leak: dict, key: str, value: str) -> set[str]:
    """The pieces of a value that tell whose it is, and stand in nothing that a letter may hold."""
    if key == "phone":  # the digits before are those of every invented number
        return {letter.bare(value)[-letter.PIECE :]}
    shared = letter.bare(_ALL_NAMES) if key == "name" else ""
    seen = datetime.fromisoformat(leak["seen"])
    allowed = [leak["address"], leak["port"], leak["command"], leak["finder"], leak["tables"]]
    for each in (seen, seen.astimezone(UTC)):
        allowed.append(f"{each:%Y%m%d%H%M%S %d%m%Y%H%M} on {each:%H%M%S}")
    plain = letter.bare(" ".join(map(str, allowed)))
    found = letter.pieces(value) - letter.pieces(shared)
    return {piece for piece in found if piece not in plain}


def _lack(at: Attempt, read: Letter, leak: dict, asked: list[dict]) -> str:
    """What the reader needs and does not find in its part, or nothing."""
    texts = {part: " ".join(text.split()) for part, text in read.texts.items()}
    for part in PARTS:
        if part != "Tables" and not texts.get(part):
            at.values["part"] = part
            return "part_left_out"
    if not _stands(leak["address"], texts["Where"]) or not _stands(leak["port"], texts["Where"]):
        others = [other["address"] for other in asked if other["address"] != leak["address"]]
        found = next((each for each in others if _stands(each, texts["Where"])), "")
        at.values["found"] = found
        return "another_leak" if found else "no_address"
    if str(leak["engine"]).casefold() not in texts["What"].casefold():
        return "no_engine"
    if wrong := _rows(at, read.rows, leak["tables"]):
        return wrong
    here = datetime.fromisoformat(leak["seen"])
    if wrong := letter.moment(texts["Seen"], here.astimezone(UTC), here):
        at.values["seen"] = texts["Seen"]
        return wrong
    if wrong := _steps_told(at, texts, leak):
        return wrong
    if " ".join(leak["command"].split()) not in texts["Check"]:
        return "no_command"
    kept = {each for each in _KEPT if each in texts["We kept"].casefold()}
    if leak["kept"] not in kept or kept - {leak["kept"], "no record"}:
        at.values["kept"] = leak["kept"]
        return "kept_untrue"
    return "" if leak["finder"] in texts["Contact"].casefold() else "no_way_back"


def _stands(value: object, text: str) -> bool:
    """Whether an address or a number stands in the text, and not as a part of a longer one."""
    return bool(re.search(rf"(?<!\d)(?<!\d\.){re.escape(str(value))}(?!\.?\d)", text))


def _rows(at: Attempt, given: dict[str, int], right: dict[str, int]) -> str:
    """What is wrong with the tables, or nothing."""
    for table, rows in right.items():
        if given.get(table) != rows:
            at.values.update(table=table, rows=f"{rows:,}")
            mixed = set(given) == set(right) and sorted(given.values()) == sorted(right.values())
            return "rows_mixed" if mixed else "nothing_seen"
    if strange := set(given) - set(right):
        at.values["table"] = min(strange)
        return "nothing_seen"
    return ""


def _steps_told(at: Attempt, texts: dict[str, str], leak: dict) -> str:
    """What is wrong with the steps, in "First" and elsewhere, or nothing.

    A full stop at the end of a step does not count, nor does a step that the letter forbids.
    """
    steps = {step.format(leak["port"]).rstrip("."): name for name, step in _STEPS.items()}
    for part in sorted(texts, key="First".__ne__):
        named = [step for step in steps if letter.tells(texts[part], step)]
        if part == "First" and not named:
            return "no_first"
        for step in named:
            if wrong := steps[step].strip():
                at.values.update(part=part, found=step)
                return wrong if part == "First" else "wrong_step_elsewhere"
    return ""


QUESTION = Question(asks={"notice": Callable}, check=_check, task=_task)
