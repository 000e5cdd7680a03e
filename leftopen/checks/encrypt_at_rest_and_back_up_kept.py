"""Exercise 15, question 1: whether what was sealed is safe, and whether the server still starts.

Two texts of digits under one keystream show digits: their XOR is below 16 in each byte (NIST SP
800-38D, section 8, forbids it). A copy of the server's files is started as after a crash, by
postgres itself in its single-user mode, which listens to nobody (PostgreSQL manual, "postgres").
"""

import base64
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import FunctionType

from leftopen.audit.crypto import ciphertext, keys, search
from leftopen.engines import account, postgres
from leftopen.engines.process import disk
from leftopen.lab_postgres import PostgresLab

_DIGIT = 16  # the XOR of two digits is below it
_IN_A_ROW = 10
_KEY_SIZES = (16, 24, 32, 64)
_FORMS = ("raw bytes", "hex", "hex, capitals", "base64", "base64 for addresses", "a Python literal")
_SECONDS = 60

Unseal = Callable[[int, object], str]


def weakness(unseal: Unseal, sealed: Mapping[int, object], numbers: Mapping[int, str]) -> str:
    """What is wrong with sealed numbers, as part of a sentence; empty for nothing.

    Args:
        unseal: the learner's function.
        sealed: person -> the sealed number.
        numbers: person -> the number.
    """
    raw = [_raw(value) for value in sealed.values()]
    same = ciphertext.common_prefix(raw)  # a header, or a nonce that never changes
    first, *_ = raw = [value[same:] for value in raw]
    if any(_digits_show(a, b) for a, b in (*((first, each) for each in raw[1:]), *pairwise(raw))):
        return (
            "two of them were sealed with the same key and the same nonce, so that anybody who "
            "knows one number reads the other"
        )
    person, other = list(sealed)[:2]
    if _opens(unseal, person, _changed(sealed[person]), numbers[person]):
        return "a value that was changed opens as if nothing were, so that unseal does not need it"
    if _opens(unseal, person, sealed[other], numbers[other]):
        return (
            "the value of one resident opens in the row of another, so that whoever writes the "
            "table exchanges people"
        )
    if ciphertext.malleable(lambda value: unseal(person, value), sealed[person]):
        return "a value that was changed opens as another number, and nobody notices"
    return ""


def _opens(unseal: Unseal, person: int, value: object, number: str) -> bool:
    try:
        return unseal(person, value) == number
    except (Exception, SystemExit):  # whatever the learner's own function raises
        return False


def _raw(value: object) -> bytes:
    if isinstance(value, str):
        for read in (bytes.fromhex, lambda text: base64.b64decode(text, b"-_", validate=True)):
            with contextlib.suppress(ValueError):
                return read(value)
        with contextlib.suppress(ValueError):
            return base64.b64decode(value, validate=True)
        return value.encode()
    return bytes(value)


def _changed(value: object) -> object:
    """The value with a byte changed in its middle; of a text, a sign for another of its own."""
    at = len(value) // 2
    if isinstance(value, str):
        other = next((sign for sign in value if sign != value[at]), "A")
        return value[:at] + other + value[at + 1 :]
    raw = bytes(value)
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def _digits_show(one: bytes, two: bytes) -> bool:
    """Whether ten bytes in a row differ as digits do: by chance once in 16 to the power of 10."""
    run = 0
    for a, b in zip(one, two, strict=False):
        run = run + 1 if a ^ b < _DIGIT else 0
        if run >= _IN_A_ROW:
            return True
    return False


def key_beside(unseal: Unseal, folder: Path) -> str | None:
    """In which file below the server's folder the key stands; ``None`` if in none.

    What can be the key is each value of that length that the function names, or holds.
    """
    wanted = [form for key in _keys_of(unseal) for form in _some_forms(key)]
    found = search.plain_in_folder(folder, wanted) if wanted else []
    return found[0][0] if found else None


def _some_forms(key: bytes) -> list[bytes]:
    return [form for name, form in keys.forms(key).items() if name in _FORMS]


def _keys_of(unseal: object) -> list[bytes]:
    if not isinstance(unseal, FunctionType):
        return []
    held = [unseal.__globals__.get(name) for name in unseal.__code__.co_names]
    for cell in unseal.__closure__ or ():
        with contextlib.suppress(ValueError):  # it is empty
            held.append(cell.cell_contents)
    held += [*(unseal.__defaults__ or ()), *unseal.__code__.co_consts]
    return [bytes(v) for v in held if isinstance(v, bytes | bytearray) and len(v) in _KEY_SIZES]


def starts_again(lab: PostgresLab) -> bool:
    """Whether a copy of the server's files, as they are now, comes up as after a crash."""
    if os.name == "nt":  # a running server's files cannot be copied there
        return True
    # The server may write while its files are copied; a second copy tells that from a fault.
    return any(_copy_starts(lab) for _ in range(2))


def _copy_starts(lab: PostgresLab) -> bool:
    who = account.for_servers()
    with disk(), tempfile.TemporaryDirectory(prefix="leftopen-") as place:
        data = Path(place, "data")
        leave = shutil.ignore_patterns("postmaster.*")
        shutil.copytree(lab.config_folder, data, ignore=leave, copy_function=_copy_if_there)
        if who:
            who.give(Path(place))
        done = subprocess.run(
            [postgres.find() / "postgres", "--single", "-F", "-D", data, "postgres"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env=postgres.environment(),
            **({"user": who.uid, "group": who.gid, "extra_groups": []} if who else {}),
        )
    return done.returncode == 0


def _copy_if_there(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # the server has just removed it
        shutil.copy2(source, target)
