"""Exercise 03, question 5: a function that says which of two doors stand open.

It is called in five states of the learner's own lab, and afterwards all is as it was.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType

from leftopen.checks.case_tongren_doors_server import DATABASES, Server
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.sql_probe import operator
from leftopen.engines.postgres_server import HBA
from leftopen.lab import Lab
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

SERVICE, DATABASE = WORDS = ("service", "database")
_PATIENCE = 20.0  # what the check waits for one call; the question says so
# No account has a password, so this lets nobody in: neither a stranger nor the service.
_REFUSING = "host all all all scram-sha-256"
_ASIDE = "left_open_keeps_this"
_CLOSED = "listen_addresses = 'localhost'"


@dataclass(frozen=True)
class _State:
    """A state of the lab: what it is called, how it is made, and which doors are open in it."""

    name: str
    made: Callable[[PostgresLab], contextlib.AbstractContextManager]
    open: frozenset[str]


@contextlib.contextmanager
def _refusing(lab: PostgresLab) -> Iterator[None]:
    before = lab.hba
    try:
        lab.configure(_REFUSING, file=HBA)
        yield
    finally:
        lab.configure(before, file=HBA)


@contextlib.contextmanager
def _emptied(lab: PostgresLab) -> Iterator[None]:
    """Without one passage in the first database. DELETE waits for nobody who reads."""
    with operator(lab, DATABASES[0]) as connection:
        connection.execute(f"CREATE TABLE {_ASIDE} AS TABLE passages; DELETE FROM passages")
        try:
            yield
        finally:
            connection.execute(f"INSERT INTO passages TABLE {_ASIDE}; DROP TABLE {_ASIDE}")


@contextlib.contextmanager
def _service_stopped(lab: PostgresLab) -> Iterator[None]:
    try:
        lab.backend.stop()
        yield
    finally:
        lab.backend.restart()


@contextlib.contextmanager
def _database_closed(lab: PostgresLab) -> Iterator[None]:
    before = lab.config
    try:
        lab.configure(_CLOSED)
        yield
    finally:
        lab.configure(before, replace=True)


_AS_FOUND = "as it was found"
_REFUSED, _EMPTY = "the database refuses every login", "not one passage on server 1"
_STOPPED, _SHUT = "the service stopped", "the database closed to the outside"
_STATES = (
    _State(_AS_FOUND, contextlib.nullcontext, frozenset(WORDS)),
    _State(_REFUSED, _refusing, frozenset()),
    _State(_EMPTY, _emptied, frozenset()),
    _State(_STOPPED, _service_stopped, frozenset({DATABASE})),
    _State(_SHUT, _database_closed, frozenset({SERVICE})),
)
_MISSES = {
    # what was named in a state -> the near miss; what is not here is told in general
    (_AS_FOUND, frozenset({SERVICE})): "first_door_only",
    (_AS_FOUND, frozenset({DATABASE})): "first_door_only",
    (_REFUSED, frozenset({SERVICE})): "any_page_believed",
    (_REFUSED, frozenset({DATABASE})): "port_believed",
    (_REFUSED, frozenset(WORDS)): "answers_believed",
    (_EMPTY, frozenset({SERVICE})): "nothing_in_it",
    (_EMPTY, frozenset({DATABASE})): "nothing_in_it",
    (_EMPTY, frozenset(WORDS)): "nothing_in_it",
    (_STOPPED, frozenset()): "service_speaks_for_both",
    (_SHUT, frozenset()): "database_speaks_for_both",
}


class _Failed(Exception):
    """The learner's function raised: what."""


def _call(at: Attempt, open_doors: FunctionType, lab: PostgresLab) -> frozenset[str]:
    """What the learner's function returns.

    Raises:
        _Failed: it raised.
        BadAnswer: it returns no set of texts, or does not end in time.
    """
    service, database = lab.backend.outside.uri, lab.outside.uri_as("postgres", "", DATABASES[0])
    found: list[object] = []

    def run() -> None:
        try:
            found.append(open_doors(service, database))
        except BaseException as error:  # told to the learner
            found.append(error)

    thread = threading.Thread(target=run, name="leftopen-open-doors", daemon=True)
    thread.start()
    until = time.monotonic() + _PATIENCE
    while thread.is_alive() and time.monotonic() < until and not at.interrupted.is_set():
        thread.join(0.1)
    if not found:
        raise BadAnswer(
            f"`open_doors` did not end within {_PATIENCE:.0f} seconds. Give each question that it "
            "asks a timeout"
        )
    if isinstance(found[0], TypeError | NameError | SyntaxError):
        raise found[0]  # a mistake in the writing, and none about doors
    if isinstance(found[0], BaseException):
        raise _Failed(type(found[0]).__name__) from found[0]
    if not isinstance(found[0], set | frozenset) or not found[0] <= set(WORDS):
        told = repr(found[0]) if isinstance(found[0], set) else f"a {type(found[0]).__name__}"
        raise BadAnswer(
            f"`open_doors` returned {told}. Return a set, with the words 'service' and 'database', "
            "one of them, or none"
        )
    return frozenset(found[0])


def _check(at: Attempt, lab: PostgresLab, open_doors: FunctionType) -> str:
    """The right doors in each of the states."""
    if not (lab.is_as_found and lab.backend.is_running and lab.backend.outside.is_open):
        raise BadAnswer(
            "This lab is no longer as it was found. Run lab = ex.lab(5) again; your function can "
            "stay"
        )
    for state in _STATES:
        with state.made(lab):
            try:
                named = _call(at, open_doors, lab)
            except _Failed as failed:
                at.note(f"your function, {state.name}", "say what is open", f"{failed}")
                at.values.update(error=str(failed), state=state.name)
                # ValueError is what json() raises for a text that is none.
                no_json = isinstance(failed.__cause__, ValueError) and state.name == _REFUSED
                return "trouble_is_no_page" if no_json else "closed_is_no_answer"
        at.note(f"your function, {state.name}", "say what is open", _shown(named))
        if named != state.open:
            at.values.update(state=state.name, named=_shown(named), right=_shown(state.open))
            return _MISSES.get((state.name, named), "other_doors")
    return RIGHT


def _shown(named: frozenset[str]) -> str:
    return ", ".join(sorted(named)) or "nothing"


def _task(draw: Draw) -> Task:
    return Task(number=Server.of(draw).row)


QUESTION = Question(
    asks={"lab": Lab, "open_doors": FunctionType},
    check=_check,
    task=_task,
    lab=lambda task: Server(task["number"]).open(),
)
