"""Requests to an HTTP service, each through the loopback guard, and each with an end."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from leftopen import loopback
from leftopen.audit import wire

STREAM_SECONDS = 1.0
"""How long an event of a live stream is waited for."""
_MOST_BYTES = 2_000_000
_STREAMS = ("text/event-stream", "application/x-ndjson", "application/jsonl")


@dataclass(frozen=True)
class Answer:
    """An answer: its status, its headers in lower case, its text, and whether there was more.

    Attributes:
        asked: the request, as ``GET /people``.
        seconds: until it was there.
        cut: whether the text was cut off: it was too long, or a stream.
    """

    asked: str
    status: int
    headers: dict[str, str] = field(repr=False)
    text: str = field(repr=False)
    seconds: float = 0.0
    cut: bool = False

    @property
    def ok(self) -> bool:
        """Whether the request was granted; a page that asks for a password grants nothing."""
        asks = self.kind == "text/html" and 'type="password"' in self.text.replace("'", '"')
        return 200 <= self.status < 300 and not asks

    @property
    def refused(self) -> bool:
        """Whether a login is asked for, or a page that has one is pointed to."""
        away = 300 <= self.status < 400 and any(
            word in self.headers.get("location", "").lower() for word in ("login", "signin", "auth")
        )
        return self.status in (401, 403, 407) or away or (200 <= self.status < 300 and not self.ok)

    @property
    def kind(self) -> str:
        """The content type, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def streams(self) -> bool:
        """Whether it is one of events that come as they happen."""
        return self.kind in _STREAMS

    @property
    def body(self) -> Any:
        """The text read as JSON; of a stream a list of its events; ``None`` where it is neither."""
        if self.streams:
            lines = (line.removeprefix("data:") for line in self.text.splitlines())
            return [event for line in lines if isinstance(event := _json(line), dict)]
        return _json(self.text)

    @property
    def records(self) -> list[dict]:
        """The records in it: a list of objects, wherever it stands, or else the one object."""
        return records(self.body)


def records(body: Any) -> list[dict]:
    """The objects of a list, of the first list of objects in an object, or the object itself."""
    if isinstance(body, list):
        return [row for row in body if isinstance(row, dict)]
    if not isinstance(body, dict):
        return []
    for value in body.values():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            return value
    return [body] if body else []


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class Web:
    """A client of one service. It keeps no cookies, follows no redirect, and needs no certificate.

    Args:
        host: a loopback host.
        port: its port.
        tls: whether the service speaks HTTPS.
        token: the bearer token (RFC 6750) of a login, for :meth:`ask` to send where it is told to.
        base: what stands before every path, as ``/api``; may be empty.
    """

    def __init__(self, host: str, port: int, tls: bool, token: str = "", base: str = "") -> None:
        address = _that_answers(host, port)
        place = f"[{address}]" if ":" in address else address
        self._token, self._base = token, base
        self._client = httpx.Client(
            base_url=f"{'https' if tls else 'http'}://{place}:{port}",
            verify=wire.careless() if tls else False,
            trust_env=False,  # no proxy: it could lead elsewhere
            timeout=wire.SECONDS,
            # A service hangs up after an error, and the next request would meet the closed line.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={
                "Host": f"{f'[{host}]' if ':' in host else host}:{port}",
                "User-Agent": wire.APP_NAME,
                "Accept": "application/json",
                "Connection": "close",
            },
        )

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        token: str | None = None,
        login: bool = False,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once.

        Args:
            path: path and query, percent-encoded.
            method: the method of HTTP.
            token: a bearer token to send.
            login: whether to send the token of the login instead.
            headers: more headers.
            json: a body, to be sent as JSON.
            form: a body, to be sent as a form.

        Raises:
            OSError: no connection, no answer in time, or what came back is not HTTP.
        """
        word = self._token if login else token
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {word}"} if word else {})
        begun = time.monotonic()
        self._client.cookies.clear()
        try:
            with self._client.stream(
                method, self._base + path, headers=sent, json=json, data=form
            ) as answer:
                told = {name.lower(): value for name, value in answer.headers.items()}
                seconds = time.monotonic() - begun
                is_stream = told.get("content-type", "").startswith(_STREAMS)
                text, cut = _read(answer, is_stream)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            words = str(error) or type(error).__name__
            raise ConnectionError(f"{method} {path} has no answer: {words}") from error
        return Answer(f"{method} {path}", answer.status_code, told, text, seconds, cut or is_stream)


def _that_answers(host: str, port: int) -> str:
    """The address of a name that accepts, as ``localhost`` may have two; else the first."""
    try:
        with loopback.connect(host, port, wire.SECONDS) as sock:
            return sock.getpeername()[0]
    except OSError:
        return loopback.addresses(host)[0]


def _read(answer: httpx.Response, is_stream: bool) -> tuple[str, bool]:
    """The text, up to a size, or the first event; and whether there was more."""
    limit = STREAM_SECONDS if is_stream else wire.SECONDS
    # httpx looks here before each wait for more.
    answer.request.extensions["timeout"]["read"] = limit
    data, end = b"", time.monotonic() + limit
    try:
        for chunk in answer.iter_bytes():
            data += chunk
            first = is_stream and b"data:" in data and data.endswith(b"\n\n")
            if first or len(data) > _MOST_BYTES or time.monotonic() > end:
                return data.decode(errors="replace"), True
    except httpx.ReadTimeout:
        return data.decode(errors="replace"), True
    return data.decode(errors="replace"), False
