"""Asking a service over HTTP as one caller, from outside, and noting what it answered.

Nothing is read of its code, and nothing is stored by any of it.
"""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from leftopen import loopback
from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import Attempt
from leftopen.engines.backend import Backend
from leftopen.errors import ConfigRefused, EngineFailed

SECONDS = 8.0
"""How long one answer may take."""

REFUSED = (401, 403)
"""No login that counts, and no permission."""

_PAUSE = 0.2
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""They speak plain HTTP. Else each client would read the certificates of all authorities."""


class Caller(AbstractContextManager):
    """One caller of a service, with a token or without.

    Args:
        at: where the evidence goes.
        label: who it is, as ``"as the manager"``.
        uri: the service's address, as ``lab.backend.outside.uri``.
        token: what stands behind ``Bearer`` in the header Authorization (RFC 6750, section 2.1).

    Raises:
        NotLoopback: the address is not on this machine.
    """

    def __init__(self, at: Attempt, label: str, uri: str, token: str | None = None) -> None:
        loopback.addresses(urlsplit(uri).hostname or "")
        self.at, self.label = at, label
        self._client = httpx.Client(
            base_url=uri,
            headers={"Authorization": f"Bearer {token}"} if token is not None else {},
            timeout=SECONDS,
            # After an error the service ends the connection, and a kept one would be cut.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,  # a proxy of the learner's has no part in this
            verify=_NO_TLS,
        )

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        """Ask, without noting it.

        Args:
            path: as ``"/servers/1/residents"``.
            method: of HTTP.
            more: as for ``httpx.Client.request``.

        Raises:
            BadAnswer: there is no answer.
        """
        try:
            return self._client.request(method, path, **more)
        except httpx.TimeoutException:
            raise BadAnswer(
                f"the service did not answer {method} {path} within {SECONDS:.0f} s. Does a line "
                "of its code wait for ever? lab.backend.log is its log"
            ) from None
        except httpx.HTTPError as error:
            raise BadAnswer(
                f"the service gave no answer to {method} {path} ({type(error).__name__}). "
                "lab.backend.restart() starts it again, and lab.backend.log is its log"
            ) from None

    def status(self, path: str, what: str = "", method: str = "GET") -> int:
        """The status with which a request is answered, noted.

        Args:
            path: as for :meth:`ask`. Of a path that streams, nothing but the status is read.
            what: what the evidence calls it; by default method and path.
            method: of HTTP.
        """
        try:
            with self._client.stream(method, path) as answer:
                status = answer.status_code
        except httpx.HTTPError:
            status = self.ask(path, method).status_code
        self.at.note(self.label, what or f"{method} {path}", shown(status))
        return status

    def rows(self, path: str) -> list[dict]:
        """The rows of an answer; none when it is refused. Not noted."""
        answer = self.ask(path)
        try:
            found = answer.json() if answer.status_code == 200 else []
        except ValueError:
            return []
        found = found if isinstance(found, list) else [found]
        return [row for row in found if isinstance(row, dict)]

    def hear(
        self, path: str, write: Callable[[], None], enough: Callable[[list[dict]], bool],
        seconds: float = 4.0,
    ) -> list[dict]:  # fmt: skip
        """What a live stream sends while something is written now and then.

        Args:
            path: of server-sent events whose data are JSON.
            write: writes something that the stream may send.
            enough: whether what was heard so far will do.
            seconds: how long to listen at most, from the beginning of the answer on.
        """
        heard: list[dict] = []
        begun, ended = threading.Event(), threading.Event()

        def listen() -> None:
            with (
                contextlib.suppress(httpx.HTTPError),
                self._client.stream("GET", path) as answer,
            ):
                # httpx looks here before each wait for more.
                answer.request.extensions["timeout"]["read"] = seconds
                begun.set()
                for line in answer.iter_lines():
                    if line.startswith("data:"):
                        with contextlib.suppress(ValueError):
                            event = json.loads(line.removeprefix("data:"))
                            heard.extend([event] if isinstance(event, dict) else [])
                    if ended.is_set():
                        return
            ended.set()  # refused, or cut
            begun.set()

        listener = threading.Thread(target=listen, name="leftopen-listener", daemon=True)
        listener.start()
        begun.wait(SECONDS)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not enough(heard) and not ended.is_set():
            write()
            ended.wait(_PAUSE)
        ended.set()
        return list(heard)


def shown(status: int) -> str:
    """A status in words, as ``"refused (401)"``."""
    if 200 <= status < 300:
        return f"answered ({status})"
    if status in REFUSED:
        return f"refused ({status})"
    if status in (404, 405):
        return f"nothing there ({status})"
    return f"an error of the service ({status})" if status >= 500 else f"status {status}"


@contextmanager
def twin(backend: Backend, without: Collection[str] = (), **environment: str) -> Iterator[Backend]:
    """A second service with the same code, for trials that the learner's own should not see.

    Args:
        backend: the learner's.
        without: variables that it does not have.
        environment: variables in which it differs.

    Raises:
        BadAnswer: it does not start.
    """
    files: Mapping[str, str] = {name: backend.read(name) for name in backend.files}
    kept = {name: text for name, text in backend.environment.items() if name not in without}
    try:
        other = Backend(files, {**kept, **environment})
    except (ConfigRefused, EngineFailed, OSError) as error:
        raise BadAnswer(f"a second copy of your service does not start: {error}") from None
    try:
        yield other
    finally:
        other.close()


def must_run(backend: Backend | None) -> Backend:
    """The service, if it runs.

    Raises:
        BadAnswer: it does not.
    """
    if backend is None or not backend.is_running:
        raise BadAnswer(
            "the service in front of the database does not run, so nothing could be tried. "
            "lab.backend.restart() starts it again"
        )
    return backend
