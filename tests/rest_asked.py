"""A question of exercise 15 with its server, and numbers sealed well, for the tests."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leftopen.checks.encrypt_at_rest_and_back_up import QUESTIONS
from leftopen.checks.encrypt_at_rest_and_back_up_copies import _residents
from leftopen.checks.question import Attempt
from leftopen.learner import Draw
from leftopen.proof import sql

NUMBERS = {row["person"]: row["id_number"] for row in _residents()}
SECRET = bytes(range(32))
KEY = AESGCM(SECRET)


def seal(person, number):
    nonce = os.urandom(12)
    return nonce + KEY.encrypt(nonce, number.encode(), str(person).encode())


def unseal(person, sealed):
    return KEY.decrypt(sealed[:12], sealed[12:], str(person).encode()).decode()


def sealed_all(write=seal):
    return {person: write(person, number) for person, number in NUMBERS.items()}


class Asked:
    """A question with its server, if it has one, and what a check says of an answer."""

    def __init__(self, number):
        self.question = QUESTIONS[number]
        self.task = self.question.task(Draw("ada", "15"))
        self.lab = self.question.lab(self.task) if self.question.lab else None
        self.values = {}

    def told(self, *answer):
        at = Attempt(self.task)
        given = (self.lab, *answer) if self.lab else answer
        found = self.question.check(at, *given)
        self.values, self.tried = at.values, at.tried
        return found

    def run(self, *statements, database="doors_1"):
        for statement in statements:
            sql(self.lab.inside.uri_of(database), statement)


@pytest.fixture
def asked(request):
    found = Asked(request.param)
    yield found
    if found.lab:
        found.lab.close()


def question(number):
    return pytest.mark.parametrize("asked", [number], indirect=True)
