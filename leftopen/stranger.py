"""What a stranger can do who has an address and nothing else, and what a listener can read.

A stranger on the Internet speaks whatever the server wants to hear: where plain text is refused
it tries TLS, and it does not care whose certificate it is shown. It looks at a lab's own server
only: every address passes the loopback guard.
"""

import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from leftopen import loopback
from leftopen.errors import NotLoopback
from leftopen.outside import Outside

_WAIT = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "socketTimeoutMS": 5000}
_REFUSED_CODES = {13: "refused: login required", 18: "refused: wrong login"}


@dataclass(frozen=True)
class Attempt:
    """One thing that was tried, what came back, and whether it was let through."""

    tried: str
    answer: str
    allowed: bool


def look(uri: str, database: str = "sensenets", collection: str = "people") -> list[Attempt]:
    """Try, without any login, what an open MongoDB server would allow.

    In this order: to connect, to list the databases, to read one document, to count them, to
    write one (into a collection of its own, which is dropped again).

    Args:
        uri: the address, as ``lab.outside.uri``.
        database: where to read.
        collection: what to read.

    Raises:
        NotLoopback: the address is not on this machine.
    """
    client, how = _connect(uri)
    if client is None:
        rest = ("list the databases", "read one document", "count the documents", "write")
        return [
            Attempt("connect", how, False),
            *(Attempt(tried, "no connection", False) for tried in rest),
        ]
    with client:
        table = client[database][collection]
        scratch = client[database][f"note_{secrets.token_hex(4)}"]

        def write() -> str:
            scratch.insert_one({"note": "a stranger was here"})
            scratch.drop()
            return "wrote a document, and removed it"

        return [
            Attempt("connect", how, True),
            _try("list the databases", lambda: _names(client)),
            _try("read one document", lambda: _first_name(table.find_one())),
            _try("count the documents", lambda: f"{table.estimated_document_count():,}"),
            _try("write", write),
        ]


def is_let_in(attempts: list[Attempt]) -> bool:
    """Whether a stranger could read or write anything; merely to connect does not count."""
    return any(a.allowed for a in attempts if a.tried not in ("connect", "list the databases"))


def _place(uri: str) -> tuple[str, int]:
    """The host and the port of an address, past the guard."""
    if not uri.startswith("mongodb://"):
        # mongodb+srv:// would ask the DNS for hosts before the guard could see one.
        raise NotLoopback(
            f"{uri!r} is not an address of this machine; those begin with mongodb://."
        )
    places = parse_uri(uri, validate=False)["nodelist"]
    for host, _ in places:
        loopback.addresses(host)
    return places[0]


def _connect(uri: str) -> tuple[MongoClient | None, str]:
    """A client that reaches the server, over TLS where the server speaks it, and how."""
    host, port = _place(uri)
    try:
        tls = speaks_tls(host, port)
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        return None, "connection refused" if refused else f"no connection: {error}"
    options = {"tls": True, "tlsInsecure": True} if tls else {}
    client = MongoClient(uri, **_WAIT, **options)
    try:
        client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        return None, f"connected, but the server does not answer: {error}"
    return client, f"connected, {'over TLS' if tls else 'in plain text'}"


def speaks_tls(host: str, port: int) -> bool:
    """Whether a TLS handshake succeeds, with any certificate: a stranger does not care whose.

    Raises:
        NotLoopback: the host is not this machine.
        OSError: nothing accepts a connection there.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with loopback.connect(host, port, timeout=5) as plain:
        try:
            context.wrap_socket(plain, server_hostname=host).close()
        except (ssl.SSLError, ConnectionError, TimeoutError):
            return False
    return True


def _try(tried: str, action: Callable[[], str]) -> Attempt:
    try:
        answer = action()
    except OperationFailure as error:
        return Attempt(tried, _REFUSED_CODES.get(error.code, f"refused: {error.details}"), False)
    except PyMongoError as error:
        return Attempt(tried, f"failed: {error}", False)
    return Attempt(tried, answer, not answer.startswith("nothing"))


def _names(client: MongoClient) -> str:
    own = [n for n in client.list_database_names() if n not in ("admin", "config", "local")]
    return ", ".join(own) or "nothing is shown"


def _first_name(document: dict | None) -> str:
    return "nothing is there" if document is None else str(document.get("name", document["_id"]))


def overhear(outside: Outside, uri: str, login: dict[str, object]) -> bool:
    """Whether a listener on the way can read what an application reads from the server.

    The application reads one person through the relay, and the relay keeps the bytes. They are
    searched for the name that the application was given.

    Args:
        outside: the relay, open.
        uri: the address of the relay.
        login: what the application has: user name and password, the CA file for TLS.

    Raises:
        NotLoopback: the address is not on this machine.
        PyMongoError: the application itself is not let in.
    """
    _place(uri)
    with outside.recording() as tape, MongoClient(uri, **_WAIT, **login) as client:
        person = client["sensenets"]["people"].find_one()
    return person["name"].encode() in tape.received
