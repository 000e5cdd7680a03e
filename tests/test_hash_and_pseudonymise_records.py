"""Exercise 14, question 4: which records are replaced, blanks, salts of few random bits."""

import hashlib
import math
import os
import secrets

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hash_asked import exercise_of_someone, fits, found, login_of, phc

from leftopen.checks import hash_and_pseudonymise_records as records
from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


def hashed_salt(word):
    salt = hashlib.sha256(secrets.token_bytes(5)).digest()[:16]
    made = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19_456)
    return made.derive_phc_encoded(word.encode())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_salt_that_is_a_hash_of_a_few_random_bytes_is_told(ex):
    assert found(ex, 4, hashed_salt, login_of(ex)) == "poor_salt"


@pytest.mark.parametrize("cut", [str.strip, lambda w: w.rstrip("\n"), lambda w: w.lstrip(" ")])
def test_a_password_without_its_blanks_is_told(ex, cut):
    def login(stored, word):
        return login_of(ex, lambda word: phc(cut(word)))(stored, cut(word))

    assert found(ex, 4, lambda word: phc(cut(word)), login) == "words_alike"


@pytest.mark.parametrize(
    ("keeps", "name"),
    [
        (lambda given, own: given == own, "made_weaker"),
        (lambda given, own: given[:2] == own[:2], "made_weaker"),
        (lambda given, own: False, "rewritten_each_time"),
        (lambda given, own: given[0] >= own[0] and given[1] >= own[1], RIGHT),
        (lambda given, own: math.prod(given) >= math.prod(own), RIGHT),
        (lambda given, own: given >= own or given[1] > own[1], RIGHT),
    ],
)
def test_a_record_is_replaced_where_it_is_weaker_and_only_there(ex, keeps, name):
    own = (20_000, 2, 2)

    def store(word):
        return phc(word, *own)

    def login(stored, word):
        if not fits(ex, stored, word):
            return False, stored
        good = stored.startswith("$") and keeps(records.parameters(stored), own)
        return True, stored if good else store(word)

    assert found(ex, 4, store, login) == name


def test_functions_in_the_wrong_order_are_told_as_such(ex):
    verdict = ex.check(4, login_of(ex), lambda word: phc(word))
    assert verdict.kind is Kind.ERROR
    assert "wrong order" in verdict.text


@pytest.mark.parametrize(
    ("verifying", "is_honest"), [([0.09, 0.02], True), ([0.02], True), ([0.9, 0.3, 0.08], False)]
)
def test_one_try_that_took_long_makes_no_record_of_something_else(
    monkeypatch, verifying, is_honest
):
    """A record that took 0.02 s, against the seconds that it takes to verify one, try by try."""
    took, now = [*verifying, *[verifying[-1]] * 10], [0.0]

    def verify(made, word):
        now[0] += took.pop(0)
        return False

    monkeypatch.setattr(records, "plain", verify)
    monkeypatch.setattr(records.time, "thread_time", lambda: now[0])
    assert records._is_argon2id("", "", 0.02) is is_honest
