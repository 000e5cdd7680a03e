"""Exercise 02, question 4: a function that says which indices grow, called while somebody writes.

The check writes during the call: one index grows, a small one grows from 99 documents to more than
100, one of a new month appears and grows, one shrinks, and in one a document is written again and
again. At the end all is as it was.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import count
from types import FunctionType

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, TransportError

from leftopen.cases.smart_city import make_index
from leftopen.checks.case_beijing_smart_city_server import Server
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.lab import Lab
from leftopen.lab_opensearch import SearchLab, quiet
from leftopen.learner import Draw
from leftopen.outside import Tape

_PATIENCE = 20.0  # what the check waits for one call; the question says so
_PAUSE = 0.15
_GROWS, _SHRINKS = "faces-2019.04", "devices-2019.04"
_NEW = "devices-2019.12"  # the lesson's feeder does not get so far
# It grows from 99 documents to more than 100: as texts, "99" is the larger one.
_CROSSES, _BEFORE = "alarms-2019.04", 99
_FIRST_LOOK = 3.0  # how long the writer waits for the function to have looked
_TOO_SOON = 1.5  # of two seconds that are asked for between the looks
_CALLS = 6  # how often the function is called at most, where the machine is busy
_REWRITTEN = "watchlist"
_MARK = "tried-"


class _Writer:
    """Writes until it is told to stop, and then puts everything back.

    Args:
        lab: the cluster.
        ready: whether the index of a new month is made before, and hidden until it is written
            into, so that nobody meets it in the making.
    """

    def __init__(self, lab: Lab, ready: bool = False) -> None:
        self._client = OpenSearch(lab.inside.uri, timeout=10, max_retries=0)
        self._removed: list[dict] = []
        self._stop = threading.Event()
        self._lab, self._ready = lab, ready
        self.late = False
        """Whether the first round came so late that a second look may have missed it."""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Write for as long as the block lasts."""
        self._rest = self._some(_SHRINKS, 200)
        (self._again,) = self._some(_REWRITTEN, 1)
        self._bring_to_the_brink()
        if self._ready:
            make_index(self._client, _NEW)
            self._hide(True)
        with self._lab.outside.recording() as tape:
            thread = threading.Thread(
                target=self._run, args=[tape], name="leftopen-writer", daemon=True
            )
            thread.start()
            try:
                yield
            finally:
                self._stop.set()
                thread.join(_PATIENCE)
                self._restore()
                self._client.close()

    def _some(self, index: str, number: int) -> list[dict]:
        body = {"size": number, "sort": "_doc"}
        return self._client.search(index=index, body=body)["hits"]["hits"]

    def _bring_to_the_brink(self) -> None:
        """Leave 99 documents in the small index."""
        there = self._client.count(index=_CROSSES)["count"]
        changes = [_added(_CROSSES, f"before-{number}") for number in range(there, _BEFORE)]
        changes += map(self._removal, self._some(_CROSSES, max(0, there - _BEFORE)))
        self._send(changes)

    def _run(self, tape: Tape) -> None:
        # Suppressed: the cluster was stopped, and the check says so.
        with contextlib.suppress(TransportError):
            deadline = time.monotonic() + _FIRST_LOOK
            # Until the function has got its first answer, so that it sees the beginning.
            while not tape.received and time.monotonic() < deadline:
                self._stop.wait(_PAUSE)
            looked = time.monotonic()
            self.late = bool(tape.received)
            for number in count():
                if self._stop.wait(_PAUSE):
                    return
                self._write(number)
                self.late &= number > 0 or time.monotonic() - looked > _TOO_SOON

    def _write(self, number: int) -> None:
        if number == 0 and self._ready:
            self._hide(False)
        elif number == 0:
            make_index(self._client, _NEW)
        changes = [_added(index, str(number)) for index in (_GROWS, _CROSSES, _NEW)]
        changes += map(self._removal, self._rest[number : number + 1])
        self._send([*changes, _again(self._again)])

    def _hide(self, hidden: bool) -> None:
        self._client.indices.put_settings(index=_NEW, body={"index.hidden": hidden})

    def _removal(self, hit: dict) -> list[dict]:
        self._removed.append(hit)
        return _removal(hit)

    def _send(self, changes: list[list[dict]]) -> None:
        """Make some changes in one message, which is soon done on a busy machine too."""
        if changes:
            self._client.bulk(body=[part for change in changes for part in change], refresh=True)

    def _restore(self) -> None:
        with contextlib.suppress(NotFoundError):
            self._client.indices.delete(index=_NEW)
        there = self._some(f"{_GROWS},{_CROSSES}", 10_000)
        marked = [_removal(hit) for hit in there if hit["_id"].startswith(_MARK)]
        self._send([*marked, *map(_again, self._removed)])


# Changes, as OpenSearch's bulk API wants them.


def _added(index: str, name: str) -> list[dict]:
    body = {"at": f"{index[-7:].replace('.', '-')}-01T00:00:00Z", "place": "Gate 1"}
    return [{"index": {"_index": index, "_id": f"{_MARK}{name}"}}, body]


def _removal(hit: dict) -> list[dict]:
    return [{"delete": {"_index": hit["_index"], "_id": hit["_id"]}}]


def _again(hit: dict) -> list[dict]:
    return [{"index": {"_index": hit["_index"], "_id": hit["_id"]}}, hit["_source"]]


def _call(growing: FunctionType, lab: Lab) -> set[str]:
    """What the learner's function returns.

    Raises:
        BadAnswer: it returns no set of texts, or does not end in time.
    """
    found: list[object] = []

    def run() -> None:
        try:
            with OpenSearch(lab.outside.uri, timeout=10, max_retries=0) as stranger:
                found.append(growing(stranger))
        except BaseException as error:  # told to the learner
            found.append(error)

    thread = threading.Thread(target=run, name="leftopen-growing", daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if not found:
        raise BadAnswer(f"`growing` did not end within {_PATIENCE:.0f} seconds. Wait less in it")
    if isinstance(found[0], BaseException):
        raise found[0]
    if not isinstance(found[0], set) or not all(isinstance(name, str) for name in found[0]):
        told = "None" if found[0] is None else f"a {type(found[0]).__name__}"
        raise BadAnswer(f"`growing` returned {told}. Return a set of names of indices")
    return found[0]


def _awake(
    growing: FunctionType, lab: SearchLab, tries: int = _CALLS, ready: bool = False
) -> tuple[set[str], float, bool]:
    """What the function returns while somebody writes.

    A call is made again where this machine was too busy for the writer to write during it, and
    where the function may have met our new index in the making. A function that looks often would
    meet it at each call, so that the next time it is ready before.

    Returns:
        The names; how many seconds it took; whether the machine was too busy to the last.
    """
    with (writer := _Writer(lab, ready)).running():
        began = time.monotonic()
        try:
            found = _call(growing, lab)
        except Exception as error:
            # Three of these calls are enough: the index was ready before two of them.
            if tries <= _CALLS - 2 or not _in_the_making(error):
                raise
            found = None
        took, late = time.monotonic() - began, writer.late
    late = late and took >= _TOO_SOON
    if tries > 1 and (found is None or late):
        return _awake(growing, lab, tries - 1, ready or found is None)
    return found, took, late


def _in_the_making(error: Exception) -> bool:
    """Whether it is what comes of an index that is just being made.

    Its number of documents is None, which int() refuses with a TypeError, and a column of pandas
    with a ValueError; to count it alone ends with status 503 (measured on 2.19.4).
    """
    unavailable = isinstance(error, TransportError) and error.status_code == 503
    return unavailable or isinstance(error, TypeError | ValueError)


@quiet()
def _check(at: Attempt, lab: SearchLab, growing: FunctionType) -> str:
    """The three indices that grow, and none while nobody writes."""
    with OpenSearch(lab.inside.uri, timeout=10, max_retries=0) as operator:
        operator.indices.refresh()  # what the learner wrote a moment ago would be new only later
        before = operator.count()["count"]
        try:
            asleep, failed = _call(growing, lab), None
        except Exception as error:  # an index that a feeder is just making has no count yet
            asleep, failed = set(), error
        if operator.count()["count"] != before:
            at.note("as the operator", "count all documents around a first call", "more after it")
            return "feeder_runs"
        if failed is not None:
            raise failed
    at.note("your function, while nobody writes", "say what grows", _shown(asleep))
    if asleep:
        at.values["named"] = _shown(asleep)
        return "names_believed"
    awake, took, late = _awake(growing, lab)
    right = awake == {_GROWS, _CROSSES, _NEW}
    if late and not right:
        raise BadAnswer(
            f"`growing` was called {_CALLS} times, and this machine was too busy to write "
            "documents meanwhile. Close other programs, then run this cell again"
        )
    if not right and (not awake or took < _TOO_SOON):
        at.note("your function, while documents come in", "say what grows", "too soon to see it")
        return "no_time_between"
    at.note("your function, while documents come in", "say what grows", _shown(awake))
    if right:
        return RIGHT
    at.values.update(new=_NEW, shrinks=_SHRINKS, crosses=_CROSSES, named=_shown(awake))
    return _which(awake)


def _which(named: set[str]) -> str:
    """The near miss of indices that were named, where some are missing or too many."""
    extra = named - {_GROWS, _CROSSES, _NEW}
    if _REWRITTEN in extra:
        return "writing_counted"
    if extra == {_SHRINKS}:
        return "change_is_not_growth"
    half = {
        frozenset({_GROWS, _CROSSES}): "new_month_missed",
        frozenset({_GROWS, _NEW}): "compared_as_text",
        frozenset({_NEW}): "only_the_new_one",
        frozenset({_GROWS}): "faces_alone",
    }
    return half.get(frozenset(named), "other_indices")


def _shown(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _task(draw: Draw) -> Task:
    return Task(server=Server.of(draw).row)


QUESTION = Question(
    asks={"lab": Lab, "growing": FunctionType},
    check=_check,
    task=_task,
    lab=lambda task: Server(task["server"]).open(),
)
