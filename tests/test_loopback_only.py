"""The socket watch itself: it notices what it must, accepts what it must, and ends the session."""

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import socket_watch
from waiting import until

from leftopen import loopback

TESTS = Path(__file__).parent
CHILD = """
import socket, sys, time
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
sock.bind((sys.argv[1], 0))
print(sock.getsockname()[1], flush=True)
sys.stdin.readline()
sock.listen()
print("listens", flush=True)
time.sleep(0.5)
sys.stdin.readline()
"""


def plant(address: str, watch: socket_watch.Watch) -> int:
    """A child listens for half a second, or for two samples where the machine is that busy.

    The watch of the real session is told before it does.
    """
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", CHILD, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        port = int(child.stdout.readline())
        socket_watch.ignore(port)
        until(lambda: child.pid in watch._family)  # which it looks for once a second
        child.stdin.write("listen\n")
        child.stdin.flush()
        assert child.stdout.readline() == "listens\n"
        wanted, deadline = watch.samples + 2, time.monotonic() + 60
        while watch.samples < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        child.communicate("end\n", timeout=60)
    return port


@pytest.fixture
def watch():
    watch = socket_watch.Watch()
    watch.start()
    yield watch
    watch.stop()


@pytest.mark.parametrize("platform", [sys.platform, "elsewhere"])
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_half_a_second_on_every_address_is_noticed(watch, address, platform, monkeypatch):
    if ":" in address and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(socket_watch.sys, "platform", platform)
    port = plant(address, watch)
    watch.stop()
    assert (address, port) in [(seen.address, seen.port) for seen in watch.seen]


def test_a_watch_that_fails_says_so(monkeypatch):
    def fail():
        raise OSError("planted")

    watch = socket_watch.Watch()
    monkeypatch.setattr(watch, "sample", fail)  # of this one: the session's own goes on
    watch.start()
    watch.join(60)
    assert repr(watch.failure) == "OSError('planted')"


def test_loopback_is_accepted(watch):
    port = plant("127.0.0.1", watch)
    watch.stop()
    assert port not in [seen.port for seen in watch.seen]


@pytest.mark.parametrize(
    ("address", "loopback_or_not"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:0.0.0.0", False),
        ("192.168.1.1", False),
        ("fe80::1%lo", False),
    ],
)
def test_is_loopback(address, loopback_or_not):
    assert socket_watch.is_loopback(address) is loopback_or_not


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_proc_is_read_as_the_socket_itself_says(address):
    if ":" in address and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((address, 0))
        place = sock.getsockname()[:2]
        before = {found[:2] for found in socket_watch.listening()}
        sock.listen()
        after = {found[:2] for found in socket_watch.listening()}
    assert place not in before
    assert place in after


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "1"]])
@pytest.mark.parametrize(("address", "green"), [("0.0.0.0", False), ("127.0.0.1", True)])
def test_the_session_fails_where_something_listens(tmp_path, address, green, workers):
    for _ in range(5):  # another program may take the port before the planted test does
        port, told = planted_session(tmp_path, address, workers)
        if "Address already in use" not in told.stdout:
            break
    assert "1 passed" in told.stdout, told.stdout + told.stderr
    assert (told.returncode == 0) is green, told.stdout
    assert (f"{address} port {port}" in told.stdout) is not green
    assert ("1 error" in told.stdout) is not green


def planted_session(tmp_path, address, workers):
    port = loopback.free_port()
    socket_watch.ignore(port)
    (tmp_path / "conftest.py").write_text("from socket_watch import pytest_configure\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_planted.py").write_text(
        textwrap.dedent(f"""
            import socket, time

            def test_green_by_itself():
                with socket.create_server(("{address}", {port})):
                    time.sleep(1)
            """)
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "LEFTOPEN"))}
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *workers, str(tmp_path)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return port, told


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="sock_diag and /proc are Linux's")
def test_what_the_kernel_answers_is_what_it_lists(monkeypatch):
    with contextlib.ExitStack() as stack:
        mine = {stack.enter_context(loopback.listen()).getsockname() for _ in range(3)}
        if _has_ipv6():
            six = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
            mine.add(six.getsockname()[:2])
        with stack.enter_context(loopback.reserve()) as bound:  # does not listen
            silent = bound.getsockname()
            answered, listed = socket_watch.listening(), socket_watch.listed()
            for found in (answered, listed):
                places = {(address, port) for address, port, _ in found}
                assert mine <= places
                assert silent not in places
            # Other programs begin and end to listen between the two looks; ours do not.
            ports = {port for _, port in mine}
            assert {x for x in answered if x[1] in ports} == {x for x in listed if x[1] in ports}
        monkeypatch.setattr(socket_watch, "_NETLINK_SOCK_DIAG", 31)  # there is no such protocol
        assert mine <= {(address, port) for address, port, _ in socket_watch.listening()}
