"""What a stranger gets who asks a server over HTTP, with no login and no care for certificates.

Every address passes the loopback guard: only a lab's own server is asked.
"""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from leftopen import loopback
from leftopen.errors import NotLoopback

NO_ANSWER = "no answer"
_SECONDS = 5.0
_PAUSE = 0.05
_MOST_BYTES = 65_536


@dataclass(frozen=True)
class Answer:
    """What came back: the status of HTTP (0 for no answer), the headers in lower case, and the
    words of the server, in one line.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    words: str = ""

    @property
    def cors(self) -> str | None:
        """The site whose pages may read this answer in a browser, ``"*"`` for all, or ``None``
        (the header ``Access-Control-Allow-Origin`` of the Fetch standard).
        """
        return self.headers.get("access-control-allow-origin")

    def __str__(self) -> str:
        return f"{self.status} {self.words}".rstrip() if self.status else NO_ANSWER


def knock(uri: str, origin: str | None = None) -> Answer:
    """Ask for a server's first page, once.

    Args:
        uri: the address, as ``lab.outside.uri``.
        origin: a web site, as ``"https://news.example"``: ask as a browser does for a page of
            that site (the header ``Origin``, RFC 6454).

    Raises:
        NotLoopback: the address is not on this machine, or is no address of HTTP.
    """
    place = urlsplit(uri)
    if place.scheme not in ("http", "https") or not place.hostname or not place.port:
        raise NotLoopback(
            f"{uri!r} is not an address of this machine; those begin with http:// or https://, "
            "and end with a port."
        )
    host = loopback.addresses(place.hostname)[0]
    if place.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, place.port, timeout=_SECONDS, context=_careless()
        )
    else:
        connection = http.client.HTTPConnection(host, place.port, timeout=_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/", headers={"Origin": origin} if origin else {})
            return _read(connection.getresponse())
        except (OSError, http.client.HTTPException):
            return Answer(0)


@contextlib.contextmanager
def watching(uri: str) -> Iterator[list[str]]:
    """Knock at a server again and again, until the block under ``with`` has ended.

    Args:
        uri: the address, as ``lab.inside.uri``.

    Yields:
        What was answered, as text, in order; what repeats itself stands there once.

    Raises:
        NotLoopback: as for :func:`knock`.
    """
    seen = [str(knock(uri))]
    ended = threading.Event()

    def look() -> None:
        answer = str(knock(uri))
        if answer != seen[-1]:
            seen.append(answer)

    def keep_looking() -> None:
        while not ended.wait(_PAUSE):
            look()

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
        look()


def _careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _read(answer: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    text = answer.read(_MOST_BYTES).decode(errors="replace")
    plain = headers.get("content-type", "").startswith("text/plain")
    words = " ".join(text.split()) if plain else answer.reason
    return Answer(answer.status, headers, words)
