"""A few passwords that everyone tries first, tried on a lab's own server.

With an administrator's login no attempt to log in is made: the server shows what it stores, and
each guess is checked against that (SCRAM, RFC 5802 section 3; MongoDB's SCRAM-SHA-1 hashes
``name:mongo:password`` with MD5 first). Without one, a few logins are tried.

What SCRAM-SHA-256 stores is made by ``leftopen.password_forms``.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pymongo.errors import PyMongoError

from leftopen import password_forms
from leftopen.audit.look import NEEDS_LOGIN, Look
from leftopen.audit.roles import Account, accounts
from leftopen.audit.shared import CouldNotLook, NothingToLookAt

COMMON = ("", "admin", "password", "123456", "root", "mongodb", "changeme", "test")
"""The guesses for every account, besides its own name."""
NAMES = ("admin", "root", "mongo", "mongodb", "user", "test", "app", "backup", "guest", "dba")
"""The account names that are asked for where the accounts cannot be read."""
_MOST_NAMES = 3  # so that the audit stays quick
Guess = tuple[str, str, str, str]


def guess(look: Look) -> Iterator[Guess]:
    """Accounts whose password was guessed, as (name, database, password, how it was tried).

    Raises:
        CouldNotLook: no account is known to try.
    """
    try:
        found = accounts(look)
    except CouldNotLook:
        yield from _by_logging_in(look)
        return
    if not found:
        raise NothingToLookAt("there is no account")
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter
        for account, word in zip(found, pool.map(_against_verifier, found), strict=True):
            if word is not None:
                how = f"a guess, against what usersInfo shows of {account.name}'s password"
                yield account.name, account.database, word, how


def _words(name: str) -> list[str]:
    return list(dict.fromkeys([name, *COMMON]))


def _against_verifier(account: Account) -> str | None:
    for mechanism, fits in (("SCRAM-SHA-1", _fits_sha1), ("SCRAM-SHA-256", _fits_sha256)):
        if stored := account.credentials.get(mechanism):
            return next((w for w in _words(account.name) if fits(account.name, w, stored)), None)
    return None


def _fits_sha256(_: str, word: str, stored: dict) -> bool:
    salt = base64.b64decode(stored["salt"])
    made = password_forms.mongodb(word, salt, stored["iterationCount"])
    return hmac.compare_digest(str(made["storedKey"]), stored["storedKey"])


def _fits_sha1(name: str, word: str, stored: dict) -> bool:
    mixed = hashlib.md5(f"{name}:mongo:{word}".encode(), usedforsecurity=False).hexdigest()
    salt = base64.b64decode(stored["salt"])
    salted = hashlib.pbkdf2_hmac("sha1", mixed.encode(), salt, stored["iterationCount"])
    made = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1"), usedforsecurity=False).digest()
    return hmac.compare_digest(made, base64.b64decode(stored["storedKey"]))


def _by_logging_in(look: Look) -> Iterator[Guess]:
    from leftopen.audit.client_uri import parse

    names = list(NAMES)
    if look.target.client_uri and (user := parse(look.target.client_uri).user):
        names.insert(0, user)
    known = look.known_names(names)[:_MOST_NAMES]
    if not known:
        raise CouldNotLook(f"no usual account name exists, and {NEEDS_LOGIN}")
    for name in known:
        for word in filter(None, _words(name)):  # the driver sends no empty password
            try:
                look.client(username=name, password=word).admin.command("ping")
            except PyMongoError:
                continue
            yield name, "admin", word, f"a login as {name}"
            break
