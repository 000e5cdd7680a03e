"""How an impostor ends: with nothing of it left, whatever happens while it stands there."""

import contextlib
import os
import signal
import ssl
import struct
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import bson
import pytest
from opensearchpy import OpenSearch
from waiting import until

from leftopen import loopback
from leftopen.errors import LeftOpenError
from leftopen.impostor import Impostor
from leftopen.lab_opensearch import quiet

# -- its life ------------------------------------------------------------------------------------


def handles():
    """This process's own sockets and pipes, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def threads():
    return [thread for thread in threading.enumerate() if "impostor" in thread.name]


def gone(impostor):
    with pytest.raises(ConnectionRefusedError):
        loopback.connect(impostor.host, impostor.port, 2)
    return not threads()


def test_nothing_of_it_is_left_at_the_end():
    before = handles()
    with Impostor() as impostor:
        visitors = [loopback.connect(impostor.host, impostor.port, 5) for _ in range(4)]
        visitors[1].sendall(b"\x16\x03\x01\x00\xff")  # a handshake that never goes on
        visitors[2].sendall(b"\x01")  # no word of any protocol
        lax = ssl._create_unverified_context()
        visitors[3] = lax.wrap_socket(visitors[3])
        visitors[3].sendall(b"\xff" * 64)
    assert gone(impostor)
    for visitor in visitors:
        visitor.settimeout(5)
        with contextlib.suppress(OSError):  # a reset
            assert visitor.recv(1024) == b""
        visitor.close()
    until(lambda: handles() <= before)  # other threads have handles for a moment, too


def test_an_error_and_an_interrupt_inside_leave_nothing():
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), Impostor() as impostor:
            raise error
        assert gone(impostor)
    impostor.close()


def test_an_interrupt_while_it_closes_does_not_keep_it(monkeypatch):
    impostor = Impostor()
    join, calls = impostor._thread.join, []

    def interrupted(timeout=None):
        if not calls:
            calls.append(1)
            raise KeyboardInterrupt
        join(timeout)

    monkeypatch.setattr(impostor._thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        impostor.close()
    join(5)
    assert gone(impostor)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_keeps_nothing():
    impostor = Impostor()
    with loopback.connect(impostor.host, impostor.port, 5) as visitor:
        visitor.sendall(b"\x16\x03\x01\x00\xff")  # a handshake that goes on later
        until(lambda: impostor._sockets)
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        try:
            until_it_answers = ssl._create_unverified_context()
            with (
                loopback.connect(impostor.host, impostor.port, 5) as plain,
                until_it_answers.wrap_socket(plain) as other,
            ):
                assert other.version()  # the child has let go of its copies, and not cut ours
            impostor.close()
            assert gone(impostor)
            with contextlib.suppress(OSError):  # a reset
                assert visitor.recv(1024) == b""
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            impostor.close()


def test_many_visitors_at_once_are_all_heard():
    with Impostor() as impostor:

        def visit(number):
            how = {"verify_certs": False, "ssl_show_warn": False, "max_retries": 0}
            login = (f"app{number}", "x")
            client = OpenSearch(impostor.uri, http_auth=login, **how)
            with quiet(), client, pytest.raises(Exception, match="401"):
                client.info()

        visitors = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join(30)
        assert sorted(impostor.heard) == [f"app{number}:x" for number in range(8)]


class Absent:
    """The place of a mongod that does not answer: its port is held, and nobody else gets it."""

    program, is_running = "mongod", True

    def __init__(self, held):
        self.inside = SimpleNamespace(port=held.getsockname()[1])


def message(*command, opcode=2013):
    body = b"\0" * 5 + b"".join(map(bson.encode, command))
    return struct.pack("<iiii", 16 + len(body), 1, 0, opcode) + body


def test_nonsense_does_not_stop_one_of_mongodb():
    login = {"saslStart": 1, "mechanism": "PLAIN", "payload": b"\0ada\0word"}
    with loopback.reserve() as held, Impostor(Absent(held)) as impostor:
        for words in (
            struct.pack("<iiii", 17, 1, 0, 2013) + b"\0",
            struct.pack("<iiii", 17, 1, 0, 2004) + b"\0",
            message(),
            message(opcode=2004),
            message({"hello": 1, "speculativeAuthenticate": None}),
            message(login | {"payload": "text"}),
            message(login | {"payload": b"text"}),
            message(login | {"mechanism": 1, "payload": 1 << 40}),
            message(login),
        ):
            assert impostor.heard == []
            with loopback.connect(impostor.host, impostor.port, 5) as visitor:
                visitor.sendall(words)
                with contextlib.suppress(ConnectionError):
                    assert visitor.recv(10) == b""
        assert impostor.heard == ["ada:word"]


def test_from_its_turn_on_nobody_is_let_through():
    """Who was let through is cut, and comes back to the impostor."""
    login = message({"saslStart": 1, "mechanism": "PLAIN", "payload": b"\0ada\0word"})
    with loopback.listen() as server, Impostor(Absent(server)) as impostor:
        server.settimeout(5)
        impostor.let_through = 1000
        with loopback.connect(impostor.host, impostor.port, 5) as visitor:
            visitor.sendall(login)
            served, _ = server.accept()
            with served:
                assert served.recv(1024) == login
                served.sendall(b"welcome")
                assert visitor.recv(1024) == b"welcome"
                assert (impostor.turn(), impostor.heard) == (1, [])
                assert visitor.recv(1024) == b""
        server.close()  # else the impostor waits for its word
        with loopback.connect(impostor.host, impostor.port, 5) as visitor:
            visitor.sendall(login)
            until(lambda: impostor.heard == ["ada:word"])
    assert impostor.turn() == 1, "it is closed, and says the same"


def test_what_is_no_impostor_is_refused_in_a_sentence():
    with pytest.raises(LeftOpenError, match="no kind of impostor"):
        Impostor(None, "expired")


def test_a_closed_lab_has_no_place_to_take():
    class Closed:
        is_running, way_back = False, "lab.restart() brings it back."

    with pytest.raises(LeftOpenError, match=r"lab\.restart\(\)"):
        Impostor(Closed())
