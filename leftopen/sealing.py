"""What lesson 13 needs beside the drivers: keys elsewhere, writes that tell, a server's log."""

import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import EncryptionError, WriteError

from leftopen.engines.kept_folder import KeptFolder
from leftopen.errors import DataError
from leftopen.lab_postgres import PostgresLab

_MASTER_BYTES = 96  # what client-side field level encryption wants of a local master key
_SENTENCE = re.compile(r"[.,:] ")


class KeyFolder:
    """A folder of its own for master keys, which plays another machine; it goes with the notebook.

    Attributes:
        path: where it is.
    """

    def __init__(self) -> None:
        self._folder = KeptFolder()
        self.path = self._folder.path

    def new(self, name: str) -> Path:
        """Make a master key of 96 random bytes, which its owner alone may read; return its file.

        Raises:
            DataError: there is one of this name, and what it encrypts would be lost.
        """
        path = self.path / name
        try:  # its mode from the first moment, before there is anything to read in it
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise DataError(
                f"There is a master key {name} already, and without it what it encrypts would be "
                "lost. Give the new one another name."
            ) from None
        with os.fdopen(file, "wb") as opened:
            opened.write(os.urandom(_MASTER_BYTES))
        return path

    def masters(self, *names: str) -> dict[str, dict[str, bytes]]:
        """The master keys as the driver wants them: each a local provider named after its file.

        Raises:
            DataError: there is no such key.
        """
        try:
            return {f"local:{name}": {"key": (self.path / name).read_bytes()} for name in names}
        except FileNotFoundError as error:
            raise DataError(
                f"There is no master key {Path(error.filename).name}. Make it with new() first."
            ) from None


def tried(action: Callable[..., Any], *values: Any) -> Any:
    """What an action on ciphertext returns; or its refusal, as one line without addresses."""
    try:
        return action(*values)
    except (EncryptionError, InvalidTag) as error:
        return f"refused: {_SENTENCE.split(str(error))[0] or type(error).__name__}"


def write(collection: Collection, number: int, **fields: Any) -> str:
    """Set fields of one document; say whether the server accepted it, or with which code not.

    Args:
        collection: where it is.
        number: its ``_id``.
        fields: field -> value.
    """
    try:
        collection.update_one({"_id": number}, {"$set": fields})
    except WriteError as error:
        return f"refused, code {error.code}"
    return "accepted"


def write_all(collection: Collection, field: str, values: Iterable[Any]) -> None:
    """Set one field of all documents, in the order in which ``find()`` gives them.

    Raises:
        ValueError: the values are more or fewer than the documents.
    """
    ids = [document["_id"] for document in collection.find({}, {"_id": 1})]
    pairs = zip(ids, values, strict=True)
    collection.bulk_write([UpdateOne({"_id": i}, {"$set": {field: v}}) for i, v in pairs])


def swap(collection: Collection, field: str, one: int, two: int) -> None:
    """Exchange a field of two documents, named by their ``_id``, as somebody may who can write."""
    values = [collection.find_one({"_id": number})[field] for number in (one, two)]
    for number, value in zip((two, one), values, strict=True):
        collection.update_one({"_id": number}, {"$set": {field: value}})


def xor(one: bytes, two: bytes) -> bytes:
    """One text against the other, bit by bit, as far as the shorter one goes."""
    return bytes(a ^ b for a, b in zip(one, two, strict=False))


def in_log(lab: PostgresLab, word: str) -> list[str]:
    """The lines of the server's log in which a word stands, without time and process."""
    lines = lab.log.read_text(errors="replace").splitlines()
    return [re.split(r" [A-Z]+: +", line, maxsplit=1)[-1] for line in lines if word in line]


def a_second(action: Callable[[], Any], times: int = 3_000) -> str:
    """How often an action can be done in a second on this machine, with one significant digit."""
    begun = time.perf_counter()
    for _ in range(times):
        action()
    rate = times / (time.perf_counter() - begun)
    return f"about {float(f'{rate:.0e}'):,.0f} a second"
