"""Exercise 13, question 4: functions that seal, right and wrong, that nobody is shown."""

import itertools
import json
import os
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from leftopen.checks.encrypt_the_field import QUESTIONS
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.learner import Draw


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


def cut(text):
    return sha256(text.encode()).digest()[:12]


COUNT = itertools.count()
STATE = {"nonce": 0}


def counted():
    STATE["nonce"] += 1
    return STATE["nonce"].to_bytes(12, "big")


def make_counting_outside(key):
    return gcm(key, lambda *_: next(COUNT).to_bytes(12, "little"))


def make_counting_in_a_dict(key):
    return gcm(key, lambda *_: counted())


def make_counting_from_a_drawn_beginning(key):
    count = itertools.count(secrets.randbits(90))
    return gcm(key, lambda *_: next(count).to_bytes(12, "little"))


def make_fernet(key):
    box = Fernet(urlsafe_b64encode(key))

    def open_(sealed, column, row):
        text, *place = json.loads(box.decrypt(sealed))
        if place != [column, row]:
            raise ValueError
        return text

    return lambda *all_: box.encrypt(json.dumps(all_).encode()), open_


def make_siv_without_nonce(key):
    box = AESSIV(key)
    return (
        lambda text, *place: box.encrypt(text.encode() + b"\0", [place_of(*place)]),
        lambda sealed, *place: box.decrypt(sealed, [place_of(*place)])[:-1].decode(),
    )


def stream(key, nonce, data):
    worker = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
    return worker.update(data) + worker.finalize()


def make_ctr(key):
    def seal(text, column, row):
        nonce = os.urandom(16)
        return nonce + stream(key, nonce, place_of(column, row) + text.encode())

    def open_(sealed, column, row):
        data = stream(key, sealed[:16], sealed[16:])
        if not data.startswith(place_of(column, row)):
            raise ValueError
        return data.removeprefix(place_of(column, row)).decode()

    return seal, open_


def make_key_laid_over(key):
    def over(data):
        return bytes(a ^ b for a, b in zip(data, itertools.cycle(key), strict=False))

    return lambda text, *_: over(text.encode()), lambda sealed, *_: over(sealed).decode()


def make_none(key):
    seal, open_ = gcm(key)

    def quiet(*sealed):
        try:
            return open_(*sealed)
        except InvalidTag:
            return None

    return seal, quiet


def make_with_header(key):
    """A long header before all that is sealed, as of a format with a key's name."""
    seal, open_ = gcm(key)
    header = b"key 2026-11, AES-256-GCM"
    return (
        lambda *all_: header + seal(*all_),
        lambda sealed, *place: open_(sealed.removeprefix(header), *place),
    )


def make_drawn_short(key):
    return gcm(key, lambda *_: os.urandom(1) + bytes(11))


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (gcm, RIGHT),
        (make_fernet, RIGHT),
        (make_siv_without_nonce, RIGHT),
        (make_with_header, RIGHT),
        (make_counting_from_a_drawn_beginning, RIGHT),
        (lambda key: gcm(key, lambda *given: cut(repr((key, given)))), RIGHT),
        (lambda key: gcm(key, place=lambda c, r: f"{c}{r:012}".encode()), RIGHT),
        (make_counting_outside, "counter_restarts"),
        (make_counting_in_a_dict, "counter_restarts"),
        (make_drawn_short, "nonce_repeats"),
        (lambda key: gcm(key, lambda text, c, r: cut(text)), "nonce_repeats"),
        (lambda key: gcm(key, lambda text, c, r: cut(c)), "nonce_repeats"),
        (lambda key: gcm(key, lambda text, c, r: cut(f"{c}/{r}")), "row_as_nonce"),
        (lambda key: gcm(sha256(b"summer").digest()), "own_key"),
        (lambda key: gcm(key, place=lambda c, r: c.encode()), "swapped"),
        (lambda key: gcm(key, place=lambda c, r: b"%d" % r), "swapped"),
        (lambda key: gcm(key, place=lambda c, r: f"{c}{r}".encode()), "glued"),
        (make_ctr, "malleable"),
        (make_key_laid_over, "ecb"),
        (make_none, "quiet"),
        (lambda key: (lambda t, *_: t.encode().hex().encode(), lambda s, *_: bytes.fromhex(
            s.decode()).decode()), "encoded"),
    ],
)  # fmt: skip
def test_sealed_values(make, wanted):
    for learner in ("ada", "grace"):
        asked = QUESTIONS[4]
        assert asked.check(Attempt(asked.task(Draw(learner, "13"))), make) == wanted


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda key: None, "two functions"),
        (lambda key: (lambda *_: "text", lambda *_: "text"), "seal returned str"),
    ],
)
def test_what_cannot_be_tried_is_the_cells_error(make, words):
    with pytest.raises(BadAnswer, match=words):
        QUESTIONS[4].check(Attempt(QUESTIONS[4].task(Draw("ada", "13"))), make)
