"""An impostor, for a lesson: it takes the place of a lab's server, and hears who talks to it.

Whoever stands between a client and its server can answer in the server's place. What an impostor
cannot have is the server's own certificate, so it shows another one: of an authority that nobody
trusts, or of another server of the same authority. A client that looks at the authority and at the
name (RFC 9525) hangs up before it has said a word. To any other the impostor talks in its server's
own protocol, keeps the logins, and where it can passes everything on to the server, so that the
client notices nothing. It listens on loopback alone.
"""

import asyncio
import contextlib
import os
import selectors
import socket
import ssl
import tempfile
import threading
import weakref
from pathlib import Path

from leftopen import impostor_sql as sql
from leftopen import loopback
from leftopen.engines.pki import OTHER_SERVER, Authority
from leftopen.errors import EngineFailed, LeftOpenError
from leftopen.impostor_words import SECONDS, Conversation, Ears, Ends, Http, Mongo
from leftopen.lab import Lab
from leftopen.outside import Tape

OTHER_AUTHORITY, OTHER_NAME, NO_TLS = "other authority", "other name", "no TLS"
KINDS = (OTHER_AUTHORITY, OTHER_NAME, NO_TLS)
_STOP_SECONDS = 10.0
_LIMIT = 16 * 1024 * 1024  # bytes that are kept in each direction
_TLS = 0x16  # the first byte of a TLS record with a handshake (RFC 8446, section 5.1)
_TALKS: dict[str, type[Conversation]] = {
    "mongod": Mongo,
    "PostgreSQL": sql.Sql,
    "OpenSearch": Http,
}
_URIS = {
    "mongod": "mongodb://{}:{}/?directConnection=true&serverSelectionTimeoutMS=2000",
    "PostgreSQL": "postgresql://{}:{}/postgres?connect_timeout=4",
    "OpenSearch": "https://{}:{}",
}


class Impostor:
    """What stands between a client and a lab's server, with a certificate that is not the server's.

    Use it under ``with``, or call :meth:`close`.

    Args:
        lab: the server whose place it takes. Without one it plays a web server that answers every
            request with "wrong password".
        kind: ``"other authority"``: its certificate has the right names, and comes from an
            authority that nobody trusts. ``"other name"``: it comes from the right authority, and
            is another server's. ``"no TLS"``: it says that it speaks none, and has no certificate.
        authority: the authority that clients trust, where it is not the lab's own.

    Attributes:
        host: where it listens, and
        port: on which port.
        uri: its address, as the driver wants it; no account, and nothing of TLS, stands in it.
        heard: the logins that clients handed over, each once: ``"name:password"``, or the name
            with what it handed over in place of a password.
        let_through: how many of the next connections it leaves alone: they lead to the server, and
            it understands nothing of them. :meth:`turn` ends that.

    Raises:
        LeftOpenError: the kind is none of these, or the lab is closed.
    """

    host = loopback.HERE

    def __init__(
        self,
        lab: Lab | None = None,
        kind: str = OTHER_AUTHORITY,
        authority: Authority | None = None,
    ) -> None:
        if kind not in KINDS:
            raise LeftOpenError(f"{kind!r} is no kind of impostor. There is: {', '.join(KINDS)}.")
        if lab is not None and not lab.is_running:
            raise LeftOpenError(f"There is no server to take the place of. {lab.way_back}")
        self._program = lab.program if lab else "OpenSearch"
        self._ears = Ears(lab.inside.port if lab else None, Tape(_LIMIT))
        self.heard = self._ears.heard
        self._context = None if kind == NO_TLS else _context(lab, kind, authority)
        self.let_through = 0
        self._left_alone: set[socket.socket] = set()
        self._let = 0
        self._stopping = False
        self._main: asyncio.Task[None] | None = None
        self._sockets: set[socket.socket] = set()
        self._listener = loopback.listen()
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.uri = _URIS[self._program].format(self.host, self.port)
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        name = f"leftopen-impostor-{self.port}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        _living.add(self)
        try:
            self._thread.start()
        except BaseException:
            self._stopping = True
            self._listener.close()
            if self._thread.ident is None:
                self._loop.close()
            raise

    @property
    def hung_up(self) -> int:
        """How many clients ended the conversation before they had said a word."""
        return self._ears.hung_up

    @property
    def sent(self) -> bytes:
        """What clients said to it, in the clear: after their TLS, or without."""
        return self._ears.tape.sent

    @property
    def received(self) -> bytes:
        """What clients were answered, in the clear."""
        return self._ears.tape.received

    def turn(self) -> int:
        """Let nobody through any more, and cut those who were let through.

        Each connection that begins after it has returned meets the impostor.

        Returns:
            How many connections were let through until now.

        Raises:
            EngineFailed: it does not answer.
        """
        done = threading.Event()
        with contextlib.suppress(RuntimeError):  # the loop is closed, and everything is cut
            self._loop.call_soon_threadsafe(self._cut, done)
            if not done.wait(_STOP_SECONDS):
                raise EngineFailed(
                    f"The impostor did not turn within {_STOP_SECONDS:.0f} s. Restart the kernel."
                )
        return self._let

    def close(self) -> None:
        """Stop listening, and cut every connection. Safe to call twice.

        Raises:
            EngineFailed: it does not stop.
        """
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise EngineFailed(
                f"The impostor did not stop within {_STOP_SECONDS:.0f} s. Restart the kernel."
            )

    def __enter__(self) -> "Impostor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _forget(self) -> None:
        """In a forked child: let go of the clients and of the port. The thread is the parent's."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._selector.close()  # first, since it is shared
        for sock in (self._listener, *self._sockets):
            sock.close()

    # -- its thread ---------------------------------------------------------------------------

    def _cancel(self) -> None:
        self._loop.remove_reader(self._listener)  # else an accept that is due meets the cancel
        if self._main is not None:
            self._main.cancel()

    def _cut(self, done: threading.Event) -> None:
        self.let_through = 0
        for client in self._left_alone:
            with contextlib.suppress(OSError):  # it has hung up
                client.shutdown(socket.SHUT_RDWR)
        done.set()

    def _run(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serve())
            for _ in range(3):  # the turns in which the loop lets go of the sockets that were cut
                self._loop.run_until_complete(asyncio.sleep(0))
        finally:
            self._loop.close()
            for sock in (self._listener, *self._sockets):
                sock.close()

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        async with asyncio.TaskGroup() as visits:
            while not self._stopping:
                try:
                    client, _ = await self._loop.sock_accept(self._listener)
                except OSError:
                    await asyncio.sleep(0.05)  # too many open files, or a client that went away
                    continue
                self._sockets.add(client)
                visits.create_task(self._visit(client))

    async def _visit(self, client: socket.socket) -> None:
        """Talk with one client until one side has ended."""
        talk, agreed = _TALKS[self._program](self._ears), False
        try:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.let_through:
                self.let_through, agreed = self.let_through - 1, True
                self._let += 1
                self._left_alone.add(client)
                await talk.leave_alone(client)
                return
            async with asyncio.timeout(SECONDS):
                ends = await self._agree(client)
            agreed = True
            talk.ends.append(ends[1])
            await talk.begin(ends)
        except (OSError, EOFError, ValueError):  # it hung up, or spoke another protocol
            pass
        finally:
            self._ears.hung_up += not agreed
            for writer in talk.ends:
                writer.transport.abort()
            client.close()
            self._left_alone.discard(client)
            self._sockets.discard(client)

    async def _agree(self, client: socket.socket) -> Ends:
        """The two ends of a conversation with a client, in TLS if it wants that."""
        first = await self._peek(client)
        if self._program == "PostgreSQL":
            while first[0] != _TLS and await sql.agree(
                client, await self._peek(client, 8), tls=self._context is not None
            ):
                first = await self._peek(client)
        elif first[0] != _TLS and self._ears.server_port is None:
            raise ConnectionRefusedError  # a web server for https alone
        if first[0] == _TLS and self._context is None:
            raise ConnectionRefusedError
        reader = asyncio.StreamReader(limit=_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, client, ssl=self._context if first[0] == _TLS else None
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _peek(self, client: socket.socket, size: int = 1) -> bytes:
        """The first bytes that a client sends, which stay where they are."""
        while True:
            with contextlib.suppress(BlockingIOError):
                data = client.recv(size, socket.MSG_PEEK)
                if len(data) == size:
                    return data
                if not data:
                    raise EOFError
            await asyncio.sleep(0.002)


_living: "weakref.WeakSet[Impostor]" = weakref.WeakSet()


def _forget_all() -> None:
    for impostor in list(_living):
        impostor._forget()


if hasattr(os, "register_at_fork"):
    # A forked child would otherwise hold the port open after its parent has closed it.
    os.register_at_fork(after_in_child=_forget_all)


def _context(lab: Lab | None, kind: str, authority: Authority | None) -> ssl.SSLContext:
    """For TLS with clients, with the impostor's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if lab is not None and lab.program == "PostgreSQL":
        context.set_alpn_protocols(["postgresql"])  # asked for by sslnegotiation=direct
    if kind == OTHER_NAME and authority is None and lab is not None:
        context.load_cert_chain(lab.certificates.other)
        return context
    signer = Authority() if kind == OTHER_AUTHORITY else authority or Authority()
    names = ([OTHER_SERVER], []) if kind == OTHER_NAME else (["localhost"], [loopback.HERE])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "impostor.pem"
        file.touch(mode=0o600)
        file.write_bytes(signer.server(*names))
        context.load_cert_chain(file)
    return context
