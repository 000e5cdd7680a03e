"""How an impostor ends: with nothing of it left, whatever happens while it stands there."""

import contextlib
import ssl
import threading
import time
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

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
    deadline = time.monotonic() + 5
    while handles() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert handles() <= before


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


def test_what_is_no_impostor_is_refused_in_a_sentence():
    with pytest.raises(LeftOpenError, match="no kind of impostor"):
        Impostor(None, "expired")


def test_a_closed_lab_has_no_place_to_take():
    class Closed:
        is_running, way_back = False, "lab.restart() brings it back."

    with pytest.raises(LeftOpenError, match=r"lab\.restart\(\)"):
        Impostor(Closed())
