"""A question of exercise 13 with its server, and a right answer to question 4, for the tests."""

import json
import os

import pytest
from bson.codec_options import CodecOptions
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import MongoClient
from pymongo.encryption import ClientEncryption

from leftopen.checks import encrypt_the_field_vault as vault
from leftopen.checks.encrypt_the_field import QUESTIONS
from leftopen.checks.question import Attempt
from leftopen.learner import Draw


class Asked:
    """A question with its server, and what a check says of it."""

    def __init__(self, number, learner="ada"):
        self.question = QUESTIONS[number]
        self.task = self.question.task(Draw(learner, "13"))
        self.lab = self.question.lab(self.task)
        self.client = MongoClient(self.lab.inside.uri, tz_aware=True)
        self.people = self.client["sensenets"]["people"]

    def told(self, *answer):
        return self.question.check(Attempt(self.task), self.lab, *answer)

    def encryption(self, place=vault.VAULT, **masters):
        providers = {name.replace("_", ":"): {"key": key} for name, key in masters.items()}
        return ClientEncryption(providers, place, self.client, CodecOptions(tz_aware=True))

    def close(self):
        self.client.close()
        self.lab.close()


@pytest.fixture
def asked(request):
    """The question that :func:`question` names; each module takes it as its own fixture."""
    found = Asked(request.param)
    yield found
    found.close()


def question(number):
    """Let a test have this question as its fixture ``asked``."""
    return pytest.mark.parametrize("asked", [number], indirect=True)


def encrypt(asked, master, at_random=vault.RANDOM, key_each=False):
    """Encrypt everybody's fields; with a data key for each person's other fields, if wanted."""
    asked.client.drop_database("encryption")
    encryption = asked.encryption(local=master)
    common = encryption.create_data_key("local")
    searched, others = asked.task["searched"], asked.task["others"]
    for person in vault.people(13, 60):
        own = encryption.create_data_key("local") if key_each else common
        filled = {name: person[name].ljust(20) for name in others}
        hidden = {name: encryption.encrypt(filled[name], at_random, key_id=own) for name in others}
        hidden[searched] = encryption.encrypt(person[searched], vault.FIXED, key_id=common)
        asked.people.replace_one({"_id": person["_id"]}, {**person, **hidden}, upsert=True)


def place_of(column, row):
    return json.dumps([column, row]).encode()


def gcm(key, nonce_for=None, place=place_of):
    """AES-GCM with a nonce of whatever kind, and a place of whatever kind."""
    box = AESGCM(key)

    def seal(text, column, row):
        nonce = nonce_for(text, column, row) if nonce_for else os.urandom(12)
        return nonce + box.encrypt(nonce, text.encode(), place(column, row))

    def open_(sealed, column, row):
        return box.decrypt(sealed[:12], sealed[12:], place(column, row)).decode()

    return seal, open_
