"""Exercise 13, question 4: functions that seal, right and wrong, that nobody is shown."""

import hmac
import itertools
import json
import os
import secrets
import sys
import uuid
from base64 import urlsafe_b64encode
from hashlib import md5, sha256
from zlib import crc32

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV, AESSIV, ChaCha20Poly1305
from field_asked import gcm, place_of

from leftopen.checks import encrypt_the_field_forged as forged
from leftopen.checks.encrypt_the_field import QUESTIONS
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.learner import Draw


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
        (make_drawn_short, "few_nonces"),
        (lambda key: gcm(key, lambda text, c, r: cut(text)), "text_shown"),
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


def label_in_front(key, label):
    """AES-GCM without a place, and the place in front, which open_ compares."""
    seal, open_ = gcm(key, place=lambda *_: b"")

    def compared(sealed, column, row):
        size = len(label(column, row))
        if sealed[:size] != label(column, row):
            raise ValueError
        return open_(sealed[size:], column, row)

    return lambda text, *place: label(*place) + seal(text, *place), compared


def make_named_in_json(key):
    box = AESGCM(key)

    def seal(text, column, row):
        nonce = os.urandom(12)
        sealed = box.encrypt(nonce, text.encode(), None)
        return json.dumps([column, row, nonce.hex(), sealed.hex()]).encode()

    def open_(sealed, *place):
        *own, nonce, data = json.loads(sealed)
        if own != list(place):
            raise ValueError
        return box.decrypt(bytes.fromhex(nonce), bytes.fromhex(data), None).decode()

    return seal, open_


def with_unkeyed_tag(key, digest, inside):
    """CTR with a digest of text and place; it needs no key to be made anew."""
    size = len(digest(b""))

    def seal(text, column, row):
        nonce, data = os.urandom(16), text.encode()
        if inside:
            return nonce + stream(key, nonce, data + digest(data + f"{column}:{row}".encode()))
        body = nonce + stream(key, nonce, data)
        return body + digest(f"{column}:{row}".encode() + body)

    def open_(sealed, column, row):
        where = f"{column}:{row}".encode()
        data = stream(key, sealed[:16], sealed[16:]) if inside else sealed
        data, tag = data[:-size], data[-size:]
        if tag != digest(data + where if inside else where + data):
            raise ValueError
        return (data if inside else stream(key, sealed[:16], data[16:])).decode()

    return seal, open_


def trailing(key, tail):
    seal, open_ = gcm(key)
    size = len(tail(key, "text"))
    return lambda text, *p: seal(text, *p) + tail(key, text), lambda s, *p: open_(s[:-size], *p)


def make_answering(key):
    seal, open_ = gcm(key)

    def quiet(*sealed):
        try:
            return open_(*sealed)
        except InvalidTag:
            return "ERROR"

    return seal, quiet


def make_saying_nothing_of_a_move(key):
    seal, open_ = gcm(key, place=lambda *_: b"")

    def known(text, *place):
        return seal(json.dumps([text, *place]), *place)

    def quiet(sealed, *place):
        text, *own = json.loads(open_(sealed, *place))
        return text if own == list(place) else "moved"

    return known, quiet


def make_hmac_over_all(key):
    """Encrypt, then HMAC; with a digest of all of it behind, which does no harm."""
    first, second = sha256(key + b"1").digest(), sha256(key + b"2").digest()

    def tag(data, place):
        return hmac.digest(second, data + json.dumps(place).encode(), "sha256")

    def seal(text, *place):
        nonce = os.urandom(16)
        data = nonce + stream(first, nonce, text.encode())
        data += tag(data, place)
        return data + sha256(data).digest()

    def open_(sealed, *place):
        data, mac = sealed[:-64], sealed[-64:-32]
        if sha256(sealed[:-32]).digest() != sealed[-32:]:
            raise ValueError
        if not hmac.compare_digest(mac, tag(data, place)):
            raise ValueError
        return stream(first, data[:16], data[16:]).decode()

    return seal, open_


def by(cipher, draw=lambda: os.urandom(12)):
    """Another cipher with associated data."""

    def make(key):
        box = cipher(key)

        def seal(text, *place):
            nonce = draw()
            return nonce + box.encrypt(nonce, text.encode(), place_of(*place))

        return seal, lambda s, *p: box.decrypt(s[:12], s[12:], place_of(*p)).decode()

    return make


def of_key(change):
    return lambda key: gcm(change(key))


def of_place(change):
    return lambda key: gcm(key, place=lambda c, r: json.dumps(change(c, r)).encode())


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (by(ChaCha20Poly1305), RIGHT),
        (by(AESGCMSIV), RIGHT),
        (by(AESGCM, lambda: secrets.token_bytes(12)), RIGHT),
        (by(AESGCM, lambda: uuid.uuid4().bytes[:12]), RIGHT),
        # The same nonce twice tells this mode's reader equal texts alone: it may draw little.
        (by(AESGCMSIV, lambda: os.urandom(4) + bytes(8)), RIGHT),
        (by(AESGCM, lambda: os.urandom(4) + bytes(8)), "few_nonces"),
        (by(AESGCM, lambda: bytes(8) + secrets.randbits(32).to_bytes(4, "big")), "few_nonces"),
        (by(AESGCM, lambda: sha256(os.urandom(3)).digest()[:12]), "few_nonces"),
        (by(AESGCM, lambda: os.urandom(12)[:2] + bytes(10)), "few_nonces"),
        (make_hmac_over_all, RIGHT),
        (lambda key: gcm(hmac.digest(key, b"fields", "sha256")), RIGHT),
        (of_key(lambda key: key[:16]), RIGHT),
        (of_key(lambda key: key[:8] * 4), "part_of_key"),
        (of_key(lambda key: bytes(28) + key[:4]), "part_of_key"),
        (of_key(lambda key: sha256(key[31:]).digest()), "part_of_key"),
        (of_key(lambda key: sha256(bytes([key[31] & 128])).digest()), "part_of_key"),
        (of_place(lambda c, r: [c[:4], r]), "part_of_place"),
        (of_place(lambda c, r: [c[:16], r]), "part_of_place"),
        (of_place(lambda c, r: [c.lower(), r]), "part_of_place"),
        (of_place(lambda c, r: [c.rstrip("0123456789"), r]), "part_of_place"),
        (of_place(lambda c, r: [c, abs(r)]), "part_of_place"),
        (of_place(lambda c, r: [c, r % 10]), "part_of_place"),
        (of_place(lambda c, r: [c, r & 0xFFFFFFFF]), "part_of_place"),
        (of_place(lambda c, r: [c, r.to_bytes(4, "big").hex()]), RIGHT),
        (of_place(lambda c, r: [("house", "phone", "plate").index(c[:5]), c[5:], r]), RIGHT),
        (lambda key: gcm(key, place=lambda c, r: f"{r}{c}".encode()), "glued"),
        (lambda key: label_in_front(key, lambda c, r: f"{c}.{r}:".encode()), "place_in_front"),
        (lambda key: label_in_front(key, lambda *p: cut(repr(p))), "place_in_front"),
        (lambda key: label_in_front(
            key, lambda *p: hmac.digest(key, repr(p).encode(), "sha256")), "place_in_front"),
        (make_named_in_json, "place_in_front"),
        (lambda key: with_unkeyed_tag(key, lambda d: sha256(d).digest(), True), "unkeyed_tag"),
        (lambda key: with_unkeyed_tag(key, lambda d: sha256(d).digest(), False), "unkeyed_tag"),
        (lambda key: with_unkeyed_tag(key, lambda d: md5(d).digest(), False), "unkeyed_tag"),
        (lambda key: with_unkeyed_tag(
            key, lambda d: crc32(d).to_bytes(4, "big"), True), "unkeyed_tag"),
        (lambda key: with_unkeyed_tag(
            key, lambda d: hmac.digest(key, d, "sha256"), False), RIGHT),
        (lambda key: trailing(key, lambda key, _: key), "key_inside"),
        (lambda key: trailing(key, lambda key, _: key.hex()[:24].encode()), "key_inside"),
        (lambda key: trailing(key, lambda key, _: bytes(5)), "unread"),
        (lambda key: trailing(key, lambda key, _: os.urandom(5)), "unread"),
        (lambda key: trailing(key, lambda _, text: text.encode().ljust(3)[:3]), "text_shown"),
        (lambda key: trailing(key, lambda _, text: md5(text.encode()).digest()), "text_shown"),
        (make_answering, "quiet"),
        (make_saying_nothing_of_a_move, "quiet"),
    ],
)  # fmt: skip
def test_what_a_stranger_does_who_knows_more(make, wanted):
    for _ in range(2):
        asked = QUESTIONS[4]
        assert asked.check(Attempt(asked.task(Draw("ada", "13"))), make) == wanted


def test_equal_sealings_in_one_row_are_no_fault_and_are_told():
    for make, said in ((make_siv_without_nonce, 1), (gcm, 0)):
        attempt = Attempt(QUESTIONS[4].task(Draw("ada", "13")))
        assert QUESTIONS[4].check(attempt, make) == RIGHT
        assert sum("one text in one row" in line for line in attempt.tried) == said


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda key: None, "two functions"),
        (lambda key: (lambda *_: "text", lambda *_: "text"), "seal returned str"),
        (lambda key: (gcm(key)[0], lambda *_: b"text"), "open_ returned bytes"),
        (lambda key: (lambda *_: sys.exit(1), lambda *_: "text"), "seal ended the program"),
    ],
)
def test_what_cannot_be_tried_is_the_cells_error(make, words):
    with pytest.raises(BadAnswer, match=words):
        QUESTIONS[4].check(Attempt(QUESTIONS[4].task(Draw("ada", "13"))), make)


def test_short_slices_are_tried_first_and_their_number_is_the_same_on_every_machine():
    one, other = bytes(range(40)), bytes(range(100, 140))
    tried = list(forged.spliced(one, other))
    taken = [sum(a != b for a, b in zip(one, value, strict=True)) for value in tried]
    assert taken == sorted(taken)
    assert len(set(tried)) == len(tried) == 40 * 41 // 2
    # Of long values, as many however slowly each is opened: none of 64 bytes is left out in 256.
    long = list(forged.spliced(bytes(256), bytes([1]) * 256))
    assert sum(sum(value) <= 64 for value in long) == sum(256 - n + 1 for n in range(1, 65))
    assert len(long) == forged._MOST_SLICES
