"""What the feeders of the cases share: a thread that adds later events to a lab's server."""

import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any

from leftopen.errors import EngineFailed
from leftopen.lab import Lab

SECONDS = 0.5
"""How long a feeder rests between two messages."""

_PATIENCE = 120  # messages in a row that fail before it gives up: a server may be restarting
_STOP_SECONDS = 15.0


class _Source:
    """The later events of one lab, each of them once, whoever sends them."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.lock = threading.Lock()
        self.events = events
        self.waiting: list[Any] = []  # taken, and not yet accepted
        self.made: set[str] = set()  # what the events need, and the server has by now
        self.sender: weakref.ref[Background] | None = None  # who sends by itself

    def next(self, count: int) -> list[Any]:
        self.waiting += islice(self.events, max(0, count - len(self.waiting)))
        return self.waiting[:count]


_sources: weakref.WeakKeyDictionary[Lab, _Source] = weakref.WeakKeyDictionary()


class Background(ABC):
    """Sends later events to a lab's server; a second one of the same lab goes on where it stopped.

    Args:
        lab: the lab.
    """

    no_answer = "The server does not answer: lab.restart() starts it again, or open the case again."

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.sent = 0
        """How many events the server has accepted from this feeder."""
        self.problem = ""
        """Why it stopped by itself, as a sentence; empty as long as all is well."""
        self._source = _sources.get(lab) or _sources.setdefault(lab, _Source(self._later()))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _later(self) -> Iterator[Any]:
        """The events from now on, without an end."""

    @abstractmethod
    def send(self) -> int:
        """Send the next events now, and return how many the server accepted.

        Raises:
            EngineFailed: it does not answer, or does not accept them; the message says why.
        """

    def _is_final(self, error: EngineFailed) -> bool:
        """Whether there is no use in trying again."""
        return False

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

    def _run(self) -> None:
        failed = 0
        while failed < _PATIENCE and not self._stop.is_set():
            try:
                if not self.lab.is_running:  # it may be restarting
                    raise EngineFailed(self.no_answer)
                self.send()
            except EngineFailed as error:
                failed += 1
                self.problem = str(error)
                if self._is_final(error):
                    print(self.problem)
                    return
            else:
                failed, self.problem = 0, ""
            self._stop.wait(SECONDS)

    def __repr__(self) -> str:
        state = "running" if self.is_running else self.problem or "not running"
        return f"Feeder of {self.lab.name}: {self.sent:,} events sent, {state}"
