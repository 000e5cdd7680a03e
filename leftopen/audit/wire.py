"""The least of MongoDB's wire protocol: one command, one answer, in clear or inside TLS.

OP_MSG is opcode 2013: a header of four little-endian 32-bit numbers (length, request, in answer to,
opcode), flags, and sections, of which kind 0 is one BSON document (MongoDB's wire protocol
reference).
"""

import contextlib
import socket
import ssl
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import bson

from leftopen import loopback

APP_NAME = "leftopen audit"
"""The name under which the auditor's connections stand in the server's log."""
SECONDS = 3.0
_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")
_MAX_BYTES = 48_000_000  # maxMessageSizeBytes, as mongod's own hello states it
Greeting = Callable[[socket.socket], None]
"""What a client says in clear before TLS begins, where a protocol has such words."""


@dataclass(frozen=True)
class Handshake:
    """A TLS handshake that succeeded: the protocol, and the server's certificate as DER."""

    protocol: str
    certificate: bytes


def hello(**more: object) -> dict:
    """The first command of a connection, with the auditor's name in it."""
    client = {
        "application": {"name": APP_NAME},
        "driver": {"name": "leftopen", "version": "1"},
        "os": {"type": "any"},
    }
    return {"hello": 1, "client": client, **more, "$db": "admin"}


def ask(sock: socket.socket, command: dict) -> dict:
    """Send one command and return the server's answer.

    Raises:
        OSError: the connection broke, timed out, or what came back is no answer.
    """
    body = b"\0\0\0\0\0" + bson.encode(command)
    sock.sendall(_HEADER.pack(_HEADER.size + len(body), 1, 0, _OP_MSG) + body)
    length, _, _, opcode = _HEADER.unpack(exactly(sock, _HEADER.size))
    if opcode != _OP_MSG or not _HEADER.size + 5 < length <= _MAX_BYTES:
        raise ConnectionError("what came back is not MongoDB's protocol")
    try:
        return bson.decode(exactly(sock, length - _HEADER.size)[5:])
    except bson.errors.BSONError as error:
        raise ConnectionError(f"what came back is not BSON: {error}") from error


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes of what a server says.

    Raises:
        OSError: the connection broke or timed out before that.
    """
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the server closed the connection")
        data += chunk
    return data


def careless(cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """A TLS context that accepts any certificate, as a stranger does.

    Args:
        cert: a client's certificate, as a PEM file.
        key: its private key; without one, it stands in the same file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it reads no list of authorities
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, key)
    return context


def old(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A careless context that speaks one old version of TLS alone.

    Raises:
        OSError: this machine's own TLS library does not speak it.
    """
    context = careless()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old on purpose
        try:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.maximum_version = version
            context.minimum_version = version
        except (ValueError, ssl.SSLError) as error:
            raise OSError(f"this machine's TLS library does not speak it: {error}") from error
    return context


@contextlib.contextmanager
def opened(
    host: str, port: int, context: ssl.SSLContext | None, greet: Greeting | None = None
) -> Iterator[socket.socket]:
    """A connection through the loopback guard, inside TLS where a context is given.

    Args:
        host: a loopback host.
        port: its port.
        context: for TLS; ``None`` speaks in clear.
        greet: asks for TLS, where the protocol has words for that.

    Raises:
        NotLoopback: the host is not this machine.
        OSError: no connection, or no handshake (``ssl.SSLError`` is an OSError).
    """
    with loopback.connect(host, port, SECONDS) as plain:
        if context is None:
            yield plain
            return
        if greet is not None:
            greet(plain)
        with context.wrap_socket(plain, server_hostname=host) as tls:
            yield tls


def handshake(
    host: str, port: int, context: ssl.SSLContext, greet: Greeting | None = None
) -> Handshake:
    """Shake hands and hang up.

    Raises:
        OSError: no connection, or no handshake.
    """
    with opened(host, port, context, greet) as tls:
        return Handshake(tls.version() or "", tls.getpeercert(binary_form=True) or b"")
