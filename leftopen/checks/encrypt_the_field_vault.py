"""What the questions on field-level encryption share: the lab, the key vault, the master key.

The master key of the provider ``local`` has 96 bytes, and data keys stand wrapped in the key vault
(MongoDB manual, "CSFLE Encryption Keys and Key Vaults"). An encrypted value is binary data of
subtype 6; its first byte says whether it is deterministic (1) or random (2), the next sixteen are
the id of the data key (libmongocrypt, "BSON Binary Subtype 6").
"""

import ast
import contextlib
import functools
import hashlib
import itertools
import math
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import UnionType

import numpy as np
from bson.binary import Binary
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.encryption import Algorithm, ClientEncryption
from pymongo.errors import EncryptionError, OperationFailure

from leftopen.audit.crypto import ciphertext, keys
from leftopen.audit.crypto.search import plain_in_folder
from leftopen.cases import sensenets
from leftopen.checks import encrypt_the_field_copies as copies
from leftopen.checks.probe import BadAnswer
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.synth.sensenets import sample

VAULT = "encryption.__keyVault"
MASTER_BYTES = 96
FIXED = Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Deterministic
RANDOM = Algorithm.AEAD_AES_256_CBC_HMAC_SHA_512_Random
_AWARE = CodecOptions(tz_aware=True)
IS_FIXED = 1
"""The first byte of a value that was encrypted deterministically."""
_ENCRYPTED = 6  # the subtype of binary data
_UNAUTHORIZED = 13
_LARGEST = 2_000_000  # bytes of a file beside the notebook that is looked into
_SEEDS = 2_100  # small numbers and years
_OLD_SEEDS = 2**32  # what numpy's older generator takes
_MOST_WRITTEN = 5_000  # values in the cells of a notebook
_DIGESTS = ("sha256", "sha512", "sha1", "md5", "sha384", "sha3_256", "blake2b")
_LEAST_ENTROPY = 3.0  # bits a byte; 96 hexadecimal digits have nearly 4
_EACH = 8  # times that each byte of a short key comes: 32 drawn digits have 3.1 bits, or 2.4
_FROM_PASSWORD = "the password that it is made from"  # as keys.find says


def people(seed: int, count: int) -> list[dict]:
    """The people of a small lab, as they were before anything was encrypted."""
    return sample(seed, count, count).people.to_pylist()


def open_lab(seed: int, count: int, prepare: Callable[[MongoClient], None]) -> MongoLab:
    """A small SenseNets server, open as the case was found.

    Args:
        seed: which people.
        count: how many people, and how many sightings.
        prepare: what else to do, given a client.
    """
    return sensenets.small_lab(seed, prepare=prepare, people=count, positions=count)


@contextmanager
def operator(lab: Lab) -> Iterator[MongoClient]:
    """A client of the lab's server, with times that carry their zone.

    Raises:
        BadAnswer: the server asks for a login.
    """
    with MongoClient(lab.inside.uri, tz_aware=True, timeoutMS=8000) as client:
        try:
            client["sensenets"]["people"].find_one()
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            raise BadAnswer(
                "The server asks for a login now, and this question is about a server without one. "
                "Begin again with the cell with ex.lab(…)."
            ) from error
        yield client


def needs_96(name: str, master: bytes) -> None:
    """Refuse a master key that the provider ``local`` cannot take.

    Raises:
        BadAnswer: it has another length.
    """
    if len(master) != MASTER_BYTES:
        raise BadAnswer(
            f"`{name}` has {len(master)} bytes, and a master key of the provider local has "
            f"{MASTER_BYTES}. secrets.token_bytes({MASTER_BYTES}) draws one."
        )


@contextmanager
def with_key(client: MongoClient, master: bytes, vault: str = VAULT) -> Iterator[ClientEncryption]:
    """Encryption with one master key, under whichever local provider's name the vault has."""
    database, _, collection = vault.partition(".")
    named = client[database][collection].distinct("masterKey.provider")
    local = {name for name in named if isinstance(name, str) and name.startswith("local")}
    providers = {name: {"key": master} for name in local | {"local"}}
    with ClientEncryption(providers, vault, client, _AWARE) as encryption:
        yield encryption


def is_encrypted(value: object) -> bool:
    """Whether a value is what the driver's encryption makes, by its label alone."""
    return isinstance(value, Binary) and value.subtype == _ENCRYPTED and len(value) > 17


def key_id(value: Binary) -> Binary:
    """The id of the data key of an encrypted value."""
    return Binary(bytes(value[1:17]), 4)


def opened(encryption: ClientEncryption, value: Binary) -> object:
    """What an encrypted value holds, or the exception with which it did not open."""
    try:
        return encryption.decrypt(value)
    except EncryptionError as error:
        return error


def finds(encryption: ClientEncryption, collection, field: str, plain: object, key: Binary) -> list:
    """The ids of the documents that a deterministic search for a value finds."""
    try:
        sought = encryption.encrypt(plain, FIXED, key_id=key)
    except EncryptionError:  # the key is not in the vault, or not under this master key
        return []
    return [found["_id"] for found in collection.find({field: sought}, {"_id": 1})]


def as_bytes(value: object) -> list[bytes]:
    """How a value might be written as a text, to compare it with what is stored in its place."""
    if isinstance(value, datetime):
        return [value.strftime(form).encode() for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y")]
    return [str(value).encode()]


def lost_elsewhere(client: MongoClient, seed: int, count: int) -> str:
    """The other collections that no longer hold what they held, in words; empty for none."""
    lost = []
    for name, table in sample(seed, count, count)._asdict().items():
        left = client["sensenets"][name].count_documents({})
        if name != "people" and left < table.num_rows:
            lost.append(f"{name} has {left} of {table.num_rows} documents")
    return ", ".join(lost)


def where_known(lab: Lab, server: copies.Server, master: bytes) -> tuple[str, str] | None:
    """Where a master key stands beside the data, or what it was made from.

    Returns:
        ``beside``, ``files``, ``notebook``, ``password`` or ``weak``, and the place; ``None`` for
        nowhere.
    """
    if is_weak(master):
        return "weak", "its bytes repeat or count, or come from a seed"
    if beside := copies.of_key(server, master):
        return "beside", copies.told(beside)
    if plain_in_folder(lab.log.parent, keys.forms(master).values()):
        return "files", "the server's files"
    return kept_with_notebook(master)


def kept_with_notebook(key: bytes) -> tuple[str, str] | None:
    """Where a key stands in the notebook or in a file beside it.

    Returns:
        ``notebook`` or ``password``, and the place; ``None`` for nowhere.
    """
    told = keys.in_cells(key)
    if any(place.endswith(_FROM_PASSWORD) for place in told):
        return "password", "a word in the notebook"
    if told:
        return "notebook", "in a cell"
    if any(_begins_with_digest(word, key) for word in _written(str | bytes)):
        return "password", "a word in the notebook"
    beside = [path for path in sorted(Path.cwd().iterdir()) if _is_small(path)]
    found = [path.name for path in beside if plain_in_folder(path, keys.forms(key).values())]
    return ("notebook", f"in the file {found[0]} beside it") if found else None


def _is_small(path: Path) -> bool:
    with contextlib.suppress(OSError):  # it may have gone in between
        return path.is_file() and path.stat().st_size < _LARGEST
    return False


def is_weak(master: bytes) -> bool:
    """Whether a key repeats itself, counts, or comes from a small seed or a word in a cell."""
    size = len(master)
    if any(master == (master[:n] * size)[:size] for n in range(1, size // 2 + 1)):
        return True
    if len({(b - a) % 256 for a, b in itertools.pairwise(master)}) == 1:
        return True
    if ciphertext.entropy(master) < min(_LEAST_ENTROPY, math.log2(size / _EACH)):
        return True
    if master in _from_small_seeds(size):
        return True
    return any(master in _drawn(seed, size) for seed in _written(int | str | bytes))


@functools.cache
def _from_small_seeds(size: int) -> frozenset[bytes]:
    return frozenset(key for seed in range(_SEEDS) for key in _drawn(seed, size))


def _written(kinds: type | UnionType) -> list:
    """The different values of some kinds in the cells that were run, the newest cell first."""
    found = {}
    for cell in reversed(keys.cells()):
        with contextlib.suppress(SyntaxError, ValueError):
            values = (n.value for n in ast.walk(ast.parse(cell)) if isinstance(n, ast.Constant))
            found |= dict.fromkeys(v for v in values if isinstance(v, kinds))
    return list(found)[:_MOST_WRITTEN]


def _begins_with_digest(word: str | bytes, key: bytes) -> bool:
    """Whether a key begins with the hash of a word, alone or with the first count behind it."""
    raw = word.encode() if isinstance(word, str) else word
    counted = [raw, *(raw + first for first in (b"\0", b"\1", b"0", b"1"))]
    digests = (hashlib.new(name, text).digest() for name in _DIGESTS for text in counted)
    return any(key.startswith(digest) for digest in digests)


def _drawn(seed: int | str | bytes, size: int) -> Iterator[bytes]:
    """What a seed gives: bytes of Python's or numpy's generators, or one number after the other."""
    yield random.Random(seed).randbytes(size)
    numbers = random.Random(seed)
    yield bytes(numbers.randrange(256) for _ in range(size))
    if isinstance(seed, int) and seed >= 0:
        yield np.random.default_rng(seed).bytes(size)
    if isinstance(seed, int) and 0 <= seed < _OLD_SEEDS:
        yield np.random.RandomState(seed).bytes(size)


def fresh() -> bytes:
    """A master key that nobody keeps."""
    return secrets.token_bytes(MASTER_BYTES)
