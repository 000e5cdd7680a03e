import contextlib
import gc
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import psutil
import pytest
from waiting import wait_for

from leftopen import loopback, outside
from leftopen.errors import EngineFailed, LeftOpenError
from leftopen.outside import Outside

BOUND = 60  # seconds after which a wait in these tests is a failure
MIB = 1024 * 1024


@contextlib.contextmanager
def serving(handler):
    """A server that gives each connection to the handler, in a thread; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.settimeout(BOUND)
            with contextlib.suppress(OSError):
                handler(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextlib.contextmanager
def opened(handler):
    with serving(handler) as port, Outside(port) as relay:
        relay.open()
        yield relay


def answer(sock):
    while data := sock.recv(65536):
        sock.sendall(data.upper())


@pytest.fixture
def door():
    with opened(answer) as relay:
        yield relay


def dial(relay):
    return loopback.connect("127.0.0.1", relay.port, BOUND)


def take(sock, count):
    """As many bytes as are asked for, or fewer if the connection ends."""
    got = bytearray()
    while len(got) < count and (data := sock.recv(min(MIB, count - len(got)))):
        got += data
    return bytes(got)


def talks(sock, data=b"hello"):
    sock.sendall(data)
    return take(sock, len(data)) == data.upper()


def works(relay, data=b"hello"):
    with dial(relay) as client:
        return talks(client, data)


def is_ended(sock):  # or reset
    with contextlib.suppress(ConnectionError):
        return sock.recv(1) == b""
    return True


def refuses(port):
    with contextlib.suppress(ConnectionRefusedError):
        loopback.connect("127.0.0.1", port, BOUND).close()
        return False
    return True


def test_it_begins_shut_and_the_port_stays_over_open_and_shut():
    with serving(answer) as server_port, Outside(server_port) as relay:
        port = relay.port
        for _ in range(5):
            assert not relay.is_open
            assert refuses(port)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))
            relay.open()
            assert (relay.is_open, relay.port) == (True, port)
            assert works(relay)
            relay.shut()


def test_each_step_may_be_repeated(door):
    with dial(door) as client:
        door.open()
        assert talks(client)
    for step in (door.shut, door.shut, door.close, door.close, door.shut):
        step()
        assert refuses(door.port)
    with pytest.raises(LeftOpenError, match="closed for good"):
        door.open()
    loopback.listen(door.port).close()  # its port is free


def test_shut_cuts_both_sides():
    server_saw = []

    def greet(sock):
        sock.sendall(b"hello")
        server_saw.append(is_ended(sock))

    with opened(greet) as relay, dial(relay) as client:
        assert take(client, 5) == b"hello"
        relay.shut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert wait_for(lambda: server_saw == [True])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a held port cannot be taken")
def test_a_port_that_was_taken_is_said(door):
    door.shut()
    with loopback.listen(door.port), pytest.raises(LeftOpenError, match="Another program has"):
        door.open()
    door.open()
    assert works(door)


def test_the_target_may_be_down_and_may_change_while_open(door):
    with dial(door) as old, loopback.reserve() as nobody:
        assert talks(old)
        door.target_port = nobody.getsockname()[1]
        with dial(door) as client:
            assert is_ended(client)
        with serving(lambda sock: sock.sendall(b"other")) as port:
            door.target_port = port
            with dial(door) as client:
                assert take(client, 5) == b"other"
        assert talks(old)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue may refuse")
def test_a_server_that_does_not_accept_hangs_nothing(door, monkeypatch):
    server_port = door.target_port
    with loopback.reserve() as full, contextlib.ExitStack() as stack:
        full.listen(0)
        for _ in range(20):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        door.target_port = full.getsockname()[1]
        with monkeypatch.context() as patch:
            patch.setattr(outside, "CONNECT_SECONDS", 0.3)
            with dial(door) as client:
                assert is_ended(client)
        door.target_port = server_port
        assert works(door)


def test_an_impossible_target_is_refused(door, monkeypatch):
    for port in (0, 65536, "27017", None):
        with pytest.raises(LeftOpenError, match="not a usable port"):
            Outside(port)
        with pytest.raises(LeftOpenError, match="not a usable port"):
            door.target_port = port
    with pytest.raises(LeftOpenError, match="the relay's own"):
        door.target_port = door.port
    # A server that is yet to start does not hold its port, and the system may offer it.
    spare, reserve = [loopback.reserve()], loopback.reserve
    port = spare[0].getsockname()[1]
    monkeypatch.setattr(loopback, "reserve", lambda: spare.pop() if spare else reserve())
    with Outside(port) as relay:
        assert relay.port != port


def test_half_close_is_passed_on_from_either_side():
    heard = []

    def speak_and_hear(sock):
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        heard.append(take(sock, 100))

    with opened(speak_and_hear) as relay, dial(relay) as client:
        assert take(client, 100) == b"hello"
        client.sendall(b"and after that")
        client.shutdown(socket.SHUT_WR)
        assert wait_for(lambda: heard == [b"and after that"])
    with opened(lambda sock: sock.sendall(take(sock, 100)[::-1])) as relay, dial(relay) as client:
        client.sendall(b"stressed")
        client.shutdown(socket.SHUT_WR)
        assert take(client, 100) == b"desserts"


def test_much_passes_in_both_directions_at_once():
    data = {"up": os.urandom(50 * MIB), "down": os.urandom(50 * MIB)}
    arrived = {}

    def exchange(sock, give, get):
        sender = threading.Thread(target=sock.sendall, args=(data[give],), daemon=True)
        sender.start()
        arrived[get] = take(sock, 50 * MIB)
        sender.join(BOUND)

    with opened(lambda sock: exchange(sock, "down", "up")) as relay, dial(relay) as client:
        exchange(client, "up", "down")
        assert wait_for(lambda: len(arrived) == 2)
    assert (arrived == data) is True  # or pytest would print it all


def test_a_slow_receiver_holds_up_its_own_sender_alone():
    go_on = threading.Event()

    def handle(sock):
        if sock.recv(1) == b"w":
            go_on.wait(BOUND)
        answer(sock)

    with opened(handle) as relay, dial(relay) as client:
        client.sendall(b"w")
        client.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 256 * MIB:  # far more than the buffers of the system hold
                sent += client.send(bytes(MIB))
        assert sent < 256 * MIB
        with dial(relay) as other:
            other.sendall(b"-")
            assert talks(other)
        go_on.set()


def test_the_tape_has_what_passed_in_order_and_nothing_else(door):
    with dial(door) as client:
        assert talks(client, b"before")
        with door.recording() as tape:
            assert talks(client, b"one,")
            assert works(door, b"two,")
            assert talks(client, b"three")
        assert talks(client, b"after")
    assert (tape.sent, tape.received) == (b"one,two,three", b"ONE,TWO,THREE")
    assert (tape.connections, tape.truncated) == (1, False)


def test_what_is_on_its_way_belongs_where_it_was_sent(door):
    """The relay thread sleeps, so that the bytes wait while the recording begins, or ends."""
    with dial(door) as client:
        assert talks(client)
        door._relay._loop.call_soon_threadsafe(time.sleep, 0.3)
        client.sendall(b"before")
        with door.recording() as tape:
            door._relay._loop.call_soon_threadsafe(time.sleep, 0.3)
            client.sendall(b"within")
        client.sendall(b"after")
        assert take(client, 17) == b"BEFOREWITHINAFTER"
    assert tape.sent == b"within"


@pytest.mark.parametrize(("limit", "kept"), [(0, b""), (9, b"012345678"), (10, b"0123456789")])
def test_the_tape_is_bounded(door, limit, kept):
    with door.recording(limit=limit) as tape, dial(door) as client:
        assert talks(client, b"0123")
        assert talks(client, b"456789")
    assert tape.sent == tape.received == kept
    assert tape.truncated is (limit < 10)
    for impossible in (-1, 1.5, None, True):
        with pytest.raises(LeftOpenError, match="limit"), door.recording(limit=impossible):
            pass


def test_recordings_nest_and_last_over_open_and_shut(door):
    with door.recording() as outer:
        with dial(door) as client, door.recording() as inner:
            assert talks(client, b"a")
        door.shut()
        door.open()
        assert works(door, b"b")
    assert (inner.sent, outer.sent, outer.connections) == (b"a", b"ab", 2)


def test_the_tape_may_be_read_while_many_talk(door):
    with door.recording() as tape, ThreadPoolExecutor(5) as pool:
        talking = [pool.submit(works, door, b"x" * 20_000) for _ in range(5)]
        while not all(talk.done() for talk in talking):
            assert set(tape.sent) <= set(b"x")
        assert all(talk.result() for talk in talking)
    assert (tape.sent, tape.received) == (b"x" * 100_000, b"X" * 100_000)
    assert tape.connections == 5


@pytest.mark.skipif(not hasattr(psutil.Process, "num_fds"), reason="counts file descriptors")
def test_200_short_connections_leave_nothing():
    count = psutil.Process().num_fds
    gc.collect()  # what earlier tests let go of may not end in between
    with serving(answer) as port:
        before = count()
        with Outside(port) as relay:
            relay.open()
            open_alone = count()
            assert all(works(relay) for _ in range(200))
            assert wait_for(lambda: (count(), relay._relay._sockets) == (open_alone, set()))
            with dial(relay) as client:
                assert talks(client)
                assert "leftopen-outside" in str(threading.enumerate())
                relay.close()
        assert "leftopen-outside" not in str(threading.enumerate())
        assert wait_for(lambda: count() == before)


def test_all_that_it_opens_is_loopback():
    def sockets():
        return {c for c in psutil.Process().net_connections("inet") if c.laddr}

    before = sockets()
    with opened(answer) as relay, dial(relay) as client:
        assert talks(client)
        new = sockets() - before
        assert relay.port in {c.laddr.port for c in new if c.status == psutil.CONN_LISTEN}
        assert len(new) >= 6  # two listeners, and both ends of two connections
        places = {place.ip for c in new for place in (c.laddr, c.raddr) if place}
        assert {"127.0.0.1"} <= places <= {"127.0.0.1", "127.0.0.2"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_keeps_nothing(door):
    with dial(door) as client:
        assert talks(client)
        _held, child = door._relay, os.fork()  # held, so that no destructor closes it
        if child == 0:
            time.sleep(2 * BOUND)
            os._exit(0)
        try:
            assert talks(client)  # the child has let go of its copies, and not cut ours
            assert works(door)
            door.close()
            assert is_ended(client)
            assert refuses(door.port)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_it_does_not_keep_python_from_ending():
    program = """if True:
        from leftopen import loopback, outside
        server = loopback.listen()
        relay = outside.Outside(server.getsockname()[1])
        relay.open()
        client = loopback.connect("127.0.0.1", relay.port, 10)
        print(relay.is_open)
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=BOUND)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, b"True", b"")


def test_an_interrupt_does_not_reach_the_relay(door):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    with dial(door) as client:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGINT, handler)
        assert talks(client)


@pytest.mark.parametrize(
    ("fails", "failure"),
    [("start", RuntimeError), ("start", KeyboardInterrupt), ("join", KeyboardInterrupt)],
)
def test_a_step_that_fails_leaves_the_door_shut(door, monkeypatch, fails, failure):
    step = {"start": door.open, "join": door.shut}[fails]
    if fails == "start":
        door.shut()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, fails, Mock(side_effect=failure))
        with pytest.raises(EngineFailed if failure is RuntimeError else KeyboardInterrupt):
            step()
    assert not door.is_open
    assert fails == "join" or refuses(door.port)
    door.open()  # finishes an interrupted shut()
    assert works(door)
