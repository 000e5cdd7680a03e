"""Exercise 14, question 4: a new record of a password, its price and its salt."""

import base64
import contextlib
import re
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from leftopen.checks.hash_and_pseudonymise_keys import (
    SEEDED,
    bytes_asked,
    elsewhere,
    seed,
    seeds_kept,
)
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt

# OWASP, Password Storage Cheat Sheet: for each number of passes the least memory, in KiB; these
# are called equal in defence. Claim HP5 of the ledger.
LEAST = {1: 47_104, 2: 19_456, 3: 12_288, 4: 9_216, 5: 7_168}
_PHC = re.compile(r"\$argon2id\$v=\d+\$([a-z=\d,]+)\$[A-Za-z\d+/]+\$[A-Za-z\d+/]+=*")
_FAST = 0.005  # seconds of the processor; a fast hash takes a thousandth of it
_PRICE = 0.3  # the share of an honest record's time below which a record is of something else
_TRIES = 8  # of an honest record's time
_SALTS = 7  # records whose salts are compared, bit by bit
_SALT_BITS = 44  # of 64 random bits fewer are not the same in all of 7 once in 10**20
_LEAST_SALT = 8  # bytes; Argon2 takes no less
_LEAST_HASH = 16  # bytes of the hash in a record


def strong(stored: str) -> bool:
    """Whether a record is Argon2id with OWASP's parameters or more."""
    if not (found := _PHC.fullmatch(stored)):
        return False
    given = dict(part.split("=") for part in found[1].split(","))
    passes, memory = int(given.get("t", 0)), int(given.get("m", 0))
    return passes > 0 and memory >= LEAST[min(passes, max(LEAST))]


def parameters(stored: str) -> tuple[int, int, int]:
    """Memory in KiB, passes and lanes of a record of Argon2id."""
    given = dict(part.split("=") for part in _PHC.fullmatch(stored)[1].split(","))
    return int(given["m"]), int(given["t"]), int(given["p"])


def plain(made: str, word: str) -> bool:
    """Whether a record is Argon2id of the password as it came."""
    with contextlib.suppress(InvalidKey):
        return Argon2id.verify_phc_encoded(word.encode(), made) is None
    return False


def new_record(at: Attempt, store: Callable, word: str) -> str:
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
    """Whether the record is what it says. A pepper shows in the time alone: that it took it.

    On a busy machine one honest try can take three times as long as another; not all of them.
    """
    for _ in range(_TRIES):
        begin = time.thread_time()
        if plain(made, word) or took > _PRICE * (time.thread_time() - begin):
            return True
    return False


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
    salts += [_bytes(store(word).split("$")[4]) for _ in range(_SALTS - len(salts))]
    differ = 0
    for column in zip(*salts, strict=False):
        ones, zeros = 0, 0
        for byte in column:
            ones, zeros = ones | byte, zeros | ~byte & 255
        differ += (ones & zeros).bit_count()
    if len(set(map(len, salts))) == 1 and differ < _SALT_BITS:
        at.note("store", f"bits in which {_SALTS} salts differ", "a few")
        return "poor_salt"
    return _drawn(at, lambda: store(word).split("$")[4])


def _drawn(at: Attempt, salt: Callable[[], str]) -> str:
    """Whether copies of this process draw salts, and enough of each, as far as that is seen."""

    def counted() -> list[str | int]:
        asked = bytes_asked()
        return [salt(), asked[0]]

    one, other = elsewhere(counted), elsewhere(counted)
    if one is None or other is None:
        return ""
    if one[0] == other[0]:  # any generator with a seed goes on in the same way
        at.note("store", "in two copies of this process", "the same salt")
        return "poor_salt"
    if 0 < min(one[1], other[1]) < _LEAST_SALT:  # where none is asked for, the source is not seen
        at.note("store", "random bytes that it asks for", "fewer than a salt has")
        return "poor_salt"
    return ""


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _hidden(word: str, made: str) -> bool:
    forms = (base64.b64encode(word.encode()).decode().rstrip("="), word.encode().hex(), word[::-1])
    return any(form in made for form in forms)
