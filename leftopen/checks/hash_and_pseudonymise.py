"""Exercise 14: numbers from hashes, what protections leak, pseudonyms, passwords, a rotation."""

import hashlib
import math
import re
from datetime import date
from numbers import Real

import numpy as np

from leftopen import recover
from leftopen.checks import (
    hash_and_pseudonymise_names,
    hash_and_pseudonymise_passwords,
    hash_and_pseudonymise_rotation,
)
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw
from leftopen.synth import identifiers

_EXERCISE = "14"

# -- question 1: a number from its hash ----------------------------------------------------------

_NAMES = ("Ada", "Ben", "Cem", "Dua", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jun")
_SIGNS = "0123456789X"  # the check characters, in the order of their values
_ALIKE = 4  # hexadecimal digits at the beginning that are easily taken for a match


def _sha256(number: str | bytes) -> str:
    raw = number if isinstance(number, bytes) else number.encode()
    return hashlib.sha256(raw).hexdigest()


def _task_1(draw: Draw) -> Task:
    draw = variant(draw, _EXERCISE, 1, of=6)
    district = draw.pick("district", tuple(identifiers.DISTRICTS))
    names = draw.shuffle("names", _NAMES)[:3]
    years, hashes = {}, {}
    for name in names:
        years[name] = 1935 + draw.number(f"year of {name}", 60)
        day = (date(years[name], 1, 1) - recover.FIRST).days + draw.number(f"day of {name}", 365)
        drawn = [district, day, draw.number(f"sequence of {name}", identifiers.SEQUENCES)]
        hashes[name] = _sha256(identifiers.resident_ids(*np.array(drawn)[:, None]).tobytes())
    return Task(
        district=(district, "the district of all three, as recover.numbers takes it"),
        hashes=(hashes, "SHA-256 of each one's identity number"),
        born=(years, "the year of birth, which stood beside the hash"),
        who=(names[0], "whose number is asked for"),
    )


def _number_from_hash(at: Attempt, number: str) -> str:
    """The number has the hash of who is asked for; nothing else is compared."""
    hashes, who = at.task["hashes"], at.task["who"]
    if number.lower() in [h[: len(number)] for h in hashes.values()] and len(number) >= _ALIKE:
        at.note("your answer", "its characters", f"the beginning of a hash, {len(number)} digits")
        return "a_hash"
    if not re.fullmatch(r"\d{17}[\dX]", number):
        at.note("your answer", "its length", f"{len(number)} characters")
        return "no_number"
    found = _sha256(number)
    at.note("your answer", "hash it", f"{found[:16]}…")
    at.note("the copy", f"hash of {who}", f"{hashes[who][:16]}…")
    if found == hashes[who]:
        return RIGHT
    others = [name for name, each in hashes.items() if each == found]
    if others:
        at.values["other"] = others[0]
        return "other_person"
    if found[:_ALIKE] == hashes[who][:_ALIKE]:
        return "begins_alike"
    for place, sign in enumerate(_SIGNS):
        if _sha256(number[:17] + sign) == hashes[who]:
            standard = _SIGNS[place - identifiers.CHECK_SHIFT]  # each here was moved on by it
            return "check_corrected" if number[17] == standard else "check_character"
    if not number.startswith(f"00{at.task['district']:04d}"):
        return "other_district"
    if number[6:10] != str(at.task["born"][who]):
        return "other_year"
    return "another_number"


# -- question 2: what each protection leaks ------------------------------------------------------

WAYS = ("unkeyed", "salted", "argon2id", "keyed")
_NEAR = 0.02


def _task_2(draw: Draw) -> Task:
    draw = variant(draw, _EXERCISE, 2, of=6)
    people = 100 * (7 + draw.number("people", 40))
    visitors = draw.shuffle("visitors", tuple(range(5)))
    came = [*visitors, *(draw.pick(f"visit {n}", visitors) for n in range(3))]
    came = [came[n] for n in draw.shuffle("order", tuple(range(len(came))))]
    return Task(
        people=(people, "people in the register, all of one district; a row each"),
        sha256=(
            1_000_000 * (4 + draw.number("rate", 9)),
            "SHA-256 or HMAC-SHA-256 a second, on the attacker's machine",
        ),
        argon2=(20 + 5 * draw.number("slow rate", 9), "Argon2id a second, on the same machine"),
        **{way: (_column(draw, way, came), _WHAT[way]) for way in WAYS},
    )


_WHAT = {
    "unkeyed": "visits: SHA-256 of the visitor's number, cut to 8 digits for reading",
    "salted": "the same visits: SHA-256 with a salt drawn for each visit, which stands beside it",
    "argon2id": "the same visits: Argon2id with a salt drawn for each person, also beside it",
    "keyed": "the same visits: HMAC-SHA-256 with one key, which is kept elsewhere",
}


def _column(draw: Draw, way: str, came: list[int]) -> list[str]:
    """Stands for eight visits: who came looks alike each time, unless each visit has a salt."""
    said = [f"visit {n}" if way == "salted" else f"visitor {who}" for n, who in enumerate(came)]
    secret = draw.password(way)
    return [_sha256(f"{secret} {each}")[:8] for each in said]


def _seconds(task: Task) -> dict[str, dict[str, float]]:
    """For each way the right seconds, under "", and wrong ones by the name of their near miss."""
    people, fast, slow = task["people"], task["sha256"], task["argon2"]
    district, day = recover.CANDIDATES, identifiers.SEQUENCES
    return {
        "unkeyed": {
            "": district / fast,
            "once_is_enough": people * district / fast,
            "all_can_be_tried": math.inf,
        },
        "salted": {
            "": people * district / fast,
            "salt_needs_each": district / fast,
            "salt_is_public": math.inf,
        },
        "argon2id": {
            "": people * day / slow,
            "salt_is_public": math.inf,
            "date_is_known": people * district / slow,
            "one_person_alone": day / slow,
        },
        "keyed": {
            "": math.inf,
            "key_is_elsewhere": district / fast,
            "key_is_elsewhere ": people * district / fast,
            "all_keys_tried": 2.0**256 / fast,
        },
    }


def _what_leaks(at: Attempt, seconds: dict, visitors: dict) -> str:
    """Seconds to recover the whole register, and visitors that a column tells apart."""
    for name, given in (("seconds", seconds), ("visitors", visitors)):
        if missing := [way for way in WAYS if not isinstance(given.get(way), Real)]:
            raise BadAnswer(
                f"`{name}` has no number for {', '.join(map(repr, missing))}. "
                f"It needs four keys: {', '.join(map(repr, WAYS))}"
            )
    if wrong := [way for way in WAYS if not seconds[way] >= 0]:
        raise BadAnswer(f"`seconds` for {wrong[0]!r} is no time: give 0 or more, or math.inf")
    if wrong := [way for way in WAYS if visitors[way] not in range(1, 9)]:
        raise BadAnswer(f"`visitors` for {wrong[0]!r} is none of the whole numbers from 1 to 8")
    for way, values in _seconds(at.task).items():
        if not _is(seconds[way], values[""]):
            at.note("your answer", f"seconds for {way}", f"{seconds[way]:,.4g}")
            at.values["way"] = way
            return _which_mistake(seconds[way], values)
    right = [_seconds(at.task)[way][""] for way in WAYS]
    told = ["never" if math.isinf(each) else f"{each:,.1f} s" for each in right]
    at.note("the whole register", ", ".join(WAYS), "; ".join(told))
    for way in WAYS:
        told = len(set(at.task[way]))
        if visitors[way] != told:
            at.note("your answer", f"visitors by {way}", f"{visitors[way]:,}")
            at.values["way"] = way
            if way == "salted":
                return "salt_parts"
            if visitors[way] < told:
                return "visitors_missed"
            return "protected_still_joins" if way != "unkeyed" else "visits_counted"
        at.note(f"the column {way}", "different values", str(told))
    return RIGHT


def _which_mistake(given: float, values: dict[str, float]) -> str:
    for name, value in values.items():
        if name and _is(given, value):
            return name.strip()
    return "half_of_it" if _is(given, values[""] / 2) else "other_seconds"


def _is(given: float, value: float) -> bool:
    return given == value or abs(given - value) <= _NEAR * min(value, 1e300)


QUESTIONS = {
    1: Question({"number": str}, _number_from_hash, _task_1, value=True),
    2: Question({"seconds": dict, "visitors": dict}, _what_leaks, _task_2, value=True),
    3: hash_and_pseudonymise_names.QUESTION,
    4: hash_and_pseudonymise_passwords.QUESTION,
    5: hash_and_pseudonymise_rotation.QUESTION,
}
