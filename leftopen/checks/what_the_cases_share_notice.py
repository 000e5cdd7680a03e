"""Exercise 04, question 5: a notice that an owner can act on, and that harms nobody.

The learner's function is called for several leaks. What its letter must hold and must not hold was
put into each of them, so that nothing is judged by taste. All of it is invented; the addresses are
kept for examples (RFC 5737, RFC 6761).
"""

import copy
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

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
_WORDS = "rewards?|bounty|bounties|payments?|fees?|donations?|compensations?|invoices?"
_MONEY = re.compile(
    rf"\b({_WORDS}|(pay|send|transfer|owe) (me|us)|you (must |have to |should )?pay|please pay)\b",
    re.IGNORECASE,
)
_CURRENCY = r"[€$£]|\b(EUR|USD|GBP|BTC|XMR)\b"
_AMOUNT = re.compile(
    rf"({_CURRENCY})\s?\d|\d\s?({_CURRENCY})|\d\s?(euros?|dollars?|bitcoins?)\b", re.IGNORECASE
)
_DENIED = re.compile(r"\b(no|not|nothing|never|none|neither|nor|without)\b|n['’]t\b", re.IGNORECASE)
_CONDITION = re.compile(r"\b(if|unless|until|else|but)\b", re.IGNORECASE)
_CLAUSE = re.compile(r",|\b(?:unless|until|else|but)\b", re.IGNORECASE)
_TELLING = 7  # digits of a number that tell whose it is
_ZONE = re.compile(r"\b(UTC|GMT)\b|\+00:?00|\d\s?Z\b", re.IGNORECASE)

_LOOKED_FOR = {
    "record_attached": ("look in the letter for a value of the record", "there it is"),
    "password_quoted": ("look in the letter for the password", "there it is"),
    "reward_asked": ("look in the letter for an amount, or a reward that is asked for", "found"),
    "no_address": ("look in the letter for address and port", "not both are there"),
    "nothing_seen": ("look in the letter for each table and its number of rows", "not all there"),
    "no_time": ("look in the letter for day, hour and minute, in UTC", "not there"),
    "local_time": ("look in the letter for day, hour and minute, in UTC", "not there"),
    "no_zone": ("look in the letter for the word UTC", "not there"),
    "no_command": ("look in the letter for the command", "not there"),
    "no_way_back": ("look in the letter for the finder's address", "not there"),
}


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
    person = draw.number(f"person {n}", 100_000)
    phone = identifiers.telephones(np.array([person]), 4).tobytes().decode()
    return {"name": f"Person-{person:07}", "number": number, "phone": phone}


def _task(draw: Draw) -> Task:
    number = draw.number("leaks", _VARIANTS)
    leak = leaks(number)[0]
    means = {
        "address": "of the server",
        "port": "at which it answered without a login",
        "engine": "what answered",
        "tables": "what stood in it, with the number of rows",
        "seen": "when you saw it, by your own clock",
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
    for n, leak in enumerate(leaks(at.task["number"]), 1):
        who = f"leak {n}"
        at.values.update(leak=n, total=_LEAKS)
        try:
            to, text = _parts(notice(copy.deepcopy(leak)))
        except Exception as error:
            if leak["owner"] is None:
                at.note(who, "nobody knows its owner", type(error).__name__)
                return "nobody_told"
            raise
        at.note(who, "the letter goes to", ", ".join(to) or "nobody")
        if found := _harm(leak, to, text) or _lack(at, leak, text):
            if found in _LOOKED_FOR:
                at.note(who, *_LOOKED_FOR[found])
            return found
        at.note(who, "what the reader needs, and no record", "so it is")
    return RIGHT


def _parts(answer: object) -> tuple[list[str], str]:
    shape = '`notice` must return a dict with "to", a list of addresses, and "text", a str'
    if not isinstance(answer, Mapping) or not {"to", "text"} <= set(answer):
        raise BadAnswer(f"{shape}; it returned a {type(answer).__name__}")
    to, text = answer["to"], answer["text"]
    if not isinstance(to, list | tuple | set) or not all(isinstance(each, str) for each in to):
        raise BadAnswer(f'{shape}; "to" is {to!r}')
    if not isinstance(text, str):
        raise BadAnswer(f'{shape}; "text" is a {type(text).__name__}')
    return sorted(to), text


def _harm(leak: dict, to: list[str], text: str) -> str:
    """What the letter does that it must not, or nothing."""
    known = {leak[name] for name in ("owner", "provider", "newspaper", "finder")}
    if leak["newspaper"] in to:
        return "public_first"
    if set(to) - known:
        return "somebody_else"
    if leak["owner"] is None and leak["provider"] not in to:
        return "nobody_told"
    if leak["owner"] is not None and leak["owner"] not in to:
        return "owner_not_told"
    if any(_tells(text, value) for value in leak["record"].values()):
        return "record_attached"
    if leak["password"] in text:
        return "password_quoted"
    return "reward_asked" if asks_for_money(text) else ""


def _tells(text: str, value: str) -> bool:
    """Whether a value stands in the text, or the last digits of it, however it is written."""
    plain, digits = _bare(text), re.sub(r"\D", "", value)[-_TELLING:]
    return _bare(value) in plain or digits in plain


def _bare(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def asks_for_money(text: str) -> bool:
    """Whether an amount stands in the text, or a reward that is spoken of and not denied.

    A denial counts for its sentence; in a sentence with a condition, for its clause.
    """
    if _AMOUNT.search(text):
        return True
    plain = re.sub(r"\bnot? later than\b", "", text, flags=re.IGNORECASE)
    for sentence in re.split(r"[.;:!?\n]+", plain):
        clauses = _CLAUSE.split(sentence) if _CONDITION.search(sentence) else [sentence]
        if any(_MONEY.search(clause) and not _DENIED.search(clause) for clause in clauses):
            return True
    return False


def _lack(at: Attempt, leak: dict, text: str) -> str:
    """What the reader needs and does not find, or nothing."""
    plain = re.sub(r"(?<=\d)[,.'’_\u00a0\u202f ](?=\d{3}\b)", "", text)
    address = re.escape(str(leak["address"]))
    if not re.search(rf"(?<![\d.]){address}(?!\.?\d)", text) or not _has(leak["port"], text):
        return "no_address"
    for table, rows in leak["tables"].items():
        if table not in text or not (_has(rows, text) or _has(rows, plain)):
            at.values["table"] = table
            return "nothing_seen"
    if told := _time(datetime.fromisoformat(str(leak["seen"])), text):
        return told
    if " ".join(str(leak["command"]).split()) not in " ".join(text.split()):
        return "no_command"
    return "" if leak["finder"] in text else "no_way_back"


def _has(number: object, text: str) -> bool:
    return bool(re.search(rf"(?<!\d){number}(?!\d)", text))


def _time(seen: datetime, text: str) -> str:
    """What is wrong with the time in the text, or nothing."""
    if _stands(seen.astimezone(UTC), text):
        return "" if _ZONE.search(text) else "no_zone"
    return "local_time" if _stands(seen, text) else "no_time"


def _stands(moment: datetime, text: str) -> bool:
    """Whether a moment stands in the text, in one of the usual forms of a day."""
    text = re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text)
    forms = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"]
    for month in ("%B", "%b"):
        for day in ("%d", str(moment.day)):
            forms += [f"{day} {month} %Y", f"{month} {day}, %Y"]
    days = [moment.strftime(form) for form in forms]
    hours = [f"{moment:%H:%M}", f"{moment:%H.%M}", f"{moment.hour}:{moment:%M}"]
    hours += [f"{moment.hour % 12 or 12}:{moment:%M} "]
    return any(day in text for day in days) and any(
        re.search(rf"(?<![\d:]){re.escape(hour)}", text) for hour in hours
    )


QUESTION = Question(asks={"notice": Callable}, check=_check, task=_task)
