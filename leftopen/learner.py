"""Who works through the course: a name, from which each learner's own values are drawn.

The name stays on this machine. It need not be a real one: any text will do, and it only decides
which accounts, policies and records an exercise asks about.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import TypeVar

from leftopen import progress
from leftopen.errors import LeftOpenError

VARIABLE = "LEFTOPEN_LEARNER"
DEFAULT = "default"
RELEASE = 1  # to be raised when the same name is to give other values, as for a new term
_LONGEST = 80

T = TypeVar("T")


def current() -> str:
    """The learner's name: the variable LEFTOPEN_LEARNER, what `leftopen learner` wrote, default.

    Raises:
        LeftOpenError: the name in the variable cannot be used.
    """
    if name := os.environ.get(VARIABLE):
        return check_name(name)
    return progress.read_learner() or DEFAULT


def check_name(name: str) -> str:
    """The name without the spaces around it.

    Raises:
        LeftOpenError: it is empty, too long, or holds what cannot be printed.
    """
    name = name.strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise LeftOpenError(
            f"{name[:_LONGEST]!r} cannot be a learner's name. "
            f"Give 1 to {_LONGEST} printable characters."
        )
    return name


class Draw:
    """The values of one learner in one exercise; the same name always gives the same ones.

    Each draw is SHA-256 (FIPS 180-4) of release, exercise, learner and purpose, so that it depends
    on nothing else: not on the order of draws, and not on the version of Python.

    Args:
        learner: the learner's name.
        exercise: the exercise's name.
    """

    def __init__(self, learner: str, exercise: str) -> None:
        self._key = f"{RELEASE}\n{exercise}\n{learner}\n"

    def number(self, purpose: str, below: int) -> int:
        """A whole number from 0 to ``below`` - 1."""
        digest = hashlib.sha256((self._key + purpose).encode()).digest()
        return int.from_bytes(digest) % below

    def pick(self, purpose: str, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.number(purpose, len(options))]

    def shuffle(self, purpose: str, options: Sequence[T]) -> list[T]:
        """All options in an order of this learner's own."""
        rest, found = list(options), []
        while rest:
            found.append(rest.pop(self.number(f"{purpose} {len(rest)}", len(rest))))
        return found

    def password(self, purpose: str, length: int = 20) -> str:
        """A password for an account that an exercise provides; letters and digits.

        It is as public as the learner's name: for invented data on loopback alone.
        """
        letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
        return "".join(self.pick(f"{purpose} {n}", letters) for n in range(length))
