"""How a stored password is hashed, as its own text says, and whether that is enough.

Least parameters: OWASP, "Password Storage Cheat Sheet" (Argon2id, scrypt, bcrypt, PBKDF2).
"""

import re
from dataclasses import dataclass
from typing import Any

from leftopen.audit.crypto.kinds import DIGESTS, bytes_in
from leftopen.audit.crypto.sample import Row, words

_ARGON = re.compile(r"\$argon2(id|i|d)\$(?:v=\d+\$)?m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)")
_BCRYPT = re.compile(r"\$2[abxy]?\$(\d\d)\$(.{22}).{31}")
_PBKDF2 = re.compile(
    r"\$?pbkdf2[_:-]?(?:hmac[_-])?(sha\d+)[$:](?:i=)?(\d+)[$:]([^$:]+)[$:].+", re.IGNORECASE
)
_SCRYPT = re.compile(
    r"\$?scrypt[$:](?:ln=(\d+),r=(\d+),p=(\d+)\$|(\d+)[:$](\d+)[:$](\d+)\$)(.+?)\$"
)
_CRYPT = re.compile(r"\$(1|apr1|5|6|md5)\$(?:rounds=(\d+)\$)?([^$]*)\$.+")
_LDAP = re.compile(r"\{(S?SHA|S?MD5|SHA\d+|CLEARTEXT)\}.*", re.IGNORECASE)
_ARGON_LEAST = {1: 47_104, 2: 19_456, 3: 12_288, 4: 9_216, 5: 7_168}  # iterations: KiB
_SCRYPT_LEAST = {1: 17, 2: 16, 3: 15, 5: 14, 10: 13}  # p: log2 of N, with r = 8
_PBKDF2_LEAST = {"sha1": 1_300_000, "sha256": 600_000, "sha512": 210_000}
_BCRYPT_LEAST = 10
_SLOW = {"argon", "bcrypt", "scrypt", "yescrypt"}
_ROUNDS = {"iterations", "iteration", "rounds", "iter", "cost", "count"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a stored password.

    Attributes:
        words: in words, after "are".
        is_fast: whether a guess costs next to nothing.
    """

    words: str
    is_fast: bool


def fault(value: Any, beside: Row) -> Fault | None:
    """What is wrong with a stored password; ``None`` where nothing can be said against it.

    Args:
        value: what is stored.
        beside: the other fields of the same document or row, as rounds and algorithm.
    """
    if isinstance(value, bytes):
        return _bare(bytes(value), beside)
    if not isinstance(value, str) or not value:
        return None
    for form, judge in _FORMS:
        if match := form.fullmatch(value):
            return judge(match)
    if match := _SCRYPT.match(value):
        return _scrypt(match)
    raw = _digest_in(value)
    return _bare(raw, beside) if raw else _text(value)


def is_known(value: Any) -> bool:
    """Whether a value has the form of a stored password, whatever its field is called."""
    if not isinstance(value, str) or not value.startswith(("$", "{", "pbkdf2", "scrypt")):
        return False
    return any(form.fullmatch(value) for form, _ in _FORMS) or bool(_SCRYPT.match(value))


def salt_in(value: str) -> str:
    """The salt within a stored password; empty where none is seen."""
    for form, group in ((_ARGON, 5), (_BCRYPT, 2), (_PBKDF2, 3), (_CRYPT, 3)):
        if match := form.fullmatch(value):
            return match[group]
    if match := _SCRYPT.match(value):
        return match[7]
    return ""


def _argon(match: re.Match) -> Fault | None:
    memory, rounds = int(match[2]), int(match[3])
    least = _ARGON_LEAST[min(rounds, 5)] if rounds else 1 << 40
    if memory >= least:
        return None
    return Fault(f"Argon2{match[1]} with {memory} KiB and {rounds} rounds", False)


def _bcrypt(match: re.Match) -> Fault | None:
    cost = int(match[1])
    return None if cost >= _BCRYPT_LEAST else Fault(f"bcrypt with cost {cost}", False)


def _pbkdf2(match: re.Match) -> Fault | None:
    name, rounds = match[1].lower(), int(match[2])
    if rounds >= _PBKDF2_LEAST.get(name, 600_000):
        return None
    return Fault(f"PBKDF2-{name.upper()} with {rounds} rounds", False)


def _scrypt(match: re.Match) -> Fault | None:
    if match[1]:
        log, r, p = int(match[1]), int(match[2]), int(match[3])
    else:
        n, r, p = int(match[4]), int(match[5]), int(match[6])
        log = n.bit_length() - 1 if n > 64 else n
    least = next(
        (log for most, log in sorted(_SCRYPT_LEAST.items(), reverse=True) if p >= most), 17
    )
    if log >= least and r >= 8:
        return None
    return Fault(f"scrypt with N=2^{log}, r={r}, p={p}", False)


def _crypt(match: re.Match) -> Fault | None:
    if match[1] in ("1", "apr1", "md5"):
        return Fault("MD5 crypt", True)
    rounds = int(match[2] or 5000)
    return None if rounds >= 100_000 else Fault(f"SHA crypt with {rounds} rounds", False)


def _ldap(match: re.Match) -> Fault:
    return Fault(f"{match[1].upper()} of LDAP", True)


def _bare(raw: bytes, beside: Row) -> Fault | None:
    """A digest without any word of how it was made; what stands beside it may say."""
    if len(raw) not in DIGESTS:
        return None
    told = {part for value in beside.values() if isinstance(value, str) for part in words(value)}
    rounds = [
        value
        for name, value in beside.items()
        if set(words(name)) & _ROUNDS and isinstance(value, int)
    ]
    if told & _SLOW:
        return None
    if rounds:
        if rounds[0] >= _PBKDF2_LEAST["sha512" if len(raw) == 64 else "sha256"]:
            return None
        return Fault(f"digests of {len(raw)} bytes made with {rounds[0]} rounds", rounds[0] < 1000)
    if "pbkdf" in told:
        return None
    salted = any("salt" in words(name) for name in beside)
    return Fault(
        f"digests as long as {DIGESTS[len(raw)]}, with nothing that says slow",
        not salted or len(raw) < 32,
    )


def _text(value: str) -> Fault | None:
    """A password in clear: short, and of no form that a hash has."""
    if value[:1] in "$*!{" or len(value) > 32 or value.startswith("SCRAM-"):
        return None
    return Fault("there in clear", True)


def _digest_in(value: str) -> bytes:
    try:
        raw = bytes.fromhex(value)
    except ValueError:
        raw = bytes_in(value) or b""
    return raw if len(raw) in DIGESTS else b""


_FORMS = (
    (_ARGON, _argon),
    (_BCRYPT, _bcrypt),
    (_PBKDF2, _pbkdf2),
    (_CRYPT, _crypt),
    (_LDAP, _ldap),
)
