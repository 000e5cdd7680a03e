"""The smart city goes on: a feeder adds events to the case's cluster while the learner watches."""

import threading
import weakref
from collections.abc import Iterator
from itertools import islice

from opensearchpy import OpenSearch, helpers
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError

from leftopen.cases.smart_city import actions, make_index
from leftopen.errors import EngineFailed
from leftopen.lab_opensearch import SearchLab
from leftopen.synth.smart_city import later_events

SECONDS = 0.5
"""How long the feeder rests between two messages."""
EVENTS = 3
"""How many events a message has. At this pace a day of the estates passes in half a minute."""

_PATIENCE = 120  # messages in a row that fail before it gives up: a cluster may be restarting
_STOP_SECONDS = 15.0
_NO_ANSWER = "The cluster does not answer: lab.restart() starts it again, or open the case again."


class _Source:
    """The later events of one lab, each of them once, whoever sends them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.events: Iterator[tuple[str, dict]] = later_events()
        self.waiting: list[tuple[str, dict]] = []  # taken, and not yet accepted
        self.made: set[str] = set()  # indices that exist
        self.sender: weakref.ref[Feeder] | None = None  # who sends by itself

    def next(self, count: int) -> list[tuple[str, dict]]:
        self.waiting += islice(self.events, max(0, count - len(self.waiting)))
        return self.waiting[:count]


_sources: weakref.WeakKeyDictionary[SearchLab, _Source] = weakref.WeakKeyDictionary()


class Feeder:
    """What cameras and sensors write down from 1 May 2019 on, sent to a lab's cluster.

    The events are those of :func:`leftopen.synth.smart_city.later_events`, in their order. A second
    feeder of the same lab goes on where the first one stopped.

    Args:
        lab: a smart-city lab.
        account: the name of the account that writes; none where no login is asked for.
        password: its password.
    """

    def __init__(self, lab: SearchLab, account: str = "", password: str = "") -> None:
        self.lab = lab
        self.sent = 0
        """How many events the cluster has accepted from this feeder."""
        self.problem = ""
        """Why it stopped by itself, as a sentence; empty as long as all is well."""
        self._login = (account, password) if account else None
        self._source = _sources.setdefault(lab, _Source())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it sends events by itself."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to send events, a few each second, until :meth:`stop`, or the end of the notebook.

        If it runs already, nothing happens; another feeder of the same lab is stopped.
        """
        if self.is_running:
            return
        if self._source.sender is not None and (other := self._source.sender()) is not None:
            other.stop()
        self._source.sender = weakref.ref(self)
        self._stop.clear()
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="leftopen-feeder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more by itself. Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def send(self, count: int = EVENTS) -> int:
        """Send the next events now, in one message, and return how many the cluster accepted.

        Raises:
            EngineFailed: the cluster does not answer, or does not accept them; the message says
                why.
        """
        try:
            accepted = self._send(count)
        except (OpenSearchException, OSError) as error:
            raise EngineFailed(_why(error, self._login)) from error
        self.sent += accepted
        return accepted

    def _send(self, count: int) -> int:
        source = self._source
        with source.lock, self._client() as client:
            events = source.next(count)
            for index in dict.fromkeys(name for name, _ in events):
                if index not in source.made:
                    _make(client, index)
                    source.made.add(index)
            one_by_one = (act for name, event in events for act in actions({name: [event]}))
            helpers.bulk(client, one_by_one, refresh=True)
            del source.waiting[: len(events)]
        return len(events)

    def _client(self) -> OpenSearch:
        options: dict = {"http_auth": self._login} if self._login else {}
        if self.lab.inside.uri.startswith("https"):
            options["ca_certs"] = str(self.lab.certificates.ca)
        return OpenSearch(self.lab.inside.uri, timeout=10, max_retries=0, **options)

    def _run(self) -> None:
        failed = 0
        while failed < _PATIENCE and not self._stop.is_set():
            try:
                if not self.lab.is_running:  # it may be restarting
                    raise EngineFailed(_NO_ANSWER)
                self.send(EVENTS)
            except EngineFailed as error:
                failed += 1
                self.problem = str(error)
                if _is_refusal(error):
                    print(self.problem)
                    return
            else:
                failed, self.problem = 0, ""
            self._stop.wait(SECONDS)

    def __repr__(self) -> str:
        state = "running" if self.is_running else self.problem or "not running"
        return f"Feeder of {self.lab.name}: {self.sent:,} events sent, {state}"


def _make(client: OpenSearch, index: str) -> None:
    """Make an index with the types of its fields, if it is not there and we may."""
    try:
        make_index(client, index)
    except RequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
    except TransportError as error:
        # Whoever may write need not be allowed to make an index: the message itself will tell.
        if error.status_code != 403:
            raise


def _is_refusal(error: EngineFailed) -> bool:
    return getattr(error.__cause__, "status_code", None) in (401, 403) or isinstance(
        error.__cause__, helpers.BulkIndexError
    )


def _why(error: Exception, login: tuple[str, str] | None) -> str:
    """One sentence on what went wrong, and one on what to do."""
    who = f"the account {login[0]!r}" if login else "a feeder without a login"
    status = getattr(error, "status_code", None)
    if status == 401:
        return f"The cluster does not know {who}: give Feeder a name and a password that it knows."
    if status == 403:
        return f"The cluster refuses {who}: its roles must allow it to write these indices."
    if isinstance(error, helpers.BulkIndexError):
        told = next(iter(error.errors[0].values())).get("error", {})
        reason = told.get("reason", "") if isinstance(told, dict) else str(told)
        return f"The cluster does not accept the events of {who}: {reason.rstrip('.')}."
    return _NO_ANSWER
