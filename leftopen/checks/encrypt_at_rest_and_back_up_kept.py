"""Exercise 15, question 1: whether what was sealed is safe, and whether the server still starts.

Two texts of digits under one keystream show digits: their XOR is below 16 in each byte (NIST SP
800-38D, section 8, forbids it). A copy of the server's files is started as after a crash, by
postgres itself in its single-user mode, which listens to nobody (PostgreSQL manual, "postgres").
"""

import contextlib
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from types import FunctionType

import psycopg

from leftopen.audit.crypto import ciphertext, keys, search
from leftopen.audit.crypto.encodings import decoded
from leftopen.checks.probe import BadAnswer
from leftopen.engines import account, postgres
from leftopen.engines.process import disk
from leftopen.lab_postgres import PostgresLab

_DIGIT = 16  # the XOR of two digits is below it
_LEAST_IN_A_ROW = 10
_BY_CHANCE = 1e-6  # how often good seals may look bad
_KEY_SIZES = (16, 24, 32, 64)
_FORMS = (
    *("raw bytes", "hex", "hex, capitals", "base64", "base64 for addresses", "a Python literal"),
    *("numbers", "numbers without spaces"),
)
_SECONDS = 60
_LONG = 16  # signs: a nonce of 12 bytes in base64; what is shorter is a name
_WRITINGS = (  # what stands between the parts, and how they may be written
    (re.compile(rb"[^A-Za-z0-9]+"), ("hex", "base32")),
    (re.compile(rb"[^A-Za-z0-9+/=_-]+"), ("base64",)),
)
_AS_A_WHOLE = ("base85", "ascii85", "escaped bytes")
_DIGITS_ALONE = re.compile(rb"[\d\s,;()\[\]{}]+")  # one number, or a list; base85 reads them

_SLIPS = (TypeError, NameError, AttributeError, LookupError, ArithmeticError)

Unseal = Callable[[int, object], str]


def weakness(unseal: Unseal, sealed: Mapping[int, object], numbers: Mapping[int, str]) -> str:
    """What is wrong with sealed numbers, as part of a sentence; empty for nothing.

    Args:
        unseal: the learner's function.
        sealed: person -> the sealed number.
        numbers: person -> the number.
    """
    raw = _without_what_is_alike([_raw(value) for value in sealed.values()])
    least = _in_a_row(raw)
    if any(_digits_show(a, b, least) for a, b in combinations(raw, 2)):
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


def fault(unseal: Unseal, person: int, value: object, number: str) -> str:
    """Why a sealed number does not open to the right one, as words; empty where it does.

    Raises:
        BadAnswer: the function fails whatever it is given.
    """
    if value is None:
        return "nothing stands there"
    try:
        return "" if unseal(person, value) == number else "unseal returns another value"
    except _SLIPS as error:
        raise BadAnswer(
            f"`unseal` raised {type(error).__name__} for person {person}: {error}. It is called as "
            "unseal(person, sealed), with what stands in the new column; call it so yourself"
        ) from None
    except (Exception, SystemExit) as error:  # whatever the learner's own function raises
        return f"unseal raises {type(error).__name__}"


def _opens(unseal: Unseal, person: int, value: object, number: str) -> bool:
    try:
        return unseal(person, value) == number
    except (Exception, SystemExit):  # whatever the learner's own function raises
        return False


def _raw(value: object) -> bytes:
    """A sealed value as bytes: of a text, what its long parts hold; nothing where that is unknown.

    The signs of a writing are alike as those of numbers are, under whatever key.
    """
    raw = bytes(value) if not isinstance(value, str) else _in_bytes(value)
    if not raw.isascii():
        return raw
    if _DIGITS_ALONE.fullmatch(raw):
        return _in_numbers([int(number) for number in re.findall(rb"\d+", raw)])
    for between, names in _WRITINGS:
        parts = [part for part in between.split(raw) if len(part) >= _LONG]
        held = [next((t for n, t in decoded(part) if n in names), b"") for part in parts]
        if all(held) and held:
            return b"".join(held)
    return next((text for name, text in decoded(raw) if name in _AS_A_WHOLE), b"")


def _in_numbers(numbers: list[int]) -> bytes:
    """What stands as a list of bytes, or as one long number; nothing for anything else."""
    if len(numbers) == 1:
        return numbers[0].to_bytes(numbers[0].bit_length() // 8 + 1)
    return bytes(numbers) if all(number < 256 for number in numbers) else b""


def _in_bytes(text: str) -> bytes:
    """A text as bytes; one of 256 signs may be the bytes themselves."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _without_what_is_alike(raw: list[bytes]) -> list[bytes]:
    """Without the places where all are alike: a header, names, or a nonce that never changes."""
    vary = [place for place, bytes_ in enumerate(zip(*raw, strict=False)) if len(set(bytes_)) > 1]
    shortest = min(map(len, raw))
    return [bytes(each[place] for place in vary) + each[shortest:] for each in raw]


def _changed(value: object) -> object:
    """The value with a byte changed in its middle; of a text, a sign for another of its own."""
    at = len(value) // 2
    if isinstance(value, str):
        other = next((sign for sign in value if sign != value[at]), "A")
        return value[:at] + other + value[at + 1 :]
    raw = bytes(value)
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def _digits_show(one: bytes, two: bytes, least: int) -> bool:
    """Whether so many bytes in a row differ as digits do."""
    run = 0
    for a, b in zip(one, two, strict=False):
        run = run + 1 if a ^ b < _DIGIT else 0
        if run >= least:
            return True
    return False


def _in_a_row(raw: list[bytes]) -> int:
    """How many such bytes in a row no two values have by chance.

    Two drawn bytes differ so once in 16 times; those of a writing more often, as it has fewer.
    """
    counts = Counter(byte // _DIGIT for each in raw for byte in each)
    alike = sum(n * n for n in counts.values()) / max(1, counts.total()) ** 2
    if not 0 < alike < 1:
        return 1 + max(map(len, raw))
    places = len(raw) ** 2 * max(map(len, raw))
    return max(_LEAST_IN_A_ROW, math.ceil(math.log(_BY_CHANCE / places, alike)))


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


def has_its_log(lab: PostgresLab, connection: psycopg.Connection) -> bool:
    """Whether the segment with which the server would begin after a crash is there.

    Ask before the next checkpoint: it makes the segment anew, and hides that it was missing.
    """
    row = connection.execute("SELECT redo_wal_file FROM pg_control_checkpoint()").fetchone()
    return (lab.config_folder / "pg_wal" / row[0]).is_file()


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
        try:
            done = subprocess.run(
                [postgres.find() / "postgres", "--single", "-F", "-D", data, "postgres"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                env=postgres.environment(),
                **({"user": who.uid, "group": who.gid, "extra_groups": []} if who else {}),
            )
        except subprocess.TimeoutExpired:
            raise BadAnswer(
                f"A copy of the server's files did not start within {_SECONDS} s. Run the check "
                "again when this machine has less to do"
            ) from None
    return done.returncode == 0


def _copy_if_there(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # the server has just removed it
        shutil.copy2(source, target)
