"""A function that opens a connection, called with its server's place and with impostors' places.

What counts is what the impostors heard. A client that looks at authority and name says nothing to
any of them, not even its name; so each word is one too many.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pymongo
from opensearchpy.exceptions import TransportError
from pymongo import common

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt
from leftopen.impostor import NO_TLS, OTHER_AUTHORITY, OTHER_NAME, Impostor
from leftopen.impostor_sql import PROOF
from leftopen.lab import Lab
from leftopen.lab_opensearch import quiet

_PATIENCE = 8.0  # seconds that the true server has for one call
_SHORT = 4.0  # seconds that a client has with an impostor
_LOOK = 0.02  # seconds between two looks at a call
_A_MOMENT = 2.0  # seconds after which a MongoClient gives up an impostor
_ENOUGH = 2  # conversations that a client ended without a word: it will not come to another end
_READS = 2  # how often a client reads whose connections were cut: some drivers say so once
_MOST = 5  # connections before an impostor, at most
_HERE, _NAME = "127.0.0.1", "localhost"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # which the library requests prefers


class NotThere(Exception):
    """A client that reads, and finds another database than the one of the question."""


@dataclass(frozen=True)
class Driver:
    """What the check must know of a driver.

    Attributes:
        gives: what a learner's function returns.
        read: reads something of the lab with it, and raises what the driver raises; returns as
            whom the server knows it, where that can be another account than the one of the task.
        refused: whether an error is the server's refusal of a login, or of the reading.
        errors: what the driver raises of a connection.
        mistakes: words in such an error that are about the function, and not about the server.
        calls: how often to come back to an impostor.
        has_refused: whether a client would still look for its server, and has refused the
            certificate of whoever is there; of a driver that does not look again it is not asked.
        in_order: whether its connections begin one after the other, each for the driver's own
            call, so that the second is the second each time.
    """

    gives: type
    read: Callable[..., str | None]
    refused: Callable[[Exception], bool]
    errors: tuple[type[Exception], ...]
    mistakes: tuple[str, ...] = ()
    calls: int = 1
    has_refused: Callable[[Any], bool] = lambda client: False
    in_order: bool = True


@dataclass(frozen=True)
class _Place:
    """Where a function is sent: an impostor of a kind, under a name, with words for the evidence.

    With ``let_through`` so many first connections of each call lead to the true server; with
    ``sys.maxsize`` those that a function opens until it returns, and none afterwards.
    """

    kind: str
    words: str
    host: str = _HERE
    let_through: int = 0

    @property
    def turns(self) -> bool:
        """Whether the impostor comes when the function returns."""
        return self.let_through == sys.maxsize


_FIRST = (
    _Place(OTHER_AUTHORITY, "an impostor with the right name, of another authority"),
    _Place(OTHER_NAME, "an impostor of the right authority, with another name"),
    _Place(NO_TLS, "an impostor that speaks no TLS"),
)
_THEN = (
    _Place(OTHER_AUTHORITY, "another authority, called localhost", _NAME),
    _Place(OTHER_NAME, "another name, called localhost", _NAME),
    _Place(OTHER_AUTHORITY, "an impostor that comes after the true server", _HERE, sys.maxsize),
)


class _Call:
    """One call of a learner's function, and what its client reads; in a thread of its own."""

    def __init__(
        self,
        driver: Driver,
        connect: Callable,
        host: str,
        port: int,
        seconds: float,
        turn: Callable[[], int] | None = None,
    ) -> None:
        self._driver, self._connect, self._place = driver, connect, (host, port)
        self._seconds, self._turn = seconds, turn
        self.error: BaseException | None = None
        self.returned = False
        self.given: object = None
        self.account: str | None = None
        self.let_through = 0
        """How many connections the function had opened when it returned, where there is a turn."""
        self._before: int | None = None
        self._deadline = time.monotonic() + 2 * seconds + 1
        self._thread = threading.Thread(target=self._run, name="leftopen-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        client = None
        try:
            with quiet():
                client = self.given = self._connect(*self._place)
                if self._turn:
                    self.let_through = self._turn()
                self.returned = True
                if isinstance(client, self._driver.gives):
                    with pymongo.timeout(self._seconds):
                        self._read(client)
        except BaseException as error:  # told to the learner
            self.error = error
        finally:
            if isinstance(client, self._driver.gives):
                with contextlib.suppress(Exception):
                    client.close()

    def _read(self, client: Any) -> None:
        for left in reversed(range(_READS if self._turn else 1)):
            try:
                self.account = self._driver.read(client)
            except self._driver.errors:
                if not left:
                    raise
            else:
                return

    def ended(self, refusals: int = 0) -> bool:
        """Whether it is done, or its time is over, or enough was seen of its client.

        Args:
            refusals: how many conversations were ended without a word until now.
        """
        if not self.hangs or time.monotonic() > self._deadline:
            return True
        if self.returned and self._before is None:
            self._before = refusals  # what happened before the function returned does not count
        if self._turn:  # clients that are left over from before hang up as well
            gives = self.returned and isinstance(self.given, self._driver.gives)
            enough = gives and self._driver.has_refused(self.given)
        else:
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


@dataclass(frozen=True)
class _Met:
    """What came of the impostors: what each one heard that did, and who never went to one.

    Attributes:
        heard: for each place at which something was heard, what.
        elsewhere: whether a client was served that no impostor served, or was the very one that
            had been to the true server before.
        let_through: how many connections a function had opened when the impostor came.
    """

    heard: dict[_Place, list[str]]
    elsewhere: bool
    let_through: int

    @property
    def kinds(self) -> set[str]:
        return {place.kind for place in self.heard}

    @property
    def proofs_alone(self) -> bool:
        """Whether something was heard, and nothing more than proofs of passwords."""
        logins = [login for logins in self.heard.values() for login in logins]
        return bool(logins) and all(PROOF in login for login in logins)


def judge(at: Attempt, lab: Lab, connect: Callable, driver: Driver) -> str:
    """Call a function with the true server's port, and with those of impostors."""
    with _mongo_waits(_PATIENCE):
        true = _Call(driver, connect, _HERE, lab.inside.port, _PATIENCE)
        while not true.ended():
            time.sleep(_LOOK)
    refused = isinstance(true.error, NotThere) or (
        isinstance(true.error, Exception) and driver.refused(true.error)
    )
    if not refused:
        _refuse_mistakes(true, driver)
    answer = "answered" if true.served else "refused" if refused else "no connection"
    at.note("your client", "read from the true server", answer)
    if true.account not in (None, at.task["account"]):
        at.note("your client", "ask the true server as whom it came", true.account)
        at.values["who"] = true.account
        return "another_account"
    with _mongo_waits(_A_MOMENT):
        met = _meet(at, lab, connect, driver, _FIRST, true.given)
        if not true.served:
            return _not_served(at, refused, met, true.error)
        if met.proofs_alone:
            return "bound_alone"
        if met.heard:
            return _fault(met)
        if met.elsewhere:
            return "elsewhere"
        met = _meet(at, lab, connect, driver, _THEN, true.given)
        if met.heard:
            names = [place for place in met.heard if place.host == _NAME]
            return _fault(met) if names else "another_connection"
        if met.elsewhere:
            return "elsewhere"
        if met.let_through > 1 and driver.in_order:
            # A connection that does not come back by itself meets an impostor in its own place.
            then = tuple(map(_after, range(1, met.let_through)[-_MOST:]))
            if _meet(at, lab, connect, driver, then, true.given).heard:
                return "another_connection"
    return RIGHT


def _after(connections: int) -> _Place:
    """An impostor whom the first connections of each call do not meet."""
    words = "the first connection" if connections == 1 else f"the first {connections} connections"
    return _Place(OTHER_AUTHORITY, f"an impostor that comes after {words}", _HERE, connections)


def _not_served(at: Attempt, refused: bool, met: _Met, error: BaseException | None) -> str:
    if met.heard and (refused or NO_TLS not in met.kinds):
        return "two_faults"
    if refused:
        return "no_login"
    if isinstance(error, TransportError) and type(error.info).__module__.startswith("requests."):
        for name in filter(os.environ.get, _BUNDLES):
            at.note("this machine", f"{name} is set", "the library requests prefers it to ca_certs")
            at.values["variable"] = name
    if "variable" in at.values and not met.heard:
        return "another_list"
    return "in_clear" if met.heard else "trusts_nobody"


def _fault(met: _Met) -> str:
    if NO_TLS in met.kinds:
        return "falls_back"
    return "any_certificate" if OTHER_AUTHORITY in met.kinds else "any_name"


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
            f"The type of what connect returned is {type(call.given).__name__}. It is to be "
            f"{driver.gives.__name__}, behind the word return"
        )
    if call.error is None:
        return
    words = str(call.error)
    if not isinstance(call.error, driver.errors) or any(part in words for part in driver.mistakes):
        kind = type(call.error).__name__
        raise BadAnswer(
            f"connect has a mistake that is none of TLS. It raised {kind}"
            f"{f': {words}' if words else ''}"
        )


def _meet(
    at: Attempt,
    lab: Lab,
    connect: Callable,
    driver: Driver,
    places: tuple[_Place, ...],
    known: object,
) -> _Met:
    """Call a function with the places of impostors, all at once, and note what each one heard.

    Args:
        at: where the evidence goes.
        lab: the true server.
        connect: the function.
        driver: what it returns.
        places: where it is sent.
        known: what it returned for the true server: closed since, so that it says no more.
    """
    with contextlib.ExitStack() as open_:
        there = {place: open_.enter_context(Impostor(lab, place.kind)) for place in places}
        calls: dict[_Place, _Call] = {}
        for turn in range(driver.calls):
            deaf = [p for p in places if turn == 0 or _again(p, there[p], calls[p])]
            for place in deaf:
                there[place].let_through = place.let_through
                where = place.host, there[place].port
                comes = there[place].turn if place.turns else None
                calls[place] = _Call(driver, connect, *where, _SHORT, comes)
            while deaf:
                time.sleep(_LOOK)
                deaf = [p for p in deaf if not calls[p].ended(there[p].hung_up)]
        heard = {p: list(there[p].heard) for p in places if there[p].heard or there[p].sent}
        for place in places:
            what = (heard.get(place) or ["what it was told"])[0]
            at.note("your client", place.words, f"heard {what}" if place in heard else "nothing")
        deaf = [place for place in places if place not in heard]
        kept = known is not None and any(calls[place].given is known for place in deaf)
        # Who was let through was served; who came back after the impostor's turn was not.
        served = any(calls[p].served for p in deaf if p.turns or not p.let_through)
        return _Met(heard, kept or served, sum(call.let_through for call in calls.values()))


def _again(place: _Place, impostor: Impostor, call: _Call) -> bool:
    """Whether to come back to an impostor that heard nothing."""
    return not (impostor.heard or call.hangs or place.turns)
