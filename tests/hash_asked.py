"""Exercise 14 for a learner of its own, for the tests of answers that nobody is shown."""

import os

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from leftopen import checks, learner
from leftopen.checks import hash_and_pseudonymise_passwords as passwords
from leftopen.checks import hash_and_pseudonymise_records as records
from leftopen.checks.question import Attempt

NAME = "14_hash_and_pseudonymise"


def exercise_of_someone(tmp_path, monkeypatch):
    monkeypatch.setenv("LEFTOPEN_PROGRESS", str(tmp_path / "progress.sqlite3"))
    monkeypatch.setenv(learner.VARIABLE, "someone")
    return checks.exercise(NAME)


def found(ex, number, *answer):
    """The outcome of a check by its name, in place of its sentence."""
    return ex._questions[number].check(Attempt(ex.task(number)), *answer)


def phc(word, memory=19_456, passes=2, lanes=1):
    made = Argon2id(
        salt=os.urandom(16), length=32, iterations=passes, lanes=lanes, memory_cost=memory
    )
    return made.derive_phc_encoded(word.encode())


def fits(ex, stored, word):
    if stored.startswith("old$"):
        _, salt, digest = stored.split("$")
        return passwords._SCHEMES[ex.task(4)["scheme"]](salt.encode(), word.encode()) == digest
    try:
        Argon2id.verify_phc_encoded(word.encode(), stored)
    except Exception:
        return False
    return True


def login_of(ex, upgrade=phc):
    def login(stored, word):
        if not fits(ex, stored, word):
            return False, stored
        return True, stored if records.strong(stored) else upgrade(word)

    return login


def argon(word, **other):
    given = {"salt": os.urandom(16), "length": 32, "iterations": 2, "lanes": 1}
    return Argon2id(**{**given, "memory_cost": 19_456, **other}).derive_phc_encoded(word.encode())
