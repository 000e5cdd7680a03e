"""Exercise 03, question 5: a function that says which of two doors stand open.

It is called in five states of the learner's own lab, and once with a page that asks for a login in
place of the service. Afterwards all is as it was, unless the function changed it.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FunctionType

from leftopen import loopback
from leftopen.checks.case_tongren_doors_server import DATABASES, TABLES, Server, expected
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
    """A state of the lab: what it is called, how it is made, and which doors are open in it.

    What makes it may give an address to ask in place of the service's.
    """

    name: str
    made: Callable[[PostgresLab], contextlib.AbstractContextManager[str | None]]
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


class _AsksForALogin(BaseHTTPRequestHandler):
    """Status 401 for whatever is asked, with a sentence that speaks of passages."""

    def do_GET(self) -> None:
        """Answer, as FastAPI words a refusal."""
        page = b'{"detail":"Log in to read a passage, or all passages."}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else page)

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Print nothing into the learner's notebook."""


@contextlib.contextmanager
def _login_page(lab: PostgresLab) -> Iterator[str]:
    server = ThreadingHTTPServer((loopback.HERE, 0), _AsksForALogin, bind_and_activate=False)
    server.socket.close()
    server.socket = loopback.listen()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{loopback.HERE}:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_AS_FOUND = "as it was found"
_REFUSED, _EMPTY = "the database refuses every login", "not one passage on server 1"
_STOPPED, _SHUT = "the service stopped", "the database closed to the outside"
_LOGIN = "a page with status 401 in place of the service"
_STATES = (
    _State(_AS_FOUND, lambda _: contextlib.nullcontext(), frozenset(WORDS)),
    _State(_REFUSED, _refusing, frozenset()),
    _State(_EMPTY, _emptied, frozenset()),
    _State(_STOPPED, _service_stopped, frozenset({DATABASE})),
    _State(_LOGIN, _login_page, frozenset({DATABASE})),
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
    (_LOGIN, frozenset(WORDS)): "login_page_believed",
    (_SHUT, frozenset()): "database_speaks_for_both",
}


class _Failed(Exception):
    """The learner's function raised: what."""


def _call(at: Attempt, open_doors: FunctionType, service: str, database: str) -> frozenset[str]:
    """What the learner's function returns for two addresses.

    Raises:
        _Failed: it raised.
        BadAnswer: it returns no set of texts, or does not end in time.
    """
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
    ready = lab.is_as_found and lab.backend.is_running and lab.backend.outside.is_open
    before = _rows(lab)
    if not ready or before["passages"][0] != expected(at.task["number"]):
        raise BadAnswer(
            "This lab is no longer as it was found. Run lab = ex.lab(5) again; your function can "
            "stay"
        )
    database = lab.outside.uri_as("postgres", "", DATABASES[0])
    for state in _STATES:
        with state.made(lab) as service:
            try:
                named = _call(at, open_doors, service or lab.backend.outside.uri, database)
            except _Failed as failed:
                at.note(f"your function, {state.name}", "say what is open", f"{failed}")
                at.values.update(error=str(failed), state=state.name)
                # ValueError is what json() raises for a text that is none.
                no_json = isinstance(failed.__cause__, ValueError) and state.name == _REFUSED
                return "trouble_is_no_page" if no_json else "closed_is_no_answer"
        at.note(f"your function, {state.name}", "say what is open", _shown(named))
        if changed := [table for table, rows in _rows(lab).items() if rows != before[table]]:
            at.note("as the operator", f"compare the table {changed[0]} with before", "changed")
            at.values.update(table=changed[0], state=state.name)
            return "records_changed"
        if named != state.open:
            at.values.update(state=state.name, named=_shown(named), right=_shown(state.open))
            return _MISSES.get((state.name, named), "other_doors")
    return RIGHT


def _rows(lab: PostgresLab) -> dict[str, list[int]]:
    """For each table, how many rows all databases have, and a sum that changes with any of them."""
    found = {table: [0, 0] for table in TABLES}
    for database in DATABASES:
        with operator(lab, database) as connection:
            for table, sums in found.items():
                asked = f"SELECT count(*), coalesce(sum(hashtext(t::text)), 0)::int8 FROM {table} t"
                for n, number in enumerate(connection.execute(asked).fetchone()):
                    sums[n] += number
    return found


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
