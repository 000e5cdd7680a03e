"""Exercise 14, question 3: pseudonyms and keys of other kinds, right ones and wrong ones."""

import base64
import datetime
import functools
import hashlib
import hmac
import itertools
import os
import random
import secrets
import ssl
import time
import uuid
import zlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hash_asked import exercise_of_someone, found

from leftopen.checks import hash_and_pseudonymise_keys, hash_and_pseudonymise_leaks
from leftopen.checks.question import RIGHT, Attempt
from leftopen.checks.verdict import Kind


@pytest.fixture
def ex(tmp_path, monkeypatch):
    return exercise_of_someone(tmp_path, monkeypatch)


# -- question 3 ---------------------------------------------------------------------------------


def key_of(ex):
    return os.environ[ex.task(3)["variable"]]


def right_name(ex):
    return lambda number: hmac.digest(key_of(ex).encode(), number.encode(), "sha256").hex()


def right_key():
    return secrets.token_hex(32)


def aes_of_a_block(ex):
    """A permutation of AES under the key: 128 bits, deterministic."""

    def name(number):
        block = (
            int(number[:17]).to_bytes(16)
            if number[17] != "X"
            else (10**18 + int(number[:17])).to_bytes(16)
        )
        cipher = Cipher(algorithms.AES(bytes.fromhex(key_of(ex))), modes.ECB()).encryptor()
        return cipher.update(block).hex()

    return name


RIGHT_NAMES = {
    "HMAC-SHA-512 in base64": lambda ex: lambda n: base64.b64encode(
        hmac.digest(key_of(ex).encode(), n.encode(), "sha512")
    ).decode(),
    "14 digits": lambda ex: lambda n: right_name(ex)(n)[:14],
    "16 digits": lambda ex: lambda n: right_name(ex)(n)[:16],
    "in capitals with a prefix": lambda ex: lambda n: f"K2-{right_name(ex)(n)[:24].upper()}",
    "a whole number": lambda ex: lambda n: str(int(right_name(ex)(n), 16)),
    "as a UUID": lambda ex: lambda n: str(uuid.UUID(right_name(ex)(n)[:32])),
    "HKDF": lambda ex: lambda n: HKDFExpand(hashes.SHA256(), 16, n.encode()).derive(
        bytes.fromhex(key_of(ex))
    ).hex(),
    "AES": aes_of_a_block,
    "key before and after": lambda ex: lambda n: hashlib.sha256(
        f"{key_of(ex)}{n}{key_of(ex)}".encode()
    ).hexdigest(),
}  # fmt: skip


@pytest.mark.parametrize("way", RIGHT_NAMES)
def test_other_right_pseudonyms_are_right(ex, way):
    assert found(ex, 3, RIGHT_NAMES[way](ex), right_key) == RIGHT


def test_what_can_be_called_is_tried_as_a_function_is(ex):
    class Namer:
        def __call__(self, number):
            return right_name(ex)(number)

        def name(self, number):
            return right_name(ex)(number)

    kept = {}

    @functools.cache
    def remembered(key, number):
        return hmac.digest(key.encode(), number.encode(), "sha256").hex()

    def in_a_list(number):
        return kept.setdefault((key_of(ex), number), right_name(ex)(number))

    ways = [Namer(), Namer().name, in_a_list, functools.partial(hmac_of, ex)]
    ways.append(lambda n: remembered(key_of(ex), n))
    for way in ways:
        assert ex.check(3, way, right_key).kind is Kind.RIGHT


def hmac_of(ex, number):
    return right_name(ex)(number)


RIGHT_KEYS = {
    "secrets from ssl": lambda: ssl.RAND_bytes(32).hex(),
    "urlsafe": secrets.token_urlsafe,
    "base64": lambda: base64.b64encode(os.urandom(32)).decode(),
    "16 bytes": lambda: secrets.token_hex(16),
    "a UUID": lambda: str(uuid.uuid4()),
    "a password of 24 letters": lambda: "".join(
        secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(24)
    ),
    "SystemRandom": lambda: f"{random.SystemRandom().getrandbits(256):064x}",
}  # fmt: skip


@pytest.mark.parametrize("way", RIGHT_KEYS)
def test_other_right_keys_are_right(ex, way):
    assert found(ex, 3, right_name(ex), RIGHT_KEYS[way]) == RIGHT


def shifted(ex):
    """Each digit moved on by a part of the key: a cipher of long ago."""

    def name(number):
        by = [sum(map(ord, key_of(ex)[place::18])) for place in range(18)]
        return ",".join(str((int(d, 36) + k) % 36) for d, k in zip(number, by, strict=True))

    return name


WRONG_NAMES = {
    "md5": ("unkeyed", lambda ex: lambda n: hashlib.md5(n.encode()).hexdigest()),
    "sha256 in base64, short": (
        "unkeyed",
        lambda ex: lambda n: base64.b64encode(hashlib.sha256(n.encode()).digest()).decode()[:20],
    ),
    "16 bytes of sha256 in base64": (
        "unkeyed",
        lambda ex: lambda n: base64.b64encode(hashlib.sha256(n.encode()).digest()[:16]).decode(),
    ),
    "public salt behind": (
        "public_salt",
        lambda ex: lambda n: hashlib.sha256(f"{n}:{ex.task(3)['salt']}".encode()).hexdigest(),
    ),
    "public salt as a key": (
        "public_salt",
        lambda ex: lambda n: hmac.digest(ex.task(3)["salt"].encode(), n.encode(), "sha256").hex(),
    ),
    "base64": ("key_in_the_code", lambda ex: lambda n: base64.b64encode(n.encode()).decode()),
    "always the same": ("key_in_the_code", lambda ex: lambda n: "nobody"),
    "empty without a key": (
        "falls_back",
        lambda ex: lambda n: right_name(ex)(n) if ex.task(3)["variable"] in os.environ else "",
    ),
    "half of the key": (
        "part_of_the_key",
        lambda ex: lambda n: hmac.digest(key_of(ex)[32:].encode(), n.encode(), "sha256").hex(),
    ),
    "the birth date in clear": (
        "shines_through",
        lambda ex: lambda n: f"{n[6:10]}-{n[10:12]}-{n[12:14]}/{right_name(ex)(n)}",
    ),
    "the end in clear": ("shines_through", lambda ex: lambda n: right_name(ex)(n) + n[14:]),
    "a cipher of long ago": ("shines_through", shifted),
    "of the birth date alone": ("people_collide", lambda ex: lambda n: right_name(ex)(n[:14])),
    "eight digits": ("people_collide", lambda ex: lambda n: right_name(ex)(n)[:8]),
    "three digits": ("people_collide", lambda ex: lambda n: right_name(ex)(n)[:3]),
    "13 digits": ("people_collide", lambda ex: lambda n: right_name(ex)(n)[:13]),
    "twelve digits": ("people_collide", lambda ex: lambda n: right_name(ex)(n)[:12]),
    "a counter": (
        "random_each_time",
        lambda ex: lambda n, seen=[]: seen.append(n) or f"{len(seen)}{key_of(ex)}",
    ),
}


def beside(made):
    """What is made of the number, before the keyed part."""
    return lambda ex: lambda n: made(n) + right_name(ex)(n)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def table_in_memory(ex):
    seen = {}
    return lambda n: seen.setdefault((key_of(ex), n), secrets.token_hex(16))


WRONG_NAMES |= {
    "backwards in base64": (
        "a_part_without_key", beside(lambda n: base64.b64encode(n[::-1].encode()).decode()),
    ),
    "in base85": ("a_part_without_key", beside(lambda n: base64.b85encode(n.encode()).decode())),
    "the birth date in hex": ("a_part_without_key", beside(lambda n: f"{int(n[6:14]):x}-")),
    "the year in hex": ("a_part_without_key", beside(lambda n: f"{int(n[6:10]):x}-")),
    "man or woman": ("a_part_without_key", beside(lambda n: "FM"[int(n[16]) % 2])),
    "its length": ("a_part_without_key", beside(lambda n: "x" * (int(n[16]) % 2))),
    "a checksum behind": (
        "a_part_without_key",
        lambda ex: lambda n: right_name(ex)(n)[:32] + f"{zlib.crc32(n.encode()):08x}",
    ),
    "a hash that moves": (
        "a_part_without_key",
        lambda ex: lambda n: str(int(right_name(ex)(n), 16) % 10 ** (40 + ord(key_of(ex)[0]) % 9))
        + sha(n)[:12],
    ),
    "multiplied": (
        "a_part_without_key",
        lambda ex: lambda n: str(int(n[:17] + n[17].replace("X", "10")) * int(key_of(ex), 16)),
    ),
    "half of the key before": (
        "key_in_the_pseudonym", lambda ex: lambda n: key_of(ex)[:16] + right_name(ex)(n),
    ),
    "the key in base64": (
        "key_in_the_pseudonym",
        lambda ex: lambda n: base64.b64encode((key_of(ex) + right_name(ex)(n)).encode()).decode(),
    ),
    "the key in base32": (
        "key_in_the_pseudonym",
        lambda ex: lambda n: base64.b32encode((key_of(ex) + right_name(ex)(n)).encode()).decode(),
    ),
    "a list in memory": ("another_in_another_process", table_in_memory),
    "a hundred keys": (
        "few_keys",
        lambda ex: lambda n: hmac.digest(
            bytes([int(key_of(ex), 16) % 100]), n.encode(), "sha256"
        ).hex(),
    ),
    "two keys": (
        "few_keys",
        lambda ex: lambda n: hmac.digest(
            bytes([int(key_of(ex), 16) % 2]), n.encode(), "sha256"
        ).hex(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WRONG_NAMES)
def test_other_wrong_pseudonyms_are_told(ex, way):
    name, make = WRONG_NAMES[way]
    assert found(ex, 3, make(ex), right_key) == name


def test_of_a_thousand_keys_the_first_two_may_be_as_good_as_one(ex, monkeypatch):
    monkeypatch.setattr(hash_and_pseudonymise_keys, "judge", lambda *_: "")
    drawn = itertools.chain([f"{7:064x}", f"{1007:064x}"], iter(right_key, None))

    def of_three_digits(number):
        return hmac.digest(b"%d" % (int(key_of(ex), 16) % 1000), number.encode(), "sha256").hex()

    at = Attempt(ex.task(3))
    assert ex._questions[3].check(at, of_three_digits, lambda: next(drawn)) == "few_keys"
    assert "the function: the same number, another key → another pseudonym" in at.tried


WRONG_KEYS = {
    "a word": ("same_key_each_time", lambda: "correct horse battery staple"),
    "a slow hash of a word": (
        "same_key_each_time",
        lambda: hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 10).hex(),
    ),
    "a hash of a small number": (
        "small_key",
        lambda: hashlib.sha256(str(secrets.randbelow(40)).encode()).hexdigest(),
    ),
    "eight bytes": ("small_key", lambda: secrets.token_hex(8)),
    "random": ("guessable_key", lambda: random.randbytes(32).hex()),
    "a hash of random": (
        "guessable_key",
        lambda: hashlib.sha256(str(random.random()).encode()).hexdigest(),
    ),
}


COUNT = itertools.count()

WRONG_KEYS |= {
    "the time, hashed": ("counted_key", lambda: sha(str(time.time()))),
    "a generator of the time": (
        "counted_key",
        lambda: f"{random.Random(time.time_ns()).getrandbits(256):064x}",
    ),
    "a date and a word": ("counted_key", lambda: sha(f"word {datetime.datetime.now()}")),
    "a counter": ("counted_key", lambda: sha(str(next(COUNT)))),
    "a million": ("small_key", lambda: sha(str(secrets.randbelow(10**6)))),
    "four bytes, hashed": ("small_key", lambda: sha(secrets.token_hex(4))),
    "four bytes, eight times": ("small_key", lambda: secrets.token_hex(4) * 8),
}


def test_of_32_letters_one_may_not_have_come_at_a_place():
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    made = ["".join(letters[(key + place) % 32] for place in range(22)) for key in range(300)]
    made = [f"b{key[1:]}" if key[0] == "a" else key for key in made]
    assert hash_and_pseudonymise_keys._KEY_BITS < hash_and_pseudonymise_keys.bits_of(made) < 110


@pytest.mark.parametrize("way", WRONG_KEYS)
def test_other_wrong_keys_are_told(ex, way):
    name, make = WRONG_KEYS[way]
    state = random.getstate()
    assert found(ex, 3, right_name(ex), make) == name
    if name == "guessable_key":
        assert random.getstate() != state  # of the calls alone: the seed is put back
    else:
        assert random.getstate() == state


def test_the_variable_is_as_it_was(ex, monkeypatch):
    variable = ex.task(3)["variable"]
    monkeypatch.setenv(variable, "mine, and long enough")
    assert found(ex, 3, right_name(ex), right_key) == RIGHT
    assert os.environ[variable] == "mine, and long enough"
    monkeypatch.delenv(variable)
    assert ex.check(3, lambda n: 1 / 0, right_key).kind is Kind.ERROR
    assert variable not in os.environ


@pytest.mark.parametrize("wrong", [lambda n: b"bytes", lambda n: None])
def test_a_pseudonym_of_another_type_is_the_cells_error(ex, wrong):
    verdict = ex.check(3, wrong, right_key)
    assert verdict.kind is Kind.ERROR
    assert "has to return a str" in verdict.text


def test_bits_are_counted_by_place():
    assert hash_and_pseudonymise_keys.bits_of(["ab", "cd"]) == 2
    assert hash_and_pseudonymise_keys.bits_of(["ab", "ac"]) == 1
    # One drawn number is much shorter than the others; half of them are no exception.
    drawn = [f"{secrets.randbits(128) | 1 << 127:x}" for _ in range(299)]
    assert hash_and_pseudonymise_keys.bits_of([*drawn, "7f"]) > 120
    assert hash_and_pseudonymise_keys.bits_of([*drawn, *["7f"] * 299]) <= 8


def test_a_key_that_is_set_by_new_key_is_not_kept(ex):
    variable = ex.task(3)["variable"]

    def sets_it():
        os.environ[variable] = right_key()
        return os.environ[variable]

    assert found(ex, 3, right_name(ex), sets_it) == RIGHT
    assert variable not in os.environ


def test_what_another_process_does_stays_there():
    here = []
    told = hash_and_pseudonymise_keys.elsewhere(lambda: [here.append(1), len(here)])
    assert (told, here) == ([None, 1], [])


@pytest.mark.parametrize("work", [lambda: 1 / 0, lambda: os._exit(3), lambda: object()])
def test_another_process_that_fails_says_nothing(work):
    assert hash_and_pseudonymise_keys.elsewhere(work) is None


def test_another_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(hash_and_pseudonymise_keys, "_PATIENCE", 0.2)
    assert hash_and_pseudonymise_keys.elsewhere(lambda: time.sleep(60)) is None


def test_where_no_process_can_be_split_nothing_is_said(ex, monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert found(ex, 3, right_name(ex), right_key) == RIGHT


def test_chance_is_not_taken_for_a_leak():
    for letters in ("01", "0123456789", "0123456789abcdef"):
        made = [["".join(random.choices(letters, k=64)) for _ in range(8)] for _ in range(40)]
        assert hash_and_pseudonymise_leaks._stays(made) == ""
