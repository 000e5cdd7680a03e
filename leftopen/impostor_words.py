"""What an impostor says to a client of OpenSearch or MongoDB, and what it understands.

OpenSearch speaks HTTP, with logins as RFC 7617 has them. MongoDB's messages are those of its wire
protocol reference, and SCRAM (RFC 5802) hands over a name and a proof, not a password. What every
conversation shares is here, too; that with a client of PostgreSQL is in `impostor_sql`.
"""

import asyncio
import base64
import binascii
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import bson

from leftopen import loopback
from leftopen.outside import Tape
from leftopen.scram_wire import account

SECONDS = 5.0  # for a server to answer the impostor, and for a client to say its first word
_CHUNK = 64 * 1024
_LONGEST = 48_000_000  # bytes of a message: maxMessageSizeBytes, as mongod's own hello states it
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Ears:
    """What an impostor keeps of all its conversations.

    Attributes:
        server_port: the port of the server in whose place it stands; ``None`` if there is none.
        heard: logins, each once.
        tape: what passed in the clear.
        refusals: how many clients would not hand over what they were asked for.
        hung_up: how many ended the conversation before they had said a word.
    """

    server_port: int | None
    tape: Tape
    heard: list[str] = field(default_factory=list)
    refusals: int = 0
    hung_up: int = 0

    def hear(self, login: str) -> None:
        """Keep a login."""
        if login not in self.heard:
            self.heard.append(login)


class Conversation:
    """One client's visit. Whatever it opens is in ``ends``, for the impostor to cut."""

    def __init__(self, ears: Ears) -> None:
        self.ears = ears
        self.ends: list[asyncio.StreamWriter] = []
        self._spoken = asyncio.Event()

    async def begin(self, client: Ends) -> None:
        """Talk with a client until one side has ended."""
        raise NotImplementedError

    # -- what they share ----------------------------------------------------------------------

    async def pass_on(
        self, client: Ends, server: Ends | None, understand: Callable[[bytes], None]
    ) -> None:
        """Pass on what both say, and listen to what the client says."""
        back = asyncio.create_task(self._answers(client[1], server))
        try:
            while data := await client[0].read(_CHUNK):
                self.ears.tape._keep(data, to_server=True)
                understand(data)
                self._spoken.set()
                if server is not None:
                    with contextlib.suppress(OSError):  # it is gone; `back` tells the client
                        server[1].write(data)
                        await server[1].drain()
        finally:
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await back

    async def leave_alone(self, client: socket.socket) -> None:
        """Pass on what both say as it is, and understand nothing of it; until one has ended."""
        if self.ears.server_port is None:
            return
        server = await loopback.connect_async(loopback.HERE, self.ears.server_port, SECONDS)
        ways = [
            asyncio.ensure_future(_pour(*pair)) for pair in ((client, server), (server, client))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server.close()

    async def _answers(self, client: asyncio.StreamWriter, server: Ends | None) -> None:
        with contextlib.suppress(OSError):
            while server is not None and (data := await server[0].read(_CHUNK)):
                self.answer(client, data)
                await client.drain()
        with contextlib.suppress(TimeoutError):  # what the client begins with is heard in any case
            async with asyncio.timeout(SECONDS):
                await self._spoken.wait()
        client.close()

    def answer(self, client: asyncio.StreamWriter, data: bytes) -> None:
        """Say something to the client."""
        self.ears.tape._keep(data, to_server=False)
        client.write(data)

    async def server(self, *, tls: bool, greet: bytes = b"") -> Ends:
        """A connection to the server.

        Args:
            tls: whether in TLS. An impostor does not look at certificates.
            greet: what asks for TLS in clear, where a protocol has words for that.

        Raises:
            OSError: there is none, or no TLS.
        """
        port = self.ears.server_port
        if port is None:
            raise ConnectionRefusedError
        sock = await loopback.connect_async(loopback.HERE, port, SECONDS)
        try:
            if greet:
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(SECONDS):
                    await loop.sock_sendall(sock, greet)
                    if await loop.sock_recv(sock, 1) != b"S":
                        raise ConnectionRefusedError
            more = {"ssl": _careless(), "server_hostname": loopback.HERE} if tls else {}
            async with asyncio.timeout(SECONDS):
                ends = await asyncio.open_connection(sock=sock, **more)
        except BaseException:
            sock.close()
            raise
        self.ends.append(ends[1])
        return ends

    async def server_as_it_speaks(self) -> Ends | None:
        """A connection to the server, in TLS if it speaks that; ``None`` if it does not answer."""
        for tls in (True, False):
            with contextlib.suppress(OSError):
                return await self.server(tls=tls)
        return None


async def _pour(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, _CHUNK):
        await loop.sock_sendall(target, data)


class Http(Conversation):
    """With a client of OpenSearch."""

    async def begin(self, client: Ends) -> None:
        """Talk with a client until one side has ended."""
        if self.ears.server_port is None:
            await self._refuse(client)
            return
        said = bytearray()

        def listen(data: bytes) -> None:
            said.extend(data)
            self._listen(bytes(said))
            del said[:-_CHUNK]

        await self.pass_on(client, await self.server_as_it_speaks(), listen)

    async def _refuse(self, client: Ends) -> None:
        async with asyncio.timeout(SECONDS):
            said = await client[0].readuntil(b"\r\n\r\n")
        self.ears.tape._keep(said, to_server=True)
        self._listen(said)
        answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.answer(client[1], answer)
        await client[1].drain()
        client[1].close()
        await client[0].read(_CHUNK)  # until the client has hung up

    def _listen(self, said: bytes) -> None:
        for login in re.findall(rb"(?i)\r\nAuthorization: *Basic +(\S+)\r\n", said):
            with contextlib.suppress(binascii.Error):
                self.ears.hear(base64.b64decode(login).decode(errors="replace"))


class Mongo(Conversation):
    """With a client of MongoDB."""

    def __init__(self, ears: Ears) -> None:
        super().__init__(ears)
        self._said = bytearray()

    async def begin(self, client: Ends) -> None:
        """Talk with a client until one side has ended."""
        await self.pass_on(client, await self.server_as_it_speaks(), self._listen)

    def _listen(self, data: bytes) -> None:
        self._said += data
        while len(self._said) >= 16:
            length, _, _, opcode = struct.unpack("<iiii", self._said[:16])
            if not 16 < length <= _LONGEST or len(self._said) < length:
                return
            message = bytes(self._said[16:length])
            del self._said[:length]
            with contextlib.suppress(bson.errors.BSONError, ValueError, TypeError, struct.error):
                self._understand(opcode, message)  # what makes no sense is passed on all the same

    def _understand(self, opcode: int, message: bytes) -> None:
        if opcode == 2013:  # OP_MSG: flags, the kind of a section (0: one document), the document
            document = message[5:]
        elif opcode == 2004:  # OP_QUERY: flags, the collection's name, two numbers, a document
            document = message[message.index(b"\0", 4) + 9 :]
        else:
            return
        size = struct.unpack_from("<i", document)[0]
        command = bson.decode(document[:size])
        for login in (command, command.get("speculativeAuthenticate", {})):
            if "mechanism" in login:
                self._hear(login)

    def _hear(self, login: dict) -> None:
        mechanism, payload = login["mechanism"], login.get("payload", b"")
        if not isinstance(payload, bytes):
            raise TypeError("a payload is binary")
        if mechanism == "PLAIN":  # RFC 4616
            _, name, password = payload.decode(errors="replace").split("\0")
            self.ears.hear(f"{name}:{password}")
        elif found := re.search(rb"(?:^|,)n=([^,]*)", payload):
            self.ears.hear(f"{account(found[1])} (SCRAM exchange)")
        else:
            self.ears.hear(f"{login.get('user') or 'a client'} ({mechanism})")


def _careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
