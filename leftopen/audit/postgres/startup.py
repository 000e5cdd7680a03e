"""The least of PostgreSQL's protocol: a client's first words, and what the server answers to them.

Before a password is asked for the server has already gone through pg_hba.conf, so its first answer
tells which method the line has that fits. Hanging up then is no failed login (PostgreSQL manual,
"Message Flow: Start-up", "SSL Session Encryption", "Message Formats").
"""

import socket
import struct
from dataclasses import dataclass

from leftopen.audit import wire

_TLS_PLEASE = struct.pack("!ii", 8, 80877103)
_PROTOCOL = 196608  # 3.0
_METHODS = {0: "none", 3: "password", 5: "md5", 7: "gss", 9: "sspi", 10: "scram-sha-256"}
_LONGEST = 30_000
_NOW = ("57P03", "53300")  # starting up, or full: neither says who may come in


@dataclass(frozen=True)
class Answer:
    """What a server says to a client that has named itself.

    Attributes:
        method: ``"none"`` where it is let in at once, else what it is asked for; empty where it is
            refused.
        code: the SQLSTATE of a refusal.
        words: the words of a refusal.
    """

    method: str
    code: str = ""
    words: str = ""

    @property
    def let_in(self) -> bool:
        """Whether nothing more is asked for."""
        return self.method == "none"


def ask_for_tls(sock: socket.socket) -> None:
    """Say that TLS is wanted.

    Raises:
        OSError: the server does not speak it, or is no PostgreSQL.
    """
    if (said := offer(sock)) != b"S":
        raise ConnectionError("no TLS" if said == b"N" else "what came back is not PostgreSQL's")


def offer(sock: socket.socket) -> bytes:
    """Ask whether there is TLS: ``b"S"`` for yes, ``b"N"`` for no."""
    sock.sendall(_TLS_PLEASE)
    return sock.recv(1)


def begin(host: str, port: int, tls: bool, role: str, database: str) -> Answer:
    """Say who is there and where to, and hang up after the first answer.

    Args:
        host: a loopback host.
        port: its port.
        tls: whether inside TLS, with any certificate.
        role: the account.
        database: the database.

    Raises:
        OSError: there is no connection, no handshake, or no answer that says something.
    """
    context = wire.careless() if tls else None
    with wire.opened(host, port, context, ask_for_tls if tls else None) as sock:
        said = {"user": role, "database": database, "application_name": wire.APP_NAME}
        body = struct.pack("!i", _PROTOCOL)
        body += b"".join(f"{name}\0{value}\0".encode() for name, value in said.items()) + b"\0"
        sock.sendall(struct.pack("!i", len(body) + 4) + body)
        kind, length = struct.unpack("!ci", wire.exactly(sock, 5))
        if kind not in (b"R", b"E") or not 8 <= length <= _LONGEST:
            raise ConnectionError("what came back is not PostgreSQL's")
        answer = _read(kind, wire.exactly(sock, length - 4))
        if answer.let_in:
            sock.sendall(b"X\0\0\0\4")
    if answer.code in _NOW:
        raise ConnectionError(answer.words)
    return answer


def _read(kind: bytes, body: bytes) -> Answer:
    if kind == b"R":
        (number,) = struct.unpack("!i", body[:4])
        return Answer(_METHODS.get(number, "another method"))
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return Answer("", fields.get(b"C", ""), fields.get(b"M", ""))
