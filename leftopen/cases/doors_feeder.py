"""The doors go on: a feeder adds passages to the case's databases while the learner watches."""

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg

from leftopen.cases.background import Background
from leftopen.errors import EngineFailed
from leftopen.lab_postgres import PostgresLab
from leftopen.synth.tongren import DATABASES, DEFAULT_SEED, SAMPLE_RESIDENTS, later_passages

PASSAGES = 2
"""How many passages a message has. At this pace a day of the doors passes in half an hour."""

_THERE = "SELECT datname FROM pg_database WHERE datname = ANY(%s) ORDER BY datname"
_WRITE = """
    INSERT INTO passages
           (passage, at, building, door, direction, person, visitor, flat, status)
    SELECT coalesce(max(passage), 0) + 1, %(at)s, %(building)s, %(door)s, %(direction)s,
           %(person)s, %(visitor)s, %(flat)s, %(status)s
    FROM passages"""


class DoorsFeeder(Background):
    """What the doors write down from Monday, 17 August 2020 on, written by the operator.

    The passages are those of :func:`leftopen.synth.tongren.later_passages`, in their order. A
    second feeder of the same lab goes on where the first one stopped.

    Args:
        lab: a Tongren lab.
        seed: which people live there: the seed with which the lab was made.
        residents: how many, in all databases together.

    Raises:
        EngineFailed: the server does not answer.
    """

    def __init__(
        self, lab: PostgresLab, seed: int = DEFAULT_SEED, residents: int = SAMPLE_RESIDENTS
    ) -> None:
        self._people = seed, residents
        super().__init__(lab)

    def _later(self) -> Iterator[tuple[str, dict]]:
        try:
            with psycopg.connect(self.lab.inside.uri) as operator:
                there = [name for (name,) in operator.execute(_THERE, [list(DATABASES)])]
        except psycopg.Error as error:
            raise EngineFailed(self.no_answer) from error
        return later_passages(*self._people, there)

    def send(self, count: int = PASSAGES) -> int:
        """Write the next passages now, and return how many the server accepted.

        Raises:
            EngineFailed: the server does not answer, or does not accept one; the message says why.
        """
        source, accepted, open_ones = self._source, 0, {}
        try:
            with source.lock, ExitStack() as stack:
                for database, passage in source.next(count):
                    if database not in open_ones:
                        uri = self.lab.inside.uri_of(database)
                        operator = psycopg.connect(uri, autocommit=True)
                        open_ones[database] = stack.enter_context(operator)
                    open_ones[database].execute(_WRITE, passage)
                    source.waiting.pop(0)
                    accepted += 1
        except psycopg.Error as error:
            raise EngineFailed(_why(error, self.no_answer)) from error
        finally:
            self.sent += accepted
        return accepted


def _why(error: psycopg.Error, no_answer: str) -> str:
    if error.sqlstate is None:  # there is no connection
        return no_answer
    return f"PostgreSQL does not accept the passage: {error.diag.message_primary}."
