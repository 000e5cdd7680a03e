"""Exercise 14, question 4: storing passwords, and bringing old records up at the login."""

import contextlib
import hashlib
import inspect
import secrets
from collections.abc import Callable
from numbers import Integral

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from leftopen.checks.hash_and_pseudonymise_records import (
    LEAST,
    new_record,
    parameters,
    plain,
    strong,
)
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

_LONG = 90  # characters; bcrypt, for one, takes 72 bytes

# How a record of the old scheme is made: the name of the hash, and what is hashed.
_SCHEMES = {
    "sha256(salt + password)": lambda salt, word: hashlib.sha256(salt + word).hexdigest(),
    "sha256(password + salt)": lambda salt, word: hashlib.sha256(word + salt).hexdigest(),
    "sha512(salt + password)": lambda salt, word: hashlib.sha512(salt + word).hexdigest(),
    "sha1(password + salt)": lambda salt, word: hashlib.sha1(word + salt).hexdigest(),
}


def _old(scheme: str, password: str, salt: str) -> str:
    return f"old${salt}${_SCHEMES[scheme](salt.encode(), password.encode())}"


def _weak(password: str, salt: bytes, memory: int = 1024, passes: int = 1) -> str:
    """A record of Argon2id with a twentieth of the memory, or with what is given."""
    made = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=memory)
    return made.derive_phc_encoded(password.encode())


def _task(draw: Draw) -> Task:
    draw = variant(draw, "14", 4, of=4)
    scheme, password = draw.pick("scheme", tuple(_SCHEMES)), draw.password("password", 16)
    salt = draw.password("salt", 12)
    return Task(
        scheme=(scheme, "how old records were made; salt and password as UTF-8, in hexadecimal"),
        password=(password, "the password of an account, to try it with"),
        old=(_old(scheme, password, salt), 'its old record: "old", the salt and the hash'),
        weak=(
            _weak(password, salt.encode()),
            "a record of the same password, from a year when less memory was thought enough",
        ),
    )


def _passwords(at: Attempt, store: Callable, login: Callable) -> str:
    """New records are strong; the right word gets in, and only it brings an old record up."""
    if not _takes(store, 1) and _takes(login, 1):
        raise BadAnswer("`store` takes the password alone, `login` a record and a password. "
                        "Are the two in the wrong order? ex.check(4, store, login)")  # fmt: skip
    word, wrong = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    if found := new_record(at, store, word) or _logins(at, store, login, word, wrong):
        return found
    old = _old(at.task["scheme"], word, secrets.token_hex(6))
    weak = _weak(word, secrets.token_bytes(16))
    for record, kind in ((old, "an old record"), (weak, "a weak record")):
        found = _refused(at, login, record, kind, wrong) or _upgrade(
            at, login, record, kind, word, wrong
        )
        if found:
            return _of_what(found, store, word)
    return (
        _of_what(_weaker(at, login, word), store, word)
        or _stronger(at, store, login, word)
        or _broken(at, login, old, word)
        or RIGHT
    )


def _takes(function: Callable, count: int) -> bool:
    """Whether a function may be called with so many arguments, as far as it says."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # nothing is known about it
        return True
    if any(each.kind is each.VAR_POSITIONAL for each in given):
        return True
    places = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return sum(p.default is p.empty for p in places) <= count <= len(places)


def _of_what(found: str, store: Callable, word: str) -> str:
    """Whether a weak record is refused because something is done to each password before."""
    return "prepared_always" if found == "weak_shut_out" and not plain(store(word), word) else found


# -- logins --------------------------------------------------------------------------------------


def _try(login: Callable, stored: str, password: str) -> tuple[bool, str]:
    answer = login(stored, password)
    if (
        not isinstance(answer, tuple | list)
        or len(answer) != 2
        or not (isinstance(answer[0], bool | Integral) and answer[0] in (0, 1))
        or not isinstance(answer[1], str)
    ):
        raise BadAnswer(
            "`login` has to return two things, as in `return True, stored`: whether the person "
            "gets in (a bool), and the record that is kept from now on (a str)"
        )
    return bool(answer[0]), answer[1]


def _logins(at: Attempt, store: Callable, login: Callable, word: str, wrong: str) -> str:
    """What is wrong with logins on a new record, or nothing."""
    fresh = store(word)
    gets_in, kept = _try(login, fresh, word)
    at.note("a new record", "the right password", _told(gets_in))
    if not gets_in or not strong(kept):
        return "right_refused"
    if kept != fresh and not _try(login, kept, word)[0]:
        return "right_refused"
    if found := _refused(at, login, fresh, "a new record", wrong):
        return found
    if kept != fresh:
        at.note("a new record", "after the right password", "another one")
        return "rewritten_each_time"
    long = f"Ä{word}".ljust(_LONG, "x")
    record = store(long)
    gets_in, _ = _try(login, record, f"{long[:-1]}y")
    at.note("a password of 90 characters", "its last character changed", _told(gets_in))
    if gets_in:
        return "cut_off"
    alike = {
        "large letters for small ones and small for large": long.swapcase(),
        "another letter for the Ä": f"Ö{long[1:]}",
        "a blank at the end": f"{long} ",
        "a blank at the beginning": f" {long}",
        "a new line at the end": f"{long}\n",
        "a tabulator at the beginning": f"\t{long}",
    }
    for what, other in alike.items():
        if _try(login, record, other)[0]:
            at.values["what"] = what
            at.note("a password with an Ä", what, _told(True))
            return "words_alike"
    return ""


def _refused(at: Attempt, login: Callable, record: str, kind: str, wrong: str) -> str:
    """What is wrong with logins that have to be refused, or nothing."""
    at.values["record"] = kind
    try:
        gets_in, kept = _try(login, record, wrong)
    except BadAnswer:
        raise
    except Exception as error:  # the right password was tried before: this is about the wrong one
        at.values["error"] = type(error).__name__
        at.note(kind, "a wrong password", f"raises {type(error).__name__}")
        return "wrong_raises"
    at.note(kind, "a wrong password", f"{_told(gets_in)}, the record {_changed(kept != record)}")
    if gets_in:
        return "compares_nothing" if kind == "a new record" else "old_compares_nothing"
    if kept != record:
        return "upgraded_for_anyone" if _opens(login, kept, wrong) else "record_lost"
    doors = {
        "an empty password": "",
        "the record itself": record,
        "the hash that stands in the record": record.split("$")[-1],
    }
    for what, other in doors.items():
        if _opens(login, record, other):
            at.values["what"] = what
            at.note(kind, what, _told(True))
            return "door_beside"
    return ""


def _opens(login: Callable, record: str, password: str) -> bool:
    """Whether a login succeeds; an error lets nobody in."""
    with contextlib.suppress(Exception):
        return _try(login, record, password)[0]
    return False


def _upgrade(at: Attempt, login: Callable, record: str, kind: str, word: str, wrong: str) -> str:
    """What is wrong with the right password on a record of an older kind, or nothing."""
    gets_in, kept = _try(login, record, word)
    at.note(kind, "the right password", f"{_told(gets_in)}, the record {_changed(kept != record)}")
    if not gets_in:
        return "old_shut_out" if kind == "an old record" else "weak_shut_out"
    if record.split("$")[-1] in kept and kept != record:
        return "old_hash_kept"
    if not strong(kept):
        return _not_strong(at, record, kept)
    if not _try(login, kept, word)[0]:
        at.note("the record after that", "the right password again", _told(False))
        return "second_time_out"
    return "compares_nothing" if _opens(login, kept, wrong) else ""


def _not_strong(at: Attempt, record: str, kept: str) -> str:
    if kept != record:
        at.note("the record after that", "its parameters", [*kept.split("$"), "", "", ""][3])
        return "renewed_too_weak"
    if record.startswith("old$"):
        return "never_upgraded"
    at.values["parameters"] = record.split("$")[3]
    return "weak_stays"


def _weaker(at: Attempt, login: Callable, word: str) -> str:
    """Whether other weak records are brought up too: with more memory, and with fewer passes."""
    for memory, passes in ((4096 + 1024 * secrets.randbelow(8), 2), (LEAST[2], 1)):
        record = _weak(word, secrets.token_bytes(16), memory, passes)
        gets_in, kept = _try(login, record, word)
        if not gets_in:
            return "weak_shut_out"
        if not strong(kept):
            return _not_strong(at, record, kept)
    at.note("weak records with other parameters", "the right password", "brought up")
    return ""


def _stronger(at: Attempt, store: Callable, login: Callable, word: str) -> str:
    """Whether a record stays that takes more memory and more passes than those of `store`."""
    made = store(word)
    if not plain(made, word):  # nobody but `login` can make such a record
        return ""
    memory, passes, lanes = parameters(made)
    more = Argon2id(
        salt=secrets.token_bytes(16), length=32, lanes=lanes, iterations=passes + 1,
        memory_cost=memory + 1024 * (8 + secrets.randbelow(8)),
    )  # fmt: skip
    record = more.derive_phc_encoded(word.encode())
    gets_in, kept = _try(login, record, word)
    told = f"{_told(gets_in)}, the record {_changed(kept != record)}"
    at.note("a record stronger than those of `store`", "the right password", told)
    if not gets_in:
        return "strong_shut_out"
    return "" if kept == record else "made_weaker"


def _broken(at: Attempt, login: Callable, old: str, word: str) -> str:
    """Whether a record that is damaged lets somebody in."""
    last = "0" if old[-1] != "0" else "1"
    if _opens(login, old[:-1] + last, word):
        at.note("an old record, its last digit changed", "the password", _told(True))
        return "compares_a_part"
    for record in ("", "old$", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$$"):
        if _opens(login, record, word):
            at.note("a record that is cut off", "any password", _told(True))
            return "fails_open"
    at.note("damaged records", "any password", _told(False))
    return ""


def _told(gets_in: bool) -> str:
    return "gets in" if gets_in else "refused"


def _changed(changed: bool) -> str:
    return "changed" if changed else "as it was"


QUESTION = Question(asks={"store": Callable, "login": Callable}, check=_passwords, task=_task)
