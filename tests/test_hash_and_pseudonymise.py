"""Exercise 14: answers that are nobody's near miss, right ones of other kinds and wrong ones."""

import hashlib
import hmac
import itertools
import math
import os
import random
import secrets
import time
from uuid import uuid4

import numpy as np
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2d
from hash_asked import NAME, argon, exercise_of_someone, fits, found, login_of, phc

from leftopen import checks, recover
from leftopen.checks import hash_and_pseudonymise as numbers
from leftopen.checks import hash_and_pseudonymise_records as records
from leftopen.checks.question import RIGHT
from leftopen.checks.verdict import Kind
from leftopen.synth import identifiers, pseudonymised


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


# -- question 1 ---------------------------------------------------------------------------------


def test_the_numbers_that_are_asked_for_are_of_their_year_and_no_real_ones(ex):
    task = ex.task(1)
    for name, year in task["born"].items():
        first = recover.date(year, 1, 1)
        rows = recover.recover([task["hashes"][name]], task["district"], first=first,
                               last=first.replace(month=12, day=31), progress=False)  # fmt: skip
        assert len(rows) == 1
        assert rows["number"][0].startswith("00")


@pytest.mark.parametrize("number", ["", "0", "a" * 18, "000101", "ä" * 18])
def test_what_is_no_number_is_told_as_such(ex, number):
    assert found(ex, 1, number) == "no_number"


def test_a_hash_of_somebody_else_is_a_hash(ex):
    other = next(h for n, h in ex.task(1)["hashes"].items() if n != ex.task(1)["who"])
    assert found(ex, 1, other) == "a_hash"
    assert found(ex, 1, other[:18].upper()) == "a_hash"


# -- question 2 ---------------------------------------------------------------------------------


def right_seconds(task):
    one = 36_525_000 / task["sha256"]
    return {"unkeyed": one, "salted": one * task["people"],
            "argon2id": task["people"] * 1000 / task["argon2"], "keyed": math.inf}  # fmt: skip


def right_visitors(task):
    return {way: len(set(task[way])) for way in numbers.WAYS}


def test_the_columns_tell_what_their_protection_tells(ex):
    for someone in range(12):
        task = checks.Exercise(NAME, f"learner {someone}").task(2)
        told = right_visitors(task)
        assert told["salted"] == 8
        assert told["unkeyed"] == told["argon2id"] == told["keyed"] == 5


@pytest.mark.parametrize("factor", [0.985, 1, 1.015])
def test_a_little_more_or_less_is_right(ex, factor):
    task = ex.task(2)
    seconds = {way: value * factor for way, value in right_seconds(task).items()}
    assert found(ex, 2, seconds, right_visitors(task)) == RIGHT


@pytest.mark.parametrize("way", ["unkeyed", "salted", "argon2id"])
@pytest.mark.parametrize("wrong", [0, 1e-9, 1e12])
def test_any_other_time_is_wrong(ex, way, wrong):
    seconds = right_seconds(ex.task(2)) | {way: wrong}
    assert found(ex, 2, seconds, right_visitors(ex.task(2))) == "other_seconds"


def test_half_of_what_is_right_is_told_and_half_of_another_mistake_is_not(ex):
    task = ex.task(2)
    for way, half, other in (
        ("unkeyed", "half_of_it", task["people"] * 36_525_000 / task["sha256"]),
        ("argon2id", "half_of_it", 1000 / task["argon2"]),
        ("keyed", "other_seconds", 36_525_000 / task["sha256"]),
    ):
        right = right_seconds(task)
        told = 1e60 if way == "keyed" else right[way] / 2
        assert found(ex, 2, right | {way: told}, right_visitors(task)) == half
        assert found(ex, 2, right | {way: other / 2}, right_visitors(task)) == "other_seconds"


def test_infinity_for_what_can_be_done_is_wrong(ex):
    task = ex.task(2)
    for way, name in (
        ("unkeyed", "all_can_be_tried"),
        ("salted", "salt_is_public"),
        ("argon2id", "salt_is_public"),
    ):
        seconds = right_seconds(task) | {way: math.inf}
        assert found(ex, 2, seconds, right_visitors(task)) == name
    # As good as never, and no number that anybody could compute from the copy.
    seconds = right_seconds(task) | {"keyed": 1e60}
    assert found(ex, 2, seconds, right_visitors(task)) == "other_seconds"


def test_a_missing_key_or_a_word_is_the_cells_error(ex):
    task = ex.task(2)
    for seconds in ({}, {"unkeyed": 1}, right_seconds(task) | {"salted": "long"}):
        verdict = ex.check(2, seconds, right_visitors(task))
        assert verdict.kind is Kind.ERROR
        assert "seconds" in verdict.text


@pytest.mark.parametrize("wrong", [-1, math.nan, -math.inf])
def test_what_is_no_time_is_the_cells_error(ex, wrong):
    task = ex.task(2)
    verdict = ex.check(2, right_seconds(task) | {"salted": wrong}, right_visitors(task))
    assert verdict.kind is Kind.ERROR
    assert "no time" in verdict.text


@pytest.mark.parametrize("wrong", [0, 9, 2.5, math.inf, math.nan])
def test_what_is_no_count_is_the_cells_error(ex, wrong):
    task = ex.task(2)
    verdict = ex.check(2, right_seconds(task), right_visitors(task) | {"keyed": wrong})
    assert verdict.kind is Kind.ERROR
    assert "whole numbers" in verdict.text


def test_wrong_counts_are_told_by_their_direction(ex):
    task = ex.task(2)
    more = {"unkeyed": "visits_counted", "salted": "salt_parts"}
    for way in numbers.WAYS:
        fewer = "salt_parts" if way == "salted" else "visitors_missed"
        for count, name in ((3, fewer), (7, more.get(way, "protected_still_joins"))):
            assert found(ex, 2, right_seconds(task), right_visitors(task) | {way: count}) == name


def test_a_wrong_last_character_is_the_standards_only_if_it_is(ex):
    task = ex.task(1)
    born = task["born"][task["who"]]
    year = {"first": recover.date(born, 1, 1), "last": recover.date(born, 12, 31)}
    wanted = task["hashes"][task["who"]]
    rows = recover.recover([wanted], task["district"], progress=False, **year)
    right = rows["number"][0]
    told = [found(ex, 1, right[:17] + sign) for sign in "0123456789X" if sign != right[17]]
    assert sorted(set(told)) == ["check_character", "check_corrected"]
    assert told.count("check_corrected") == 1


# -- question 4 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "passes", "lanes", "good"),
    [(47_104, 1, 1, True), (12_288, 3, 1, True), (7_168, 5, 1, True), (7_168, 9, 1, True),
     (20_000, 2, 2, True), (19_455, 2, 1, False), (7_168, 4, 1, False), (19_456, 1, 1, False),
     (4_096, 30, 1, False)],
)  # fmt: skip
def test_what_is_strong_is_owasps_table(memory, passes, lanes, good):
    record = f"$argon2id$v=19$m={memory},t={passes},p={lanes}$c2FsdHNhbHQ$aGFzaGhhc2g"
    assert records.strong(record) is good


def test_what_is_no_argon2id_is_not_strong():
    assert not records.strong("")
    assert not records.strong("$argon2id$m=99999,t=9,p=1")
    d = Argon2d(salt=os.urandom(16), length=32, iterations=2, lanes=1, memory_cost=19_456)
    assert not records.strong(d.derive_phc_encoded(b"word"))


def test_a_pepper_is_right(ex):
    pepper = secrets.token_bytes(32)

    def mixed(word):
        return hmac.digest(pepper, word.encode(), "sha256").hex()

    def login(stored, word):
        of_ours = stored.startswith("$argon2id$") and records.strong(stored)
        good = fits(ex, stored, mixed(word) if of_ours else word)
        return good, stored if of_ours or not good else phc(mixed(word))

    assert found(ex, 4, lambda word: phc(mixed(word)), login) == RIGHT


@pytest.mark.parametrize(
    ("store", "name"),
    [
        (lambda word: f"plain${word}", "readable"),
        (lambda word: word[::-1], "readable"),
        (lambda word: hashlib.sha512(word.encode()).hexdigest(), "fast_hash"),
        (lambda word: phc(word, 8, 1), "too_weak"),
    ],
)
def test_other_weak_records_are_told(ex, store, name):
    assert found(ex, 4, store, login_of(ex)) == name


def test_waiting_makes_no_slow_hash(ex):
    def store(word):
        time.sleep(0.02)
        return hashlib.sha512(word.encode()).hexdigest()

    assert found(ex, 4, store, login_of(ex)) == "fast_hash"


def test_nobody_and_everybody_may_enter(ex):
    assert found(ex, 4, phc, lambda stored, word: (False, stored)) == "right_refused"
    assert found(ex, 4, phc, lambda stored, word: (True, stored)) == "compares_nothing"


def test_a_login_that_makes_a_strong_record_worse_is_told(ex):
    def login(stored, word):
        return fits(ex, stored, word), phc(word, 8, 1)

    assert found(ex, 4, phc, login) == "right_refused"


def test_an_upgrade_that_is_still_weak_is_told(ex):
    outcome = found(ex, 4, phc, login_of(ex, lambda word: phc(word, 8_192, 2)))
    assert outcome == "renewed_too_weak"


@pytest.mark.parametrize(
    "wrong", [lambda s, w: True, lambda s, w: (2, s), lambda s, w: (True, None)]
)
def test_a_login_of_another_form_is_the_cells_error(ex, wrong):
    verdict = ex.check(4, phc, wrong)
    assert verdict.kind is Kind.ERROR
    assert "two things" in verdict.text


def test_a_list_and_a_number_are_two_things_too(ex):
    def login(stored, word):
        return [
            int(part) if isinstance(part, bool) else part for part in login_of(ex)(stored, word)
        ]

    assert found(ex, 4, phc, login) == RIGHT


def edited(word):
    return phc(word, 1024, 1).replace("m=1024,t=1", "m=19456,t=2")


SALTS = itertools.count(2**64)
LAST_BYTES = itertools.cycle(random.sample(range(256), 256))
OWN_RANDOM, OWN_NUMPY = random.Random(), np.random.default_rng()
BAD_STORES = {
    "a weak one with other digits": ("another_coat", edited),
    "a salt that is counted": (
        "poor_salt", lambda word: argon(word, salt=next(SALTS).to_bytes(16)),
    ),
    "a salt with one random byte": (
        "poor_salt", lambda word: argon(word, salt=bytes(15) + bytes([next(LAST_BYTES)])),
    ),
    "32 random bits in a salt": (
        "poor_salt", lambda word: argon(word, salt=os.urandom(4) + bytes(12)),
    ),
    "a salt from random": ("poor_salt", lambda word: argon(word, salt=random.randbytes(16))),
    "a salt from NumPy": ("poor_salt", lambda word: argon(word, salt=np.random.bytes(16))),
    "a salt of the password": (
        "one_salt", lambda word: argon(word, salt=hashlib.md5(word.encode()).digest()),
    ),
    "a hash of 64 bits": ("short_hash", lambda word: argon(word, length=8)),
}  # fmt: skip


@pytest.mark.parametrize("way", BAD_STORES)
def test_other_poor_records_are_told(ex, way):
    name, store = BAD_STORES[way]
    assert found(ex, 4, store, login_of(ex)) == name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("bytes_of", [OWN_RANDOM.randbytes, OWN_NUMPY.bytes])
def test_a_generator_of_ones_own_gives_poor_salts(ex, bytes_of):
    assert found(ex, 4, lambda word: argon(word, salt=bytes_of(16)), login_of(ex)) == "poor_salt"


@pytest.mark.parametrize(
    "salt",
    [lambda: os.urandom(8), lambda: random.SystemRandom().randbytes(16), lambda: uuid4().bytes],
)
def test_other_salts_that_nobody_can_foresee_are_right(ex, salt):
    before = random.getstate(), np.random.get_state()[1].tolist()

    def store(word):
        return argon(word, salt=salt())

    assert found(ex, 4, store, login_of(ex, store)) == RIGHT
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def door(ex, opens):
    def login(stored, word):
        return (True, stored) if opens(stored, word) else login_of(ex)(stored, word)

    return login


BAD_LOGINS = {
    "nothing typed": ("door_beside", lambda s, w: not w),
    "nothing typed, old": ("door_beside", lambda s, w: not w and s.startswith("old")),
    "the old hash": ("door_beside", lambda s, w: w == s.split("$")[-1]),
    "no record": ("fails_open", lambda s, w: not s),
}


@pytest.mark.parametrize("way", BAD_LOGINS)
def test_a_door_beside_the_password_is_told(ex, way):
    name, opens = BAD_LOGINS[way]
    assert found(ex, 4, phc, door(ex, opens)) == name


def test_one_value_of_one_parameter_is_not_enough(ex):
    def login(of_weak):
        def inner(stored, word):
            good = fits(ex, stored, word)
            renew = good and (stored.startswith("old$") or of_weak(stored))
            return good, phc(word) if renew else stored

        return inner

    for of_weak in (lambda s: "m=1024," in s, lambda s: len(s) != len(phc("x"))):
        assert found(ex, 4, phc, login(of_weak)) == "weak_stays"


def test_an_umlaut_that_is_dropped_is_told(ex):
    def plain(word):
        return word.encode("ascii", "ignore").decode()

    def login(stored, word):
        return login_of(ex)(stored, plain(word))

    assert found(ex, 4, lambda word: phc(plain(word)), login) == "words_alike"


def test_a_login_that_does_not_know_its_own_words_is_the_cells_error(ex):
    assert ex.check(4, phc, lambda stored, word: nowhere(stored)).kind is Kind.ERROR  # noqa: F821


def test_the_people_of_the_database_are_impossible_and_no_two_alike():
    for district in identifiers.DISTRICTS:
        made = pseudonymised.numbers(district)
        assert len(set(made)) == pseudonymised.PEOPLE
        assert all(number.startswith(f"00{district:04d}") for number in made)
