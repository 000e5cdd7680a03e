"""Which passwords an exercise takes, and what it says of the others."""

import secrets

import pytest

from leftopen.checks.passwords import SHORTEST, judge, weakness
from leftopen.checks.question import Attempt, Task


@pytest.mark.parametrize(
    "password",
    [
        "kestrel_admin",
        "Kestrel_Admin_2026!",
        "admin",
        "administrator12345",
        "sensenets-mongodb-2026",
        "aaaaaaaaaaaaaaaaaaaa",
        "123456789012345",
        "sensenets2018-sensenets",
        "workshop-workshop-1",
        "2019-02-12, 2019-02-13",
        "a" * 15,
    ],
)
def test_a_password_of_the_name_or_of_common_words_is_known(password):
    assert weakness("kestrel_admin", password) == "known_password"


@pytest.mark.parametrize("password", ["Tr0ub4dor&3", "x" * 5 + "yz%8?kLm3"])
def test_a_password_of_fewer_characters_than_nist_asks_for_is_short(password):
    assert len(password) < SHORTEST
    assert weakness("kestrel_admin", password) == "short_password"


@pytest.mark.parametrize(
    "password",
    [
        "four plain words here",
        "beetroot soup with dill",  # a known word inside another one
        "73519284650192837465",  # digits, and no row of them
        "7351928465019a28",  # secrets.token_hex(8): one of 35 has fewer than three letters
        "73519284-6501-4283-9746-519283746501",  # uuid.uuid4()
        "пароль из трёх слов",
    ],
)
def test_long_passwords_that_nobody_guesses_are_taken(password):
    assert weakness("kestrel_admin", password) == ""


def test_what_was_counted_is_shown():
    at = Attempt(Task())
    assert judge(at, "the password", "map", "sensenets2018-map") == "known_password"
    assert at.tried == [
        "the password: count its different characters → 12",
        "the password: take out known names and common words → 0 letters are left",
        "the password: length → 17 characters",
    ]


def test_what_the_lesson_advises_is_taken():
    for _ in range(1000):
        assert weakness("map", secrets.token_urlsafe(24)) == ""
