"""Exercise 14, question 4: storing passwords, and bringing old records up at the login."""

import base64
import contextlib
import hashlib
import re
import secrets
import time
from collections.abc import Callable
from numbers import Integral

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from leftopen.checks.hash_and_pseudonymise_keys import SEEDED, elsewhere, seed, seeds_kept
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
_PRICE = 0.3  # the share of an honest record's time below which a record is of something else
_SALT_BITS = 12  # two random salts of 8 bytes differ in 32 bits, in less than 12 as good as never
_LEAST_HASH = 16  # bytes of the hash in a record

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


def strong(stored: str) -> bool:
    """Whether a record is Argon2id with OWASP's parameters or more."""
    if not (found := _PHC.fullmatch(stored)):
        return False
    given = dict(part.split("=") for part in found[1].split(","))
    passes, memory = int(given.get("t", 0)), int(given.get("m", 0))
    return passes > 0 and memory >= LEAST[min(passes, max(LEAST))]


def _passwords(at: Attempt, store: Callable, login: Callable) -> str:
    """New records are strong; the right word gets in, and only it brings an old record up."""
    word, wrong = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    if found := _stored(at, store, word) or _logins(at, store, login, word, wrong):
        return found
    old = _old(at.task["scheme"], word, secrets.token_hex(6))
    weak = _weak(word, secrets.token_bytes(16))
    for record, kind in ((old, "an old record"), (weak, "a weak record")):
        found = _refused(at, login, record, kind, wrong) or _upgrade(
            at, login, record, kind, word, wrong
        )
        if found:
            return found
    return _weaker(at, login, word) or _broken(at, login, old, word) or RIGHT


# -- a new record --------------------------------------------------------------------------------


def _stored(at: Attempt, store: Callable, word: str) -> str:
    """What is wrong with a new record, or nothing."""
    made, took, again = _twice(store, word)
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
    if not _is_argon2id(made, word, took):
        at.note("store", "time of the processor", "far less than these parameters take")
        return "another_coat"
    if len(_bytes(made.split("$")[5])) < _LEAST_HASH:
        at.values["bits"] = 8 * len(_bytes(made.split("$")[5]))
        at.note("store", "the hash in the record", f"{at.values['bits']} bits")
        return "short_hash"
    return _salts(at, store, word, made, again)


def _twice(store: Callable, word: str) -> tuple[object, float, object]:
    """Two records after the same seed; the least time of the processor of the two."""
    made, took = [], []
    with seeds_kept():
        for _ in range(2):
            seed()
            begin = time.process_time()  # Argon2id may work in threads of its own
            made.append(store(word))
            took.append(time.process_time() - begin)
    return made[0], min(took), made[1]


def _is_argon2id(made: str, word: str, took: float) -> bool:
    """Whether the record is what it says. A pepper shows in the time alone: that it took it."""
    begin = time.thread_time()
    with contextlib.suppress(InvalidKey):
        Argon2id.verify_phc_encoded(word.encode(), made)
        return True
    return took > _PRICE * (time.thread_time() - begin)


def _salts(at: Attempt, store: Callable, word: str, made: str, again: str) -> str:
    salts = [_bytes(each.split("$")[4]) for each in (made, again)]
    same = salts[0] == salts[1]
    if same and _bytes(store(word).split("$")[4]) != salts[0]:
        at.note(
            "store", f"the same password twice, from the same seed of {SEEDED}", "the same salt"
        )
        return "poor_salt"
    at.note("store", "the same password twice", "the same salt" if same else "another salt")
    if same:
        return "one_salt"
    differ = sum((a ^ b).bit_count() for a, b in zip(*salts, strict=False))
    if len(salts[0]) == len(salts[1]) and differ < _SALT_BITS:
        at.note("store", "bits in which two salts differ", "a few")
        return "poor_salt"
    if _goes_on(lambda: store(word).split("$")[4]):
        at.note("store", "in two copies of this process", "the same salt")
        return "poor_salt"
    return ""


def _goes_on(salt: Callable[[], str]) -> bool:
    """Whether two copies of this process go on with the same salt, as any generator with a seed."""
    one = elsewhere(salt)
    return one is not None and one == elsewhere(salt)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _hidden(word: str, made: str) -> bool:
    forms = (base64.b64encode(word.encode()).decode().rstrip("="), word.encode().hex(), word[::-1])
    return any(form in made for form in forms)


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
    long = f"Ä{word}".ljust(_LONG, "x")
    record = store(long)
    gets_in, _ = _try(login, record, f"{long[:-1]}y")
    at.note("a password of 90 characters", "its last character changed", _told(gets_in))
    if gets_in:
        return "cut_off"
    alike = {
        "large letters for small ones and small for large": long.swapcase(),
        "another letter for the Ä": f"Ö{long[1:]}",
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
