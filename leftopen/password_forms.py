"""What the three engines keep of a password, made here without a server; and what a guess costs.

SCRAM is RFC 5802 with SHA-256 (RFC 7677): the password goes through PBKDF2 (RFC 8018), and two keys
are made of the result, with which a server checks a proof and cannot make one. The tests compare
the forms with those of real servers.
"""

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable

import bcrypt
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

POSTGRESQL_ROUNDS = 4_096
"""What PostgreSQL does unless `scram_iterations` says otherwise (from version 16 on)."""
MONGODB_ROUNDS = 15_000
"""What MongoDB does unless `scramSHA256IterationCount` says otherwise."""
OPENSEARCH_COST = 12
"""The cost of bcrypt with which OpenSearch's security plugin hashes: 2 to the power of it."""
OWASP = {"memory_cost": 19_456, "iterations": 2, "lanes": 1}
"""One of OWASP's choices for Argon2id, memory in KiB; claim HP5 of the ledger."""


def postgresql(password: str, salt: bytes, rounds: int = POSTGRESQL_ROUNDS) -> str:
    """The verifier in ``pg_authid.rolpassword`` (PostgreSQL manual, "pg_authid").

    Args:
        password: in ASCII; other letters would have to be normalised first (SASLprep).
        salt: 16 bytes.
        rounds: of PBKDF2.
    """
    stored, server = _scram(password, salt, rounds)
    return f"SCRAM-SHA-256${rounds}:{_text(salt)}${stored}:{server}"


def mongodb(password: str, salt: bytes, rounds: int = MONGODB_ROUNDS) -> dict[str, object]:
    """The entry ``credentials.SCRAM-SHA-256`` of ``admin.system.users``.

    Args:
        password: in ASCII, as for :func:`postgresql`.
        salt: 28 bytes.
        rounds: of PBKDF2.
    """
    stored, server = _scram(password, salt, rounds)
    return {
        "iterationCount": rounds,
        "salt": _text(salt),
        "storedKey": stored,
        "serverKey": server,
    }


def opensearch(password: str, salt: bytes, cost: int = OPENSEARCH_COST) -> str:
    """The ``hash`` in ``internal_users.yml``: bcrypt, in the spelling of OpenSearch.

    Args:
        password: 72 bytes at most.
        salt: 16 bytes.
        cost: the logarithm of the rounds, 4 to 31.
    """
    alphabet = str.maketrans(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    )
    settings = f"$2b${cost:02d}${_text(salt).rstrip('=').translate(alphabet)}"
    return bcrypt.hashpw(password.encode(), settings.encode()).decode().replace("$2b$", "$2y$")


def guesses_a_second() -> dict[str, float]:
    """How many guesses a second one core of this machine makes, for each way to store; measured."""
    salt, password = os.urandom(16), "a guess"
    word = password.encode()
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "SHA-256, once": (lambda: hashlib.sha256(salt + word).digest(), 50_000),
        "PostgreSQL": (lambda: postgresql(password, salt), 20),
        "MongoDB": (lambda: mongodb(password, salt), 10),
        "Argon2id, OWASP": (lambda: Argon2id(salt=salt, length=32, **OWASP).derive(word), 5),
        "OpenSearch": (lambda: opensearch(password, salt), 1),
    }
    rates = {}
    for name, (guess, times) in ways.items():
        begin = time.thread_time()
        for _ in range(times):
            guess()
        rates[name] = times / (time.thread_time() - begin)
    return rates


def _scram(password: str, salt: bytes, rounds: int) -> tuple[str, str]:
    """StoredKey and ServerKey of RFC 5802, section 3, in base64."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    return _text(hashlib.sha256(client).digest()), _text(server)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
