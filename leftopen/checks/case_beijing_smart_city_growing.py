"""Exercise 02, question 4: a function that says which indices grow, called while somebody writes.

The check writes during the call: one index grows, another one of a new month appears and grows, one
shrinks, and in one a document is written again and again. At the end all is as it was.
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
from leftopen.checks.search_probe import quiet
from leftopen.lab import Lab
from leftopen.lab_opensearch import SearchLab
from leftopen.learner import Draw
from leftopen.outside import Tape

SECONDS = 10
"""What the question allows for one call."""
_PATIENCE = 20.0  # what the check waits: a busy machine is not the learner's fault
_PAUSE = 0.15
_KINDS = ("faces", "devices", "alarms")
_MONTH, _NEXT = "2019.04", "2019.12"  # the lesson's feeder does not get so far
_FIRST_LOOK = 3.0  # how long the writer waits for the function to have looked
_TOO_SOON = 1.5  # of two seconds that are asked for between the looks
_REWRITTEN = "watchlist"
_MARK = "tried-"


class _Writer:
    """Writes until it is told to stop, and then puts everything back.

    Args:
        lab: the cluster.
        server: decides which index does what.
    """

    def __init__(self, lab: Lab, server: Server) -> None:
        self._client = OpenSearch(lab.inside.uri, timeout=10, max_retries=0)
        grows, new, shrinks = server.draw.shuffle("kinds", _KINDS)
        self.grows, self.new = f"{grows}-{_MONTH}", f"{new}-{_NEXT}"
        self.shrinks = f"{shrinks}-{_MONTH}"
        self._removed: list[dict] = []
        self._stop = threading.Event()
        self._lab = lab

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Write for as long as the block lasts."""
        self._rest = self._some(self.shrinks, 200)
        (self._again,) = self._some(_REWRITTEN, 1)
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

    def _run(self, tape: Tape) -> None:
        # Suppressed: the cluster was stopped, and the check says so.
        with contextlib.suppress(TransportError):
            deadline = time.monotonic() + _FIRST_LOOK
            # Until the function has got its first answer, so that it sees the beginning.
            while not tape.received and time.monotonic() < deadline:
                self._stop.wait(_PAUSE)
            for number in count():
                if self._stop.wait(_PAUSE):
                    return
                self._write(number)

    def _write(self, number: int) -> None:
        if number == 0:
            make_index(self._client, self.new)
        for index in (self.grows, self.new):
            body = {"at": f"{index[-7:].replace('.', '-')}-01T00:00:00Z", "place": "Gate 1"}
            self._client.index(index=index, id=f"{_MARK}{number}", body=body, refresh=True)
        if number < len(self._rest):
            hit = self._rest[number]
            self._removed.append(hit)
            self._client.delete(index=hit["_index"], id=hit["_id"], refresh=True)
        self._put(self._again)

    def _put(self, hit: dict) -> None:
        target = {"index": hit["_index"], "id": hit["_id"]}
        self._client.index(**target, body=hit["_source"], refresh=True)

    def _restore(self) -> None:
        with contextlib.suppress(NotFoundError):
            self._client.indices.delete(index=self.new)
        for hit in self._some(self.grows, 10_000):
            if hit["_id"].startswith(_MARK):
                self._client.delete(index=hit["_index"], id=hit["_id"])
        for hit in self._removed:
            self._put(hit)
        self._client.indices.refresh(index=f"{self.grows},{self.shrinks}")


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
        raise BadAnswer(f"`growing` did not end within {SECONDS} seconds. Wait less in it")
    if isinstance(found[0], BaseException):
        raise found[0]
    if not isinstance(found[0], set) or not all(isinstance(name, str) for name in found[0]):
        told = "None" if found[0] is None else f"a {type(found[0]).__name__}"
        raise BadAnswer(f"`growing` returned {told}. Return a set of names of indices")
    return found[0]


@quiet()
def _check(at: Attempt, lab: SearchLab, growing: FunctionType) -> str:
    """The two indices that grow, and none while nobody writes."""
    with OpenSearch(lab.inside.uri, timeout=10, max_retries=0) as operator:
        before = operator.count()["count"]
        asleep = _call(growing, lab)
        if operator.count()["count"] != before:
            raise BadAnswer(
                "Somebody else writes into this cluster, so nothing can be told. Stop your feeder, "
                "with feeder.stop()"
            )
    at.note("your function, while nobody writes", "say what grows", _shown(asleep))
    if asleep:
        at.values["named"] = _shown(asleep)
        return "names_believed"
    writer = _Writer(lab, Server(at.task["server"]))
    began = time.monotonic()
    with writer.running():
        awake = _call(growing, lab)
        took = time.monotonic() - began
    right = awake == {writer.grows, writer.new}
    if not right and (not awake or took < _TOO_SOON):
        at.note("your function, while documents come in", "say what grows", "too soon to see it")
        return "no_time_between"
    at.note("your function, while documents come in", "say what grows", _shown(awake))
    if right:
        return RIGHT
    at.values.update(new=writer.new, shrinks=writer.shrinks, named=_shown(awake))
    extra = awake - {writer.grows, writer.new}
    if _REWRITTEN in extra:
        return "writing_counted"
    if extra == {writer.shrinks}:
        return "change_is_not_growth"
    return "new_month_missed" if awake == {writer.grows} else "other_indices"


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
