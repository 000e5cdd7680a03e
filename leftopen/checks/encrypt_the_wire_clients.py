"""Exercise 12, questions 2 to 4: clients that a learner wrote, called with impostors in the way."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType

import psycopg
import pymongo
from opensearchpy import OpenSearch
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    OpenSearchException,
)
from pymongo import common

from leftopen.cases import sensenets
from leftopen.checks import search_lab, sql_lab
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.checks.search_lab import variant
from leftopen.checks.sql_probe import DATABASE
from leftopen.impostor import KINDS, NO_TLS, OTHER_AUTHORITY, OTHER_NAME, Impostor
from leftopen.lab import Lab
from leftopen.lab_mongodb import MongoLab
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.lab_postgres import PostgresLab
from leftopen.learner import Draw

NAME = "12"
MONGO_TLS = (
    "net: {{tls: {{mode: requireTLS, certificateKeyFile: '{pki.server}', CAFile: '{pki.ca}', "
    "allowConnectionsWithoutCertificates: true}}}}"
)
_PATIENCE = 8.0  # seconds that the true server has for one call
_SHORT = 4.0  # seconds that a client has with an impostor
_LOOK = 0.02  # seconds between two looks at a call
_A_MOMENT = 2.0  # seconds after which a MongoClient gives up an impostor
_CALLS = 3  # an impostor of PostgreSQL tries three things, one after the other
_ENOUGH = 2  # conversations that a client ended without a word: it will not come to another end
_LABELS = {
    OTHER_AUTHORITY: "an impostor with the right name, of another authority",
    OTHER_NAME: "an impostor of the right authority, with another name",
    NO_TLS: "an impostor that speaks no TLS",
}


@dataclass(frozen=True)
class Driver:
    """What the check must know of a driver.

    Attributes:
        gives: what a learner's function returns.
        read: reads something of the lab with it, and raises what the driver raises.
        refused: whether an error is the server's refusal of a login, or of the reading.
        errors: what the driver raises of a connection.
        calls: how often to come back to an impostor.
    """

    gives: type
    read: Callable
    refused: Callable[[Exception], bool]
    errors: tuple[type[Exception], ...]
    calls: int = 1


class _Call:
    """One call of a learner's function, and what its client reads; in a thread of its own."""

    def __init__(self, driver: Driver, connect: FunctionType, port: int, seconds: float) -> None:
        self._driver, self._connect, self._port = driver, connect, port
        self._seconds = seconds
        self.error: BaseException | None = None
        self.returned = False
        self.given: object = None
        self._before: int | None = None
        self._deadline = time.monotonic() + 2 * seconds + 1
        self._thread = threading.Thread(target=self._run, name="leftopen-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        client = None
        try:
            with quiet():
                client = self.given = self._connect("127.0.0.1", self._port)
                self.returned = True
                if isinstance(client, self._driver.gives):
                    with pymongo.timeout(self._seconds):
                        self._driver.read(client)
        except BaseException as error:  # told to the learner
            self.error = error
        finally:
            if isinstance(client, self._driver.gives):
                with contextlib.suppress(Exception):
                    client.close()

    def ended(self, refusals: int = 0) -> bool:
        """Whether it is done, or its time is over, or enough was seen of its client.

        Args:
            refusals: how many conversations were ended without a word until now.
        """
        if not self.hangs or time.monotonic() > self._deadline:
            return True
        if self.returned and self._before is None:
            self._before = refusals  # what happened before the function returned does not count
        enough = self._before is not None and refusals - self._before >= _ENOUGH
        if enough:
            with contextlib.suppress(Exception):
                self.given.close()
        return enough

    @property
    def hangs(self) -> bool:
        return self._thread.is_alive()

    @property
    def served(self) -> bool:
        """Whether it returned a client that could read."""
        done = not self.hangs and self.error is None
        return done and isinstance(self.given, self._driver.gives)


def judge(at: Attempt, lab: Lab, connect: FunctionType, driver: Driver) -> str:
    """Call a function with the true server's port, and with those of three impostors."""
    with _mongo_waits(_PATIENCE):
        true = _Call(driver, connect, lab.inside.port, _PATIENCE)
        _wait(true.ended)
    _refuse_mistakes(true, driver)
    refused = true.error is not None and driver.refused(true.error)
    answer = "answered" if true.served else "login refused" if refused else "no connection"
    at.note("your client", "read from the true server", answer)
    if refused:
        return "no_login"
    with _mongo_waits(_A_MOMENT):
        heard, served = _with_impostors(at, lab, connect, driver)
    if not true.served:
        return "in_clear" if NO_TLS in heard else "trusts_nobody"
    if NO_TLS in heard:
        return "falls_back"
    if heard:
        return "any_certificate" if OTHER_AUTHORITY in heard else "any_name"
    return "elsewhere" if served else RIGHT


def _wait(ended: Callable[[], bool]) -> None:
    while not ended():
        time.sleep(_LOOK)


@contextlib.contextmanager
def _mongo_waits(seconds: float) -> Iterator[None]:
    """Let a MongoClient that says nothing about it look for its server for so long, and not 30 s.

    What a function does after its first try has failed is then seen, too.
    """
    before = common.SERVER_SELECTION_TIMEOUT
    common.SERVER_SELECTION_TIMEOUT = seconds
    try:
        yield
    finally:
        common.SERVER_SELECTION_TIMEOUT = before


def _refuse_mistakes(call: _Call, driver: Driver) -> None:
    """A mistake in the function says nothing about its TLS."""
    if call.hangs:
        raise BadAnswer(
            "connect did not come to an end with the server's own address. Look for a wait "
            "without a limit"
        )
    if call.error is None and not call.served:
        raise BadAnswer(
            f"connect returned a {type(call.given).__name__}; it is to return a "
            f"{driver.gives.__name__}. Does it end with `return`?"
        )
    if call.error is not None and not isinstance(call.error, driver.errors):
        kind = type(call.error).__name__
        raise BadAnswer(
            f"connect has a mistake that is none of TLS. It raised {kind}: {call.error}"
        )


def _with_impostors(
    at: Attempt, lab: Lab, connect: FunctionType, driver: Driver
) -> tuple[set[str], bool]:
    """Which kinds of impostor hear something, and whether one of them was no hindrance at all."""
    with contextlib.ExitStack() as open_:
        places = {kind: open_.enter_context(Impostor(lab, kind)) for kind in KINDS}
        calls: dict[str, _Call] = {}
        for turn in range(driver.calls):
            deaf = [kind for kind in KINDS if turn == 0 or not places[kind].heard]
            calls |= {kind: _Call(driver, connect, places[kind].port, _SHORT) for kind in deaf}
            waiting = deaf
            while waiting:
                time.sleep(_LOOK)
                waiting = [k for k in waiting if not calls[k].ended(places[k].hung_up)]
        heard = {kind for kind, place in places.items() if place.heard}
        if driver.calls == 1:  # a client that verifies says nothing at all
            heard |= {kind for kind, place in places.items() if place.sent}
        for kind, place in places.items():
            what = place.heard[0] if place.heard else "what it was told"
            at.note("your client", _LABELS[kind], f"heard {what}" if kind in heard else "nothing")
        return heard, any(call.served for kind, call in calls.items() if kind not in heard)


# -- question 2: MongoDB ------------------------------------------------------------------------


def _account(draw: Draw, number: int, names: tuple[str, ...]) -> Task:
    draw = variant(draw, NAME, number, of=2)
    name = draw.pick("account", names)
    return Task(
        account=(name, "the account of the program that you write"),
        password=(draw.password("account"), "its password"),
    )


def _mongo_task(draw: Draw) -> Task:
    return _account(draw, 2, ("trackers_app", "map_app", "night_report", "camera_stock"))


def _mongo_lab(task: Task) -> MongoLab:
    def account(client: pymongo.MongoClient) -> None:
        part = [{"role": "read", "db": sensenets.DATABASE}]
        secret = str(task["password"])
        client.admin.command("createUser", task["account"], pwd=secret, roles=part)

    config = "net: {bindIp: 0.0.0.0}\nsecurity: {authorization: enabled}"
    lab = sensenets.small_lab(12, config, account, people=60, positions=100)
    lab.configure(MONGO_TLS.format(pki=lab.certificates))
    return lab


def _read_mongo(client: pymongo.MongoClient) -> None:
    if client[sensenets.DATABASE].trackers.find_one() is None:
        raise pymongo.errors.ConnectionFailure("another server: it has no tracker")


_MONGO = Driver(
    pymongo.MongoClient,
    _read_mongo,
    lambda error: isinstance(error, pymongo.errors.OperationFailure) and error.code in (13, 18),
    (pymongo.errors.PyMongoError, OSError),
)


def _mongo(at: Attempt, lab: MongoLab, connect: FunctionType) -> str:
    """A client of MongoDB that logs in at its own server, and says nothing to another."""
    return judge(at, lab, connect, _MONGO)


# -- question 3: PostgreSQL ---------------------------------------------------------------------


def _sql_task(draw: Draw) -> Task:
    return _account(draw, 3, ("doors_app", "lift_app", "monthly_job", "cleaning_plan"))


def _sql_lab(task: Task) -> PostgresLab:
    return sql_lab.open_lab(
        f"GRANT SELECT ON buildings TO {task['account']}",
        {str(task["account"]): str(task["password"])},
    )


def _read_sql(client: psycopg.Connection) -> None:
    if client.execute("SELECT current_database()").fetchone() != (DATABASE,):
        raise psycopg.OperationalError("another database")
    client.execute("SELECT building FROM buildings LIMIT 1").fetchone()


def _sql_refuses(error: Exception) -> bool:
    """Whether a login, or the reading, was refused; not that there was no TLS."""
    words = ("authentication failed", "no password supplied", 'FATAL:  role "', ", SSL encryption")
    return isinstance(error, psycopg.Error) and (
        isinstance(error, psycopg.errors.InsufficientPrivilege)
        or any(part in str(error) for part in words)
    )


_SQL = Driver(psycopg.Connection, _read_sql, _sql_refuses, (psycopg.Error, OSError), calls=_CALLS)


def _sql(at: Attempt, lab: PostgresLab, connect: FunctionType) -> str:
    """A client of PostgreSQL that logs in at its own server, and says nothing to another."""
    return judge(at, lab, connect, _SQL)


# -- question 4: OpenSearch ---------------------------------------------------------------------


def _search_task(draw: Draw) -> Task:
    return _account(draw, 4, ("faces_app", "gates_app", "night_report", "camera_stock"))


def _search_lab(task: Task) -> SearchLab:
    named = Task(administrator=("lab_admin", ""), password=(task["password"], ""))
    account, secret = str(task["account"]), str(task["password"])
    return search_lab.locked_lab(
        named,
        users={account: search_lab.user(secret)},
        mapping={"readall": {"users": [account]}},
    )


def _read_search(client: OpenSearch) -> None:
    if not client.count(index="residents")["count"]:
        raise OpenSearchException("another cluster: it has no residents")


def _search_refuses(error: Exception) -> bool:
    return isinstance(error, AuthenticationException | AuthorizationException)


_SEARCH = Driver(OpenSearch, _read_search, _search_refuses, (OpenSearchException, OSError))


def _search(at: Attempt, lab: SearchLab, connect: FunctionType) -> str:
    """A client of OpenSearch that logs in at its own server, and says nothing to another."""
    return judge(at, lab, connect, _SEARCH)


_ASKS = {"lab": Lab, "connect": FunctionType}
MONGODB = Question(asks=_ASKS, check=_mongo, task=_mongo_task, lab=_mongo_lab)
POSTGRESQL = Question(asks=_ASKS, check=_sql, task=_sql_task, lab=_sql_lab)
OPENSEARCH = Question(asks=_ASKS, check=_search, task=_search_task, lab=_search_lab)
