"""The relay that plays the Internet.

A lab's server listens on loopback alone, whatever its configuration says. `Outside` is a second
loopback port, and every byte that reaches it is passed on to the server: it stands for the
network on which a stranger would have found the server. While it is open, the server is exposed,
as far as the lesson goes; while it is shut, the port refuses connections, as a port does behind
which nothing listens. This module has the door only; the lab decides, from the server's
configuration, whether it is open.

Relayed clients come to the server from `STRANGERS`, another loopback address than the operator's
127.0.0.1, so that its log and its rules can tell outside from inside. One difference to the real
thing remains: to the server every client is on its own machine, as behind a proxy beside it.
"""

import asyncio
import os
import selectors
import socket
import struct
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from leftopen import loopback
from leftopen.errors import EngineFailed, LeftOpenError

STRANGERS = "127.0.0.2"  # where relayed clients come from, wherever the system has that address
CHUNK = 64 * 1024  # bytes held for each direction of a connection; then the sender waits
CONNECT_SECONDS = 5.0  # how long the server may take to accept a connection
STOP_SECONDS = 30.0  # how long shut() waits for the relay thread
SETTLE_SECONDS = 1.0  # how long recording() waits for bytes that are on their way
QUIET_TURNS = 10  # turns of the event loop in which nothing moved: nothing is on its way


class Tape:
    """What passed the relay during one recording; safe to read at any time, from any thread.

    Bytes of connections that run side by side stand in the order in which they passed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._sent = bytearray()
        self._received = bytearray()
        self._connections = 0
        self._truncated = False

    @property
    def sent(self) -> bytes:
        """Bytes from clients to the server."""
        with self._lock:
            return bytes(self._sent)

    @property
    def received(self) -> bytes:
        """Bytes from the server to clients."""
        with self._lock:
            return bytes(self._received)

    @property
    def connections(self) -> int:
        """How many clients connected during the recording."""
        return self._connections

    @property
    def truncated(self) -> bool:
        """Whether more passed than the limit allows; the tape then has the beginning."""
        return self._truncated

    def _count(self) -> None:
        self._connections += 1

    def _keep(self, data: bytes, *, to_server: bool) -> None:
        with self._lock:
            kept = self._sent if to_server else self._received
            room = self._limit - len(kept)
            kept += data[:room]
            self._truncated |= len(data) > room


class Outside:
    """A loopback port that passes every byte on to a server's loopback port, or refuses.

    It begins shut. The port is chosen at once and stays the same while the door opens and shuts,
    so that one client object sees both. As a context manager it is closed at the end. `source` is
    the loopback address from which its clients come instead of `STRANGERS`, or None.

    Args:
        target_port: the loopback port of the server.

    Raises:
        LeftOpenError: if the port is not usable.
    """

    def __init__(self, target_port: int) -> None:
        loopback.check_port(target_port)
        self._lock = threading.Lock()
        self._relay: _Relay | None = None
        self._closed = False
        self.source: str | None = None
        self._tapes: tuple[Tape, ...] = ()
        held = loopback.reserve()
        if held.getsockname()[1] == target_port:  # of a server that is yet to start
            with held:
                held = loopback.reserve()
        self._held: socket.socket | None = held  # keeps the port while the door is shut
        self._port: int = held.getsockname()[1]
        self._target_port = target_port
        _living.add(self)

    @property
    def port(self) -> int:
        """The relay's own port on 127.0.0.1."""
        return self._port

    @property
    def target_port(self) -> int:
        """The server's port; a change holds from the next connection on."""
        return self._target_port

    @target_port.setter
    def target_port(self, port: int) -> None:
        loopback.check_port(port)
        if port == self._port:
            raise LeftOpenError(
                f"Port {port} is the relay's own. Give the port on which the server listens."
            )
        self._target_port = port

    @property
    def is_open(self) -> bool:
        """Whether the relay accepts connections."""
        relay = self._relay
        return relay is not None and relay.is_running

    def open(self) -> None:
        """Accept connections; nothing happens if it is open already.

        Raises:
            LeftOpenError: if the relay was closed, or another program has taken its port.
            EngineFailed: if the system does not give what the relay needs.
        """
        with self._lock:
            if self._closed:
                raise LeftOpenError("This relay was closed for good. Open the case again.")
            if self.is_open:
                return
            self._stop()  # an earlier shut() may have been interrupted
            listener = self._listen()
            try:
                self._relay = _Relay(listener, self)
                self._relay.thread.start()
            except BaseException as error:
                self._stop()
                listener.close()
                self._hold()
                if not isinstance(error, OSError | RuntimeError):
                    raise
                raise EngineFailed(
                    f"The relay could not start: {error}. Close other notebooks and try again."
                ) from error

    def shut(self) -> None:
        """Refuse connections and cut those that exist; nothing happens if it is shut already.

        Raises:
            EngineFailed: if the relay does not stop.
        """
        with self._lock:
            self._stop()
            if not self._closed:
                self._hold()

    def close(self) -> None:
        """Shut the relay for good and give its port back; nothing happens the second time.

        Raises:
            EngineFailed: if the relay does not stop.
        """
        with self._lock:
            self._closed = True
            if self._held is not None:
                self._held.close()
                self._held = None
            self._stop()

    def __enter__(self) -> "Outside":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def recording(self, limit: int = 16 * 1024 * 1024) -> Iterator[Tape]:
        """Keep what passes while the block runs; recordings may overlap.

        What had reached the relay before the block is not kept. The tape stays readable afterwards.

        Args:
            limit: bytes that are kept in each direction; what comes after them still passes.

        Raises:
            LeftOpenError: if the limit is not a whole number of bytes.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise LeftOpenError(f"{limit!r} is not a usable limit. Give a whole number of bytes.")
        tape = Tape(limit)
        self._settle()
        with self._lock:
            self._tapes = (*self._tapes, tape)
        try:
            try:
                yield tape
            finally:
                self._settle()
        finally:
            with self._lock:
                self._tapes = tuple(other for other in self._tapes if other is not tape)

    def _settle(self) -> None:
        if relay := self._relay:
            relay.settle()

    def _hold(self) -> None:
        """Keep the port, without answering on it."""
        if self._held is None:
            with suppress(OSError):  # open() tries again, and says so if the port is lost
                self._held = loopback.reserve(self._port)

    def _listen(self) -> socket.socket:
        """The listening socket on the port; from here on it is the caller's."""
        listener, self._held = self._held, None
        try:
            listener = listener or loopback.reserve(self._port)
            loopback.listen_on(listener)
        except OSError as error:
            if listener is not None:
                listener.close()
            raise LeftOpenError(
                f"Another program has taken port {self._port}, on which this lab plays the "
                f"Internet ({error.strerror}). Close the lab and open the case again."
            ) from error
        return listener

    def _stop(self) -> None:
        if self._relay is not None:
            self._relay.stop()
            self._relay = None

    def _forget(self) -> None:
        """In a forked child: let go of every socket, and leave the parent's connections alone."""
        self._lock = threading.Lock()
        self._closed = True
        held, self._held = self._held, None
        relay, self._relay = self._relay, None
        if held is not None:
            held.close()
        if relay is not None:
            relay.forget()


_living: "weakref.WeakSet[Outside]" = weakref.WeakSet()


def _forget_all() -> None:
    for outside in list(_living):
        outside._forget()


if hasattr(os, "register_at_fork"):
    # A forked child would otherwise hold the port open after its parent has shut it.
    os.register_at_fork(after_in_child=_forget_all)


class _Relay:
    """One thread with an event loop that serves an open door; it lives from open to shut."""

    def __init__(self, listener: socket.socket, outside: Outside) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._outside = outside
        self._sockets: set[socket.socket] = set()
        self._moved = 0  # counts whatever the relay does
        self._stopping = False
        self._main: asyncio.Task[None] | None = None
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        name = f"leftopen-outside-{outside.port}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_running(self) -> bool:
        return self.thread.is_alive() and not self._stopping

    def stop(self) -> None:
        self._stopping = True
        if self.thread.ident is None:  # it never ran
            self._loop.close()
            return
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._cancel)
        self.thread.join(STOP_SECONDS)
        if self.thread.is_alive():
            raise EngineFailed(
                f"The relay did not stop within {STOP_SECONDS:.0f} s. Restart the kernel."
            )

    def settle(self) -> None:
        """Wait until the relay has read what its sockets already hold."""
        settled = threading.Event()
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._look, 0, self._moved, settled)
            settled.wait(SETTLE_SECONDS)

    def forget(self) -> None:
        """In a forked child: close the sockets, and first the selector, which is shared."""
        with suppress(OSError):
            self._selector.close()
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _cancel(self) -> None:
        self._loop.remove_reader(self._listener)  # else an accept that is due meets the cancel
        if self._main is not None:
            self._main.cancel()

    def _look(self, quiet: int, seen: int, settled: threading.Event) -> None:
        """Come back in the next turn of the loop, until nothing has moved for a while."""
        quiet = quiet + 1 if self._moved == seen else 0
        if quiet > QUIET_TURNS:
            settled.set()
        else:
            self._loop.call_soon(self._look, quiet, self._moved, settled)

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serve())
        finally:
            for sock in (self._listener, *self._sockets):
                sock.close()
            self._loop.close()

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        async with asyncio.TaskGroup() as links:
            while not self._stopping:
                try:
                    client, _ = await self._loop.sock_accept(self._listener)
                except OSError:
                    await asyncio.sleep(0.05)  # too many open files, or a client that went away
                    continue
                self._moved += 1
                self._sockets.add(client)
                for tape in self._outside._tapes:
                    tape._count()
                links.create_task(self._link(client))

    async def _link(self, client: socket.socket) -> None:
        """Serve one client until both sides have ended, one has failed, or the door is shut."""
        ends, cut = [client], False
        try:
            client.setblocking(False)
            port = self._outside.target_port
            source = self._outside.source or STRANGERS
            server = await loopback.connect_async(loopback.HERE, port, CONNECT_SECONDS, source)
            ends, cut = [client, server], True
            self._moved += 1
            self._sockets.add(server)
            for sock in ends:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as flows:
                flows.create_task(self._flow(client, server, to_server=True))
                flows.create_task(self._flow(server, client, to_server=False))
            cut = False
        except* OSError:
            pass
        finally:
            for sock in ends:
                self._end(sock, cut=cut)

    async def _flow(self, source: socket.socket, sink: socket.socket, *, to_server: bool) -> None:
        """Pass on one direction; the end of the source becomes the end of the sink."""
        while data := await self._loop.sock_recv(source, CHUNK):
            self._moved += 1
            for tape in self._outside._tapes:
                tape._keep(data, to_server=to_server)
            await self._loop.sock_sendall(sink, data)
        self._moved += 1
        with suppress(OSError):  # the sink is gone, and the other direction finds out
            sink.shutdown(socket.SHUT_WR)

    def _end(self, sock: socket.socket, *, cut: bool) -> None:
        if cut:
            with suppress(OSError):  # a reset, not a polite end: SO_LINGER of 0 s, see socket(7)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        self._sockets.discard(sock)
