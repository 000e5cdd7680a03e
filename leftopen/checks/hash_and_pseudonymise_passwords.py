"""Exercise 14, question 4: storing passwords, and bringing old records up at the login."""

import base64
import hashlib
import re
import secrets
import time
from types import FunctionType

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.learner import Draw

# OWASP, Password Storage Cheat Sheet: for each number of passes the least memory, in KiB; these
# are called equal in defence. Claim HP5 of the ledger.
LEAST = {1: 47_104, 2: 19_456, 3: 12_288, 4: 9_216, 5: 7_168}
_PHC = re.compile(r"\$argon2id\$v=\d+\$([a-z=\d,]+)\$[A-Za-z\d+/]+\$[A-Za-z\d+/]+=*")
_FAST = 0.005  # seconds of the processor; a fast hash takes a thousandth of it
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


def _weak(password: str, salt: bytes) -> str:
    """A record of Argon2id with a twentieth of the memory."""
    made = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=1024)
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


def strong(stored: str) -> bool:
    """Whether a record is Argon2id with OWASP's parameters or more."""
    if not (found := _PHC.fullmatch(stored)):
        return False
    given = dict(part.split("=") for part in found[1].split(","))
    passes, memory = int(given.get("t", 0)), int(given.get("m", 0))
    return passes > 0 and memory >= LEAST[min(passes, max(LEAST))]


def _passwords(at: Attempt, store: FunctionType, login: FunctionType) -> str:
    """New records are strong; the right word gets in, and only it brings an old record up."""
    word, wrong = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    if found := _stored(at, store, word) or _logins(at, store, login, word, wrong):
        return found
    scheme = at.task["scheme"]
    old = _old(scheme, word, secrets.token_hex(6))
    weak = _weak(word, secrets.token_bytes(16))
    for record, kind in ((old, "old"), (weak, "weak")):
        if found := _upgrade(at, login, record, kind, word, wrong):
            return found
    return RIGHT


def _stored(at: Attempt, store: FunctionType, word: str) -> str:
    """What is wrong with a new record, or nothing."""
    begin = time.thread_time()
    made = store(word)
    took = time.thread_time() - begin
    if not isinstance(made, str):
        raise BadAnswer(f"`store` returned a {type(made).__name__}, and it has to return a str")
    if word in made or _hidden(word, made):
        at.note("store", "look for the password in the record", "there it is")
        return "readable"
    if not made.startswith("$argon2id$"):
        slow = took > _FAST
        at.note("store", "time of the processor", "slow on purpose" if slow else "next to nothing")
        return "another_function" if slow else "fast_hash"
    if not _PHC.fullmatch(made):
        raise BadAnswer(
            "`store` returned a text that begins with $argon2id$, and is no record in the usual "
            "form. Argon2id(…).derive_phc_encoded(…) makes one"
        )
    at.note("store", "parameters", made.split("$")[3])
    if not strong(made):
        return "too_weak"
    again = store(word)
    same_salt = again.split("$")[-2] == made.split("$")[-2]
    at.note("store", "the same password twice", "the same salt" if same_salt else "another salt")
    return "one_salt" if same_salt else ""


def _hidden(word: str, made: str) -> bool:
    forms = (base64.b64encode(word.encode()).decode().rstrip("="), word.encode().hex(), word[::-1])
    return any(form in made for form in forms)


def _try(login: FunctionType, stored: str, password: str) -> tuple[bool, str]:
    answer = login(stored, password)
    if (
        not isinstance(answer, tuple)
        or len(answer) != 2
        or not isinstance(answer[0], bool)
        or not isinstance(answer[1], str)
    ):
        raise BadAnswer(
            "`login` has to return two things, as in `return True, stored`: whether the person "
            "gets in (a bool), and the record that is kept from now on (a str)"
        )
    return answer


def _logins(at: Attempt, store: FunctionType, login: FunctionType, word: str, wrong: str) -> str:
    """What is wrong with logins on a new record, or nothing."""
    fresh = store(word)
    gets_in, kept = _try(login, fresh, word)
    at.note("a new record", "the right password", _told(gets_in))
    if not gets_in or not strong(kept):
        return "right_refused"
    if kept != fresh and not _try(login, kept, word)[0]:
        return "right_refused"
    gets_in, kept = _try(login, fresh, wrong)
    at.note("a new record", "a wrong password", _told(gets_in))
    if gets_in:
        return "compares_nothing"
    if kept != fresh:
        return "upgraded_for_anyone"
    long = word + "x" * (_LONG - len(word))
    gets_in, _ = _try(login, store(long), f"{long[:-1]}y")
    at.note("a password of 90 characters", "its last character changed", _told(gets_in))
    return "cut_off" if gets_in else ""


def _upgrade(
    at: Attempt, login: FunctionType, record: str, kind: str, word: str, wrong: str
) -> str:
    """What is wrong with logins on a record of an older kind, or nothing."""
    gets_in, kept = _try(login, record, wrong)
    at.note(f"an {kind} record" if kind == "old" else "a weak record", "a wrong password",
            f"{_told(gets_in)}, the record {_changed(kept != record)}")  # fmt: skip
    if gets_in:
        return "old_compares_nothing"
    if kept != record:
        return "upgraded_for_anyone"
    gets_in, kept = _try(login, record, word)
    at.note(f"an {kind} record" if kind == "old" else "a weak record", "the right password",
            f"{_told(gets_in)}, the record {_changed(kept != record)}")  # fmt: skip
    if not gets_in:
        return "old_shut_out" if kind == "old" else "weak_shut_out"
    if record.split("$")[-1] in kept and kept != record:
        return "old_hash_kept"
    if not strong(kept):
        return "never_upgraded" if kind == "old" else "weak_stays"
    if not _try(login, kept, word)[0]:
        at.note("the record after that", "the right password again", _told(False))
        return "second_time_out"
    return "compares_nothing" if _try(login, kept, wrong)[0] else ""


def _told(gets_in: bool) -> str:
    return "gets in" if gets_in else "refused"


def _changed(changed: bool) -> str:
    return "changed" if changed else "as it was"


QUESTION = Question(
    asks={"store": FunctionType, "login": FunctionType}, check=_passwords, task=_task
)
