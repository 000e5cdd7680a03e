"""Requests to a search cluster, each through the loopback guard."""

import http.client
import json
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leftopen import loopback
from leftopen.audit import wire

_MOST_BYTES = 32_000_000  # far more than any answer that is asked for here


@dataclass(frozen=True)
class Answer:
    """An answer: its status, its headers in lower case, and its body, read as JSON if it is."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: Any

    @property
    def ok(self) -> bool:
        """Whether the request was granted."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """What the server says of a refusal, in one line."""
        said = self.body
        if isinstance(said, dict):
            said = said.get("message") or said.get("error") or said
        if isinstance(said, dict):
            said = said.get("reason") or said
        return " ".join(str(said).split())[:200]


class Rest:
    """A client of a search cluster that keeps its connection.

    Args:
        host: a loopback host.
        port: its port.
        context: for TLS; ``None`` speaks in clear.
        user: the account of HTTP Basic authentication (RFC 7617); empty for none.
        password: its password.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        user: str = "",
        password: str = "",
    ) -> None:
        if context is None:
            self._connection = http.client.HTTPConnection(
                loopback.addresses(host)[0], port, timeout=wire.SECONDS
            )
        else:
            self._connection = http.client.HTTPSConnection(
                loopback.addresses(host)[0], port, timeout=wire.SECONDS, context=context
            )
        self._headers = {"User-Agent": wire.APP_NAME, "Accept": "application/json"}
        if user:
            login = b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a path. A connection that has gone away meanwhile is opened again, once.

        Raises:
            OSError: no connection, no handshake, or what came back is not HTTP.
        """
        try:
            return self._get(path, headers or {})
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
        try:
            return self._get(path, headers or {})
        except http.client.RemoteDisconnected as error:
            self.close()
            raise ConnectionError("the server closed the connection") from error

    def search(self, path: str) -> Answer:
        """Ask as :meth:`get` does, and again for some seconds while the index is being opened.

        A node answers before it has opened its indices; a search is then refused with 503.
        """
        deadline = time.monotonic() + wire.SECONDS
        while (answer := self.get(path)).status == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
        return answer

    def _get(self, path: str, headers: Mapping[str, str]) -> Answer:
        try:
            self._connection.request("GET", path, headers={**self._headers, **headers})
            answer = self._connection.getresponse()
            text = answer.read(_MOST_BYTES).decode(errors="replace")
        except http.client.RemoteDisconnected:
            raise
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(f"what came back is not HTTP: {error!r}") from error
        try:
            body = json.loads(text)
        except ValueError:
            body = text
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, told, body)
