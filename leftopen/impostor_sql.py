"""What an impostor says to a client of PostgreSQL, and what it understands.

The messages are those of PostgreSQL's manual, "Message Formats": a byte that says what it is, its
length in four bytes that count themselves, and its content. The first message has no such byte.
"""

import asyncio
import contextlib
import re
import socket
import struct

from leftopen.impostor_words import SECONDS, Conversation, Ends

SSL_REQUEST, GSS_REQUEST = struct.pack("!ii", 8, 80877103), struct.pack("!ii", 8, 80877104)
_VERSION_3 = 3
_LONGEST = 1_000_000  # bytes of a message
_ASK_IN_CLEAR = b"R" + struct.pack("!ii", 8, 3)  # AuthenticationCleartextPassword
_WELCOME = b"R" + struct.pack("!ii", 8, 0)  # AuthenticationOk
_OFFER = struct.pack("!i", 10)  # AuthenticationSASL: the mechanisms, each with a zero behind it
_BOUND = b"SCRAM-SHA-256-PLUS\0"  # the one that is tied to a certificate (RFC 5802, section 6)
_PROOF = re.compile(rb",p=[A-Za-z0-9+/]{43}=")
PROOF = "SCRAM proof"
"""What is heard of a client whose login came to nothing: guesses can be tested on it."""
_READY = b"Z" + struct.pack("!ic", 5, b"I")
_SETTINGS = {
    "server_version": "15.0",
    "client_encoding": "UTF8",
    "server_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "integer_datetimes": "on",
    "DateStyle": "ISO, MDY",
}


async def agree(client: socket.socket, first: bytes, *, tls: bool) -> bool:
    """Answer what a client asks before TLS; return whether there is more to look at.

    Args:
        client: its connection, without a wait.
        first: the bytes that it sent, which are still to be read.
        tls: whether to agree to TLS.
    """
    answer = {SSL_REQUEST: b"S" if tls else b"N", GSS_REQUEST: b"N"}.get(first)
    if answer is None:
        return False
    client.recv(len(first))
    await asyncio.get_running_loop().sock_sendall(client, answer)
    return True


class Sql(Conversation):
    """With a client of PostgreSQL.

    It asks for the password in clear. When a client has not handed it over, the next one is let in
    without one, and the one after that is passed on to the server; then it begins again. To a
    client in clear it does not mention that a login can be bound to a certificate.
    """

    _along: str | None = None  # the name of who is passed on to the server
    _told = b""  # what that one was told until it was let in
    _proved = False  # whether that one has sent the proof that it knows its password

    async def begin(self, client: Ends) -> None:
        """Talk with a client until one side has ended."""
        async with asyncio.timeout(SECONDS):
            size = struct.unpack("!i", await client[0].readexactly(4))[0]
            if not 8 <= size <= _LONGEST:
                raise ValueError("no startup message")
            startup = await client[0].readexactly(size - 4)
        if struct.unpack_from("!h", startup)[0] != _VERSION_3:
            return  # to cancel a statement, say
        whole = struct.pack("!i", size) + startup
        self.ears.tape._keep(whole, to_server=True)
        words = startup[4:].decode(errors="replace").split("\0")
        name = dict(zip(words[::2], words[1::2], strict=False)).get("user", "")
        ways = (self._ask, self._let_in, self._take_along)
        if not await ways[self.ears.refusals % len(ways)](client, name, whole):
            self.ears.refusals += 1

    async def _ask(self, client: Ends, name: str, startup: bytes) -> bool:
        """Ask for the password; return whether the client handed it over."""
        self.answer(client[1], _ASK_IN_CLEAR)
        kind, content = await self._message(client)
        if kind != b"p":
            return False
        password = content.rstrip(b"\0").decode(errors="replace")
        self.ears.hear(f"{name}:{password}")
        await self._send_away(client, name)
        return True

    async def _let_in(self, client: Ends, name: str, startup: bytes) -> bool:
        """Ask for nothing; return whether the client is content with that."""
        told = b"".join(
            b"S" + struct.pack("!i", 4 + len(pair)) + pair
            for pair in (f"{k}\0{v}\0".encode() for k, v in _SETTINGS.items())
        )
        self.answer(client[1], _WELCOME + told + _READY)
        kind, _ = await self._message(client)
        if not kind:
            return False
        self.ears.hear(f"{name} (let in without a password)")
        await self._send_away(client, name)
        return True

    async def _take_along(self, client: Ends, name: str, startup: bytes) -> bool:
        """Pass the client on to the server; return whether it has logged in there."""
        for greet in (b"", SSL_REQUEST):  # what is read in clear cannot be bound to a certificate
            with contextlib.suppress(OSError, EOFError):
                server = await self.server(tls=bool(greet), greet=greet)
                server[1].write(startup)
                async with asyncio.timeout(SECONDS):
                    kind, content = await _read(server[0])
                if kind == b"R" or greet:
                    break
        else:
            return False
        in_clear = client[1].get_extra_info("ssl_object") is None
        if kind == b"R" and content.startswith(_OFFER) and in_clear:
            content = content.replace(_BOUND, b"")
        self._along, self._told = name, b""
        self.answer(client[1], kind + struct.pack("!i", 4 + len(content)) + content)
        await self.pass_on(client, server, self._look_for_a_proof)
        return _WELCOME in self._told

    def _look_for_a_proof(self, data: bytes) -> None:
        self._proved = self._proved or _PROOF.search(data) is not None

    def answer(self, client: asyncio.StreamWriter, data: bytes) -> None:
        """Say something to the client; where that is the server's welcome, the client is in."""
        # What is heard is kept first: whoever waits for the client looks as soon as it has ended.
        if self._along is not None and _WELCOME not in self._told:
            self._told += data
            if _WELCOME in self._told:
                self.ears.hear(f"{self._along} (the whole session)")
            elif self._proved and data.startswith(b"E"):
                self.ears.hear(f"{self._along} ({PROOF})")
        super().answer(client, data)

    async def _send_away(self, client: Ends, name: str) -> None:
        """End as a server does that was given a wrong password (class 28, 28P01)."""
        words = f'password authentication failed for user "{name}"'
        content = f"SFATAL\0VFATAL\0C28P01\0M{words}\0\0".encode()
        self.answer(client[1], b"E" + struct.pack("!i", 4 + len(content)) + content)
        await client[1].drain()
        client[1].close()

    async def _message(self, client: Ends) -> tuple[bytes, bytes]:
        """What a client says next: its kind and its content; empty when it hangs up."""
        try:
            async with asyncio.timeout(SECONDS):
                kind, content = await _read(client[0])
        except (OSError, EOFError):
            return b"", b""
        whole = kind + struct.pack("!i", 4 + len(content)) + content
        self.ears.tape._keep(whole, to_server=True)
        return kind, content


async def _read(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next message: its kind and its content.

    Raises:
        EOFError: there is none, or it is none of PostgreSQL's.
    """
    head = await stream.readexactly(5)
    size = struct.unpack("!i", head[1:])[0]
    if not 4 <= size <= _LONGEST:
        raise EOFError
    return head[:1], await stream.readexactly(size - 4)
